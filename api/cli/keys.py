"""`quartermaster keys`: API keys of people and machines."""

from typing import Annotated

import typer

from api.cli.terminal import AsOption, JsonOption, terminal

app = typer.Typer(help="API keys for the REST door.", no_args_is_help=True)


@app.command()
def create(
    login: Annotated[str, typer.Argument(help="Whose key it is.")],
    label: Annotated[str, typer.Option(help="What it is for.")] = "terminal",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Make a key; it is shown once and only its hash is kept."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.cli.identity import administrator
        from tools.identity import service as identity

        system = shell.system
        by = administrator(system, shell.settings, as_login)
        with system.database.write() as session:
            key = identity.create_api_key(session, login, label=label, clock=system.clock, by=by)
        if is_json:
            shell.emit({"ok": True, "data": {"login": login, "key": key}})
            return
        typer.echo(key)
        shell.note("Keep it now: it is not shown again.")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id: the third part of qm_live_ID_secret.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Make a key worthless, at once."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.cli.identity import administrator
        from tools.identity import service as identity

        system = shell.system
        by = administrator(system, shell.settings, as_login) or shell.actor()
        with system.database.write() as session:
            identity.revoke_api_key(session, key_id, clock=system.clock, by=by)
        if is_json:
            shell.emit({"ok": True, "data": {"key_id": key_id, "revoked": True}})
        else:
            shell.note(f"Revoked {key_id}.")
