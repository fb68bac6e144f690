"""The four rules, the caps that name themselves, closed days, and service levels from money."""

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.types import Action, DemandClass, ReplenishmentRule, ServiceMeasure
from tests.unit.tools.test_planning_core import RATES, TODAY, _case, _offer
from tools.cases.core import Case, Outlook, Settings, closed_days
from tools.offers.core import LeadTime, Offer, arrival_on
from tools.planning.core.advice import Advice, advise_cases
from tools.planning.core.calendars import closure_delay
from tools.planning.core.economic_lots import LotTerms, annual_costs, economic_lots
from tools.planning.core.economics import critical_ratio, critical_ratios, implied_fill_rates
from tools.planning.core.lots import all_units_lot, incremental_lot
from tools.planning.core.quantities import NO_LIMIT
from tools.planning.core.review import review_in_days
from tools.positions.core import OpenReceipt, StockPosition

LEAD = LeadTime(9.0, 2.0, 9, "item")
MONDAY, TUESDAY = TODAY, TODAY + timedelta(days=1)  # 2 March 2026 is a Monday


def _advise(*cases: Case, on: date = TODAY) -> list[Advice]:
    return advise_cases(cases, today=on, rates_micro=RATES, carrying_rate=0.25)


def _plain(**changes: Any) -> Case:
    """Demand 100 +- 20 a day, no receipts, an offer without minimum, multiple or breaks."""
    offer = _offer(moq_units=0, order_multiple_units=1, pack_units=1, breaks=())
    values: dict[str, Any] = {"offers": ((offer, LEAD),), "position": StockPosition(1, 1, 1200)}
    return _case(**(values | changes))


def _rule(rule: ReplenishmentRule, review: float, **changes: Any) -> Settings:
    return Settings(review_days=review, rule=rule, **changes)


def _adds_up(advice: Advice) -> bool:
    return bool(sum(term["value"] for term in advice.waterfall) == advice.quantity)


class TestReviewDays:
    @pytest.mark.parametrize(
        ("on", "interval", "days"),
        [(MONDAY, 7, 0), (TUESDAY, 7, 6), (MONDAY, 0, 0), (TUESDAY, 1, 0),
         (MONDAY + timedelta(days=6), 7, 1)],
    )  # fmt: skip
    def test_weekly_reviews_are_on_mondays(self, on: date, interval: float, days: float) -> None:
        assert review_in_days(on, np.array([float(interval)])).tolist() == [days]


class TestPeriodicUpTo:
    """(R,S) on G with R = 7: sigma 215.41, SS 354.31, S = 1600 + 354.31 = 1954.31 (DOMAIN 1.2)."""

    POLICY = _rule(ReplenishmentRule.PERIODIC, 7)

    def test_fills_up_to_s_on_the_review_day(self) -> None:
        (advice,) = _advise(_plain(settings=self.POLICY))

        assert advice.inputs["order_up_to"] == 1955
        assert advice.quantity == 755  # 1955 - 1200
        assert _adds_up(advice)

    def test_orders_at_every_review_however_little_is_missing(self) -> None:
        (advice,) = _advise(_plain(settings=self.POLICY, position=StockPosition(1, 1, 1950)))

        assert advice.quantity == 5

    def test_waits_between_reviews_and_says_so(self) -> None:
        # Tuesday: the next order, on Monday, arrives in 15 days; 1800 last 18
        (advice,) = _advise(
            _plain(settings=self.POLICY, position=StockPosition(1, 1, 1800)), on=TUESDAY
        )

        assert (advice.action, advice.quantity) == (Action.NONE, 0)
        assert "waits_for_review" in advice.flags
        assert advice.waterfall[-1]["label"] == "waits for the review in 6 days, nothing to order"
        assert _adds_up(advice)

    def test_does_not_wait_when_stock_runs_out_before_an_order_of_the_review_arrives(self) -> None:
        (advice,) = _advise(_plain(settings=self.POLICY), on=TUESDAY)  # 1200 last 12 < 15 days

        assert advice.quantity > 0
        assert "ordered_between_reviews" in advice.flags
        assert _adds_up(advice)

    def test_what_is_owed_does_not_wait(self) -> None:
        position = StockPosition(1, 1, backordered_units=40)
        (advice,) = _advise(
            _plain(settings=self.POLICY, outlook=None, position=position), on=TUESDAY
        )

        assert advice.quantity == 40


