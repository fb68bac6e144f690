from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tools.demand.core import Panel
from tools.errors import InvalidInput
from tools.forecasting.core import replay, totals
from tools.forecasting.core.batch import Batch, forecast_panel
from tools.forecasting.core.methods import DAILY
from tools.forecasting.core.selection import holdout

FLAT = {"days": [1, 9, 28], "sd": [20.0, 60.0, 20.0 * 28**0.5]}


def _panel(units: np.ndarray) -> Panel:
    """A daily panel of one location without missing days."""
    ids = np.arange(len(units)), np.ones(len(units), dtype=np.int64)
    return Panel(*ids, units.astype(float), np.zeros(units.shape, bool), date(2026, 3, 1))


class TestTotalQuantile:
    def test_the_quantile_of_a_sum_is_not_the_sum_of_quantiles(self) -> None:
        # DOMAIN 1.2, fixture G without lead-time variance: 9 days of 100 +- 20, 95 %
        z = float(norm.ppf(0.95))
        daily = [totals.total_quantile([100.0] * 9, FLAT, {}, days=1, level=0.95)] * 9

        total = totals.total_quantile([100.0] * 9, FLAT, {}, days=9, level=0.95)

        assert sum(daily) == pytest.approx(1196.1, abs=0.05)
        assert total == pytest.approx(998.7, abs=0.05)
        assert (sum(daily) - 900) / (total - 900) == pytest.approx(3.0)  # sqrt(9)
        assert total == pytest.approx(900 + z * 60)

    def test_stored_quantiles_come_back_and_are_interpolated(self) -> None:
        stored = {"days": [1, 9], "0.05": [70, 805], "0.5": [100, 900], "0.95": [135, 1010]}

        def at(days: float, level: float) -> float:
            return totals.total_quantile([100.0] * 28, FLAT, stored, days=days, level=level)

        assert at(9, 0.95) == pytest.approx(1010)
        # half way between 1 and 9 days on the root of time is day 4: 400 + (35 + 110) / 2
        assert at(4, 0.95) == pytest.approx(472.5)
        # behind the last day the distance grows with the root of time: 1600 + 110 * 4 / 3
        assert at(16, 0.95) == pytest.approx(1600 + 110 * 4 / 3)
        # beyond the last level it grows with the normal score: 900 + 110 * 2.3263 / 1.6449
        assert at(9, 0.99) == pytest.approx(900 + 110 * 2.3263 / 1.6449, abs=0.05)
        assert at(9, 0.5) < at(9, 0.7) < at(9, 0.95)

    @pytest.mark.parametrize("level", [0, 1, -0.1, 1.5])
    def test_refuses_a_level_outside_zero_and_one(self, level: float) -> None:
        with pytest.raises(InvalidInput, match=str(level)):
            totals.total_quantile([1.0], FLAT, {}, days=1, level=level)


class TestTotalSd:
    @pytest.mark.parametrize(
        ("days", "sd"), [(0, 0), (1, 20), (4, 40), (9, 60), (112, 20 * 112**0.5)]
    )
    def test_follows_the_root_of_time(self, days: float, sd: float) -> None:
        assert totals.total_sd(FLAT, days) == pytest.approx(sd)

    def test_refuses_a_forecast_without_spread(self) -> None:
        with pytest.raises(InvalidInput, match="run the forecasts"):
            totals.total_sd({}, 3)
        with pytest.raises(InvalidInput, match="-1"):
            totals.total_sd(FLAT, -1)


class TestTotalMean:
    def test_sums_days_parts_of_days_and_repeats_the_end(self) -> None:
        assert totals.total_mean([1.0, 2.0, 4.0], days=2.5) == 5.0
        assert totals.total_mean([2.0] * 28, days=30) == 60.0
        assert totals.total_mean([], days=5) == 0.0


