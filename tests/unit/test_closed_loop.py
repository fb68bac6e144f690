"""The plant of the closed-loop benchmark: its mechanics by hand, its anchors from measurements."""

import numpy as np
import pytest

from bench import panel
from bench.closed_loop import Ours
from bench.plant import Floats, Outcome, Policy, Seen, World, simulate, world
from bench.reference_policies import Clairvoyant, NormalPoint, Spreadsheet
from tools.planning.core.levels.replenishment import DEFAULT


class OneOrder:
    """Orders up to 10 from a position of 4 or less."""

    name, every = "fixed", 1

    def levels(self, seen: Seen) -> tuple[Floats, Floats]:
        shape = seen.units.shape[:2]
        return np.full(shape, 4.0), np.full(shape, 10.0)


def _tiny(lead_time: int) -> World:
    one = np.ones(1)
    return World(
        history=np.ones((1, 30)),
        demand=np.array([[3.0, 3.0, 3.0, 3.0, 3.0]]),
        lead_time_mean=one * lead_time,
        lead_time_samples=np.full((1, 4), lead_time),
        lead_times=np.full((1, 1, 5), lead_time),
        pack=one * 4,
        moq=one * 4,
        cost=one * 10,
        margin=one * 5,
        holding=one * 0.1,
        opening=one * 6,
    )


def test_a_shop_of_five_days_by_hand() -> None:
    outcome = simulate(_tiny(lead_time=1), OneOrder())

    # Evening stock 3, 0, 5, 2, 7: on day 0 position 3 <= 4 orders 7 -> 8, sold from day 2 on; on
    # day 2 the position is 5, on day 3 it is 2: 8 more, sold from day 5 on, so 2 of day 4's 3.
    assert outcome.holding_cost == pytest.approx(0.1 * (3 + 0 + 5 + 2 + 0))
    assert outcome.orders == 2
    assert outcome.lost_margin == pytest.approx(5.0)
    assert outcome.fill_rate == pytest.approx(14 / 15)
    assert outcome.inventory_value == pytest.approx(10 * 10 / 5)


# (days before, test days, policy): total cost that the plant was first measured with, 3 paths.
ANCHORS = [
    (250, 124, Spreadsheet("spreadsheet", 7, 28), 239_949),
    (250, 124, NormalPoint("normal", 0.995), 149_336),
    (250, 124, Clairvoyant(), 29_080),
    (170, 112, Spreadsheet("spreadsheet", 7, 28), 95_593),
    (170, 112, NormalPoint("normal", 0.995), 64_896),
    (170, 112, Clairvoyant(), 19_793),
]


@pytest.mark.parametrize(("past", "days", "policy", "total"), ANCHORS)
def test_anchors_are_reproduced(past: int, days: int, policy: Policy, total: float) -> None:
    assert _replay(past, days, policy, 3).total == pytest.approx(total, rel=0.005)


def test_ours_sees_nothing_of_the_days_to_come() -> None:
    data = panel.read()
    shop = world(data.units[:, :250], data.units[:, 250:270], data.price, replications=1)
    other = world(data.units[:, :250], data.units[:, 250:270] * 9, data.price, replications=1)
    units = data.units[None, :, :250].astype(np.float32)
    served = np.ones(units.shape, dtype=np.bool_)

    first = Ours(DEFAULT).levels(Seen(shop, 0, units, served))

    second = Ours(DEFAULT).levels(Seen(other, 0, units, served))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_ours_costs_less_than_half_the_spreadsheet_in_season() -> None:
    ours = _replay(250, 124, Ours(DEFAULT, every=7), 2)

    assert ours.total < 0.5 * _replay(250, 124, Spreadsheet("spreadsheet", 7, 28), 2).total


def _replay(past: int, days: int, policy: Policy, replications: int) -> Outcome:
    data = panel.read()
    history, demand = data.units[:, :past], data.units[:, past : past + days]
    return simulate(world(history, demand, data.price, replications=replications), policy)
