"""`quartermaster users`: the people of a database, what they may do and where."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, terminal
from db.types import Role, ScopeKind
from tools.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmodel import Session

    from db.types import Actor
    from tools.people.service.accounts import Person

app = typer.Typer(
    help="People, their roles, limits and scopes. Administrators change them, nobody their own.",
    no_args_is_help=True,
)

Login = Annotated[str, typer.Argument(help="Whose account, such as mona.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
_LIMIT_HELP = "What they may approve alone, such as 2500; the role's otherwise."


@app.command()
def add(
    login: Annotated[str, typer.Argument(help="Short name to sign in with, such as mona.")],
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.PLANNER,
    name: Annotated[str, typer.Option(help="How they are called.")] = "",
    email: Annotated[str, typer.Option(help="Where they are reached.")] = "",
    limit: Annotated[str, typer.Option(help=_LIMIT_HELP)] = "",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Add a person."""
    with terminal(as_login=as_login, is_json=is_json, may_create=True) as shell:
        from api.cli.identity import administrator
        from tools.people.service import accounts

        own_limit = _minor(limit, shell.settings.company_currency)
        system = shell.system
        by = administrator(system, shell.settings, as_login)
        with system.database.write() as session:
            accounts.add_user(
                session, login, role=role, name=name, email=email, limit_minor=own_limit,
                clock=system.clock, by=by,
            )  # fmt: skip
            person = accounts.get_user(session, login)
        alone = _alone(person.limit_minor, system.company.currency)
        _tell(shell, person, f"Added {person.name} ({person.login}), {person.role.value}; {alone}.")


