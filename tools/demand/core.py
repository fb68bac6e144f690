"""Cleaned demand: dense calendars, censored days, and the class of a demand pattern.

A panel is a float array of shape (series, periods), oldest period first. NaN stands before the
first sale of a series; behind it every period counts, zeros included, up to the last known day.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from db.types import DemandClass
from tools.errors import InvalidInput

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Grain = Literal["D", "W", "M"]

ADI_CUT = 1.32
CV2_CUT = 0.49
NEIGHBOUR_PERIODS = 14  # on each side of a censored day
EXCLUDED_FLAG = "one_off"  # a tender that will not come again; an outlier or an event still counts
EVENT_FLAG = "event"  # somebody said that this day was real
OUTLIER_MEDIANS = 20  # times the median period with demand, and
OUTLIER_HIGHS = 20  # times the 99th percentile of the other periods: a typing error, no bulk order
OUTLIER_NEEDS = 5  # periods with demand before anything can be called unusual
OUTLIER_NOTE = "set aside as outlier"
UNUSUAL_MEDIANS = 5  # and
UNUSUAL_HIGHS = 3  # times the same two: a bulk order; a person says whether it comes again
PERIOD_DAYS: dict[Grain, int] = {"D": 1, "W": 7, "M": 30}
WEEKDAYS = 7
_AVERAGE_DAYS = 4  # a weekday's share is judged as if so many average days had been seen too
_LEAST_WEEKS = 8
_LEAST_MONTHS = 8
_CHUNK_ROWS = 2_000  # series at a time: a panel holds hundreds of megabytes
_MONDAY = 0


@dataclass(frozen=True)
class Outlier:
    """One period so far above all others that it was taken for an error and set aside."""

    series: int  # row of the panel
    on: date
    units: int
    median: float = 0.0  # of the periods with demand
    high: float = 0.0  # 99th percentile of the other periods

    @property
    def reason(self) -> str:
        """Say by which rule and numbers.

        Example:
            >>> Outlier(0, date(2026, 3, 2), 100_000, median=20, high=22).reason
            '100,000 is more than 20 times the usual 20 and 20 times the highest other, 22'
        """
        return (
            f"{self.units:,} is more than {OUTLIER_MEDIANS} times the usual {self.median:,.0f} and "
            f"{OUTLIER_HIGHS} times the highest other, {self.high:,.0f}"
        )

    @property
    def note(self) -> str:
        """Say what was set aside.

        Example:
            >>> Outlier(0, date(2026, 3, 2), 100_000).note
            'set aside as outlier: 100,000 on 2 Mar 2026'
        """
        return f"{OUTLIER_NOTE}: {self.units:,} on {self.on.day} {self.on:%b %Y}"


@dataclass(frozen=True)
class Panel:
    """Demand of many series on one calendar.

    Attributes:
        item_ids: Shape (n,).
        location_ids: Shape (n,).
        units: Shape (n, periods); NaN before the first sale. Missing periods are already filled.
        is_missing: Shape (n, periods); periods whose units were filled, not observed.
        until: Last day of the last period.
        grain: "D" for days, "W" for weeks, "M" for calendar months.
        outliers: Periods that were set aside as errors; they are missing too.
    """

    item_ids: IntArray
    location_ids: IntArray
    units: FloatArray
    is_missing: BoolArray
    until: date
    grain: Grain = "D"
    outliers: tuple[Outlier, ...] = ()

    @property
    def period_days(self) -> int:
        """Days in one period; 30 in a month."""
        return PERIOD_DAYS[self.grain]


def demand_class(*, adi: float, cv2: float) -> DemandClass:
    """Name the pattern of a demand.

    Args:
        adi: Mean interval between periods with demand, in periods, >= 1; infinite without demand.
        cv2: Squared coefficient of variation of the sizes that are not zero, >= 0.

    Returns:
        Smooth, erratic, intermittent or lumpy; no_demand when the interval is infinite.

    References:
        Syntetos and Boylan's scheme with the cuts 1.32 and 0.49 (DOMAIN 1.6).

    Example:
        >>> demand_class(adi=4.0, cv2=0.188).value
        'intermittent'
    """
    return demand_classes(np.array([adi]), np.array([cv2]))[0]


def demand_classes(adi: FloatArray, cv2: FloatArray) -> list[DemandClass]:
    """Name the pattern of each series; see ``demand_class``."""
    steady = (DemandClass.SMOOTH, DemandClass.ERRATIC)
    rare = (DemandClass.INTERMITTENT, DemandClass.LUMPY)
    return [
        DemandClass.NO_DEMAND if not np.isfinite(a) else (rare if a >= ADI_CUT else steady)[c]
        for a, c in zip(adi, (np.nan_to_num(cv2) >= CV2_CUT).astype(int), strict=True)
    ]


def pattern(units: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Measure interval and size variation of each series.

    Args:
        units: Panel of shape (n, periods), NaN before the first sale.

    Returns:
        ADI, periods per period with demand (infinite without demand), and CV2 of the sizes that
        are not zero (population variance; NaN without demand). Each of shape (n,).

    Example:
        >>> adi, cv2 = pattern(np.array([[5, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0.0]]))
        >>> float(adi[0]), round(float(cv2[0]), 3)
        (4.0, 0.188)
    """
    sold = units > 0  # NaN compares as False
    count = sold.sum(axis=1)
    sizes = np.where(sold, units, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        adi = np.where(count > 0, np.isfinite(units).sum(axis=1) / count, np.inf)
        mean = sizes.sum(axis=1) / count
        variance = np.where(sold, (units - mean[:, None]) ** 2, 0.0).sum(axis=1) / count
        cv2 = variance / mean**2
    return adi, cv2


def filled(units: FloatArray, is_missing: BoolArray, *, season: int = 1) -> FloatArray:
    """Replace missing periods by the mean of the observed ones around them.

    Sales on a day without stock are a lower bound of the demand: taking them as they are biases
    the forecast down. What was sold on such a day is kept as the least value.

    Args:
        units: Panel of shape (n, periods), NaN before the first sale.
        is_missing: Same shape; True where the units do not tell the demand.
        season: Periods after which a pattern repeats, 7 for weekdays: a missing Saturday is then
            filled as a Saturday. 1 for none.

    Returns:
        A panel of the same shape. A series without any observed period stays as it is.

    Example:
        >>> filled(np.array([[20.0, 0.0, 22.0]]), np.array([[False, True, False]])).tolist()
        [[20.0, 21.0, 22.0]]
    """
    answer = units.copy()
    rows = np.nonzero(is_missing.any(axis=1))[0]
    for part in np.split(rows, range(_CHUNK_ROWS, len(rows), _CHUNK_ROWS)):
        answer[part] = _filled(units[part], is_missing[part], season)
    return answer


def _filled(units: FloatArray, is_missing: BoolArray, season: int) -> FloatArray:
    known = np.isfinite(units) & ~is_missing
    share = _shares(units, known, season)
    here, weight = (_window_sum(np.where(known, a, 0.0)) for a in (units, share))
    total, whole = (np.where(known, a, 0.0).sum(axis=1, keepdims=True) for a in (units, share))
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.where(weight > 0, here / weight, total / whole)
    estimate = np.where(np.isfinite(level), level, 0.0) * share
    return np.where(is_missing & np.isfinite(units), np.maximum(units, estimate), units)


def _shares(units: FloatArray, known: BoolArray, season: int) -> FloatArray:
    """Share of each period of the season, 1 on average; only where most periods have demand."""
    shape = (len(units), -(-units.shape[1] // season) * season)
    if season == 1 or not units.size:
        return np.ones_like(units)
    seen, sold = np.zeros(shape), np.zeros(shape)
    seen[:, : units.shape[1]] = known
    sold[:, : units.shape[1]] = np.where(known, units, 0.0)
    count, total = (a.reshape(len(units), -1, season).sum(axis=1) for a in (seen, sold))
    mean = total.sum(axis=1, keepdims=True) / np.maximum(count.sum(axis=1, keepdims=True), 1)
    is_steady = 2 * (sold > 0).sum(axis=1) >= count.sum(axis=1)
    usable = is_steady[:, None] & (mean > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (total + _AVERAGE_DAYS * mean) / ((count + _AVERAGE_DAYS) * mean)
    return np.tile(np.where(usable, share, 1.0), shape[1] // season)[:, : units.shape[1]]


def unbelievable(units: FloatArray) -> BoolArray:
    """Mark periods that are a typing error rather than demand.

    Far above the median *and* the highest of the other periods: a bulk order is 5 to 15 times the
    highest one before it, a slipped quantity thousands of times (one of 97,000 days of the demo).
    Takes a panel of shape (n, periods) and returns the same shape.

    Example:
        >>> unbelievable(np.array([[20.0, 21, 19, 22, 18, 20, 100_000]]))[0].tolist()[-2:]
        [False, True]
    """
    median, high = usual(units)
    return _above(units, OUTLIER_MEDIANS * median, OUTLIER_HIGHS * high)


def unusual(units: FloatArray) -> BoolArray:
    """Mark periods that may be a bulk order or a tender, and still count; shapes as above.

    Example:
        >>> unusual(np.array([[20.0, 21, 19, 22, 18, 20, 150]]))[0].tolist()[-2:]
        [False, True]
    """
    median, high = usual(units)
    return _above(units, UNUSUAL_MEDIANS * median, UNUSUAL_HIGHS * high)


def usual(units: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give median period with demand (infinite if too few) and 99th percentile of the others."""
    count, rows = np.isfinite(units).sum(axis=1), np.arange(len(units))
    ordered = np.sort(units, axis=1)  # NaN last
    top = np.maximum(1, count // 100)
    high = np.nan_to_num(ordered[rows, np.maximum(count - 1 - top, 0)])
    sold = (ordered > 0).sum(axis=1)
    middle = np.minimum(count - sold + sold // 2, units.shape[1] - 1)
    median = np.nan_to_num(ordered[rows, middle])
    return np.where(sold > OUTLIER_NEEDS, median, np.inf), high


def _above(units: FloatArray, *bounds: FloatArray) -> BoolArray:
    return np.asarray(units > np.maximum(*bounds)[:, None])


def _window_sum(values: FloatArray) -> FloatArray:
    """Sum over NEIGHBOUR_PERIODS before and behind each period."""
    periods = values.shape[1]
    running = np.concatenate(
        [np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1
    )  # running[:, k] is the sum of the first k
    at = np.arange(periods)
    last = np.minimum(at + NEIGHBOUR_PERIODS + 1, periods)
    first = np.maximum(at - NEIGHBOUR_PERIODS, 0)
    return np.asarray(running[:, last] - running[:, first])


def grain_of(days: pd.Series) -> Grain:
    """Tell weekly and monthly history from daily history by its dates.

    Args:
        days: Dates with a stored row, of all series together.

    Returns:
        "W" when every date falls on the same weekday, over at least eight weeks; "M" when all are
        the first or the last day of a month, over at least eight months.
    """
    distinct = pd.DatetimeIndex(days.unique())
    is_weekly = len(distinct) >= _LEAST_WEEKS and distinct.weekday.nunique() == 1
    return "W" if is_weekly else "M" if is_monthly(days) else "D"


def is_monthly(days: pd.Series) -> bool:
    """Tell monthly history by its dates: all the first, or all the last, day of a month."""
    distinct = pd.DatetimeIndex(days.unique())
    is_edge = distinct.is_month_start.all() or distinct.is_month_end.all()
    return len(distinct) >= _LEAST_MONTHS and bool(is_edge)


def dense_panel(
    frame: pd.DataFrame, *, until: date, most_days: int = 1100, grain: Grain | None = None
) -> Panel:
    """Lay sparse demand rows on a dense calendar that ends at ``until``.

    A series starts at its first sale; a day without a row is zero demand. Days out of stock and
    days flagged ``one_off`` are missing and get filled, and so are days far above anything else
    (``unbelievable``) unless they are flagged ``event``. A weekly row is dated by the last day of
    its week, or by its Monday; a monthly one by any day of its month.

    Args:
        frame: Columns item_id, location_id, on (datetime64), units, is_in_stock, flag; one row
            per series and day.
        until: Last day of the calendar; later rows are ignored.
        most_days: Older history than this is left out.
        grain: Length of a period; found from the dates if not given.

    Returns:
        One series per (item, location) of the frame, ordered by item and location.

    Raises:
        InvalidInput: The frame holds a negative quantity.
    """
    if len(frame) and frame["units"].min() < 0:
        raise InvalidInput(f"demand cannot be negative, got {frame['units'].min()!r}")
    if grain is None:
        grain = grain or (grain_of(frame["on"]) if len(frame) else "D")
    step = PERIOD_DAYS[grain]
    ends = _period_ends(frame["on"], grain)
    end = pd.Timestamp(until)
    if grain != "D" and (ends <= end).any():
        end = ends[ends <= end].max()  # a period that is not over is not known yet
    index = _periods_back(ends, end, grain)
    keep = (index <= 0) & (index * step > -most_days)
    return _scatter(frame, np.where(keep, index, 1), keep=keep, end=end.date(), grain=grain)


def _period_ends(days: pd.Series, grain: Grain) -> pd.Series:
    if grain == "M":
        return pd.Series(days + pd.offsets.MonthEnd(0))
    if grain == "W" and len(days) and days.iloc[0].weekday() == _MONDAY:
        return days + pd.Timedelta(days=6)
    return days


def _periods_back(ends: pd.Series, end: pd.Timestamp, grain: Grain) -> IntArray:
    if grain == "M":
        months = 12 * (ends.dt.year - end.year) + ends.dt.month - end.month
        return np.asarray(months, dtype=np.int64)
    return np.asarray((ends - end).dt.days, dtype=np.int64) // PERIOD_DAYS[grain]


def period_end(end: date, back: int, grain: Grain) -> date:
    """Return the last day of the period ``back`` periods before the one that ends at ``end``.

    Example:
        >>> period_end(date(2026, 3, 31), 1, "M")
        datetime.date(2026, 2, 28)
    """
    if grain == "M":
        return (pd.Timestamp(end) - pd.offsets.MonthEnd(back)).date()
    return end - timedelta(days=PERIOD_DAYS[grain] * back)


def _scatter(
    frame: pd.DataFrame, index: IntArray, *, keep: BoolArray, end: date, grain: Grain
) -> Panel:
    """Write the rows into the matrices; ``index`` counts periods back from the last, <= 0."""
    keys, row = _series_of(frame)
    periods = int(1 - index[keep].min()) if keep.any() else 1
    shape = (len(keys), periods)
    row, column = row[keep], index[keep] + periods - 1
    units, is_missing = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    np.add.at(units, (row, column), frame["units"].to_numpy(float)[keep])
    gone = ~frame["is_in_stock"].to_numpy(bool) | (frame["flag"] == EXCLUDED_FLAG).to_numpy()
    is_missing[row, column] = gone[keep]
    one_off = (frame["flag"] == EXCLUDED_FLAG).to_numpy()[keep]
    units[row[one_off], column[one_off]] = 0.0
    started = np.maximum.accumulate(units > 0, axis=1)
    units[~started] = np.nan
    is_missing &= started
    is_event = np.zeros(shape, dtype=np.bool_)
    is_event[row, column] = (frame["flag"] == EVENT_FLAG).to_numpy()[keep]
    strange = unbelievable(units) & ~is_event
    outliers = _outliers(units, strange, end, grain)
    units[strange] = 0.0
    is_missing |= strange
    known = filled(units, is_missing, season=WEEKDAYS if grain == "D" else 1)
    return Panel(keys[:, 0], keys[:, 1], known, is_missing, end, grain, outliers)


def _series_of(frame: pd.DataFrame) -> tuple[IntArray, IntArray]:
    """Give the distinct (item, location) pairs in order, and the place of each row among them."""
    items, places = (frame[name].to_numpy(np.int64) for name in ("item_id", "location_id"))
    width = int(places.max()) + 1 if len(places) else 1  # one number a pair: much faster to sort
    codes, row = np.unique(items * width + places, return_inverse=True)
    return np.stack([codes // width, codes % width], axis=1), np.asarray(row, dtype=np.int64)


def _outliers(
    units: FloatArray, strange: BoolArray, end: date, grain: Grain
) -> tuple[Outlier, ...]:
    rows, columns = np.nonzero(strange)
    bounds = zip(*(a.tolist() for a in (rows, columns, *usual(units[rows]))), strict=True)
    last = units.shape[1] - 1
    return tuple(
        Outlier(k, period_end(end, last - at, grain), round(units[k, at]), median, high)
        for k, at, median, high in bounds
    )
