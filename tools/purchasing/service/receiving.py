"""What the supplier did: answered, delivered. Goods become stock in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from db.models.catalog import Item
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine, Receipt
from db.models.stock import StockLevel, StockMovement
from db.types import Actor, MovementKind, OrderState
from tools.audit import service as audit
from tools.catalog.service import resolve_item
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, InvalidInput
from tools.purchasing.core.quantities import most_receivable
from tools.purchasing.core.states import AWAITED
from tools.purchasing.core.views import OrderView
from tools.purchasing.service.drafting import check_may_draft
from tools.purchasing.service.reading import views
from tools.purchasing.service.rows import OrderLine, lines_of, load, stale, step, today
from tools.text import plain_line, plain_text

_LONGEST_REFERENCE = 60


@dataclass(frozen=True)
class Arrival:
    """What came of one item; rejected units came but do not become stock."""

    sku: str
    units: int
    rejected_units: int = 0


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

    Raises:
        Conflict: The order is not on its way.
        InvalidInput: An item is not on the order, a quantity is not positive, or more came than a
            tenth above what was ordered.
    """
    audit.lock(session)
    check_may_draft(actor)
    order = load(session, number)
    reference = plain_line(reference, longest=_LONGEST_REFERENCE + 1)
    if not 1 <= len(reference) <= _LONGEST_REFERENCE:
        raise InvalidInput(
            f"a delivery note's number has 1 to {_LONGEST_REFERENCE} characters, got {reference!r}"
        )
    lines = _lines_by_item(session, order)
    booked = _matched(session, order, lines, arrivals)
    if _is_booked(session, order, reference):
        return views(session, [order])[0]
    if order.state not in AWAITED:
        raise Conflict(
            f"order {order.number!r} is {order.state.value!r}: nothing is expected from it",
            details={"state": order.state.value},
        )
    day = received_on or today(clock, company)
    for pair, arrival in booked:
        _book(session, order, pair, arrival, reference=reference, on=day, at=clock.now())
    _step_after(session, order, actor=actor, clock=clock, reference=reference, booked=booked)
    return views(session, [order])[0]


def record_answer(
    session: Session,
    *,
    number: str,
    answer: OrderState,
    actor: Actor,
    clock: Clock,
    promise_on: date | None = None,
    reason: str = "",
) -> OrderView:
    """Record the supplier's answer to a sent order: confirmed, changed or rejected.

    Raises:
        InvalidInput: It is none of the three.
        Conflict: The order is not in a state that waits for this answer.
    """
    audit.lock(session)
    check_may_draft(actor)
    if answer not in (OrderState.CONFIRMED, OrderState.CHANGED, OrderState.REJECTED):
        raise InvalidInput(f"a supplier confirms, changes or rejects, got {answer.value!r}")
    order = load(session, number)
    values: dict[str, Any] = {}
    told = {"promise": promise_on.isoformat() if promise_on else None}
    if answer is OrderState.CONFIRMED:
        values["confirmed_at"] = clock.now()
    if promise_on is not None:
        values["promise_on"] = promise_on
    step(
        session, order, answer, actor=actor, action=f"order.{answer.value}", at=clock.now(),
        reason=plain_text(reason, longest=500), told=told, **values,
    )  # fmt: skip
    return views(session, [order])[0]


def _lines_by_item(session: Session, order: PurchaseOrder) -> dict[int, OrderLine]:
    return {item.id: (line, item) for line, item in lines_of(session, order.id)}


def _matched(
    session: Session,
    order: PurchaseOrder,
    lines: dict[int, OrderLine],
    arrivals: Sequence[Arrival],
) -> list[tuple[OrderLine, Arrival]]:
    booked: dict[int, tuple[OrderLine, Arrival]] = {}
    for arrival in arrivals:
        item = resolve_item(session, arrival.sku)
        if item.id not in lines or item.id in booked:
            where = "is not on" if item.id not in lines else "comes twice for"
            raise InvalidInput(f"{item.sku!r} {where} order {order.number!r}")
        if not 0 <= arrival.rejected_units <= arrival.units or arrival.units < 1:
            raise InvalidInput(
                f"{item.sku!r}: {arrival.units!r} received and {arrival.rejected_units!r} rejected "
                "is not a delivery"
            )
        booked[item.id] = (lines[item.id], arrival)
    if not booked:
        raise InvalidInput("a delivery needs at least one item")
    return list(booked.values())


