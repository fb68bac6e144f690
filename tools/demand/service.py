"""Demand as the rest of the system may see it: published loads only, the newest load per day."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import CursorResult, String, cast, select
from sqlmodel import Session, col

from db.models.ingestion import Load
from db.models.stock import Demand
from db.types import LoadState
from tools.demand import core

COLUMNS = ("item_id", "location_id", "on", "units", "returned_units", "is_in_stock", "flag")
_PARTITION_ROWS = 10_000  # a column costs a tenth of the memory of its rows: turn them over early


def demand_frame(
    session: Session,
    *,
    location_id: int | None = None,
    item_ids: Sequence[int] | None = None,
    start: date | None = None,
    end: date | None = None,
) -> pd.DataFrame:
    """Read stored demand days, ordered by item, location and day, with one query.

    Args:
        session: Open session.
        location_id: Only this location.
        item_ids: Only these items.
        start: First day.
        end: Last day.

    Returns:
        Columns item_id, location_id, on (datetime64), units, returned_units, is_in_stock, flag.
        A day without a row is zero demand. Of several published loads the newest counts.
    """
    table = col(Demand.item_id), col(Demand.location_id), col(Demand.on), col(Demand.load_id)
    query = (
        select(
            table[0],
            table[1],
            cast(table[2], String),  # ISO text on both engines: quick to turn into a column
            col(Demand.units),
            col(Demand.returned_units),
            col(Demand.is_in_stock),
            col(Demand.flag),
        )
        .where(table[3].in_(select(col(Load.id)).where(col(Load.state) == LoadState.PUBLISHED)))
        .order_by(*table)
    )
    for column, value in ((table[1], location_id), (table[0], item_ids)):
        if value is not None:
            query = query.where(column == value if isinstance(value, int) else column.in_(value))
    if start is not None:
        query = query.where(table[2] >= start)
    if end is not None:
        query = query.where(table[2] <= end)
    return _newest_per_day(pd.concat(_columnar(session.connection().execute(query))))


def daily_series(session: Session, item_id: int, location_id: int, *, until: date) -> pd.DataFrame:
    """Read the demand of one item at one location on a dense calendar.

    Args:
        session: Open session.
        item_id: Item.
        location_id: Location.
        until: Last day; the series starts at the first sale.

    Returns:
        Columns on, units (as sold), demand (censored days filled), is_missing; one row per day
        (per week for weekly history). Empty without a sale.
    """
    frame = demand_frame(session, item_ids=[item_id], location_id=location_id, end=until)
    empty = pd.DataFrame({"on": [], "units": [], "demand": [], "is_missing": []})
    if frame.empty:
        return empty
    panel = core.dense_panel(frame, until=until)
    known = np.isfinite(panel.units[0])
    days = pd.date_range(
        end=pd.Timestamp(panel.until), periods=len(known), freq=f"{panel.period_days}D"
    )
    dense = {"on": days, "demand": panel.units[0], "is_missing": panel.is_missing[0]}
    series = pd.DataFrame(dense).loc[known]
    sold = frame.set_index("on")["units"]
    series.insert(1, "units", sold.reindex(series["on"], fill_value=0).to_numpy())
    return pd.DataFrame(series.reset_index(drop=True))


def _columnar(result: CursorResult[Any]) -> Iterator[pd.DataFrame]:
    """Turn rows into columns in partitions: a row costs ten times the memory of its values.

    The rows come straight from the driver. All columns are numbers and text on both engines, so
    there is nothing to convert, and wrapping each row would take longer than reading it.
    """
    yield _frame([()] * len(COLUMNS))
    with closing(result):
        while rows := result.cursor.fetchmany(_PARTITION_ROWS) if result.cursor else []:
            yield _frame(list(zip(*rows, strict=True)))


def _frame(columns: Sequence[Any]) -> pd.DataFrame:
    days = np.array(columns[2], dtype="datetime64[D]").astype("datetime64[ns]")
    whole = [np.array(columns[k], dtype=np.int64) for k in (0, 1, 3, 4)]
    is_in_stock, flag = np.array(columns[5], dtype=np.bool_), np.array(columns[6], dtype=object)
    values = (whole[0], whole[1], days, whole[2], whole[3], is_in_stock, flag)
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))


def _newest_per_day(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the last row of each series and day; rows come ordered with the newest load last."""
    if frame.empty:
        return frame
    keys = frame[["item_id", "location_id", "on"]]
    is_last = (keys != keys.shift(-1)).any(axis=1)
    return frame[is_last].reset_index(drop=True)
