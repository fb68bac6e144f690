"""What to buy with too little money, and orders below a supplier's minimum, against enumeration."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, poisson

from tools.planning.core.budget import (
    BudgetLines,
    expected_shortage_costs,
    line_costs,
    within_budget,
)
from tools.planning.core.joint_orders import Joint, JointLines, JointOrders, joint_orders
from tools.planning.core.quantities import NO_LIMIT


def _ints(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


def _lines(**changes: Any) -> BudgetLines:
    """Two lines that differ only in what a missing unit costs: 4.00 and 1.00."""
    values: dict[str, Any] = {
        "wanted": _ints(20, 20), "moq": _ints(0, 0), "multiple": _ints(1, 1),
        "price": _ints(100, 100), "steps": _ints(NO_LIMIT, NO_LIMIT)[:, None],
        "step_prices": _ints(0, 0)[:, None], "rate": np.ones(2), "position": _ints(0, 0),
        "demand_total": np.array([15.0, 15.0]), "sigma": np.array([4.0, 4.0]),
        "shortage_cost": np.array([400.0, 100.0]), "adi": np.ones(2),
    }  # fmt: skip
    return BudgetLines(**(values | changes))


class TestWithinBudget:
    def test_enough_money_buys_everything(self) -> None:
        found = within_budget(_lines(), 4000)

        assert found.quantity.tolist() == [20, 20]
        assert (found.cut_units.tolist(), found.risk_added.tolist()) == ([0, 0], [0.0, 0.0])

    def test_no_money_buys_nothing_and_says_what_that_risks(self) -> None:
        found = within_budget(_lines(), 0)

        assert found.quantity.tolist() == [0, 0]
        # E[(X - 0)+] - E[(X - 20)+] for N(15, 4): G(-3.75) and G(1.25) of the normal loss
        loss = [4 * (norm.pdf(k) - k * norm.sf(k)) for k in (-3.75, 1.25)]
        assert found.risk_added == pytest.approx([400 * (loss[0] - loss[1]),
                                                  100 * (loss[0] - loss[1])])  # fmt: skip

    def test_the_dearer_shortage_is_avoided_first(self) -> None:
        found = within_budget(_lines(), 2000)

        assert found.quantity[0] > found.quantity[1]
        assert found.cost.sum() <= 2000

    def test_at_the_optimum_the_chances_of_running_out_weigh_the_same(self) -> None:
        # Lagrange: 400 * P(X1 > q1) = 100 * P(X2 > q2) but for the last whole unit
        found = within_budget(_lines(), 3000)

        chances = norm.sf(found.quantity, 15, 4) * [400, 100]
        assert abs(np.log(chances[0] / chances[1])) < 0.5

    def test_slow_movers_are_weighed_by_their_counts(self) -> None:
        lines = _lines(demand_total=np.array([2.5, 2.5]), sigma=np.sqrt([2.5, 2.5]))

        found = expected_shortage_costs(lines, np.array([[0, 3], [0, 3]]))

        short = sum((k - 3) * poisson.pmf(k, 2.5) for k in range(4, 40))
        assert found[0] == pytest.approx([2.5 * 400, short * 400], rel=1e-6)

    def test_a_minimum_order_is_all_or_nothing(self) -> None:
        found = within_budget(_lines(moq=_ints(15, 0)), 1400)

        assert found.quantity[0] == 0
        assert found.quantity[1] > 0

    def test_a_price_break_lost_by_cutting_is_paid_for(self) -> None:
        lines = _lines(steps=np.array([[20], [NO_LIMIT]]), step_prices=np.array([[50], [0]]))

        found = within_budget(lines, 1000)

        assert found.quantity[0] == 20  # 20 at 0.50 cost what 10 at 1.00 do
        assert found.cost[0] == 1000

    @settings(max_examples=40, deadline=None)
    @given(
        wanted=st.lists(st.integers(1, 9), min_size=3, max_size=3),
        shortage=st.lists(st.integers(50, 900), min_size=3, max_size=3),
        price=st.lists(st.integers(20, 300), min_size=3, max_size=3),
        position=st.lists(st.integers(-4, 12), min_size=3, max_size=3),
        moq=st.lists(st.integers(0, 4), min_size=3, max_size=3),
        share=st.floats(0, 1),
    )
    def test_is_as_good_as_trying_everything_but_for_one_step(
        self, wanted: list[int], shortage: list[int], price: list[int], position: list[int],
        moq: list[int], share: float,
    ) -> None:  # fmt: skip
        lines = BudgetLines(
            wanted=np.maximum(_ints(*wanted), _ints(*moq)), moq=_ints(*moq),
            multiple=_ints(1, 1, 1),
            price=_ints(*price), steps=_ints(*[NO_LIMIT] * 3)[:, None],
            step_prices=_ints(0, 0, 0)[:, None], rate=np.ones(3), position=_ints(*position),
            demand_total=np.array([8.0, 12.0, 4.0]), sigma=np.array([3.0, 5.0, 2.0]),
            shortage_cost=np.array(shortage, dtype=float), adi=np.ones(3),
        )  # fmt: skip
        budget = share * float(line_costs(lines, lines.wanted[:, None]).sum())
        choices = [[0, *range(max(moq[k], 1), int(lines.wanted[k]) + 1)] for k in range(3)]
        every = np.array(list(itertools.product(*choices))).T
        cost, risk = line_costs(lines, every), expected_shortage_costs(lines, every)
        best = risk.sum(axis=0)[cost.sum(axis=0) <= budget + 1e-9].min()

        found = within_budget(lines, budget)

        assert found.cost.sum() <= budget + 1e-6
        ours = (found.risk_before + found.risk_added).sum()
        steps = risk.max(axis=1) - risk.min(axis=1)
        assert ours <= best + steps.max() + 1e-6

    def test_more_money_never_leaves_more_risk_on_many_lines(self) -> None:
        random = np.random.default_rng(5)
        n = 400
        mean = random.lognormal(3, 1, n)
        lines = BudgetLines(
            wanted=np.maximum(np.rint(mean * 2), 1).astype(np.int64), moq=_ints(*[0] * n),
            multiple=_ints(*[1] * n), price=random.integers(100, 3000, n),
            steps=np.full((n, 1), NO_LIMIT), step_prices=np.zeros((n, 1), dtype=np.int64),
            rate=np.ones(n), position=np.rint(mean * random.uniform(0, 1, n)).astype(np.int64),
            demand_total=mean, sigma=mean * 0.5, shortage_cost=random.uniform(100, 3000, n),
            adi=np.ones(n),
        )  # fmt: skip
        whole = float(line_costs(lines, lines.wanted[:, None]).sum())

        found = [within_budget(lines, whole * share) for share in (0.1, 0.3, 0.5, 0.8, 0.95)]

        risks = [one.risk_added.sum() for one in found]
        assert risks == sorted(risks, reverse=True)
        spent = [one.cost.sum() / (whole * s) for one, s in zip(found, (0.1, 0.3, 0.5, 0.8, 0.95),
                                                                strict=True)]  # fmt: skip
        assert min(spent) > 0.97  # next to nothing is left lying


def _joint(minimum: int, **changes: Any) -> JointOrders:
    """A urgent, B advised, C next due (5 days), D later (20 days); all cost 10.00."""
    values: dict[str, Any] = {
        "group": _ints(0, 0, 0, 0), "quantity": _ints(10, 10, 0, 0), "most": _ints(20, 20, 30, 40),
        "moq": _ints(0, 0, 0, 0), "multiple": _ints(1, 1, 1, 1),
        "price": _ints(1000, 1000, 1000, 1000),
        "steps": np.full((4, 1), NO_LIMIT), "step_prices": np.zeros((4, 1), dtype=np.int64),
        "cover_days": np.array([-3.0, -1.0, 5.0, 20.0]),
        "is_urgent": np.array([True, False, False, False]),
    }  # fmt: skip
    return joint_orders(JointLines(**(values | changes)), _ints(minimum))


class TestJointOrders:
    def test_enough_is_left_as_it_is(self) -> None:
        found = _joint(20_000)

        assert (found.decision[0], found.quantity.tolist()) == (Joint.ORDER, [10, 10, 0, 0])

    def test_is_filled_up_by_what_is_due_next(self) -> None:
        # 200.00 advised, 450.00 wanted: A and B have room for 10 each, C for 30, of which 5
        found = _joint(45_000)

        assert (found.decision[0], found.quantity.tolist()) == (Joint.RAISE, [20, 20, 5, 0])
        assert (found.advised_value[0], found.value[0]) == (20_000, 45_000)

    def test_packs_and_minimum_are_kept(self) -> None:
        found = _joint(45_000, moq=_ints(0, 0, 12, 0), multiple=_ints(1, 1, 6, 1))

        assert found.quantity.tolist() == [20, 20, 12, 0]

    def test_waits_when_nothing_is_urgent(self) -> None:
        found = _joint(45_000, is_urgent=np.zeros(4, dtype=np.bool_))

        assert (found.decision[0], found.quantity.tolist()) == (Joint.WAIT, [0, 0, 0, 0])

    def test_too_small_even_when_filled_up_stays_as_advised(self) -> None:
        found = _joint(200_000)

        assert (found.decision[0], found.quantity.tolist()) == (
            Joint.BELOW_MINIMUM, [10, 10, 0, 0],
        )  # fmt: skip

    def test_what_nobody_buys_fills_up_nothing(self) -> None:
        found = _joint(45_000, cover_days=np.array([-3.0, -1.0, np.nan, 20.0]))

        assert found.quantity.tolist() == [20, 20, 0, 5]

    def test_a_price_break_on_the_way_is_counted(self) -> None:
        # at 15 A and B cost 8.00: 20 + 20 of them are worth 320.00, so C takes 13 instead of 5
        found = _joint(
            45_000, steps=np.array([[15], [15], [NO_LIMIT], [NO_LIMIT]]),
            step_prices=np.array([[800], [800], [0], [0]]),
        )  # fmt: skip

        assert found.decision[0] == Joint.RAISE
        assert found.quantity.tolist() == [20, 20, 13, 0]

    def test_suppliers_do_not_fill_up_each_other(self) -> None:
        lines = JointLines(
            group=_ints(1, 0, 1, 0), quantity=_ints(10, 10, 0, 0), most=_ints(10, 10, 50, 50),
            moq=_ints(0, 0, 0, 0), multiple=_ints(1, 1, 1, 1), price=_ints(10, 10, 10, 10),
            steps=np.full((4, 1), NO_LIMIT), step_prices=np.zeros((4, 1), dtype=np.int64),
            cover_days=np.array([0.0, 0.0, 4.0, 1.0]), is_urgent=np.ones(4, dtype=np.bool_),
        )  # fmt: skip

        found = joint_orders(lines, _ints(300, 100))

        assert found.quantity.tolist() == [10, 10, 0, 20]
        assert found.decision.tolist() == [Joint.RAISE, Joint.ORDER]

    @settings(max_examples=60, deadline=None)
    @given(
        n=st.integers(1, 30), minimum=st.integers(0, 200_000), seed=st.integers(0, 10_000),
    )  # fmt: skip
    def test_every_line_stays_orderable(self, n: int, minimum: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        multiple, moq = random.integers(1, 13, n), random.integers(0, 30, n)
        least = -(-np.maximum(moq, 1) // multiple) * multiple
        quantity = np.where(random.random(n) < 0.5, least, 0)
        lines = JointLines(
            group=random.integers(0, 3, n), quantity=quantity,
            most=quantity + random.integers(0, 90, n), moq=moq, multiple=multiple,
            price=random.integers(1, 5000, n), steps=np.full((n, 1), NO_LIMIT),
            step_prices=np.zeros((n, 1), dtype=np.int64), cover_days=random.uniform(-9, 60, n),
            is_urgent=random.random(n) < 0.3,
        )  # fmt: skip

        found = joint_orders(lines, _ints(minimum, minimum, minimum))

        assert np.all(found.quantity % multiple == 0)
        assert np.all((found.quantity == 0) | (found.quantity >= moq))
        assert np.all((found.quantity == 0) | (found.quantity <= np.maximum(lines.most, quantity)))
        for group in range(3):
            if found.decision[group] == Joint.RAISE:
                assert found.value[group] >= minimum
