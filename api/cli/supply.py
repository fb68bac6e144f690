"""`quartermaster confirm|receive|short-close|close|settle`: what the supplier did."""

import hashlib
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, terminal
from tools.errors import Conflict, InvalidInput
from tools.outbox.core import Settlement

if TYPE_CHECKING:
    from tools.purchasing.core.views import OrderView
    from tools.purchasing.service.receiving import Arrival, WrongArrival

RejectedOption = Annotated[
    list[str] | None,
    typer.Option(metavar="SKU=UNITS", help="How much of it was bad and is no stock."),
]
WrongOption = Annotated[
    list[str] | None,
    typer.Option(metavar="SKU=UNITS", help="What came and was not ordered: sent back."),
]
NumberArgument = Annotated[str, typer.Argument(help="Number of the order, such as PO-2001.")]


class Answer(StrEnum):
    """What a supplier can say to a whole order."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"


def confirm(
    number: NumberArgument,
    promise: Annotated[str, typer.Option(metavar="DATE", help="Day it is promised for.")] = "",
    answer: Annotated[
        Answer, typer.Option(help="What the supplier said to all of it.")
    ] = Answer.CONFIRMED,
    line: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SKU:CODE[:units=N][:promise=DATE][:price=P][:substitute=SKU]",
            help="What was said of (part of) a line; codes IA accepted, IQ quantity, IP price, DR "
            "date, IB later, IS substitute, IR rejected. Repeat for more.",
        ),
    ] = None,
    reference: Annotated[
        str, typer.Option(help="Which message it was: recording it twice changes nothing.")
    ] = "",
    reason: Annotated[str, typer.Option(help="The supplier's words.")] = "",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Record the supplier's answer to a sent order; changes wait until a person accepts them."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api.cli.answers import answer_lines, tell_answer
        from tools.purchasing.core.answers import AnswerCode, AnswerLine
        from tools.purchasing.service import answering, reading

        actor, system, day = shell.actor(), shell.system, _day(promise)
        with system.database.write() as session:
            order = reading.get_order(session, number)
            said = answer_lines(line or (), order.currency)
            if answer is Answer.REJECTED:
                said = [AnswerLine(one.sku, AnswerCode.REJECTED) for one in order.lines]
            came = answering.record_answer(
                session, number=order.number, lines=said, actor=actor, clock=system.clock,
                source=f"terminal {reference}" if reference else "", note=reason, promise_on=day,
            )  # fmt: skip
        if came.answer is not None:
            tell_answer(shell, came.answer, came.order.currency)
        else:
            tell_order(shell, came.order)


def receive(
    number: NumberArgument,
    arrived: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SKU=UNITS]...", help="What came; everything open if not given."),
    ] = None,
    note: Annotated[
        str, typer.Option(help="Number of the delivery note: booking it twice changes nothing.")
    ] = "",
    on: Annotated[str, typer.Option(metavar="DATE", help="Day of arrival; default: today.")] = "",
    rejected: RejectedOption = None,
    wrong: WrongOption = None,
    is_kept: Annotated[
        bool, typer.Option("--quarantine", help="Keep the wrong goods apart instead.")
    ] = False,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Book a delivery: goods become stock, the order's open balance shrinks."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.purchasing.service import reading, receiving

        actor, system, day = shell.actor(), shell.system, _day(on)
        strays = _strays(wrong or (), is_kept=is_kept)
        with system.database.write() as session:
            before = reading.get_order(session, number)
            texts = arrived or ([] if strays else _everything(before))
            reference = note or _own_reference(
                before.number, day or system.clock.now().date(), [*texts, *(wrong or ())]
            )
            order = receiving.receive(
                session, number=before.number, arrivals=_arrivals(texts, rejected or ()),
                reference=reference, actor=actor, clock=system.clock, company=system.company,
                received_on=day, wrong=strays,
            )  # fmt: skip
        tell_order(shell, order)


def _strays(texts: Sequence[str], *, is_kept: bool) -> "list[WrongArrival]":
    from tools.purchasing.service import receiving

    kept = receiving.Disposition.QUARANTINE if is_kept else receiving.Disposition.SEND_BACK
    return [receiving.WrongArrival(sku, units, kept) for sku, units in counted(texts)]


def short_close(
    number: NumberArgument,
    reason: Annotated[str, typer.Option(help="Why it will not come.")],
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SKU[=UNITS]]...", help="Of which lines; all open if not given."),
    ] = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Stop waiting for what is open of an order, or of some of its lines."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.purchasing.service import closing

        actor, system = shell.actor(), shell.system
        named: dict[str, int | None] = {}
        for text in what or ():
            named |= dict(counted([text])) if "=" in text else {text: None}
        with system.database.write() as session:
            order = closing.short_close(
                session, number=number, actor=actor, clock=system.clock, reason=reason,
                units_by_sku=named or None,
            )  # fmt: skip
        tell_order(shell, order)


def close(
    number: NumberArgument,
    reason: Annotated[str, typer.Option(help="A remark.")] = "",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Close an order that was received, rejected or short-closed."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.purchasing.service import closing

        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            order = closing.close_order(
                session, number=number, actor=actor, clock=system.clock, reason=reason
            )
        tell_order(shell, order)


def settle(
    number: NumberArgument,
    answer: Annotated[
        Settlement,
        typer.Option(help="The supplier has it, send it once more, or take the order back."),
    ],
    reason: Annotated[str, typer.Option(help="How you know.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Say what became of an order whose delivery failed or is in doubt."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from api import worker
        from tools.outbox.service import stuck_key
        from tools.purchasing.service import reading

        actor, system = shell.actor(), shell.system
        with system.database.read() as session:
            key = stuck_key(session, reading.get_order(session, number).number)
        worker.settle(
            system.database, key, answer=answer, actor=actor, reason=reason,
            clock=system.clock,
        )  # fmt: skip
        with system.database.read() as session:
            order = reading.get_order(session, number)
        tell_order(shell, order)


def _everything(order: "OrderView") -> list[str]:
    texts = [f"{line.sku}={line.open_units}" for line in order.lines if line.open_units > 0]
    if not texts:
        raise Conflict(f"nothing of {order.number!r} is open")
    return texts


def _own_reference(number: str, on: date, texts: list[str]) -> str:
    """Stand-in for a delivery note: the same goods on the same day are the same delivery."""
    goods = hashlib.sha256(" ".join(sorted(texts)).encode()).hexdigest()[:12]
    return f"{number} {on.isoformat()} {goods}"


def _arrivals(texts: Sequence[str], rejected: Sequence[str]) -> "list[Arrival]":
    from tools.purchasing.service.receiving import Arrival

    bad = dict(counted(rejected))
    came = [Arrival(sku, units, bad.pop(sku, 0)) for sku, units in counted(texts)]
    if bad:
        raise InvalidInput(f"{next(iter(bad))!r} was rejected but did not come")
    return came


def counted(texts: Sequence[str]) -> list[tuple[str, int]]:
    """Read SKU=UNITS.

    Raises:
        InvalidInput: A text is written otherwise.
    """
    found = []
    for text in texts:
        sku, _, units = text.rpartition("=")
        if not sku or not units.isascii() or not units.isdigit():
            raise InvalidInput(
                f"what came is said as SKU=UNITS, got {text!r}", next_step="Such as 22423=120."
            )
        found.append((sku, int(units)))
    return found


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(f"a date is written like 2026-03-06, got {text!r}") from None


def tell_order(shell: Terminal, order: "OrderView") -> None:
    """Show where an order stands after something was booked."""
    lines: list[dict[str, Any]] = [
        {
            "sku": line.sku, "ordered": line.units, "received": line.received_units,
            "open": line.open_units, "short_closed": line.short_closed_units,
            "promises": [
                {"units": part.units, "promise": part.promise_on and part.promise_on.isoformat()}
                for part in line.promises
            ],
        }
        for line in order.lines
    ]  # fmt: skip
    if shell.is_json:
        promise = order.promise_on.isoformat() if order.promise_on else None
        data = {"po_id": order.number, "state": order.state.value, "promise": promise}
        shell.emit({"ok": True, "data": data | {"revision": order.revision, "lines": lines}})
        return
    promised = f", promised for {order.promise_on.isoformat()}" if order.promise_on else ""
    typer.echo(f"{order.number} is {order.state.value.replace('_', ' ')}{promised}.")
    for line in lines:
        typer.echo(
            f"  {line['sku']}: {line['received']:,} of {line['ordered']:,} received{_rest(line)}"
        )


def _rest(line: dict[str, Any]) -> str:
    parts = [f"{part['units']:,} on {part['promise'] or 'no day'}" for part in line["promises"]]
    if line["short_closed"]:
        parts.append(f"{line['short_closed']:,} not awaited any more")
    return f" ({'; '.join(parts)})" if parts else ""
