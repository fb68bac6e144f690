"""Why a figure is what it is: an item's picture, its forecast taken apart, its order as a sum."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from sqlmodel import Session

from db.models.catalog import Item, Location
from tools.cases.service import today_of
from tools.clock import Clock
from tools.company import Company
from tools.demand.service import daily_series
from tools.errors import NotEnoughData
from tools.forecasting.core import components, totals
from tools.forecasting.core.reasons import mean_terms, reasons, shown_averages
from tools.forecasting.service.answers import ForecastAnswer, forecast_for
from tools.pictures.core.bars import Sum, sum_of
from tools.pictures.core.item import Due, ItemChart, Past, Range
from tools.planning.core.advice import Advice
from tools.planning.service import advise_pair
from tools.positions.core import due_offset_days
from tools.replenishment.service import explain

HORIZON_DAYS = 56
HISTORY_WEEKS = 26
FAN = (0.05, 0.25, 0.75, 0.95)


@dataclass(frozen=True)
class ForecastReasons:
    """What a forecast is made of.

    Attributes:
        answer: The forecast.
        parts: Its components day by day; they add up to the mean.
        sentences: The same in words.
        picture: Components of the daily mean, as shown.
    """

    answer: ForecastAnswer
    parts: components.Parts
    sentences: tuple[str, ...]
    picture: Sum


def forecast_reasons(
    session: Session,
    item: Item,
    location: Location,
    *,
    clock: Clock,
    company: Company,
    horizon_days: int = 28,
) -> ForecastReasons:
    """Take the stored forecast of an item apart.

    Args:
        session: Open session.
        item: Item.
        location: Location.
        clock: Gives today.
        company: Its time zone says which day it is.
        horizon_days: Days from today on, >= 1.

    Raises:
        NotEnoughData: There is no forecast, it has run out, or it was stored without components.
    """
    answer = forecast_for(
        session, item, location, clock=clock, company=company, horizon_days=horizon_days
    )
    skipped = (answer.start_on - answer.as_of_on).days - 1
    found = components.parts(answer.forecast.components, answer.mean, skipped=skipped)
    mean, _, _ = shown_averages(found)
    picture = sum_of(
        mean_terms(found), title=f"{item.sku} at {location.code}: forecast",
        uom=f"{item.uom} a day", total_label=f"mean of {horizon_days} days", total=mean,
    )  # fmt: skip
    return ForecastReasons(answer, found, tuple(reasons(found)), picture)


def recommendation_sum(
    session: Session, item: Item, location: Location, *, clock: Clock, company: Company
) -> Sum:
    """Give the terms of the current recommendation for an item as a sum to draw."""
    found = explain(
        session, None, item.sku, clock=clock, company=company, location=location.code
    ).recommendation
    return sum_of(
        found.waterfall, title=f"{item.sku} at {location.code}: order", uom=item.uom,
        total_label="order quantity", total=float(found.order_units),
    )  # fmt: skip


def item_chart(
    session: Session,
    item: Item,
    location: Location,
    *,
    clock: Clock,
    company: Company,
    horizon_days: int = HORIZON_DAYS,
) -> ItemChart:
    """Collect what the picture of an item shows.

    Where there is no forecast the picture shows what was sold and says why there is no more.

    Args:
        session: Open session.
        item: Item.
        location: Location.
        clock: Gives today.
        company: Its time zone says which day it is.
        horizon_days: Days to come, whole weeks.

    Raises:
        NotEnoughData: Nothing was ever sold and nothing is forecast.
    """
    today = today_of(clock, company)
    advice = advise_pair(session, item.id, location.id, clock=clock, company=company)
    receipts = _receipts(advice, today, horizon_days)
    history = _history(session, item, location, today)
    forecast: tuple[Range, ...] = ()
    stock: tuple[Range, ...] = ()
    notes: tuple[str, ...] = ()
    try:
        answer = forecast_for(
            session, item, location, clock=clock, company=company, horizon_days=horizon_days
        )
        spread = _spread(answer)
        forecast = _weeks(answer, spread)
        stock = _stock(advice, answer, spread, receipts)
    except NotEnoughData as error:
        if not history:
            raise
        notes = (f"No forecast: {error.message}.",)
    has_policy = bool(stock) and advice.offer is not None
    return ItemChart(
        title=f"{item.sku} {item.name} at {location.code}", uom=item.uom, today=today,
        history=history, forecast=forecast, stock=stock, receipts=receipts, notes=notes,
        reorder_point=advice.inputs["reorder_point"] if has_policy else None,
        stockout_on=_runs_out(stock),
    )  # fmt: skip


def _runs_out(stock: Sequence[Range]) -> date | None:
    """First day at whose end nothing is left."""
    return next((row.on for row in stock if row.mean < 0), None)


def _history(session: Session, item: Item, location: Location, today: date) -> tuple[Past, ...]:
    """Whole weeks before today, oldest first; weekly and monthly history keeps its own periods.

    A month is shown by its mean week.
    """
    days = daily_series(session, item.id, location.id, until=today - timedelta(days=1))
    if days.empty:
        return ()
    step = (days["on"].iloc[-1] - days["on"].iloc[-2]).days if len(days) > 1 else 1
    size = 7 if step == 1 else 1
    sold = days["units"].to_numpy(float)
    sold = sold[len(sold) % size :].reshape(-1, size).sum(axis=1)[-HISTORY_WEEKS:]
    ends = [on.date() for on in days["on"].iloc[::-size]][: len(sold)][::-1]
    span = step * size
    starts = [on - timedelta(days=span - 1) for on in ends]
    weekly = sold * 7 / span
    return tuple(Past(on, float(units)) for on, units in zip(starts, weekly, strict=True))


def _receipts(advice: Advice, today: date, horizon_days: int) -> tuple[Due, ...]:
    """Open orders with the day on which the plan expects them."""
    lead_time = int(np.ceil(advice.inputs["lead_time_days"] or 0))
    found = [
        (due_offset_days(receipt, today, fallback_days=lead_time), receipt)
        for receipt in advice.case.position.receipts
    ]
    return tuple(
        Due(today + timedelta(days=days), receipt.units, receipt.number)
        for days, receipt in sorted(found, key=lambda pair: (pair[0], pair[1].number))
        if days < horizon_days
    )


Spread = Callable[[int, float], float]  # days of a total, level -> units above its mean


def _spread(answer: ForecastAnswer) -> Spread:
    """Quantiles of totals around their mean; as in ``forecast_for``, from the forecast's start."""
    stored = answer.forecast
    skipped = (answer.start_on - answer.as_of_on).days - 1

    def above_mean(days: int, level: float) -> float:
        span = skipped + days
        whole = totals.total_quantile(
            stored.mean, stored.total_sd, stored.total_quantiles, days=span, level=level
        )
        return whole - totals.total_mean(stored.mean, days=span)

    return above_mean


