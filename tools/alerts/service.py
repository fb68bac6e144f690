"""Collects exceptions from the current recommendations and the open orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location, Supplier
from db.models.purchasing import Outbox, PurchaseOrder, PurchaseOrderLine, Shipment
from db.types import OrderState, OutboxState, ShipmentStatus
from tools.alerts.core import (
    StockException,
    drift_exception,
    item_exceptions,
    order_exception,
    stuck_exception,
    worklist,
)
from tools.cases.service import today_of
from tools.clock import Clock
from tools.company import Company
from tools.forecasting.core.drift import proposal, sentence
from tools.forecasting.service.tracking import drifting
from tools.money import in_company_minor
from tools.offers.core import unrated_notes
from tools.offers.service import exchange_rates
from tools.positions.service import Pair
from tools.reach.service import orders_here
from tools.replenishment.service import CurrentAdvice, current_recommendations

_SENT = (
    OrderState.SENT,
    OrderState.CONFIRMED,
    OrderState.CHANGED,
    OrderState.PARTIALLY_RECEIVED,
)


@dataclass(frozen=True)
class Worklist:
    """Exceptions, most urgent first, and how fresh they are."""

    exceptions: list[StockException]
    as_of: datetime
    warnings: list[str]


def exceptions(
    session: Session,
    *,
    clock: Clock,
    company: Company,
    types: Sequence[str] | None = None,
    supplier: Supplier | None = None,
    horizon_days: int = 30,
) -> Worklist:
    """Return what needs attention now, most urgent first."""
    advice = current_recommendations(session, clock=clock, company=company)
    items = {item.id: item for item in session.exec(select(Item))}
    rates = exchange_rates(session, company)
    found, unrated = _of_items(advice, items, rates, supplier, horizon_days)
    runs_out = {
        (c.recommendation.item_id, c.recommendation.location_id): (
            c.recommendation.projected_stockout_on
        )
        for c in advice.items
    }
    late, strange = _of_orders(
        session, items, rates, supplier, runs_out, clock=clock, company=company
    )
    stuck, unvalued = _of_deliveries(session, rates, supplier)
    drift = [] if supplier is not None else _of_forecasts(session)
    wanted = [e for e in found + late + stuck + drift if types is None or e.type in types]
    as_of = clock.now() if advice.run is None else advice.run.as_of_at
    notes = (
        unrated_notes(unrated | strange | unvalued)
        if any(e.value_at_risk_minor is None for e in wanted)
        else []
    )
    return Worklist(worklist(wanted), as_of, advice.warnings + notes)


def _of_items(
    advice: CurrentAdvice,
    items: dict[int, Item],
    rates: dict[str, int],
    supplier: Supplier | None,
    horizon_days: int,
) -> tuple[list[StockException], set[str]]:
    """Exceptions of items, and the currencies of those that could not be valued."""
    found: list[StockException] = []
    unrated: set[str] = set()
    for current in advice.items:
        row = current.recommendation
        if supplier is not None and row.supplier_id != supplier.id:
            continue
        item = items[row.item_id]
        found += item_exceptions(
            sku=item.sku,
            name=item.name,
            location=row.inputs.get("location", ""),
            severity=row.severity,
            value_at_risk_minor=row.value_at_risk_minor
            if row.inputs.get("is_value_known", True)
            else None,
            unit_cost_minor=item.unit_cost_minor * rates[item.currency] / 1_000_000
            if item.currency in rates
            else None,
            latest_order_on=row.latest_order_on,
            stockout_on=row.projected_stockout_on,
            inputs=row.inputs,
            is_planned=row.supplier_id is not None,
            horizon_days=horizon_days,
        )
        unrated |= {item.currency} - rates.keys()
    return found, unrated


def _of_orders(
    session: Session,
    items: dict[int, Item],
    rates: dict[str, int],
    supplier: Supplier | None,
    runs_out: dict[Pair, date | None],
    *,
    clock: Clock,
    company: Company,
) -> tuple[list[StockException], set[str]]:
    """Exceptions of orders, and the currencies of those that could not be valued."""
    today = today_of(clock, company)
    found = []
    unrated: set[str] = set()
    for line, order, code, eta_on in session.execute(
        _open_lines(supplier).where(*orders_here(session))
    ):
        item = items[line.item_id]
        balance = line.ordered_units - line.received_units - line.short_closed_units
        stockout_on = runs_out.get((item.id, order.location_id))
        exception = order_exception(
            number=order.number,
            sku=item.sku,
            name=item.name,
            location=code,
            value_minor=_value(balance * line.unit_price_minor, order.currency, rates),
            promise_on=line.promise_on or order.promise_on,
            expected_on=eta_on,
            is_confirmed=order.state != OrderState.SENT,
            hours_since_sent=_hours(order.sent_at, clock.now()),
            today=today,
            runs_out_before=None not in (stockout_on, eta_on) and stockout_on < eta_on,
        )
        if exception is not None:
            found.append(exception)
            unrated |= {order.currency} - rates.keys()
    return found, unrated


def _of_forecasts(session: Session) -> list[StockException]:
    """Forecasts of the run in use that drifted, with what to do about them."""
    return [
        drift_exception(
            sku=item.sku, name=item.name, location=code, why=sentence(report),
            proposal=proposal(report["signs"]), signs=len(report["signs"]),
        )
        for item, code, report in drifting(session)
    ]  # fmt: skip


def _of_deliveries(
    session: Session, rates: dict[str, int], supplier: Supplier | None
) -> tuple[list[StockException], set[str]]:
    """Deliveries that wait for a person, and the currencies of those that could not be valued.

    Each is shown under the first article of its order.
    """
    found = []
    unrated: set[str] = set()
    for delivery, order, code, item in session.execute(_stuck(supplier)):
        found.append(
            stuck_exception(
                number=order.number,
                sku=item.sku,
                name=item.name,
                location=code,
                value_minor=_value(order.total_minor, order.currency, rates),
                due_on=order.need_by_on,
                is_in_doubt=delivery.state is OutboxState.IN_DOUBT,
                attempts=delivery.attempts,
                error=delivery.last_error,
            )
        )
        unrated |= {order.currency} - rates.keys()
    return found, unrated


def _stuck(supplier: Supplier | None) -> Any:
    statement = (
        select(Outbox, PurchaseOrder, col(Location.code), Item)
        .options(defer(Outbox.payload))  # type: ignore[arg-type]
        .join(PurchaseOrder, col(PurchaseOrder.id) == col(Outbox.order_id))
        .join(Location, col(Location.id) == col(PurchaseOrder.location_id))
        .join(
            PurchaseOrderLine,
            (col(PurchaseOrderLine.order_id) == col(PurchaseOrder.id))
            & (col(PurchaseOrderLine.line_number) == 1),
        )
        .join(Item, col(Item.id) == col(PurchaseOrderLine.item_id))
        .where(col(Outbox.state).in_((OutboxState.DEAD, OutboxState.IN_DOUBT)))
        .order_by(col(Outbox.id))
    )
    if supplier is not None:
        statement = statement.where(PurchaseOrder.supplier_id == supplier.id)
    return statement


def _open_lines(supplier: Supplier | None) -> Any:
    balance = (
        col(PurchaseOrderLine.ordered_units)
        - col(PurchaseOrderLine.received_units)
        - col(PurchaseOrderLine.short_closed_units)
    )
    on_road = (
        select(Shipment.order_id, func.max(Shipment.eta_on).label("eta_on"))
        .where(col(Shipment.status).not_in((ShipmentStatus.DELIVERED, ShipmentStatus.EXPIRED)))
        .group_by(col(Shipment.order_id))
        .subquery()
    )
    statement = (
        select(PurchaseOrderLine, PurchaseOrder, col(Location.code), on_road.c.eta_on)
        .join(PurchaseOrder, col(PurchaseOrder.id) == col(PurchaseOrderLine.order_id))
        .join(Location, col(Location.id) == col(PurchaseOrder.location_id))
        .outerjoin(on_road, on_road.c.order_id == col(PurchaseOrder.id))
        .where(col(PurchaseOrder.state).in_(_SENT), balance > 0)
    )
    if supplier is not None:
        statement = statement.where(PurchaseOrder.supplier_id == supplier.id)
    return statement


def _value(minor: int, currency: str, rates: dict[str, int]) -> int | None:
    return in_company_minor(minor, rates[currency]) if currency in rates else None


def _hours(sent_at: datetime | None, now: datetime) -> float | None:
    return None if sent_at is None else (now - sent_at).total_seconds() / 3600
