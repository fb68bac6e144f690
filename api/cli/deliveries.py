"""Deliver what was approved, at once or as a worker of its own, and say where it is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli.terminal import terminal

if TYPE_CHECKING:
    from api.cli.terminal import Terminal


def deliver_now(shell: "Terminal", *, is_quiet: bool = False) -> list[Any]:
    """Send the orders that are due; the same code as the server's worker."""
    from api.worker import Courier

    system = shell.system
    deliveries = Courier(
        system.database, system.channels, clock=system.clock, holder=holder("terminal"),
        takes_all=False,
    ).round()  # fmt: skip
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


def work() -> None:
    """Deliver orders and apply messages until stopped, without serving; any number beside `serve`.

    Messages from outside (`QM_INBOUND_FILE`) are applied as the server does it.
    """
    with terminal() as shell:
        import signal
        import threading

        from api.inbound import apply_due, load_sources
        from api.logging import configure_logging
        from api.worker import Courier, run

        system, stopping = shell.system, threading.Event()
        configure_logging(level=shell.settings.log_level, style=shell.settings.log_format)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stopping.set())
        shell.note(f"Delivering by {', '.join(sorted(system.channels))} (Ctrl-C stops).")
        courier = Courier(
            system.database, system.channels, clock=system.clock, holder=holder("worker"),
            is_stopping=stopping.is_set,
        )  # fmt: skip
        sources = load_sources(shell.settings)

        def apply_messages() -> None:
            apply_due(system.database, sources, clock=system.clock, company=system.company)

        run(courier, stopping, also=apply_messages if sources else lambda: None)
        shell.note("Stopped; nothing is under way.")


def holder(kind: str) -> str:
    """Return a name for a worker that no other one alive has."""
    import secrets

    return f"{kind}-{secrets.token_hex(4)}"
