"""`quartermaster rate`: what a foreign currency is worth."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from api.cli.terminal import AsOption, JsonOption, terminal
from tools.errors import InvalidInput


def rate(
    currency: Annotated[str, typer.Argument(help="Three letters, such as EUR.")],
    worth: Annotated[str, typer.Argument(help="One unit of it in company currency, such as 0.86.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Record an exchange rate; orders in a currency without one cannot be decided."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.cli.identity import administrator
        from tools.offers.service import set_exchange_rate

        system = shell.system
        by = administrator(system, shell.settings, as_login)
        with system.database.write() as session:
            set_exchange_rate(
                session, currency.upper(), _amount(worth), company=system.company,
                clock=system.clock, by=by,
            )  # fmt: skip
        if is_json:
            shell.emit({"ok": True, "data": {"currency": currency.upper(), "worth": worth}})
        else:
            typer.echo(f"1 {currency.upper()} is {worth} {system.company.currency}.")


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvalidInput(f"a rate is a number such as 0.86, got {text!r}") from None
