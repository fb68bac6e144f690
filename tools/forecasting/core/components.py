"""What a forecast is made of: level, shift, trend, season and events, which add up to it exactly.

The decomposition describes the forecast, whatever made it; it does not fit another model.

- *level*: mean of cleaned demand over the last four weeks; of weekly history over eight weeks, of
  monthly history over three months.
- *trend*: slope of a least-squares line through the forecast's weekly means, zero on the first day.
- *season*: of daily history the mean deviation of each weekday from its week, without the trend; of
  two years of weekly history the share of last years' seasonal profile that the forecast follows.
- *events*: what promotions, holidays and closures add, as the batch says.
- *shift*: how far the line starts above or below the level. Models remember more than four weeks.
- *remainder*: the forecast minus all of these. It is never stored, so the sum is always exact.

All values are units a day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.errors import InvalidInput, NotEnoughData

FloatArray = npt.NDArray[np.float64]

LEVEL_PERIODS = {1: 28, 7: 8, 30: 3}  # by days in a period
NAMES = ("level", "shift", "trend", "season", "events", "remainder")
_YEAR_WEEKS = 52
_LEAST_YEARLY_WEEKS = 2 * _YEAR_WEEKS + LEVEL_PERIODS[7]
_DIGITS = 4


@dataclass(frozen=True)
class Components:
    """Decomposition of the forecasts of n series.

    Attributes:
        level: Shape (n,).
        shift: Shape (n,).
        slope: Shape (n,): units a day, per day.
        season: Shape (n, 7) from Monday to Sunday, or (n, weeks) from the first week on.
        season_kind: "weekday" or "year".
        events: Shape (n, horizon_days).
        window_days: Days behind the level, shape (n,).
    """

    level: FloatArray
    shift: FloatArray
    slope: FloatArray
    season: FloatArray
    season_kind: str
    events: FloatArray
    window_days: npt.NDArray[np.int64]


def components(
    units: FloatArray,
    mean: FloatArray,
    *,
    period_days: int,
    first_on: date,
    events: FloatArray | None = None,
) -> Components:
    """Decompose the forecasts of a batch.

    Args:
        units: Shape (n, periods): cleaned history, units per period, NaN before the first sale.
        mean: Shape (n, horizon_days): the forecast, units a day, events included.
        period_days: 1 for daily history, 7 for weekly, 30 for monthly.
        first_on: Day of the first column of ``mean``.
        events: Shape (n, horizon_days): units a day that events add; none by default.

    Raises:
        InvalidInput: The shapes do not fit, or a period has another length.

    Example:
        >>> found = components(np.full((1, 28), 10.0), np.full((1, 28), 12.0), period_days=1,
        ...                    first_on=date(2026, 3, 2))
        >>> found.level.tolist(), found.shift.tolist()
        ([10.0], [2.0])
    """
    events = np.zeros_like(mean) if events is None else events
    _check(units, mean, events, period_days)
    window = min(LEVEL_PERIODS[period_days], units.shape[1])
    recent = units[:, units.shape[1] - window :]
    known = np.isfinite(recent)
    level = np.nansum(recent, axis=1) / np.maximum(known.sum(axis=1), 1) / period_days
    base = mean - events
    if period_days == 7 and units.shape[1] >= _LEAST_YEARLY_WEEKS:
        season, profile = _yearly(units, base)
        slope, line = _line(base - profile)
        kind = "year"
    else:
        slope, line = _line(base)
        season, profile = _weekdays(base - line, first_on)
        kind = "weekday"
    whole = _whole_weeks(base.shape[1])
    shift = (base - line - profile)[:, :whole].mean(axis=1) - level
    days = known.sum(axis=1) * period_days
    return Components(level, shift, slope, season, kind, events, days)


def _check(units: FloatArray, mean: FloatArray, events: FloatArray, period_days: int) -> None:
    if period_days not in LEVEL_PERIODS:
        raise InvalidInput(f"a period is 1, 7 or 30 days, got {period_days!r}")
    if mean.ndim != 2 or mean.shape[1] < 1 or len(units) != len(mean):
        raise InvalidInput(
            f"history of shape {units.shape!r} and forecast of shape {mean.shape!r} do not fit"
        )
    if events.shape != mean.shape:
        raise InvalidInput(
            f"events of shape {events.shape!r} do not fit a forecast of shape {mean.shape!r}"
        )


def _whole_weeks(days: int) -> int:
    """Days in whole weeks; all of them below one week."""
    return days // 7 * 7 or days


def _line(base: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slope per day through the weekly means, shape (n,), and the line from zero on, (n, days)."""
    days = base.shape[1]
    weeks = days // 7
    slope = np.zeros(len(base))
    if weeks >= 2:
        means = base[:, : 7 * weeks].reshape(len(base), weeks, 7).mean(axis=2)
        at = np.arange(weeks) - (weeks - 1) / 2
        slope = means @ at / (at @ at) / 7
    slope = np.round(slope, 6)
    return slope, slope[:, None] * np.arange(days)


def _weekdays(flat: FloatArray, first_on: date) -> tuple[FloatArray, FloatArray]:
    """Deviation of each weekday from its week, Monday first (n, 7), and day by day (n, days)."""
    days = flat.shape[1]
    weeks = days // 7
    at = (first_on.weekday() + np.arange(days)) % 7
    season = np.zeros((len(flat), 7))
    if weeks:
        by_week = flat[:, : 7 * weeks].reshape(len(flat), weeks, 7)
        season[:, at[:7]] = (by_week - by_week.mean(axis=2, keepdims=True)).mean(axis=1)
    season = np.round(season, _DIGITS)
    return season, season[:, at]


