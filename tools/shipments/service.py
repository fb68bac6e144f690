"""Follows an order or a tracking number to where the goods are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session, col, select

from db.models.catalog import Item, Supplier
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine, Shipment, ShipmentEvent
from db.types import Actor, OrderState, ShipmentStatus
from tools.audit import service as audit
from tools.cases.service import today_of
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, InvalidInput, NotFound
from tools.offers.core import quoted_note
from tools.purchasing.core.answers import Promise, spread
from tools.purchasing.service.promises import stored_promises
from tools.reach.service import orders_here
from tools.shipments.core import days_late, expected_on, hours_since
from tools.text import plain_line

_ARRIVED = (OrderState.RECEIVED, OrderState.CLOSED)
_SHOWN_EVENTS = 10


def shipment_view(
    session: Session,
    po_id: str | None,
    tracking: str | None,
    *,
    clock: Clock,
    company: Company,
) -> tuple[dict[str, Any], datetime | None]:
    """Return where an order's goods are, and when that was last heard.

    Raises:
        InvalidInput: Neither or both of order and tracking are given.
        NotFound: There is no such order or tracking number.
    """
    if (po_id is None) == (tracking is None):
        raise InvalidInput("give either po_id or tracking", next_step="Name one order.")
    order, shipment = _find(session, po_id, tracking)
    supplier = session.get_one(Supplier, order.supplier_id)
    events = _events(session, shipment)
    lines = _lines(session, order, shipment)
    promise = _promise(order, lines)
    is_delivered = order.state in _ARRIVED
    status = ShipmentStatus.UNKNOWN if shipment is None else shipment.status
    due = expected_on(
        None if shipment is None else shipment.eta_on, promise,
        today=today_of(clock, company), is_delivered=is_delivered,
    )  # fmt: skip
    last_at = max((event.occurred_at for event in events), default=None)
    data = {
        "po_id": order.number,
        "supplier": supplier.name,
        "state": order.state.value,
        "status": status.value,
        "carrier": "" if shipment is None else shipment.carrier,
        "tracking": "" if shipment is None else shipment.tracking,
        "eta": None if due is None else due.isoformat(),
        "eta_source": _source(shipment, promise is not None),
        "promise": None if promise is None else promise.isoformat(),
        "days_late": days_late(due, promise),
        "last_event_age_h": hours_since(last_at, clock.now()),
        "events": [_event_view(event) for event in events[:_SHOWN_EVENTS]],
        "lines": [line for line, _ in lines],
    }
    return data, last_at or (None if shipment is None else shipment.updated_at)


def _promise(
    order: PurchaseOrder, lines: Sequence[tuple[Mapping[str, Any], date | None]]
) -> date | None:
    """Return the day that counts: of an order in parts the next one."""
    first = min((due for _, due in lines if due is not None), default=None)
    is_split = any("promises" in line for line, _ in lines)
    return first if is_split else order.promise_on or first


def _source(shipment: Shipment | None, is_promised: bool) -> str:
    if shipment is not None and shipment.eta_on is not None:
        return shipment.eta_source
    return "promise" if is_promised else ""


def _find(
    session: Session, po_id: str | None, tracking: str | None
) -> tuple[PurchaseOrder, Shipment | None]:
    if tracking is not None:
        shipment = session.exec(
            select(Shipment)
            .join(PurchaseOrder, col(PurchaseOrder.id) == col(Shipment.order_id))
            .where(
                (Shipment.tracking == tracking.strip()) | (Shipment.number == tracking.strip()),
                *orders_here(session),
            )
        ).first()
        if shipment is None:
            raise NotFound(f"no shipment has the tracking number {tracking!r}")
        return session.get_one(PurchaseOrder, shipment.order_id), shipment
    number = _order_number(po_id or "")
    order = session.exec(
        select(PurchaseOrder).where(PurchaseOrder.number == number, *orders_here(session))
    ).first()
    if order is None:
        raise NotFound(
            f"there is no order {po_id!r}", next_step="List the orders to see their numbers."
        )
    latest = select(Shipment).where(Shipment.order_id == order.id)
    return order, session.exec(latest.order_by(col(Shipment.updated_at).desc())).first()


def _order_number(text: str) -> str:
    """Accept 1042, po-1042 and PO 1042."""
    plain = text.strip().upper().replace(" ", "-")
    return f"PO-{plain}" if plain.isdigit() else plain


def _events(session: Session, shipment: Shipment | None) -> list[ShipmentEvent]:
    if shipment is None:
        return []
    statement = select(ShipmentEvent).where(ShipmentEvent.shipment_id == shipment.id)
    newest_first = (col(ShipmentEvent.occurred_at).desc(), col(ShipmentEvent.id).desc())
    return list(session.exec(statement.order_by(*newest_first)))


def _event_view(event: ShipmentEvent) -> dict[str, Any]:
    return {
        "at": event.occurred_at.isoformat(timespec="minutes"),
        "status": event.status.value,
        "description": quoted_note(event.description),
        "place": quoted_note(event.place),
    }


def _lines(
    session: Session, order: PurchaseOrder, shipment: Shipment | None
) -> list[tuple[dict[str, Any], Any]]:
    statement = (
        select(PurchaseOrderLine, Item)
        .join(Item, col(Item.id) == col(PurchaseOrderLine.item_id))
        .where(PurchaseOrderLine.order_id == order.id)
        .order_by(col(PurchaseOrderLine.line_number))
    )
    rows = session.exec(statement).all()
    parts = stored_promises(session, [line.id for line, _ in rows])
    shipped = None if shipment is None or len(rows) != 1 else shipment.shipped_units
    return [
        (
            {
                "sku": item.sku,
                "ordered": line.ordered_units,
                "shipped": shipped,
                "received": line.received_units,
                "balance": _balance(line),
                "uom": item.uom,
                **_parts(line, parts),
            },
            _due(line, parts),
        )
        for line, item in rows
    ]


def _balance(line: PurchaseOrderLine) -> int:
    return max(0, line.ordered_units - line.received_units - line.short_closed_units)


def _split(line: PurchaseOrderLine, parts: Mapping[int, list[Promise]]) -> list[Promise]:
    """The open balance by the days it is promised for; empty when it has one day only."""
    return spread(parts[line.id], _balance(line)) if line.id in parts else []


def _parts(line: PurchaseOrderLine, parts: Mapping[int, list[Promise]]) -> dict[str, Any]:
    named = [
        {"units": one.units, "promise": one.promise_on.isoformat() if one.promise_on else None}
        for one in _split(line, parts)
    ]
    return {"promises": named} if named else {}


def _due(line: PurchaseOrderLine, parts: Mapping[int, list[Promise]]) -> date | None:
    days = [one.promise_on for one in _split(line, parts) if one.promise_on is not None]
    return min(days, default=line.promise_on)


@dataclass(frozen=True)
class Step:
    """One report of a carrier. ``description`` and ``place`` are untrusted."""

    event_id: str
    status: ShipmentStatus
    at: datetime
    description: str = ""
    place: str = ""


def record_shipment(
    session: Session,
    order: PurchaseOrder,
    *,
    number: str,
    steps: Sequence[Step],
    actor: Actor,
    clock: Clock,
    carrier: str = "",
    tracking: str = "",
    eta_on: date | None = None,
    shipped_units: int | None = None,
) -> Shipment:
    """Book what a carrier or supplier reports about goods on their way.

    Reports may come twice and out of order: each counts once, and the one that happened last says
    where the goods are.

    Args:
        session: The transaction.
        order: What the goods were ordered with.
        number: Public number of the shipment.
        steps: Reports, in any order.
        actor: Who reports.
        clock: Time.
        carrier: Name; empty leaves it as it is.
        tracking: Number of the carrier; empty leaves it as it is.
        eta_on: Expected day; None leaves it as it is.
        shipped_units: What is on its way; None leaves it as it is.

    Raises:
        Conflict: The number belongs to another order's shipment.
        InvalidInput: A report has no time zone.
    """
    audit.lock(session)
    number = plain_line(number, longest=64)
    shipment = _shipment(session, order, number, clock)
    before = {"status": shipment.status.value, "eta": shipment.eta_on and str(shipment.eta_on)}
    new = [step for step in steps if _add_step(session, shipment, step)]
    shipment.carrier = plain_line(carrier, longest=64) or shipment.carrier
    shipment.tracking = plain_line(tracking, longest=64) or shipment.tracking
    shipment.shipped_units = shipment.shipped_units if shipped_units is None else shipped_units
    if eta_on is not None:
        shipment.eta_on, shipment.eta_source = eta_on, "carrier"
    session.flush()
    if latest := _events(session, shipment):
        shipment.status = latest[0].status
    shipment.updated_at = clock.now()
    audit.append(
        session, at=clock.now(), actor=actor, action="shipment.reported", object_id=order.number,
        before=before,
        after={
            "shipment": number, "status": shipment.status.value,
            "eta": shipment.eta_on and str(shipment.eta_on), "reports": len(new),
        },
    )  # fmt: skip
    return shipment


def _shipment(session: Session, order: PurchaseOrder, number: str, clock: Clock) -> Shipment:
    found = session.exec(select(Shipment).where(Shipment.number == number)).one_or_none()
    if found is None:
        found = Shipment(number=number, order_id=order.id, updated_at=clock.now())
        session.add(found)
        session.flush()
    if found.order_id != order.id:
        raise Conflict(f"shipment {number!r} belongs to another order than {order.number!r}")
    return found


def _add_step(session: Session, shipment: Shipment, step: Step) -> bool:
    """Add a report unless it came before; returns whether it is new."""
    if step.at.tzinfo is None:
        raise InvalidInput(f"report {step.event_id!r} says a time without its zone")
    known = select(ShipmentEvent.id).where(ShipmentEvent.source_event_id == step.event_id)
    if session.exec(known).first() is not None:
        return False
    session.add(
        ShipmentEvent(
            shipment_id=shipment.id,
            source_event_id=step.event_id,
            status=step.status,
            occurred_at=step.at,
            description=plain_line(step.description, longest=500),
            place=plain_line(step.place, longest=120),
        )
    )
    session.flush()
    return True
