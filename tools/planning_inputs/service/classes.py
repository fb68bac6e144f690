"""Sort every item into its segment, stored on the item."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd
from sqlalchemy import update
from sqlmodel import Session, col, select

from db.models.catalog import ExchangeRate, Item
from tools.company import Company
from tools.demand.service import demand_frame
from tools.money import minor_rate
from tools.planning_inputs.core.classes import (
    USAGE_DAYS,
    VARIATION_WEEKS,
    abc_classes,
    xyz_classes,
)
from tools.planning_inputs.core.cleaning import corrected
from tools.planning_inputs.service.reading import read_inputs
from tools.reach.service import items_here

_MICRO = 1_000_000


@dataclass(frozen=True)
class ClassCounts:
    """How many items are in each segment, such as AX, and how many moved."""

    items: Mapping[str, int]
    changed: int


def classify_items(
    session: Session,
    *,
    until: date,
    company: Company,
    frame: pd.DataFrame | None = None,
) -> ClassCounts:
    """Class every item by usage value and by variation, and store what changed in bulk.

    Usage value is the corrected demand of a year times the unit cost, in company currency. The
    variation is that of the weekly demand of a year, from the first sale on, over all places.

    Args:
        session: A write transaction.
        until: Last day that counts.
        company: Whose currency values are compared in.
        frame: Demand as ``demand_frame`` gives it, if the caller has read it already.

    Returns:
        How many items each segment holds.
    """
    items = _items(session)
    if not items:
        return ClassCounts({}, 0)
    start = until - timedelta(days=USAGE_DAYS - 1)
    if frame is None:
        frame = demand_frame(session, start=start, end=until)
    sold = corrected(frame, read_inputs(session).corrections)
    sold = sold[sold["on"].between(pd.Timestamp(start), pd.Timestamp(until))]
    ids = np.array([one.id for one in items])
    worth = _worth(session, company)
    costs = np.array([one.unit_cost_minor * worth.get(one.currency, 1.0) for one in items])
    units = sold.groupby("item_id")["units"].sum().reindex(ids, fill_value=0).to_numpy(float)
    weekly = _weekly(sold, ids, until)
    found = zip(abc_classes(units * costs), xyz_classes(weekly), strict=True)
    segments = list(found)
    changed = [
        {"id": one.id, "abc": abc, "xyz": xyz}
        for one, (abc, xyz) in zip(items, segments, strict=True)
        if (one.abc, one.xyz) != (abc, xyz)
    ]
    if changed:
        session.execute(update(Item), changed)
    return ClassCounts(Counter(abc + xyz for abc, xyz in segments), len(changed))


class _Classed(NamedTuple):
    """What is known of an item."""

    id: int
    unit_cost_minor: int
    currency: str
    abc: str
    xyz: str


def _items(session: Session) -> list[_Classed]:
    columns = (Item.id, Item.unit_cost_minor, Item.currency, Item.abc, Item.xyz)
    asked = session.execute(select(*columns).order_by(col(Item.id)))  # type: ignore[call-overload]
    return [_Classed(*row) for row in asked]


def _worth(session: Session, company: Company) -> dict[str, float]:
    """Company minor units for one minor unit of each currency; one is taken where none is known."""
    known = session.exec(select(ExchangeRate.currency, ExchangeRate.rate_micro)).all()
    rates = {
        currency: minor_rate(rate, currency=currency, company_currency=company.currency) / _MICRO
        for currency, rate in known
    }
    return rates | {company.currency: 1.0}


def _weekly(sold: pd.DataFrame, ids: np.ndarray, until: date) -> np.ndarray:
    """Units of each item in each of the last weeks; NaN before its first sale.

    A day that was set aside counts with nothing here: a tender is no variation.
    """
    weeks = np.full((len(ids), VARIATION_WEEKS), 0.0)
    back = np.asarray((pd.Timestamp(until) - sold["on"]).dt.days) // 7
    keep = (back < VARIATION_WEEKS) & (sold["flag"] != "one_off").to_numpy()
    row = np.searchsorted(ids, sold["item_id"].to_numpy()[keep])
    np.add.at(weeks, (row, VARIATION_WEEKS - 1 - back[keep]), sold["units"].to_numpy(float)[keep])
    started = np.maximum.accumulate(weeks > 0, axis=1)
    weeks[~started] = np.nan
    return weeks


def segment_counts(session: Session) -> dict[str, int]:
    """Count the items of each segment that this session may see."""
    asked = select(Item.abc, Item.xyz).where(*items_here(session))
    return dict(Counter(abc + xyz for abc, xyz in session.exec(asked)))