def _yearly(units: FloatArray, base: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The part of last years' profile that a forecast follows: per week (n, weeks), and per day.

    The profile is the mean of the same weeks of the last two years, as deviation from the mean of
    those years; the forecast follows a share of it between none and all (least squares).
    """
    days = base.shape[1]
    weeks = -(-days // 7)
    years = np.nan_to_num(units[:, -2 * _YEAR_WEEKS :]).reshape(len(units), 2, _YEAR_WEEKS) / 7
    whole = np.isfinite(units[:, -2 * _YEAR_WEEKS :]).all(axis=1, keepdims=True)
    profile = (years - years.mean(axis=2, keepdims=True)).mean(axis=1)
    profile = np.where(whole, profile, 0.0)[:, np.arange(weeks) % _YEAR_WEEKS]
    daily = np.repeat(profile, 7, axis=1)[:, :days]
    centred = daily - daily.mean(axis=1, keepdims=True)
    spread = (centred**2).sum(axis=1)
    together = (centred * base).sum(axis=1)
    share = np.divide(together, spread, out=np.zeros(len(base)), where=spread > 0)
    season = np.round(np.clip(share, 0.0, 1.0)[:, None] * profile, _DIGITS)
    return season, np.repeat(season, 7, axis=1)[:, :days]


def component_rows(
    units: FloatArray,
    mean: FloatArray,
    *,
    period_days: int,
    first_on: date,
    events: FloatArray | None = None,
    event_names: Sequence[Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """Decompose a batch as JSON values to store, one per series; see ``components``.

    Args:
        units: Shape (n, periods).
        mean: Shape (n, horizon_days).
        period_days: 1, 7 or 30.
        first_on: Day of the first column of ``mean``.
        events: Shape (n, horizon_days), units a day, or None.
        event_names: Names of the events of each series, or None.

    Returns:
        ``level``, ``shift``, ``slope``, ``season``, ``season_kind``, ``first_on``, ``window_days``
        and, where there are any, ``events`` and ``event_names``.
    """
    found = components(units, mean, period_days=period_days, first_on=first_on, events=events)
    columns = (
        np.round(found.level, _DIGITS).tolist(),
        np.round(found.shift, _DIGITS).tolist(),
        found.slope.tolist(),
        found.season.tolist(),
        found.window_days.tolist(),
    )
    names = ("level", "shift", "slope", "season", "window_days")
    common = {"season_kind": found.season_kind, "first_on": first_on.isoformat()}
    rows = [{**dict(zip(names, row, strict=True)), **common} for row in zip(*columns, strict=True)]
    for k in np.nonzero(found.events.any(axis=1))[0].tolist():
        rows[k]["events"] = np.round(found.events[k], _DIGITS).tolist()
        rows[k]["event_names"] = list(event_names[k]) if event_names is not None else []
    return rows


@dataclass(frozen=True)
class Parts:
    """Components of one forecast day by day; each array of shape (days,), units a day.

    ``level + shift + trend + season + events + remainder == mean`` on every day.
    """

    level: FloatArray
    shift: FloatArray
    trend: FloatArray
    season: FloatArray
    events: FloatArray
    remainder: FloatArray
    mean: FloatArray
    season_kind: str
    weekdays: tuple[float, ...]  # Monday to Sunday; empty for a yearly season
    slope: float
    window_days: int
    event_names: tuple[str, ...]

    def averages(self) -> dict[str, float]:
        """Mean of each component over the days, in the order of ``NAMES``."""
        return {name: float(getattr(self, name).mean()) for name in NAMES}


def parts(stored: Mapping[str, Any], mean: Sequence[float], *, skipped: int = 0) -> Parts:
    """Lay the stored components of a forecast out day by day.

    Args:
        stored: One of ``component_rows``.
        mean: Units a day of the days to explain.
        skipped: Days of the stored forecast that lie before the first of ``mean``, >= 0.

    Raises:
        NotEnoughData: The forecast was stored without components.
        InvalidInput: No day is to be explained.
    """
    if not stored.get("season"):
        raise NotEnoughData(
            "this forecast was stored without its components",
            next_step="Run the plan; the new forecast is stored with them.",
        )
    if not len(mean) or skipped < 0:
        raise InvalidInput(f"there is no day to explain: {len(mean)!r} days after {skipped!r}")
    days = skipped + np.arange(len(mean))
    is_weekday = stored["season_kind"] == "weekday"
    season = np.asarray(stored["season"], float)
    first = date.fromisoformat(stored["first_on"]).weekday()
    at = (first + days) % 7 if is_weekday else np.minimum(days // 7, len(season) - 1)
    events = np.zeros(len(mean))
    known = np.asarray(stored.get("events", []), float)[skipped:][: len(mean)]
    events[: len(known)] = known
    level = np.full(len(mean), float(stored["level"]))
    shift = np.full(len(mean), float(stored["shift"]))
    trend = (float(stored["slope"]) * days).astype(np.float64)
    whole = np.asarray(mean, float)
    return Parts(
        level=level, shift=shift, trend=trend, season=season[at], events=events,
        remainder=whole - (level + shift + trend + season[at] + events), mean=whole,
        season_kind=stored["season_kind"], weekdays=tuple(season) if is_weekday else (),
        slope=float(stored["slope"]), window_days=int(stored["window_days"]),
        event_names=tuple(stored.get("event_names", ())),
    )  # fmt: skip
