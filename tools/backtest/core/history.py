"""A sales history as a backtest needs it: dense series, what they cost, and where the test begins.

Everything that selects looks at the training part only: an item that died in the test period must
stay in the test, or every policy would look better than it was.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from tools.backtest.core.assumptions import Assumptions
from tools.backtest.core.sales import RawSales
from tools.backtest.core.terms import DEFAULT_LEAD_TIME_DAYS, series_terms
from tools.demand.core import Panel, dense_panel
from tools.errors import InvalidInput, NotEnoughData, NotFound

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_DAYS = 1100  # older sales are left out: three years
LEAST_TRAINING = {"D": 84, "W": 26}  # periods before the first tested day
LEAST_TEST = {"D": 28, "W": 8}
MOST_TEST_DAYS = 364
LEAST_KNOWN = {"D": 28, "W": 12}  # periods from an item's first sale to the test


@dataclass(frozen=True)
class History:
    """The chosen series on one calendar; arrays of shape (n,) follow ``skus``.

    Attributes:
        skus: Code of each series, with its location where there are several.
        names: What the file calls it; "" where it does not.
        panel: Cleaned demand of training and test together.
        training: Periods before the test.
        price: Selling price.
        unit_cost: Of one unit.
        lead_time_days: Mean.
        moq: Smallest order, units.
        multiple: Pack, units.
        group: Series with one number share their delays.
        source: Where it comes from.
        rows_read: Rows of the file.
        candidates: Series that the file holds.
        left_out: What was left out, and why.
        notes: What was assumed where the file is silent.
    """

    skus: tuple[str, ...]
    names: tuple[str, ...]
    panel: Panel
    training: int
    price: FloatArray
    unit_cost: FloatArray
    lead_time_days: FloatArray
    moq: FloatArray
    multiple: FloatArray
    group: IntArray
    source: str
    rows_read: int
    candidates: int
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def test(self) -> int:
        """Periods of the test."""
        return int(self.panel.units.shape[1]) - self.training

    def day_of(self, period: int) -> date:
        """Last day of a period, counted from the start of the calendar."""
        behind = self.panel.units.shape[1] - 1 - period
        return self.panel.until - timedelta(days=behind * self.panel.period_days)

    def before_test(self) -> Panel:
        """The panel as it was known on the day before the test."""
        return self.known(self.training)

    def known(self, periods: int) -> Panel:
        """The panel as it was known after so many periods."""
        behind = self.panel.units.shape[1] - periods
        return replace(
            self.panel,
            units=self.panel.units[:, :periods],
            is_missing=self.panel.is_missing[:, :periods],
            until=self.panel.until - timedelta(days=behind * self.panel.period_days),
            outliers=(),
        )

    @property
    def first_day(self) -> date:
        """First day of the calendar."""
        return self.day_of(0) - timedelta(days=self.panel.period_days - 1)

    @property
    def test_from(self) -> date:
        """First day of the test."""
        return self.day_of(self.training) - timedelta(days=self.panel.period_days - 1)


@dataclass(frozen=True)
class Choice:
    """Which series, and how long the test is.

    Attributes:
        series: How many, by the value of their sales in the training part.
        skus: These instead, whatever they sell.
        test_days: Days at the end that are replayed; None is a third of the history.
    """

    series: int = 10
    skus: tuple[str, ...] = ()
    test_days: int | None = None

    def __post_init__(self) -> None:
        if self.series < 1:
            raise InvalidInput(f"a backtest needs at least 1 item, got {self.series!r}")


def choose(raw: RawSales, choice: Choice, assumptions: Assumptions) -> History:
    """Choose series and split their history into training and test.

    Args:
        raw: Rows of a file or of the demo.
        choice: How many or which series, and how many days to replay.
        assumptions: Terms for what the file does not say.

    Raises:
        NotEnoughData: No sales, or a history too short for a training and a test part.
        InvalidInput: The rows are months, or the test does not fit.
        NotFound: A series that was asked for is not in the file.
    """
    rows = _keyed(_checked(raw.rows))
    until = rows["on"].max().date()
    panel = dense_panel(_daily(rows), until=until, most_days=MOST_DAYS)
    training = _training(panel, choice.test_days)
    series = series_terms(rows, assumptions)
    kept, left_out = _kept(panel, training, series, choice)
    terms = series.iloc[kept]
    notes = _notes(terms, panel, kept, assumptions)
    return History(
        skus=tuple(terms["label"]),
        names=tuple(terms["name"]),
        panel=_rows_of(panel, kept),
        training=training,
        price=terms["price"].to_numpy(float),
        unit_cost=terms["unit_cost"].to_numpy(float),
        lead_time_days=terms["lead_time_days"].to_numpy(float),
        moq=terms["moq"].to_numpy(float),
        multiple=terms["multiple"].to_numpy(float),
        group=pd.factorize(terms["group"])[0].astype(np.int64),
        source=raw.source,
        rows_read=raw.rows_read,
        candidates=len(series),
        left_out=(*_set_aside(raw), *left_out, *_old(rows, panel)),
        notes=notes,
    )


def _checked(rows: pd.DataFrame) -> pd.DataFrame:
    sold = rows[rows["units"] > 0]
    if not len(sold):
        raise NotEnoughData(
            f"the history holds no sales: {len(rows):,} usable rows, none with a quantity above 0",
            next_step="Give a file with one row per sale or per item and day: date, sku, quantity.",
        )
    days = np.sort(sold["on"].unique())
    if len(days) > 2:
        gap = float(np.median(np.diff(days).astype("timedelta64[D]").astype(int)))
        if gap >= 20:
            raise InvalidInput(
                f"the history looks monthly: its dates lie {gap:g} days apart",
                next_step="Give daily or weekly sales; a lead time cannot be seen in months.",
            )
    return rows


def _keyed(rows: pd.DataFrame) -> pd.DataFrame:
    """Number items and places."""
    return rows.assign(
        item_id=pd.factorize(rows["sku"], sort=True)[0],
        location_id=pd.factorize(rows["location"], sort=True)[0],
    )


def _daily(rows: pd.DataFrame) -> pd.DataFrame:
    """Add up the rows of an item and day."""
    by = ["item_id", "location_id", "on"]
    daily = rows.groupby(by, as_index=False, sort=True).agg(
        units=("units", "sum"), is_in_stock=("is_in_stock", "all")
    )
    return daily.assign(flag=None)


def _training(panel: Panel, test_days: int | None) -> int:
    """Periods of the training part; a third of the history, at most a year, is the test."""
    periods, step, grain = panel.units.shape[1], panel.period_days, panel.grain
    least, least_test = LEAST_TRAINING[grain], LEAST_TEST[grain]
    unit = "weeks" if grain == "W" else "days"
    if periods < least + least_test:
        raise NotEnoughData(
            f"the history spans {periods} {unit}; a backtest needs {least + least_test}: "
            f"{least} to learn from and {least_test} to test on",
            next_step="Export a longer period, best a year or more.",
            details={"periods": periods, "needed": least + least_test, "unit": unit},
        )
    wanted = min(periods // 3, MOST_TEST_DAYS // step) if test_days is None else test_days // step
    test = max(least_test, wanted) if test_days is None else wanted
    if test < least_test or periods - test < least:
        raise InvalidInput(
            f"a test of {test * step} days does not fit: the history spans {periods * step} days",
            next_step=f"Choose --test-days between {least_test * step} and "
            f"{(periods - least) * step}.",
        )
    return int(periods - test)


def _kept(
    panel: Panel, training: int, series: pd.DataFrame, choice: Choice
) -> tuple[IntArray, list[str]]:
    """Rows to test, best first, and why the others are not."""
    past = panel.units[:, :training]
    known = np.isfinite(past).sum(axis=1)
    is_long = known >= LEAST_KNOWN[panel.grain]
    sold = np.nansum(past, axis=1)
    usable = is_long & (sold > 0)
    if choice.skus:
        return _asked_for(series, usable, known, choice.skus, panel.grain), []
    if not usable.any():
        raise NotEnoughData(
            f"no item sold for {LEAST_KNOWN[panel.grain]} periods before the test",
            next_step="Export a longer history, or a shorter test with --test-days.",
        )
    value = np.where(usable, sold * series["price"].to_numpy(float), -1.0)
    order = np.argsort(-value, kind="stable")
    kept = order[: min(choice.series, int(usable.sum()))]
    unit = "weeks" if panel.grain == "W" else "days"
    said = []
    if short := int((~usable).sum()):
        said.append(
            f"{_items(short)}: not {LEAST_KNOWN[panel.grain]} {unit} from their first sale to the "
            "test"
        )
    if rest := int(usable.sum()) - len(kept):
        said.append(f"{_items(rest)}: sold for less than the {len(kept)} chosen before the test")
    return np.asarray(kept, dtype=np.int64), said


def _items(count: int) -> str:
    return f"{count:,} item" + ("" if count == 1 else "s")


def _asked_for(
    series: pd.DataFrame, usable: npt.NDArray[np.bool_], known: IntArray,
    skus: tuple[str, ...], grain: str,
) -> IntArray:  # fmt: skip
    wanted = {sku.casefold() for sku in skus}
    is_wanted = series["sku"].str.casefold().isin(wanted) | series["label"].str.casefold().isin(
        wanted
    )
    there = set(series.loc[is_wanted, "sku"].str.casefold())
    there |= set(series.loc[is_wanted, "label"].str.casefold())
    if missing := [sku for sku in skus if sku.casefold() not in there]:
        raise NotFound(
            f"the history has no item {missing[0]!r}",
            next_step="Name it as the file does.",
        )
    rows = np.flatnonzero(is_wanted.to_numpy())
    if short := [k for k in rows.tolist() if not usable[k]]:
        raise NotEnoughData(
            f"item {series['label'].iloc[short[0]]!r} has {int(known[short[0]])} periods from its "
            f"first sale to the test; {LEAST_KNOWN[grain]} are needed",
            next_step="Leave it out, or shorten the test with --test-days.",
        )
    return rows.astype(np.int64)


def _rows_of(panel: Panel, rows: IntArray) -> Panel:
    place = {int(row): k for k, row in enumerate(rows.tolist())}
    return replace(
        panel,
        item_ids=panel.item_ids[rows],
        location_ids=panel.location_ids[rows],
        units=panel.units[rows],
        is_missing=panel.is_missing[rows],
        outliers=tuple(
            replace(one, series=place[one.series]) for one in panel.outliers if one.series in place
        ),
    )


def _set_aside(raw: RawSales) -> list[str]:
    counted = Counter(raw.set_aside).most_common(5)
    said = [f"{count:,} rows: {reason}" for reason, count in counted]
    if raw.returned_units:
        said.append(f"{raw.returned_units:,} returned units: a return does not reduce demand")
    return said


def _old(rows: pd.DataFrame, panel: Panel) -> list[str]:
    first = panel.until - timedelta(days=panel.units.shape[1] * panel.period_days)
    old = int((rows["on"] <= pd.Timestamp(first)).sum())
    return [f"{old:,} rows: older than {MOST_DAYS} days"] if old else []


def _notes(
    terms: pd.DataFrame, panel: Panel, kept: IntArray, assumptions: Assumptions
) -> tuple[str, ...]:
    said = []
    if unknown := int((~terms["has_money"]).sum()):
        said.append(
            f"{_items(unknown)} with neither price nor cost in the file: a price of "
            f"{assumptions.default_price:g} was taken for them, so their money is a scale, no fact"
        )
    if assumptions.lead_time_days is None and not terms["lead_time_days_is_known"].all():
        silent = int((~terms["lead_time_days_is_known"]).sum())
        said.append(
            f"the file names no lead time for {_items(silent)}: {DEFAULT_LEAD_TIME_DAYS:g} days "
            "were taken"
        )
    missing = int(panel.is_missing[kept].sum())
    if missing:
        said.append(
            f"{missing:,} item-{'weeks' if panel.grain == 'W' else 'days'} out of stock or set "
            "aside were filled with the mean of the days around them"
        )
    chosen = set(kept.tolist())
    said += [
        f"{terms['label'].iloc[kept.tolist().index(one.series)]}: {one.note}"
        for one in panel.outliers
        if one.series in chosen
    ][:5]
    return tuple(said)
