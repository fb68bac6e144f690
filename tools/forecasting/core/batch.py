"""One batch: from a panel of cleaned demand to forecasts with calibrated totals, all columnar."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from db.types import DemandClass
from tools.demand.core import Panel, demand_classes, pattern
from tools.forecasting.core import methods, replay, totals

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]
Champions = Mapping[str, Sequence[str]]

ACCURACY_DAYS = 28
CHUNK_SERIES = 50  # between two reports of progress
STEADY_CLASSES = (DemandClass.SMOOTH, DemandClass.ERRATIC)
MONTH_DAYS = 28  # periods at least so long are months
MOST_MONTHS = 6
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


@dataclass(frozen=True)
class Outline:
    """What the whole catalogue must know of a part of it before any part is forecast.

    Attributes:
        adi: Shape (n,), periods; infinite without demand.
        cv2: Shape (n,); NaN without demand.
        classes: Demand class of each series.
        level: Shape (n,): recent mean, by which sellers are large or small.
        is_rare: Shape (n,): their errors are pooled apart from those of steady demand.
    """

    adi: FloatArray
    cv2: FloatArray
    classes: list[DemandClass]
    level: FloatArray
    is_rare: npt.NDArray[np.bool_]


def forecast_panel(panel: Panel, *, horizon_days: int, progress: Progress | None = None) -> Batch:
    """Classify, forecast and calibrate every series of a panel.

    Args:
        panel: Cleaned demand.
        horizon_days: Days to forecast, >= 1.
        progress: Called with (series done, series in all).
    """
    season = season_of(panel)
    found = outline(panel)
    pool = totals.pools(found.level, found.is_rare)
    members = np.bincount(pool, minlength=1)
    horizons = horizons_of(panel, horizon_days)
    errors, accuracy = past_errors(
        panel, found, season=season, pool=pool, members=members, horizons=horizons
    )
    calibration = totals.pooled([errors], pools=len(members), horizons=horizons)
    return forecast_part(
        panel, found, horizon_days=horizon_days, season=season, pool=pool,
        calibration=calibration, accuracy=accuracy, progress=progress,
    )  # fmt: skip


def season_of(panel: Panel) -> methods.Season:
    """Season of a panel; that of a part is the season of the whole, so parts are equally wide."""
    return methods.season_of(period_days=panel.period_days, periods=panel.units.shape[1])


def horizons_of(panel: Panel, horizon_days: int) -> list[int]:
    """Periods of the totals whose spread is measured."""
    step = panel.period_days
    periods = -(-horizon_days // step)
    if step >= MONTH_DAYS:
        return list(range(1, periods + 1))[:MOST_MONTHS]
    horizons = [days // step for days in totals.HORIZON_DAYS if days % step == 0]
    return [h for h in horizons if h <= periods] or [periods]


def outline(panel: Panel) -> Outline:
    """Measure pattern and level of each series of a panel, or of a part of one."""
    adi, cv2, classes = classified(panel)
    rare = np.array([name not in STEADY_CLASSES for name in classes], dtype=np.bool_)
    return Outline(adi, cv2, classes, totals.levels(_sold(panel, adi)), rare)


def past_errors(
    panel: Panel,
    found: Outline,
    *,
    season: methods.Season,
    pool: IntArray,
    members: IntArray,
    horizons: Sequence[int],
) -> tuple[totals.Errors, replay.SeriesAccuracy]:
    """Replay the past of a panel, or of a part: errors to be pooled with others, and accuracy.

    Args:
        panel: Cleaned demand.
        found: Its outline.
        season: Of the whole.
        pool: Shape (n,): bucket of each series.
        members: Series of each bucket in the whole.
        horizons: Periods of the totals.
    """
    units = _sold(panel, found.adi)
    past = replay.replay(
        units, origins=replay.origins_of(units.shape[1], season=season), season=season
    )
    errors = totals.errors(units, past, pool=pool, members=members, horizons=horizons)
    periods = max(1, ACCURACY_DAYS // panel.period_days)
    return errors, replay.replayed_accuracy(units, past, horizon=periods, season=season)


def forecast_part(
    panel: Panel,
    found: Outline,
    *,
    horizon_days: int,
    season: methods.Season,
    pool: IntArray,
    calibration: totals.Calibration,
    accuracy: replay.SeriesAccuracy,
    champions: Champions | None = None,
    progress: Progress | None = None,
) -> Batch:
    """Forecast a panel, or a part of one, with the calibration of the whole.

    Args:
        panel: Cleaned demand.
        found: Its outline.
        horizon_days: Days to forecast, >= 1.
        season: Of the whole.
        pool: Shape (n,): bucket of each series.
        calibration: Of the whole.
        accuracy: Of the replayed past.
        champions: Models in use by demand class, "*" for every class; the default otherwise.
        progress: Called with (series done, series in all).
    """
    step = panel.period_days
    periods = -(-horizon_days // step)
    units = _sold(panel, found.adi)
    known = np.isfinite(panel.units).sum(axis=1)
    models = [
        chosen(name, adi=adi, champions=champions or {}, season=season, periods=length)
        for name, adi, length in zip(found.classes, found.adi, known.tolist(), strict=True)
    ]
    mean = _means(units, models, periods=periods, season=season, progress=progress)
    horizons = horizons_of(panel, horizon_days)
    spread = totals.spread(units, mean, calibration, pool=pool, horizons=horizons)
    return Batch(
        classes=found.classes,
        models=[methods.model_name(members) for members in models],
        mean=np.repeat(mean / step, step, axis=1)[:, :horizon_days],
        total_days=spread.horizons * step,
        total_sd=spread.sd,
        total_quantiles=spread.quantiles,
        adi=found.adi,
        cv2=found.cv2,
        observed_days=known * step,
        accuracy=accuracy,
        is_tested=spread.is_tested,
        warnings=_warnings(panel, found.classes, season, is_tested=spread.is_tested),
    )


def chosen(
    name: DemandClass,
    *,
    adi: float,
    champions: Champions,
    season: methods.Season = methods.DAILY,
    periods: int | None = None,
) -> tuple[str, ...]:
    """Choose the models of a series: those in use for its class, or the default combination.

    Example:
        >>> chosen(DemandClass.LUMPY, adi=2.0, champions={"lumpy": ("tsb",)})
        ('tsb',)
    """
    usual = methods.combination(name, adi=adi, season=season, periods=periods)
    if usual == methods.FLOOR:
        return usual
    return tuple(champions.get(name.value) or champions.get("*") or usual)


def _sold(panel: Panel, adi: FloatArray) -> FloatArray:
    """Units of a panel; a series without demand stays a row of zeros, so that the order holds."""
    return np.asarray(np.where((~np.isfinite(adi))[:, None], 0.0, panel.units))


def classified(panel: Panel) -> tuple[FloatArray, FloatArray, list[DemandClass]]:
    """Give ADI, CV2 and class of each series; new where the history is too short for a model."""
    adi, cv2 = pattern(np.where(panel.is_missing, np.nan, panel.units))
    known = np.isfinite(panel.units).sum(axis=1)
    least = season_of(panel).least
    classes = [
        DemandClass.NEW if name is not DemandClass.NO_DEMAND and length < least else name
        for name, length in zip(demand_classes(adi, cv2), known, strict=True)
    ]
    return adi, cv2, classes


def _means(
    units: FloatArray,
    combinations: list[tuple[str, ...]],
    *,
    periods: int,
    season: methods.Season,
    progress: Progress | None,
) -> FloatArray:
    """Mean per period, by the models chosen for each series, in chunks."""
    mean = np.zeros((len(units), periods))
    done = 0
    for models in sorted(set(combinations)):
        rows = np.array([k for k, members in enumerate(combinations) if members == models])
        for start in range(0, len(rows), CHUNK_SERIES):
            part = rows[start : start + CHUNK_SERIES]
            mean[part] = methods.forecasts(
                units[part], horizon=periods, models=models, season=season
            )
            done += len(part)
            if progress is not None:
                progress(done, len(units))
    return mean


def _warnings(
    panel: Panel, classes: list[DemandClass], season: methods.Season, *, is_tested: bool
) -> list[list[str]]:
    known = np.isfinite(panel.units).sum(axis=1)
    missing = panel.is_missing.sum(axis=1) / np.maximum(known, 1)
    unit = "days" if panel.period_days == 1 else "weeks"
    unit = "months" if panel.period_days >= MONTH_DAYS else unit
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
