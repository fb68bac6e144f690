"""Loads and demand rows for tests of demand and forecasts."""

import uuid
from collections.abc import Sequence
from datetime import date, timedelta

from sqlmodel import Session

from db.models.catalog import Item, Location
from db.models.ingestion import Load
from db.models.stock import Demand
from db.types import LoadState
from tests.conftest import NOW

YESTERDAY = NOW.date() - timedelta(days=1)


def make_load(session: Session, state: LoadState = LoadState.PUBLISHED) -> Load:
    """An import of sales."""
    load = Load(
        kind="sales", file_name="sales.csv", content_hash=uuid.uuid4().hex, state=state,
        started_at=NOW,
    )  # fmt: skip
    session.add(load)
    session.flush()
    return load


def make_demand(
    session: Session,
    item: Item,
    location: Location,
    load: Load,
    *,
    units: Sequence[int],
    until: date = YESTERDAY,
) -> None:
    """One row per day, the last one at ``until``."""
    session.add_all(
        Demand(
            item_id=item.id,
            location_id=location.id,
            on=until - timedelta(days=len(units) - 1 - k),
            load_id=load.id,
            units=int(value),
        )
        for k, value in enumerate(units)
    )
    session.flush()
