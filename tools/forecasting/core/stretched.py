"""A forecast that events or planners move: its mean, and the spread of its totals with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.forecasting.core.batch import Batch

FloatArray = npt.NDArray[np.float64]
UNKNOWN_SPREAD = 0.5  # of the total, where there is no history: half or double is plausible


def with_factors(batch: Batch, factors: FloatArray) -> Batch:
    """Multiply the means by the factors of events, and the totals by what that does to them.

    Args:
        batch: Forecasts without events.
        factors: Shape (n, horizon_days); 1 without an event.
    """
    mean = batch.mean * factors
    days = batch.total_days - 1
    before, after = np.cumsum(batch.mean, axis=1)[:, days], np.cumsum(mean, axis=1)[:, days]
    ratio = np.divide(after, before, out=np.ones_like(after), where=before > 0)
    return replace(
        batch, mean=mean, total_sd=np.maximum.accumulate(batch.total_sd * ratio, axis=1),
        total_quantiles=batch.total_quantiles * ratio[:, :, None],
    )  # fmt: skip


def moved_totals(
    before: Sequence[float],
    after: Sequence[float],
    total_sd: Mapping[str, Any],
    total_quantiles: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Move the stored spread of one forecast with its mean.

    Args:
        before: Units a day as forecast.
        after: Units a day as a planner says.
        total_sd: ``{"days": [...], "sd": [...]}``.
        total_quantiles: ``{"days": [...], "0.95": [...], ...}``; possibly empty.

    Returns:
        Both anew. Where nothing was forecast the spread is half of the total, and no quantile is
        claimed.

    Example:
        >>> sd, _ = moved_totals([1.0, 1], [2.0, 2], {"days": [1, 2], "sd": [0.5, 0.8]}, {})
        >>> sd["sd"]
        [1.0, 1.6]
    """
    days = np.asarray(total_sd["days"], dtype=np.int64)
    old, new = np.cumsum(before)[days - 1], np.cumsum(after)[days - 1]
    if not old[-1] > 0:
        return {"days": days.tolist(), "sd": np.round(UNKNOWN_SPREAD * new, 3).tolist()}, {}
    ratio = np.divide(new, old, out=np.ones_like(new), where=old > 0)
    sd = np.round(np.maximum.accumulate(np.asarray(total_sd["sd"]) * ratio), 3).tolist()
    quantiles = {
        key: value if key == "days" else np.round(np.asarray(value) * ratio, 2).tolist()
        for key, value in total_quantiles.items()
    }
    return {"days": days.tolist(), "sd": sd}, quantiles
