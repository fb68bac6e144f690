"""Open orders that were placed elsewhere: added, and updated when they come again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from sqlmodel import Session, col, select

from db.bulk import bulk_insert
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from db.types import OrderState
from tools.catalog.core import text_key
from tools.intake.service.desk import Desk
from tools.intake.service.lookup import parts

Rows = Sequence[Mapping[str, Any]]


def apply_orders(session: Session, desk: Desk, rows: Rows) -> None:
    """Add open orders that were placed before, and update those that were imported before.

    They are on their way, so nothing is sent. An update takes over received quantities that grew,
    promise dates and the state that follows from them. Received goods are not added to the stock:
    the stock file counts them.
    """
    orders: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        orders.setdefault(text_key(row["number"]), []).append(row)
    known = [own for own in orders.values() if "order_id" in own[0]]
    _add(session, desk, [own for own in orders.values() if "order_id" not in own[0]])
    _update(session, desk, {own[0]["order_id"]: own for own in known})


def _add(session: Session, desk: Desk, orders: Sequence[Rows]) -> None:
    bulk_insert(session, PurchaseOrder, [_new_order(desk, rows) for rows in orders])
    ids: dict[str, int] = {}
    for part in parts(rows[0]["number"] for rows in orders):
        some = select(PurchaseOrder.number, PurchaseOrder.id)
        ids |= dict(session.exec(some.where(col(PurchaseOrder.number).in_(part))).all())
    bulk_insert(
        session,
        PurchaseOrderLine,
        [
            {
                "order_id": ids[rows[0]["number"]], "line_number": position,
                "item_id": row["item_id"], "ordered_units": row["quantity"],
                "unit_price_minor": row["unit_price"], "received_units": row["received"],
                "amount_minor": row["quantity"] * row["unit_price"],
                "promise_on": _day(row["promise"]),
            }
            for rows in orders
            for position, row in enumerate(rows, start=1)
        ],
    )  # fmt: skip


def _new_order(desk: Desk, rows: Rows) -> dict[str, Any]:
    first = rows[0]
    promises = [row["promise"] for row in rows if row["promise"]]
    ordered = _day(first["ordered"])
    sent_at = datetime.combine(ordered, time(12), tzinfo=UTC) if ordered else desk.at
    canonical = json.dumps(rows, sort_keys=True, separators=(",", ":"))
    open_units = [row["quantity"] - row["received"] for row in rows]
    return {
        "number": first["number"], "supplier_id": first["supplier_id"],
        "location_id": first["location_id"], "currency": desk.currency,
        "state": _state(OrderState.SENT, open_units, [row["received"] for row in rows], promises),
        "total_minor": sum(row["quantity"] * row["unit_price"] for row in rows),
        "fingerprint": hashlib.sha256(canonical.encode()).hexdigest(), "is_imported": True,
        "promise_on": _day(max(promises)) if promises else None, "created_at": sent_at,
        "sent_at": sent_at, "confirmed_at": sent_at if promises else None,
    }  # fmt: skip


def _state(
    now: OrderState, open_units: Sequence[int], received: Sequence[int], promises: Sequence[Any]
) -> OrderState:
    """State that follows from what arrived and what was promised."""
    if not any(open_units):
        return OrderState.RECEIVED
    if any(received):
        return OrderState.PARTIALLY_RECEIVED
    return OrderState.CONFIRMED if promises else now


def _update(session: Session, desk: Desk, orders: Mapping[int, Rows]) -> None:
    for part in parts(orders):
        lines: dict[int, list[PurchaseOrderLine]] = {key: [] for key in part}
        some = select(PurchaseOrderLine).where(col(PurchaseOrderLine.order_id).in_(part))
        for line in session.exec(some.order_by(col(PurchaseOrderLine.id)).with_for_update()):
            lines[line.order_id].append(line)
        stored = select(PurchaseOrder).where(col(PurchaseOrder.id).in_(part))
        for order in session.exec(stored.order_by(col(PurchaseOrder.id)).with_for_update()):
            _update_order(desk, order, lines[order.id], orders[order.id])
    session.flush()


def _update_order(
    desk: Desk, order: PurchaseOrder, lines: Sequence[PurchaseOrderLine], rows: Rows
) -> None:
    by_item = {row["item_id"]: row for row in rows}
    for line in lines:
        row = by_item.pop(line.item_id, None)
        if row is not None:
            line.received_units = max(line.received_units, row["received"])
            line.promise_on = _day(row["promise"]) or line.promise_on
    is_promised = [row["promise"] for row in rows if row["promise"]]
    promises = [line.promise_on for line in lines if line.promise_on]
    open_units = [
        max(0, line.ordered_units - line.short_closed_units - line.received_units) for line in lines
    ]
    received = [line.received_units for line in lines]
    order.state = _state(order.state, open_units, received, is_promised)
    if promises:
        order.promise_on = max(promises)
    if is_promised and order.confirmed_at is None:
        order.confirmed_at = desk.at


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
