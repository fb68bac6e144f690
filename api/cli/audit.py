"""`quartermaster audit`: is the trail whole?"""

import typer

from api.cli.terminal import ERROR, JsonOption, terminal

app = typer.Typer(help="The record of who did what.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """The record of who did what."""


@app.command()
def verify(is_json: JsonOption = False) -> None:
    """Recompute the chain of seals: exit 0 when it is whole, 1 when a row was touched."""
    with terminal(is_json=is_json) as shell:
        from tools.audit import service as trail

        with shell.system.database.read() as session:
            report = trail.verify(session)
        if is_json:
            shell.emit({"ok": report.ok, "data": report})
        else:
            from api.cli import screens
            from api.cli.terminal import jsonable

            shell.show(screens.audit_line(jsonable(report)))
        if not report.ok:
            raise typer.Exit(ERROR)
