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


def bias(actual: Values, forecast: Values) -> float:
    """Sum of forecast minus actual over the sum of actuals; positive is over-forecast."""
    a, f = _pair(actual, forecast)
    return _ratio((f - a).sum(), a.sum())


def tracking_signal(actual: Values, forecast: Values) -> float:
    """Sum of errors in units of the mean absolute error; beyond +-4 the forecast is off level."""
    a, f = _pair(actual, forecast)
    return _ratio((a - f).sum(), np.abs(a - f).mean())


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


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else float("nan")
