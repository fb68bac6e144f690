"""Measures of forecast error. Error means actual minus forecast; bias means forecast minus actual.

All functions take arrays of the same shape and return a float. A measure whose denominator is zero
is NaN: undefined is not the same as perfect.
"""

import numpy as np
import numpy.typing as npt

from tools.errors import InvalidInput

Values = npt.ArrayLike
FloatArray = npt.NDArray[np.float64]
ALARM = 4.0  # of the tracking signal, either sign


def mae(actual: Values, forecast: Values) -> float:
    """Mean absolute error (MAD), in units.

    Example:
        >>> mae([100, 120], [110, 115])
        7.5
    """
    a, f = _pair(actual, forecast)
    return float(np.abs(a - f).mean())


def rmse(actual: Values, forecast: Values) -> float:
    """Root of the mean squared error, in units."""
    a, f = _pair(actual, forecast)
    return float(np.sqrt(((a - f) ** 2).mean()))


def mape(actual: Values, forecast: Values) -> float:
    """Mean of the relative errors; NaN when an actual is zero. Not for intermittent demand."""
    a, f = _pair(actual, forecast)
    return float("nan") if (a == 0).any() else float(np.abs((a - f) / a).mean())


def wmape(actual: Values, forecast: Values) -> float:
    """Sum of absolute errors over the sum of actuals.

    Example:
        >>> round(wmape([1000, 10], [950, 25]), 4)
        0.0644
    """
    a, f = _pair(actual, forecast)
    return _ratio(np.abs(a - f).sum(), a.sum())


def smape(actual: Values, forecast: Values) -> float:
    """Mean of 2|a - f| / (|a| + |f|), in [0, 2]; a pair of zeros counts as no error."""
    a, f = _pair(actual, forecast)
    size = np.abs(a) + np.abs(f)
    return float(np.where(size > 0, 2 * np.abs(a - f) / np.where(size > 0, size, 1), 0.0).mean())


def mase(actual: Values, forecast: Values, *, history: Values, season_length: int = 1) -> float:
    """Mean absolute error in units of the seasonal naive method's error on the history.

    References:
        Hyndman and Athanasopoulos, Forecasting: Principles and Practice, scaled errors.
    """
    return _ratio(mae(actual, forecast), np.abs(_seasonal_steps(history, season_length)).mean())


def rmsse(actual: Values, forecast: Values, *, history: Values, season_length: int = 1) -> float:
    """Like ``mase`` with squared errors; it punishes missing a level, not missing zeros."""
    a, f = _pair(actual, forecast)
    base = (_seasonal_steps(history, season_length) ** 2).mean()
    return float(np.sqrt(_ratio(((a - f) ** 2).mean(), base)))


def bias(actual: Values, forecast: Values) -> float:
    """Sum of forecast minus actual over the sum of actuals; positive is over-forecast."""
    a, f = _pair(actual, forecast)
    return _ratio((f - a).sum(), a.sum())


def tracking_signal(actual: Values, forecast: Values) -> float:
    """Sum of errors in units of the mean absolute error; beyond +-4 the forecast is off level."""
    a, f = _pair(actual, forecast)
    return _ratio((a - f).sum(), np.abs(a - f).mean())


def pinball(actual: Values, quantile: Values, *, level: float) -> float:
    """Mean pinball loss of a quantile forecast, in units; level in (0, 1)."""
    if not 0 < level < 1:
        raise InvalidInput(f"a quantile level lies between 0 and 1, got {level!r}")
    a, q = _pair(actual, quantile)
    return float(np.maximum(level * (a - q), (level - 1) * (a - q)).mean())


def coverage(actual: Values, low: Values, high: Values) -> float:
    """Share of actuals inside [low, high]."""
    a, bottom = _pair(actual, low)
    _, top = _pair(actual, high)
    return float(((a >= bottom) & (a <= top)).mean())


def _pair(actual: Values, forecast: Values) -> tuple[FloatArray, FloatArray]:
    a, f = np.asarray(actual, dtype=float), np.asarray(forecast, dtype=float)
    if a.shape != f.shape or a.size == 0:
        raise InvalidInput(f"actual and forecast differ in shape: {a.shape!r} and {f.shape!r}")
    return a, f


def _seasonal_steps(history: Values, season_length: int) -> FloatArray:
    past = np.asarray(history, dtype=float)
    if len(past) <= season_length:
        raise InvalidInput(f"a history of {len(past)!r} periods has no season of {season_length!r}")
    return np.asarray(past[season_length:] - past[:-season_length])


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else float("nan")
