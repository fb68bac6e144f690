"""Fixture P laid out for the engine, and whether the plan keeps what it promises there."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from db.types import DemandClass, ReplenishmentRule
from tools.cases.core import Case, Outlook, Settings
from tools.offers.core import LeadTime, Offer
from tools.planning.core.advice import Advice, advise_cases
from tools.positions.core import OpenReceipt, StockPosition
from tools.simulation.core.draws import Streams
from tools.simulation.core.engine import simulate
from tools.simulation.core.house import (
    House,
    Setting,
    Shipping,
    daily_means,
    deliveries_of,
    demand_of,
    house,
    reach_days,
)
from tools.simulation.core.outcome import Outcome
from tools.simulation.core.world import Draws

TODAY = date(2026, 3, 2)  # a Monday
RATES = {"USD": 1_000_000}


def _case(**changes: Any) -> Case:
    """540 available, 300 due on day 4, 100 +- 20 a day, 9 +- 2 days from Acme."""
    due = OpenReceipt(1, "PO-1042", "confirmed", 300, TODAY + timedelta(days=4), None, True)
    days = [1.0, 4, 9, 16, 25, 49, 100]
    outlook = Outlook(
        forecast_id=1, run_id=1, model="median", demand_class=DemandClass.SMOOTH,
        as_of_on=TODAY - timedelta(days=1), mean=[100.0] * 60,
        total_sd={"days": days, "sd": [20.0 * day**0.5 for day in days]}, total_quantiles={},
    )  # fmt: skip
    offer = Offer(
        7, 1, "ACME", "Acme", "USD", 800, moq_units=500, order_multiple_units=120,
        order_cost_minor=35_000, breaks=((1000, 780), (5040, 760)),
    )  # fmt: skip
    values: dict[str, Any] = {
        "item_id": 1, "location_id": 1, "sku": "WIDGET-A", "name": "Widget A", "uom": "each",
        "location": "MAIN", "currency": "USD", "unit_value_minor": 1200, "unit_cost_minor": 780,
        "position": StockPosition(1, 1, 620, allocated_units=80, receipts=(due,)),
        "settings": Settings(review_days=0), "outlook": outlook,
        "offers": ((offer, LeadTime(9.0, 2.0, 9, "item")),),
    }  # fmt: skip
    return Case(**(values | changes))


def _advise(*cases: Case) -> list[Advice]:
    return advise_cases(cases, today=TODAY, rates_micro=RATES, carrying_rate=0.25)


def _setting(days: int, rates: dict[str, int] | None = None) -> Setting:
    return Setting(TODAY, days, RATES if rates is None else rates, 0.25)


def _house(*cases: Case, days: int = 60, factor: np.ndarray | None = None, **more: Any) -> House:
    advices = _advise(*cases)
    plain = daily_means(cases, TODAY, reach_days(advices, days))
    daily = plain if factor is None else plain * factor[: plain.shape[1]]
    return house(advices, plain=plain, daily=daily, setting=_setting(days), **more)


def _play(case: Case, *, days: int, paths: int) -> Outcome:
    advices, setting, streams = _advise(case), _setting(days), Streams(3)
    plain = daily_means([case], TODAY, reach_days(advices, days))
    laid = house(advices, plain=plain, daily=plain, setting=setting)
    demand = demand_of(advices, plain=plain, setting=setting, paths=paths, streams=streams)
    deliveries = deliveries_of(advices, {}, setting=setting, paths=paths, streams=streams)
    return simulate(laid.items, Draws(demand, deliveries), laid.levels, is_morning=True)


class TestLevels:
    """Reorder point and order-up-to level of every day."""

    def test_a_flat_forecast_keeps_todays_levels(self) -> None:
        levels = _house(_case()).levels

        assert set(levels.reorder_point[0]) == {1244}  # DOMAIN fixture P
        assert set(levels.order_up_to[0]) == {2644}

    def test_a_promotion_moves_the_levels_as_its_days_come_into_the_window(self) -> None:
        factor = np.ones(200)
        factor[20:34] = 1.4

        point = _house(_case(), factor=factor).levels.reorder_point[0]

        assert (point[:12] == 1244).all()  # days 11 to 19 are the last window without it
        # all nine days inside: 1260 + 1.4 * 344 = 1741.6; DOMAIN T7 says 1740.8 unrounded
        assert point[22] == 1742
        assert (point[34:] == 1244).all()

    def test_a_seasonal_forecast_is_followed(self) -> None:
        known = _case().outlook
        assert known is not None
        rising = _case(outlook=replace(known, mean=[100.0] * 30 + [200.0] * 60))

        point = _house(rising).levels.reorder_point[0]

        assert point[0] == 1244
        assert point[40] == 1244 + 900  # nine days of 200, the same safety stock

    @pytest.mark.parametrize(
        ("rule", "is_lot", "is_periodic", "review"),
        [
            (ReplenishmentRule.MIN_MAX, False, False, 1),
            (ReplenishmentRule.LOTS, True, False, 1),
            (ReplenishmentRule.PERIODIC, False, True, 7),
            (ReplenishmentRule.PERIODIC_MIN_MAX, False, False, 7),
        ],
    )
    def test_every_rule_is_played_as_it_is_set(
        self, rule: ReplenishmentRule, is_lot: bool, is_periodic: bool, review: int
    ) -> None:
        laid = _house(_case(settings=Settings(review_days=7, rule=rule)))

        assert laid.levels.lot is not None
        assert laid.levels.is_periodic is not None
        assert bool(laid.levels.lot[0] > 0) == is_lot
        assert bool(laid.levels.is_periodic[0]) == is_periodic
        assert laid.items.review_days[0] == review
        assert laid.items.review_offset[0] == 0  # reviews are on Mondays


class TestItems:
    """Stock, receipts, terms and costs."""

    def test_stock_terms_and_costs(self) -> None:
        items = _house(_case()).items

        assert (items.on_hand[0], items.backlog[0]) == (540, 0)
        assert (items.moq[0], items.multiple[0], items.limit[0]) == (500, 120, np.inf)
        # a usual order of 1,400 pays 7.80; 25 % a year; 12.00 - 7.80 is lost with a sale
        assert items.unit_cost[0] == 780
        assert items.holding_cost[0] == pytest.approx(780 * 0.25 / 365)
        assert (items.order_cost[0], items.shortage_cost[0]) == (35_000, 420)

    @pytest.mark.parametrize(
        ("late", "days", "due", "later"), [(0, 60, 4, 0), (7, 60, 11, 0), (7, 8, None, 300)]
    )
    def test_open_receipts(self, late: int, days: int, due: int | None, later: int) -> None:
        items = _house(_case(), days=days, late_days=late).items

        assert items.pipeline is not None
        assert items.later[0] == later
        assert np.flatnonzero(items.pipeline[0]).tolist() == ([] if due is None else [due])

    def test_what_is_owed_waits(self) -> None:
        short = StockPosition(1, 1, 50, allocated_units=80, backordered_units=20)

        items = _house(_case(position=short)).items

        assert (items.on_hand[0], items.backlog[0]) == (0, 50)

    def test_an_unknown_currency_costs_nothing_and_has_no_price(self) -> None:
        case = _case()
        advices = _advise(case)
        plain = daily_means([case], TODAY, 90)

        laid = house(advices, plain=plain, daily=plain, setting=_setting(60, {}))

        assert np.isnan(laid.price[0])
        assert laid.items.shortage_cost[0] == laid.items.unit_cost[0] == 0


class TestPromises:
    """The plan played through in the world that it assumes."""

    def test_without_chance_the_plan_never_runs_out(self) -> None:
        # a nightly plan is a review of one day (DOMAIN 1.2); with 0 it may order a day too late
        calm = {"days": [1.0, 9.0], "sd": [0.0, 0.0]}
        known = _case()
        assert known.outlook is not None
        full = StockPosition(1, 1, 1500)
        case = _case(
            outlook=replace(known.outlook, total_sd=calm), position=full,
            settings=Settings(review_days=1),
            offers=((known.offers[0][0], LeadTime(9.0, 0.0, 9, "item")),),
        )  # fmt: skip

        result = _play(case, days=180, paths=3)

        assert result.short.sum() == 0
        assert result.demand.sum() == pytest.approx(3 * 180 * 100, abs=10)

    def test_a_cycle_service_level_of_95_percent_is_kept(self) -> None:
        case = _case(settings=Settings(review_days=1), position=StockPosition(1, 1, 3000))

        result = _play(case, days=180, paths=400)

        assert float(result.cycle_service_level()) == pytest.approx(0.95, abs=0.02)

    def test_lead_times_come_from_what_the_supplier_did(self) -> None:
        advices = _advise(_case())
        seen = {7: Shipping(days=(7,) * 4 + (9,) + (11,) * 4, partial_rate=0.25, first_share=0.6)}

        drawn = deliveries_of(advices, seen, setting=_setting(60), paths=50, streams=Streams(1))

        assert set(np.unique(drawn.days)) == {7, 9, 11}
        assert drawn.days.mean() == pytest.approx(9, abs=0.1)
        assert drawn.first_share is not None
        assert (drawn.first_share < 1).mean() == pytest.approx(0.25, abs=0.02)


def test_a_forecast_goes_on_with_its_last_four_weeks_and_starts_today() -> None:
    known = _case().outlook
    assert known is not None
    old = replace(known, as_of_on=TODAY - timedelta(days=3), mean=[1.0, 2.0, *[3.0] * 40, 9.0])

    table = daily_means([_case(outlook=old), _case(outlook=None)], TODAY, 50)

    assert table[0, 0] == 3  # two days of it have passed
    assert table[0, 40] == 9
    assert table[0, 41] == pytest.approx((27 * 3 + 9) / 28)
    assert table[1].sum() == 0
