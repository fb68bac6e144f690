"""One feature table for models that learn over all series: calendar, price, promotions, item.

Each series is divided by its own mean, so that one model fits small and large sellers alike. What
is known in advance (calendar, price, promotions) is laid out for past and future periods; lags
and rolling means are made by MLForecast from the scaled demand, see ``tools.forecasting.core.ml``.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from tools.errors import InvalidInput, NotEnoughData

FloatArray = npt.NDArray[np.float64]

LEAST_ROWS = 100  # of all series together; fewer teach a tree nothing
# By days in a period: lags, and rolling means of the last periods.
LAGS = {1: (1, 2, 7, 14, 28, 364), 7: (1, 2, 4, 8, 13, 52), 30: (1, 2, 3, 12)}
WINDOWS = {1: (7, 28), 7: (4, 13), 30: (3, 12)}


@dataclass(frozen=True)
class Known:
    """What is known beside the demand, of the past and of the periods to come.

    Attributes:
        price: Shape (n, periods + horizon): selling price in any one unit; NaN where unknown, which
            counts as the last known one. None: no prices.
        promotion: Same shape: 0 without a promotion, else 1 or its uplift. None: none known.
        categories: Category of each series; empty: not used.
        holidays: Public holidays of past and future.
    """

    price: FloatArray | None = None
    promotion: FloatArray | None = None
    categories: Sequence[str] = ()
    holidays: Collection[date] = ()


NOTHING = Known()


@dataclass(frozen=True)
class FeatureTable:
    """Tables for MLForecast: ``unique_id`` is the row of the panel, ``ds`` the period number.

    Attributes:
        past: Columns unique_id, ds, y (demand over ``scale``) and the features.
        future: Columns unique_id, ds and the features that change over time.
        static: Names of the features that do not.
        scale: Shape (n,): mean demand per period of each series, > 0.
        lags: Lags that the history is long enough for.
        windows: Lengths of the rolling means.
    """

    past: pd.DataFrame
    future: pd.DataFrame
    static: list[str]
    scale: FloatArray
    lags: tuple[int, ...]
    windows: tuple[int, ...]


def feature_table(
    units: FloatArray, *, until: date, period_days: int, horizon: int, known: Known = NOTHING
) -> FeatureTable:
    """Lay out what a learning model sees.

    Args:
        units: Shape (n, periods): cleaned demand, NaN before the first sale.
        until: Last day of the last period.
        period_days: 1, 7 or 30.
        horizon: Periods to come, >= 1.
        known: Prices, promotions, categories and holidays.

    Raises:
        InvalidInput: A value is negative or not finite, or shapes do not fit.
        NotEnoughData: All series together hold too few periods.

    Example:
        >>> table = feature_table(
        ...     np.ones((5, 40)), until=date(2026, 3, 1), period_days=1, horizon=7
        ... )
        >>> sorted(table.future.columns)
        ['day', 'ds', 'holidays', 'month', 'unique_id', 'week', 'weekday']
    """
    _check(units, period_days, horizon, known)
    n, periods = units.shape
    total = periods + horizon
    seen = np.isfinite(units)
    count = seen.sum(axis=1)
    scale = np.nansum(units, axis=1) / np.maximum(count, 1)
    scale = np.where(scale > 0, scale, 1.0)
    columns = _calendar(until, period_days, total, horizon, known.holidays)
    columns = {name: np.broadcast_to(values, (n, total)) for name, values in columns.items()}
    columns |= _prices(known.price, periods)
    if known.promotion is not None:
        columns["promotion"] = np.nan_to_num(known.promotion)
    grid = np.ones((n, total), dtype=np.bool_)
    grid[:, :periods] = seen
    past_at, future_at = (np.nonzero(grid[:, :periods]), np.nonzero(grid[:, periods:]))
    future_at = (future_at[0], future_at[1] + periods)
    past, future = (_long(columns, at) for at in (past_at, future_at))
    past.insert(2, "y", (units / scale[:, None])[past_at])
    static = _static(past, known.categories)
    longest = int(count.max())
    lags = tuple(lag for lag in LAGS[period_days] if lag < longest)
    return FeatureTable(past, future, static, scale, lags or (1,), WINDOWS[period_days])


def _check(units: FloatArray, period_days: int, horizon: int, known: Known) -> None:
    if period_days not in LAGS:
        raise InvalidInput(f"a period is 1, 7 or 30 days, got {period_days!r}")
    if horizon < 1:
        raise InvalidInput(f"a forecast needs a horizon of at least 1 period, got {horizon!r}")
    _check_history(units)
    shape = (len(units), units.shape[1] + horizon)
    for name, values in (("price", known.price), ("promotion", known.promotion)):
        if values is not None:
            _check_known(name, values, shape)
    if known.categories and len(known.categories) != len(units):
        raise InvalidInput(f"{len(known.categories)!r} categories for {len(units)!r} series")


def _check_history(units: FloatArray) -> None:
    if np.isinf(units).any() or (units < 0).any():
        raise InvalidInput("demand holds negative or infinite values; clean it first")
    count = np.isfinite(units).sum(axis=1)
    if count.sum() < LEAST_ROWS:
        raise NotEnoughData(
            f"all series together hold {count.sum()} periods; a model that learns over series "
            f"needs {LEAST_ROWS}",
            next_step="Use the statistical models until there is more history.",
        )
    if not count.all():
        raise InvalidInput(f"series {int(np.argmin(count))!r} has no known period")


def _check_known(name: str, values: FloatArray, shape: tuple[int, int]) -> None:
    if values.shape != shape:
        raise InvalidInput(
            f"{name} has shape {values.shape!r}; history and horizon need {shape!r}",
            next_step="Give it for the past and for every period to come.",
        )
    if np.isinf(values).any() or (values < 0).any():
        raise InvalidInput(f"{name} holds negative or infinite values")


def _calendar(
    until: date, period_days: int, total: int, horizon: int, holidays: Collection[date]
) -> dict[str, FloatArray]:
    """Calendar of each period by its last day; holidays are counted over the whole period."""
    ends = pd.date_range(
        end=pd.Timestamp(until) + timedelta(days=period_days * horizon), periods=total,
        freq=f"{period_days}D",
    )  # fmt: skip
    free = pd.DatetimeIndex(sorted(holidays)).to_numpy()
    edges = ends.to_numpy()
    until_end = np.searchsorted(free, edges, side="right")
    before = np.searchsorted(free, edges - np.timedelta64(period_days, "D"), side="right")
    columns = {
        "week": ends.isocalendar().week.to_numpy(float),
        "month": ends.month.to_numpy(float),
        "holidays": (until_end - before).astype(float),
    }
    if period_days == 1:
        columns |= {"weekday": ends.weekday.to_numpy(float), "day": ends.day.to_numpy(float)}
    return columns


def _prices(price: FloatArray | None, periods: int) -> dict[str, FloatArray]:
    """Price against the series' usual price of the past, and against the period before."""
    if price is None:
        return {}
    known = pd.DataFrame(price.T).ffill().bfill().to_numpy().T  # the last known price goes on
    past = pd.DataFrame(known[:, :periods].T)
    usual = past.median().to_numpy()[:, None]
    before = np.concatenate([known[:, :1], known[:, :-1]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, step = known / usual, known / before
    return {
        "price": np.where(np.isfinite(ratio), ratio, 1.0),
        "price_step": np.where(np.isfinite(step), step, 1.0),
    }


def _long(columns: dict[str, FloatArray], at: tuple[npt.NDArray[np.int64], ...]) -> pd.DataFrame:
    """Rows of the cells in ``at``, ordered by series and period."""
    row, period = at
    values = {name: matrix[row, period] for name, matrix in columns.items()}
    return pd.DataFrame({"unique_id": row, "ds": period, **values})


def _static(past: pd.DataFrame, categories: Sequence[str]) -> list[str]:
    """Add the category as a code; unknown names are only names."""
    if not categories:
        return []
    codes = np.unique(np.asarray(categories, dtype=str), return_inverse=True)[1]
    past["category"] = codes[past["unique_id"].to_numpy()].astype(float)
    return ["category"]
