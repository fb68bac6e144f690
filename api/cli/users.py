"""`quartermaster users`: the people of a database."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from api.cli.terminal import AsOption, JsonOption, terminal
from db.types import Actor, Role
from tools.errors import InvalidInput

app = typer.Typer(help="People, their roles and limits.", no_args_is_help=True)


@app.command()
def add(
    login: Annotated[str, typer.Argument(help="Short name to sign in with, such as mona.")],
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.PLANNER,
    name: Annotated[str, typer.Option(help="How they are called.")] = "",
    email: Annotated[str, typer.Option(help="Where they are reached.")] = "",
    limit: Annotated[
        str, typer.Option(help="What they may approve alone, such as 2500; the role's otherwise.")
    ] = "",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Add a person; the first one sets the usual limits of the roles."""
    with terminal(as_login=as_login, is_json=is_json, may_create=True) as shell:
        from api.cli.identity import administrator
        from tools.people.service import accounts
        from tools.policy.service import approval_limit

        own_limit = _minor(limit, shell.settings.company_currency)
        system = shell.system
        by = administrator(system, shell.settings, as_login)
        with system.database.write() as session:
            actor = accounts.add_user(
                session, login, role=role, name=name, email=email, limit_minor=own_limit,
                clock=system.clock, by=by,
            )  # fmt: skip
            alone = _alone(approval_limit(session, actor), system.company.currency)
        if is_json:
            data = {"login": actor.login, "role": actor.role.value, "approves_alone": alone}
            shell.emit({"ok": True, "data": data})
        else:
            typer.echo(f"Added {actor.name} ({actor.login}), {actor.role.value}; {alone}.")


@app.command(name="list")
def list_people(as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Show everybody."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.people.service import accounts

        shell.actor()
        currency = shell.system.company.currency
        with shell.system.database.read() as session:
            people = accounts.list_users(session)
        if is_json:
            shell.emit({"ok": True, "data": {"users": [_json(one, currency) for one in people]}})
            return
        for one in people:
            state = "" if one.is_active else "  not active"
            who = f"{one.login:<16} {one.role.value:<10} {one.name:<20}"
            typer.echo(f"{who} {_alone(one.limit_minor, currency)}{state}")


def _alone(limit_minor: int | None, currency: str) -> str:
    from tools.money import amount_spoken

    if limit_minor is None:
        return "approves without limit"
    if limit_minor == 0:
        return "approves nothing"
    return f"approves up to {amount_spoken(limit_minor, currency)}"


def _minor(limit: str, currency: str) -> int | None:
    """Read an amount of company currency; an empty text is no amount."""
    from tools.money import minor_digits

    try:
        amount = Decimal(limit) if limit else None
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount is None:
        return None
    if not amount.is_finite() or not 0 <= amount < 10**12:
        raise InvalidInput(f"a limit is an amount such as 2500.00, got {limit!r}")
    return int(amount.scaleb(minor_digits(currency)))
