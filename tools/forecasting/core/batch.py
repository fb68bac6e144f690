"""One batch: from a panel of cleaned demand to forecasts with calibrated totals, all columnar."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from db.types import DemandClass
from tools.demand.core import Panel, demand_classes, pattern
from tools.forecasting.core import methods, replay, totals

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]

ACCURACY_DAYS = 28
CHUNK_SERIES = 50  # between two reports of progress
STEADY_CLASSES = (DemandClass.SMOOTH, DemandClass.ERRATIC)
_MISSING_TO_MENTION = 0.02


@dataclass(frozen=True)
class Batch:
    """Forecasts of the series of a panel, in its order.

    Attributes:
        classes: Demand class of each series.
        models: What made each forecast.
        mean: Shape (n, horizon_days): units per day.
        total_days: Shape (h,): lengths of the totals, days.
        total_sd: Shape (n, h).
        total_quantiles: Shape (n, h, levels of ``totals.LEVELS``).
        adi: Shape (n,), periods; infinite without demand.
        cv2: Shape (n,); NaN without demand.
        observed_days: Shape (n,): days since the first sale.
        accuracy: Of replayed totals over four weeks.
        is_tested: False when too few past forecasts were there to learn the spread from.
        warnings: What a planner should know about each series.
    """

    classes: list[DemandClass]
    models: list[str]
    mean: FloatArray
    total_days: IntArray
    total_sd: FloatArray
    total_quantiles: FloatArray
    adi: FloatArray
    cv2: FloatArray
    observed_days: IntArray
    accuracy: replay.SeriesAccuracy
    is_tested: bool
    warnings: list[list[str]]


def forecast_panel(panel: Panel, *, horizon_days: int, progress: Progress | None = None) -> Batch:
    """Classify, forecast and calibrate every series of a panel.

    Args:
        panel: Cleaned demand.
        horizon_days: Days to forecast, >= 1.
        progress: Called with (series done, series in all).
    """
    step = panel.period_days
    season = methods.season_of(period_days=step, periods=panel.units.shape[1])
    periods = -(-horizon_days // step)
    adi, cv2, classes = classified(panel)
    # A series without demand stays a row of zeros, so that every array keeps the panel's order.
    units = np.where((~np.isfinite(adi))[:, None], 0.0, panel.units)
    models = [methods.combination(c, adi=a) for c, a in zip(classes, adi, strict=True)]
    mean = _means(units, models, periods=periods, season=season, progress=progress)
    rare = np.array([name not in STEADY_CLASSES for name in classes], dtype=np.bool_)
    past, found = _tested(units, mean, rare, season=season, step=step)
    accuracy = replay.replayed_accuracy(units, past, horizon=ACCURACY_DAYS // step, season=season)
    return Batch(
        classes=classes,
        models=[methods.model_name(members) for members in models],
        mean=np.repeat(mean / step, step, axis=1)[:, :horizon_days],
        total_days=found.horizons * step,
        total_sd=found.sd,
        total_quantiles=found.quantiles,
        adi=adi,
        cv2=cv2,
        observed_days=np.isfinite(panel.units).sum(axis=1) * step,
        accuracy=accuracy,
        is_tested=found.is_tested,
        warnings=_warnings(panel, classes, season, is_tested=found.is_tested),
    )


def classified(panel: Panel) -> tuple[FloatArray, FloatArray, list[DemandClass]]:
    """Give ADI, CV2 and class of each series; new where the history is too short for a model."""
    adi, cv2 = pattern(np.where(panel.is_missing, np.nan, panel.units))
    known = np.isfinite(panel.units).sum(axis=1)
    least = methods.season_of(period_days=panel.period_days, periods=panel.units.shape[1]).least
    classes = [
        DemandClass.NEW if name is not DemandClass.NO_DEMAND and length < least else name
        for name, length in zip(demand_classes(adi, cv2), known, strict=True)
    ]
    return adi, cv2, classes


def _means(
    units: FloatArray,
    chosen: list[tuple[str, ...]],
    *,
    periods: int,
    season: methods.Season,
    progress: Progress | None,
) -> FloatArray:
    """Mean per period, by the models chosen for each series, in chunks."""
    mean = np.zeros((len(units), periods))
    done = 0
    for models in sorted(set(chosen)):
        rows = np.array([k for k, combination in enumerate(chosen) if combination == models])
        for start in range(0, len(rows), CHUNK_SERIES):
            part = rows[start : start + CHUNK_SERIES]
            mean[part] = methods.forecasts(
                units[part], horizon=periods, models=models, season=season
            )
            done += len(part)
            if progress is not None:
                progress(done, len(units))
    return mean


def _tested(
    units: FloatArray,
    mean: FloatArray,
    is_rare: npt.NDArray[np.bool_],
    *,
    season: methods.Season,
    step: int,
) -> tuple[replay.Replay, totals.Spread]:
    """Replay the past and turn its errors into the spread of the totals to come."""
    horizons = [days // step for days in totals.HORIZON_DAYS if days % step == 0]
    horizons = [h for h in horizons if h <= mean.shape[1]] or [mean.shape[1]]
    past = replay.replay(
        units,
        origins=replay.origins_of(units.shape[1], season=season),
        season=season,
    )
    pool = totals.buckets(units, is_rare)
    calibration = totals.calibrate(units, past, pool=pool, horizons=horizons)
    return past, totals.spread(units, mean, calibration, pool=pool, horizons=horizons)


def _warnings(
    panel: Panel, classes: list[DemandClass], season: methods.Season, *, is_tested: bool
) -> list[list[str]]:
    known = np.isfinite(panel.units).sum(axis=1)
    missing = panel.is_missing.sum(axis=1) / np.maximum(known, 1)
    unit = "weeks" if panel.grain == "W" else "days"
    answer = []
    for name, length, share in zip(classes, known, missing, strict=True):
        found = []
        if name is DemandClass.NO_DEMAND:
            found.append("nothing was sold in the loaded history; the forecast is zero")
        elif name is DemandClass.NEW:
            found.append(
                f"only {length} {unit} since the first sale; the forecast is their mean until "
                f"there are {season.least}"
            )
        elif not is_tested:
            found.append(
                "too few past periods to test the interval; it assumes independent " + unit
            )
        if share >= _MISSING_TO_MENTION:
            found.append(
                f"{share:.0%} of the {unit} were out of stock or set aside; they count with the "
                f"mean of the {unit} around them"
            )
        answer.append(found)
    return answer
