"""Back-test of a whole panel at once: what simple methods would have said at many past moments.

Refitting every model at dozens of origins would cost dozens of batch runs. Most members of the
default combination (moving averages, seasonal averages, the naive ones) have closed forms that
replay for all series and origins in one pass of array operations; smoothing with the best of five
constants stands for the others (Theta, CES, IMAPA, TSB), which follow the same level. The errors of
their median are close to those of the combination itself: intervals from them cover what they
promise (measured in the tests, in ``bench/planning.py`` and in ``bench/accuracy.py``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.forecasting.core.methods import Season, usual

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

ALPHAS = np.array([0.05, 0.1, 0.2, 0.3, 0.5])
SCALE_PERIODS = 180
MOST_ORIGINS = 52
_LEVEL_SHARE = 0.05  # least scale, as a share of the mean


@dataclass(frozen=True)
class Replay:
    """What would have been forecast at past moments.

    Attributes:
        origins: Shape (o,): periods known at each moment.
        cycle: Shape (n, o, length): forecast per period, which repeats after its last entry; NaN
            where the history was too short. Storing one season instead of a horizon keeps a
            catalogue of a hundred thousand series in memory.
        traits: Shape (n, o, 4): what was known then of each series; see ``series_traits``.
    """

    origins: tuple[int, ...]
    cycle: FloatArray
    traits: FloatArray

    @property
    def scale(self) -> FloatArray:
        """Scale of each series as it was known then, shape (n, o)."""
        return np.asarray(self.traits[..., 0])

    def per_period(self, horizon: int, moments: slice) -> FloatArray:
        """Forecasts of the next periods, shape (n, moments, horizon)."""
        phase = np.arange(horizon) % self.cycle.shape[2]
        return np.asarray(self.cycle[:, moments][:, :, phase])

    def total(self, horizon: int, moments: slice | npt.NDArray[np.int64]) -> FloatArray:
        """Forecasts of the total of the next periods, shape (n, moments)."""
        seasons, rest = divmod(horizon, self.cycle.shape[2])
        part = self.cycle[:, moments]
        return np.asarray(seasons * part.sum(axis=2) + part[:, :, :rest].sum(axis=2))


def origins_of(periods: int, *, season: Season) -> tuple[int, ...]:
    """Moments to replay: every week (every period of weekly data), the last 52 of them."""
    step = season.length if season.length == 7 else 1
    first = 2 * season.least
    return tuple(range(periods - 1, first - 1, -step)[:MOST_ORIGINS][::-1])


def replay(units: FloatArray, *, origins: Sequence[int], season: Season) -> Replay:
    """Forecast a panel at past moments by the median of five simple methods.

    Args:
        units: Shape (n, periods), NaN before the first sale.
        origins: Numbers of known periods, increasing.
        season: Lengths in periods.
    """
    level = _smoothed_levels(units, origins)
    cycle = np.empty((len(units), len(origins), season.length))
    traits = np.empty((len(units), len(origins), 4))
    for k, origin in enumerate(origins):
        past = units[:, :origin]
        cycle[:, k] = _median_of_five(*_members(past, level[:, k, None], season))
        cycle[np.isfinite(past).sum(axis=1) < 2 * season.least, k] = np.nan
        traits[:, k] = series_traits(past)
    return Replay(tuple(origins), cycle, traits)


def _members(past: FloatArray, level: FloatArray, season: Season) -> list[FloatArray]:
    """Forecast a season by the stand-ins of the five models of the usual combination."""
    forms: dict[str, Callable[[], FloatArray]] = {
        "naive": lambda: past[:, -1:],
        "window": lambda: _window_mean(past, season.window),
        "long_window": lambda: _window_mean(past, season.long_window),
        "seasonal_naive": lambda: _seasonal_mean(past, season.length, 1),
        "seasonal_window": lambda: _seasonal_mean(past, season.length, season.seasons),
    }
    members = []
    for name in usual(season):
        member = forms[name]() if name in forms else level
        members.append(np.where(np.isfinite(member), member, level))
    return members


def series_scale(units: FloatArray) -> FloatArray:
    """Size by which errors of different series become comparable; see ``series_traits``."""
    return np.asarray(series_traits(units)[:, 0])


def series_traits(units: FloatArray) -> FloatArray:
    """Scale, spread, mean and usual size of a sale of each series in the last half year.

    The scale is the geometric mean of level and spread: scaling errors by the level alone is too
    wide for big steady series, by the spread alone too narrow for quiet ones that wake up.

    Args:
        units: Shape (n, periods), NaN before the first sale.

    Returns:
        Shape (n, 4), >= 0: scale, standard deviation, mean, mean of the periods with a sale. The
        scale is 0 only for a series without demand in the window.
    """
    recent = units[:, -SCALE_PERIODS:]
    known = np.isfinite(recent)
    count = np.maximum(known.sum(axis=1), 1)
    values = np.where(known, recent, 0.0)
    total = values.sum(axis=1)
    mean = total / count
    spread = np.sqrt(np.where(known, (values - mean[:, None]) ** 2, 0.0).sum(axis=1) / count)
    scale = np.maximum(np.sqrt(mean * spread), _LEVEL_SHARE * mean)
    size = total / np.maximum((values > 0).sum(axis=1), 1)
    return np.stack([scale, spread, mean, size], axis=1)


@dataclass(frozen=True)
class SeriesAccuracy:
    """Accuracy of the replayed forecasts of each series, shape (n,); NaN where undefined."""

    wmape: FloatArray
    bias: FloatArray
    mase: FloatArray


def replayed_accuracy(
    units: FloatArray, past: Replay, *, horizon: int, season: Season
) -> SeriesAccuracy:
    """Measure past forecasts: WMAPE and bias of totals over the horizon, MASE per period.

    Args:
        units: Shape (n, periods).
        past: Replayed forecasts.
        horizon: Periods of a total.
        season: Its length is the lag of the naive method in MASE.
    """
    origins = [o for o in past.origins if o + horizon <= units.shape[1]]
    undefined = np.full(len(units), np.nan)
    if not origins or units.shape[1] <= season.length:
        return SeriesAccuracy(undefined, undefined, undefined)
    said = past.per_period(horizon, slice(len(origins)))
    sold = np.stack([units[:, o : o + horizon] for o in origins], axis=1)
    known = np.isfinite(said) & np.isfinite(sold)
    difference = np.where(known, said - sold, 0.0)
    total = np.where(known, sold, 0.0).sum(axis=(1, 2))
    steps = np.abs(units[:, season.length :] - units[:, : -season.length])
    walked = np.isfinite(steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        naive = np.where(walked, steps, 0.0).sum(axis=1) / walked.sum(axis=1)
        answer = (
            np.abs(difference.sum(axis=2)).sum(axis=1) / total,
            difference.sum(axis=(1, 2)) / total,
            np.abs(difference).sum(axis=(1, 2)) / known.sum(axis=(1, 2)) / naive,
        )
    return SeriesAccuracy(*(np.where(np.isfinite(v), v, np.nan) for v in answer))


def _smoothed_levels(units: FloatArray, origins: Sequence[int]) -> FloatArray:
    """Level of exponential smoothing at each origin, with the alpha that was best until then."""
    n = len(units)
    level, loss = np.zeros((n, len(ALPHAS))), np.zeros((n, len(ALPHAS)))
    started = np.zeros(n, dtype=np.bool_)
    answer = np.full((n, len(origins)), np.nan)
    column = {origin: k for k, origin in enumerate(origins)}
    rows = np.arange(n)
    for period in range(max(origins, default=-1) + 1):
        if period in column:
            answer[:, column[period]] = level[rows, loss.argmin(axis=1)]
        if period == units.shape[1]:
            break
        value = units[:, period]
        known = np.isfinite(value)
        level[known & ~started] = value[known & ~started, None]
        started |= known
        error = np.where(known[:, None], value[:, None] - level, 0.0)
        loss += error * error
        level += ALPHAS * error
    return answer


def _window_mean(past: FloatArray, window: int) -> FloatArray:
    recent = past[:, -window:]
    known = np.isfinite(recent)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, recent, 0.0).sum(axis=1) / known.sum(axis=1)
    return np.asarray(mean)[:, None]


def _seasonal_mean(past: FloatArray, length: int, seasons: int) -> FloatArray:
    """Mean of each phase over the last seasons, (n, length); NaN where they are not all known."""
    span = length * seasons
    if past.shape[1] < span:
        return np.full((len(past), length), np.nan)
    return np.asarray(past[:, -span:].reshape(len(past), seasons, length).mean(axis=1))


def _median_of_five(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, e: FloatArray
) -> FloatArray:
    """Middle value, by comparisons: sorting would take most of the time of the replay."""
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.asarray(np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e)))
