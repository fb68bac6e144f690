"""`quartermaster confirm|receive`: what the supplier answered and what arrived."""

import hashlib
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, terminal
from tools.errors import Conflict, InvalidInput
from tools.outbox.core import Settlement

if TYPE_CHECKING:
    from tools.purchasing.core.views import OrderView
    from tools.purchasing.service.receiving import Arrival

NumberArgument = Annotated[str, typer.Argument(help="Number of the order, such as PO-2001.")]


class Answer(StrEnum):
    """What a supplier can say to an order."""

    CONFIRMED = "confirmed"
    CHANGED = "changed"
    REJECTED = "rejected"


def confirm(
    number: NumberArgument,
    promise: Annotated[str, typer.Option(metavar="DATE", help="Day it is promised for.")] = "",
    answer: Annotated[Answer, typer.Option(help="What the supplier said.")] = Answer.CONFIRMED,
    reason: Annotated[str, typer.Option(help="Why, when changed or rejected.")] = "",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Record the supplier's answer to a sent order."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from db.types import OrderState
        from tools.purchasing.service.receiving import record_answer

        actor, system, day = shell.actor(), shell.system, _day(promise)
        with system.database.write() as session:
            order = record_answer(
                session, number=number, answer=OrderState(answer.value), actor=actor,
                clock=system.clock, promise_on=day, reason=reason,
            )  # fmt: skip
        _tell(shell, order)


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
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Book a delivery: goods become stock, the order's open balance shrinks."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.purchasing.service import reading, receiving

        actor, system, day = shell.actor(), shell.system, _day(on)
        with system.database.write() as session:
            before = reading.get_order(session, number)
            texts = arrived or _everything(before)
            came = _arrivals(texts)
            reference = note or _own_reference(
                before.number, day or system.clock.now().date(), texts
            )
            order = receiving.receive(
                session, number=before.number, arrivals=came, reference=reference, actor=actor,
                clock=system.clock, company=system.company, received_on=day,
            )  # fmt: skip
        _tell(shell, order)


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
        _tell(shell, order)


def _everything(order: "OrderView") -> list[str]:
    texts = [f"{line.sku}={line.open_units}" for line in order.lines if line.open_units > 0]
    if not texts:
        raise Conflict(f"nothing of {order.number!r} is open")
    return texts


def _own_reference(number: str, on: date, texts: list[str]) -> str:
    """Stand-in for a delivery note: the same goods on the same day are the same delivery."""
    goods = hashlib.sha256(" ".join(sorted(texts)).encode()).hexdigest()[:12]
    return f"{number} {on.isoformat()} {goods}"


def _arrivals(texts: list[str]) -> "list[Arrival]":
    from tools.purchasing.service.receiving import Arrival

    came = []
    for text in texts:
        sku, _, units = text.rpartition("=")
        if not sku or not units.isascii() or not units.isdigit():
            raise InvalidInput(
                f"what came is said as SKU=UNITS, got {text!r}", next_step="Such as 22423=120."
            )
        came.append(Arrival(sku, int(units)))
    return came


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(f"a date is written like 2026-03-06, got {text!r}") from None


def _tell(shell: Terminal, order: "OrderView") -> None:
    lines: list[dict[str, Any]] = [
        {"sku": line.sku, "ordered": line.units, "received": line.received_units,
         "open": line.open_units}
        for line in order.lines
    ]  # fmt: skip
    if shell.is_json:
        promise = order.promise_on.isoformat() if order.promise_on else None
        data = {"po_id": order.number, "state": order.state.value, "promise": promise}
        shell.emit({"ok": True, "data": data | {"lines": lines}})
        return
    typer.echo(f"{order.number} is {order.state.value.replace('_', ' ')}.")
    for line in lines:
        typer.echo(f"  {line['sku']}: {line['received']:,} of {line['ordered']:,} received")
