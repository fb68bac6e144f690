"""Goods come in: they become stock in the same transaction, as a movement.

Receipts are facts: none is changed or deleted (``reversing`` writes counter-entries). What nobody
ordered is recorded, and never becomes usable stock by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from db.models.catalog import Item
from db.models.purchasing import PurchaseOrder, Receipt
from db.types import Actor, MovementKind, OrderState, ReceiptKind
from tools.audit import service as audit
from tools.catalog.service import resolve_item
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, InvalidInput, NotFound
from tools.purchasing.core.quantities import MOST_UNITS, most_receivable
from tools.purchasing.core.states import AWAITED
from tools.purchasing.core.views import OrderView
from tools.purchasing.service.answering import (
    check_may_record,
    check_scope,
    open_answer,
    void_answers,
)
from tools.purchasing.service.delivery_notes import (
    DeliveryNote,
    is_reversed,
    note_reference,
    rows_of,
    set_received,
)
from tools.purchasing.service.promises import lines_now
from tools.purchasing.service.reading import views
from tools.purchasing.service.rows import OrderLine, lines_of, load, step, today
from tools.stock.service import move
from tools.text import plain_line


class Disposition(StrEnum):
    """What becomes of goods that nobody ordered."""

    QUARANTINE = "quarantine"  # they lie here, apart, until somebody decides
    SEND_BACK = "send_back"  # they went back with the driver


@dataclass(frozen=True)
class Arrival:
    """What came of one item; rejected units came but do not become stock."""

    sku: str
    units: int
    rejected_units: int = 0


@dataclass(frozen=True)
class WrongArrival:
    """Goods that are not on the order; an item we do not know can only go back."""

    sku: str
    units: int
    disposition: Disposition = Disposition.SEND_BACK


def receive(
    session: Session,
    *,
    number: str,
    arrivals: Sequence[Arrival],
    reference: str,
    actor: Actor,
    clock: Clock,
    company: Company,
    received_on: date | None = None,
    wrong: Sequence[WrongArrival] = (),
) -> OrderView:
    """Book a delivery of a sent order; the same ``reference`` again changes nothing.

    Args:
        session: The transaction.
        number: Public number of the order.
        arrivals: What came; an item once.
        reference: The delivery note's number: makes a repeated booking harmless.
        actor: Who books it.
        clock: Time.
        company: The rules of the house.
        received_on: Day of arrival; today if not given.
        wrong: What came with it and is not on the order.

    Raises:
        Conflict: The order is not on its way, or the delivery note was booked with other content
            or reversed.
        InvalidInput: An item is not on the order, a quantity is not positive, or more came than a
            tenth above what was ordered.
    """
    audit.lock(session)
    check_may_record(session, actor)
    order = load(session, number)
    check_scope(session, order, actor)
    note = DeliveryNote(
        order, note_reference(reference), received_on or today(clock, company), clock.now(), actor
    )
    booked = _matched(session, order, arrivals, is_alone=not wrong)
    strays = _strays(session, order, wrong)
    if _is_booked(session, note, booked, strays):
        return views(session, [order])[0]
    if order.state not in AWAITED:
        raise Conflict(
            f"order {order.number!r} is {order.state.value!r}: nothing is expected from it",
            details={"state": order.state.value},
        )
    for pair, arrival in booked:
        _book(session, note, pair, arrival)
    for position, (item, stray) in enumerate(strays, start=1):
        _book_stray(session, note, item, stray, position)
    _tell(session, note, booked, strays)
    return views(session, [order])[0]


def _matched(
    session: Session, order: PurchaseOrder, arrivals: Sequence[Arrival], *, is_alone: bool
) -> list[tuple[OrderLine, Arrival]]:
    lines = {item.id: (line, item) for line, item in lines_of(session, order.id)}
    booked: dict[int, tuple[OrderLine, Arrival]] = {}
    for arrival in arrivals:
        item = resolve_item(session, arrival.sku)
        if item.id not in lines or item.id in booked:
            where = "is not on" if item.id not in lines else "comes twice for"
            raise InvalidInput(
                f"{item.sku!r} {where} order {order.number!r}",
                next_step="Book what nobody ordered as wrong goods: quarantined or sent back.",
            )
        if not 0 <= arrival.rejected_units <= arrival.units or not 1 <= arrival.units <= MOST_UNITS:
            raise InvalidInput(
                f"{item.sku!r}: {arrival.units!r} received and {arrival.rejected_units!r} rejected "
                "is not a delivery"
            )
        booked[item.id] = (lines[item.id], arrival)
    if not booked and is_alone:
        raise InvalidInput("a delivery needs at least one item")
    return list(booked.values())


def _strays(
    session: Session, order: PurchaseOrder, wrong: Sequence[WrongArrival]
) -> list[tuple[Item | None, WrongArrival]]:
    ordered = {item.id for _, item in lines_of(session, order.id)}
    found = []
    for stray in wrong:
        item = _known(session, stray.sku)
        if item is not None and item.id in ordered:
            raise InvalidInput(f"{item.sku!r} is on order {order.number!r}: it is not wrong")
        if not 1 <= stray.units <= MOST_UNITS:
            raise InvalidInput(f"{stray.sku!r}: {stray.units!r} units are not a delivery")
        if item is None and stray.disposition is Disposition.QUARANTINE:
            raise InvalidInput(
                f"{stray.sku!r} is no item of ours and cannot be kept",
                next_step="Send it back, or add the item first.",
            )
        found.append((item, stray))
    return found


def _known(session: Session, sku: str) -> Item | None:
    try:
        return resolve_item(session, sku)
    except (NotFound, InvalidInput):
        return None


def _is_booked(
    session: Session,
    note: DeliveryNote,
    booked: Sequence[tuple[OrderLine, Arrival]],
    strays: Sequence[tuple[Item | None, WrongArrival]],
) -> bool:
    """Whether this note was booked before, with the same content.

    Raises:
        Conflict: With other content, or it was reversed.
    """
    rows = rows_of(session, note)
    if not rows:
        return False
    if is_reversed(session, rows):
        raise Conflict(
            f"delivery note {note.reference!r} of {note.order.number!r} was booked and reversed",
            next_step="Book what came under another reference.",
        )
    stands = {(row.reference, row.received_units, row.rejected_units) for row in rows}
    asked = {
        (note.name(str(line.line_number)), arrival.units, arrival.rejected_units)
        for (line, _), arrival in booked
    } | {
        (note.name(f"x{position}"), stray.units, _sent_back(stray))
        for position, (_, stray) in enumerate(strays, start=1)
    }
    if stands != asked:
        raise Conflict(
            f"delivery note {note.reference!r} of {note.order.number!r} was booked before with "
            "other content",
            next_step="Reverse that booking first, or give this delivery its own reference.",
        )
    return True


def _sent_back(stray: WrongArrival) -> int:
    return stray.units if stray.disposition is Disposition.SEND_BACK else 0


def _book(session: Session, note: DeliveryNote, pair: OrderLine, arrival: Arrival) -> None:
    line, item = pair
    total = line.received_units + arrival.units
    most = most_receivable(line.ordered_units - line.short_closed_units)
    if total > most:
        raise InvalidInput(
            f"{item.sku!r}: {total:,} of {line.ordered_units:,} ordered would have come; at most "
            f"{most:,} are accepted",
            next_step="Count again, or ask the supplier to take the rest back.",
            details={"most": most, "received": line.received_units},
        )
    promised = lines_now(session, note.order)[item.sku].promises
    set_received(session, note.order, line, total)
    name = note.name(str(line.line_number))
    session.add(
        Receipt(
            reference=name,
            supplier_id=note.order.supplier_id,
            order_line_id=line.id,
            item_id=line.item_id,
            ordered_on=(note.order.sent_at or note.order.created_at).date(),
            promised_on=(promised[0].promise_on if promised else None) or note.order.promise_on,
            received_on=note.on,
            ordered_units=line.ordered_units,
            received_units=arrival.units,
            rejected_units=arrival.rejected_units,
            recorded_at=note.at,
            recorded_by=note.actor.login,
        )
    )
    usable = arrival.units - arrival.rejected_units
    if usable:
        move(
            session, item_id=item.id, location_id=note.order.location_id,
            kind=MovementKind.RECEIPT, units=usable, reference=name, at=note.at,
        )  # fmt: skip
    session.flush()


def _book_stray(
    session: Session, note: DeliveryNote, item: Item | None, stray: WrongArrival, position: int
) -> None:
    """Record goods that nobody ordered; what is kept lies in quarantine."""
    name = note.name(f"x{position}")
    session.add(
        Receipt(
            reference=name,
            supplier_id=note.order.supplier_id,
            item_id=None if item is None else item.id,
            ordered_on=(note.order.sent_at or note.order.created_at).date(),
            received_on=note.on,
            ordered_units=0,
            received_units=stray.units,
            rejected_units=_sent_back(stray),
            recorded_at=note.at,
            kind=ReceiptKind.WRONG_ITEM,
            reason=f"not on the order: {plain_line(stray.sku, longest=120)}",
            recorded_by=note.actor.login,
        )
    )
    if item is not None and stray.disposition is Disposition.QUARANTINE:
        move(
            session, item_id=item.id, location_id=note.order.location_id,
            kind=MovementKind.RECEIPT, units=stray.units, quarantined_units=stray.units,
            reference=name, at=note.at,
        )  # fmt: skip
    session.flush()


def _tell(
    session: Session,
    note: DeliveryNote,
    booked: Sequence[tuple[OrderLine, Arrival]],
    strays: Sequence[tuple[Item | None, WrongArrival]],
) -> None:
    """Move the order on and tell the trail; a delivery of nothing but wrong goods moves nothing."""
    order = note.order
    told: dict[str, Any] = {
        "delivery_note": note.reference,
        "units": {item.sku: arrival.units for (_, item), arrival in booked},
    }
    if rejected := {i.sku: a.rejected_units for (_, i), a in booked if a.rejected_units}:
        told["rejected"] = rejected
    if strays:
        told["wrong"] = [
            [plain_line(stray.sku, longest=120), stray.units, stray.disposition.value]
            for _, stray in strays
        ]
    if not booked:
        audit.append(
            session, at=note.at, actor=note.actor, action="order.wrong_goods",
            object_id=order.number, after={"revision": order.revision, **told},
        )  # fmt: skip
        return
    is_open = any(line.open_units for line in lines_now(session, order).values())
    is_disputed = order.state is OrderState.CHANGED and open_answer(session, order) is not None
    to = OrderState.CHANGED if is_disputed else OrderState.PARTIALLY_RECEIVED
    if not is_open:
        to = OrderState.RECEIVED
        if voided := void_answers(session, order):
            told["voided"] = voided
    step(
        session, order, to, actor=note.actor, action="order.received", at=note.at, told=told,
        closed_at=None if is_open else note.at,
    )  # fmt: skip
