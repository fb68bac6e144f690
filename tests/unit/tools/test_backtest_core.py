"""Policies by hand computation, no look-ahead, the bound below all, and what is said of it."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.unit.tools.test_backtest_reading import START, chosen, daily
from tools.backtest.core.assumptions import Assumptions
from tools.backtest.core.comparing import compare
from tools.backtest.core.history import Choice, History, choose
from tools.backtest.core.measuring import horizon_of, measure, origins, pinball_share
from tools.backtest.core.ours import ours
from tools.backtest.core.plant import Plant, World, build_plant, build_world, run
from tools.backtest.core.policies import clairvoyant, kept_weekly, min_max, textbook
from tools.backtest.core.policy import Policy
from tools.backtest.core.results import (
    Curve,
    CurvePoint,
    PolicyResult,
    difference,
    sentences,
    stock_for_service,
    value_at_fill,
)
from tools.backtest.core.tuning import tuned_setting
from tools.backtest.service.reading import demo_sales
from tools.errors import InvalidInput, NotEnoughData

SURE = Assumptions(lead_time_cv=0, replications=2)
SHORT = Assumptions(replications=3)


@pytest.fixture(scope="module")
def demo() -> History:
    return choose(demo_sales(), Choice(6, test_days=60), SHORT)


@pytest.fixture
def steady() -> Plant:
    """Ten units a day at 6.00, lead time 5 days, no spread."""
    return build_plant(chosen(daily(A=10)), SURE)


def levels(policy: Policy, plant: Plant) -> tuple[float, float]:
    sold = plant.past[:, None, :]
    low, high = policy.levels(0, sold, np.ones(sold.shape, dtype=np.bool_))
    return float(low[0, 0]), float(high[0, 0])


class TestLevels:
    def test_min_max_is_lead_time_and_a_week_and_a_month(self, steady: Plant) -> None:
        # 10 a day * 5 days + 7 days' safety = 120; 30 days' cover above it
        assert levels(min_max(steady), steady) == (120.0, 420.0)

    def test_kept_weekly_has_four_weeks_of_safety(self, steady: Plant) -> None:
        assert levels(kept_weekly(steady), steady) == (330.0, 630.0)
        assert levels(kept_weekly(steady, safety_days=0), steady) == (50.0, 350.0)

    def test_textbook_without_spread_is_lead_time_and_review(self, steady: Plant) -> None:
        low, high = levels(textbook(steady, service_rate=0.95), steady)

        assert low == pytest.approx(60.0)  # (5 + 1) days
        # sqrt(2 * 10 * 3 / (0.25 * 6 / 365)) = 120.83
        assert high - low == pytest.approx(120.83, abs=0.01)

    def test_textbook_with_spread_is_the_domains_golden_number(self) -> None:
        # DOMAIN 1.2, periodic review of one day on G: z * sqrt((9 + 1) * 20**2 + 100**2 * 2**2)
        plant = build_plant(chosen(daily(A=100)), SURE)
        plant = replace(plant, lead_time=np.array([9.0]), lead_time_sd=np.array([2.0]))
        sold = np.tile([80.0, 120.0], 45)[None, None, :]
        policy = textbook(plant, service_rate=0.95)

        low, _ = policy.levels(0, sold, np.ones(sold.shape, dtype=np.bool_))

        sd = np.sqrt(90 / 89) * 20
        expected = 1000 + 1.6449 * np.sqrt(10 * sd**2 + 100**2 * 2**2)
        assert float(low[0, 0]) == pytest.approx(expected, abs=0.05)

    def test_a_day_without_stock_does_not_count_in_the_textbook(self, steady: Plant) -> None:
        sold = steady.past[:, None, :].copy()
        in_stock = np.ones(sold.shape, dtype=np.bool_)
        sold[:, :, -20:], in_stock[:, :, -20:] = 0.0, False

        low, _ = textbook(steady, service_rate=0.95).levels(0, sold, in_stock)
        naive, _ = kept_weekly(steady, safety_days=0).levels(0, sold, in_stock)

        assert float(low[0, 0]) == pytest.approx(60.0)
        assert float(naive[0, 0]) < 20  # the spreadsheet believes what it sees

    def test_safety_is_not_negative(self, steady: Plant) -> None:
        with pytest.raises(InvalidInput, match="-1"):
            kept_weekly(steady, safety_days=-1)


def policies(world: World) -> list[Policy]:
    plant = world.plant
    return [min_max(plant), kept_weekly(plant), textbook(plant, service_rate=0.95), ours(plant)]


class TestReplay:
    def test_nobody_looks_ahead(self, demo: History) -> None:
        world = build_world(demo, SHORT)
        changed = world.demand.copy()
        changed[:, 30:] = 7 * changed[:, 30:] + 50
        draws = replace(world.draws, demand=changed[:, None, :])
        other = replace(world, demand=changed, draws=draws)

        for policy in policies(world):
            before, after = (run(one, policy, keep=True).orders_log for one in (world, other))
            assert before is not None
            assert after is not None
            early = [(log.item, log.path, log.units)
                     for log in (before, after)]  # fmt: skip
            kept = [log.day < 30 for log in (before, after)]
            for first, second in zip(*early, strict=True):
                np.testing.assert_array_equal(first[kept[0]], second[kept[1]])
            assert kept[0].any()
            assert len(before.day) != len(after.day)

    def test_the_clairvoyant_bounds_them_all(self, demo: History) -> None:
        world = build_world(demo, SHORT)
        bound = run(world, clairvoyant(world.plant, world.demand, world.delay))

        for policy in policies(world):
            assert bound.total_cost.sum() < run(world, policy).total_cost.sum()

    def test_perfect_knowledge_of_a_steady_item_loses_nothing(self) -> None:
        world = build_world(chosen(daily(A=10)), SURE)

        bound = run(world, clairvoyant(world.plant, world.demand, world.delay))

        assert float(bound.fill_rate()) == 1.0

    def test_the_same_seed_gives_the_same_figures(self, demo: History) -> None:
        first, second = (
            run(build_world(demo, SHORT), kept_weekly(build_plant(demo, SHORT))).total_cost
            for _ in range(2)
        )

        np.testing.assert_array_equal(first, second)

    def test_tuning_sees_nothing_of_the_test(self, demo: History) -> None:
        units = demo.panel.units.copy()
        units[:, demo.training :] = 0.0
        empty = replace(demo, panel=replace(demo.panel, units=units))

        settings = (0.6, 1.0, 1.4)
        assert tuned_setting(demo, SHORT, settings=settings) == tuned_setting(
            empty, SHORT, settings=settings
        )

    def test_a_test_without_sales_is_refused(self) -> None:
        history = chosen(daily(A=10))
        history.panel.units[:, history.training :] = 0.0

        with pytest.raises(NotEnoughData, match="none of the 1 items sold anything"):
            compare(history, SURE)


class TestAccuracy:
    def test_pinball_of_a_hand_computation(self) -> None:
        # 10 above * 0.95 + 20 below * 0.05 = 10.5 of 200
        share = pinball_share(np.array([100.0, 100.0]), np.array([90.0, 120.0]), level=0.95)

        assert share == pytest.approx(0.0525)
        assert np.isnan(pinball_share(np.array([1.0]), np.array([np.nan]), level=0.95))

    def test_windows_do_not_overlap_and_lie_in_the_test(self) -> None:
        history = chosen(daily(days=300, A=5))

        warm, tested = origins(history, horizon=14)

        assert tested[0] == history.training
        assert tested[-1] + 14 == 300
        assert min(np.diff(tested)) >= 14
        assert max(warm) + 14 <= history.training

    def test_horizon_is_the_lead_time(self) -> None:
        assert horizon_of(chosen(daily(A=5)), 1) == 7  # 5 + 1 days

    def test_a_weekly_rhythm_is_no_error_for_the_seasonal_naive(self) -> None:
        raw = daily(days=140, A=5)
        weekday = (raw.rows["on"] - np.datetime64(START)).dt.days % 7
        raw.rows["units"] = 1 + weekday
        done: list[tuple[int, int]] = []

        found = measure(chosen(raw), review_days=1, progress=lambda *at: done.append(at))

        by_key = {score.key: score for score in found.scores}
        assert by_key["seasonal_naive"].wmape == pytest.approx(0.0)
        assert by_key["average_30"].wmape < 0.1
        assert {"default", "ses", "theta"} <= set(by_key)
        assert done[-1] == (1, 1)


def result(key: str, **figures: float) -> PolicyResult:
    values = dict.fromkeys(
        ("fill_rate", "stockout_rate", "short_rate", "served_units", "average_value", "orders",
         "holding_cost", "ordering_cost", "shortage_cost", "total_cost", "total_low",
         "total_high", "cheaper_share"), 1.0,
    )  # fmt: skip
    return PolicyResult(key=key, name=key, said=key, rule="", **(values | figures))


class TestSentences:
    def test_says_so_when_ours_costs_more(self) -> None:
        worse = result("ours", total_cost=150, served_units=90, average_value=40, fill_rate=0.9)
        other = result("the sheet", total_cost=100, served_units=100, average_value=30)

        assert difference(worse, other, days=60, currency="GBP") == (
            "Ours would have cost 50 GBP (50 %) more than the sheet over these 60 days: 10 units "
            "fewer served (fill 90.0 % instead of 100.0 %), 10 GBP more stock (40 instead of 30)."
        )

    def test_counts_draws_and_names_the_bound(self) -> None:
        found = tuple(
            result(key, total_cost=cost, cheaper_share=0.75)
            for key, cost in (("spreadsheet", 300.0), ("spreadsheet_weekly", 250.0),
                              ("textbook", 220.0), ("ours", 200.0), ("clairvoyant", 100.0))
        )  # fmt: skip

        said = sentences(found, days=60, currency="GBP", replications=20)

        assert "gave no reason to change" in said[3]
        assert "in 15 of 20 draws" in said[-2]
        assert "ours cost 2.0 times that, spreadsheet 3.0 times" in said[-1]


class TestStockForService:
    @staticmethod
    def curve(key: str, *points: tuple[float, float]) -> Curve:
        return Curve(
            key, key, "days", tuple(CurvePoint(0, value, fill, 0) for value, fill in points)
        )

    def test_is_read_off_the_curve(self) -> None:
        line = self.curve("ours", (100.0, 0.8), (200.0, 0.9), (400.0, 0.95))

        assert value_at_fill(line, 0.925) == pytest.approx(300.0)
        assert np.isnan(value_at_fill(line, 0.97))

    def test_compares_at_the_highest_service_that_both_reach(self) -> None:
        sheet = self.curve("spreadsheet_weekly", (100.0, 0.8), (300.0, 0.96))
        mine = self.curve("ours", (80.0, 0.9), (150.0, 0.95), (400.0, 0.99))

        (said,) = stock_for_service((sheet, mine), currency="GBP")

        # at 95 %: 100 + 200 * 15 / 16 = 287.5 against 150
        assert said.startswith("To serve 95 % of the units, ours holds 150 GBP of stock")
        assert "the weekly spreadsheet 288: 48 % less" in said

    def test_says_nothing_where_they_never_meet(self) -> None:
        low = self.curve("spreadsheet_weekly", (100.0, 0.3), (300.0, 0.4))
        high = self.curve("ours", (100.0, 0.98), (300.0, 0.99))

        assert stock_for_service((low, high), currency="GBP") == ()


def test_compare_agrees_with_itself() -> None:
    history = chosen(daily(days=150, A=10, B=4))
    assumptions = Assumptions(replications=2)

    compared = compare(history, assumptions)
    table, curves, example, by_item = (
        compared.table, compared.curves, compared.example, compared.by_item,
    )  # fmt: skip

    costs = {one.key: one for one in table}
    for one in table:
        parts = one.holding_cost + one.ordering_cost + one.shortage_cost
        assert one.total_cost == pytest.approx(parts)
    assert sum(item.cost_ours for item in by_item) == pytest.approx(costs["ours"].total_cost)
    sheet = next(curve for curve in curves if curve.key == "spreadsheet_weekly")
    at_28 = next(point for point in sheet.points if point.setting == 28)
    assert at_28.total_cost == pytest.approx(costs["spreadsheet_weekly"].total_cost)
    assert example.sku == "A"
    assert len(example.demand) == history.test
    assert example.fan_actual[0] == 10.0
    assert START + timedelta(days=history.training) == history.test_from
