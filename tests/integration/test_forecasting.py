from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlmodel import Session, select

from db.models.catalog import Item, Location
from db.models.planning import Forecast, ForecastRun, Recommendation
from db.models.stock import StockLevel
from db.session import Database
from db.types import Actor, DemandClass, Role
from tests.conftest import NOW
from tests.factories import TODAY, make_forecast, make_item, make_location, make_world_p
from tests.factories_demand import YESTERDAY, make_demand, make_load
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import NotEnoughData
from tools.forecasting.service.answers import forecast_for
from tools.forecasting.service.records import latest_forecast, latest_run
from tools.forecasting.service.runs import run_forecasts
from tools.forecasting.tool import forecast_demand
from tools.replenishment.service import plan_all
from tools.replenishment.tool import (
    compute_reorder_point,
    explain_recommendation,
    recommend_orders,
)
from tools.wrapping import ToolContext


@pytest.fixture
def shop(database: Database) -> dict[str, int]:
    """Item ids at one location: 12 sellers of 150 days, a new one, one never sold; one censored."""
    random = np.random.default_rng(4)
    with database.write() as session:
        main, load = make_location(session), make_load(session)
        ids = {}
        for k in range(12):
            item = make_item(session, f"SKU-{k}", f"Item {k}")
            make_demand(session, item, main, load, units=random.poisson(20, 150).tolist())
            ids[item.sku] = item.id
        new = make_item(session, "NOVA-LAMP", "Nova lamp")
        make_demand(session, new, main, load, units=[3, 0, 6, 0, 3, 0, 6, 0, 9])
        silent = make_item(session, "DUST", "Dust collector")
        session.add(StockLevel(item_id=silent.id, location_id=main.id, updated_at=NOW))
        return ids | {"NOVA-LAMP": new.id, "DUST": silent.id, "main": main.id}


def _forecast(session: Session, shop: dict[str, int], sku: str) -> Forecast:
    found = latest_forecast(session, shop[sku], shop["main"])
    assert found is not None
    return found


