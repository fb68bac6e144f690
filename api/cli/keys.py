"""`quartermaster keys`: API keys of people and machines."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated

import typer

from api.cli.terminal import AsOption, JsonOption, terminal
from db.types import Permission

app = typer.Typer(help="API keys for the REST door and shared databases.", no_args_is_help=True)


@app.command()
def create(
    login: Annotated[str, typer.Argument(help="Whose key it is.")],
    label: Annotated[str, typer.Option(help="What it is for.")] = "terminal",
    allow: Annotated[
        list[Permission] | None,
        typer.Option(help="What it may do; repeat it. Default: all that its person may."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How long it works.")] = 365,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Make a key; it is shown once and only its hash is kept.

    An administrator's key for somebody else does not decide about orders.
    """
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.cli.identity import key_maker
        from tools.identity import service as identity

        system = shell.system
        by = key_maker(system, shell.settings, as_login, login)
        expires_at = system.clock.now() + timedelta(days=days)
        with system.database.write() as session:
            key = identity.create_api_key(
                session, login, label=label, clock=system.clock, permissions=allow or (),
                expires_at=expires_at, by=by,
            )  # fmt: skip
        if is_json:
            told = {
                "login": login, "key": key, "key_id": key.split("_")[2],
                "expires_at": expires_at.isoformat(),
            }  # fmt: skip
            shell.emit({"ok": True, "data": told})
            return
        typer.echo(key)
        shell.note(
            f"Keep it now: it is not shown again. Its id is {key.split('_')[2]}; it works until "
            f"{expires_at:%d %B %Y}."
        )


@app.command(name="list")
def list_keys(
    login: Annotated[str | None, typer.Argument(help="Only this person's.")] = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show your keys; an administrator sees everybody's. Never a secret."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.people.service.keys import list_api_keys

        actor = shell.actor()
        with shell.system.database.read() as session:
            found = list_api_keys(session, actor, login=login)
        now = shell.system.clock.now()
        states = [_state(key.revoked_at is not None, key.expires_at, now) for key in found]
        if is_json:
            rows = [
                {**asdict(key), "state": state} for key, state in zip(found, states, strict=True)
            ]
            shell.emit({"ok": True, "data": {"keys": rows}})
            return
        for key, state in zip(found, states, strict=True):
            allowed = ",".join(key.permissions) or "all"
            typer.echo(
                f"{key.key_id}  {key.login:<14} {state:<8} {allowed:<20} {key.label}".rstrip()
            )
        if not found:
            shell.note("No keys.")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id: the third part of qm_live_ID_secret.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Make a key worthless, at once."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.cli.identity import key_maker, key_owner
        from tools.identity import service as identity

        system = shell.system
        by = key_maker(system, shell.settings, as_login, key_owner(system, key_id))
        with system.database.write() as session:
            identity.revoke_api_key(session, key_id, clock=system.clock, by=by)
        if is_json:
            shell.emit({"ok": True, "data": {"key_id": key_id, "revoked": True}})
        else:
            shell.note(f"Revoked {key_id}.")


def _state(is_revoked: bool, expires_at: datetime | None, now: datetime) -> str:
    if is_revoked:
        return "revoked"
    return "expired" if expires_at is not None and expires_at <= now else "works"
