"""Forecast methods: StatsForecast's models behind one signature, and their combination.

The default is the median of five cheap models. On three real data sets it beats the best single
model, and a champion picked per series by cross-validation lost to it everywhere.
StatsForecast takes seconds to import, so only the functions that fit models import it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from db.types import DemandClass
from tools.errors import InvalidInput
from tools.forecasting.core.library import MODELS as MODELS

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

AVERAGES = ("ses", "window", "long_window", "seasonal_window")
STEADY = (*AVERAGES, "theta")
RARE = (*AVERAGES, "tsb")
YEARLY = ("window", "seasonal_window", "seasonal_naive", "naive", "ces")
MONTHLY_YEARLY = ("imapa", "window", "long_window", "seasonal_window", "ces")
SHORT = ("ses", "imapa", "window", "long_window", "theta")
SHORT_RARE = ("ses", "imapa", "window", "long_window", "tsb")
FLOOR = ("mean",)
RARE_ADI = 4.0  # periods between sales from which the level is too thin for Theta to follow


@dataclass(frozen=True)
class Season:
    """Lengths that the models need, in periods.

    Attributes:
        length: Periods in a season; 1 for none.
        window: Periods of the moving average.
        seasons: Seasons that the seasonal average looks back.
        least: Shorter histories get no model, only their mean.
    """

    length: int
    window: int
    seasons: int
    least: int

    @property
    def long_window(self) -> int:
        """Periods of the moving average that is slow to follow."""
        return 2 * self.window

    @property
    def needs(self) -> int:
        """Periods without which a seasonal average would be no average of whole seasons."""
        return self.length * self.seasons


DAILY = Season(length=7, window=28, seasons=4, least=28)
WEEKLY = Season(length=1, window=8, seasons=8, least=12)
WEEKLY_WITH_YEAR = Season(length=52, window=4, seasons=2, least=12)
MONTHLY = Season(length=1, window=8, seasons=8, least=6)
MONTHLY_WITH_YEAR = Season(length=12, window=8, seasons=2, least=12)
_TO_TEST = 8  # periods beyond two years, so that the year can be tried on the past


def season_of(*, period_days: int, periods: int) -> Season:
    """Choose the season: the week for days; the year for weeks and months once two are known.

    Example:
        >>> season_of(period_days=30, periods=51).length
        12
    """
    if period_days == 1:
        return DAILY
    if period_days < 28:
        return WEEKLY_WITH_YEAR if periods >= 2 * 52 + _TO_TEST else WEEKLY
    return MONTHLY_WITH_YEAR if periods >= 2 * 12 + _TO_TEST else MONTHLY


def usual(season: Season) -> tuple[str, ...]:
    """Give the five models whose median forecasts most series of a grain."""
    if season.length == 1:
        return SHORT
    if season.length == DAILY.length:
        return STEADY
    return MONTHLY_YEARLY if season.length == MONTHLY_WITH_YEAR.length else YEARLY


def combination(
    name: DemandClass, *, adi: float, season: Season = DAILY, periods: int | None = None
) -> tuple[str, ...]:
    """Choose the models whose median forecasts a series.

    Theta follows a moving level, which makes the upper quantile of totals 4 to 8 % better on lumpy
    retail demand; where sales are rare there is no level to follow, and TSB takes its place at a
    thirtieth of the cost. A slow moving average holds against it, so that one good month does not
    become the forecast. With two years of weeks the last year and the last week speak too. The sets
    were chosen on earlier windows than those they are judged by in ``bench/accuracy.py``.

    Args:
        name: Class of the demand.
        adi: Mean interval between periods with demand.
        season: Of the panel.
        periods: Known of this series; a series younger than the seasons gets no seasonal model.

    Example:
        >>> combination(DemandClass.LUMPY, adi=6.0)[-1]
        'tsb'
    """
    if name in (DemandClass.NEW, DemandClass.NO_DEMAND):
        return FLOOR
    if season.length == DAILY.length:
        return RARE if adi >= RARE_ADI else STEADY
    if season.length == 1 or (periods is not None and periods < season.needs):
        return SHORT_RARE if adi >= RARE_ADI else SHORT
    return usual(season)


def model_name(models: Sequence[str]) -> str:
    """Name a combination as it is stored and shown."""
    return models[0] if len(models) == 1 else f"median of {', '.join(models)}"


def models_of(name: str) -> tuple[str, ...]:
    """Read the models back from the name of their combination.

    Example:
        >>> models_of(model_name(RARE)) == RARE
        True
    """
    return tuple(part.strip() for part in name.removeprefix("median of ").split(","))


def forecasts(
    units: FloatArray, *, horizon: int, models: Sequence[str], season: Season
) -> FloatArray:
    """Forecast a panel by the median of some models.

    Args:
        units: Shape (n, periods), NaN before the first sale, at least one period of each known.
        horizon: Periods to forecast, >= 1.
        models: Names from ``MODELS``, or "mean" alone.
        season: Lengths in periods.

    Returns:
        Shape (n, horizon); finite, not negative, at most the highest period of the history.

    Raises:
        InvalidInput: A model is unknown or the horizon is empty.

    Example:
        >>> forecasts(np.array([[2.0, 4.0]]), horizon=2, models=("mean",), season=DAILY).tolist()
        [[3.0, 3.0]]
    """
    if horizon < 1:
        raise InvalidInput(f"a forecast needs a horizon of at least 1 period, got {horizon!r}")
    if not len(units):
        return np.empty((0, horizon))
    if tuple(models) == FLOOR:
        combined = np.repeat(np.nanmean(units, axis=1)[:, None], horizon, axis=1)
    else:
        members = member_forecasts(units, horizon=horizon, models=models, season=season)
        combined = np.median(members, axis=0)
    return np.asarray(np.clip(combined, 0.0, np.nanmax(units, axis=1)[:, None]))


def member_forecasts(
    units: FloatArray, *, horizon: int, models: Sequence[str], season: Season
) -> FloatArray:
    """Forecast a panel by each model with one StatsForecast call.

    Args:
        units: Shape (n, periods), NaN before the first sale.
        horizon: Periods to forecast.
        models: Names from ``MODELS``.
        season: Lengths in periods.

    Returns:
        Shape (models, n, horizon), never negative. Where a model gives no finite number for a
        series, the mean of that series stands.
    """
    from statsforecast import StatsForecast
    from statsforecast.models import HistoricAverage

    engine = StatsForecast(
        models=build_models(models, season), freq=1, n_jobs=1, fallback_model=HistoricAverage()
    )
    answer = engine.forecast(df=long_frame(units), h=horizon)
    members = np.stack(
        [answer[name].to_numpy(float).reshape(len(units), horizon) for name in models]
    )
    mean = np.nanmean(units, axis=1)[None, :, None]
    return np.maximum(np.where(np.isfinite(members), members, mean), 0.0)


def long_frame(units: FloatArray) -> pd.DataFrame:
    """Lay a panel out as StatsForecast wants it: unique_id, ds (period number), y."""
    row, period = np.nonzero(np.isfinite(units))
    return pd.DataFrame({"unique_id": row, "ds": period, "y": units[row, period]})


def build_models(models: Sequence[str], season: Season) -> list[Any]:
    """Build StatsForecast models by our names, each with its name as alias."""
    for name in models:
        if name not in MODELS:
            raise InvalidInput(
                f"there is no forecast model {name!r}", details={"models": sorted(MODELS)}
            )
    return [MODELS[name](season, name) for name in models]