class TestRunForecasts:
    @pytest.mark.usefixtures("shop")
    def test_stores_one_row_per_item_with_what_it_saw(
        self, database: Database, clock: FixedClock
    ) -> None:
        run_id = run_forecasts(database, clock=clock, horizon_days=30)

        with database.read() as session:
            run = latest_run(session)
            rows = session.exec(select(Forecast)).all()

            assert run is not None
            assert (run.id, run.as_of_on, run.grain) == (run_id, YESTERDAY, "D")
            assert run.series_count == len(rows) == 14
            assert len(run.data_hash) == 64
            assert set(run.versions) >= {"statsforecast", "numpy", "pandas"}

    def test_steady_sellers_are_forecast_near_their_level(
        self, database: Database, shop: dict[str, int], clock: FixedClock
    ) -> None:
        run_forecasts(database, clock=clock, horizon_days=30)

        with database.read() as session:
            rows = [_forecast(session, shop, f"SKU-{k}") for k in range(12)]
            row = rows[5]

            assert len(row.mean) == row.horizon_days == 30
            assert np.mean([r.mean for r in rows]) == pytest.approx(20, rel=0.05)
            assert row.demand_class is DemandClass.SMOOTH
            assert row.total_sd["days"] == row.total_quantiles["days"] == [1, 3, 7, 14, 21, 28]
            assert row.total_sd["sd"][0] == pytest.approx(20**0.5, rel=0.4)  # Poisson: sqrt(20)
            assert row.total_quantiles["0.05"][3] < 14 * 20 < row.total_quantiles["0.95"][3]
            assert {"wmape", "bias", "mase"} <= set(row.metrics)
            assert row.metrics["wmape"] < 0.15

    def test_new_and_silent_items_get_a_row_that_says_so(
        self, database: Database, shop: dict[str, int], clock: FixedClock
    ) -> None:
        run_forecasts(database, clock=clock)

        with database.read() as session:
            new, silent = (_forecast(session, shop, sku) for sku in ("NOVA-LAMP", "DUST"))

            assert new.demand_class is DemandClass.NEW
            assert new.mean[0] == pytest.approx(3.0)
            assert silent.demand_class is DemandClass.NO_DEMAND
            assert sum(silent.mean) == 0
            assert silent.warnings
            assert silent.adi is None

    def test_today_does_not_count_because_it_is_not_over(
        self, database: Database, shop: dict[str, int], clock: FixedClock
    ) -> None:
        with database.write() as session:
            item, main = session.get(Item, shop["SKU-1"]), session.get(Location, shop["main"])
            assert item is not None
            assert main is not None
            make_demand(session, item, main, make_load(session), units=[9999], until=TODAY)

        run_forecasts(database, clock=clock)

        with database.read() as session:
            assert max(_forecast(session, shop, "SKU-1").mean) < 100

    def test_yesterday_is_that_of_the_company(
        self, database: Database, shop: dict[str, int], clock: FixedClock
    ) -> None:
        clock.at = clock.at.replace(hour=20)  # in Auckland it is the next morning
        auckland = Company(timezone="Pacific/Auckland")
        with database.write() as session:
            item = session.get_one(Item, shop["SKU-1"])
            main = session.get_one(Location, shop["main"])
            make_demand(session, item, main, make_load(session), units=[20], until=TODAY)

        run_forecasts(database, clock=clock, company=auckland)

        with database.read() as session:
            run = latest_run(session)
            assert run is not None
            assert run.as_of_on == TODAY
            item, main = (session.get_one(Item, shop["SKU-1"]), session.get_one(Location, 1))
            answer = forecast_for(session, item, main, clock=clock, company=auckland)
            assert answer.start_on == TODAY + timedelta(days=1)

    def test_the_same_data_has_the_same_hash_and_a_change_another(
        self, database: Database, shop: dict[str, int], clock: FixedClock
    ) -> None:
        def data_hash() -> str:
            with database.read() as session:
                run = session.get(ForecastRun, run_forecasts(database, clock=clock))
                assert run is not None
                return run.data_hash

        first, second = data_hash(), data_hash()
        with database.write() as session:
            item, main = session.get(Item, shop["SKU-1"]), session.get(Location, shop["main"])
            assert item is not None
            assert main is not None
            make_demand(session, item, main, make_load(session), units=[21])

        assert first == second != data_hash()

    def test_a_spread_that_could_not_be_tested_stores_no_quantiles(
        self, database: Database, clock: FixedClock
    ) -> None:
        with database.write() as session:
            main, load, item = make_location(session), make_load(session), make_item(session)
            make_demand(session, item, main, load, units=[20, 22, 18, 24, 16] * 9)
            ids = {item.sku: item.id, "main": main.id}

        run_forecasts(database, clock=clock)

        with database.read() as session:
            row = _forecast(session, ids, "WIDGET-A")
            assert row.total_quantiles == {}
            assert row.total_sd["sd"][0] > 0
            assert "too few past periods" in row.warnings[0]
            place = session.get_one(Location, ids["main"])
            answer = forecast_for(session, session.get_one(Item, row.item_id), place, clock=clock)
            assert 0 < answer.total_low < answer.total_mean < answer.total_high

    def test_a_typing_error_on_the_last_day_buys_nothing_and_is_told(
        self, database: Database, clock: FixedClock
    ) -> None:
        with database.write() as session:
            world = make_world_p(session)
            load = make_load(session)
            units = np.random.default_rng(5).poisson(20, 364).tolist()
            make_demand(session, world.widget, world.main, load, units=[*units, 100_000])
            item, place = world.widget.id, world.main.id

        run_forecasts(database, clock=clock)
        with database.write() as session:
            plan_all(session, clock=clock, company=Company(currency="USD"))

        note = "set aside as outlier: 100,000 on 1 Mar 2026"
        actor = Actor(user_id=1, login="paul", name="Paul", role=Role.PLANNER)
        context = ToolContext(database.read, database.write, actor, clock, Company(currency="USD"))
        with database.read() as session:
            row = latest_forecast(session, item, place)
            assert row is not None
            assert max(row.mean) < 30
            assert note in row.warnings
            advice = session.exec(select(Recommendation)).one()
            assert "outlier_set_aside" in advice.flags
            assert advice.order_units < 2000
        for tool in (forecast_demand, compute_reorder_point, explain_recommendation):
            assert note in tool.call(context, {"sku": "WIDGET-A"})["warnings"]
        for line in recommend_orders.call(context, {})["data"]["lines"]:
            assert "outlier_set_aside" in line["flags"]

    def test_without_sales_there_is_nothing_to_forecast(
        self, database: Database, clock: FixedClock
    ) -> None:
        with pytest.raises(NotEnoughData, match="no sales") as caught:
            run_forecasts(database, clock=clock)

        assert "Load a sales file" in caught.value.next_step

    def test_a_run_that_was_killed_is_not_read(
        self, database: Database, shop: dict[str, int], clock: FixedClock
    ) -> None:
        done = run_forecasts(database, clock=clock)
        with database.write() as session:
            killed = ForecastRun(started_at=NOW, as_of_on=TODAY, horizon_days=9, data_hash="0" * 64)
            session.add(killed)

        with database.read() as session:
            run = latest_run(session)
            assert run is not None
            assert run.id == done
            assert _forecast(session, shop, "SKU-1").run_id == done


