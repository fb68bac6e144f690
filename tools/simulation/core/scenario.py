"""Scenarios: what is asked, and baseline and scenario side by side. Pure functions."""

import math
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from tools.cases.core import Case
from tools.errors import InvalidInput
from tools.offers.core import LeadTime, Offer
from tools.planning.core.advice import Advice
from tools.planning.core.tables import HORIZON_DAYS, Change
from tools.positions.core import day_of


@dataclass(frozen=True)
class ScenarioRequest:
    """What a planner supposes. Dates are ISO text, the end included; None is open.

    The dates are those of the change of demand; every other change holds from today on.
    """

    demand_change_pct: float = 0.0
    lead_time_change_days: float = 0.0
    service_level: float | None = None
    start: str | None = None
    end: str | None = None
    horizon_days: int = 60
    price_change_pct: float = 0.0
    supply_delay_days: int = 0
    moq_units: int | None = None

    def change(self, today: date) -> Change:
        """Return the change of demand and lead time in days from today.

        Raises:
            InvalidInput: A value is outside its range, or the dates do not follow each other.
        """
        self._check_values()
        first = 0 if self.start is None else (_date(self.start, "start") - today).days
        last = HORIZON_DAYS if self.end is None else (_date(self.end, "end") - today).days
        if last < max(first, 0):
            raise InvalidInput(
                f"the period {self.start!r} to {self.end!r} is over or ends before it starts; "
                f"today is {today.isoformat()}",
                next_step=f"Give dates from {today.isoformat()} on, the earlier one as start.",
            )
        return Change(
            demand_factor=1 + self.demand_change_pct / 100,
            first_day=first,
            last_day=last,
            lead_time_days=self.lead_time_change_days,
        )

    def _check_values(self) -> None:
        _within("demand can change by", self.demand_change_pct, -100, 1000, "%")
        _within("a lead time can change by", self.lead_time_change_days, -365, 365, "days")
        _within("a price can change by", self.price_change_pct, -99, 1000, "%")
        _within("open orders can come later by", self.supply_delay_days, 0, 365, "days")
        _within("a what-if looks ahead", self.horizon_days, 1, HORIZON_DAYS, "days")
        if self.moq_units is not None:
            _within("a minimum order can be", self.moq_units, 0, _MOST_UNITS, "units")
        if self.service_level is not None and not 0 < self.service_level < 1:
            raise InvalidInput(
                f"a service level must lie in (0, 1), got {self.service_level!r}",
                next_step="Give a fraction such as 0.98.",
            )

    def changed(self, case: Case, supplier_id: int | None = None) -> Case:
        """Return a case with the terms and the service level of the scenario; not its demand.

        Args:
            case: An item at a location.
            supplier_id: Whose terms change; None: those of all.
        """
        offers = tuple(
            self._terms(pair) if supplier_id in (None, pair[0].supplier_id) else pair
            for pair in case.offers
        )
        settings = case.settings
        if self.service_level is not None:
            label = f"{settings.label}, changed"
            settings = replace(
                settings, service_rate=self.service_level, is_service_rate_optimised=False,
                label=label,
            )  # fmt: skip
        return replace(case, offers=offers, settings=settings)

    def _terms(self, pair: tuple[Offer, LeadTime]) -> tuple[Offer, LeadTime]:
        offer, lead_time = pair
        factor = 1 + self.price_change_pct / 100
        if factor != 1:
            offer = replace(
                offer,
                unit_price_minor=round(offer.unit_price_minor * factor),
                breaks=tuple((units, round(price * factor)) for units, price in offer.breaks),
            )
        if self.moq_units is not None:
            offer = replace(offer, moq_units=self.moq_units)
        mean = max(lead_time.mean_days + self.lead_time_change_days, 0.0)
        return offer, replace(lead_time, mean_days=mean)


_MOST_UNITS = 1_000_000_000


def _within(what: str, value: float, least: float, most: float, unit: str) -> None:
    if not (math.isfinite(value) and least <= value <= most):
        raise InvalidInput(
            f"{what} {least:,} to {most:,} {unit}, got {value!r}",
            next_step=f"Give a number between {least:,} and {most:,}.",
        )


def changes_data(request: ScenarioRequest) -> dict[str, Any]:
    """What was supposed, ready for JSON."""
    return {
        "demand_change_pct": request.demand_change_pct,
        "lead_time_change_days": request.lead_time_change_days,
        "service_level": request.service_level,
        "start": request.start,
        "end": request.end,
        "price_change_pct": request.price_change_pct,
        "supply_delay_days": request.supply_delay_days,
        "moq": request.moq_units,
    }


def scenario_data(
    baseline: Advice, scenario: Advice, request: ScenarioRequest, today: date
) -> dict[str, Any]:
    """Baseline, scenario and their difference, ready for JSON.

    ``order_by`` is the last day on which an order avoids the scenario's first stock-out; it may
    have passed.
    """
    before = _side(baseline, request, today)
    after = _side(scenario, request, today)
    names = ("reorder_point", "safety_stock", "order_up_to", "order_quantity")
    latest = scenario.latest_order_on
    return {
        "sku": baseline.case.sku,
        "name": baseline.case.name,
        "uom": baseline.case.uom,
        "baseline": before,
        "scenario": after,
        "delta": {name: after[name] - before[name] for name in names},
        "changes": changes_data(request),
        "horizon_days": request.horizon_days,
        "order_by": None if latest is None else latest.isoformat(),
        "order_by_has_passed": latest is not None and latest < today,
        "saved": False,
    }


def _side(advice: Advice, request: ScenarioRequest, today: date) -> dict[str, Any]:
    inputs = advice.inputs
    stockout = inputs["stockout_in_days"]
    if stockout is not None and stockout > request.horizon_days:
        stockout = None
    on = day_of(today, stockout)
    return {
        "reorder_point": inputs["reorder_point"],
        "safety_stock": inputs["safety_stock"],
        "order_up_to": inputs["order_up_to"],
        "order_quantity": advice.quantity,
        "lead_time_days": inputs["lead_time_days"],
        "daily_demand": inputs["demand_per_day"],
        "service_level": inputs["service_level"],
        "first_stockout_date": None if on is None else on.isoformat(),
        "days_to_stockout": stockout,
    }


def _date(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"{name} must be a date such as 2026-05-03, got {text[:40]!r}",
            next_step="Write year, month and day.",
        ) from None