class TestCalibration:
    def test_finds_the_spread_of_independent_days(self) -> None:
        # 60 series of independent normal days 100 +- 20: the sd of a 9-day total is 60, to which
        # the uncertain level adds a little (28-day mean: 20 * 9 / sqrt(28) = 34; both: 69)
        units = np.random.default_rng(1).normal(100, 20, (60, 365))
        past = replay.replay(units, origins=replay.origins_of(365, season=DAILY), season=DAILY)
        pool = totals.buckets(units, np.zeros(60, dtype=np.bool_))

        found = totals.calibrate(units, past, pool=pool, horizons=[1, 9, 28])
        spread = totals.spread(units, np.full((60, 28), 100.0), found, pool=pool, horizons=[1])

        assert spread.is_tested
        assert spread.sd[:, 0].mean() == pytest.approx(20, rel=0.08)
        assert 60 <= spread.sd[:, 1].mean() <= 75
        index = totals.LEVELS.index(0.95)
        assert spread.quantiles[:, 1, index].mean() == pytest.approx(900 + 1.645 * 66, rel=0.02)

    def test_a_series_that_took_off_does_not_widen_its_steady_neighbours(self) -> None:
        # the root mean square of errors would be made by the one series that grew a hundredfold
        units = np.random.default_rng(1).normal(100, 20, (60, 365))
        units[0, 300:] *= 100
        past = replay.replay(units, origins=replay.origins_of(365, season=DAILY), season=DAILY)
        pool = np.zeros(60, dtype=np.int64)

        found = totals.calibrate(units, past, pool=pool, horizons=[28])
        spread = totals.spread(units, np.full((60, 28), 100.0), found, pool=pool, horizons=[28])

        steady = 20 * 28**0.5 * 2**0.5 * 1.2  # days, uncertain level, few separate stretches
        assert np.median(spread.sd[1:, 0]) <= 1.3 * steady

    def test_one_rare_seller_does_not_widen_a_small_steady_catalogue(self) -> None:
        random = np.random.default_rng(3)
        steady = random.normal(100, 20, (4, 365))
        rare = np.where(random.random((1, 365)) < 0.15, random.poisson(60, (1, 365)), 0)

        alone = forecast_panel(_panel(steady), horizon_days=28)
        mixed = forecast_panel(_panel(np.vstack([steady, rare])), horizon_days=28)

        assert mixed.total_sd[:4, -1] == pytest.approx(alone.total_sd[:, -1], rel=0.05)
        assert mixed.total_sd[4, -1] > 0

    def test_pools_keep_steady_and_rare_demand_apart(self) -> None:
        units = np.ones((30, 40)) * np.arange(1, 31)[:, None]
        is_rare = np.arange(30) >= 26

        pool = totals.buckets(units, is_rare)

        assert pool.tolist() == [0] * 13 + [1] * 13 + [2] * 4

    def test_few_errors_say_nothing_about_a_tail(self) -> None:
        units = np.random.default_rng(2).poisson(5, (1, 70)).astype(float)

        batch = forecast_panel(_panel(units), horizon_days=28)

        assert not batch.is_tested
        assert "too few past periods" in batch.warnings[0][0]
        assert batch.total_sd[0, 0] == pytest.approx(1.25 * units.std())
        assert batch.total_days[-1] == 28

    def test_forecasts_of_the_past_do_not_look_ahead(self) -> None:
        units = np.random.default_rng(3).poisson(9, (4, 200)).astype(float)
        changed = units.copy()
        changed[:, 150:] += 1000

        before, after = (
            replay.replay(u, origins=[100, 150], season=DAILY) for u in (units, changed)
        )

        assert (before.cycle == after.cycle).all()
        assert (before.scale == after.scale).all()

    def test_a_cycle_adds_up_to_the_totals_of_its_periods(self) -> None:
        cycle = np.array([[[1.0, 2, 3, 4, 5, 6, 7]]])
        past = replay.Replay((50,), cycle, np.ones((1, 1, 4)))

        # ten periods: a whole week of 28, then 1 + 2 + 3
        assert past.total(10, slice(None)).tolist() == [[34.0]]
        assert past.per_period(10, slice(None)).sum() == 34.0

    def test_a_shorter_history_was_not_forecast_then(self) -> None:
        units = np.full((1, 200), np.nan)
        units[0, 120:] = 3.0

        past = replay.replay(units, origins=[150, 199], season=DAILY)

        assert np.isnan(past.cycle[0, 0]).all()
        assert past.cycle[0, 1].tolist() == [3.0] * 7


@pytest.fixture(scope="module")
def shop() -> np.ndarray:
    """Sixty seeded series like a shop's: negative binomial, weekly season, moving levels."""
    random = np.random.default_rng(11)
    level = random.lognormal(2.0, 1.0, (60, 1)) * np.exp(
        np.cumsum(random.normal(0, 0.02, (60, 300)), axis=1)
    )
    week = np.tile([1.2, 1.1, 1.0, 1.2, 0.9, 0.0, 0.6], 43)[:300]
    mean, size = level * week + 1e-9, 1.2
    return np.asarray(random.negative_binomial(size, size / (size + mean)), dtype=float)


@pytest.fixture(scope="module")
def shop_batch(shop: np.ndarray) -> Batch:
    return forecast_panel(_panel(shop), horizon_days=56)


def test_intervals_of_totals_cover_what_they_promise(shop: np.ndarray) -> None:
    past = holdout(_panel(shop), horizon=14, windows=3)

    inside = ((past.sold >= past.low) & (past.sold <= past.high)).mean()

    assert 0.85 <= inside <= 0.95  # nominal 0.90


def test_bounds_are_ordered_and_grow_with_the_horizon(shop_batch: Batch) -> None:
    assert shop_batch.total_days.tolist() == [1, 3, 7, 14, 21, 28, 42, 56]
    assert (np.diff(shop_batch.total_sd, axis=1) >= 0).all()
    assert (np.diff(shop_batch.total_quantiles, axis=2) >= 0).all()
    assert (shop_batch.total_quantiles >= 0).all()


def test_no_bound_leaves_what_the_history_can_bear(shop: np.ndarray, shop_batch: Batch) -> None:
    best_day = shop.max(axis=1)

    assert (shop_batch.mean <= best_day[:, None]).all()
    assert (shop_batch.total_quantiles[:, 0, -1] <= 2.0 * best_day + 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.one_of(
            st.lists(st.integers(0, 5000), min_size=1, max_size=90),
            st.integers(0, 300).map(lambda value: [value] * 80),  # constant, and all zero
            st.integers(1, 85).map(lambda at: [0] * at + [7] + [0] * 20),  # one sale
        ),
        min_size=1,
        max_size=4,
    ),
    horizon=st.integers(1, 40),
)
def test_any_count_series_gives_finite_ordered_figures(rows: list[list[int]], horizon: int) -> None:
    units = np.full((len(rows), max(map(len, rows))), np.nan)
    for k, row in enumerate(rows):
        first = next((i for i, value in enumerate(row) if value), len(row))
        values = np.array(row[first:], dtype=float)
        units[k, units.shape[1] - len(values) :] = values

    batch = forecast_panel(_panel(units), horizon_days=horizon)

    for figures in (batch.mean, batch.total_sd, batch.total_quantiles):
        assert np.isfinite(figures).all()
        assert (figures >= 0).all()
    assert batch.mean.shape == (len(rows), horizon)
    assert (np.diff(batch.total_sd, axis=1) >= 0).all()
    assert (np.diff(batch.total_quantiles, axis=2) >= 0).all()