class TestForecastFor:
    def test_sums_days_from_today_and_gives_the_range_of_the_total(
        self, session: Session, clock: FixedClock
    ) -> None:
        world = make_world_p(session)

        answer = forecast_for(session, world.widget, world.main, clock=clock, horizon_days=28)

        # 28 days of 100 +- 20: 2,800 and sd 20 * sqrt(28) = 105.83; 90 %: +- 1.6449 * 105.83
        assert (answer.start_on, answer.end_on) == (TODAY, TODAY + timedelta(days=27))
        assert answer.total_mean == pytest.approx(2800)
        assert answer.total_low == pytest.approx(2800 - 174.08, abs=0.05)
        assert answer.total_high == pytest.approx(2800 + 174.08, abs=0.05)
        assert answer.warnings == ()

    def test_the_lead_time_quantile_is_that_of_the_sum(
        self, session: Session, clock: FixedClock
    ) -> None:
        world = make_world_p(session)

        answer = forecast_for(session, world.widget, world.main, clock=clock)

        assert answer.lead_time is not None
        assert answer.lead_time.days == 9  # quoted by the preferred supplier
        assert answer.lead_time.mean_units == pytest.approx(900)
        assert answer.lead_time.quantile_units == pytest.approx(998.7, abs=0.05)  # DOMAIN 1.2

    def test_an_old_forecast_says_its_age_and_starts_today(
        self, session: Session, clock: FixedClock
    ) -> None:
        world = make_world_p(session)
        clock.at = NOW + timedelta(days=10)

        answer = forecast_for(session, world.widget, world.main, clock=clock)

        assert answer.start_on == TODAY + timedelta(days=10)
        assert answer.total_mean == pytest.approx(2800)
        assert "11 days ago" in answer.warnings[0]

    def test_days_behind_the_horizon_repeat_its_end_and_say_so(
        self, session: Session, clock: FixedClock
    ) -> None:
        world = make_world_p(session)

        answer = forecast_for(session, world.widget, world.main, clock=clock, horizon_days=70)

        assert answer.total_mean == pytest.approx(7000)
        assert "covers 60 more days" in answer.warnings[0]

    def test_a_forecast_that_ran_out_is_refused(self, session: Session, clock: FixedClock) -> None:
        world = make_world_p(session)
        clock.at = NOW + timedelta(days=90)

        with pytest.raises(NotEnoughData, match="has run out"):
            forecast_for(session, world.widget, world.main, clock=clock)

    def test_without_a_stored_forecast_it_says_what_to_do(
        self, session: Session, clock: FixedClock
    ) -> None:
        with pytest.raises(NotEnoughData, match="'LONELY' at 'MAIN'") as caught:
            forecast_for(session, make_item(session, "LONELY"), make_location(session), clock=clock)

        assert "run the plan" in caught.value.next_step


class TestForecastDemand:
    @pytest.fixture
    def context(self, database: Database, clock: FixedClock) -> ToolContext:
        actor = Actor(user_id=1, login="paul", name="Paul", role=Role.PLANNER)
        return ToolContext(database.read, database.write, actor, clock, Company())

    def _ask(self, context: ToolContext, **arguments: Any) -> dict[str, Any]:
        return forecast_demand.call(context, {"sku": "WIDGET-A"} | arguments)

    def test_answers_with_every_number_a_reply_needs(
        self, database: Database, context: ToolContext
    ) -> None:
        with database.write() as session:
            make_world_p(session)

        answer = self._ask(context)

        assert answer["ok"]
        data = answer["data"]
        assert (data["sku"], data["uom"], data["location"]) == ("WIDGET-A", "each", "MAIN")
        assert (data["daily_mean"], data["cumulative_mean"]) == (100, 2800)
        assert (data["cumulative_low"], data["cumulative_high"]) == (2626, 2974)
        assert data["lead_time"] == {
            "days": 9.0, "quantile_level": 0.95, "quantile_units": 999, "mean_units": 900,
        }  # fmt: skip
        assert [week["units"] for week in data["weeks"]] == [700, 700, 700, 700]
        assert data["weeks"][1]["start"] == (TODAY + timedelta(days=7)).isoformat()
        assert (data["start"], data["end"]) == ("2026-03-02", "2026-03-29")
        assert data["basis"] == "own"
        assert answer["as_of"] == "2026-03-02T00:00:00+00:00"  # the end of the last known day

    def test_shows_at_most_thirteen_weeks(self, database: Database, context: ToolContext) -> None:
        with database.write() as session:
            make_world_p(session)

        assert len(self._ask(context, horizon_days=91)["data"]["weeks"]) == 13
        assert self._ask(context, horizon_days=92)["error"] == "invalid_input"

    def test_small_numbers_keep_one_decimal(self, database: Database, context: ToolContext) -> None:
        with database.write() as session:
            item = make_item(session)
            make_forecast(session, item, make_location(session), mean=3.04, sd=1.0)

        data = self._ask(context, horizon_days=7)["data"]

        assert (data["daily_mean"], data["cumulative_mean"]) == (3.0, 21.3)
        assert data["lead_time"] is None

    @pytest.mark.usefixtures("shop")
    def test_nine_days_of_sales_are_not_enough(
        self, database: Database, context: ToolContext, clock: FixedClock
    ) -> None:
        run_forecasts(database, clock=clock)

        answer = self._ask(context, sku="NOVA-LAMP")

        assert answer["error"] == "insufficient_data"
        assert "9 days of sales" in answer["message"]
        assert "similar item" in answer["next"]
        assert answer["details"] == {"observed_days": 9, "daily_mean_so_far": 3.0}
        assert self._ask(context, sku="DUST")["error"] == "insufficient_data"
        assert self._ask(context, sku="NO-SUCH")["error"] == "not_found"