def _is_booked(session: Session, order: PurchaseOrder, reference: str) -> bool:
    prefix = f"{order.number}:{reference}:"
    return (
        session.exec(
            select(Receipt.id).where(col(Receipt.reference).startswith(prefix, autoescape=True))
        ).first()
        is not None
    )


def _line_reference(order: PurchaseOrder, reference: str, line_number: int) -> str:
    return f"{order.number}:{reference}:{line_number}"


def _book(
    session: Session,
    order: PurchaseOrder,
    pair: OrderLine,
    arrival: Arrival,
    *,
    reference: str,
    on: date,
    at: datetime,
) -> None:
    line, item = pair
    total = line.received_units + arrival.units
    most = most_receivable(line.ordered_units)
    if total > most:
        raise InvalidInput(
            f"{item.sku!r}: {total:,} of {line.ordered_units:,} ordered would have come; at most "
            f"{most:,} are accepted",
            next_step="Count again, or ask the supplier to take the rest back.",
            details={"most": most, "received": line.received_units},
        )
    statement = (
        update(PurchaseOrderLine)
        .where(
            col(PurchaseOrderLine.id) == line.id,
            col(PurchaseOrderLine.received_units) == line.received_units,
        )
        .values(received_units=total)
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        raise stale(order)
    name = _line_reference(order, reference, line.line_number)
    session.add(_receipt(order, line, arrival, name=name, on=on, at=at))
    usable = arrival.units - arrival.rejected_units
    if usable:
        _add_stock(session, order, item, usable, name=name, at=at)
    session.refresh(line)


def _receipt(
    order: PurchaseOrder,
    line: PurchaseOrderLine,
    arrival: Arrival,
    *,
    name: str,
    on: date,
    at: datetime,
) -> Receipt:
    return Receipt(
        reference=name,
        supplier_id=order.supplier_id,
        order_line_id=line.id,
        item_id=line.item_id,
        ordered_on=(order.sent_at or order.created_at).date(),
        promised_on=line.promise_on or order.promise_on,
        received_on=on,
        ordered_units=line.ordered_units,
        received_units=arrival.units,
        rejected_units=arrival.rejected_units,
        recorded_at=at,
    )


def _add_stock(
    session: Session, order: PurchaseOrder, item: Item, units: int, *, name: str, at: datetime
) -> None:
    session.add(
        StockMovement(
            item_id=item.id,
            location_id=order.location_id,
            kind=MovementKind.RECEIPT,
            units=units,
            occurred_at=at,
            reference=name,
        )
    )
    statement = (
        update(StockLevel)
        .where(col(StockLevel.item_id) == item.id, col(StockLevel.location_id) == order.location_id)
        .values(on_hand_units=StockLevel.on_hand_units + units, updated_at=at)
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount == 0:  # type: ignore[attr-defined]
        session.add(
            StockLevel(
                item_id=item.id, location_id=order.location_id, on_hand_units=units, updated_at=at
            )
        )
    session.flush()


def _step_after(
    session: Session,
    order: PurchaseOrder,
    *,
    actor: Actor,
    clock: Clock,
    reference: str,
    booked: Sequence[tuple[OrderLine, Arrival]],
) -> None:
    open_units = sum(
        max(0, line.ordered_units - line.received_units - line.short_closed_units)
        for line, _ in lines_of(session, order.id)
    )
    to = OrderState.PARTIALLY_RECEIVED if open_units else OrderState.RECEIVED
    told = {
        "delivery_note": reference[:100],
        "units": {item.sku: arrival.units for (_, item), arrival in booked},
    }
    step(
        session, order, to, actor=actor, action="order.received", at=clock.now(), told=told,
        closed_at=None if open_units else clock.now(),
    )  # fmt: skip
