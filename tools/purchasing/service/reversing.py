"""Counter-entries: a booking that was wrong is undone, goods go back to their supplier.

Nothing is changed or deleted: the counter-entry stands beside what it corrects.
"""

from collections.abc import Mapping, Sequence

from sqlmodel import Session, col, func, select

from db.models.catalog import Item
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine, Receipt
from db.models.stock import StockMovement
from db.types import Actor, MovementKind, OrderState, ReceiptKind
from tools.audit import service as audit
from tools.catalog.service import resolve_item
from tools.clock import Clock
from tools.errors import Conflict, InvalidInput, NotFound
from tools.purchasing.core.views import OrderView
from tools.purchasing.service.answering import check_may_record, check_scope, refuse_open_answer
from tools.purchasing.service.delivery_notes import (
    REVERSED,
    DeliveryNote,
    is_reversed,
    note_reference,
    rows_of,
    set_received,
)
from tools.purchasing.service.promises import lines_now
from tools.purchasing.service.reading import views
from tools.purchasing.service.rows import lines_of, load, step
from tools.stock.service import move, on_hand
from tools.text import plain_text

_CAME = frozenset({OrderState.CHANGED, OrderState.PARTIALLY_RECEIVED, OrderState.RECEIVED})
_RETURNABLE = _CAME | {OrderState.CLOSED, OrderState.SHORT_CLOSED}


def reverse_receipt(
    session: Session, *, number: str, reference: str, reason: str, actor: Actor, clock: Clock
) -> OrderView:
    """Undo the booking of a delivery note by counter-entries; a second time changes nothing.

    Goods leave the stock again, also when that makes it negative, and are awaited as before. What
    came after all is booked under another reference.

    Args:
        session: The transaction.
        number: Public number of the order.
        reference: The delivery note.
        reason: What was wrong.
        actor: Who reverses.
        clock: Time.

    Raises:
        NotFound: The order has no such delivery note.
        Conflict: The order is closed, a supplier's proposal is open, or goods of the note went
            back already.
        InvalidInput: No reason is given.
    """
    audit.lock(session)
    note = _note(session, number, reference, reason, actor=actor, clock=clock)
    reason = plain_text(reason, longest=500)
    rows = rows_of(session, note)
    if not rows:
        raise NotFound(f"order {note.order.number!r} has no delivery note {note.reference!r}")
    if is_reversed(session, rows):
        return views(session, [note.order])[0]
    refuse_open_answer(session, note.order)
    if any(row.kind is ReceiptKind.RECEIPT for row in rows) and note.order.state not in _CAME:
        raise Conflict(
            f"order {note.order.number!r} is {note.order.state.value!r}: its receipts stand",
            next_step="Return the goods, or correct the stock.",
        )
    for row in rows:
        _reverse(session, note, row, reason)
    told = {"delivery_note": note.reference, "receipts": [row.reference for row in rows]}
    _step_back(session, note, action="order.receipt_reversed", reason=reason, told=told)
    return views(session, [note.order])[0]


def return_goods(
    session: Session,
    *,
    number: str,
    sku: str,
    units: int,
    reference: str,
    reason: str,
    actor: Actor,
    clock: Clock,
    is_replaced: bool = False,
) -> OrderView:
    """Book goods that go back to the supplier; the same ``reference`` again changes nothing.

    The order's balance stays closed unless the supplier sends others instead. Goods that nobody
    ordered go back from quarantine.

    Args:
        session: The transaction.
        number: Public number of the order they came with.
        sku: SKU or name.
        units: How many, 1 or more.
        reference: Number of the return note.
        reason: Why.
        actor: Who returns.
        clock: Time.
        is_replaced: The supplier sends others instead: they are awaited again.

    Raises:
        Conflict: More would go back than came or lies here, or the note was booked otherwise.
        InvalidInput: The item never came with this order, or no reason is given.
    """
    audit.lock(session)
    note = _note(session, number, reference, reason, actor=actor, clock=clock)
    reason, item = plain_text(reason, longest=500), resolve_item(session, sku)
    name = note.name(f"return:{item.sku}"[:50])
    line = next(
        (line for line, other in lines_of(session, note.order.id) if other.id == item.id), None
    )
    booked = session.exec(select(Receipt).where(Receipt.reference == name)).first()
    if booked is not None:
        if booked.received_units != units:
            raise Conflict(f"return note {note.reference!r} was booked with other content")
        return views(session, [note.order])[0]
    if note.order.state not in _RETURNABLE and line is not None:
        raise Conflict(f"nothing of order {note.order.number!r} has come that could go back")
    _check_return(session, note, item, line, units)
    _send_back(session, note, item, line, units=units, name=name, reason=reason)
    told = {"return_note": note.reference, "units": {item.sku: units}}
    if line is not None and is_replaced:
        refuse_open_answer(session, note.order)
        set_received(session, note.order, line, line.received_units - units)
        _step_back(session, note, action="order.goods_returned", reason=reason, told=told)
    else:
        audit.append(
            session, at=note.at, actor=actor, action="order.goods_returned",
            object_id=note.order.number, after={"revision": note.order.revision, **told},
            reason=reason,
        )  # fmt: skip
    return views(session, [note.order])[0]


def _note(
    session: Session, number: str, reference: str, reason: str, *, actor: Actor, clock: Clock
) -> DeliveryNote:
    check_may_record(session, actor)
    order = load(session, number)
    check_scope(session, order, actor)
    if not plain_text(reason, longest=500):
        raise InvalidInput("a counter-entry needs a reason", next_step="Say why.")
    return DeliveryNote(order, note_reference(reference), clock.now().date(), clock.now(), actor)


