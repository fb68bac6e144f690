"""Prophet behind the interface of the models over a panel: a plug-in for single items.

An extra: ``pip install prophet``. It fits one series after the other (about 0.1 s each once it is
warm), so it is no model for a nightly batch; it takes the same known prices, promotions and
holidays as ``tools.forecasting.core.ml``.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import date
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from tools.errors import InvalidInput
from tools.forecasting.core.features import (
    NOTHING,
    FloatArray,
    Known,
    feature_table,
)

REGRESSORS = ("price", "promotion")
LEAST_PERIODS = 10  # of one series; a shorter one gets its mean
_REFERENCE = date(2024, 1, 7)  # a Sunday, for histories without dates


def prophet_forecasts(
    units: FloatArray,
    *,
    horizon: int,
    until: date = _REFERENCE,
    period_days: int = 1,
    known: Known = NOTHING,
) -> FloatArray:
    """Forecast a panel, one Prophet a series.

    Args:
        units: Shape (n, periods): cleaned demand, NaN before the first sale.
        horizon: Periods to forecast, >= 1.
        until: Last day of the last period.
        period_days: 1, 7 or 30.
        known: Prices, promotions and holidays, also of the periods to come.

    Returns:
        Shape (n, horizon): units per period, not negative, at most the highest of the history.

    Raises:
        InvalidInput: Prophet is not installed, or the values do not fit; see ``feature_table``.
        NotEnoughData: All series together hold too few periods.
    """
    table = feature_table(units, until=until, period_days=period_days, horizon=horizon, known=known)
    made = _library().Prophet
    periods = units.shape[1]
    days = pd.date_range(
        end=pd.Timestamp(until) + pd.Timedelta(days=period_days * horizon),
        periods=periods + horizon, freq=f"{period_days}D",
    )  # fmt: skip
    past = table.past.groupby("unique_id", sort=True)
    future = dict(iter(table.future.groupby("unique_id")))
    rows = [_one(made, frame, future[k], days, known) for k, frame in past]
    top = np.nanmax(units, axis=1)[:, None]
    return np.asarray(np.clip(np.stack(rows) * table.scale[:, None], 0.0, top))


def _one(
    made: Any, past: pd.DataFrame, future: pd.DataFrame, days: pd.DatetimeIndex, known: Known
) -> FloatArray:
    """Fit one series and forecast it, in means of the series."""
    if len(past) < LEAST_PERIODS:
        return np.full(len(future), float(past["y"].mean()))
    free = pd.DataFrame({"ds": pd.to_datetime(sorted(known.holidays)), "holiday": "holiday"})
    model = made(holidays=free if len(free) else None, uncertainty_samples=0)
    names = [name for name in REGRESSORS if name in past]
    for name in names:
        model.add_regressor(name)
    dated, ahead = (
        frame[names].assign(ds=days[frame["ds"].to_numpy()]) for frame in (past, future)
    )
    model.fit(dated.assign(y=past["y"]), seed=1)
    return np.asarray(model.predict(ahead)["yhat"].to_numpy(float))


def _library() -> Any:
    """Import the extra, or say how to get it; its sampler tells of every fit otherwise."""
    try:
        library = import_module("prophet")
    except ImportError as error:
        raise InvalidInput(
            "the forecast model 'prophet' needs Prophet, which is not installed",
            next_step="pip install prophet, or choose another model.",
        ) from error
    logging.getLogger("cmdstanpy").setLevel(logging.WARNING)
    return library


MODELS: Mapping[str, Callable[..., FloatArray]] = {"prophet": prophet_forecasts}
