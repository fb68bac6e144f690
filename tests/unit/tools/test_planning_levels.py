"""Replenishment levels: closed forms, brute force, and what must hold whatever the numbers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.errors import InvalidInput, NotEnoughData
from tools.planning.core.levels.observed import (
    Floats,
    ObservedDemand,
    largest_window_total,
    memory,
    season_weights,
    uncensored,
)
from tools.planning.core.levels.replenishment import (
    DEFAULT,
    Economics,
    LeadTimes,
    Levels,
    LevelWeights,
    OrderTerms,
    economic_lot,
    replenishment_levels,
    shortage_chance,
)
from tools.planning.core.levels.yardsticks import yardsticks

ONE = np.ones(1)
NOTHING = LevelWeights(
    **dict.fromkeys(
        ("slow", "steady", "fast", "capped", "grown", "worst_window", "worst_day", "spread",
         "tail_power", "floor"), 0.0,
    )
)  # fmt: skip


def _demand(units: Floats, in_stock: object = True) -> ObservedDemand:
    return ObservedDemand(units, np.broadcast_to(np.asarray(in_stock), units.shape).copy())


def _levels(demand: ObservedDemand, weights: LevelWeights = DEFAULT, **costs: float) -> Levels:
    n = demand.units.shape[-2]
    money = {"shortage": 2.0, "holding": 0.002, "order": 3.0} | costs
    return replenishment_levels(
        demand,
        LeadTimes(np.full(n, 9.0)),
        OrderTerms(np.full(n, 12.0), np.full(n, 6.0)),
        Economics(**{name: np.full(n, value) for name, value in money.items()}),
        weights=weights,
    )


class TestObserved:
    def test_a_day_that_sold_out_counts_at_least_what_it_sold(self) -> None:
        sold = np.array([[10.0] * 30 + [3.0, 40.0]])
        served = np.array([[True] * 30 + [False, False]])

        assert uncensored(ObservedDemand(sold, served))[0, -2:] == pytest.approx([10.0, 40.0])

    def test_weeks_without_stock_do_not_pull_the_level_down(self) -> None:
        sold = np.array([[20.0] * 60 + [0.0] * 30])
        served = np.array([[True] * 60 + [False] * 30])

        assert _levels(ObservedDemand(sold, served)).demand_mean == pytest.approx([20.0])

    def test_an_item_never_in_stock_keeps_what_it_sold(self) -> None:
        sold = np.array([[2.0] * 20])

        assert uncensored(_demand(sold, in_stock=False)) == pytest.approx(sold)

    def test_memory_is_the_recursion_of_exponential_smoothing(self) -> None:
        units = np.random.default_rng(1).poisson(5, 400).astype(float)
        level = units[0]
        for unit in units[1:]:
            level += 0.1 * (unit - level)

        # The recursion keeps (1 - 0.1)**399 of its start: nothing.
        assert units @ memory(400, 0.1) == pytest.approx(level, rel=1e-9)

    def test_largest_windows_match_brute_force(self) -> None:
        units = np.random.default_rng(2).poisson(3, (2, 3, 40)).astype(float)
        lengths = np.array([1, 7, 39])

        found = largest_window_total(units, lengths)

        for path in range(2):
            for item, length in enumerate(lengths):
                totals = [units[path, item, s : s + length].sum() for s in range(41 - length)]
                assert found[path, item] == max(totals)

    def test_last_years_coming_season_counts_in_full(self) -> None:
        weights = season_weights(300, 0.5)

        # Ages 299-245 are the 120 days that lie ahead, 244-90 another season, the rest recent.
        assert weights.tolist() == [1.0] * 55 + [0.5] * 155 + [1.0] * 90


class TestEconomics:
    def test_lot_of_the_golden_fixture(self) -> None:
        # D = 36 500 a year, K = 50, h = 2 a year: EOQ 1350.93 (DOMAIN 1.4).
        costs = Economics(ONE, ONE * 2 / 365, ONE * 50)

        assert economic_lot(ONE * 100, costs) == pytest.approx([1350.93], abs=0.01)

    def test_chance_minimises_holding_and_lost_margin_of_a_cycle(self) -> None:
        """Brute force: sum of both costs of a lost-sales cycle over all whole levels."""
        shortage, holding, lot, daily = 8.0, 0.05, 60.0, 4.0
        demand = np.random.default_rng(3).poisson(40, 200_000)
        levels = np.arange(30, 70)
        short = np.maximum(demand[None, :] - levels[:, None], 0).mean(axis=1)
        # A unit of safety lies for the Q / d days of a cycle, longer by what was lost.
        cost = holding * (levels + short) * lot / daily + shortage * short

        chance = shortage_chance(
            ONE * daily, ONE * lot, Economics(ONE * shortage, ONE * holding, ONE)
        )

        # The newsvendor quantile: the least level whose chance of being exceeded is at most P.
        exceeded = (demand[None, :] > levels[:, None]).mean(axis=1)
        assert levels[cost.argmin()] == levels[exceeded <= chance[0]][0]

    def test_dearer_shortage_buys_more_safety_and_dearer_holding_less(self) -> None:
        demand = _demand(np.random.default_rng(4).poisson(3, (1, 200)).astype(float))
        point = _levels(demand).reorder_point[0]

        assert _levels(demand, shortage=20.0).reorder_point[0] >= point
        assert _levels(demand, holding=0.02).reorder_point[0] <= point

    @pytest.mark.parametrize("costs", [{"shortage": 0.0}, {"holding": 0.0}, {"order": -1.0}])
    def test_refuses_costs_that_have_no_optimum(self, costs: dict[str, float]) -> None:
        with pytest.raises(InvalidInput, match="holding cost"):
            _levels(_demand(np.ones((1, 30))), DEFAULT, **costs)


class TestLevels:
    def test_a_single_yardstick_is_demand_over_lead_time_and_review(self) -> None:
        demand = _demand(np.full((1, 100), 7.0))

        # 7 a day over 9 + 1 days; EOQ sqrt(2 * 7 * 3 / 0.002) = 144.91 on top.
        found = _levels(demand, replace(NOTHING, slow=1.0, lot_factor=1.0))

        assert found.reorder_point == pytest.approx([70.0])
        assert found.order_up_to_level == pytest.approx([70.0 + 144.914], abs=0.01)

    def test_the_spread_is_the_textbooks_root_of_the_window(self) -> None:
        demand = _demand(np.random.default_rng(5).normal(100, 20, (1, 4000)).clip(0))

        # z = 1.6449, d = 100, sd = 20, L + R = 10: 1000 + 1.6449 * 20 * sqrt(10) = 1104.0
        found = _levels(demand, replace(NOTHING, slow=1.0, spread=1.6449))

        assert found.reorder_point == pytest.approx([1104.0], rel=0.05)

    def test_the_worst_window_is_a_floor(self) -> None:
        units = np.zeros((1, 100))
        units[0, 80] = 500.0

        assert _levels(_demand(units), replace(NOTHING, floor=1.0)).reorder_point == [500.0]

    def test_shared_growth_lifts_a_steady_item(self) -> None:
        steady, rising = np.full(120, 5.0), np.linspace(50, 150, 120)
        alone = yardsticks(_demand(steady[None, :]), ONE * 10)

        together = yardsticks(_demand(np.stack([steady, rising, rising])), np.ones(3) * 10)

        assert alone.grown == pytest.approx([50.0])
        assert together.grown[0] > 55.0

    def test_paths_and_blocks_give_the_same_as_one_by_one(self) -> None:
        units = np.random.default_rng(6).poisson(4, (3, 5, 90)).astype(float)
        in_stock = np.random.default_rng(7).random((3, 5, 90)) > 0.2

        together = _levels(ObservedDemand(units, in_stock))

        for path in range(3):
            alone = _levels(ObservedDemand(units[path], in_stock[path]))
            assert together.reorder_point[path] == pytest.approx(alone.reorder_point)

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 10_000), st.floats(0.1, 50.0))
    def test_counting_in_another_unit_changes_nothing(self, seed: int, factor: float) -> None:
        units = np.random.default_rng(seed).negative_binomial(1, 0.2, (4, 60)).astype(float)
        weights = replace(DEFAULT, tail_power=0.0)

        point = _levels(_demand(units), weights).reorder_point

        scaled = _levels(_demand(units * factor), weights).reorder_point
        assert scaled == pytest.approx(point * factor)

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 10_000))
    def test_levels_are_numbers_and_the_lot_is_never_negative(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        units = random.negative_binomial(0.2, 0.05, (6, 40)) * random.integers(0, 2, (6, 1))

        found = _levels(ObservedDemand(units.astype(float), random.random((6, 40)) > 0.5))

        assert np.isfinite(found.reorder_point).all()
        assert (found.reorder_point >= 0).all()
        assert (found.order_up_to_level >= found.reorder_point).all()

    def test_an_item_that_never_sold_gets_no_stock(self) -> None:
        found = _levels(_demand(np.zeros((1, 60))))

        assert found.reorder_point == [0.0]
        assert found.order_up_to_level == [0.0]

    def test_two_weeks_are_the_least(self) -> None:
        with pytest.raises(NotEnoughData, match="14 days"):
            _levels(_demand(np.ones((1, 13))))

    def test_refuses_terms_of_other_items(self) -> None:
        with pytest.raises(InvalidInput, match="each of 2 items"):
            replenishment_levels(
                _demand(np.ones((2, 30))), LeadTimes(ONE), OrderTerms(ONE, ONE),
                Economics(ONE, ONE, ONE),
            )  # fmt: skip

    def test_refuses_flags_of_another_shape(self) -> None:
        with pytest.raises(InvalidInput, match="one shape"):
            ObservedDemand(np.ones((2, 30)), np.ones((2, 29), dtype=bool))
