"""Answers about a total from the figures that are stored with a forecast: any period, any level."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri  # the normal quantile, without the weight of scipy.stats

from tools.errors import InvalidInput


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


def interval_of(quantile: Callable[[float], float], *, level: float) -> tuple[float, float]:
    """Bounds between which a total lies with probability ``level``.

    Equal tails, unless nothing at all may be sold: then zero is the lower bound, no demand lies
    below it, and the whole rest of the probability lies above. With equal tails an interval of 90 %
    would hold 95 % of the totals of slow movers, and be that much too wide.

    Args:
        quantile: Gives the quantile of the total at a level.
        level: In (0, 1).

    Example:
        >>> interval_of(lambda at: 10 + 20 * at, level=0.9)
        (11.0, 29.0)
        >>> interval_of(lambda at: max(0.0, 100 * (at - 0.5)), level=0.9)
        (0.0, 40.0)
    """
    low = quantile((1 - level) / 2)
    return low, quantile(level) if low <= 0 else quantile((1 + level) / 2)


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
