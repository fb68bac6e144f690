"""A batch of forecasts as rows to store."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from db.types import DemandClass, ForecastBasis
from tools.demand.core import FloatArray, Panel
from tools.forecasting.core import totals
from tools.forecasting.core.batch import Batch
from tools.forecasting.core.components import component_rows


def forecast_rows(
    panel: Panel, batch: Batch, horizon_days: int, *, events: FloatArray | None = None
) -> Iterator[dict[str, Any]]:
    """Columns of the forecasts of a batch, without their run.

    Where no past forecast could be tested there are no quantiles: what was not measured is not
    stored as if it had been. The standard deviation that assumes independent days stands.

    Args:
        panel: Cleaned demand.
        batch: Its forecasts.
        horizon_days: Days that were forecast.
        events: Shape (n, horizon_days): what events add to the mean of each day.
    """
    days = batch.total_days.tolist()
    mean = np.round(batch.mean, 4).tolist()
    sd = np.round(batch.total_sd, 3).tolist()
    quantiles = np.round(batch.total_quantiles.transpose(0, 2, 1), 2).tolist()
    keys = [f"{level:g}" for level in totals.LEVELS]
    metrics = [_nullable(getattr(batch.accuracy, n)) for n in ("wmape", "bias", "mase")]
    adi, cv2 = _nullable(batch.adi), _nullable(batch.cv2)
    parts = component_rows(
        panel.units, batch.mean, period_days=panel.period_days,
        first_on=panel.until + timedelta(days=1), events=events,
    )  # fmt: skip
    for k, item_id in enumerate(panel.item_ids.tolist()):
        yield {
            "item_id": item_id,
            "location_id": int(panel.location_ids[k]),
            "model": batch.models[k],
            "demand_class": batch.classes[k],
            "horizon_days": horizon_days,
            "mean": mean[k],
            "total_sd": {"days": days, "sd": sd[k]},
            "total_quantiles": {"days": days} | dict(zip(keys, quantiles[k], strict=True))
            if batch.is_tested
            else {},
            "adi": adi[k],
            "cv2": cv2[k],
            "observed_days": int(batch.observed_days[k]),
            "metrics": {"wmape": metrics[0][k], "bias": metrics[1][k], "mase": metrics[2][k]},
            "warnings": batch.warnings[k],
            "basis": ForecastBasis.OWN,
            "components": parts[k],
        }


def silent_rows(
    pairs: Sequence[tuple[int, int]], days: list[int], horizon_days: int
) -> Iterator[dict[str, Any]]:
    """Columns of the forecasts of stock that never sold: zero.

    Args:
        pairs: Item and location.
        days: Lengths of the totals of the run, days.
        horizon_days: Days that are forecast.
    """
    for item_id, location_id in pairs:
        yield _silent_row(item_id, location_id, days, horizon_days)


def _silent_row(
    item_id: int, location_id: int, days: list[int], horizon_days: int
) -> dict[str, Any]:
    zeros = [0.0] * len(days)
    return {
        "item_id": item_id,
        "location_id": location_id,
        "model": "mean",
        "demand_class": DemandClass.NO_DEMAND,
        "horizon_days": horizon_days,
        "mean": [0.0] * horizon_days,
        "total_sd": {"days": days, "sd": zeros},
        "total_quantiles": {"days": days} | {f"{level:g}": zeros for level in totals.LEVELS},
        "adi": None,
        "cv2": None,
        "observed_days": 0,
        "metrics": {"wmape": None, "bias": None, "mase": None},
        "warnings": ["nothing was sold in the loaded history; the forecast is zero"],
        "basis": ForecastBasis.OWN,
        "components": {},
    }


def _nullable(values: FloatArray) -> list[float | None]:
    return [round(v, 4) if np.isfinite(v) else None for v in values.tolist()]