class TestPeriodicMinMax:
    POLICY = _rule(ReplenishmentRule.PERIODIC_MIN_MAX, 7)

    def test_orders_at_s_up_to_s_plus_cover(self) -> None:
        low, high = _advise(
            _plain(settings=self.POLICY, position=StockPosition(1, 1, 1955)),
            _plain(settings=self.POLICY, position=StockPosition(1, 1, 1956)),
        )

        assert (low.inputs["reorder_point"], low.inputs["order_up_to"]) == (1955, 3355)
        assert (low.quantity, high.quantity) == (1400, 0)

    def test_min_max_itself_is_ordered_on_any_day(self) -> None:
        policy = _rule(ReplenishmentRule.MIN_MAX, 7)

        (advice,) = _advise(_plain(settings=policy, position=StockPosition(1, 1, 1800)), on=TUESDAY)

        assert advice.quantity > 0


class TestLots:
    """(s,nQ): EOQ of G with K = 50.00, c = 8.00, i = 0.25 is 1350.93 (DOMAIN 1.4)."""

    POLICY = _rule(ReplenishmentRule.LOTS, 0)

    def _lots(self, on_hand: int, **changes: Any) -> Advice:
        terms: dict[str, Any] = {
            "moq_units": 0, "order_multiple_units": 1, "pack_units": 1, "breaks": (),
            "order_cost_minor": 5000,
        }  # fmt: skip
        offer = _offer(**(terms | changes))
        case = _plain(
            settings=self.POLICY, offers=((offer, LEAD),), position=StockPosition(1, 1, on_hand)
        )
        return _advise(case)[0]

    def test_one_lot_is_the_economic_quantity(self) -> None:
        advice = self._lots(1244)

        assert (advice.inputs["lot"], advice.quantity) == (1351, 1351)
        assert _adds_up(advice)

    def test_so_many_lots_that_the_position_exceeds_s(self) -> None:
        advice = self._lots(-1500)  # -1500 + 2 * 1351 = 1202 <= 1244; three lots give 2553

        assert advice.quantity == 3 * 1351
        assert _adds_up(advice)
        assert any(t["label"] == "a lot of 1,351" for t in advice.waterfall)

    def test_above_s_nothing_is_ordered(self) -> None:
        assert self._lots(1245).quantity == 0

    def test_the_lot_takes_the_price_break_and_the_pack(self) -> None:
        advice = self._lots(
            1244, breaks=((1000, 780), (5000, 760)), order_multiple_units=120, pack_units=120
        )

        assert advice.quantity == 5040  # the first multiple of 120 at the price of 5,000
        assert advice.unit_price_minor == 760

    def test_without_an_order_cost_the_lot_is_the_cover(self) -> None:
        assert self._lots(1244, order_cost_minor=0).quantity == 1400


