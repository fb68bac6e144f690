"""`quartermaster answers`: what suppliers want otherwise than ordered, and what we say to it."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, terminal
from tools.errors import InvalidInput

if TYPE_CHECKING:
    from tools.purchasing.core.answers import AnswerLine
    from tools.purchasing.service.answering import AnswerView

app = typer.Typer(help="Changes that suppliers propose.", no_args_is_help=True)

NumberArgument = Annotated[str, typer.Argument(help="Number of the answer, such as s-7.")]
VersionOption = Annotated[
    int | None, typer.Option(min=1, help="The version you read; default: the current one.")
]


@app.command(name="list")
def list_answers(
    order: Annotated[str | None, typer.Option(help="Of this order only.")] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show what waits for a person."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from db.types import AnswerState
        from tools.purchasing.service import answering, reading

        state = None if is_all else AnswerState.PROPOSED
        with shell.reading(shell.actor()) as session:
            found = answering.list_answers(session, order=order, state=state)
            currencies = [reading.get_order(session, one.order_number).currency for one in found]
        pairs = list(zip(found, currencies, strict=True))
        if is_json:
            shell.emit({"ok": True, "data": {"answers": [answer_json(*pair) for pair in pairs]}})
            return
        for pair in pairs:
            typer.echo("\n".join(_sentences(*pair)))
        if not pairs:
            typer.echo("No answer waits for a decision.")


@app.command()
def accept(
    number: NumberArgument,
    version: VersionOption = None,
    is_kept: Annotated[
        bool,
        typer.Option("--keep-balance", help="What is left out stays open, with the day it had."),
    ] = False,
    reason: Annotated[str, typer.Option(help="A remark.")] = "",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Accept a change: it becomes the order's next revision; nothing is sent again."""
    _decide(number, version, reason, as_login, is_json=is_json, accept=True, keep_balance=is_kept)


@app.command()
def decline(
    number: NumberArgument,
    reason: Annotated[str, typer.Option(help="Why not.")],
    version: VersionOption = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Decline a change: the order stays as it is; tell the supplier."""
    _decide(number, version, reason, as_login, is_json=is_json, accept=False)


def _decide(
    number: str,
    version: int | None,
    reason: str,
    as_login: str | None,
    *,
    is_json: bool,
    accept: bool,
    keep_balance: bool = False,
) -> None:
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.cli.decide import sign_with_password
        from api.cli.supply import tell_order
        from tools.purchasing.service import accepting, answering

        actor, system = shell.actor(), shell.system
        with system.database.read() as session:
            seen = answering.get_answer(session, number)
            must_sign = accept and accepting.asks_for_signature(session, seen)
        is_signed = must_sign and sign_with_password(shell, actor)
        with system.database.write() as session:
            outcome = accepting.decide_answer(
                session, number=seen.number, version=version or seen.version, accept=accept,
                actor=actor, clock=system.clock, company=system.company, reason=reason,
                keep_balance=keep_balance, reauthenticated=is_signed,
            )  # fmt: skip
        tell_order(shell, outcome.order)


def answer_lines(texts: Sequence[str], currency: str) -> "list[AnswerLine]":
    """Read SKU:CODE[:name=value]...

    Raises:
        InvalidInput: A text is written otherwise.
    """
    return [_answer_line(text, currency) for text in texts]


def _answer_line(text: str, currency: str) -> "AnswerLine":
    from tools.purchasing.core.answers import AnswerCode, AnswerLine

    sku, _, rest = text.partition(":")
    code, *pairs = rest.split(":")
    named = dict(pair.partition("=")[::2] for pair in pairs)
    unknown = named.keys() - {"units", "promise", "price", "substitute"}
    codes = ", ".join(code.value for code in AnswerCode)
    if not sku or code.upper() not in {one.value for one in AnswerCode} or unknown:
        raise InvalidInput(
            f"a line of an answer is said as SKU:CODE:units=N:promise=DATE, got {text!r}",
            next_step=f"Codes: {codes}. Such as WIDGET-A:IQ:units=240:promise=2026-03-08.",
        )
    try:
        return AnswerLine(
            sku=sku,
            code=AnswerCode(code.upper()),
            units=int(named["units"]) if "units" in named else None,
            promise_on=date.fromisoformat(named["promise"]) if "promise" in named else None,
            unit_price_minor=_minor(named["price"], currency) if "price" in named else None,
            substitute=named.get("substitute", ""),
        )
    except (ValueError, InvalidOperation):
        raise InvalidInput(f"a number or a date cannot be read in {text!r}") from None


def _minor(text: str, currency: str) -> int:
    from tools.money import minor_digits

    amount = Decimal(text).scaleb(minor_digits(currency))
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise ValueError(text)
    return int(amount)


def tell_answer(shell: Terminal, answer: "AnswerView", currency: str) -> None:
    """Show a proposal that waits."""
    if shell.is_json:
        shell.emit({"ok": True, "data": {"answer": answer_json(answer, currency)}})
        return
    typer.echo("\n".join(_sentences(answer, currency)))
    typer.echo(f"Decide: quartermaster answers accept {answer.number} (or decline).")


def answer_json(answer: "AnswerView", currency: str) -> dict[str, Any]:
    """Return an answer as JSON; money is decimal text."""
    from tools.money import amount_text

    return {
        "answer": answer.number,
        "version": answer.version,
        "state": answer.state.value,
        "po_id": answer.order_number,
        "revision": answer.revision,
        "lines": [
            {
                "sku": line.sku,
                "code": line.code.value,
                "quantity": line.units,
                "promise": line.promise_on and line.promise_on.isoformat(),
                "unit_price": None
                if line.unit_price_minor is None
                else amount_text(line.unit_price_minor, currency),
                "substitute": line.substitute or None,
            }
            for line in answer.lines
        ],
        "note": answer.note,
        "source": answer.source,
        "received_at": answer.received_at.isoformat(timespec="seconds"),
        "decided_by": answer.decided_by or None,
        "reason": answer.reason,
        "result_revision": answer.result_revision,
    }


def _sentences(answer: "AnswerView", currency: str) -> list[str]:
    from tools.money import amount_spoken
    from tools.purchasing.core.answers import SPOKEN

    told = [f"{answer.number} ({answer.state.value}) to {answer.order_number}:"]
    for line in answer.lines:
        price = line.unit_price_minor
        parts = [
            f"{line.units:,} units" if line.units is not None else "",
            f"for {line.promise_on}" if line.promise_on else "",
            f"at {amount_spoken(price, currency)}" if price is not None else "",
            f"{line.substitute} instead" if line.substitute else "",
        ]
        said = ", ".join(part for part in parts if part)
        told.append(f"  {line.sku}: {SPOKEN[line.code]}" + (f", {said}" if said else ""))
    return told
