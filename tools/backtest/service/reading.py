"""Sales histories from where they are: a file of the user's own, or the packaged demo."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from tools.backtest.core.sales import HISTORY, RawSales, is_in_stock
from tools.errors import InvalidInput
from tools.intake.core.kinds import match_columns
from tools.intake.core.rows import BadRow, GoodRow, RowChecker, date_order
from tools.intake.core.tables import BATCH_ROWS, open_table

Progress = Callable[[int, int], None]
SHOWN_ROWS = 5
MOST_ROWS = 10_000_000
DEMO_SOURCE = (
    "the demo: what a British gift shop sold (UCI Online Retail, CC BY 4.0); suppliers and terms "
    "are invented"
)
_WORKING_WEEK = 7 / 5  # calendar days per working day


def demo_sales() -> RawSales:
    """The packaged demo's sales with the terms of its invented suppliers; needs no database."""
    from db.demo.shop import read_package, shop_items
    from db.demo.suppliers import SUPPLIERS

    package = read_package()
    items = shop_items(package)
    lead_time = {s.code: s.lead_time_days * _WORKING_WEEK for s in SUPPLIERS}
    terms = pd.DataFrame(
        {
            "sku": items["sku"],
            "written": items["sku"],
            "name": items["name"],
            "price": items["price_minor"] / 100,
            "unit_cost": items["cost_minor"] / 100,
            "lead_time_days": items["supplier"].map(lead_time),
            "moq": items["moq_units"].astype(float),
            "multiple": items["pack_units"].astype(float),
            "group": items["supplier"],
        }
    )
    rows = package.sales.merge(terms, on="sku").assign(location="", is_in_stock=True)
    rows["on"] = pd.to_datetime(rows["on"])
    return RawSales(
        rows=rows,
        source=DEMO_SOURCE,
        rows_read=len(package.sales),
        returned_units=int(package.sales["returned_units"].sum()),
    )


def read_sales(
    path: Path, *, today: date, mapping: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> RawSales:  # fmt: skip
    """Read a file of sales by the rules of the import, without a database.

    Args:
        path: CSV (comma, semicolon, tab), Excel or Parquet; columns date, sku, quantity, and
            optionally name, price, unit cost, in stock, location, supplier, lead time, moq,
            multiple.
        today: Later dates are set aside.
        mapping: Field to column where the names are not known ones; ``date_order`` = dmy or mdy.
        progress: Called with (rows read, 0).

    Raises:
        InvalidInput: The file cannot be read, lacks a column, or no row of it can be used.
    """
    with _opened(path) as stream:
        table = open_table(stream)
        columns = match_columns(HISTORY, table.header, mapping)
        order = date_order(HISTORY, columns, table.header, open_table(stream).rows, mapping)
        checker = RowChecker(HISTORY, table.header, columns, order=order, today=today)
        good, bad, count = _checked(stream, checker, progress)
    if not good:
        raise _nothing_usable(path, bad, count)
    rows = pd.DataFrame(good, columns=list(_COLUMNS))
    returned = rows["units"] < 0
    return RawSales(
        rows=_typed(rows[~returned]),
        source=path.name,
        rows_read=count,
        returned_units=int(-rows.loc[returned, "units"].sum()),
        set_aside=dict(Counter(map(_reason, bad))),
        examples=tuple(one._asdict() for one in bad[:SHOWN_ROWS]),
    )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        stream = path.open("rb")
    except (OSError, ValueError) as error:  # the latter: a NUL in its name
        why = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(
            f"the file {str(path)[:200]!r} cannot be opened: {why}",
            next_step="Check its name and folder.",
        ) from error
    with stream:
        yield stream


def _checked(
    stream: BinaryIO, checker: RowChecker, progress: Progress | None
) -> tuple[list[tuple[Any, ...]], list[BadRow], int]:
    rows = open_table(stream).rows
    good: list[tuple[Any, ...]] = []
    bad: list[BadRow] = []
    count = 0
    while batch := list(islice(rows, BATCH_ROWS)):
        checked = checker.check(batch)
        good.extend(map(_record, checked.good))
        bad.extend(checked.bad)
        count += len(batch)
        if count > MOST_ROWS:
            raise InvalidInput(
                f"the file holds more than {MOST_ROWS:,} rows",
                next_step="Add up the sales by item and day first.",
            )
        if progress is not None:
            progress(count, 0)
    return good, bad, count


_COLUMNS = ("sku", "written", "name", "location", "on", "units", "price", "unit_cost", "in_stock",
            "lead_time_days", "moq", "multiple", "supplier")  # fmt: skip


def _record(row: GoodRow) -> tuple[Any, ...]:
    values = row.values
    return (
        values["sku"][1], values["sku"][0], values["name"], values["location"], values["date"],
        values["quantity"], values["price"], values["unit_cost"], values["in_stock"],
        values["lead_time_days"], values["moq"], values["order_multiple"], values["supplier"],
    )  # fmt: skip


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
    rows["on"] = pd.to_datetime(rows["on"])
    rows["units"] = rows["units"].astype("int64")
    for name in ("price", "unit_cost"):
        rows[name] = rows[name].astype(float) / 100
    for name in ("lead_time_days", "moq", "multiple"):
        rows[name] = rows[name].astype(float)
    rows["is_in_stock"] = [is_in_stock(word) for word in rows.pop("in_stock")]
    supplier = rows.pop("supplier")
    rows["group"] = supplier.where(supplier != "", rows["sku"])
    return rows


def _reason(row: BadRow) -> str:
    return f"the {row.field} {row.reason}"


def _nothing_usable(path: Path, bad: list[BadRow], count: int) -> InvalidInput:
    if not count:
        return InvalidInput(
            "the file has a header and no rows", next_step="Export it again with its data."
        )
    first = bad[0]
    return InvalidInput(
        f"none of the {count:,} rows of {path.name!r} can be used; row {first.number}: "
        f"{first.field} {first.reason} ({first.value[:60]!r})",
        next_step="Correct the column, or name another one: --map FIELD=COLUMN",
        details={"rows": [one._asdict() for one in bad[:SHOWN_ROWS]]},
    )
