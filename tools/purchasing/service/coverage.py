"""Stock, open orders and reorder point of an item: is there still a need?"""

from sqlmodel import Session, col, select

from db.models.identity import User
from db.models.planning import Forecast, Policy, Recommendation
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from db.models.stock import StockLevel
from tools.purchasing.core.coverage import Coverage, OtherOrder
from tools.purchasing.core.states import ON_ORDER, UNSENT


def coverage(
    session: Session, item_id: int, location_id: int, *, without_order_id: int | None = None
) -> Coverage:
    """Return how an item stands at a place, leaving one order out."""
    policy = session.exec(
        select(Policy).where(Policy.item_id == item_id, Policy.location_id == location_id)
    ).one_or_none()
    return Coverage(
        stock_units=_stock_units(session, item_id, location_id),
        others=_others(session, item_id, location_id, without_order_id),
        reorder_point_units=_reorder_point(session, item_id, location_id, policy),
        daily_demand=_daily_demand(session, item_id, location_id, policy),
    )


def _stock_units(session: Session, item_id: int, location_id: int) -> int:
    level = session.exec(
        select(StockLevel)
        .where(StockLevel.item_id == item_id, StockLevel.location_id == location_id)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if level is None:
        return 0
    usable = level.on_hand_units - level.quarantined_units - level.expiring_units
    return usable + level.inbound_transfer_units - level.allocated_units - level.backordered_units


def _others(
    session: Session, item_id: int, location_id: int, without_order_id: int | None
) -> tuple[OtherOrder, ...]:
    statement = (
        select(PurchaseOrder, PurchaseOrderLine, User.login)
        .join(PurchaseOrderLine, col(PurchaseOrderLine.order_id) == col(PurchaseOrder.id))
        .join(User, col(User.id) == col(PurchaseOrder.requested_by_id), isouter=True)
        .where(
            PurchaseOrderLine.item_id == item_id,
            PurchaseOrder.location_id == location_id,
            col(PurchaseOrder.state).in_(ON_ORDER | UNSENT),
        )
        .order_by(col(PurchaseOrder.id))
        .execution_options(populate_existing=True)
    )
    others = []
    for order, line, login in session.exec(statement):
        units = line.ordered_units - line.received_units - line.short_closed_units
        if order.id != without_order_id and units > 0:
            at = order.sent_at or order.created_at
            others.append(
                OtherOrder(order.number, units, order.state, login or "", at, order.sent_at)
            )
    return tuple(others)


def _reorder_point(
    session: Session, item_id: int, location_id: int, policy: Policy | None
) -> int | None:
    newest = session.exec(
        select(Recommendation.reorder_point_units)
        .where(Recommendation.item_id == item_id, Recommendation.location_id == location_id)
        .order_by(col(Recommendation.run_id).desc())
        .limit(1)
    ).one_or_none()
    if policy is not None and policy.reorder_point_units is not None:
        return policy.reorder_point_units
    return newest


def _daily_demand(
    session: Session, item_id: int, location_id: int, policy: Policy | None
) -> float | None:
    if policy is not None and policy.demand_mean is not None:
        return policy.demand_mean
    forecast = session.exec(
        select(Forecast)
        .where(Forecast.item_id == item_id, Forecast.location_id == location_id)
        .order_by(col(Forecast.run_id).desc())
        .limit(1)
    ).one_or_none()
    if forecast is None or not forecast.mean:
        return None
    return sum(forecast.mean) / len(forecast.mean)
