"""`quartermaster policy`: what may be approved; `quartermaster dispatch`: whether orders leave."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, terminal
from tools.errors import InvalidInput

if TYPE_CHECKING:
    from tools.policy.core.policy import Version
    from tools.policy.core.writing import FieldChange

app = typer.Typer(help="The approval policy: who may approve what.", no_args_is_help=True)
dispatch = typer.Typer(help="Whether approved orders leave the house.", no_args_is_help=True)

_MOST_BYTES = 1_000_000
FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="YAML; - is standard input.")]
ReasonOption = Annotated[str, typer.Option(help="Why; goes into the record.")]
VersionOption = Annotated[
    int | None, typer.Option("--version", metavar="N", help="Default: the one in force.")
]


@app.command()
def show(
    version: VersionOption = None, as_login: AsOption = None, is_json: JsonOption = False
) -> None:
    """Print the policy as it was written."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        shell.actor()
        found = _shown(shell, version)
        if is_json:
            shell.emit({"ok": True, "data": _data(found)})
            return
        typer.echo(found.text, nl=False)
        shell.note(_line(found), "dim")


@app.command()
def export(
    file: FileArgument,
    version: VersionOption = None,
    is_forced: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Write the policy to a file, to change a copy of it."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        shell.actor()
        found = _shown(shell, version)
        try:
            with Path(file).open("w" if is_forced else "x", encoding="utf-8") as out:
                out.write(found.text)
        except FileExistsError:
            raise InvalidInput(
                f"there is a file {file!r} already", next_step="--force overwrites it."
            ) from None
        except OSError as error:
            raise InvalidInput(f"{file!r} cannot be written: {error.strerror}") from None
        _said(shell, found, f"Version {found.version} is in {file}.")


@app.command()
def check(file: FileArgument, is_json: JsonOption = False, as_login: AsOption = None) -> None:
    """Say whether a file is a policy; if not, which line and field are wrong."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.policy.core.reading import read_policy

        document = read_policy(_text(file), currency=shell.settings.company_currency)
        if is_json:
            shell.emit({"ok": True, "data": {"content": document.content()}})
        else:
            typer.echo(f"{file} is a policy.")


@app.command()
def diff(file: FileArgument, as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Show what a file would change if it were put in force; nothing is changed."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.policy import service as policies

        shell.actor()
        text = _text(file)
        with shell.system.database.read() as session:
            found = policies.difference(session, text, company=shell.system.company)
        if is_json:
            shell.emit({"ok": True, "data": {"changes": [vars(one) for one in found]}})
            return
        for line in _changes(found):
            typer.echo(line)


@app.command(name="set")
def put(
    file: FileArgument,
    reason: ReasonOption,
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", help="The version you read.")
    ] = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Put a file in force as the next version; only an admin can."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.policy import service as policies

        actor, system, text = shell.actor(), shell.system, _text(file)
        with system.database.write() as session:
            found = policies.difference(session, text, company=system.company)
            written = policies.change(
                session, text, reason=reason, actor=actor, clock=system.clock,
                company=system.company, expected_version=version,
            )  # fmt: skip
        told = "\n".join([*_changes(found), f"Version {written.version} is in force."])
        _said(shell, written, told)


@app.command()
def history(as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """List the versions, newest first: who put them in force, when and why."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.policy import service as policies

        shell.actor()
        with shell.system.database.read() as session:
            found = policies.history(session)
        if is_json:
            shell.emit({"ok": True, "data": {"versions": [_data(one) for one in found]}})
            return
        for one in found:
            typer.echo(_line(one))
        if not found:
            typer.echo("No version is written yet; what the program ships is in force.")


@dispatch.command()
def status(as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Say whether approved orders leave the house."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        shell.actor()
        found = _shown(shell, None)
        _said(shell, found, _dispatch_line(found))


@dispatch.command()
def stop(reason: ReasonOption, as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Let no order leave from now on; a manager or an admin can."""
    _switch(False, reason, as_login=as_login, is_json=is_json)


@dispatch.command()
def start(reason: ReasonOption, as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Let orders leave again; only an admin can."""
    _switch(True, reason, as_login=as_login, is_json=is_json)


def _switch(enabled: bool, reason: str, *, as_login: str | None, is_json: bool) -> None:
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.policy import service as policies

        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            written = policies.set_dispatch(
                session, enabled, reason=reason, actor=actor, clock=system.clock,
                company=system.company,
            )  # fmt: skip
        _said(shell, written, _dispatch_line(written))


def _shown(shell: Terminal, version: int | None) -> "Version":
    from tools.policy import service as policies

    with shell.system.database.read() as session:
        return policies.shown(session, company=shell.system.company, version=version)


def _said(shell: Terminal, version: "Version", sentence: str) -> None:
    if shell.is_json:
        data = _data(version) | {"dispatch_enabled": version.content["dispatch_enabled"]}
        shell.emit({"ok": True, "data": data})
    else:
        typer.echo(sentence)


def _data(version: "Version") -> dict[str, Any]:
    from api.routes.policy import policy_json

    return policy_json(version)


def _line(version: "Version") -> str:
    if version.at is None:
        return "Version 0: what the program ships; written down with the first request."
    at = f"{version.at:%Y-%m-%d %H:%M} UTC"
    return f"Version {version.version}, {at}, {version.author}: {version.reason}"


def _dispatch_line(version: "Version") -> str:
    if version.content["dispatch_enabled"]:
        return "Dispatch is on: approved orders leave."
    return (
        f"Dispatch is stopped: no order leaves until an admin starts it "
        f"(version {version.version}, {version.author}: {version.reason})."
    )


def _changes(found: "list[FieldChange]") -> list[str]:
    return [f"{one.field}: {one.before} -> {one.after}" for one in found] or ["No difference."]


def _text(file: str) -> str:
    """Read a file, or standard input; never more than a policy could be."""
    try:
        if file == "-":
            return sys.stdin.read(_MOST_BYTES)
        with Path(file).open(encoding="utf-8") as source:
            return source.read(_MOST_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InvalidInput(f"{file!r} cannot be read: {reason}") from None