class TestEconomicLots:
    def _terms(self, **changes: Any) -> LotTerms:
        one = np.ones(1, dtype=np.int64)
        values: dict[str, Any] = {
            "annual_demand": 36_500.0 * one, "order_cost": 50.0 * one, "carrying_rate": 0.25,
            "steps": np.array([[0, 1000, 5000]]), "prices": np.array([[8.00, 7.80, 7.60]]),
            "moq": 0 * one, "multiple": one, "limit": NO_LIMIT * one,
        }  # fmt: skip
        return LotTerms(**(values | changes))

    def test_all_units_of_the_domain_page(self) -> None:
        lots = economic_lots(self._terms())

        assert (lots.quantity[0], lots.annual_cost[0]) == (5000, pytest.approx(282_515.0))

    def test_incremental_of_the_domain_page(self) -> None:
        lots = economic_lots(self._terms(is_incremental=True))

        assert lots.quantity[0] == pytest.approx(3059.24, abs=1)
        assert lots.annual_cost[0] == pytest.approx(290_690.53, abs=0.01)

    @settings(max_examples=60, deadline=None)
    @given(
        demand=st.integers(50, 40_000), cost=st.integers(1, 400), first=st.integers(2, 900),
        second=st.integers(901, 3000), fall=st.floats(0.0, 0.6), moq=st.integers(0, 700),
        multiple=st.sampled_from([1, 7, 12, 120]), limit=st.none() | st.integers(900, 4000),
        is_incremental=st.booleans(),
    )  # fmt: skip
    def test_no_orderable_quantity_is_cheaper(
        self, demand: int, cost: int, first: int, second: int, fall: float, moq: int,
        multiple: int, limit: int | None, is_incremental: bool,
    ) -> None:  # fmt: skip
        terms = self._terms(
            annual_demand=np.array([float(demand)]), order_cost=np.array([float(cost)]),
            steps=np.array([[0, first, second]]),
            prices=np.array([[10.0, 10.0 - fall, 10.0 - 2 * fall]]), moq=np.array([moq]),
            multiple=np.array([multiple]), limit=np.array([limit or NO_LIMIT]),
            is_incremental=is_incremental,
        )  # fmt: skip
        every = np.arange(1, 20_000)[None, :]

        lots = economic_lots(terms)

        assert lots.annual_cost[0] <= annual_costs(terms, every).min() + 1e-6
        assert lots.quantity[0] % multiple == 0

    @given(rate=st.floats(0.05, 0.6), cost=st.integers(5, 500))
    def test_is_never_dearer_than_the_textbook_rounded_up(self, rate: float, cost: int) -> None:
        breaks = [(0, 8.00), (1000, 7.80), (5000, 7.60)]
        rest: dict[str, Any] = {"annual_demand": 36_500, "order_cost": cost, "carrying_rate": rate}
        for is_incremental, exact in ((False, all_units_lot), (True, incremental_lot)):
            terms = self._terms(
                order_cost=np.array([float(cost)]), carrying_rate=rate,
                is_incremental=is_incremental,
            )  # fmt: skip
            textbook = exact(breaks=breaks, **rest)

            found = economic_lots(terms).annual_cost[0]

            assert textbook.annual_cost - 1e-6 <= found
            whole = np.array([[math.floor(textbook.quantity), math.ceil(textbook.quantity)]])
            assert found <= annual_costs(terms, np.maximum(whole, 1)).min() + 1e-6

    def test_nothing_orderable_is_said_by_an_infinite_cost(self) -> None:
        lots = economic_lots(self._terms(moq=np.array([500]), limit=np.array([100])))

        assert (lots.quantity[0], lots.annual_cost[0]) == (0, math.inf)


class TestCaps:
    @pytest.mark.parametrize(
        ("changes", "free", "shelf", "flag", "label", "quantity"),
        [({"max_units": 1000}, None, None, "limited_by_supplier_maximum",
          "limit of the supplier", 1000),
         ({}, None, 20, "limited_by_shelf_life", "limit of shelf life", 1160),
         ({}, 700, 20, "limited_by_storage", "limit of the store's space", 700),
         ({"max_units": 600}, 700, 20, "limited_by_supplier_maximum",
          "limit of the supplier", 600)],
    )  # fmt: skip
    def test_the_tightest_names_itself(
        self, changes: dict[str, Any], free: int | None, shelf: int | None, flag: str, label: str,
        quantity: int,
    ) -> None:  # fmt: skip
        offer = _offer(
            moq_units=0, order_multiple_units=1, pack_units=1, breaks=(), **changes
        )  # need 1804 at a position of 840; 20 days sell 2000
        case = _case(offers=((offer, LEAD),), free_units=free, shelf_life_days=shelf)

        (advice,) = _advise(case)

        assert advice.quantity == quantity
        assert [f for f in advice.flags if f.startswith("limited_by")] == [flag]
        assert advice.waterfall[-1] == {
            "label": label, "value": quantity - 1804, "source": "Acme",
        }  # fmt: skip
        assert _adds_up(advice)

    def test_a_full_store_orders_nothing_and_says_why(self) -> None:
        (advice,) = _advise(_case(free_units=0))

        assert (advice.quantity, advice.action) == (0, Action.NONE)
        assert "limited_by_storage" in advice.flags
        assert _adds_up(advice)


