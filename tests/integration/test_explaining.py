from datetime import timedelta

import numpy as np
import pytest
from sqlmodel import Session

from db.models.catalog import Item, Location
from db.models.planning import Forecast
from db.session import Database
from tests.conftest import NOW
from tests.factories import TODAY, make_forecast, make_item, make_location, make_users, make_world_p
from tests.factories_demand import YESTERDAY, make_demand, make_load
from tests.factories_planning import USD, make_context
from tools.clock import FixedClock
from tools.errors import NotEnoughData
from tools.explaining.service import forecast_reasons, item_chart, recommendation_sum
from tools.forecasting.core.components import NAMES, component_rows
from tools.forecasting.tool import forecast_demand
from tools.pictures.core.item import Due, ItemChart, item_svg

CLOCK = FixedClock(NOW)


def _chart(session: Session, *, horizon_days: int = 21) -> ItemChart:
    world = make_world_p(session)
    return item_chart(
        session, world.widget, world.main, clock=CLOCK, company=USD, horizon_days=horizon_days
    )


class TestItemChart:
    def test_stock_falls_to_nothing_on_the_day_of_fixture_p(self, session: Session) -> None:
        """DOMAIN 1.5: 540 + 300 on day 4 at 100 a day is nothing at day 8.4."""
        chart = _chart(session)

        assert [row.mean for row in chart.stock[:9]] == [440, 340, 240, 140, 340, 240, 140, 40, -60]
        assert chart.stockout_on == TODAY + timedelta(days=8)
        assert chart.reorder_point == 1244
        assert chart.receipts == (Due(TODAY + timedelta(days=4), 300, "PO-1042"),)

    def test_the_fan_is_that_of_totals(self, session: Session) -> None:
        """DOMAIN 1.2: the 95 % quantile of nine days is 998.7, not the sum of daily ones."""
        chart = _chart(session)

        ninth = chart.stock[8]
        assert ninth.low90 == pytest.approx(840 - 998.7, abs=0.05)
        assert ninth.high90 == pytest.approx(840 - 801.3, abs=0.05)
        # z of 75 % is 0.6745: 900 + 0.6745 * 60.
        assert ninth.low50 == pytest.approx(840 - 940.5, abs=0.05)

    def test_a_week_of_independent_days_is_as_wide_as_the_first(self, session: Session) -> None:
        chart = _chart(session)

        for week in chart.forecast:  # 700 +- 1.6449 * 20 * sqrt(7)
            assert week.mean == pytest.approx(700)
            assert week.high90 - week.mean == pytest.approx(87.04, abs=0.01)

    def test_history_is_whole_weeks_up_to_yesterday(self, session: Session) -> None:
        place, item, load = make_location(session), make_item(session), make_load(session)
        make_demand(session, item, place, load, units=[99, *[1] * 7, *[2] * 7])

        chart = item_chart(session, item, place, clock=CLOCK, company=USD)

        assert [(past.start_on, past.units) for past in chart.history] == [
            (YESTERDAY - timedelta(days=13), 7.0),
            (YESTERDAY - timedelta(days=6), 14.0),
        ]
        assert chart.forecast == ()
        assert chart.notes == ("No forecast: there is no forecast for 'WIDGET-A' at 'MAIN' yet.",)
        assert item_svg(chart).startswith("<svg")

    def test_weekly_history_keeps_its_weeks(self, session: Session) -> None:
        place, item, load = make_location(session), make_item(session), make_load(session)
        for week in range(10):
            on = YESTERDAY - timedelta(days=7 * week)
            make_demand(session, item, place, load, units=[70 + week], until=on)

        chart = item_chart(session, item, place, clock=CLOCK, company=USD)

        assert len(chart.history) == 10
        assert chart.history[-1].start_on == YESTERDAY - timedelta(days=6)
        assert [past.units for past in chart.history[-2:]] == [71.0, 70.0]

    def test_says_that_there_is_nothing_to_show(self, session: Session) -> None:
        place, item = make_location(session), make_item(session)
        with pytest.raises(NotEnoughData, match="no forecast for 'WIDGET-A'"):
            item_chart(session, item, place, clock=CLOCK, company=USD)


class TestRecommendationSum:
    def test_adds_up_to_the_order(self, session: Session) -> None:
        world = make_world_p(session)

        found = recommendation_sum(session, world.widget, world.main, clock=CLOCK, company=USD)

        assert found.total == 1920
        assert sum(value for _, value in found.terms) == 1920
        assert dict(found.terms)["safety stock"] == 344


class TestForecastReasons:
    def test_explains_the_stored_forecast_from_today_on(self, session: Session) -> None:
        forecast = _with_components(session)

        found = forecast_reasons(
            session, *_pair(session, forecast), clock=CLOCK, company=USD, horizon_days=14
        )

        averages = found.parts.averages()
        assert sum(averages.values()) == pytest.approx(100.0)
        assert averages["level"] == pytest.approx(90.0)
        assert averages["shift"] == pytest.approx(10.0)
        assert set(averages) == set(NAMES)
        assert found.sentences[0] == "100 a day over 14 days: level 90, shift +10."
        assert found.picture.total == 100

    def test_the_chat_tells_why(self, database: Database) -> None:
        with database.write() as session:
            _with_components(session)
            actor = make_users(session)["vera"]

        envelope = forecast_demand.call(make_context(database, actor), {"sku": "WIDGET-A"})

        assert envelope["data"]["why"] == [
            "100 a day over 28 days: level 90, shift +10.",
            "The level is the mean of the last 28 days.",
        ]

    def test_says_that_older_forecasts_have_no_components(self, session: Session) -> None:
        world = make_world_p(session)
        with pytest.raises(NotEnoughData, match="without its components"):
            forecast_reasons(session, world.widget, world.main, clock=CLOCK, company=USD)


def _with_components(session: Session) -> Forecast:
    item, place = make_item(session), make_location(session)
    forecast = make_forecast(session, item, place)
    (forecast.components,) = component_rows(
        np.full((1, 60), 90.0), np.full((1, 60), 100.0), period_days=1, first_on=TODAY
    )
    session.flush()
    return forecast


def _pair(session: Session, forecast: Forecast) -> tuple[Item, Location]:
    item, place = (
        session.get(Item, forecast.item_id), session.get(Location, forecast.location_id)
    )  # fmt: skip
    assert item is not None
    assert place is not None
    return item, place
