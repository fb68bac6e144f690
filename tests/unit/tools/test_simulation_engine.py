"""The engine against closed forms, stockpyl and the tables of the domain page."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson
from stockpyl.newsvendor import newsvendor_poisson
from stockpyl.rq import r_q_cost_poisson
from stockpyl.ss import s_s_cost_discrete

from tools.errors import InvalidInput
from tools.simulation.core.engine import simulate
from tools.simulation.core.outcome import Outcome
from tools.simulation.core.world import (
    ChangingLevels,
    DatedLevels,
    Deliveries,
    Draws,
    FixedLevels,
    Floats,
    Items,
)


def _draws(demand: npt.ArrayLike, lead_days: int = 0) -> Draws:
    units = np.asarray(demand, dtype=np.float64)
    units = units.reshape((1,) * (3 - units.ndim) + units.shape)
    n, p, days = units.shape
    lead = np.full((1, p, days), lead_days, dtype=np.int64)
    return Draws(units, Deliveries(lead, np.zeros(n, dtype=np.int64)))


def _poisson(mean: float, *, paths: int, days: int, lead_days: int = 0, seed: int = 1) -> Draws:
    rng = np.random.default_rng(seed)
    return _draws(rng.poisson(mean, (1, paths, days)), lead_days)


def _levels(point: float, upto: float) -> FixedLevels:
    return FixedLevels(np.array([point]), np.array([upto]))


class TestOneDayAfterTheOther:
    """Small runs worked out by hand."""

    def test_an_order_arrives_the_lead_time_after_the_next_morning(self) -> None:
        # 10 a day from 25: ends 15, 5; at 5 <= 5 order 20, lead 1: day 2 sells 5 of 10,
        # day 3 opens with 20
        result = simulate(
            Items.of(1, on_hand=25), _draws([10.0] * 4, 1), _levels(5, 25), keep_orders=True
        )

        assert result.orders_log is not None
        assert result.orders_log.day.tolist() == [1]
        assert result.orders_log.units.tolist() == [20]
        assert result.orders_log.arrives_on_day.tolist() == [3]
        assert result.short.tolist() == [[5]]
        assert result.final_units.tolist() == [[10]]

    def test_lost_demand_stays_lost_and_waiting_demand_is_served_first(self) -> None:
        draws = _draws([10.0, 10.0, 0.0, 0.0], 1)

        lost = simulate(Items.of(1, on_hand=10), draws, _levels(0, 10))
        waits = simulate(Items.of(1, on_hand=10, is_backordered=True), draws, _levels(0, 10))

        assert lost.short.tolist() == waits.short.tolist() == [[10]]
        # ordered 10 at the end of day 0, and 10 more while 10 wait
        assert (lost.final_units[0, 0], lost.ordered_units[0, 0]) == (10, 10)
        assert (waits.final_units[0, 0], waits.ordered_units[0, 0]) == (10, 20)
        assert waits.final_backlog[0, 0] == 0

    def test_open_receipts_come_on_their_day_and_count_in_the_position(self) -> None:
        coming = np.array([[0.0, 0.0, 30.0]])

        result = simulate(
            Items.of(1, on_hand=5, pipeline=coming), _draws([5.0, 5.0, 5.0]), _levels(10, 40)
        )

        # positions 30, 30 (day 1 is lost) and 25: nothing to order
        assert result.orders[0, 0] == 0
        assert result.short[0, 0] == 5
        assert result.final_units[0, 0] == 25

    @pytest.mark.parametrize(
        ("need", "ordered"), [(1, 60), (49, 60), (50, 60), (51, 60), (60, 60), (61, 72), (0, 0)]
    )
    def test_orders_follow_minimum_and_multiple(self, need: int, ordered: int) -> None:
        # DOMAIN 1.4: minimum 50, multiple 12; a need of 0 orders 0
        items = Items.of(1, on_hand=100, moq=50, multiple=12)

        result = simulate(items, _draws([0.0]), _levels(100, 100 + need))

        assert result.ordered_units[0, 0] == ordered

    def test_an_order_stays_below_its_limit(self) -> None:
        items = Items.of(1, on_hand=0, multiple=12, limit=50)

        result = simulate(items, _draws([0.0]), _levels(0, 100))

        assert result.ordered_units[0, 0] == 48

    def test_reviews_come_on_their_days(self) -> None:
        items = Items.of(1, on_hand=100, review_days=7, review_offset=2)

        result = simulate(items, _draws([1.0] * 20, 30), _levels(1000, 1000), keep_orders=True)

        assert result.orders_log is not None
        assert result.orders_log.day.tolist() == [2, 9, 16]

    def test_lots_lift_the_position_above_the_reorder_point(self) -> None:
        # position 7 after the sale; lots of 6 above 15: 7 + 2 * 6 = 19
        policy = FixedLevels(np.array([15.0]), np.array([0.0]), lot=np.array([6.0]))

        result = simulate(Items.of(1, on_hand=10), _draws([3.0]), policy)

        assert result.ordered_units[0, 0] == 12

    def test_periodic_reviews_fill_up_every_time(self) -> None:
        policy = FixedLevels(np.array([0.0]), np.array([20.0]), is_periodic=np.array([True]))

        result = simulate(Items.of(1, on_hand=20), _draws([3.0, 4.0], 5), policy)

        assert (result.orders[0, 0], result.ordered_units[0, 0]) == (2, 7)

    def test_a_part_comes_first_and_the_rest_later(self) -> None:
        lead = np.full((1, 1, 8), 1, dtype=np.int64)
        parts = Deliveries(
            lead, np.zeros(1, dtype=np.int64), np.full((1, 1, 8), 0.3), np.full((1, 1, 8), 3)
        )
        draws = Draws(np.zeros((1, 1, 8)), parts)

        result = simulate(Items.of(1, on_hand=0), draws, _levels(0, 10), quantiles=(0.5,))

        assert result.daily is not None
        assert result.daily.on_hand_mean[0].tolist() == [0, 0, 3, 3, 3, 10, 10, 10]

    def test_costs_are_counted_where_they_arise(self) -> None:
        # ends of days 6, 2, 0 (2 short); one order at the end of day 2
        items = Items.of(1, on_hand=10, holding_cost=2, order_cost=7, shortage_cost=5, unit_cost=3)

        result = simulate(items, _draws([4.0, 4.0, 4.0], 5), _levels(0, 10))

        assert result.holding_cost[0, 0] == 16
        assert result.ordering_cost[0, 0] == 7
        assert result.shortage_cost[0, 0] == 10
        assert result.average_value[0, 0] == pytest.approx(8)
        assert result.total_cost[0, 0] == 33

    def test_levels_may_change_by_day(self) -> None:
        policy = DatedLevels(np.array([[0.0, 50.0]]), np.array([[0.0, 60.0]]))

        result = simulate(Items.of(1, on_hand=20), _draws([1.0, 1.0]), policy, keep_orders=True)

        assert result.orders_log is not None
        assert (result.orders_log.day[0], result.orders_log.units[0]) == (1, 42)

    def test_a_plan_of_the_morning_arrives_the_lead_time_later(self) -> None:
        # ordered before the first day is sold: lead 2 arrives on day 2, lead 0 the same day
        for lead, arrives in ((2, 2), (0, 0)):
            result = simulate(
                Items.of(1, on_hand=5),
                _draws([5.0, 0.0, 5.0, 5.0], lead),
                _levels(5, 25),
                keep_orders=True,
                is_morning=True,
            )

            assert result.orders_log is not None
            assert result.orders_log.day.tolist() == [0]
            assert result.orders_log.arrives_on_day.tolist() == [arrives]
            assert result.short[0, 0] == 0
            assert result.final_units[0, 0] == 10


class TestAgainstClosedForms:
    """Long runs meet known expectations."""

    @pytest.mark.parametrize("level", [18, 23, 27])
    def test_newsvendor(self, level: int) -> None:
        _, cost = newsvendor_poisson(2.0, 9.0, 20, base_stock_level=level)
        items = Items.of(1, on_hand=level, holding_cost=2, shortage_cost=9)

        result = simulate(
            items, _poisson(20, paths=200, days=400), _levels(level - 1, level), warmup_days=1
        )

        assert result.total_cost.mean() / result.days == pytest.approx(cost, rel=0.02)

    @pytest.mark.parametrize(("point", "upto"), [(4, 10), (1, 12), (6, 7)])
    def test_s_s_policy_costs_what_zheng_and_federgruen_compute(
        self, point: int, upto: int
    ) -> None:
        expected = s_s_cost_discrete(point, upto, 1.0, 4.0, 5.0, True, demand_mean=6)
        items = Items.of(
            1, on_hand=upto, holding_cost=1, backorder_cost=4, order_cost=5, is_backordered=True
        )

        result = simulate(
            items, _poisson(6, paths=200, days=500), _levels(point, upto), warmup_days=50
        )

        assert result.total_cost.mean() / result.days == pytest.approx(expected, rel=0.02)

    def test_r_q_policy_costs_what_the_continuous_formula_says(self) -> None:
        # 50 reviews per unit of time come near the continuous review of the formula
        expected = r_q_cost_poisson(3, 5, 20, 150, 100, 1.5, 2)  # 107.92, Snyder & Shen ex. 5.8
        fine = 50
        items = Items.of(
            1, on_hand=8, holding_cost=20 / fine, backorder_cost=150 / fine, order_cost=100,
            is_backordered=True,
        )  # fmt: skip
        policy = FixedLevels(np.array([3.0]), np.array([0.0]), lot=np.array([5.0]))
        draws = _poisson(1.5 / fine, paths=1200, days=1600, lead_days=2 * fine - 1)

        result = simulate(items, draws, policy, warmup_days=400)

        assert result.total_cost.mean() / result.days * fine == pytest.approx(expected, rel=0.02)

    @pytest.mark.parametrize("level", [55, 62, 70])
    def test_fill_rate_of_a_base_stock_policy(self, level: int) -> None:
        # demand 10 a day, lead 4: 1 - (E[(D5 - S)+] - E[(D4 - S)+]) / 10, D_k Poisson(10 k)
        def loss(days: int) -> float:
            units = np.arange(level, 300)
            return float(((units - level) * poisson.pmf(units, 10 * days)).sum())

        expected = 1 - (loss(5) - loss(4)) / 10
        items = Items.of(1, on_hand=level, is_backordered=True)
        draws = _poisson(10, paths=200, days=500, lead_days=4)

        result = simulate(items, draws, _levels(level - 1, level), warmup_days=20)

        assert float(result.fill_rate()) == pytest.approx(expected, abs=0.003)


def _domain_draws() -> Draws:
    """DOMAIN 1.9: 60 seeds, 730 days, negative binomial 20 +- 8 a day, lead time 9 +- 2 rounded."""
    rng = np.random.default_rng(7)
    size = 20**2 / (8**2 - 20)
    demand = rng.negative_binomial(size, size / (size + 20), (1, 60, 730)).astype(np.float64)
    lead = np.maximum(np.rint(rng.normal(9, 2, (1, 60, 730))), 1).astype(np.int64)
    return Draws(demand, Deliveries(lead, np.zeros(1, dtype=np.int64)))


class TestSideBySideOfTheDomainPage:
    """DOMAIN 1.9: medians of 60 runs of two years with backorders."""

    @staticmethod
    def _run(safety_stock: float) -> Outcome:
        point = np.ceil(200 + safety_stock)
        items = Items.of(1, on_hand=point + 280, moq=50, multiple=12, is_backordered=True)
        return simulate(items, _domain_draws(), _levels(point, point + 280))

    @pytest.mark.parametrize(
        ("safety_stock", "fill", "cycle", "average"),
        [(77.8, 0.998, 0.959, 228.5), (16.4, 0.967, 0.691, 169.4), (107.4, 1.0, 0.980, 258.0),
         (39.5, 0.985, 0.833, 191.8)],
    )  # fmt: skip
    def test_trigger_on_the_inventory_position(
        self, safety_stock: float, fill: float, cycle: float, average: float
    ) -> None:
        result = self._run(safety_stock)

        assert np.median(result.fill_rate(axis=0)) == pytest.approx(fill, abs=0.006)
        assert np.median(result.cycle_service_level(axis=0)) == pytest.approx(cycle, abs=0.05)
        assert np.median(result.average_units) == pytest.approx(average, rel=0.05)

    def test_trigger_on_hand_alone_piles_up_orders(self) -> None:
        def on_hand_only(_: int, quantity: Floats, on_hand: Floats, __: Floats) -> Floats:
            wanted = np.maximum(np.ceil((558 - on_hand) / 12) * 12, 60)
            return np.where(on_hand <= 278, wanted, 0 * quantity)

        def never(_: int, __: Floats, ___: object) -> tuple[Floats, Floats]:
            return np.array([-1.0]), np.array([-1.0])

        items = Items.of(1, on_hand=558, is_backordered=True)
        policy = ChangingLevels(never, adjust=on_hand_only)

        result = simulate(items, _domain_draws(), policy)

        assert np.median(result.average_units) == pytest.approx(1726, rel=0.05)
        assert np.median(result.fill_rate(axis=0)) == 1.0


_small = st.integers(0, 30)


@settings(max_examples=60, deadline=None)
@given(
    demand=st.lists(_small, min_size=6, max_size=14),
    on_hand=st.integers(0, 60),
    lead=st.integers(0, 9),
    point=st.integers(-5, 40),
    gap=st.integers(0, 40),
    moq=st.integers(0, 20),
    multiple=st.integers(1, 12),
    share=st.floats(0.1, 0.9),
    is_backordered=st.booleans(),
)
def test_units_are_neither_made_nor_lost(
    demand: list[int], on_hand: int, lead: int, point: int, gap: int, moq: int, multiple: int,
    share: float, is_backordered: bool,
) -> None:  # fmt: skip
    days = len(demand)
    size = (1, 2, days)
    parts = Deliveries(
        np.full(size, lead), np.zeros(1, dtype=np.int64), np.full(size, share), np.full(size, 3)
    )
    draws = Draws(np.broadcast_to(np.array(demand, dtype=np.float64), size), parts)
    items = Items.of(
        1, on_hand=on_hand, moq=moq, multiple=multiple, is_backordered=is_backordered,
        pipeline=np.arange(days, dtype=np.float64)[None], later=5,
    )  # fmt: skip

    result = simulate(items, draws, _levels(point, point + gap))

    given_units = on_hand + days * (days - 1) / 2 + 5 + result.ordered_units
    left = result.final_units + result.final_on_order
    served = result.demand - result.final_backlog if is_backordered else result.sold
    np.testing.assert_allclose(given_units, served + left)
    assert (result.final_units >= 0).all()
    assert (result.final_on_order >= 0).all()
    np.testing.assert_allclose(result.demand, result.sold + result.short)


def test_a_learning_policy_sees_its_own_sales_and_stock_outs_only() -> None:
    seen: list[tuple[int, list[float], list[bool]]] = []

    def levels(day: int, sold: Floats, in_stock: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        seen.append((day, sold[0, 0].tolist(), in_stock[0, 0].tolist()))
        return np.array([0.0]), np.array([0.0])

    policy = ChangingLevels(levels, every_days=2, history=np.array([[4.0, 6.0]]))

    simulate(Items.of(1, on_hand=8), _draws([5.0, 5.0, 5.0]), policy)

    assert seen == [
        (0, [4, 6, 5], [True, True, True]),
        (2, [4, 6, 5, 3, 0], [True, True, True, False, False]),
    ]


def test_a_learning_policy_cannot_rewrite_history() -> None:
    def cheat(_: int, sold: Floats, __: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        sold[:] = 0
        return np.array([0.0]), np.array([0.0])

    with pytest.raises(ValueError, match="read-only"):
        simulate(Items.of(1, on_hand=8), _draws([5.0]), ChangingLevels(cheat))


def test_items_and_paths_do_not_touch_each_other() -> None:
    rng = np.random.default_rng(3)
    demand = rng.poisson(5, (3, 4, 40)).astype(np.float64)
    lead = rng.integers(1, 6, (2, 4, 40))
    row = np.array([0, 1, 1])
    points, upto = np.array([10.0, 20.0, 30.0]), np.array([30.0, 50.0, 70.0])
    together = simulate(
        Items.of(3, on_hand=30), Draws(demand, Deliveries(lead, row)), FixedLevels(points, upto)
    )

    for item in range(3):
        for path in range(4):
            own = Deliveries(lead[row[item], path][None, None], np.zeros(1, dtype=np.int64))
            alone = simulate(
                Items.of(1, on_hand=30),
                Draws(demand[item, path][None, None], own),
                FixedLevels(points[item : item + 1], upto[item : item + 1]),
            )
            assert alone.short[0, 0] == together.short[item, path]
            assert alone.average_units[0, 0] == together.average_units[item, path]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Items.of(2, on_hand=[1, 2, 3]), "one value per item"),
        (lambda: Items.of(1, on_hand=-1), "on_hand must be a number >= 0, got"),
        (lambda: Items.of(1, on_hand=float("nan")), "on_hand"),
        (lambda: Items.of(1, colour=3), "'colour'"),
        (lambda: Items.of(1, review_days=0), "review_days"),
        (lambda: Items.of(1, moq=10, limit=5), "limit"),
        (lambda: simulate(Items.of(2), _draws([1.0]), _levels(0, 1)), "2 items"),
        (lambda: simulate(Items.of(1), _draws([-1.0]), _levels(0, 1)), ">= 0"),
        (lambda: simulate(Items.of(1), _draws([1.0]), _levels(0, 1), warmup_days=1), "warm-up"),
        (lambda: simulate(Items.of(1), _draws([1.0]), _levels(0, float("nan"))), "nan"),
        (
            lambda: simulate(Items.of(1), _draws([1.0]), FixedLevels(np.zeros(3), np.zeros(3))),
            "reorder_point",
        ),
        (
            lambda: simulate(Items.of(1, pipeline=np.zeros((1, 5))), _draws([1.0]), _levels(0, 1)),
            "open receipts",
        ),
        (
            lambda: simulate(Items.of(1), _draws([1.0]), DatedLevels(*np.zeros((2, 1, 2)))),
            "reorder_point",
        ),
    ],
)
def test_names_what_does_not_fit(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        build()
