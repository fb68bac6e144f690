"""Deliver what was approved, at once, and say where it is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.cli.terminal import Terminal


def deliver_now(shell: "Terminal", *, is_quiet: bool = False) -> list[Any]:
    """Send the orders that are due; the same code as the server's worker."""
    from api.worker import deliver_due

    system = shell.system
    deliveries = deliver_due(
        system.database, system.channels, clock=system.clock, holder="terminal"
    )
    if not (is_quiet or shell.is_json):
        show(shell, deliveries)
    return deliveries


def show(shell: "Terminal", deliveries: list[Any]) -> None:
    """Print one line a delivery."""
    from api.cli import screens
    from api.cli.terminal import jsonable

    folder = str(shell.settings.outgoing_dir)
    for delivery in deliveries:
        shell.show(screens.delivery_line(jsonable(delivery), folder))


def delivered_file(shell: "Terminal", reference: str) -> Path:
    """Return the file that a delivery by drop folder wrote."""
    return shell.settings.outgoing_dir / reference
