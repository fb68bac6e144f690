"""Compare forecast methods honestly: rolling-origin cross-validation on the lead-time horizon.

The batch does not pick a champion per series: picked champions were lucky ones, and lost to the
median on three real data sets. This module is how that is checked again on other data, and how a
single method can earn its place: by a margin, in every window.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from tools.demand.core import Panel
from tools.errors import InvalidInput, NotEnoughData
from tools.forecasting.core import accuracy, methods, totals
from tools.forecasting.core.batch import forecast_panel

FloatArray = npt.NDArray[np.float64]

MARGIN = 0.05  # relative, in the WMAPE of totals
LEAST_WINDOWS = 3


@dataclass(frozen=True)
class Score:
    """Accuracy of one method over all windows.

    Attributes:
        mase: Mean over series of the scaled error per period.
        wmape: Of the totals over the horizon.
        bias: Of the totals; positive is over-forecast.
        window_wmape: WMAPE of the totals, window by window.
    """

    mase: float
    wmape: float
    bias: float
    window_wmape: tuple[float, ...]


def origins(periods: int, *, horizon: int, windows: int) -> list[int]:
    """Known periods at the start of each window; windows do not overlap and end at the last period.

    Example:
        >>> origins(100, horizon=28, windows=3)
        [16, 44, 72]
    """
    found = [periods - horizon * k for k in range(windows, 0, -1)]
    if found[0] < 1:
        raise NotEnoughData(f"{periods!r} periods do not hold {windows!r} windows of {horizon!r}")
    return found


def cross_validate(
    units: FloatArray,
    *,
    candidates: Mapping[str, Sequence[str]],
    horizon: int,
    windows: int,
    season: methods.Season,
) -> dict[str, Score]:
    """Score methods on the last windows of a panel.

    Args:
        units: Shape (n, periods), NaN before the first sale.
        candidates: Name of a method to the models whose median it is.
        horizon: Periods of a window, best the lead time.
        windows: How many.
        season: Lengths in periods.

    Returns:
        One score per candidate. Series too short at a window's start are left out of it.
    """
    said: dict[str, list[tuple[FloatArray, FloatArray, FloatArray]]] = {c: [] for c in candidates}
    for origin in origins(units.shape[1], horizon=horizon, windows=windows):
        past, sold = units[:, :origin], units[:, origin : origin + horizon]
        usable = (np.isfinite(past).sum(axis=1) >= season.least) & (np.nansum(past, axis=1) > 0)
        if not usable.any():
            raise NotEnoughData(f"no series has {season.least!r} periods before a window")
        steps = np.abs(past[:, season.length :] - past[:, : -season.length])
        naive = np.nanmean(steps[usable], axis=1)
        for name, models in candidates.items():
            forecast = methods.forecasts(
                past[usable], horizon=horizon, models=models, season=season
            )
            said[name].append((sold[usable], forecast, naive))
    return {name: _score(results) for name, results in said.items()}


def _score(results: Sequence[tuple[FloatArray, FloatArray, FloatArray]]) -> Score:
    pairs = [(sold.sum(axis=1), forecast.sum(axis=1)) for sold, forecast, _ in results]
    scaled = [
        np.abs(sold - forecast).mean(axis=1)[naive > 0] / naive[naive > 0]
        for sold, forecast, naive in results
    ]
    sold_total, forecast_total = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return Score(
        mase=float(np.concatenate(scaled).mean()),
        wmape=accuracy.wmape(sold_total, forecast_total),
        bias=accuracy.bias(sold_total, forecast_total),
        window_wmape=tuple(accuracy.wmape(sold, forecast) for sold, forecast in pairs),
    )


def preferred(scores: Mapping[str, Score], *, default: str) -> str:
    """Choose a method: the default unless another beats it by 5 % in every one of three windows.

    Raises:
        InvalidInput: The default was not scored.
    """
    if default not in scores:
        raise InvalidInput(f"the default {default!r} is not among {sorted(scores)!r}")
    bar = [(1 - MARGIN) * value for value in scores[default].window_wmape]
    better = {
        name: score.wmape
        for name, score in scores.items()
        if len(bar) >= LEAST_WINDOWS
        and all(value < least for value, least in zip(score.window_wmape, bar, strict=True))
    }
    return min(better, key=better.__getitem__, default=default)


@dataclass(frozen=True)
class Holdout:
    """What the whole batch would have promised, and what came.

    Attributes:
        sold: Totals sold, all series and windows.
        mean: Totals forecast.
        low: Lower bounds of the 90 % intervals of the totals.
        high: Their upper bounds.
    """

    sold: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray


def holdout(panel: Panel, *, horizon: int, windows: int) -> Holdout:
    """Run the batch, calibration included, as of past moments and compare totals with what came.

    Args:
        panel: Cleaned daily or weekly demand.
        horizon: Periods of a total.
        windows: How many, the last ones of the panel.
    """
    parts = []
    for origin in origins(panel.units.shape[1], horizon=horizon, windows=windows):
        behind = (panel.units.shape[1] - origin) * panel.period_days
        started = np.isfinite(panel.units[:, :origin]).any(axis=1)
        known = replace(
            panel,
            item_ids=panel.item_ids[started],
            location_ids=panel.location_ids[started],
            units=panel.units[started, :origin],
            is_missing=panel.is_missing[started, :origin],
            until=panel.until - timedelta(days=behind),
        )
        batch = forecast_panel(known, horizon_days=horizon * panel.period_days)
        quantiles = batch.total_quantiles[:, -1]
        low, high = totals.intervals(quantiles)
        sold = panel.units[started, origin : origin + horizon].sum(axis=1)
        parts.append((sold, batch.mean.sum(axis=1), low, high))
    return Holdout(*(np.concatenate(column) for column in zip(*parts, strict=True)))
