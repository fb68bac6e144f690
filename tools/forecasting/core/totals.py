"""Spread of the demand of a whole period: what a reorder point needs, calibrated on past totals.

The quantile of a sum is not the sum of quantiles: for nine independent normal days of 100 +- 20
the 95 % quantiles add up to 1,196, but the total stays below 999. So errors are taken of totals:
past forecasts of the next 1, 3, 7, ... days are compared with what was sold in them, divided by
the scale of the series, and pooled over all series of a similar kind and size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri  # the normal quantile, without the weight of scipy.stats

from tools.errors import InvalidInput
from tools.forecasting.core.replay import Replay, series_scale

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

HORIZON_DAYS = (1, 3, 7, 14, 21, 28, 42, 63, 91)
LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
LEAST_ERRORS = 60  # in a pool; fewer say nothing about a tail
_MOMENTS = 13  # past moments to learn from: a quarter of weeks
_BUCKETS = 3
_BUCKET_SERIES = 12  # fewer series than this per bucket share one pool
_CAP = 1.5  # times the highest total of the history
_UNTESTED_WIDENING = 1.25


@dataclass(frozen=True)
class Calibration:
    """Pooled errors of totals in units of the scale of a series.

    Attributes:
        horizons: Shape (h,): periods, increasing.
        quantiles: Shape (buckets, h, levels).
        count: Shape (buckets, h): errors behind each figure.
    """

    horizons: IntArray
    quantiles: FloatArray
    count: IntArray


def buckets(units: FloatArray, is_rare: BoolArray) -> IntArray:
    """Sort series into pools: steady and rare demand apart, and small, middle, large sellers.

    The errors of rare demand, in units of its scale, are far wider than those of steady demand;
    in one pool they would double the safety stock of the steady items of a small catalogue.

    Args:
        units: Shape (n, periods).
        is_rare: Shape (n,): intermittent, lumpy or new.

    Returns:
        Pool of each series, numbered from 0 without gaps.
    """
    return pools(levels(units), is_rare)


def levels(units: FloatArray) -> FloatArray:
    """Mean of the last 180 periods of each series, shape (n,); by it sellers are large or small."""
    recent = units[:, -180:]
    known = np.isfinite(recent)
    total = np.where(known, recent, 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(known.sum(axis=1), 1))


def pools(level: FloatArray, is_rare: BoolArray) -> IntArray:
    """Sort series into pools by their levels; see ``buckets``."""
    pool = np.zeros(len(level), dtype=np.int64)
    first = 0
    for rows in (np.flatnonzero(~is_rare), np.flatnonzero(is_rare)):
        if len(rows):
            count = max(1, min(_BUCKETS, len(rows) // _BUCKET_SERIES))
            rank = np.argsort(np.argsort(level[rows], kind="stable"), kind="stable")
            pool[rows] = first + rank * count // len(rows)
            first += count
    return pool


def calibrate(
    units: FloatArray, past: Replay, *, pool: IntArray, horizons: Sequence[int]
) -> Calibration:
    """Pool the errors of past totals.

    Args:
        units: Shape (n, periods): what was sold.
        past: What would have been forecast.
        pool: Shape (n,): bucket of each series.
        horizons: Periods of the totals, increasing.

    Returns:
        Figures for the horizons with at least 60 errors in all; possibly none. A pool with fewer
        takes those of all pools together.
    """
    members = np.bincount(pool, minlength=1)
    found = errors(units, past, pool=pool, members=members, horizons=horizons)
    return pooled([found], pools=len(members), horizons=horizons)


Errors = list[list[FloatArray]]  # by horizon, by pool


def errors(
    units: FloatArray,
    past: Replay,
    *,
    pool: IntArray,
    members: IntArray,
    horizons: Sequence[int],
) -> Errors:
    """Scaled and widened errors of past totals of some series, to be pooled with those of others.

    Args:
        units: Shape (n, periods): what was sold.
        past: What would have been forecast.
        pool: Shape (n,): bucket of each series.
        members: Series of each bucket in the whole catalogue, of which these may be a part.
        horizons: Periods of the totals, increasing.
    """
    running = _running(units)
    return [_errors(running, past, pool, members, horizon) for horizon in horizons]


def pooled(parts: Sequence[Errors], *, pools: int, horizons: Sequence[int]) -> Calibration:
    """Turn the errors of all parts of a catalogue into its calibration; see ``calibrate``."""
    quantiles, counts, tested = [], [], []
    for k, horizon in enumerate(horizons):
        groups = [np.concatenate([part[k][bucket] for part in parts]) for bucket in range(pools)]
        common = np.concatenate(groups)
        if len(common) < LEAST_ERRORS:
            break
        groups = [group if len(group) >= LEAST_ERRORS else common for group in groups]
        tested.append(horizon)
        counts.append([len(group) for group in groups])
        quantiles.append([np.quantile(group, LEVELS) for group in groups])
    return Calibration(
        np.array(tested, dtype=np.int64),
        np.array(quantiles).reshape(len(tested), pools, len(LEVELS)).transpose(1, 0, 2),
        np.array(counts, dtype=np.int64).reshape(len(tested), pools).T,
    )


def _errors(
    running: FloatArray, past: Replay, pool: IntArray, members: IntArray, horizon: int
) -> list[FloatArray]:
    """Scaled and widened errors of the totals of one horizon, by pool.

    Of the moments whose totals are known the last quarter's count: recent errors resemble the
    coming ones more. Small pools look further back until they are big enough.
    """
    wanted = [max(_MOMENTS, -(-LEAST_ERRORS // max(int(count), 1))) for count in members]
    over = sum(origin + horizon < running.shape[1] for origin in past.origins)
    recent = slice(max(0, over - max(wanted)), over)
    origins = np.array(past.origins[recent], dtype=int)
    if not len(origins):
        return [np.empty(0)] * len(members)
    sold = running[:, origins + horizon] - running[:, origins]
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = (sold - past.total(horizon, recent)) / past.scale[:, recent]
    groups = []
    for bucket in range(len(members)):
        group = scaled[pool == bucket][:, -wanted[bucket] :]
        group = group * _widening(origins[-wanted[bucket] :], horizon)
        groups.append(group[np.isfinite(group)])
    return groups


def _running(units: FloatArray) -> FloatArray:
    """Sums of the first 0, 1, 2, ... periods, shape (n, periods + 1)."""
    start = np.zeros((len(units), 1))
    return np.concatenate([start, np.cumsum(np.nan_to_num(units), axis=1)], axis=1)


def _widening(origins: IntArray, horizon: int) -> float:
    """Factor for how few separate stretches of time the errors come from.

    Series rise and fall together, so many series in two or three seasons are still two or three
    observations of the common movement; sqrt(1 + 1/k) is its share in a prediction error.
    """
    separate = 1 + (origins[-1] - origins[0]) / horizon
    return float(np.sqrt(1 + 1 / separate))


@dataclass(frozen=True)
class Spread:
    """Spread of the totals of each series, in units.

    Attributes:
        horizons: Shape (h,): periods.
        sd: Shape (n, h): of the normal distribution with the same upper tail; does not decrease.
        quantiles: Shape (n, h, levels); ordered, not negative, capped by the history.
        is_tested: False when too few past forecasts were there and days were taken as independent.
    """

    horizons: IntArray
    sd: FloatArray
    quantiles: FloatArray
    is_tested: bool


def spread(
    units: FloatArray,
    daily: FloatArray,
    calibration: Calibration,
    *,
    pool: IntArray,
    horizons: Sequence[int],
) -> Spread:
    """Turn pooled errors into the spread of each series.

    Args:
        units: Shape (n, periods): history.
        daily: Shape (n, horizon): mean forecast per period.
        calibration: Pooled errors.
        pool: Shape (n,): bucket of each series.
        horizons: Periods to use where nothing could be tested.
    """
    is_tested = len(calibration.horizons) > 0
    steps = calibration.horizons if is_tested else np.array(horizons, dtype=np.int64)
    steps = steps[steps <= daily.shape[1]]
    total = np.cumsum(daily, axis=1)[:, steps - 1]
    if is_tested:
        scale = series_scale(units)[:, None]
        quantiles = (
            total[..., None] + calibration.quantiles[pool][:, : len(steps)] * scale[..., None]
        )
    else:
        scale = _UNTESTED_WIDENING * np.nanstd(units, axis=1)[:, None]
        quantiles = total[..., None] + (scale * np.sqrt(steps))[..., None] * ndtri(LEVELS)
    cap = np.maximum(_CAP * _highest_totals(units, steps), total)[..., None]
    quantiles = np.maximum.accumulate(np.clip(quantiles, 0.0, cap), axis=2)
    return Spread(steps, _matching_sd(total, quantiles), quantiles, is_tested)


def _matching_sd(total: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Return the sd with which a normal distribution has the calibrated 95 % quantile.

    Errors of totals are heavy-tailed: their root mean square is made by a few series that took off,
    and a safety stock on it would be many times the demand. Stock needs the upper tail to be right.
    Where the forecast was too high in the past, a quarter of the 90 % interval is the floor.
    """
    low, high = quantiles[..., LEVELS.index(0.05)], quantiles[..., LEVELS.index(0.95)]
    z = float(ndtri(0.95))
    return np.maximum.accumulate(np.maximum(high - total, (high - low) / 4) / z, axis=1)


