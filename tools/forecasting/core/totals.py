"""Spread of the demand of a whole period: what a reorder point needs, calibrated on past totals.

The quantile of a sum is not the sum of quantiles: for nine independent normal days of 100 +- 20
the 95 % quantiles add up to 1,196, but the total stays below 999. So errors are taken of totals:
past forecasts of the next 1, 3, 7, ... days are compared with what was sold in them, divided by
the width that a series of its kind has (``tails``), and pooled over all series of a similar kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri  # the normal quantile, without the weight of scipy.stats

from tools.forecasting.core import tails
from tools.forecasting.core.replay import Replay, series_traits
from tools.forecasting.core.stored import interval_of as interval_of
from tools.forecasting.core.stored import total_mean as total_mean
from tools.forecasting.core.stored import total_quantile as total_quantile
from tools.forecasting.core.stored import total_sd as total_sd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

HORIZON_DAYS = (1, 3, 7, 14, 21, 28, 42, 56, 91)
LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
LEAST_ERRORS = 60  # in a pool; fewer say nothing about a tail
_MOMENTS = 52  # past moments to learn from: a year of weeks holds its high and low seasons
_LEAST_MOMENTS = 8
_ENOUGH_ERRORS = 20_000  # in a pool; more moments than that would cost memory and teach nothing
_BUCKETS = 3
_BUCKET_SERIES = 12  # fewer series than this per bucket share one pool
_LINE_SERIES = 40  # from so many series on the width follows a line, and levels need no pools
_TAILS = (0.05, 0.95)  # levels of the lines of the lower and the upper width
_LEAST_WIDTH = 0.1  # of the scale
_WEIGHT_POWER = 0.5  # between every series alike (0) and every unit alike (1)
_CAP = 2.0  # times the highest total of the history
_UNTESTED_WIDENING = 1.25


@dataclass(frozen=True)
class Calibration:
    """Pooled errors of totals in units of their usual width.

    Attributes:
        horizons: Shape (h,): periods, increasing.
        lower: Shape (buckets, h, 5): line of the width below the forecast, by the traits of a
            series over its scale.
        upper: Shape (buckets, h, 5): of the width above it.
        quantiles: Shape (buckets, h, levels): of errors over their width.
        count: Shape (buckets, h): errors behind each figure.
    """

    horizons: IntArray
    lower: FloatArray
    upper: FloatArray
    quantiles: FloatArray
    count: IntArray


def buckets(units: FloatArray, is_rare: BoolArray) -> IntArray:
    """Sort series into pools: steady and rare demand apart; few of them by small and large too.

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
            by_size = max(1, min(_BUCKETS, len(rows) // _BUCKET_SERIES))
            count = 1 if len(rows) >= _LINE_SERIES else by_size
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


ErrorRows = npt.NDArray[np.float32]
Errors = list[list[ErrorRows]]  # by horizon, by pool: rows of error, five traits, scale


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
    tested: list[int] = []
    found: list[list[_Pool]] = []
    for k, horizon in enumerate(horizons):
        groups = [np.concatenate([part[k][bucket] for part in parts]) for bucket in range(pools)]
        common = np.concatenate(groups)
        if len(common) < LEAST_ERRORS:
            break
        tested.append(horizon)
        found.append([_pool(group if len(group) >= LEAST_ERRORS else common) for group in groups])

    def table(column: int, width: int) -> FloatArray:
        values = np.array([[pool[column] for pool in row] for row in found], dtype=float)
        return values.reshape(len(tested), pools, width).transpose(1, 0, 2)

    return Calibration(
        np.array(tested, dtype=np.int64),
        table(0, _TRAITS),
        table(1, _TRAITS),
        table(2, len(LEVELS)),
        table(3, 1)[..., 0].astype(np.int64),
    )


_TRAITS = 5
_Pool = tuple[FloatArray, FloatArray, FloatArray, int]


def _pool(rows: ErrorRows) -> _Pool:
    """Width lines, quantiles of the errors over their width, and how many there were."""
    error, traits, scale = rows[:, 0].astype(float), rows[:, 1:-1].astype(float), rows[:, -1]
    lower = upper = np.eye(_TRAITS)[0]  # the scale alone
    if len(rows) >= tails.LEAST_ROWS:
        weight = (scale / scale.mean()).astype(float) ** _WEIGHT_POWER
        lower, upper = tails.tail_lines(traits, error, weight, levels=_TAILS)
    over = error / np.where(error < 0, _width(traits, lower), _width(traits, upper))
    return lower, upper, np.quantile(over, LEVELS), len(rows)


def _width(traits: FloatArray, line: FloatArray) -> FloatArray:
    """Usual width of errors over the scale, by a line; never next to nothing."""
    return np.asarray(np.maximum((traits * line).sum(axis=-1), _LEAST_WIDTH))


def _over_scale(total: FloatArray, traits: FloatArray) -> FloatArray:
    """Traits on which the width depends, over the scale: shape (..., 5), NaN without a scale."""
    scale, spread, mean, size = np.moveaxis(traits, -1, 0)
    columns = np.stack([scale, total, spread, mean, size], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(columns / scale[..., None])


def _errors(
    running: FloatArray, past: Replay, pool: IntArray, members: IntArray, horizon: int
) -> list[ErrorRows]:
    """Errors, traits and scale of the totals of one horizon, by pool.

    The moments lie evenly in the last year; big pools need fewer of them, so that memory holds.
    """
    over = sum(origin + horizon < running.shape[1] for origin in past.origins)
    groups: list[ErrorRows] = []
    for bucket, count in enumerate(members):
        moments = _moments(over, int(count))
        rows = pool == bucket
        if not len(moments) or not rows.any():
            groups.append(np.empty((0, _TRAITS + 2), dtype=np.float32))
            continue
        origins = np.array(past.origins, dtype=int)[moments]
        sold = running[rows][:, origins + horizon] - running[rows][:, origins]
        total = past.total(horizon, moments)[rows]
        traits = past.traits[rows][:, moments]
        with np.errstate(divide="ignore", invalid="ignore"):
            error = (sold - total) / traits[..., 0] * _widening(origins, horizon)
        found = np.concatenate(
            [error[..., None], _over_scale(total, traits), traits[..., :1]], axis=-1
        )
        found = found.reshape(-1, _TRAITS + 2)
        groups.append(found[np.isfinite(found).all(axis=1)].astype(np.float32))
    return groups


def _moments(over: int, members: int) -> IntArray:
    """Which of the first ``over`` moments to learn from."""
    last = min(over, max(_MOMENTS, -(-LEAST_ERRORS // max(members, 1))))
    count = min(last, max(_LEAST_MOMENTS, -(-_ENOUGH_ERRORS // max(members, 1))))
    return np.unique(np.linspace(over - last, over - 1, count).round().astype(np.int64))


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
        offsets = _offsets(units, total, calibration, pool)
    else:
        scale = _UNTESTED_WIDENING * np.nanstd(units, axis=1)[:, None]
        offsets = (scale * np.sqrt(steps))[..., None] * ndtri(LEVELS)
    cap = np.maximum(_CAP * _highest_totals(units, steps), total)[..., None]
    quantiles = np.clip(total[..., None] + offsets, 0.0, cap)
    quantiles = np.maximum.accumulate(quantiles, axis=2)
    return Spread(steps, _matching_sd(total, quantiles), quantiles, is_tested)


def _offsets(
    units: FloatArray, total: FloatArray, calibration: Calibration, pool: IntArray
) -> FloatArray:
    """Distance of the quantiles from the mean, shape (n, h, levels)."""
    steps = total.shape[1]
    known = np.repeat(series_traits(units)[:, None], steps, axis=1)
    traits = np.nan_to_num(_over_scale(total, known), posinf=0.0)
    scale = known[..., 0]
    below = scale * _width(traits, calibration.lower[pool][:, :steps])
    above = scale * _width(traits, calibration.upper[pool][:, :steps])
    over = calibration.quantiles[pool][:, :steps]
    return np.asarray(np.where(over < 0, below[..., None], above[..., None]) * over)


def intervals(quantiles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bounds of the 90 % intervals of many totals; see ``interval_of``.

    Args:
        quantiles: Shape (..., levels).

    Returns:
        Lower and upper bounds, each of shape (...).
    """
    low, ninety, high = (quantiles[..., LEVELS.index(level)] for level in (0.05, 0.9, 0.95))
    return low, np.where(low <= 0, ninety, high)


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