class TestClosedDays:
    FORTNIGHT = frozenset(TODAY + timedelta(days=k) for k in range(10, 24))

    def _offer(self, closed: frozenset[date]) -> Offer:
        return _offer(
            moq_units=0, order_multiple_units=1, pack_units=1, breaks=(), closed_on=closed
        )

    def test_the_next_order_would_meet_the_closure_so_this_one_bridges_it(self) -> None:
        # Ordered today it arrives on day 9; the order of tomorrow would arrive on day 10, closed.
        open_, closed = _advise(
            _plain(offers=((self._offer(frozenset()), LEAD),)),
            _plain(offers=((self._offer(self.FORTNIGHT), LEAD),)),
        )

        assert (open_.inputs["window_days"], closed.inputs["window_days"]) == (9, 23)
        # 100 * 23 + 1.6449 * sqrt(23 * 400 + 40000) = 2300 + 364.85
        assert (open_.inputs["reorder_point"], closed.inputs["reorder_point"]) == (1244, 2665)
        assert closed.quantity == open_.quantity + 2665 - 1244
        assert "closed_days_bridged" in closed.flags
        assert {"label": "14 closed days of the supplier bridged", "value": 1400,
                "source": "Acme"} in closed.waterfall  # fmt: skip
        assert _adds_up(closed)

    def test_a_closure_that_no_order_meets_changes_nothing(self) -> None:
        far = frozenset(TODAY + timedelta(days=k) for k in range(12, 26))

        (advice,) = _advise(_plain(offers=((self._offer(far), LEAD),)))

        assert advice.inputs["window_days"] == 9

    def test_an_order_during_the_closure_arrives_after_it(self) -> None:
        closed = frozenset(TODAY + timedelta(days=k) for k in range(5))  # Monday to Friday

        arrival = arrival_on(self._offer(closed), LeadTime(3.0, 0.0, 9, "item"), TODAY)

        assert arrival == TODAY + timedelta(days=7)  # 3 days + 4 closed ones behind today

    def test_working_days_skip_weekends_and_holidays(self) -> None:
        offer = replace(
            self._offer(frozenset({date(2026, 12, 25)})), working_days="12345",
            quoted_lead_time_days=2,
        )  # fmt: skip
        quoted = LeadTime(2.8, 0.0, 0, "quoted")  # 2 working days are 2.8 calendar days

        # Wednesday the 23rd: Thursday is one, Friday is closed, Monday the 28th is the second
        assert arrival_on(offer, quoted, date(2026, 12, 23)) == date(2026, 12, 28)

    def test_holidays_of_the_suppliers_country(self) -> None:
        # gov.uk/bank-holidays: Boxing Day 2026 is a Saturday, its substitute Monday 28 December
        days = closed_days([], country="GB-ENG", working_days="12345", today=date(2026, 12, 1))

        december = sorted(day for day in days if day.year == 2026)
        assert december == [date(2026, 12, 25), date(2026, 12, 28)]

    def test_a_closure_holds_with_its_weekends_from_today_on(self) -> None:
        span = (TODAY - timedelta(days=3), TODAY + timedelta(days=2))

        days = closed_days([span], country="", working_days="12345", today=TODAY)

        assert sorted(days) == [TODAY, TUESDAY, TODAY + timedelta(days=2)]

    @pytest.mark.parametrize("country", ["XX", "", "GB-NOWHERE"])
    def test_an_unknown_country_has_no_holidays(self, country: str) -> None:
        assert not closed_days([], country=country, working_days="12345", today=TODAY)

    @given(
        start=st.integers(0, 40), days=st.integers(0, 40),
        closed=st.sets(st.integers(0, 120), max_size=40),
    )  # fmt: skip
    def test_the_delay_is_what_counting_day_by_day_gives(
        self, start: int, days: int, closed: set[int]
    ) -> None:
        day, left = start, days
        while left > 0:  # an open day goes by
            day += 1
            left -= day not in closed
        found = closure_delay(
            np.array([float(start)]), np.array([float(days)]), np.array(sorted(closed), dtype=int)
        )[0]

        assert start + days + found == day


