"""`quartermaster inbound`: what suppliers, carriers and warehouses sent us."""

from typing import Annotated

import typer

from api.cli.terminal import AsOption, JsonOption, terminal

app = typer.Typer(help="Messages from outside.", no_args_is_help=True)


@app.command(name="list")
def list_messages(
    is_all: Annotated[bool, typer.Option("--all", help="Applied ones too.")] = False,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show the messages that a person should look at."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.inbound import service as inbound

        shell.actor()
        with shell.system.database.read() as session:
            rows = inbound.list_events(session) if is_all else inbound.troubled(session)
            found = [
                {
                    "source": row.source,
                    "id": row.event_id,
                    "kind": row.kind,
                    "state": row.state.value,
                    "attempts": row.attempts,
                    "received_at": row.received_at.isoformat(timespec="seconds"),
                    "error": row.error,
                }
                for row in rows
            ]
        if is_json:
            shell.emit({"ok": True, "data": {"messages": found}})
            return
        for one in found:
            said = f": {one['error']}" if one["error"] else ""
            typer.echo(f"{one['source']} {one['id']} ({one['kind']}) is {one['state']}{said}")
        if not found:
            typer.echo("No message needs a look.")


@app.command()
def retry(
    source: Annotated[str, typer.Argument(help="Who sent it.")],
    message: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Try a refused message again, after what was wrong here was put right."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.inbound import service as inbound

        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            inbound.retry(session, source, message, actor=actor, clock=system.clock)
        if is_json:
            shell.emit({"ok": True, "data": {"source": source, "id": message}})
        else:
            typer.echo(f"{message} of {source} is tried again by the server.")
