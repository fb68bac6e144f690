"""The server forecasts and plans by itself from the hour that is set on."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import select

from api.planning import plan_if_due
from db.models.ingestion import Load
from db.models.planning import ForecastRun, PlanningRun
from db.session import Database
from tests.conftest import NOW
from tests.factories import make_item, make_location
from tests.factories_demand import make_demand, make_load
from tools.clock import FixedClock
from tools.company import Company
from tools.forecasting.core.engines import Engine


def _system(database: Database, *, hour: int, hours_later: float = 0) -> Any:
    """As much of a system as planning needs; it is nine in the morning."""
    return SimpleNamespace(
        database=database, clock=FixedClock(NOW + timedelta(hours=hours_later)),
        company=Company(), settings=SimpleNamespace(forecast_hour=hour, engine=Engine()),
    )  # fmt: skip


@pytest.fixture
def shop(database: Database) -> Database:
    with database.write() as session:
        item = make_item(session, "NEW", "New")
        make_demand(session, item, make_location(session), make_load(session), units=[1, 2, 3])
    return database


def _runs(database: Database) -> tuple[int, int]:
    with database.read() as session:
        return (
            len(session.exec(select(ForecastRun.id)).all()),
            len(session.exec(select(PlanningRun.id)).all()),
        )


def test_never_unless_it_is_set_and_not_before_the_hour(shop: Database) -> None:
    assert not plan_if_due(_system(shop, hour=-1))
    assert not plan_if_due(_system(shop, hour=10))
    assert _runs(shop) == (0, 0)


def test_once_a_day_and_again_the_next_one(shop: Database) -> None:
    assert plan_if_due(_system(shop, hour=9))
    assert not plan_if_due(_system(shop, hour=9, hours_later=3))
    assert plan_if_due(_system(shop, hour=9, hours_later=24))
    assert _runs(shop) == (2, 2)


def test_again_after_new_sales(shop: Database) -> None:
    assert plan_if_due(_system(shop, hour=9))
    with shop.write() as session:
        load = session.exec(select(Load)).one()
        load.kind, load.finished_at = "sales", NOW + timedelta(hours=1)
        session.add(load)

    assert plan_if_due(_system(shop, hour=9, hours_later=2))
    assert not plan_if_due(_system(shop, hour=9, hours_later=3))


def test_without_sales_there_is_nothing_to_plan(database: Database) -> None:
    assert not plan_if_due(_system(database, hour=0))
