"""Stock, open orders and reorder point of an item: is there still a need?"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location
from db.models.identity import User
from db.models.planning import Forecast, Policy
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from db.once import once
from tools.clock import Clock
from tools.company import Company
from tools.errors import NotEnoughData
from tools.positions.core import StockPosition
from tools.positions.service import position
from tools.purchasing.core.coverage import Coverage, OtherOrder
from tools.purchasing.service.rows import today
from tools.replenishment.service import advise

_SENT_SINCE = (
    select(PurchaseOrderLine.item_id)
    .join(PurchaseOrder, col(PurchaseOrderLine.order_id) == col(PurchaseOrder.id))
    .where(
        col(PurchaseOrderLine.item_id).in_(bindparam("item_ids", expanding=True)),
        col(PurchaseOrder.location_id) == bindparam("location_id"),
        col(PurchaseOrder.sent_at) > bindparam("since"),
    )
    .distinct()
)


def coverage(
    session: Session,
    item_id: int,
    location_id: int,
    *,
    clock: Clock,
    company: Company,
    without_order_id: int | None = None,
) -> Coverage:
    """Return how an item stands at a place, leaving one order out."""
    stands = position(session, item_id, location_id, as_of=today(clock, company))
    return Coverage(
        stock_units=stands.inventory_position_units - stands.on_order_units,
        others=_others(session, stands, without_order_id),
        reorder_point_units=_reorder_point(
            session, item_id, location_id, clock=clock, company=company
        ),
        daily_demand=daily_demand(session, item_id, location_id),
    )


def items_sent_since(
    session: Session, item_ids: Collection[int], location_id: int, since: datetime
) -> set[int]:
    """Return those of the items of which any order for a place was sent after a time."""
    asked = {"item_ids": list(item_ids), "location_id": location_id, "since": since}
    return set(session.exec(_SENT_SINCE, params=asked).all())


def _others(
    session: Session, stands: StockPosition, without_order_id: int | None
) -> tuple[OtherOrder, ...]:
    units: dict[int, int] = {}
    for receipt in (*stands.receipts, *stands.drafts):
        if receipt.order_id != without_order_id and receipt.units > 0:
            units[receipt.order_id] = units.get(receipt.order_id, 0) + receipt.units
    statement = (
        select(PurchaseOrder, User.login)
        .join(User, col(User.id) == col(PurchaseOrder.requested_by_id), isouter=True)
        .where(col(PurchaseOrder.id).in_(units))
        .order_by(col(PurchaseOrder.id))
        .execution_options(populate_existing=True)
    )
    return tuple(
        OtherOrder(
            number=order.number,
            units=units[order.id],
            state=order.state,
            by=login or "",
            at=order.sent_at or order.created_at,
            sent_at=order.sent_at,
        )
        for order, login in session.exec(statement)
    )


def _reorder_point(
    session: Session,
    item_id: int,
    location_id: int,
    *,
    clock: Clock,
    company: Company,
) -> int | None:
    """Return the planned reorder point, or a fresh one; None without a forecast to base it on."""
    policy = _policy(session, item_id, location_id)
    if policy is not None and policy.reorder_point_units is not None:
        return policy.reorder_point_units
    if _forecast(session, item_id, location_id) is None:
        return None
    item, place = session.get_one(Item, item_id), session.get_one(Location, location_id)
    try:
        advice = advise(session, item, place, clock=clock, company=company)
    except NotEnoughData:
        return None
    return advice.reorder_point_units


def daily_demand(session: Session, item_id: int, location_id: int) -> float | None:
    """Return the mean demand of a day, as planned or as forecast; None when neither is known."""
    policy = _policy(session, item_id, location_id)
    if policy is not None and policy.demand_mean is not None:
        return policy.demand_mean
    forecast = _forecast(session, item_id, location_id)
    if forecast is None or not forecast.mean:
        return None
    return sum(forecast.mean) / len(forecast.mean)


def _policy(session: Session, item_id: int, location_id: int) -> Policy | None:
    statement = select(Policy).where(Policy.item_id == item_id, Policy.location_id == location_id)
    key = ("policy", item_id, location_id)
    return once(session, key, lambda: session.exec(statement).one_or_none(), of=(Policy,))


def _forecast(session: Session, item_id: int, location_id: int) -> Forecast | None:
    statement = (
        select(Forecast)
        .where(Forecast.item_id == item_id, Forecast.location_id == location_id)
        .order_by(col(Forecast.run_id).desc())
        .limit(1)
    )
    key = ("forecast", item_id, location_id)
    return once(session, key, lambda: session.exec(statement).one_or_none(), of=(Forecast,))