def _highest_totals(units: FloatArray, horizons: IntArray) -> FloatArray:
    """Highest total of any stretch of the history, for each horizon."""
    running = _running(units)
    periods = units.shape[1]
    answer = np.empty((len(units), len(horizons)))
    for k, horizon in enumerate(horizons):
        length = min(int(horizon), periods)
        best = (running[:, length:] - running[:, :-length]).max(axis=1)
        answer[:, k] = best * (horizon / length)
    return answer


def total_mean(mean: Sequence[float], *, days: float) -> float:
    """Expected demand of the next ``days`` days; beyond the horizon the last four weeks repeat.

    Args:
        mean: Units per day for day 1, 2, ...
        days: Length of the period, >= 0; a fraction counts as a part of a day.

    Example:
        >>> total_mean([100.0] * 60, days=9)
        900.0
    """
    if days < 0:
        raise InvalidInput(f"a period cannot be negative, got {days!r} days")
    if not mean:
        return 0.0
    tail = float(np.mean(mean[-28:]))
    inside = min(days, len(mean))
    whole = int(inside)
    part = (inside - whole) * mean[whole] if whole < len(mean) else 0.0
    return float(sum(mean[:whole]) + part + max(0.0, days - len(mean)) * tail)


def total_sd(forecast_total_sd: Mapping[str, Any], days: float) -> float:
    """Standard deviation of the error of the total of the next ``days`` days.

    Args:
        forecast_total_sd: ``{"days": [...], "sd": [...]}``, days increasing.
        days: Length of the period, >= 0.

    Returns:
        Units. Between the stored days interpolated on the square root of time, outside them
        extrapolated with it.

    Example:
        >>> total_sd({"days": [1, 9], "sd": [20.0, 60.0]}, 4)
        40.0
    """
    if days < 0:
        raise InvalidInput(f"a period cannot be negative, got {days!r} days")
    if not forecast_total_sd.get("days"):
        raise InvalidInput("the forecast holds no spread of totals; run the forecasts again")
    return _on_root_of_time(forecast_total_sd["days"], forecast_total_sd["sd"], days)


