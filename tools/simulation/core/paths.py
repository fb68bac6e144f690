"""Demand paths from stored forecasts: days whose totals have the calibrated spread.

A forecast says what a day brings on average and how far the *total* of h days can be off. The
squared error of the total is split in two parts:

* noise of the days, independent from day to day, which grows in proportion to the total. Its rate
  is the smallest at which the squared error ever grows, so that nothing is left over negative;
* the level, one draw per path: the whole path runs above or below the forecast. It takes what the
  noise leaves, so mean and standard deviation of the total are those of the forecast at every
  stored horizon, and in between the squared error grows with the total.

The level is gamma distributed, never below zero and skewed to the right like demand, and its
standard deviation is at most twice its mean: beyond that the paths keep the forecast's mean and
have less spread than it says. A day is
negative binomial around it (whole units, many zeros where demand is rare); large or calm days,
for which a count says nothing more, are a rounded gamma.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv

from tools.errors import InvalidInput

Floats = npt.NDArray[np.float64]
_LARGE = 5.0  # units a day; from there on a rounded gamma is as good as a count, and faster
_WIDEST = 2.0  # standard deviations of the level over its mean; a wider one is nearly always zero
_ROUNDED = 1 / 6  # variance of rounding up or down by chance, units squared


def demand_paths(
    mean: Floats,
    horizons: Floats,
    total_sd: Floats,
    *,
    paths: int,
    rng: np.random.Generator,
) -> Floats:
    """Draw daily demand.

    Args:
        mean: Units a day, shape (n, T), >= 0.
        horizons: Days of the totals, increasing, >= 1, shape (h,).
        total_sd: Standard deviation of the error of the total of these days, shape (n, h), >= 0.
        paths: p.
        rng: Generator.

    Returns:
        Whole units, shape (n, p, T).

    Raises:
        InvalidInput: Shapes do not fit, or a value is negative or not a number.

    Example:
        >>> flat = np.full((1, 28), 100.0)
        >>> drawn = demand_paths(flat, np.array([1, 28]), np.array([[20.0, 300.0]]), paths=4000,
        ...                      rng=np.random.default_rng(1))
        >>> bool(abs(drawn.sum(axis=2).mean() / 2800 - 1) < 0.01)
        True
        >>> bool(abs(drawn.sum(axis=2).std() / 300 - 1) < 0.05)
        True
    """
    _check(mean, horizons, total_sd, paths)
    running = np.cumsum(mean, axis=1)
    noise_rate, level_sd = _split(mean, running, horizons, total_sd)
    total = running[:, -1]
    # the level's draw in standard deviations: above -1 / variation, mean 0, variance 1
    known = np.where(running > 0, running, 1.0)
    variation = np.max(np.where(running > 0, level_sd / known, 0.0), axis=1)
    drawn = _levels(variation, paths, rng)
    steps = np.diff(level_sd, axis=1, prepend=0.0)
    answer = np.empty((mean.shape[1], len(mean), paths))  # a day is contiguous
    for day in range(mean.shape[1]):
        middle = np.maximum(mean[:, day, None] + steps[:, day, None] * drawn, 0.0)
        # what was cut off below zero must not lift the forecast
        middle *= (mean[:, day] / np.maximum(middle.mean(axis=1), 1e-12))[:, None]
        answer[day] = _days(middle, noise_rate, rng)
    answer[:, total <= 0] = 0.0
    return np.moveaxis(answer, 0, -1)


def _split(
    mean: Floats, running: Floats, horizons: Floats, total_sd: Floats
) -> tuple[Floats, Floats]:
    """Noise per unit of demand, shape (n,), and the level's sd of the total by day, (n, T)."""
    n, days = mean.shape
    variance = np.empty((n, days))
    noise_rate = np.empty(n)
    inside = horizons <= days
    for row in range(n):
        nodes, at = _nodes(running[row], horizons, total_sd[row], inside)
        variance[row] = np.interp(running[row], nodes, at)
        gain = np.diff(at) / np.maximum(np.diff(nodes), 1e-12)
        noise_rate[row] = gain[np.diff(nodes) > 0].min(initial=np.inf)
    noise_rate = np.where(np.isfinite(noise_rate), np.maximum(noise_rate, 0.0), 0.0)
    left = np.maximum(variance - noise_rate[:, None] * running, 0.0)
    return noise_rate, np.sqrt(np.maximum.accumulate(left, axis=1))


