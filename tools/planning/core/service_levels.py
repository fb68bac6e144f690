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
Test = Callable[[Floats], npt.NDArray[np.bool_]]
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


def is_discrete(demand_total: Floats, adi: Floats) -> npt.NDArray[np.bool_]:
    """Whether slow or intermittent demand needs a count distribution instead of the normal."""
    result: npt.NDArray[np.bool_] = (demand_total < SLOW_MEAN_UNITS) | (adi > SLOW_ADI)
    return result


def count_cdf(units: Floats, mean: Floats, variance: Floats) -> Floats:
    """P(X <= units): Poisson where variance <= mean, else negative binomial with these moments."""
    is_poisson, size, chance = _negative_binomial(mean, variance)
    poisson = special.gammaincc(np.floor(np.maximum(units, 0)) + 1, np.maximum(mean, 1e-12))
    lumpy = special.betainc(size, np.floor(np.maximum(units, 0)) + 1, chance)
    result: Floats = np.where(units < 0, 0.0, np.where(is_poisson, poisson, lumpy))
    return result


def count_loss(units: Floats, mean: Floats, variance: Floats) -> Floats:
    """Expected shortage E[(X - units)+] of the same distribution as ``count_cdf``."""
    is_poisson, size, chance = _negative_binomial(mean, variance)
    at_most = count_cdf(units, mean, variance)
    shifted_poisson = count_cdf(units - 1, mean, variance)
    shifted_lumpy = special.betainc(size + 1, np.maximum(np.floor(units), 1e-12), chance)
    shifted = np.where(is_poisson, shifted_poisson, np.where(units < 1, 0.0, shifted_lumpy))
    result: Floats = np.maximum(mean * (1 - shifted) - units * (1 - at_most), 0.0)
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
    spread = np.sqrt(np.maximum(variance, mean))
    # One-sided Chebyshev: P(X >= mean + t * sd) <= 1 / (1 + t * t) bounds the quantile.
    high = np.ceil(mean + spread * np.sqrt(level / (1 - level))) + 1

    def is_enough(units: Floats) -> npt.NDArray[np.bool_]:
        return count_cdf(units, mean, variance) >= level

    return _smallest(is_enough, high)


def count_level_for_loss(loss: Floats, mean: Floats, variance: Floats) -> Floats:
    """Smallest whole s with E[(X - s)+] <= loss."""
    # Scarf: E[(X - s)+] <= variance / (4 * (s - mean)) bounds the level from above.
    high = np.ceil(mean + np.maximum(variance, mean) / (4 * np.maximum(loss, 1e-9))) + 1

    def is_enough(units: Floats) -> npt.NDArray[np.bool_]:
        return count_loss(units, mean, variance) <= loss

    return _smallest(is_enough, high)


def _smallest(is_enough: Test, high: Floats) -> Floats:
    """Smallest whole number >= 0 that is enough; ``high`` is known to be."""
    low = np.full_like(high, -1.0)
    while np.any(high - low > 1):
        middle = np.floor((low + high) / 2)
        enough = is_enough(middle)
        is_open = high - low > 1
        high = np.where(is_open & enough, middle, high)
        low = np.where(is_open & ~enough, middle, low)
    return high


def _negative_binomial(
    mean: Floats, variance: Floats
) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Where Poisson applies, and size and success chance of the negative binomial elsewhere."""
    is_poisson = variance <= mean * (1 + 1e-9)
    excess = np.where(is_poisson, 1.0, variance - mean)
    safe_mean = np.maximum(mean, 1e-12)
    size = np.where(is_poisson, 1.0, safe_mean**2 / excess)
    chance = np.where(is_poisson, 0.5, safe_mean / np.where(is_poisson, 1.0, variance))
    return is_poisson, size, chance