def _reverse(session: Session, note: DeliveryNote, row: Receipt, reason: str) -> None:
    session.add(_counter(note, row, ReceiptKind.REVERSAL, row.reference + REVERSED, reason))
    if row.order_line_id is not None:
        line = session.get_one(PurchaseOrderLine, row.order_line_id, populate_existing=True)
        if line.received_units < row.received_units:
            raise Conflict(f"goods of delivery note {note.reference!r} went back already")
        set_received(session, note.order, line, line.received_units - row.received_units)
    moved = session.exec(select(StockMovement).where(StockMovement.reference == row.reference))
    for movement in moved.all():
        is_stray = row.kind is ReceiptKind.WRONG_ITEM
        move(
            session, item_id=movement.item_id, location_id=movement.location_id,
            kind=MovementKind.RECEIPT, units=-movement.units,
            quarantined_units=-movement.units if is_stray else 0,
            reference=row.reference + REVERSED, at=note.at,
        )  # fmt: skip
    session.flush()


def _counter(
    note: DeliveryNote, row: Receipt, kind: ReceiptKind, name: str, reason: str
) -> Receipt:
    kept = {
        field: getattr(row, field)
        for field in (
            "supplier_id", "order_line_id", "item_id", "ordered_on", "promised_on",
            "ordered_units", "received_units", "rejected_units",
        )
    }  # fmt: skip
    return Receipt(
        **kept, kind=kind, reference=name, reason=reason, received_on=note.on,
        recorded_at=note.at, recorded_by=note.actor.login,
    )  # fmt: skip


def _check_return(
    session: Session,
    note: DeliveryNote,
    item: Item,
    line: PurchaseOrderLine | None,
    units: int,
) -> None:
    came = _came_units(session, note.order, item, line)
    if came == 0:
        raise InvalidInput(f"{item.sku!r} did not come with order {note.order.number!r}")
    if not 1 <= units <= came:
        raise Conflict(f"{came:,} of {item.sku!r} can go back, not {units:,}")
    here = on_hand(session, item.id, note.order.location_id)
    if here < units:
        raise Conflict(f"{here:,} of {item.sku!r} lie here, {units:,} cannot go back")


def _came_units(
    session: Session, order: PurchaseOrder, item: Item, line: PurchaseOrderLine | None
) -> int:
    """Usable units of an item that came with an order and did not go back yet."""
    statement = (
        select(col(Receipt.kind), func.sum(Receipt.received_units - Receipt.rejected_units))
        .where(
            col(Receipt.reference).startswith(f"{order.number}:", autoescape=True),
            Receipt.item_id == item.id,
            Receipt.order_line_id == (None if line is None else line.id),
        )
        .group_by(col(Receipt.kind))
    )
    by_kind = dict(session.exec(statement).all())
    came = by_kind.get(ReceiptKind.RECEIPT, 0) + by_kind.get(ReceiptKind.WRONG_ITEM, 0)
    gone = by_kind.get(ReceiptKind.RETURN, 0) + by_kind.get(ReceiptKind.REVERSAL, 0)
    return int(came - gone)


def _send_back(
    session: Session,
    note: DeliveryNote,
    item: Item,
    line: PurchaseOrderLine | None,
    *,
    units: int,
    name: str,
    reason: str,
) -> None:
    session.add(
        Receipt(
            reference=name,
            supplier_id=note.order.supplier_id,
            order_line_id=None if line is None else line.id,
            item_id=item.id,
            ordered_on=(note.order.sent_at or note.order.created_at).date(),
            received_on=note.on,
            ordered_units=0 if line is None else line.ordered_units,
            received_units=units,
            recorded_at=note.at,
            kind=ReceiptKind.RETURN,
            reason=reason,
            recorded_by=note.actor.login,
        )
    )
    move(
        session, item_id=item.id, location_id=note.order.location_id, kind=MovementKind.RETURN,
        units=-units, quarantined_units=-units if line is None else 0, reference=name, at=note.at,
    )  # fmt: skip


def _step_back(
    session: Session,
    note: DeliveryNote,
    *,
    action: str,
    reason: str,
    told: Mapping[str, object],
) -> None:
    """Say where an order stands after less has come than was booked."""
    order = note.order
    lines = lines_now(session, order).values()
    to = OrderState.PARTIALLY_RECEIVED
    if not any(line.open_units for line in lines):
        to = OrderState.RECEIVED
    elif not any(line.received_units for line in lines):
        to = OrderState.SENT if order.confirmed_at is None else OrderState.CONFIRMED
    if to is order.state:
        audit.append(
            session, at=note.at, actor=note.actor, action=action, object_id=order.number,
            after={"revision": order.revision, "state": to.value, **told}, reason=reason,
        )  # fmt: skip
        return
    step(
        session, order, to, actor=note.actor, action=action, at=note.at, reason=reason,
        told=dict(told), closed_at=note.at if to is OrderState.RECEIVED else None,
    )  # fmt: skip


def receipts_of(session: Session, number: str) -> Sequence[Receipt]:
    """Return everything that came and went of an order, in the order of booking.

    Raises:
        NotFound: There is no such order.
    """
    prefix = f"{load(session, number).number}:"
    return session.exec(
        select(Receipt)
        .where(col(Receipt.reference).startswith(prefix, autoescape=True))
        .order_by(col(Receipt.id))
    ).all()
