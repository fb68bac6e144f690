"""Exceptions: what a planner should look at first. Pure functions over recommendations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

TYPES = (
    "stuck_delivery", "below_rop", "projected_stockout", "late_po", "unconfirmed_po", "excess",
    "forecast_drift",
)  # fmt: skip
CONFIRM_WITHIN_HOURS = 48
_URGENCY = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class StockException:
    """One thing that needs attention.

    ``value_at_risk_minor`` is in company currency, None without an exchange rate.
    """

    type: str
    sku: str
    name: str
    location: str
    severity: str
    value_at_risk_minor: int | None
    due_on: date | None
    why: str
    po: str | None = None


def item_exceptions(
    *, sku: str, name: str, location: str, severity: str, value_at_risk_minor: int | None,
    unit_cost_minor: float | None, latest_order_on: date | None, stockout_on: date | None,
    inputs: dict[str, Any], is_planned: bool, horizon_days: int,
) -> list[StockException]:  # fmt: skip
    """Exceptions of one item from its recommendation.

    Below the reorder point counts own drafts; excess is stock beyond the order-up-to level and
    beyond 90 days of cover, at cost.
    """

    def one(
        kind: str, why: str, due: date | None, value: int | None, urgency: str = severity
    ) -> StockException:
        return StockException(kind, sku, name, location, urgency, value, due, why)

    found = []
    position, point = inputs["netted_position"], inputs["reorder_point"]
    stockout, excess = inputs["stockout_in_days"], inputs["excess"]
    if position < 0 and inputs["demand_per_day"] == 0:
        why = f"{-position:,} more are owed than are there or coming"
        found.append(one("below_rop", why, latest_order_on, value_at_risk_minor))
    if is_planned and position <= point and inputs["demand_per_day"] > 0:
        why = f"position {position:,} is not above the reorder point {point:,}"
        found.append(one("below_rop", why, latest_order_on, value_at_risk_minor))
    if severity == "critical" and stockout is not None and stockout <= horizon_days:
        why = f"runs out in {stockout:g} days"
        if inputs["arrival_in_days"] is not None:
            why += f"; an order of today arrives in {inputs['arrival_in_days']} days"
        found.append(one("projected_stockout", why, stockout_on, value_at_risk_minor))
    if excess > 0:
        value = None if unit_cost_minor is None else round(excess * unit_cost_minor)
        why = f"{excess:,} more than the order-up-to level or 90 days of cover"
        found.append(one("excess", why, None, value, "info"))
    return found


def order_exception(
    *, number: str, sku: str, name: str, location: str, value_minor: int | None,
    promise_on: date | None, expected_on: date | None, is_confirmed: bool,
    hours_since_sent: float | None, today: date, runs_out_before: bool,
) -> StockException | None:  # fmt: skip
    """The exception of one open order line: late, or sent and not confirmed for two days."""
    if promise_on is not None and expected_on is not None and expected_on > promise_on:
        days = (expected_on - promise_on).days
        why = f"promised {promise_on.isoformat()}, now expected {expected_on.isoformat()}"
        severity = "critical" if runs_out_before else "warning"
        why = f"{days} days late: {why}"
        return StockException(
            "late_po", sku, name, location, severity, value_minor, expected_on, why, number
        )
    if promise_on is not None and promise_on < today:
        why = f"{(today - promise_on).days} days late: promised {promise_on.isoformat()}"
        return StockException(
            "late_po", sku, name, location, "warning", value_minor, promise_on, why, number
        )
    is_silent = hours_since_sent is not None and hours_since_sent > CONFIRM_WITHIN_HOURS
    if not is_confirmed and is_silent:
        why = f"sent {round(hours_since_sent or 0)} hours ago and not confirmed"
        return StockException(
            "unconfirmed_po", sku, name, location, "warning", value_minor, promise_on, why, number
        )
    return None


def stuck_exception(
    *, number: str, sku: str, name: str, location: str, value_minor: int | None,
    due_on: date | None, is_in_doubt: bool, attempts: int, error: str,
) -> StockException:  # fmt: skip
    """The exception of an approved order that did not reach its supplier, or perhaps did not."""
    tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    if is_in_doubt:
        why = f"may or may not have reached the supplier, ask them: {error}"
    else:
        why = f"approved but not delivered, given up after {tries}: {error}"
    return StockException(
        "stuck_delivery", sku, name, location, "critical", value_minor, due_on, why, number
    )


def drift_exception(
    *, sku: str, name: str, location: str, why: str, proposal: str, signs: int
) -> StockException:
    """The exception of a forecast that no longer holds; two signs are more urgent than one."""
    severity = "warning" if signs > 1 else "info"
    told = f"{why}: {proposal}"
    return StockException("forecast_drift", sku, name, location, severity, 0, None, told)


def worklist(found: Sequence[StockException]) -> list[StockException]:
    """Order by severity, then by value at risk."""
    return sorted(found, key=lambda e: (_URGENCY[e.severity], -(e.value_at_risk_minor or 0), e.sku))


def counts(found: Sequence[StockException]) -> dict[str, int]:
    """Number of exceptions by type."""
    seen = Counter(exception.type for exception in found)
    return {name: seen[name] for name in TYPES if seen[name]}