class TestGivenLevels:
    """s and S found by another policy take the place of the computed ones."""

    def test_the_order_fills_up_to_the_given_level(self) -> None:
        (advice,) = _advise(_plain(levels=(1300.2, 1999.5)))  # position 1200

        assert (advice.inputs["reorder_point"], advice.inputs["order_up_to"]) == (1301, 2000)
        assert (advice.quantity, advice.inputs["distribution"]) == (800, "levels")
        assert _adds_up(advice)

    def test_above_the_given_point_nothing_is_ordered(self) -> None:
        assert _advise(_plain(levels=(1199.0, 3000.0)))[0].quantity == 0

    def test_a_level_below_the_demand_of_the_window_adds_up_too(self) -> None:
        (advice,) = _advise(_plain(levels=(500.0, 700.0), position=StockPosition(1, 1, 400)))

        assert (advice.quantity, advice.inputs["safety_stock"]) == (300, 0)
        assert _adds_up(advice)


class TestServiceFromMoney:
    def test_by_hand(self) -> None:
        # h = 0.25 * 8 = 2, m = 4, Q = 1920, D = 36500: 2 * 1920 / (4 * 36500 + 3840) = 0.02563
        found = critical_ratio(
            holding_cost=2, shortage_cost=4, order_quantity=1920, annual_demand=36_500
        )

        assert found == pytest.approx(1 - 3840 / 149_840, abs=1e-9)

    def test_of_a_periodic_order_it_is_the_newsvendor(self) -> None:
        from stockpyl.newsvendor import newsvendor_normal

        # A week's order: overage h * 7 / 365 per unit, underage m
        h, m, d = 2.0, 0.5, 100.0
        level, _ = newsvendor_normal(h * 7 / 365, m, 700, 100)

        ratio = critical_ratio(
            holding_cost=h, shortage_cost=m, order_quantity=7 * d, annual_demand=365 * d
        )

        from scipy.stats import norm

        assert 700 + 100 * norm.ppf(ratio) == pytest.approx(level, abs=1e-6)

    def test_no_other_level_costs_less_with_backorders(self) -> None:
        # a year: h * z * sigma + m * D / Q * sigma * G(z), searched over levels
        from scipy.stats import norm

        h, m, q, d, sigma = 2.0, 1.5, 1400.0, 36_500.0, 208.806
        ratio = critical_ratios(
            holding_cost=np.array([h]), shortage_cost=np.array([m]), order_quantity=np.array([q]),
            annual_demand=np.array([d]), is_lost_sales=False,
        )[0]  # fmt: skip
        levels = np.linspace(0.5, 0.998, 4000)
        k = norm.ppf(levels)
        cost = h * k * sigma + m * d / q * sigma * (norm.pdf(k) - k * norm.sf(k))

        assert ratio == pytest.approx(levels[cost.argmin()], abs=2e-4)

    def test_with_backorders_it_is_the_reorder_point_of_stockpyl(self) -> None:
        from scipy.stats import norm
        from stockpyl.rq import r_q_eil_approximation

        # h = 0.225, p = 7.5, K = 8, demand 1300 +- 150 a year, lead time a month
        level, lot, _ = r_q_eil_approximation(0.225, 7.5, 8, 1300, 150, 1 / 12)
        ratio = critical_ratios(
            holding_cost=np.array([0.225]), shortage_cost=np.array([7.5]),
            order_quantity=np.array([lot]), annual_demand=np.array([1300.0]), is_lost_sales=False,
        )[0]  # fmt: skip

        ours = 1300 / 12 + 150 * np.sqrt(1 / 12) * norm.ppf(ratio)

        assert ours == pytest.approx(level, abs=0.05)

    @pytest.mark.parametrize(
        ("quantity", "share"), [(100, 0.9564), (400, 0.9891), (1000, 0.9956), (4000, 0.9989)]
    )
    def test_the_fill_rate_behind_a_cycle_service(self, quantity: float, share: float) -> None:
        found = implied_fill_rates(
            np.array([0.95]), sigma_ltd=np.array([208.806]), order_quantity=np.array([quantity])
        )

        assert found[0] == pytest.approx(share, abs=5e-5)

    def test_nothing_is_optimised_without_a_margin(self) -> None:
        policy = Settings(review_days=0, is_service_rate_optimised=True)
        known, unknown = _advise(
            _case(settings=policy), _case(settings=policy, unit_value_minor=780)
        )

        # margin 4.20, h = 0.25 * 7.80 = 1.95, Q = 1440 (1400 in cases of 120)
        assert known.inputs["service_level"] == pytest.approx(
            1 - 1.95 * 1440 / (4.20 * 36_500 + 1.95 * 1440), abs=5e-5
        )
        assert "service_level_optimised" in known.flags
        assert unknown.inputs["service_level"] == 0.95
        assert "service_level_not_optimised" in unknown.flags


