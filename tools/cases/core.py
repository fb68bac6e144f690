"""Everything that is known about one item at one location, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from db.types import DemandClass, SafetyStockMethod, ServiceMeasure
from tools.offers.core import LeadTime, Offer
from tools.positions.core import StockPosition


@dataclass(frozen=True)
class Settings:
    """What people decided about replenishing an item."""

    service_rate: float = 0.95
    measure: ServiceMeasure = ServiceMeasure.CYCLE
    method: SafetyStockMethod = SafetyStockMethod.COMBINED
    review_days: float = 1
    cover_days: float = 14
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
