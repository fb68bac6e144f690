"""LightGBM over all series through MLForecast: median and quantiles, and what each rests on.

An extra: ``pip install 'quartermaster[ml]'``. Only the functions that fit import it.

The median is forecast step by step, each step from the one before. Quantiles never feed back:
their models use only lags that are known at the start of the forecast, so a quantile of a far step
is that of a far step. SHAP values come from LightGBM itself and add up to the forecast exactly.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tools.errors import InvalidInput
from tools.forecasting.core.features import NOTHING, FeatureTable, Known, feature_table

FloatArray = npt.NDArray[np.float64]

MEDIAN = 0.5
SEED = 20_260_302
TREES = {
    "n_estimators": 120, "learning_rate": 0.1, "num_leaves": 31, "min_child_samples": 20,
    "subsample": 0.8, "subsample_freq": 1, "colsample_bytree": 0.8, "verbosity": -1,
    "random_state": SEED, "deterministic": True, "force_row_wise": True,
    "num_threads": 1,  # two wait for each other longer than one works where others compute too
}  # fmt: skip
_REFERENCE = date(2024, 1, 7)  # a Sunday, for histories without dates
GROUPS = ("usual", "recent demand", "last year", "calendar", "holidays", "price", "promotion",
          "item", "limits")  # fmt: skip
_GROUP_OF = {
    "week": "calendar", "month": "calendar", "weekday": "calendar", "day": "calendar",
    "holidays": "holidays", "price": "price", "price_step": "price", "promotion": "promotion",
    "category": "item",
}  # fmt: skip
_YEAR_LAGS = ("lag364", "lag52", "lag12")


@dataclass(frozen=True)
class Learned:
    """Forecasts of a model over all series, in units per period.

    Attributes:
        median: Shape (n, horizon), not negative, at most the highest period of the history.
        levels: Of the quantiles, rising.
        quantiles: Shape (n, horizon, levels); ordered.
        groups: Names of the contributions, ``GROUPS``.
        contributions: Shape (n, horizon, groups); they add up to ``median``.
    """

    median: FloatArray
    levels: tuple[float, ...]
    quantiles: FloatArray
    groups: tuple[str, ...]
    contributions: FloatArray


def ml_forecasts(
    units: FloatArray,
    *,
    horizon: int,
    until: date = _REFERENCE,
    period_days: int = 1,
    known: Known = NOTHING,
) -> FloatArray:
    """Forecast a panel by the median of LightGBM, as a statistical model would.

    Args:
        units: Shape (n, periods): cleaned demand, NaN before the first sale.
        horizon: Periods to forecast, >= 1.
        until: Last day of the last period.
        period_days: 1, 7 or 30.
        known: Prices, promotions, categories and holidays, also of the periods to come.

    Returns:
        Shape (n, horizon): units per period.

    Raises:
        InvalidInput: The extra is not installed, or the values do not fit; see ``feature_table``.
        NotEnoughData: All series together hold too few periods.
    """
    return learn(units, horizon=horizon, until=until, period_days=period_days, known=known).median


def learn(
    units: FloatArray,
    *,
    horizon: int,
    until: date = _REFERENCE,
    period_days: int = 1,
    known: Known = NOTHING,
    levels: Sequence[float] = (),
) -> Learned:
    """Forecast medians, quantiles and what they rest on; arguments as in ``ml_forecasts``.

    Args:
        units: Shape (n, periods).
        horizon: Periods, >= 1.
        until: Last day of the last period.
        period_days: 1, 7 or 30.
        known: What is known beside the demand.
        levels: Quantiles to learn too, each in (0, 1).
    """
    if any(not 0 < level < 1 for level in levels):
        raise InvalidInput(f"quantile levels lie between 0 and 1, got {list(levels)!r}")
    table = feature_table(units, until=until, period_days=period_days, horizon=horizon, known=known)
    top = np.nanmax(np.where(np.isfinite(units), units, 0.0), axis=1, initial=0.0)[:, None]
    raw, contributions = _median(table, horizon)
    median = np.clip(raw, 0.0, top)
    contributions[..., GROUPS.index("limits")] += median - contributions.sum(axis=2)
    rising = tuple(sorted(levels))
    quantiles = np.clip(_quantiles(table, horizon, rising), 0.0, top[..., None])
    for k, level in enumerate(rising):  # the two kinds of model meet at the median
        bound = np.minimum if level <= MEDIAN else np.maximum
        quantiles[..., k] = bound(quantiles[..., k], median)
    quantiles = np.sort(quantiles, axis=2)
    return Learned(median, rising, quantiles, GROUPS, contributions)


def _libraries() -> tuple[Any, Any, Any]:
    """Import the extra, or say how to get it."""
    try:
        return (
            import_module("lightgbm"),
            import_module("mlforecast"),
            import_module("mlforecast.lag_transforms"),
        )
    except ImportError as error:
        raise InvalidInput(
            "the forecast model 'lightgbm' needs LightGBM and MLForecast, which are not installed",
            next_step="pip install 'quartermaster[ml]', or choose a statistical model.",
        ) from error


def _engine(table: FeatureTable, lags: Sequence[int], levels: Mapping[str, float]) -> Any:
    """MLForecast with one LightGBM per level; rolling means end at the nearest lag."""
    lightgbm, mlforecast, transforms = _libraries()
    models = {
        name: lightgbm.LGBMRegressor(objective="quantile", alpha=level, **TREES)
        for name, level in levels.items()
    }
    rolling = [transforms.RollingMean(size, min_samples=1) for size in table.windows]
    engine = mlforecast.MLForecast(
        models=models, freq=1, lags=list(lags), lag_transforms={min(lags): rolling}
    )
    with _quiet():
        return engine.fit(table.past, static_features=table.static, dropna=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Short series have no far lags; trees take that as it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found null values", category=UserWarning)
        yield


def _median(table: FeatureTable, horizon: int) -> tuple[FloatArray, FloatArray]:
    """Median, shape (n, horizon), and contributions, (n, horizon, groups), in units."""
    engine = _engine(table, table.lags, {"median": MEDIAN})
    steps: list[pd.DataFrame] = []

    def seen(features: pd.DataFrame) -> pd.DataFrame:
        steps.append(features.copy())
        return features

    with _quiet():
        answer = engine.predict(horizon, X_df=table.future, before_predict_callback=seen)
    scale = table.scale[:, None]
    median = answer["median"].to_numpy(float).reshape(-1, horizon) * scale
    booster = engine.models_["median"].booster_
    parts = [booster.predict(step, pred_contrib=True) for step in steps]
    names = [*steps[0].columns, "base"]
    grouped = np.zeros((len(median), horizon, len(GROUPS)))
    for k, name in enumerate(names):
        column = np.stack([part[:, k] for part in parts], axis=1)
        grouped[..., GROUPS.index(group_of(name))] += column * scale
    return median, grouped


def group_of(feature: str) -> str:
    """Name the group under which a feature's contribution is told.

    Example:
        >>> group_of("lag7"), group_of("lag52"), group_of("price_step"), group_of("base")
        ('recent demand', 'last year', 'price', 'usual')
    """
    if feature == "base":
        return "usual"
    if feature in _YEAR_LAGS:
        return "last year"
    return _GROUP_OF.get(feature, "recent demand")


def _quantiles(table: FeatureTable, horizon: int, levels: Sequence[float]) -> FloatArray:
    """Quantiles from lags of at least the horizon, shape (n, horizon, levels), in units."""
    if not levels:
        return np.empty((len(table.scale), horizon, 0))
    lags = sorted({max(lag, horizon) for lag in table.lags} | {horizon + table.lags[0]})
    names = {f"q{k}": level for k, level in enumerate(levels)}
    engine = _engine(table, lags, names)
    with _quiet():
        answer = engine.predict(horizon, X_df=table.future)
    columns = [answer[name].to_numpy(float).reshape(-1, horizon) for name in names]
    return np.asarray(np.stack(columns, axis=2) * table.scale[:, None, None])


def contribution_terms(learned: Learned, series: int) -> list[dict[str, Any]]:
    """Mean contribution per period of each group for one series, as terms of a picture."""
    if not 0 <= series < len(learned.median):
        raise InvalidInput(f"there is no series {series!r} among {len(learned.median)!r}")
    means = learned.contributions[series].mean(axis=0)
    return [
        {"label": name, "value": float(value)}
        for name, value in zip(learned.groups, means, strict=True)
        if name == "usual" or abs(value) > 1e-9
    ]


def contribution_sentence(learned: Learned, series: int) -> str:
    """Say what moves a series' forecast, largest first; what is shown adds up to what is shown."""
    total = float(learned.median[series].mean())
    digits = 0 if total >= 100 else 1 if total >= 1 else 2
    terms = contribution_terms(learned, series)
    shown = [(str(t["label"]), round(float(t["value"]), digits)) for t in terms]
    rest = round(round(total, digits) - sum(value for _, value in shown), digits)
    shown = [*shown, ("rounding", rest)]
    moves = sorted(shown[1:], key=lambda pair: -abs(pair[1]))
    told = ", ".join(f"{name} {value:+,.{digits}f}" for name, value in moves if value)
    usual = f"usual for its size {shown[0][1]:,.{digits}f}"
    return f"{total:,.{digits}f} a period: {usual}{', ' if told else ''}{told}."


MODELS: Mapping[str, Callable[..., FloatArray]] = {"lightgbm": ml_forecasts}