def _weeks(answer: ForecastAnswer, spread: Spread) -> tuple[Range, ...]:
    """Totals of weeks with their ranges.

    The spread of a week's total is that of the first week, widened as far as the spread of the
    total grows faster than the root of time, with which that of independent weeks grows; a later
    week is never narrower.
    """
    weeks = len(answer.mean) // 7
    first = [spread(7, level) for level in FAN]
    factor = 1.0
    rows = []
    for k in range(weeks):
        mean = sum(answer.mean[7 * k : 7 * k + 7])
        grown = spread(7 * (k + 1), FAN[-1]) / (k + 1) ** 0.5
        factor = max(factor, grown / first[-1]) if first[-1] > 0 else factor
        values = [max(0.0, mean + factor * above) for above in first]
        on = answer.start_on + timedelta(days=7 * k)
        rows.append(Range(on, mean, *values))
    return tuple(rows)


def _stock(
    advice: Advice, answer: ForecastAnswer, spread: Spread, receipts: Sequence[Due]
) -> tuple[Range, ...]:
    """Stock at the end of each day if nothing is ordered: high demand leaves low stock."""
    days = len(answer.mean)
    coming = np.zeros(days)
    for due in receipts:
        coming[max((due.on - answer.start_on).days, 0)] += due.units
    position = advice.case.position
    at_hand = position.available_units + position.inbound_transfer_units
    running = np.cumsum(np.asarray(answer.mean))
    there = at_hand + np.cumsum(coming)
    rows = []
    for k in range(days):
        demand = [max(0.0, running[k] + spread(k + 1, level)) for level in FAN]
        low90, low50, high50, high90 = (float(there[k] - units) for units in reversed(demand))
        on = answer.start_on + timedelta(days=k)
        rows.append(Range(on, float(there[k] - running[k]), low90, low50, high50, high90))
    return tuple(rows)
