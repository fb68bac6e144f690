"""Accuracy of forecast models where it matters for stock: totals over the lead time, out of sample.

Each model forecasts from past moments (origins) of the test period, with what was known then. Its
interval comes from its own errors at earlier origins, pooled over the series in units of their
scale; our default brings its own calibrated interval, the one that production stores.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.backtest.core.history import History
from tools.forecasting.core import accuracy, methods, totals
from tools.forecasting.core.batch import forecast_panel

FloatArray = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

OURS, AVERAGE = "default", "average_30"
NAMES = {
    OURS: "our default",
    AVERAGE: "30-day average",
    "seasonal_naive": "seasonal naive",
    "ses": "exponential smoothing",
    "imapa": "IMAPA",
    "tsb": "TSB",
    "theta": "DynamicOptimizedTheta",
    "ets": "AutoETS",
}
SINGLES = ("seasonal_naive", "ses", "imapa", "tsb", "theta", "ets")
SLOW, MOST_FOR_SLOW = ("ets",), 60  # a tenth of a second a fit: for so many series at most
MOST_WINDOWS, CALIBRATION_WINDOWS = 6, 3
FITS = 900  # series times windows that keep the measurement within a few minutes
LEVELS = (0.05, 0.95)
HORIZONS = tuple(days for days in totals.HORIZON_DAYS if days % 7 == 0)
_LEAST_ERRORS = 20
_SCALE_PERIODS = 180


@dataclass(frozen=True)
class ModelScore:
    """Accuracy of one model over all series and windows.

    Attributes:
        key: Name in JSON.
        name: Name in tables.
        wmape: Absolute errors of the totals over what was sold.
        mase: Error per period over that of the seasonal naive method, mean of the series.
        bias: Of the totals; positive is over-forecast.
        pinball: Pinball loss of the 95 % quantile of the totals over what was sold.
        coverage: Share of totals inside the 90 % interval.
    """

    key: str
    name: str
    wmape: float
    mase: float
    bias: float
    pinball: float
    coverage: float


@dataclass(frozen=True)
class Measured:
    """The accuracy table and how it was made.

    Attributes:
        horizon_days: Length of a total.
        windows: Origins in the test period.
        scores: Best WMAPE first.
        left_out: Models that were not fitted, and why.
    """

    horizon_days: int
    windows: int
    scores: tuple[ModelScore, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Said:
    """What a model said at one origin: means per period (n, h) and, for ours, quantiles (n, 2)."""

    mean: FloatArray
    quantiles: FloatArray | None = None


def horizon_of(history: History, review_days: float) -> int:
    """Days of a total: the calibrated length nearest to lead time and review, within the test.

    Example:
        >>> HORIZONS[:4]
        (7, 14, 21, 28)
    """
    wanted = float(np.median(history.lead_time_days)) + review_days
    most = history.test * history.panel.period_days
    possible = [days for days in HORIZONS if days <= most] or [HORIZONS[0]]
    return min(possible, key=lambda days: abs(days - wanted))


def origins(history: History, *, horizon: int) -> tuple[list[int], list[int]]:
    """Known periods at each calibration window and at each test window.

    Args:
        history: Chosen series.
        horizon: Periods of a window; windows do not overlap.
    """
    most = max(2, min(MOST_WINDOWS, FITS // max(len(history.skus), 1)))
    count = max(1, min(most, history.test // horizon))
    last = history.training + history.test - horizon
    tested = np.unique(np.linspace(history.training, last, count).round().astype(int)).tolist()
    least = 2 * methods.DAILY.least if history.panel.grain == "D" else 2 * methods.WEEKLY.least
    before = [history.training - horizon * k for k in range(CALIBRATION_WINDOWS, 0, -1)]
    return [origin for origin in before if origin >= least], tested


def measure(history: History, *, review_days: float, progress: Progress | None = None) -> Measured:
    """Score the models on the test period of a history.

    Args:
        history: Chosen series.
        review_days: Days between reviews; with the lead time it is the horizon.
        progress: Called with (windows done, windows in all).
    """
    days = horizon_of(history, review_days)
    horizon = days // history.panel.period_days
    warm, tested = origins(history, horizon=horizon)
    slow = SLOW if len(history.skus) > MOST_FOR_SLOW else ()
    singles = tuple(name for name in SINGLES if name in methods.MODELS and name not in slow)
    said: dict[int, dict[str, _Said]] = {}
    for done, origin in enumerate([*warm, *tested]):
        if progress is not None:
            progress(done, len(warm) + len(tested))
        said[origin] = _forecast(history, origin, horizon, singles, ours=origin in tested)
    keys = [OURS, AVERAGE, *singles]
    scores = [_score(history, key, said, warm, tested, horizon) for key in keys]
    if progress is not None:
        progress(1, 1)
    left_out = tuple(f"{NAMES[name]}: too slow for {len(history.skus)} items" for name in slow)
    ranked = sorted(scores, key=lambda score: (np.isnan(score.wmape), score.wmape))
    return Measured(days, len(tested), tuple(ranked), left_out)


def _forecast(
    history: History, origin: int, horizon: int, singles: tuple[str, ...], *, ours: bool
) -> dict[str, _Said]:
    past = history.panel.units[:, :origin]
    # A series that had not sold yet is a row of zeros here and does not count in the scores.
    past = np.where(np.isfinite(past).any(axis=1, keepdims=True), past, 0.0)
    season = methods.season_of(period_days=history.panel.period_days, periods=origin)
    members = methods.member_forecasts(past, horizon=horizon, models=singles, season=season)
    top = np.nanmax(past, axis=1)[:, None]
    answer = {
        name: _Said(np.minimum(member, top)) for name, member in zip(singles, members, strict=True)
    }
    window = max(1, round(30 / history.panel.period_days))
    mean = np.nanmean(past[:, -window:], axis=1)
    answer[AVERAGE] = _Said(np.repeat(mean[:, None], horizon, axis=1))
    if ours:
        answer[OURS] = _ours(history, origin, horizon)
    return answer


def _ours(history: History, origin: int, horizon: int) -> _Said:
    """What the production batch would have stored at this moment."""
    step = history.panel.period_days
    batch = forecast_panel(history.known(origin), horizon_days=horizon * step)
    at = int(np.argmin(np.abs(np.asarray(batch.total_days) - horizon * step)))
    chosen = [totals.LEVELS.index(level) for level in LEVELS]
    per_period = batch.mean.reshape(len(history.skus), horizon, step).sum(axis=2)
    return _Said(per_period, batch.total_quantiles[:, at, chosen])


def _score(
    history: History, key: str, said: dict[int, dict[str, _Said]], warm: list[int],
    tested: list[int], horizon: int,
) -> ModelScore:  # fmt: skip
    units = history.panel.units
    season = methods.season_of(period_days=history.panel.period_days, periods=units.shape[1])
    sold, mean, bounds, scaled = [], [], [], []
    errors = [_scaled_errors(units, said[o][key], o, horizon) for o in warm if key in said[o]]
    for origin in tested:
        actual = units[:, origin : origin + horizon]
        answer = said[origin][key]
        total = answer.mean.sum(axis=1)
        bounds.append(
            answer.quantiles if answer.quantiles is not None
            else _bounds(total, scale_of(units[:, :origin]), errors)
        )  # fmt: skip
        sold.append(actual.sum(axis=1))
        mean.append(total)
        scaled.append(_scaled(actual, answer.mean, units[:, :origin], season.length))
        errors.append(_scaled_errors(units, answer, origin, horizon))
    a, f, b = np.concatenate(sold), np.concatenate(mean), np.concatenate(bounds)
    return ModelScore(
        key=key,
        name=NAMES[key],
        wmape=accuracy.wmape(a, f),
        mase=_mean_of_known(np.concatenate(scaled)),
        bias=accuracy.bias(a, f),
        pinball=pinball_share(a, b[:, 1], level=LEVELS[1]),
        coverage=accuracy.coverage(a, b[:, 0], b[:, 1]),
    )


def _mean_of_known(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _scaled_errors(units: FloatArray, said: _Said, origin: int, horizon: int) -> FloatArray:
    """Errors of totals in units of each series' scale; unknown ones left out."""
    actual = units[:, origin : origin + horizon].sum(axis=1)  # NaN before the first sale
    known = np.isfinite(units[:, :origin]).sum(axis=1) >= horizon
    scale = scale_of(units[:, :origin])
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = (actual - said.mean.sum(axis=1)) / scale
    return np.asarray(errors[known & np.isfinite(errors)])


