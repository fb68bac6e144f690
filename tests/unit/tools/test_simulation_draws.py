"""Demand paths with the spread of the forecast, lead times, and common random numbers."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import gamma

from tools.errors import InvalidInput
from tools.simulation.core.draws import Streams, delivery_draws, lead_time_table
from tools.simulation.core.paths import changed_demand, demand_paths
from tools.simulation.core.world import Floats, Ints

HORIZONS = np.array([1, 3, 7, 14, 28, 42, 63, 91], dtype=np.float64)


def _paths(mean: Floats, total_sd: Floats, *, paths: int = 1500, seed: int = 4) -> Floats:
    rows = np.tile(total_sd, (len(mean), 1))
    return demand_paths(mean, HORIZONS, rows, paths=paths, rng=np.random.default_rng(seed))


class TestDemandPaths:
    """Totals of the paths have the mean and the spread of the forecast."""

    @pytest.mark.parametrize(
        ("daily", "first_sd", "growth"),
        [
            (100, 20, 0.5),  # independent days
            (100, 20, 0.9),  # the level is uncertain
            (20, 8, 0.7),
            (5, 4, 0.4),  # errors that even out again
            (50, 1, 0.5),  # calmer than a Poisson distribution
            (0.3, 0.8, 0.5),  # rare demand
        ],
    )
    def test_totals_match_at_every_stored_horizon(
        self, daily: float, first_sd: float, growth: float
    ) -> None:
        mean = np.full((8, 91), float(daily))
        total_sd = first_sd * HORIZONS**growth

        totals = np.cumsum(_paths(mean, total_sd), axis=2)[:, :, HORIZONS.astype(int) - 1]

        chance = 4 * total_sd / np.sqrt(totals.shape[0] * totals.shape[1])
        assert (abs(totals.mean(axis=(0, 1)) - daily * HORIZONS) <= chance).all()
        np.testing.assert_allclose(totals.std(axis=1).mean(axis=0), total_sd, rtol=0.06)

    def test_the_upper_tail_is_near_the_normal_one_of_the_reorder_point(self) -> None:
        # DOMAIN 1.2, fixture G without lead-time spread: 95 % of 9 days of 100 +- 20 is 998.7
        drawn = _paths(np.full((2, 9), 100.0), 20 * HORIZONS**0.5, paths=4000).sum(axis=2)

        assert np.quantile(drawn, 0.95) == pytest.approx(998.7, rel=0.01)

    def test_days_are_whole_units_and_closed_days_stay_closed(self) -> None:
        mean = np.full((1, 28), 6.0)
        mean[:, 6::7] = 0

        drawn = _paths(mean, 5 * HORIZONS**0.6)

        assert (drawn == np.floor(drawn)).all()
        assert (drawn >= 0).all()
        assert drawn[:, :, 6::7].sum() == 0

    def test_nothing_is_expected_and_nothing_is_drawn(self) -> None:
        assert _paths(np.zeros((2, 20)), 3 * HORIZONS).sum() == 0

    def test_a_forecast_without_spread_is_drawn_as_it_is(self) -> None:
        drawn = _paths(np.full((1, 10), 7.5), 0 * HORIZONS)

        assert set(np.unique(drawn)) <= {7.0, 8.0}
        assert drawn.mean() == pytest.approx(7.5, abs=0.05)

    def test_the_same_seed_draws_the_same_demand(self) -> None:
        mean, spread = np.full((2, 30), 9.0), 4 * HORIZONS**0.7

        first, again = (_paths(mean, spread, seed=5) for _ in range(2))

        np.testing.assert_array_equal(first, again)
        assert (first != _paths(mean, spread, seed=6)).any()

    @pytest.mark.parametrize(
        ("mean", "horizons", "sd", "message"),
        [
            (np.full((1, 5), -1.0), [1.0], np.ones((1, 1)), ">= 0"),
            (np.full((1, 5), 1.0), [1.0], np.full((1, 1), np.nan), ">= 0"),
            (np.full((1, 5), 1.0), [3.0, 1.0], np.ones((1, 2)), "increase"),
            (np.full((1, 5), 1.0), [1.0], np.ones((2, 1)), "do not fit"),
        ],
    )
    def test_names_what_is_wrong(
        self, mean: Floats, horizons: list[float], sd: Floats, message: str
    ) -> None:
        with pytest.raises(InvalidInput, match=message):
            demand_paths(mean, np.array(horizons), sd, paths=3, rng=np.random.default_rng(1))


class TestChangedDemand:
    """A scenario changes the same paths, and only on its days."""

    def test_a_promotion_lifts_its_days_by_its_share(self) -> None:
        before = _paths(np.full((2, 20), 30.0), 8 * HORIZONS**0.6)
        factor = np.ones(20)
        factor[5:10] = 1.4

        after = changed_demand(before, factor, np.random.default_rng(2))

        np.testing.assert_array_equal(after[:, :, :5], before[:, :, :5])
        np.testing.assert_array_equal(after[:, :, 10:], before[:, :, 10:])
        lifted = after[:, :, 5:10].sum() / before[:, :, 5:10].sum()
        assert lifted == pytest.approx(1.4, rel=0.005)
        assert (after == np.floor(after)).all()


class TestLeadTimeTable:
    """Lead times as seen, or gamma distributed where little was seen."""

    def test_a_gamma_table_has_its_quantiles(self) -> None:
        # notes: real lead times are skewed, CV 0.42 to 0.70
        table = lead_time_table(np.array([20.0]), np.array([10.0]))[0]

        expected = gamma.ppf([0.1, 0.5, 0.9], 4, scale=5)
        np.testing.assert_allclose(np.quantile(table, [0.1, 0.5, 0.9]), expected, atol=1)
        assert table.mean() == pytest.approx(20, abs=0.2)
        assert table.min() >= 0

    def test_an_observed_sample_keeps_its_shape(self) -> None:
        seen = np.array([5.0, 5, 5, 6, 6, 7, 8, 9, 30, 41])
        mean, sd = np.array([12.2]), np.array([seen.std()])

        table = lead_time_table(mean, sd, samples=[seen])[0]

        assert table.max() == 41
        assert set(np.unique(table)) <= {5, 6, 7, 8, 9, 30, 41}

    def test_a_small_sample_is_not_trusted(self) -> None:
        table = lead_time_table(np.array([9.0]), np.array([2.0]), samples=[[9.0, 9.0, 9.0]])[0]

        assert len(np.unique(table)) > 5

    def test_part_days_are_right_on_average(self) -> None:
        table = lead_time_table(np.array([9.4]), np.array([0.0]))[0]

        assert set(np.unique(table)) == {9, 10}
        assert table.mean() == pytest.approx(9.4, abs=0.01)

    def test_refuses_a_negative_lead_time(self) -> None:
        with pytest.raises(InvalidInput, match="-3"):
            lead_time_table(np.array([-3.0]), np.array([1.0]))


class TestDeliveryDraws:
    """Orders of a supplier on a day share their luck."""

    def test_items_of_one_supplier_travel_together(self) -> None:
        table = lead_time_table(np.array([9.0, 9.0, 9.0]), np.array([3.0, 3.0, 3.0]))
        drawn = delivery_draws(table, np.array([4, 4, 8]), paths=5, days=30, streams=Streams(1))

        assert drawn.row[0] == drawn.row[1] != drawn.row[2]
        assert drawn.days.shape == (2, 5, 30)
        assert (drawn.days[drawn.row[0]] != drawn.days[drawn.row[2]]).any()

    def test_two_lead_times_of_a_supplier_come_late_together(self) -> None:
        table = lead_time_table(np.array([9.0, 20.0]), np.array([3.0, 8.0]))
        drawn = delivery_draws(table, np.array([4, 4]), paths=5, days=200, streams=Streams(1))

        first, second = drawn.days[drawn.row].reshape(2, -1)
        assert np.corrcoef(first, second)[0, 1] > 0.98

    def test_lead_times_are_drawn_alike_under_every_seed_and_differ_between_them(self) -> None:
        table = lead_time_table(np.array([9.0]), np.array([3.0]))

        def draw(seed: int) -> Ints:
            owner = np.array([1])
            return delivery_draws(table, owner, paths=4, days=9, streams=Streams(seed)).days

        np.testing.assert_array_equal(draw(1), draw(1))
        assert (draw(1) != draw(2)).any()

    def test_a_share_of_orders_comes_in_parts(self) -> None:
        table = lead_time_table(np.array([9.0]), np.array([3.0]))
        whole = delivery_draws(table, np.array([1]), paths=50, days=100, streams=Streams(1))
        parts = delivery_draws(
            table, np.array([1]), paths=50, days=100, streams=Streams(1),
            partial_rate=np.array([0.2]), partial_share=0.6,
        )  # fmt: skip

        assert parts.first_share is not None
        assert (parts.first_share == 0.6).mean() == pytest.approx(0.2, abs=0.02)
        np.testing.assert_array_equal(parts.days, whole.days)

    @pytest.mark.parametrize(
        "build",
        [
            lambda table: delivery_draws(
                table, np.array([1]), paths=1, days=1, streams=Streams(1),
                partial_rate=np.array([1.2]),
            ),
            lambda table: delivery_draws(
                table, np.array([1]), paths=1, days=1, streams=Streams(1),
                partial_rate=np.array([0.2]), partial_share=1.0,
            ),
            lambda _: Streams(-1),
        ],
    )  # fmt: skip
    def test_refuses_what_is_no_share(self, build: Callable[[Ints], object]) -> None:
        with pytest.raises(InvalidInput):
            build(lead_time_table(np.array([9.0]), np.array([3.0])))