def _nodes(
    running: Floats, horizons: Floats, total_sd: Floats, inside: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Expected totals and squared errors at the stored horizons, from 0 to the last day."""
    days = len(running)
    sd = np.maximum.accumulate(total_sd)
    at_end = _on_root(horizons, sd, days)
    totals = np.append(running[horizons[inside].astype(int) - 1], running[-1])
    squares = np.append(sd[inside] ** 2, max(at_end, *sd[inside], 0.0) ** 2)
    # nothing is expected before the first day with demand, so nothing can be off
    is_sold = totals > 0
    return np.append(0.0, totals[is_sold]), np.append(0.0, squares[is_sold])


def _on_root(horizons: Floats, sd: Floats, days: int) -> float:
    """Read a spread off on the square root of time, as stored forecasts are read."""
    roots, root = np.sqrt(horizons), float(days) ** 0.5
    if root >= roots[-1]:
        return float(sd[-1] * root / roots[-1])
    return float(np.interp(root, np.append(0.0, roots), np.append(0.0, sd)))


def _levels(variation: Floats, paths: int, rng: np.random.Generator) -> Floats:
    """Gamma draws with mean 0 and variance 1, shape (n, p), not below -1 / variation.

    The ranks of a row are spread evenly over its paths, in an order of its own, so that a few paths
    already have the right mean and spread.
    """
    safe = np.clip(variation, 1e-6, _WIDEST)
    ranks = np.tile(np.arange(paths, dtype=np.float64), (len(safe), 1))
    ranks = (rng.permuted(ranks, axis=1) + rng.random(ranks.shape)) / paths
    shape = (1 / safe**2)[:, None]
    level = gammaincinv(shape, ranks) / shape
    level /= level.mean(axis=1, keepdims=True)
    result: Floats = np.where(variation[:, None] > 1e-6, (level - 1) / safe[:, None], 0.0)
    return result


def _days(middle: Floats, rate: Floats, rng: np.random.Generator) -> Floats:
    """Draw days around ``middle`` (n, p) with variance rate * middle, whole units, not negative.

    Args:
        middle: Expected units, shape (n, p).
        rate: Variance over mean, shape (n,).
        rng: Generator.
    """
    answer = np.zeros(middle.shape)
    is_count = (middle.mean(axis=1) < _LARGE) & (rate > 1)
    counted = np.flatnonzero(is_count)
    if len(counted):
        # negative binomial: a Poisson count around a gamma level of variance (rate - 1) * middle
        extra = np.maximum(rate[counted] - 1, 1e-6)[:, None]
        answer[counted] = rng.poisson(_gamma(middle[counted], extra, rng))
    rounded = np.flatnonzero(~is_count)
    if len(rounded):
        # rounding up or down by chance adds f * (1 - f), a sixth on average
        mean = np.maximum(middle[rounded].mean(axis=1), 1e-12)
        scale = np.maximum(rate[rounded] - np.minimum(_ROUNDED / mean, rate[rounded]), 1e-6)
        drawn = _gamma(middle[rounded], scale[:, None], rng)
        answer[rounded] = np.floor(drawn + rng.random(drawn.shape, dtype=np.float32))
    return answer


def _gamma(mean: Floats, scale: Floats, rng: np.random.Generator) -> Floats:
    """Gamma draws with variance scale * mean; 0 where the mean is."""
    shape = (mean / scale).astype(np.float32)
    return np.asarray(rng.standard_gamma(shape, dtype=np.float32) * scale, dtype=np.float64)


def _check(mean: Floats, horizons: Floats, total_sd: Floats, paths: int) -> None:
    if paths < 1:
        raise InvalidInput(f"a simulation needs at least one path, got {paths!r}")
    if mean.ndim != 2 or total_sd.shape != (len(mean), len(horizons)):
        raise InvalidInput(
            f"{total_sd.shape!r} spreads do not fit {mean.shape!r} means and "
            f"{len(horizons)} horizons"
        )
    if not (np.all(mean >= 0) and np.all(total_sd >= 0)):
        raise InvalidInput("means and spreads of demand must be numbers >= 0")
    if len(horizons) == 0 or horizons[0] < 1 or np.any(np.diff(horizons) <= 0):
        raise InvalidInput(f"horizons must increase from 1 day on, got {list(horizons)!r}")


def changed_demand(demand: Floats, factor: Floats, rng: np.random.Generator) -> Floats:
    """Give the same paths with more or less demand on some days, in whole units on average.

    Args:
        demand: Units, shape (n, p, T).
        factor: Of each day, shape (T,) or (n, T), >= 0.
        rng: Generator of the rounding, apart from that of the demand.

    Returns:
        Shape (n, p, T): days with a factor of 1 are as they were.
    """
    scale = np.broadcast_to(factor, (demand.shape[0], demand.shape[2]))
    touched = np.flatnonzero(np.any(scale != 1, axis=0))
    answer = np.moveaxis(np.moveaxis(demand, -1, 0).copy(), 0, -1)
    for day in touched:
        exact = demand[:, :, day] * scale[:, day, None]
        answer[:, :, day] = np.floor(exact + rng.random(exact.shape))
    return answer