def scale_of(past: FloatArray) -> FloatArray:
    """Size by which the errors of different series become comparable, shape (n,).

    The geometric mean of level and spread of the last half year: the level alone is too wide for
    big steady series, the spread alone too narrow for quiet ones that wake up.

    Args:
        past: Shape (n, periods), NaN before the first sale.

    Example:
        >>> scale_of(np.array([[3.0, 5.0, 3.0, 5.0]])).tolist()
        [2.0]
    """
    recent = past[:, -_SCALE_PERIODS:]
    known = np.isfinite(recent)
    count = np.maximum(known.sum(axis=1), 1)
    values = np.where(known, recent, 0.0)
    mean = values.sum(axis=1) / count
    spread = np.sqrt(np.where(known, (values - mean[:, None]) ** 2, 0.0).sum(axis=1) / count)
    return np.asarray(np.sqrt(mean * spread))


def _bounds(total: FloatArray, scale: FloatArray, errors: list[FloatArray]) -> FloatArray:
    """5 % and 95 % bounds of totals from the errors of earlier origins."""
    known = np.concatenate(errors) if errors else np.empty(0)
    if len(known) < _LEAST_ERRORS:
        return np.full((len(total), 2), np.nan)
    low, high = np.quantile(known, LEVELS)
    return np.stack([np.maximum(total + low * scale, 0.0), total + high * scale], axis=1)


def _scaled(actual: FloatArray, forecast: FloatArray, past: FloatArray, lag: int) -> FloatArray:
    """Mean absolute error per period over that of the seasonal naive method on the past."""
    lag = min(lag, past.shape[1] - 1)
    steps = np.abs(past[:, lag:] - past[:, :-lag])
    known = np.isfinite(steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        naive = np.where(known, steps, 0.0).sum(axis=1) / known.sum(axis=1)
        return np.where(naive > 0, np.abs(actual - forecast).mean(axis=1) / naive, np.nan)


def pinball_share(actual: FloatArray, quantile: FloatArray, *, level: float) -> float:
    """Pinball loss of a quantile over the sum of actuals; NaN where a quantile is unknown.

    Args:
        actual: What came.
        quantile: What was said to be exceeded with chance ``1 - level``.
        level: In (0, 1).

    Example:
        >>> pinball_share(np.array([100.0, 100.0]), np.array([90.0, 120.0]), level=0.95)
        0.0525
    """
    if not np.isfinite(quantile).all() or not actual.sum():
        return float("nan")
    above = actual - quantile
    return float(np.maximum(level * above, (level - 1) * above).sum() / actual.sum())
