"""Measures of forecast error. Error means actual minus forecast; bias means forecast minus actual.

All functions take arrays of the same shape and return a float. A measure whose denominator is zero
is NaN: undefined is not the same as perfect.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    """Root of the mean squared error, in units.

    Example:
        >>> rmse([1, 7], [0, 0])
        5.0
    """
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


def pinball(actual: Values, quantile: Values, *, level: float) -> float:
    """Mean loss of a quantile forecast, in units; what exceeds it costs level, the rest 1 - level.

    Args:
        actual: What came.
        quantile: What was said to be exceeded with probability 1 - level.
        level: In (0, 1).

    Example:
        >>> round(pinball([10, 10], [8, 14], level=0.95), 2)
        1.05
    """
    if not 0 < level < 1:
        raise InvalidInput(f"a quantile level lies between 0 and 1, got {level!r}")
    a, q = _pair(actual, quantile)
    return float(np.maximum(level * (a - q), (level - 1) * (a - q)).mean())


def scaled_errors(
    actual: FloatArray, forecast: FloatArray, past: FloatArray, *, lag: int, power: int = 1
) -> FloatArray:
    """Errors of each series over those of repeating the past: of each its MASE, or RMSSE.

    Args:
        actual: Shape (n, h).
        forecast: Shape (n, h).
        past: Shape (n, periods): what was known, NaN before the first sale.
        lag: Periods back that the naive method looks, >= 1.
        power: 1 for absolute errors (MASE), 2 for squared ones (RMSSE).

    Returns:
        Shape (n,); NaN where the past never changed or is not longer than the lag.

    References:
        Hyndman and Koehler (2006) scale by the naive error inside the known history.

    Example:
        >>> scaled_errors(np.array([[4.0]]), np.array([[1.0]]), np.array([[1.0, 3, 5]]), lag=1)
        array([1.5])
    """
    a, f = _pair(actual, forecast)
    if past.shape[1] <= lag:
        return np.full(len(a), np.nan)
    steps = np.abs(past[:, lag:] - past[:, :-lag]) ** power
    known = np.isfinite(steps)
    walked = np.where(known, steps, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    errors = (np.abs(a - f) ** power).mean(axis=1)
    ratio = np.full(len(a), np.nan)
    np.divide(errors, walked, out=ratio, where=walked > 0)
    return np.asarray(ratio ** (1 / power))


def seasonal_naive(past: FloatArray, *, season_length: int, horizon: int) -> FloatArray:
    """Repeat the last season: the forecast that every other one has to beat.

    Periods before the first sale count as zero.

    Args:
        past: Shape (n, periods).
        season_length: Periods that are repeated, >= 1.
        horizon: Periods to forecast.

    Example:
        >>> seasonal_naive(np.array([[9.0, 1, 2]]), season_length=2, horizon=3).tolist()
        [[1.0, 2.0, 1.0]]
    """
    last = np.nan_to_num(past[:, -season_length:])
    return np.asarray(last[:, np.arange(horizon) % last.shape[1]])


@dataclass(frozen=True)
class Outcome:
    """What was said of some series, and what came; windows of one series are rows of their own.

    Attributes:
        actual: Shape (n, h): units per period.
        forecast: Shape (n, h).
        naive: Shape (n, h): of the seasonal naive method.
        past: Shape (n, periods): known at that time, NaN before the first sale.
        low: Shape (n,): lower bound of the total over the horizon.
        high: Shape (n,): its upper bound.
        quantile: Shape (n,): its quantile at ``level``.
        level: Of the quantile.
    """

    actual: FloatArray
    forecast: FloatArray
    naive: FloatArray
    past: FloatArray
    low: FloatArray
    high: FloatArray
    quantile: FloatArray
    level: float = 0.95


def joined(parts: Sequence[Outcome]) -> Outcome:
    """Join the outcomes of several windows; their pasts must be equally wide, their levels equal.

    Args:
        parts: At least one.
    """

    def column(pick: Callable[[Outcome], FloatArray]) -> FloatArray:
        return np.concatenate([pick(part) for part in parts])

    return Outcome(
        actual=column(lambda o: o.actual),
        forecast=column(lambda o: o.forecast),
        naive=column(lambda o: o.naive),
        past=column(lambda o: o.past),
        low=column(lambda o: o.low),
        high=column(lambda o: o.high),
        quantile=column(lambda o: o.quantile),
        level=parts[0].level,
    )


@dataclass(frozen=True)
class AccuracyRow:
    """Accuracy of one class or segment; None where a measure is undefined.

    Attributes:
        group: Class or segment, "all" for everything.
        series: Series in it, each window counted.
        mae: Units per period.
        rmse: Units per period.
        mape: Per period; None where something sold nothing.
        wmape: Per period.
        mase: Mean over the series.
        rmsse: Mean over the series.
        total_wmape: Of the totals over the horizon: what stock depends on.
        bias: Of the totals; positive is over-forecast.
        pinball: Of the quantile of the totals, over the mean total.
        coverage: Share of the totals inside their interval.
        naive_mase: Of the seasonal naive method.
        naive_total_wmape: Of the seasonal naive method.
    """

    group: str
    series: int
    mae: float
    rmse: float
    mape: float | None
    wmape: float | None
    mase: float | None
    rmsse: float | None
    total_wmape: float | None
    bias: float | None
    pinball: float | None
    coverage: float
    naive_mase: float | None
    naive_total_wmape: float | None


def accuracy_table(
    outcome: Outcome, groups: Sequence[str] = (), *, lag: int = 1
) -> list[AccuracyRow]:
    """Measure forecasts by class or segment, beside the seasonal naive method.

    Args:
        outcome: What was said and what came.
        groups: Class or segment of each series, shape (n,); empty for one row of everything.
        lag: Of the naive errors that scale MASE and RMSSE, periods.

    Returns:
        "all" first, then the groups in alphabetical order.

    Raises:
        InvalidInput: The arrays do not fit.
    """
    count = len(outcome.actual)
    if groups and len(groups) != count:
        raise InvalidInput(f"{len(groups)} groups for {count} series")
    names = np.asarray(groups, dtype=str)
    rows = [_row("all", outcome, np.ones(count, dtype=np.bool_), lag)]
    return rows + [_row(str(g), outcome, names == g, lag) for g in np.unique(names)]


def _row(group: str, said: Outcome, rows: npt.NDArray[np.bool_], lag: int) -> AccuracyRow:
    a, f, naive, past = (x[rows] for x in (said.actual, said.forecast, said.naive, said.past))
    total, quantile = a.sum(axis=1), said.quantile[rows]
    loss = pinball(total, quantile, level=said.level)
    return AccuracyRow(
        group=group,
        series=int(rows.sum()),
        mae=mae(a, f),
        rmse=rmse(a, f),
        mape=_defined(mape(a, f)),
        wmape=_defined(wmape(a, f)),
        mase=_mean(scaled_errors(a, f, past, lag=lag)),
        rmsse=_mean(scaled_errors(a, f, past, lag=lag, power=2)),
        total_wmape=_defined(wmape(total, f.sum(axis=1))),
        bias=_defined(bias(total, f.sum(axis=1))),
        pinball=_defined(_ratio(loss, float(total.mean()))),
        coverage=coverage(total, said.low[rows], said.high[rows]),
        naive_mase=_mean(scaled_errors(a, naive, past, lag=lag)),
        naive_total_wmape=_defined(wmape(total, naive.sum(axis=1))),
    )


def _mean(values: FloatArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _defined(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _pair(actual: Values, forecast: Values) -> tuple[FloatArray, FloatArray]:
    a, f = np.asarray(actual, dtype=float), np.asarray(forecast, dtype=float)
    if a.shape != f.shape or a.size == 0:
        raise InvalidInput(f"actual and forecast differ in shape: {a.shape!r} and {f.shape!r}")
    return a, f


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else float("nan")