def total_quantile(
    mean: Sequence[float],
    forecast_total_sd: Mapping[str, Any],
    forecast_total_quantiles: Mapping[str, Any],
    *,
    days: float,
    level: float,
) -> float:
    """Quantile of the demand of the next ``days`` days; never the sum of daily quantiles.

    Args:
        mean: Units per day for day 1, 2, ...
        forecast_total_sd: ``{"days": [...], "sd": [...]}``.
        forecast_total_quantiles: ``{"days": [...], "0.95": [...], ...}``; empty: normal.
        days: Length of the period, >= 0.
        level: In (0, 1).

    Example:
        >>> flat = {"days": [1, 9], "sd": [20.0, 60.0]}
        >>> round(total_quantile([100.0] * 9, flat, {}, days=9, level=0.95), 1)
        998.7
    """
    if not 0 < level < 1:
        raise InvalidInput(f"a quantile level lies between 0 and 1, got {level!r}")
    expected = total_mean(mean, days=days)
    stored = forecast_total_quantiles.get("days") or []
    if not stored:
        return max(0.0, expected + float(ndtri(level)) * total_sd(forecast_total_sd, days))
    at_day = np.array([total_mean(mean, days=day) for day in stored])
    known = sorted((float(key), key) for key in forecast_total_quantiles if key != "days")
    offsets = [
        _on_root_of_time(stored, np.asarray(forecast_total_quantiles[key]) - at_day, days)
        for _, key in known
    ]
    return max(0.0, expected + _at_level([value for value, _ in known], offsets, level))


def _on_root_of_time(days: Sequence[float], values: Any, at: float) -> float:
    """Interpolate on sqrt(days); through the origin before the first day and behind the last."""
    roots, known, root = np.sqrt(np.asarray(days, float)), np.asarray(values, float), at**0.5
    if root >= roots[-1]:
        return float(known[-1] * root / roots[-1])
    return float(np.interp(root, np.append(0.0, roots), np.append(0.0, known)))


def _at_level(levels: Sequence[float], offsets: Sequence[float], level: float) -> float:
    """Interpolate on the normal score; beyond the outermost level stretch its offset."""
    score, scores = float(ndtri(level)), ndtri(levels)
    for edge in (0, -1):
        beyond = score < scores[0] if edge == 0 else score > scores[-1]
        if beyond and scores[edge] != 0:
            return float(offsets[edge] * max(1.0, score / scores[edge]))
    return float(np.interp(score, scores, offsets))
