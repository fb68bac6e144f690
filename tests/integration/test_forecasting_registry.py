"""Models that are tried, promoted and taken back."""

from collections import Counter

import numpy as np
import pytest
from sqlmodel import select

from db.models.audit import AuditEvent
from db.models.planning import Forecast
from db.session import Database
from db.types import Actor, ModelState
from tests.conftest import NOW
from tests.factories import make_item, make_location, make_users
from tests.factories_demand import make_demand, make_load
from tools.clock import FixedClock
from tools.errors import Conflict, Forbidden, InvalidInput, NotEnoughData, NotFound
from tools.forecasting.service.registry import (
    champions_in_use,
    demote,
    promote,
    registered,
    try_models,
)
from tools.forecasting.service.runs import run_forecasts

CLOCK = FixedClock(NOW)


@pytest.fixture
def people(database: Database) -> dict[str, Actor]:
    with database.write() as session:
        return make_users(session)


@pytest.fixture
def weekly(database: Database, people: dict[str, Actor]) -> Database:
    """Twelve items that sell by the weekday only: what a seasonal average sees and SES does not."""
    random = np.random.default_rng(2)
    week = np.array([4, 6, 8, 10, 30, 40, 2.0])
    with database.write() as session:
        main, load = make_location(session), make_load(session)
        for k in range(12):
            item = make_item(session, f"SKU-{k}", f"Item {k}")
            units = random.poisson(np.tile(week * (1 + k / 4), 26)) + 1
            make_demand(session, item, main, load, units=units.tolist())
    return database


class TestTryModels:
    def test_registers_how_it_did_against_what_is_in_use(
        self, weekly: Database, people: dict[str, Actor]
    ) -> None:
        trial = try_models(
            weekly, segment="*", models=("seasonal_window",), actor=people["paul"], clock=CLOCK
        )

        assert trial.series == 12
        assert trial.challenger.mase < trial.champion.mase
        with weekly.read() as session:
            (row,) = registered(session)
            assert row.state is ModelState.CHALLENGER
            assert row.models == "seasonal_window"
            assert len(row.data_hash) == 64
            assert set(row.versions) >= {"statsforecast", "numpy"}
            assert row.metrics["windows"] == 3
            assert champions_in_use(session) == {}
            assert session.exec(
                select(AuditEvent).where(AuditEvent.action == "forecast_model.tried")
            ).one()

    def test_refuses_unknown_names_and_empty_segments(
        self, weekly: Database, people: dict[str, Actor]
    ) -> None:
        def attempt(segment: str, *models: str, login: str = "paul") -> None:
            try_models(weekly, segment=segment, models=models, actor=people[login], clock=CLOCK)

        with pytest.raises(InvalidInput, match="no segment 'weekly'"):
            attempt("weekly", "ses")
        with pytest.raises(InvalidInput, match="no forecast model 'prophecy'"):
            attempt("*", "prophecy")
        with pytest.raises(NotEnoughData, match="segment 'intermittent'"):
            attempt("intermittent", "tsb")
        with pytest.raises(Forbidden):
            attempt("*", "ses", login="vera")


class TestPromote:
    def test_the_next_run_uses_it_and_a_rollback_brings_back_the_one_before(
        self, weekly: Database, people: dict[str, Actor]
    ) -> None:
        first, second = (
            try_models(weekly, segment="*", models=(name,), actor=people["paul"], clock=CLOCK)
            for name in ("window", "seasonal_window")
        )
        mona = people["mona"]
        with weekly.write() as session:
            promote(session, first.model_id, reason="calm", actor=mona, clock=CLOCK)
        later = FixedClock(NOW.replace(hour=11))
        with weekly.write() as session:
            promote(session, second.model_id, reason="weekdays", actor=mona, clock=later)

        run_id = run_forecasts(weekly, clock=CLOCK, horizon_days=28)

        with weekly.write() as session:
            rows = session.exec(select(Forecast).where(Forecast.run_id == run_id)).all()
            assert {row.model for row in rows} == {"seasonal_window"}
            states = {row.id: row.state for row in registered(session)}
            assert states == {
                first.model_id: ModelState.RETIRED, second.model_id: ModelState.CHAMPION,
            }  # fmt: skip
            back = demote(session, "*", reason="too nervous", actor=mona, clock=later)
            assert back is not None
            assert back.id == first.model_id
            assert champions_in_use(session) == {"*": ("window",)}
            assert demote(session, "*", reason="default", actor=mona, clock=later) is None
            assert champions_in_use(session) == {}
            actions = Counter(session.exec(select(AuditEvent.action)).all())
            assert actions["forecast_model.promoted"] == 2
            assert actions["forecast_model.rolled_back"] == 2

    def test_refuses_without_right_reason_or_model(
        self, weekly: Database, people: dict[str, Actor]
    ) -> None:
        trial = try_models(
            weekly, segment="*", models=("window",), actor=people["paul"], clock=CLOCK
        )
        with weekly.write() as session:
            with pytest.raises(Forbidden):
                promote(session, trial.model_id, reason="mine", actor=people["vera"], clock=CLOCK)
            with pytest.raises(InvalidInput, match="say why"):
                promote(session, trial.model_id, reason="", actor=people["mona"], clock=CLOCK)
            with pytest.raises(NotFound):
                promote(session, 999, reason="which", actor=people["mona"], clock=CLOCK)
            with pytest.raises(NotFound, match="the default is in use"):
                demote(session, "smooth", reason="none", actor=people["mona"], clock=CLOCK)
            promote(session, trial.model_id, reason="good", actor=people["mona"], clock=CLOCK)
            with pytest.raises(Conflict, match="in use already"):
                promote(session, trial.model_id, reason="good", actor=people["mona"], clock=CLOCK)