@settings(max_examples=80, deadline=None)
@given(
    rule=st.sampled_from(ReplenishmentRule), review=st.integers(0, 21), day=st.integers(0, 20),
    on_hand=st.integers(-300, 5000), demand=st.floats(0.05, 300), sd=st.floats(0, 200),
    moq=st.integers(0, 900), multiple=st.integers(1, 150), limit=st.none() | st.integers(900, 9000),
    free=st.none() | st.integers(0, 4000), shelf=st.none() | st.integers(1, 90),
    closed=st.sets(st.integers(0, 60), max_size=30), is_optimised=st.booleans(),
    measure=st.sampled_from(ServiceMeasure), order_cost=st.integers(0, 50_000),
)  # fmt: skip
def test_under_every_rule_the_waterfall_adds_up(
    rule: ReplenishmentRule, review: int, day: int, on_hand: int, demand: float, sd: float,
    moq: int, multiple: int, limit: int | None, free: int | None, shelf: int | None,
    closed: set[int], is_optimised: bool, measure: ServiceMeasure, order_cost: int,
) -> None:  # fmt: skip
    today = TODAY + timedelta(days=day)
    outlook = Outlook(
        1, 1, "median", DemandClass.SMOOTH, today - timedelta(days=1), [demand] * 30,
        {"days": [1], "sd": [sd]}, {},
    )  # fmt: skip
    receipt = OpenReceipt(1, "PO-9", "sent", 200, today + timedelta(days=6), None, True)
    offer = _offer(
        moq_units=moq, order_multiple_units=multiple, pack_units=1, max_units=limit,
        order_cost_minor=order_cost, closed_on=frozenset(TODAY + timedelta(days=k) for k in closed),
    )  # fmt: skip
    policy = Settings(
        0.9, measure, review_days=review, rule=rule, is_service_rate_optimised=is_optimised
    )
    case = _case(
        position=StockPosition(1, 1, on_hand, receipts=(receipt,)), outlook=outlook,
        settings=policy, offers=((offer, LEAD),), free_units=free, shelf_life_days=shelf,
    )  # fmt: skip

    (advice,) = _advise(case, on=today)

    assert _adds_up(advice)
    assert advice.quantity % multiple == 0
    assert advice.quantity == 0 or advice.quantity >= moq
    assert advice.quantity <= min(limit or NO_LIMIT, NO_LIMIT if free is None else free)
    if advice.quantity and "waits_for_review" in advice.flags:
        pytest.fail("a case that waits orders nothing")
    if rule == ReplenishmentRule.LOTS and not any("limited" in f for f in advice.flags):
        assert advice.quantity % max(advice.inputs["lot"], 1) == 0
