"""What the model may ask about expected demand."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field
from sqlmodel import Session

from db.models.catalog import Item, Location
from tools.catalog.service import resolve_item, resolve_location
from tools.clock import noon
from tools.forecasting.core.batch import ACCURACY_DAYS
from tools.forecasting.core.components import parts
from tools.forecasting.core.reasons import reasons
from tools.forecasting.service.answers import ForecastAnswer, forecast_for
from tools.wrapping import Result, Tool, ToolContext, tool

MOST_WEEKS = 13


@tool(effect="read")
def forecast_demand(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    sku: Annotated[str, Field(min_length=1, max_length=200)],
    location: str | None = None,
    horizon_days: Annotated[int, Field(ge=1, le=7 * MOST_WEEKS)] = 28,
    level: Annotated[float, Field(ge=0.5, le=0.95)] = 0.9,
) -> Result:
    """Say how much of an item will be asked for: per day, per week, in total with a range.

    The range is that of the total, not of single days. Use it for demand and sales expectations;
    use compute_reorder_point for when to order.

    Args:
        sku: SKU or name of the item, e.g. "WIDGET-A".
        location: Code of the warehouse, e.g. "MAIN"; leave out for the usual one.
        horizon_days: How many days from today, e.g. 28.
        level: Probability that the total lies in the range, e.g. 0.9.
    """
    item, place = resolve_item(session, sku), resolve_location(session, location)
    answer = forecast_for(
        session, item, place, clock=context.clock, company=context.company,
        horizon_days=horizon_days, level=level,
    )  # fmt: skip
    return Result(
        _shown(item, place, answer),
        as_of=noon(answer.as_of_on) + timedelta(hours=12),  # the end of the last known day
        warnings=list(answer.warnings),
        refs=[f"item:{item.sku}", f"forecast:{answer.forecast.id}"],
    )


def _shown(item: Item, location: Location, answer: ForecastAnswer) -> dict[str, Any]:
    stored, lead_time = answer.forecast, answer.lead_time
    return {
        "sku": item.sku,
        "name": item.name,
        "uom": item.uom,
        "location": location.code,
        "horizon_days": len(answer.mean),
        "start": answer.start_on.isoformat(),
        "end": answer.end_on.isoformat(),
        "model": stored.model,
        "demand_class": stored.demand_class.value,
        "daily_mean": units(answer.total_mean / len(answer.mean)),
        "cumulative_mean": units(answer.total_mean),
        "cumulative_low": units(answer.total_low),
        "cumulative_high": units(answer.total_high),
        "level": answer.level,
        "lead_time": None
        if lead_time is None
        else {
            "days": units(lead_time.days),
            "quantile_level": lead_time.quantile_level,
            "quantile_units": units(lead_time.quantile_units),
            "mean_units": units(lead_time.mean_units),
        },
        "weeks": _weeks(answer),
        "accuracy": {**_rounded(stored.metrics), "horizon_days": ACCURACY_DAYS},
        "why": _why(answer),
        "n_obs": stored.observed_days,
        "basis": stored.basis.value,
    }


def _why(answer: ForecastAnswer) -> list[str]:
    """What the forecast is made of, in sentences; empty when it was stored without components."""
    stored = answer.forecast.components
    if not stored:
        return []
    skipped = (answer.start_on - answer.as_of_on).days - 1
    return reasons(parts(stored, answer.mean, skipped=skipped))


def units(value: float) -> float | int:
    """Round as a planner reads it: whole units from 100 on, one decimal below."""
    return round(value) if value >= 100 else round(value, 1)


def _weeks(answer: ForecastAnswer) -> list[dict[str, Any]]:
    """Totals of weeks from the first day on; the last one may be shorter."""
    return [
        {
            "start": (answer.start_on + timedelta(days=first)).isoformat(),
            "days": len(answer.mean[first : first + 7]),
            "units": units(sum(answer.mean[first : first + 7])),
        }
        for first in range(0, len(answer.mean), 7)
    ]


def _rounded(metrics: dict[str, Any]) -> dict[str, float | None]:
    values = {name: metrics.get(name) for name in ("wmape", "bias", "mase")}
    return {name: None if v is None else round(v, 3) for name, v in values.items()}


TOOLS: tuple[Tool, ...] = (forecast_demand,)
