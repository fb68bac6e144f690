"""Reads stock and what is coming: one set of queries, however many items."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any

import pandas as pd
from sqlalchemy import and_, case, func, or_
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import SQLCoreOperations
from sqlmodel import Session, col, select

from db.models.purchasing import (
    LinePromise,
    PurchaseOrder,
    PurchaseOrderLine,
    Receipt,
    Shipment,
)
from db.models.stock import StockLevel
from db.types import OrderState, ReceiptKind, ShipmentStatus
from tools.positions.core import DRAFT_LIFE_DAYS, OpenReceipt, StockPosition, in_parts
from tools.reach.service import orders_here

ON_ORDER_STATES = (
    OrderState.PENDING_APPROVAL, OrderState.APPROVED, OrderState.SENT, OrderState.CONFIRMED,
    OrderState.CHANGED, OrderState.PARTIALLY_RECEIVED,
)  # fmt: skip
CONFIRMED_STATES = (OrderState.CONFIRMED, OrderState.PARTIALLY_RECEIVED)
_ON_THE_ROAD = (
    ShipmentStatus.IN_TRANSIT, ShipmentStatus.OUT_FOR_DELIVERY, ShipmentStatus.ATTEMPT_FAIL,
    ShipmentStatus.AVAILABLE_FOR_PICKUP, ShipmentStatus.EXCEPTION,
)  # fmt: skip

OTHERS_ORDER = "another order"  # in place of the number of one outside a person's work

Pair = tuple[int, int]


def position(session: Session, item_id: int, location_id: int, *, as_of: date) -> StockPosition:
    """Return the position of one item at one location; zeros when nothing is stored."""
    found = positions_by_pair(session, location_id, item_ids=[item_id], as_of=as_of)
    return found.get((item_id, location_id), StockPosition(item_id, location_id))


def positions_by_pair(
    session: Session,
    location_id: int | None = None,
    *,
    item_ids: Iterable[int] | None = None,
    as_of: date,
) -> dict[Pair, StockPosition]:
    """Return positions by (item, location): two queries for any number of items."""
    wanted = None if item_ids is None else list(item_ids)
    levels = {
        (level.item_id, level.location_id): level
        for level in session.exec(_levels(location_id, wanted))
    }
    receipts, drafts = _open_receipts(session, location_id, wanted, as_of)
    pairs = levels.keys() | receipts.keys() | drafts.keys()
    found = {}
    for pair in sorted(pairs):
        base = StockPosition(
            item_id=pair[0],
            location_id=pair[1],
            receipts=tuple(receipts.get(pair, ())),
            drafts=tuple(drafts.get(pair, ())),
        )
        found[pair] = _with_level(base, levels.get(pair))
    return found


def positions(
    session: Session,
    location_id: int | None = None,
    *,
    item_ids: Iterable[int] | None = None,
    as_of: date,
) -> pd.DataFrame:
    """Return one row per item and location with every quantity of the position, as columns."""
    names = (
        "item_id", "location_id", "on_hand_units", "quarantined_units", "expiring_units",
        "allocated_units", "backordered_units", "inbound_transfer_units", "usable_units",
        "available_units", "on_order_units", "in_transit_units", "drafted_units",
        "inventory_position_units", "netted_position_units",
    )  # fmt: skip
    found = positions_by_pair(session, location_id, item_ids=item_ids, as_of=as_of).values()
    rows = [tuple(getattr(one, name) for name in names) for one in found]
    return pd.DataFrame(rows, columns=list(names))


def _levels(location_id: int | None, item_ids: list[int] | None) -> Any:
    return select(StockLevel).where(
        *_scope(col(StockLevel.item_id), col(StockLevel.location_id), location_id, item_ids)
    )


def _scope(
    item: SQLCoreOperations[int],
    location: SQLCoreOperations[int],
    location_id: int | None,
    item_ids: list[int] | None,
) -> list[Any]:
    conditions: list[Any] = []
    if location_id is not None:
        conditions.append(location == location_id)
    if item_ids is not None:
        conditions.append(item.in_(item_ids))
    return conditions


def _with_level(base: StockPosition, level: StockLevel | None) -> StockPosition:
    if level is None:
        return base
    return replace(
        base,
        on_hand_units=level.on_hand_units,
        quarantined_units=level.quarantined_units,
        expiring_units=level.expiring_units,
        allocated_units=level.allocated_units,
        backordered_units=level.backordered_units,
        inbound_transfer_units=level.inbound_transfer_units,
    )


def _open_receipts(
    session: Session, location_id: int | None, item_ids: list[int] | None, as_of: date
) -> tuple[dict[Pair, list[OpenReceipt]], dict[Pair, list[OpenReceipt]]]:
    """Open balances by pair: of submitted orders, and of our own recent drafts."""
    receipts: dict[Pair, list[OpenReceipt]] = {}
    drafts: dict[Pair, list[OpenReceipt]] = {}
    rows = session.execute(_open_lines(_shown_number(session), location_id, item_ids, as_of))
    for _line, same in groupby(rows, key=lambda row: row.line_id):
        parts = list(same)
        row = parts[0]
        receipt = OpenReceipt(
            order_id=row.order_id,
            number=row.number,
            state=row.state.value,
            units=row.units,
            promise_on=row.line_promise or row.order_promise,
            eta_on=row.eta_on,
            is_confirmed=row.state in CONFIRMED_STATES,
            in_transit_units=min(row.units, row.shipped or 0),
            ordered_on=None if row.sent_at is None else row.sent_at.date(),
        )
        target = drafts if row.state == OrderState.DRAFT else receipts
        promised = [(one.part_units, one.part_on) for one in parts if one.part_on is not None]
        target.setdefault((row.item_id, row.location_id), []).extend(in_parts(receipt, promised))
    return receipts, drafts


def _shown_number(session: Session) -> Any:
    """The number of an order, for whom it is to see; what it brings counts for everybody."""
    if conditions := orders_here(session):
        return case((and_(*conditions), col(PurchaseOrder.number)), else_=OTHERS_ORDER)
    return col(PurchaseOrder.number)


def _open_lines(
    shown_number: Any, location_id: int | None, item_ids: list[int] | None, as_of: date
) -> Any:
    """Lines with an open balance, of submitted orders and of drafts that are not forgotten."""
    line, order = PurchaseOrderLine, PurchaseOrder
    ended = col(line.received_units) + col(line.short_closed_units)
    balance = col(line.ordered_units) - ended
    shipments = _shipments().subquery()
    statement: Any = select(  # type: ignore[call-overload]
        col(line.id).label("line_id"),
        line.item_id,
        order.location_id,
        order.id.label("order_id"),  # type: ignore[attr-defined]
        shown_number.label("number"),
        order.state,
        order.sent_at,
        balance.label("units"),
        col(line.promise_on).label("line_promise"),
        col(order.promise_on).label("order_promise"),
        shipments.c.eta_on,
        shipments.c.shipped,
        col(LinePromise.units).label("part_units"),
        col(LinePromise.promise_on).label("part_on"),
    )
    return (
        statement.join(order, col(order.id) == col(line.order_id))
        .outerjoin(shipments, shipments.c.order_id == col(order.id))
        .outerjoin(LinePromise, col(LinePromise.order_line_id) == col(line.id))
        .where(_is_open(as_of), balance > 0)
        .where(*_scope(col(line.item_id), col(order.location_id), location_id, item_ids))
        .order_by(col(order.number), col(line.id), col(LinePromise.promise_on))
    )


def _is_open(as_of: date) -> Any:
    forgotten = datetime.combine(as_of - timedelta(days=DRAFT_LIFE_DAYS), time.min, UTC)
    is_recent = col(PurchaseOrder.created_at) >= forgotten
    return or_(
        col(PurchaseOrder.state).in_(ON_ORDER_STATES),
        (col(PurchaseOrder.state) == OrderState.DRAFT) & is_recent,
    )


def _shipments() -> Any:
    """Per order: the last expected day and the units on the road."""
    on_the_road = case(
        (col(Shipment.status).in_(_ON_THE_ROAD), col(Shipment.shipped_units)), else_=0
    )
    statement: Any = (
        select(
            Shipment.order_id,
            func.max(Shipment.eta_on).label("eta_on"),
            func.sum(on_the_road).label("shipped"),
        )
        .where(col(Shipment.status).not_in((ShipmentStatus.DELIVERED, ShipmentStatus.EXPIRED)))
        .group_by(col(Shipment.order_id))
    )
    return statement


def stands() -> Any:
    """Condition on receipts: ordered goods came, and the booking was not reversed."""
    counter = aliased(Receipt)
    is_reversed = (
        select(counter.id)
        .where(col(counter.reference) == col(Receipt.reference) + ":reversed")
        .exists()
    )
    return and_(col(Receipt.kind) == ReceiptKind.RECEIPT, ~is_reversed)
