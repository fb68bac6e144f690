"""Scenarios: what is asked, and baseline and scenario side by side. Pure functions."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from tools.errors import InvalidInput
from tools.planning.core.advice import Advice
from tools.planning.core.tables import HORIZON_DAYS, Change
from tools.positions.core import day_of


@dataclass(frozen=True)
class ScenarioRequest:
    """What a planner supposes. Dates are ISO text, the end included; None is open."""

    demand_change_pct: float = 0.0
    lead_time_change_days: float = 0.0
    service_level: float | None = None
    start: str | None = None
    end: str | None = None
    horizon_days: int = 60

    def change(self, today: date) -> Change:
        """Return the change in days from today.

        Raises:
            InvalidInput: A value is outside its range, or the dates do not follow each other.
        """
        if not -100 <= self.demand_change_pct <= 1000:
            raise InvalidInput(
                f"demand can change by -100 to 1000 %, got {self.demand_change_pct!r}"
            )
        if not -365 <= self.lead_time_change_days <= 365:
            raise InvalidInput(
                f"a lead time can change by up to 365 days, got {self.lead_time_change_days!r}"
            )
        if self.service_level is not None and not 0 < self.service_level < 1:
            raise InvalidInput(
                f"a service level must lie in (0, 1), got {self.service_level!r}",
                next_step="Give a fraction such as 0.98.",
            )
        first = 0 if self.start is None else (_date(self.start, "start") - today).days
        last = HORIZON_DAYS if self.end is None else (_date(self.end, "end") - today).days
        if last < max(first, 0):
            raise InvalidInput(
                f"the period {self.start!r} to {self.end!r} is over or ends before it starts; "
                f"today is {today.isoformat()}"
            )
        return Change(
            demand_factor=1 + self.demand_change_pct / 100,
            first_day=first,
            last_day=last,
            lead_time_days=self.lead_time_change_days,
        )


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
        "changes": {
            "demand_change_pct": request.demand_change_pct,
            "lead_time_change_days": request.lead_time_change_days,
            "service_level": request.service_level,
            "start": request.start,
            "end": request.end,
        },
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
        raise InvalidInput(f"{name} must be a date such as 2026-05-03, got {text!r}") from None
