"""Key figures with their numerator, denominator and definition; no data means no value."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

STOCKOUT_TARGET_PCT = 2.0
ACCURACY_TARGET_PCT = 90.0
CYCLE_TARGET_HOURS = 24.0


@dataclass(frozen=True)
class Kpi:
    """One figure. ``value`` is None when the data do not allow it; ``reason`` says why."""

    name: str
    label: str
    value: float | None
    unit: str
    definition: str
    numerator: float | None = None
    denominator: float | None = None
    target: float | None = None
    is_at_most: bool = True  # the target is a ceiling; else a floor
    reason: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None without a value or a target."""
        if self.value is None or self.target is None:
            return None
        return self.value <= self.target if self.is_at_most else self.value >= self.target

    def row(self) -> dict[str, Any]:
        """Return the figure for JSON."""
        return {
            "name": self.name,
            "label": self.label,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "holds": self.holds,
            "numerator": self.numerator,
            "denominator": self.denominator,
            "definition": self.definition,
            "reason": self.reason,
        }


def stockout_rate(out_of_stock: int, stocked: int) -> Kpi:
    """Active items with nothing available, of all active items, now."""
    return Kpi(
        name="stockout_rate",
        label="stock-out rate",
        value=round(100 * out_of_stock / stocked, 1) if stocked else None,
        unit="%",
        definition="active items with nothing available now / active items, by location",
        numerator=out_of_stock,
        denominator=stocked,
        target=STOCKOUT_TARGET_PCT,
        reason="" if stocked else "no active item has a stock record",
    )


def fill_rate() -> Kpi:
    """Units shipped at once of units asked for; sales records do not hold what was asked for."""
    return Kpi(
        name="fill_rate",
        label="fill rate",
        value=None,
        unit="%",
        definition="units shipped from stock at once / units requested",
        reason="customer requests that could not be served are not recorded",
    )


def forecast_accuracy(errors: Sequence[tuple[float, float]]) -> Kpi:
    """One minus WMAPE over items, weighted by demand; floor 0.

    Args:
        errors: (WMAPE, demand weight) of each item with both.

    Example:
        >>> forecast_accuracy([(0.1, 90.0), (0.5, 10.0)]).value
        86.0
    """
    weight = sum(demand for _, demand in errors)
    missed = sum(wmape * demand for wmape, demand in errors)
    return Kpi(
        name="forecast_accuracy",
        label="forecast accuracy",
        value=round(100 * max(0.0, 1 - missed / weight), 1) if weight > 0 else None,
        unit="%",
        definition="1 - WMAPE of tested forecasts, weighted by expected demand, floor 0",
        numerator=round(missed, 2),
        denominator=round(weight, 2),
        target=ACCURACY_TARGET_PCT,
        is_at_most=False,
        reason="" if weight > 0 else "no forecast with a measured error is stored",
    )


def po_cycle_time(hours: Sequence[float]) -> Kpi:
    """Median hours from the need to the sent order."""
    return Kpi(
        name="po_cycle_time",
        label="purchase order cycle time",
        value=round(median(hours), 1) if hours else None,
        unit="hours",
        definition="median time from the detected need (else the draft) to the sent order",
        denominator=len(hours),
        target=CYCLE_TARGET_HOURS,
        reason="" if hours else "no order of ours was sent in the window",
    )


def inventory_value(value_minor: int, currency: str) -> Kpi:
    """Stock on hand at cost."""
    return Kpi(
        name="inventory_value",
        label="inventory value",
        value=round(value_minor / 100, 2),
        unit=currency,
        definition="units on hand x unit cost",
        numerator=round(value_minor / 100, 2),
    )


def excess_value(value_minor: int | None, items: int, currency: str) -> Kpi:
    """Stock beyond the order-up-to level and beyond 90 days of cover, at cost.

    ``denominator`` is the number of items with excess; no value without a planning run.
    """
    value = None if value_minor is None else round(value_minor / 100, 2)
    return Kpi(
        name="excess_value",
        label="excess stock",
        value=value,
        unit=currency,
        definition="available and on order beyond order-up-to level and 90 days of cover, at cost",
        numerator=value,
        denominator=items,
        reason="no planning run is stored" if value is None else "",
    )


def carrying_cost(value_minor: int, carrying_rate: float, currency: str) -> Kpi:
    """Cost of holding today's stock for a year."""
    return Kpi(
        name="carrying_cost",
        label="carrying cost a year",
        value=round(value_minor / 100 * carrying_rate, 2),
        unit=currency,
        definition=f"inventory value x carrying rate of {100 * carrying_rate:g} % a year",
        numerator=round(value_minor / 100, 2),
        denominator=None,
    )


def carrying_cost_share(
    value_minor: int, carrying_rate: float, revenue_minor: float, days: int
) -> Kpi:
    """The same as a share of revenue: another denominator than the carrying rate."""
    yearly = revenue_minor * 365 / days
    cost = value_minor * carrying_rate
    return Kpi(
        name="carrying_cost_of_revenue",
        label="carrying cost of revenue",
        value=round(100 * cost / yearly, 1) if yearly > 0 else None,
        unit="%",
        definition="carrying cost a year / revenue of the window scaled to a year",
        numerator=round(cost / 100, 2),
        denominator=round(yearly / 100, 2),
        reason="" if yearly > 0 else "no sales with a price in the window",
    )


def days_of_supply(value_minor: int, cost_of_sales_minor: float, days: int) -> Kpi:
    """How long the stock lasts at the cost of goods sold of the window."""
    daily = cost_of_sales_minor / days
    return Kpi(
        name="days_of_supply",
        label="inventory days of supply",
        value=round(value_minor / daily, 1) if daily > 0 else None,
        unit="days",
        definition="inventory value / cost of goods sold a day in the window",
        numerator=round(value_minor / 100, 2),
        denominator=round(daily / 100, 2),
        reason="" if daily > 0 else "no sales with a cost in the window",
    )


def supplier_otif(share: float | None, in_full: int, count: int) -> Kpi:
    """Deliveries on time and in full."""
    return Kpi(
        name="supplier_otif",
        label="suppliers on time in full",
        value=None if share is None else round(100 * share, 1),
        unit="%",
        definition="order lines received by the promised day in full / lines with a promise",
        numerator=in_full,
        denominator=count,
        reason="" if count else "no promised delivery was received in the window",
    )
