from datetime import date, timedelta

import pytest
from sqlalchemy import event
from sqlmodel import Session

from db.models.catalog import Item, Location
from db.models.ingestion import Load
from db.models.stock import Demand
from db.session import Database
from db.types import LoadState
from tests.conftest import NOW
from tests.factories import TODAY, make_item, make_location
from tests.factories_demand import make_demand, make_load
from tools.demand.service import COLUMNS, daily_series, demand_frame


@pytest.fixture
def world(session: Session) -> tuple[Item, Location, Load]:
    """An item, a place, a published load."""
    return make_item(session), make_location(session), make_load(session)


def test_only_published_loads_count(session: Session, world: tuple[Item, Location, Load]) -> None:
    item, main, load = world
    make_demand(session, item, main, load, units=[5])
    staging = make_load(session, state=LoadState.STAGING)
    failed = make_load(session, state=LoadState.FAILED)
    make_demand(session, item, main, staging, units=[900, 900])
    make_demand(session, item, main, failed, units=[800])

    frame = demand_frame(session)

    assert frame["units"].tolist() == [5]


def test_the_newest_load_wins_day_by_day(
    session: Session, world: tuple[Item, Location, Load]
) -> None:
    item, main, load = world
    make_demand(session, item, main, load, units=[1, 2, 3])
    correction = make_load(session)
    make_demand(session, item, main, correction, units=[20], until=TODAY - timedelta(days=2))

    frame = demand_frame(session)

    assert tuple(frame.columns) == COLUMNS
    assert frame["units"].tolist() == [1, 20, 3]
    assert frame["on"].is_monotonic_increasing


def test_filters_by_item_place_and_days(
    session: Session, world: tuple[Item, Location, Load]
) -> None:
    item, main, load = world
    other, east = make_item(session, "OTHER", "Other"), make_location(session, "EAST")
    make_demand(session, item, main, load, units=[1, 2, 3])
    make_demand(session, other, main, load, units=[40])
    make_demand(session, item, east, load, units=[50])

    def units(**filters: object) -> list[int]:
        found: list[int] = demand_frame(session, **filters)["units"].tolist()  # type: ignore[arg-type]
        return found

    yesterday = TODAY - timedelta(days=1)
    assert units(item_ids=[other.id]) == [40]
    assert units(location_id=east.id) == [50]
    assert units(item_ids=[item.id], location_id=main.id, start=yesterday) == [3]
    assert units(item_ids=[item.id], location_id=main.id, end=yesterday) == [1, 2, 3]
    assert units(item_ids=[]) == []


def test_reads_any_number_of_series_with_one_statement(database: Database) -> None:
    with database.write() as session:
        main, load = make_location(session), make_load(session)
        for k in range(30):
            item = make_item(session, f"SKU-{k}", f"Item {k}")
            make_demand(session, item, main, load, units=[k + 1, 0, 2])
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))

    with database.read() as session:
        frame = demand_frame(session)

    assert len(frame) == 90
    assert len([text for text in statements if text.startswith("SELECT")]) == 1


def test_a_series_is_dense_to_the_last_day_and_fills_days_out_of_stock(
    session: Session, world: tuple[Item, Location, Load]
) -> None:
    item, main, load = world
    make_demand(session, item, main, load, units=[4, 0, 6], until=TODAY - timedelta(days=3))
    session.add(
        Demand(
            item_id=item.id, location_id=main.id, on=TODAY - timedelta(days=2), load_id=load.id,
            units=0, is_in_stock=False,
        )
    )  # fmt: skip
    session.flush()

    series = daily_series(session, item.id, main.id, until=TODAY - timedelta(days=1))

    assert series["units"].tolist() == [4, 0, 6, 0, 0]
    # the day out of stock takes the mean of the other four: (4 + 0 + 6 + 0) / 4
    assert series["demand"].tolist() == [4, 0, 6, 2.5, 0]
    assert series["is_missing"].tolist() == [False, False, False, True, False]
    assert series["on"].iloc[-1].date() == TODAY - timedelta(days=1)


def test_an_item_without_a_sale_has_an_empty_series(
    session: Session, world: tuple[Item, Location, Load]
) -> None:
    item, main, load = world

    assert daily_series(session, item.id, main.id, until=NOW.date()).empty
    make_demand(session, item, main, load, units=[0, 0])
    assert daily_series(session, item.id, main.id, until=date(2026, 3, 1)).empty
