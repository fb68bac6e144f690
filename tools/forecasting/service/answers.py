"""Answer from the forecasts that are stored; nothing is fitted here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from sqlalchemy import select
from sqlmodel import Session, col

from db.models.catalog import Item, Location, SupplierItem
from db.models.planning import Forecast, ForecastRun, Policy
from db.types import DemandClass
from tools.cases.service import today_of
from tools.clock import Clock
from tools.company import Company
from tools.errors import NotEnoughData
from tools.forecasting.core import totals
from tools.forecasting.service.overriding import OVERRIDDEN
from tools.forecasting.service.reading import LATE_DAYS
from tools.forecasting.service.records import newest

LEAD_TIME_LEVEL = 0.95


@dataclass(frozen=True)
class LeadTimeDemand:
    """Demand over a typical lead time, units."""

    days: float
    quantile_level: float
    quantile_units: float
    mean_units: float


@dataclass(frozen=True)
class ForecastAnswer:
    """What is expected of one item at one location, from ``start_on`` on."""

    forecast: Forecast
    as_of_on: date
    start_on: date
    end_on: date
    mean: tuple[float, ...]  # units a day
    total_mean: float
    total_low: float
    total_high: float
    level: float
    lead_time: LeadTimeDemand | None
    warnings: tuple[str, ...]


def forecast_for(
    session: Session,
    item: Item,
    location: Location,
    *,
    clock: Clock,
    company: Company | None = None,
    horizon_days: int = 28,
    level: float = 0.9,
) -> ForecastAnswer:
    """Answer from the stored forecast; nothing is fitted here.

    Args:
        session: Open session.
        item: Item.
        location: Location.
        clock: Gives today, the first day of the answer.
        company: Its time zone says which day it is; that of UTC by default.
        horizon_days: Days to sum up.
        level: Probability that the total lies between low and high.

    Raises:
        NotEnoughData: No forecast is stored, the stored one is too old, or the item has too short
            a history for one.
    """
    forecast, run = _stored(session, item, location)
    start = max(today_of(clock, company or Company()), run.as_of_on + timedelta(days=1))
    skipped = (start - run.as_of_on).days - 1
    ahead = _ahead(item, forecast, run, skipped=skipped)
    tail = float(np.mean(forecast.mean[-28:]))
    mean = (ahead + [tail] * max(0, horizon_days - len(ahead)))[:horizon_days]

    def quantile(days: float, at: float) -> float:
        return _quantile_from(forecast, skipped=skipped, days=days, level=at)

    low, high = totals.interval_of(lambda at: quantile(horizon_days, at), level=level)
    return ForecastAnswer(
        forecast=forecast,
        as_of_on=run.as_of_on,
        start_on=start,
        end_on=start + timedelta(days=horizon_days - 1),
        mean=tuple(mean),
        total_mean=sum(mean),
        total_low=low,
        total_high=high,
        level=level,
        lead_time=_lead_time_demand(session, forecast, ahead, quantile),
        warnings=tuple(_answer_warnings(forecast, run, skipped=skipped, days=horizon_days)),
    )


def _stored(session: Session, item: Item, location: Location) -> tuple[Forecast, ForecastRun]:
    """Return the newest forecast in use, or say what is missing for one."""
    found = newest(session, item.id, location.id)
    if found is None:
        raise NotEnoughData(
            f"there is no forecast for {item.sku!r} at {location.code!r} yet",
            next_step="Load its sales if they are missing, then run the plan.",
        )
    _refuse_too_little(item, *found)
    return found


def _ahead(item: Item, forecast: Forecast, run: ForecastRun, *, skipped: int) -> list[float]:
    """Give the stored days that still lie ahead."""
    if skipped >= len(forecast.mean):
        raise NotEnoughData(
            f"the last forecast of {item.sku!r} rests on sales up to {run.as_of_on.isoformat()} "
            "and has run out",
            next_step="Load the sales since then and run the plan.",
        )
    return forecast.mean[skipped:]


def _quantile_from(forecast: Forecast, *, skipped: int, days: float, level: float) -> float:
    """Quantile of a total that starts ``skipped`` days into the forecast.

    Its error is taken as that of the longer total from the start: a little too wide, never narrow.
    """
    whole = totals.total_quantile(
        forecast.mean,
        forecast.total_sd,
        forecast.total_quantiles,
        days=skipped + days,
        level=level,
    )
    return max(0.0, whole - totals.total_mean(forecast.mean, days=skipped))


def _refuse_too_little(item: Item, forecast: Forecast, run: ForecastRun) -> None:
    sold = forecast.observed_days
    if any(said.startswith(OVERRIDDEN) for said in forecast.warnings):
        return  # somebody said what to expect
    if forecast.demand_class is DemandClass.NO_DEMAND:
        raise NotEnoughData(
            f"{item.sku!r} has no sale up to {run.as_of_on.isoformat()}",
            next_step="Give a launch estimate, or name a similar item to compare with.",
            details={"observed_days": sold},
        )
    if forecast.demand_class is DemandClass.NEW:
        raise NotEnoughData(
            f"{item.sku!r} has {sold} days of sales, too few for a model; so far it sold "
            f"{forecast.mean[0]:.1f} a day",
            next_step="Give a launch estimate, or name a similar item to compare with.",
            details={"observed_days": sold, "daily_mean_so_far": round(forecast.mean[0], 2)},
        )


def _lead_time_demand(
    session: Session,
    forecast: Forecast,
    ahead: list[float],
    quantile: Callable[[float, float], float],
) -> LeadTimeDemand | None:
    """Demand over the planned lead time, or over the quoted one before the first plan."""
    planned = session.scalars(
        select(col(Policy.lead_time_mean_days)).where(
            col(Policy.item_id) == forecast.item_id,
            col(Policy.location_id) == forecast.location_id,
        )
    ).first()
    quoted = select(col(SupplierItem.quoted_lead_time_days)).where(
        col(SupplierItem.item_id) == forecast.item_id
    )
    preferred = quoted.order_by(col(SupplierItem.is_preferred).desc(), col(SupplierItem.id))
    days = planned if planned is not None else session.scalars(preferred.limit(1)).first()
    if days is None:
        return None
    return LeadTimeDemand(
        days=float(days),
        quantile_level=LEAD_TIME_LEVEL,
        quantile_units=quantile(days, LEAD_TIME_LEVEL),
        mean_units=totals.total_mean(ahead, days=days),
    )


def _answer_warnings(
    forecast: Forecast, run: ForecastRun, *, skipped: int, days: int
) -> Iterator[str]:
    yield from forecast.warnings
    if skipped + 1 > LATE_DAYS.get(run.grain, 2):
        yield (
            f"the forecast rests on sales up to {run.as_of_on.isoformat()}, {skipped + 1} days "
            "ago: load newer sales and plan again"
        )
    if skipped + days > len(forecast.mean):
        yield (
            f"the forecast covers {len(forecast.mean) - skipped} more days; the days behind "
            "repeat its last four weeks"
        )
