"""Everything that is known about one item at one location, as plain values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from db.types import DemandClass, ReplenishmentRule, SafetyStockMethod, ServiceMeasure
from tools.offers.core import LeadTime, Offer
from tools.positions.core import StockPosition

LOOK_AHEAD_DAYS = 400  # closures further away do not touch an order of today


@dataclass(frozen=True)
class Settings:
    """What people decided about replenishing an item."""

    service_rate: float = 0.95
    measure: ServiceMeasure = ServiceMeasure.CYCLE
    method: SafetyStockMethod = SafetyStockMethod.COMBINED
    review_days: float = 1
    cover_days: float = 14
    rule: ReplenishmentRule = ReplenishmentRule.MIN_MAX
    is_service_rate_optimised: bool = False
    label: str = "default policy"


@dataclass(frozen=True)
class Outlook:
    """A stored forecast: units a day from the day after ``as_of_on``, and the totals' spread."""

    forecast_id: int
    run_id: int
    model: str
    demand_class: DemandClass
    as_of_on: date
    mean: Sequence[float]
    total_sd: dict[str, list[float]]
    total_quantiles: dict[str, list[float]]
    adi: float | None = None
    observed_days: int = 0
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Case:
    """Everything that is known about one item at one location."""

    item_id: int
    location_id: int
    sku: str
    name: str
    uom: str
    location: str
    currency: str
    unit_value_minor: int  # selling price, else cost
    unit_cost_minor: int
    position: StockPosition
    settings: Settings
    outlook: Outlook | None
    offers: tuple[tuple[Offer, LeadTime], ...] = ()
    shelf_life_days: int | None = None
    is_buyable: bool = True
    free_units: int | None = None  # for which the store has room; None where nobody knows
    levels: tuple[float, float] | None = None  # s and S in units, found by another policy

    @property
    def unit_margin_minor(self) -> int:
        """What a sale brings above the cost of the unit; 0 where either is not known."""
        if self.unit_cost_minor <= 0:
            return 0
        return max(self.unit_value_minor - self.unit_cost_minor, 0)

    @property
    def is_new(self) -> bool:
        """Too little was sold to plan from: a first day or two say nothing about a lead time."""
        return self.outlook is not None and self.outlook.demand_class == DemandClass.NEW

    @property
    def can_plan(self) -> bool:
        """There is a forecast, and it rests on enough history."""
        return self.outlook is not None and not self.is_new

    @property
    def has_demand(self) -> bool:
        """A forecast that can be planned from is above zero."""
        return self.can_plan and any(value > 0 for value in self.outlook.mean)  # type: ignore[union-attr]


def closed_days(
    spans: Iterable[tuple[date, date]], *, country: str, working_days: str, today: date
) -> frozenset[date]:
    """Days ahead on which a supplier does not work although the weekday would be one.

    Args:
        spans: First and last day of each closure; weekends inside count.
        country: ISO 3166, with a part after a dash such as ``GB-ENG``; empty or unknown: no
            holidays.
        working_days: ISO weekdays, 1 = Monday.
        today: Nothing before it is of interest.

    Example:
        >>> days = closed_days([], country="GB-ENG", working_days="12345", today=date(2026, 12, 1))
        >>> date(2026, 12, 25) in days, date(2026, 12, 26) in days, date(2026, 12, 28) in days
        (True, False, True)
    """
    last = today + timedelta(days=LOOK_AHEAD_DAYS)
    closed = {on for on in _holidays(country, today, last) if str(on.isoweekday()) in working_days}
    for begin, end in spans:
        first, until = max(begin, today), min(end, last)
        closed |= {first + timedelta(days=k) for k in range((until - first).days + 1)}
    return frozenset(closed)


@lru_cache(maxsize=512)
def _holidays(country: str, first: date, last: date) -> tuple[date, ...]:
    if not country:
        return ()
    import holidays

    name, _, part = country.upper().partition("-")
    years = range(first.year, last.year + 1)
    try:
        found = holidays.country_holidays(name, subdiv=part or None, years=years)
    except NotImplementedError:
        return ()
    return tuple(on for on in found if first <= on <= last)
