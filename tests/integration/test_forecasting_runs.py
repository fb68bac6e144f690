"""Runs of forecasts: in partitions, killed and resumed, taken back."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlmodel import Session, col, select

from db import schema
from db.models.audit import AuditEvent
from db.models.catalog import Item, Location
from db.models.demand import DemandEvent, ForecastOverride
from db.models.planning import Forecast, ForecastRun
from db.models.stock import StockLevel
from db.session import Database
from db.types import EventKind, ForecastBasis
from tests.conftest import AUDIT_INFO, NOW
from tests.factories import TODAY, make_item, make_location, make_users
from tests.factories_demand import YESTERDAY, make_demand, make_load
from tools.alerts.service import exceptions
from tools.cases.service import newest_forecast_runs
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import Conflict, Forbidden, InvalidInput, NotFound
from tools.forecasting.core.engines import Engine
from tools.forecasting.service.answers import forecast_for
from tools.forecasting.service.records import latest_forecast, latest_run, roll_back, runs
from tools.forecasting.service.runs import run_forecasts
from tools.forecasting.service.tracking import kept_promises

SERIES = 15
CLOCK = FixedClock(NOW)
KILLED = """
import os, signal, sys
from datetime import datetime
from db.session import Database
from tools.clock import FixedClock
from tools.company import Company
from tools.forecasting.service.runs import run_forecasts

def die(done, total):
    if done >= 9:
        os.kill(os.getpid(), signal.SIGKILL)

