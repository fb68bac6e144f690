"""Quantiles and losses of demand distributions, on whole arrays.

Functions take arrays (or scalars) and return arrays; ``k`` is a number of standard deviations.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import special

from tools.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Numbers = Floats | float
Flags = npt.NDArray[np.bool_]
Test = Callable[[Floats, Flags], Flags]  # units, rows of the table that they belong to
TINY = 1e-12
POISSON, NEGATIVE_BINOMIAL, NORMAL = "poisson", "negative_binomial", "normal"
SLOW_MEAN_UNITS = 10.0  # below this lead-time demand the normal is not used
SLOW_ADI = 1.32  # Syntetos-Boylan: above it demand is intermittent


def z(cycle_service_level: Numbers) -> Floats:
    """Standard normal quantile of a service level in (0, 1).

    Raises:
        InvalidInput: The level is not inside (0, 1).

    Example:
        >>> round(float(z(0.95)), 4)
        1.6449
    """
    level = np.asarray(cycle_service_level, dtype=np.float64)
    if not np.all((level > 0) & (level < 1)):
        raise InvalidInput(
            f"a service level must lie in (0, 1), got {cycle_service_level!r}",
            next_step="Give a fraction such as 0.95.",
        )
    result: Floats = special.ndtri(level)
    return result


def normal_loss(k: Numbers) -> Floats:
    """Expected shortage G(k) = phi(k) - k * (1 - Phi(k)) of a standard normal demand.

    Example:
        >>> round(float(normal_loss(1.3)), 6)
        0.045528
    """
    points = np.asarray(k, dtype=np.float64)
    density = np.exp(-0.5 * points**2) / np.sqrt(2 * np.pi)
    result: Floats = density - points * special.ndtr(-points)
    return result


def inverse_normal_loss(loss: Numbers) -> Floats:
    """The k with G(k) = loss, for loss > 0, by bisection (G falls strictly).

    Example:
        >>> round(float(inverse_normal_loss(0.045528)), 3)
        1.3
    """
    target = np.asarray(loss, dtype=np.float64)
    if not np.all(target > 0):
        raise InvalidInput(f"an expected loss must be > 0, got {loss!r}")
    low = -target - 1.0  # G(k) >= -k, so the root is right of this
    high = np.full_like(target, 12.0)
    for _ in range(60):
        middle = (low + high) / 2
        is_too_low = normal_loss(middle) > target
        low = np.where(is_too_low, middle, low)
        high = np.where(is_too_low, high, middle)
    result: Floats = (low + high) / 2
    return result


def is_discrete(demand_total: Floats, adi: Floats) -> Flags:
    """Whether slow or intermittent demand needs a count distribution instead of the normal."""
    result: Flags = (demand_total < SLOW_MEAN_UNITS) | (adi > SLOW_ADI)
    return result


def count_cdf(units: Floats, mean: Floats, variance: Floats) -> Floats:
    """P(X <= units): Poisson where variance <= mean, else negative binomial with these moments."""
    result = np.zeros(len(units))
    at_least_0 = units >= 0
    for rows, is_poisson in _split(mean, variance, at_least_0):
        above = np.floor(units[rows]) + 1
        if is_poisson:
            result[rows] = special.gammaincc(above, np.maximum(mean[rows], TINY))
        else:
            size, chance = _size_and_chance(mean[rows], variance[rows])
            result[rows] = special.betainc(size, above, chance)
    return result


def count_loss(units: Floats, mean: Floats, variance: Floats) -> Floats:
    """Expected shortage E[(X - units)+] of the same distribution as ``count_cdf``, units >= 0.

    mean * P(Y >= units) - units * P(X > units), with Y the size-biased X less one.
    """
    below = np.zeros(len(units))  # P(Y < units)
    for rows, is_poisson in _split(mean, variance, units >= 1):
        least = np.floor(units[rows])
        if is_poisson:
            below[rows] = special.gammaincc(least, np.maximum(mean[rows], TINY))
        else:
            size, chance = _size_and_chance(mean[rows], variance[rows])
            below[rows] = special.betainc(size + 1, least, chance)
    short = mean * (1 - below) - units * (1 - count_cdf(units, mean, variance))
    result: Floats = np.maximum(short, 0.0)
    return result


def count_quantile(level: Floats, mean: Floats, variance: Floats) -> Floats:
    """Smallest whole s with P(X <= s) >= level.

    Example:
        >>> one = np.ones(1)
        >>> float(count_quantile(0.95 * one, 2.5 * one, 2.5 * one)[0])
        5.0
        >>> float(count_quantile(0.95 * one, 6 * one, 24 * one)[0])
        16.0
    """
    guess = np.zeros(len(level))
    for rows, is_poisson in _split(mean, variance, np.ones(len(level), dtype=np.bool_)):
        if is_poisson:
            guess[rows] = special.pdtrik(level[rows], np.maximum(mean[rows], TINY))
        else:
            size, chance = _size_and_chance(mean[rows], variance[rows])
            guess[rows] = special.nbdtrik(level[rows], size, chance)
    # One-sided Chebyshev: P(X >= mean + t * sd) <= 1 / (1 + t * t) bounds the quantile.
    spread = np.sqrt(np.maximum(variance, mean))
    high = np.ceil(mean + spread * np.sqrt(level / (1 - level))) + 1

    def is_enough(units: Floats, rows: Flags) -> Flags:
        return count_cdf(units, mean[rows], variance[rows]) >= level[rows]

    return _smallest(is_enough, np.ceil(np.nan_to_num(guess)), high)


def count_level_for_loss(loss: Floats, mean: Floats, variance: Floats) -> Floats:
    """Smallest whole s with E[(X - s)+] <= loss, for loss > 0."""
    target = np.maximum(loss, 1e-9)
    guess = np.zeros(len(loss))
    for _ in range(6):  # Newton on log E, which falls; its slope is -P(X > s) / E
        short = np.maximum(count_loss(guess, mean, variance), TINY)
        tail = np.maximum(1 - count_cdf(guess, mean, variance), TINY)
        guess = np.maximum(np.rint(guess + short * np.log(short / target) / tail), 0)
    # Scarf: E[(X - s)+] <= variance / (4 * (s - mean)) bounds the level from above.
    high = np.ceil(mean + np.maximum(variance, mean) / (4 * target)) + 1

    def is_enough(units: Floats, rows: Flags) -> Flags:
        return count_loss(units, mean[rows], variance[rows]) <= target[rows]

    return _smallest(is_enough, np.minimum(guess, high), high)


def _smallest(is_enough: Test, guess: Floats, high: Floats) -> Floats:
    """Smallest whole number >= 0 that is enough; ``high`` is known to be.

    The guess is right or one off in most rows; the others are found by bisection.
    """
    result = guess.copy()
    rest = np.ones(len(guess), dtype=np.bool_)
    for shift in (0.0, 1.0, -1.0):
        tried = np.maximum(guess[rest] + shift, 0)
        enough = is_enough(tried, rest)
        is_found = enough & ((tried == 0) | ~is_enough(np.maximum(tried - 1, 0), rest))
        rows = np.flatnonzero(rest)[is_found]
        result[rows] = tried[is_found]
        rest[rows] = False
        if not rest.any():
            return result
    result[rest] = _bisected(is_enough, rest, high)
    return result


def _bisected(is_enough: Test, rows: Flags, high: Floats) -> Floats:
    top = high[rows]
    low = np.full_like(top, -1.0)
    while np.any(top - low > 1):
        middle = np.floor((low + top) / 2)
        enough = is_enough(middle, rows)
        is_open = top - low > 1
        top = np.where(is_open & enough, middle, top)
        low = np.where(is_open & ~enough, middle, low)
    return top


def _split(mean: Floats, variance: Floats, wanted: Flags) -> list[tuple[Flags, bool]]:
    """The wanted rows that are Poisson, and those that are negative binomial."""
    is_poisson = variance <= mean * (1 + 1e-9)
    parts = [(wanted & is_poisson, True), (wanted & ~is_poisson, False)]
    return [part for part in parts if part[0].any()]


def _size_and_chance(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Size and success chance of the negative binomial with these moments."""
    safe = np.maximum(mean, TINY)
    return safe**2 / (variance - mean), safe / variance
