"""`quartermaster stock`: corrections, and whether stock is the sum of its movements."""

import hashlib
from typing import Annotated

import typer

from api.cli.terminal import ERROR, AsOption, JsonOption, terminal

app = typer.Typer(help="Stock and its ledger.", no_args_is_help=True)


@app.command(context_settings={"ignore_unknown_options": True})
def adjust(
    sku: Annotated[str, typer.Argument(help="SKU or name.")],
    units: Annotated[int, typer.Argument(help="Difference, such as -12 or 30.")],
    reason: Annotated[str, typer.Option(help="Why: a count, breakage, a find.")],
    reference: Annotated[
        str, typer.Option(help="Name of the correction: booking it twice changes nothing.")
    ] = "",
    location: Annotated[str | None, typer.Option(help="Code of the place.")] = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Correct the stock of an item by a movement."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.stock import service as stock

        actor, system = shell.actor(), shell.system
        day = system.clock.now().date().isoformat()
        said = hashlib.sha256(f"{location} {sku} {units} {reason}".encode()).hexdigest()[:12]
        with system.database.write() as session:
            done = stock.adjust(
                session, sku=sku, units=units, reason=reason,
                reference=reference or f"{day} {actor.login} {said}", actor=actor,
                clock=system.clock, location=location,
            )  # fmt: skip
        if is_json:
            shell.emit({"ok": True, "data": done})
            return
        was = "was booked before; " if done.is_repeat else ""
        typer.echo(f"{was}{done.sku} at {done.location}: {done.on_hand_units:,} on hand.")


@app.command()
def check(as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Compare the stock of every item with the sum of its movements; exit 1 on a difference."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.stock import service as stock

        shell.actor()
        with shell.system.database.read() as session:
            found = stock.ledger_differences(session)
        if is_json:
            shell.emit({"ok": not found, "data": {"differences": found}})
        for one in () if is_json else found:
            typer.echo(
                f"{one.sku} at {one.location}: {one.on_hand_units:,} on hand, movements say "
                f"{one.moved_units:,}"
            )
        if found:
            shell.note("`quartermaster stock reconcile` writes what the movements lack.")
            raise typer.Exit(ERROR)
        if not is_json:
            typer.echo("Stock is the sum of its movements everywhere.")


@app.command()
def reconcile(as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Write the movements that the stock of an older database lacks; stock stays as it is."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.stock import service as stock

        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            found = stock.reconcile(session, actor=actor, clock=system.clock)
        if is_json:
            shell.emit({"ok": True, "data": {"written": found}})
        else:
            typer.echo(f"{len(found):,} movements written.")