@app.command(name="list")
def list_people(as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Show everybody."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.cli.identity import known_here
        from tools.people.service import accounts

        known_here(shell.system, shell.settings, as_login)
        currency = shell.system.company.currency
        with shell.system.database.read() as session:
            people = accounts.list_users(session)
        if is_json:
            shell.emit({"ok": True, "data": {"users": [_json(one, currency) for one in people]}})
            return
        for one in people:
            state = "" if one.is_active else "  not active"
            who = f"{one.login:<16} {one.role.value:<10} {one.name:<20}"
            typer.echo(f"{who} {_alone(one.limit_minor, currency)}{state}{_where(one)}")


@app.command()
def show(login: Login, as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Show one person."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.cli.identity import known_here
        from tools.people.service import accounts

        known_here(shell.system, shell.settings, as_login)
        with shell.system.database.read() as session:
            person = accounts.get_user(session, login)
        _tell(shell, person, _card(person, shell.system.company.currency))


@app.command()
def set_role(
    login: Login,
    role: Annotated[Role, typer.Argument(help="What they may do from now on.")],
    reason: ReasonOption = "",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Give a person another role; it counts at once."""
    _change(login, {"role": role}, as_login, is_json, reason, f"{login} is {role.value} now.")


@app.command()
def set_limit(
    login: Login,
    limit: Annotated[str, typer.Argument(help="An amount such as 2500, or 'role' for the role's.")],
    reason: ReasonOption = "",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Say what a person may approve alone."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        minor = None if limit == "role" else _minor(limit, shell.settings.company_currency)
        if limit != "role" and minor is None:
            raise InvalidInput("a limit is an amount such as 2500, or the word 'role'")
    _change(login, {"approval_limit_minor": minor}, as_login, is_json, reason, "")


@app.command()
def set_name(
    login: Login, name: str, as_login: AsOption = None, is_json: JsonOption = False
) -> None:
    """Say how a person is called; printed beside what they sign."""
    _change(login, {"name": name}, as_login, is_json, "", f"{login} is called {name}.")


@app.command()
def set_email(
    login: Login, email: str, as_login: AsOption = None, is_json: JsonOption = False
) -> None:
    """Say where a person is reached."""
    _change(login, {"email": email}, as_login, is_json, "", f"{login} is reached at {email}.")


@app.command()
def deactivate(
    login: Login, reason: ReasonOption = "", as_login: AsOption = None, is_json: JsonOption = False
) -> None:
    """Close an account: its sessions end and its keys are revoked, at once and for good."""
    told = f"The account of {login} is closed; its sessions ended, its keys are revoked."
    _change(login, {"is_active": False}, as_login, is_json, reason, told)


@app.command()
def reactivate(
    login: Login, reason: ReasonOption = "", as_login: AsOption = None, is_json: JsonOption = False
) -> None:
    """Open a closed account again; its old keys stay revoked."""
    _change(
        login, {"is_active": True}, as_login, is_json, reason, f"The account of {login} is open."
    )


@app.command()
def add_scope(
    login: Login,
    kind: Annotated[ScopeKind, typer.Argument(help="By what.")],
    value: Annotated[str, typer.Argument(help="Code of the location or supplier, or category.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Let a person work in a location, supplier or category, and not everywhere any more."""

    def effect(session: "Session", shell: Terminal, by: "Actor | None") -> "Person":
        from tools.people.service import access

        return access.add_scope(session, login, kind, value, clock=shell.system.clock, by=by)

    _administer(as_login, is_json, "", effect, about=login)


@app.command()
def remove_scope(
    login: Login,
    kind: Annotated[ScopeKind, typer.Argument(help="By what.")],
    value: Annotated[str, typer.Argument(help="Code of the location or supplier, or category.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Take a location, supplier or category away; without any of a kind it is everywhere again."""

    def effect(session: "Session", shell: Terminal, by: "Actor | None") -> "Person":
        from tools.people.service import access

        return access.remove_scope(session, login, kind, value, clock=shell.system.clock, by=by)

    _administer(as_login, is_json, "", effect, about=login)


@app.command()
def link(
    login: Login,
    issuer: Annotated[str, typer.Option(help="The `iss` of the provider's tokens.")],
    subject: Annotated[str, typer.Option(help="The person's `sub` there.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the link away.")] = False,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Say who a person is at an identity provider (OIDC)."""

    def effect(session: "Session", shell: Terminal, by: "Actor | None") -> "Person":
        from tools.people.service import access, accounts

        act = access.unlink if remove else access.link
        act(session, login, issuer=issuer, subject=subject, clock=shell.system.clock, by=by)
        return accounts.get_user(session, login)

    _administer(as_login, is_json, "", effect, about=login)


@app.command()
def set_password(
    login: Login,
    from_stdin: Annotated[
        bool, typer.Option("--stdin", help="Read it from the first line of standard input.")
    ] = False,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Give a person a password; one that an administrator gives must be changed at once."""
    if not from_stdin and not sys.stdin.isatty():
        with terminal(as_login=as_login, is_json=is_json):
            raise InvalidInput(
                "there is no terminal to type a password at", next_step="Pipe it with --stdin."
            )
    password = (
        sys.stdin.readline().rstrip("\r\n")
        if from_stdin
        else typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    )

    def effect(session: "Session", shell: Terminal, by: "Actor | None") -> "Person":
        from tools.people.service import access, accounts

        # Whoever holds the database file is trusted to be who they say.
        is_trusted = shell.system.database.is_sqlite and not shell.settings.api_key
        access.set_password(
            session, login, password, clock=shell.system.clock, by=by, is_confirmed=is_trusted
        )
        return accounts.get_user(session, login)

    _administer(as_login, is_json, f"The password of {login} is set; its sessions ended.", effect)


def _change(
    login: str,
    changes: dict[str, Any],
    as_login: str | None,
    is_json: bool,
    reason: str,
    told: str,
) -> None:
    def effect(session: "Session", shell: Terminal, by: "Actor | None") -> "Person":
        from tools.people.service import accounts

        clock = shell.system.clock
        return accounts.change_user(session, login, changes, clock=clock, by=by, reason=reason)

    about = login if changes.keys() - {"name", "email"} else ""
    _administer(as_login, is_json, told, effect, about=about)


def _administer(
    as_login: str | None,
    is_json: bool,
    told: str,
    effect: "Callable[[Session, Terminal, Actor | None], Person]",
    *,
    about: str = "",
) -> None:
    """Change somebody as an administrator, in one transaction, and show who they are now."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.cli.identity import administrator

        by = administrator(shell.system, shell.settings, as_login, about=about)
        with shell.system.database.write() as session:
            person = effect(session, shell, by)
        _tell(shell, person, told or _card(person, shell.system.company.currency))


def _tell(shell: Terminal, person: "Person", text: str) -> None:
    if shell.is_json:
        shell.emit({"ok": True, "data": _json(person, shell.system.company.currency)})
    else:
        typer.echo(text)


def _json(person: "Person", currency: str) -> dict[str, Any]:
    from tools.money import amount_text

    own = person.own_limit_minor
    return {
        "login": person.login,
        "name": person.name,
        "email": person.email,
        "role": person.role.value,
        "active": person.is_active,
        "approves_alone": _alone(person.limit_minor, currency),
        "own_limit": None if own is None else amount_text(own, currency),
        "scopes": {kind.value: values for kind, values in _scopes(person)},
        "has_password": person.has_password,
        "links": [{"issuer": issuer, "subject": subject} for issuer, subject in person.links],
    }


def _card(person: "Person", currency: str) -> str:
    state = "active" if person.is_active else "not active"
    lines = [
        f"{person.name} ({person.login}), {person.role.value}, {state}",
        f"{_alone(person.limit_minor, currency)}"
        + ("" if person.own_limit_minor is None else ", by a limit of their own"),
        f"works {_where(person).strip() or 'everywhere'}",
        "signs in with " + (" and ".join(_ways(person)) or "nothing yet but a key"),
    ]
    return "\n  ".join(lines)


def _ways(person: "Person") -> list[str]:
    ways = ["a password"] if person.has_password else []
    return ways + [f"{subject} at {issuer}" for issuer, subject in person.links]


def _scopes(person: "Person") -> list[tuple[ScopeKind, list[str]]]:
    return [
        (ScopeKind.LOCATION, sorted(person.scope.locations)),
        (ScopeKind.SUPPLIER, sorted(person.scope.suppliers)),
        (ScopeKind.CATEGORY, sorted(person.scope.categories)),
    ]


def _where(person: "Person") -> str:
    parts = [f"{kind.value} {', '.join(values)}" for kind, values in _scopes(person) if values]
    return f"  only in {'; '.join(parts)}" if parts else ""


def _alone(limit_minor: int | None, currency: str) -> str:
    from tools.money import amount_spoken

    if limit_minor is None:
        return "approves without limit"
    if limit_minor == 0:
        return "approves nothing"
    return f"approves up to {amount_spoken(limit_minor, currency)}"


def _minor(limit: str, currency: str) -> int | None:
    """Read an amount of company currency; an empty text is no amount."""
    from tools.money import read_amount

    return read_amount(limit, currency) if limit else None
