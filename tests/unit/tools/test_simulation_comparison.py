"""Sums over items and paths, differences, and who is hit hardest."""

import numpy as np
import pytest

from tools.simulation.core.comparison import (
    ItemChange,
    difference,
    figures,
    hardest_hit,
    item_json,
    side,
)
from tools.simulation.core.engine import simulate
from tools.simulation.core.house import House
from tools.simulation.core.outcome import Outcome
from tools.simulation.core.world import DatedLevels, Deliveries, Draws, FixedLevels, Items

# two items, two paths, two days, nothing is ever ordered: what is on hand is sold
DEMAND = np.array([[[4.0, 4.0], [6.0, 6.0]], [[0.0, 0.0], [0.0, 0.0]]])


def _play(on_hand: float) -> tuple[Outcome, House]:
    items = Items.of(
        2, on_hand=on_hand, unit_cost=100, holding_cost=2, shortage_cost=50, order_cost=9
    )
    never = FixedLevels(np.full(2, -1.0), np.full(2, -1.0))
    calm = Deliveries(np.zeros((1, 2, 2), dtype=np.int64), np.zeros(2, dtype=np.int64))
    levels = DatedLevels(np.zeros((2, 2)), np.zeros((2, 2)))
    outcome = simulate(items, Draws(DEMAND, calm), never, quantiles=(0.0, 1.0))
    return outcome, House(items, levels, np.full(2, 100.0))


def test_an_outcome_gives_rates_pooled_by_item_and_by_path() -> None:
    # with 8: path 0 sells 8 of 8, path 1 sells 8 of 12
    outcome, _ = _play(8)

    assert float(outcome.fill_rate()) == pytest.approx(16 / 20)
    assert outcome.fill_rate(axis=0).tolist() == [1.0, pytest.approx(8 / 12)]
    assert outcome.fill_rate(axis=1)[0] == pytest.approx(16 / 20)
    assert np.isnan(outcome.fill_rate(axis=1)[1])  # nobody asked for the second item
    assert float(outcome.stockout_rate()) == pytest.approx(1 / 8)


def test_days_are_kept_over_all_paths() -> None:
    outcome, _ = _play(8)

    assert outcome.daily is not None
    assert outcome.daily.on_hand_mean[0].tolist() == [3.0, 0.0]  # 4 and 2, then 0 and 0
    assert outcome.daily.on_hand_quantiles[:, 0, 0].tolist() == [2.0, 4.0]
    assert outcome.daily.short_mean[0].tolist() == [0.0, 2.0]


def test_a_side_is_the_average_over_the_paths() -> None:
    # holding: path 0 (4 + 0) + 16, path 1 (2 + 0) + 16, times 2; shortage 0 and 4 * 50
    shown = side(figures(*_play(8)), "USD")

    assert shown["stockout_days"] == 0.5
    assert shown["stockout_rate"] == 0.125
    assert shown["fill_rate"] == 0.8
    assert shown["average_inventory"] == pytest.approx(9.5)  # (2 + 1) / 2 and 8
    assert shown["average_inventory_value"] == "9.50"
    assert shown["cost"] == {
        "total": "1.38", "holding": "0.38", "ordering": "0.00", "shortage": "1.00",
    }  # fmt: skip


def test_a_difference_is_that_of_the_same_paths() -> None:
    # 12 instead of 8 on hand: (8+4, 6+0) instead of (4+0, 2+0), and 24 instead of 16; none short
    before, after = figures(*_play(8)), figures(*_play(12))

    found = difference(before, after, "USD")

    assert found["fill_rate"] == pytest.approx(0.2)
    assert found["stockout_days"] == -0.5
    # costs 40 and 236 before, 72 and 60 after: 32 and -176, so -72 on average
    assert found["cost"] == "-0.72"
    assert (found["cost_low"], found["cost_high"]) == ("-1.66", "0.22")


def test_blocks_add_up() -> None:
    one = figures(*_play(8))

    both = side(one + one, "USD")

    assert both["stockout_days"] == 1.0
    assert both["fill_rate"] == 0.8
    assert both["cost"]["total"] == "2.76"


def test_who_is_hit_hardest_comes_first_and_who_is_not_hit_does_not_come() -> None:
    hit = ItemChange("A", "MAIN", 3.0, 1.0, 10.0)
    harder = ItemChange("B", "MAIN", 9.0, 1.0, 5.0)
    dearer = ItemChange("C", "MAIN", 0.0, 0.0, 700.0)
    better = ItemChange("D", "MAIN", 0.0, 2.0, -50.0)

    assert hardest_hit([hit, harder, dearer, better], 5) == [harder, hit, dearer]
    assert hardest_hit([hit, harder, dearer, better], 1) == [harder]
    assert item_json(harder, "USD")["cost_change"] == "0.05"
