"""Computes the key figures from what is stored."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from db.models.catalog import Item
from db.models.planning import Forecast, ForecastRun
from db.models.purchasing import PurchaseOrder, Receipt
from db.models.stock import StockLevel
from db.types import ItemStatus
from tools.cases.service import is_in_use, today_of
from tools.clock import Clock
from tools.company import Company
from tools.demand.service import demand_frame
from tools.errors import InvalidInput
from tools.kpis import core
from tools.kpis.core import Kpi
from tools.offers.core import Delivery, on_time_in_full
from tools.offers.service import exchange_rates
from tools.positions.service import stands
from tools.replenishment.service import latest_recommendations

NAMES = (
    "stockout_rate", "fill_rate", "forecast_accuracy", "po_cycle_time", "inventory_value",
    "days_of_supply", "carrying_cost", "carrying_cost_of_revenue", "excess_value",
    "supplier_otif",
)  # fmt: skip


def key_figures(
    session: Session,
    *,
    clock: Clock,
    company: Company,
    names: Sequence[str] | None = None,
    window_days: int = 90,
) -> list[Kpi]:
    """Return the key figures, all of them by default.

    Raises:
        InvalidInput: A name is unknown.
    """
    unknown = [name for name in names or () if name not in NAMES]
    if unknown:
        raise InvalidInput(
            f"there is no figure called {unknown[0]!r}", next_step=f"Use one of {', '.join(NAMES)}."
        )
    today = today_of(clock, company)
    start = today - timedelta(days=window_days)
    rates = exchange_rates(session, company)
    stock = _stock(session)
    value_minor = round(sum(_value(level, item, rates) for level, item in stock))
    found = [
        _stockout_rate(stock),
        core.fill_rate(),
        core.forecast_accuracy(_errors(session)),
        core.po_cycle_time(_cycle_hours(session, clock.now() - timedelta(days=window_days))),
        core.inventory_value(value_minor, company.currency),
        core.carrying_cost(value_minor, company.carrying_rate, company.currency),
        _excess(session, rates, company.currency),
        _otif(session, start, today),
    ]
    if names is None or {"days_of_supply", "carrying_cost_of_revenue"} & set(names):
        cost, revenue = _sales(session, rates, start, today)
        found.append(core.days_of_supply(value_minor, cost, window_days))
        rate = company.carrying_rate
        found.append(core.carrying_cost_share(value_minor, rate, revenue, window_days))
    wanted = {kpi.name: kpi for kpi in found}
    return [wanted[name] for name in NAMES if name in (names or NAMES)]


def unrated_currencies(session: Session, company: Company) -> set[str]:
    """Return currencies of items without an exchange rate; their values are left out."""
    used = session.exec(select(Item.currency).distinct())
    return set(used) - exchange_rates(session, company).keys()


def _stock(session: Session) -> list[tuple[StockLevel, Item]]:
    statement = (
        select(StockLevel, Item)
        .join(Item, col(Item.id) == col(StockLevel.item_id))
        .where(Item.status != ItemStatus.DISCONTINUED)
    )
    return [(level, item) for level, item in session.exec(statement)]


def _value(level: StockLevel, item: Item, rates: dict[str, int]) -> float:
    rate = rates.get(item.currency, 0) / 1_000_000
    return max(level.on_hand_units, 0) * item.unit_cost_minor * rate


def _stockout_rate(stock: Sequence[tuple[StockLevel, Item]]) -> Kpi:
    active = [level for level, item in stock if item.status == ItemStatus.ACTIVE]
    available = [
        level.on_hand_units - level.quarantined_units - level.expiring_units - level.allocated_units
        for level in active
    ]
    return core.stockout_rate(sum(units <= 0 for units in available), len(active))


def _errors(session: Session) -> list[tuple[float, float]]:
    """WMAPE and expected demand of each item's newest forecast."""
    statement: Any = select(Forecast.item_id, Forecast.location_id, Forecast.metrics, Forecast.mean)
    statement = statement.join(ForecastRun, col(ForecastRun.id) == col(Forecast.run_id))
    statement = statement.where(*is_in_use()).order_by(col(Forecast.run_id))
    newest = {(row[0], row[1]): (row[2], row[3]) for row in session.execute(statement)}
    return [
        (float(metrics["wmape"]), float(sum(mean)))
        for metrics, mean in newest.values()
        if metrics.get("wmape") is not None
    ]


def _cycle_hours(session: Session, since: datetime) -> list[float]:
    statement: Any = select(
        PurchaseOrder.detected_at, PurchaseOrder.created_at, PurchaseOrder.sent_at
    ).where(
        col(PurchaseOrder.sent_at) >= since,
        col(PurchaseOrder.is_imported).is_(False),
        col(PurchaseOrder.requested_by_id).is_not(None),
    )
    return [
        (sent_at - (detected_at or created_at)).total_seconds() / 3600
        for detected_at, created_at, sent_at in session.execute(statement)
    ]


def _excess(session: Session, rates: dict[str, int], currency: str) -> Kpi:
    costs: Any = select(Item.id, Item.unit_cost_minor, Item.currency)
    cost = {row[0]: row[1] * rates.get(row[2], 0) / 1_000_000 for row in session.execute(costs)}
    planned = latest_recommendations(session)
    rows = [row for row in planned if row.inputs.get("excess", 0) > 0]
    value = sum(row.inputs["excess"] * cost.get(row.item_id, 0) for row in rows)
    return core.excess_value(round(value) if planned else None, len(rows), currency)


def _otif(session: Session, start: date, today: date) -> Kpi:
    statement: Any = select(  # type: ignore[call-overload]
        Receipt.ordered_on, Receipt.received_on, Receipt.ordered_units, Receipt.received_units,
        Receipt.promised_on,
    ).where(
        col(Receipt.received_on) >= start, col(Receipt.received_on) <= today, stands()
    )  # fmt: skip
    otif = on_time_in_full([Delivery(*row) for row in session.execute(statement)])
    in_full = round((otif.strict or 0) * otif.count)
    return core.supplier_otif(otif.strict, in_full, otif.count)


def _sales(
    session: Session, rates: dict[str, int], start: date, today: date
) -> tuple[float, float]:
    """Cost and revenue of what was sold in the window, company minor units."""
    sold = demand_frame(session, start=start, end=today)
    if sold.empty:
        return 0.0, 0.0
    units = sold.groupby("item_id")["units"].sum()
    cost = revenue = 0.0
    for item in session.exec(select(Item)):
        rate = rates.get(item.currency, 0) / 1_000_000
        count = float(units.get(item.id, 0))
        cost += count * item.unit_cost_minor * rate
        revenue += count * item.unit_price_minor * rate
    return cost, revenue