clock = FixedClock(datetime.fromisoformat(sys.argv[2]))
run_forecasts(Database(sys.argv[1]), clock=clock, horizon_days=28, part_series=4, progress=die)
"""


def _stock(database: Database) -> None:
    """Fourteen sellers, one of a week; one article never sold."""
    random = np.random.default_rng(8)
    with database.write() as session:
        main, load = make_location(session), make_load(session)
        for k in range(SERIES - 1):
            days = 150 if k != 3 else 7
            item = make_item(session, f"SKU-{k}", f"Item {k}")
            units = random.poisson(0.4 + 3 * k, days).tolist()
            make_demand(session, item, main, load, units=[*units[:-1], 2])
        silent = make_item(session, "DUST", "Dust collector")
        session.add(StockLevel(item_id=silent.id, location_id=main.id, updated_at=NOW))


@pytest.fixture
def shop(database: Database) -> Database:
    _stock(database)
    return database


def _stored(database: Database, run_id: int) -> list[dict[str, Any]]:
    query = select(Forecast).where(Forecast.run_id == run_id)
    with database.read() as session:
        rows = session.exec(query.order_by(col(Forecast.item_id), col(Forecast.location_id)))
        return [row.model_dump(exclude={"id", "run_id"}) for row in rows]


class TestPartitions:
    def test_of_any_size_store_the_same_numbers_and_the_same_hash(self, shop: Database) -> None:
        whole = run_forecasts(shop, clock=CLOCK, horizon_days=28)
        parts = run_forecasts(shop, clock=CLOCK, horizon_days=28, part_series=4)

        assert _stored(shop, parts) == _stored(shop, whole)
        with shop.read() as session:
            first, second = session.get(ForecastRun, whole), session.get(ForecastRun, parts)
            assert first is not None
            assert second is not None
            assert first.data_hash == second.data_hash
            assert (first.partitions, second.partitions) == (2, 5)  # the silent pair is its own
            assert second.partitions_done == 5

    def test_tell_how_far_they_are(self, shop: Database) -> None:
        told: list[tuple[int, int]] = []

        run_forecasts(
            shop, clock=CLOCK, part_series=4, progress=lambda done, all_: told.append((done, all_))
        )

        assert told == sorted(told)
        assert told[-1] == (SERIES, SERIES)
        assert {total for _, total in told} == {SERIES}

    def test_on_another_engine_store_the_same(self, shop: Database) -> None:
        local = run_forecasts(shop, clock=CLOCK, horizon_days=28, part_series=5)

        dask = run_forecasts(
            shop, clock=CLOCK, horizon_days=28, part_series=5, engine=Engine("dask", workers=1)
        )

        assert _stored(shop, dask) == _stored(shop, local)


class TestKilled:
    def test_a_run_goes_on_where_its_process_was_killed(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path / 'shop.db'}", session_info=AUDIT_INFO)
        with database.engine.begin() as connection:
            schema.metadata().create_all(connection)
        _stock(database)
        command = [sys.executable, "-c", KILLED, database.url, NOW.isoformat()]

        killed = subprocess.run(command, check=False, capture_output=True, text=True)

        assert killed.returncode == -signal.SIGKILL, killed.stderr
        with database.read() as session:
            assert latest_run(session) is None
            (half,) = runs(session)
            assert 0 < half.partitions_done < half.partitions
            session.expunge_all()
        before = _stored(database, half.id)
        told: list[int] = []
        resumed = run_forecasts(
            database, clock=CLOCK, horizon_days=28, part_series=4,
            progress=lambda done, _all: told.append(done),
        )  # fmt: skip
        assert resumed == half.id
        assert min(told) > len(before) > 0
        whole = run_forecasts(database, clock=CLOCK, horizon_days=28)
        assert _stored(database, resumed) == _stored(database, whole)
        database.close()

    def test_new_sales_begin_a_new_run(self, shop: Database) -> None:
        with pytest.raises(KeyboardInterrupt):
            run_forecasts(shop, clock=CLOCK, part_series=4, progress=_interrupted)
        with shop.write() as session:
            late = make_item(session, "LATE", "Late")
            place = make_location(session, "SECOND")
            make_demand(session, late, place, make_load(session), units=[1, 2, 3])

        done = run_forecasts(shop, clock=CLOCK, part_series=4)

        with shop.read() as session:
            newest, half = runs(session)
            assert newest.id == done
            assert half.finished_at is None
            assert newest.series_count == SERIES + 1

    def test_two_that_go_on_with_one_run_do_not_store_it_twice(self, shop: Database) -> None:
        with pytest.raises(KeyboardInterrupt):
            run_forecasts(shop, clock=CLOCK, part_series=4, progress=_interrupted)
        others: list[int] = []

        def overtaken(_done: int, _all: int) -> None:
            if not others:
                others.append(0)
                others[0] = run_forecasts(shop, clock=CLOCK, part_series=4)

        with pytest.raises(Conflict, match="another process computes"):
            run_forecasts(shop, clock=CLOCK, part_series=4, progress=overtaken)

        assert len(_stored(shop, others[0])) == SERIES


def _interrupted(done: int, _all: int) -> None:
    if done >= 9:
        raise KeyboardInterrupt


class TestRollBack:
    @pytest.fixture
    def two(self, shop: Database) -> tuple[int, int]:
        return (
            run_forecasts(shop, clock=CLOCK, horizon_days=28),
            run_forecasts(shop, clock=CLOCK, horizon_days=29),
        )

    def test_everybody_reads_the_run_before_and_the_record_says_who_and_why(
        self, shop: Database, two: tuple[int, int]
    ) -> None:
        first, second = two
        with shop.write() as session:
            manager = make_users(session)["mona"]
            stands = roll_back(session, second, reason="a price file", actor=manager, clock=CLOCK)
            assert stands.id == first

        with shop.read() as session:
            run = latest_run(session)
            assert run is not None
            assert run.id == first
            row = session.exec(select(Forecast).where(Forecast.run_id == first)).first()
            assert row is not None
            found = latest_forecast(session, row.item_id, row.location_id)
            assert found is not None
            assert found.run_id == first
            assert set(newest_forecast_runs(session, None).values()) == {first}
            event = session.exec(
                select(AuditEvent).where(AuditEvent.action == "forecast_run.rolled_back")
            ).one()
            assert event.reason == "a price file"

    def test_refuses_whoever_may_not_decide(self, shop: Database, two: tuple[int, int]) -> None:
        with shop.write() as session:
            viewer = make_users(session)["vera"]
            with pytest.raises(Forbidden):
                roll_back(session, two[1], reason="I try", actor=viewer, clock=CLOCK)

    def test_refuses_a_second_time_the_last_run_and_no_reason(
        self, shop: Database, two: tuple[int, int]
    ) -> None:
        first, second = two
        with shop.write() as session:
            manager = make_users(session)["mona"]
            roll_back(session, second, reason="a price file", actor=manager, clock=CLOCK)
            with pytest.raises(Conflict, match="rolled back already"):
                roll_back(session, second, reason="again", actor=manager, clock=CLOCK)
            with pytest.raises(InvalidInput, match="say why"):
                roll_back(session, first, reason=" ", actor=manager, clock=CLOCK)
            with pytest.raises(NotFound):
                roll_back(session, 999, reason="which", actor=manager, clock=CLOCK)
        with pytest.raises(Conflict, match="the only one"), shop.write() as session:
            roll_back(session, first, reason="all", actor=manager, clock=CLOCK)
        with shop.read() as session:
            assert _run_id(session) == first


def _run_id(session: Session) -> int | None:
    run = latest_run(session)
    return None if run is None else run.id


class TestDrift:
    def test_a_forecast_that_is_too_high_week_after_week_is_an_exception(
        self, database: Database
    ) -> None:
        _halved(database, weeks=8)

        with database.read() as session:
            found = exceptions(
                session, clock=CLOCK, company=Company(), types=["forecast_drift"]
            ).exceptions

        assert {e.sku for e in found} == {"FALLING"}
        (one,) = found
        assert "sold less than forecast week after week" in one.why
        assert "the next run fits it anew" in one.why
        with database.read() as session:
            assert (
                exceptions(session, clock=CLOCK, company=Company(), types=["excess"]).exceptions
                == []
            )

    def test_promises_are_summed_up_by_class(self, database: Database) -> None:
        _halved(database, weeks=2)

        with database.read() as session:
            found = kept_promises(session)

        assert found["*"].series == 2
        assert found["*"].weeks == 4
        assert 0 < found["*"].bias < 0.2  # half of the units fall by a tenth a week

    def test_a_promise_waits_until_its_week_is_over(self, shop: Database) -> None:
        run_forecasts(shop, clock=CLOCK)
        again = run_forecasts(shop, clock=CLOCK)

        tracks = [row["metrics"]["track"] for row in _stored(shop, again) if row["observed_days"]]

        assert all(track["weeks"] == [] for track in tracks)
        assert {track["open"][0] for track in tracks} == {YESTERDAY.isoformat()}


def _halved(database: Database, *, weeks: int) -> None:
    """One item loses a tenth of its sales each week, one does not; a run at each weekend."""
    random = np.random.default_rng(3)
    days = 200
    with database.write() as session:
        main, load = make_location(session), make_load(session)
        fall = 0.9 ** np.maximum(0, (np.arange(days) - (days - 7 * weeks)) // 7)
        for sku, level in (("FALLING", 60 * fall), ("STEADY", np.full(days, 60.0))):
            item = make_item(session, sku, sku.title())
            make_demand(session, item, main, load, units=random.poisson(level).tolist())
    for week in range(weeks, -1, -1):
        run_forecasts(database, clock=FixedClock(NOW - timedelta(days=7 * week)), horizon_days=28)


class TestWhatPeopleKnow:
    @pytest.fixture
    def author(self, shop: Database) -> int:
        with shop.write() as session:
            return make_users(session)["paul"].user_id

    def test_an_event_moves_its_days_and_the_totals_with_them(
        self, shop: Database, author: int
    ) -> None:
        plain = {row["item_id"]: row for row in _stored(shop, run_forecasts(shop, clock=CLOCK))}
        with shop.write() as session:
            item = session.exec(select(Item).where(Item.sku == "SKU-9")).one()
            session.add(
                DemandEvent(
                    kind=EventKind.PROMOTION, name="Fair", start_on=TODAY, end_on=TODAY,
                    item_id=item.id, uplift=2.0, created_by_id=author, created_at=NOW,
                )
            )  # fmt: skip

        moved = {row["item_id"]: row for row in _stored(shop, run_forecasts(shop, clock=CLOCK))}

        before, after = plain[item.id], moved[item.id]
        assert after["mean"][0] == pytest.approx(2 * before["mean"][0], abs=1e-3)
        assert after["mean"][1:] == before["mean"][1:]
        assert after["total_quantiles"]["0.95"][0] > 1.9 * before["total_quantiles"]["0.95"][0]
        assert {k: v for k, v in moved.items() if k != item.id} == {
            k: v for k, v in plain.items() if k != item.id
        }

    def test_overrides_give_what_never_sold_a_forecast(self, shop: Database, author: int) -> None:
        with shop.write() as session:
            dust = session.exec(select(Item).where(Item.sku == "DUST")).one()
            like = session.exec(select(Item).where(Item.sku == "SKU-9")).one()
            place = session.exec(select(Location)).one()
            session.add(
                ForecastOverride(
                    item_id=dust.id, location_id=place.id, start_on=TODAY,
                    end_on=TODAY + timedelta(days=27), basis=ForecastBasis.ANALOG,
                    analog_item_id=like.id, analog_factor=0.5, created_by_id=author,
                    created_at=NOW,
                )
            )  # fmt: skip

        run_id = run_forecasts(shop, clock=CLOCK, horizon_days=28, part_series=4)

        rows = {row["item_id"]: row for row in _stored(shop, run_id)}
        assert rows[dust.id]["mean"] == pytest.approx(
            [value / 2 for value in rows[like.id]["mean"]], abs=1e-3
        )
        assert rows[dust.id]["basis"] is ForecastBasis.ANALOG
        assert min(rows[dust.id]["total_sd"]["sd"]) > 0
        with shop.read() as session:
            answer = forecast_for(
                session, session.get_one(Item, dust.id), session.get_one(Location, place.id),
                clock=CLOCK,
            )  # fmt: skip
            assert answer.total_mean == pytest.approx(sum(rows[like.id]["mean"]) / 2, rel=1e-3)
            assert any("after a similar item" in said for said in answer.warnings)

    def test_an_heir_takes_over_the_history_in_whatever_partition_it_lies(
        self, shop: Database
    ) -> None:
        with shop.write() as session:
            old = session.exec(select(Item).where(Item.sku == "SKU-2")).one()
            heir = session.exec(select(Item).where(Item.sku == "DUST")).one()
            old.superseded_by_id = heir.id
            session.add(old)
            heir_id = heir.id

        whole = _stored(shop, run_forecasts(shop, clock=CLOCK, horizon_days=28))
        parts = _stored(shop, run_forecasts(shop, clock=CLOCK, horizon_days=28, part_series=4))

        assert parts == whole
        (taken,) = (row for row in whole if row["item_id"] == heir_id)
        assert taken["observed_days"] > 100
        assert any("history holds that of SKU-2" in said for said in taken["warnings"])
