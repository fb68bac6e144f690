"""The line of the width of errors, and bad input to the whole batch."""

from datetime import date

import numpy as np
import pytest
from scipy.stats import norm

from db.types import DemandClass
from tools.demand.core import Panel
from tools.forecasting.core import methods, tails, totals
from tools.forecasting.core.batch import Batch, forecast_panel
from tools.forecasting.core.methods import DAILY, MONTHLY, MONTHLY_WITH_YEAR, WEEKLY_WITH_YEAR


def _batch(units: np.ndarray, *, grain: str = "D", horizon_days: int = 28) -> Batch:
    ids = np.arange(len(units)), np.ones(len(units), dtype=np.int64)
    panel = Panel(*ids, units, np.zeros(units.shape, bool), date(2026, 3, 1), grain)  # type: ignore[arg-type]
    return forecast_panel(panel, horizon_days=horizon_days)


class TestQuantileLine:
    @pytest.mark.parametrize("level", [0.05, 0.5, 0.95])
    def test_finds_the_quantiles_of_errors_that_grow(self, level: float) -> None:
        # normal errors with an sd of 1 + 2x: their quantiles are z + 2z x
        random = np.random.default_rng(4)
        x = random.uniform(0, 3, 20_000)
        y = random.normal(0, 1 + 2 * x)

        found = tails.quantile_line(
            np.stack([np.ones_like(x), x], axis=1), y, np.ones_like(x), level=level
        )

        z = float(norm.ppf(level))
        assert found == pytest.approx([z, 2 * z], abs=0.12)

    def test_minimises_the_pinball_loss_as_a_linear_program_does(self) -> None:
        from scipy.optimize import linprog

        random = np.random.default_rng(5)
        x = np.stack([np.ones(80), random.uniform(0, 1, 80)], axis=1)
        y = random.gamma(1.0, 2.0, 80)
        # min 0.9 u + 0.1 v with x b + u - v = y and u, v >= 0
        exact = linprog(
            np.r_[0, 0, np.full(80, 0.9), np.full(80, 0.1)],
            A_eq=np.hstack([x, np.eye(80), -np.eye(80)]), b_eq=y,
            bounds=[(None, None)] * 2 + [(0, None)] * 160,
        )  # fmt: skip

        error = y - x @ tails.quantile_line(x, y, np.ones(80), level=0.9)

        assert np.maximum(0.9 * error, -0.1 * error).sum() == pytest.approx(exact.fun, rel=0.01)

    def test_columns_that_depend_on_each_other_do_not_stop_it(self) -> None:
        x = np.ones((500, 3))
        y = np.random.default_rng(6).uniform(0, 1, 500)

        assert tails.quantile_line(x, y, np.ones(500), level=0.9).sum() == pytest.approx(
            0.9, abs=0.05
        )


class TestIntervals:
    def test_equal_tails_unless_nothing_may_be_sold(self) -> None:
        quantiles = np.arange(20.0).reshape(2, 10)
        quantiles[0, :3] = 0.0

        low, high = totals.intervals(quantiles)

        assert low.tolist() == [0.0, 11.0]
        assert high.tolist() == [6.0, 17.0]  # the 90 % quantile; the 95 % quantile

    def test_poisson_totals_of_slow_movers_are_covered_as_promised(self) -> None:
        # eighty slow movers, 0.05 a day: of a week 70 % sell nothing, so tails cannot be equal
        units = np.random.default_rng(9).poisson(0.05, (80, 400)).astype(float)
        units[:, 0] = 1.0

        batch = _batch(units[:, :372])
        low, high = totals.intervals(batch.total_quantiles[:, batch.total_days.tolist().index(28)])
        sold = units[:, 372:].sum(axis=1)

        assert ((sold >= low) & (sold <= high)).mean() >= 0.85


class TestMonths:
    def test_the_year_counts_once_two_are_known(self) -> None:
        assert methods.season_of(period_days=30, periods=31) == MONTHLY
        assert methods.season_of(period_days=30, periods=32) == MONTHLY_WITH_YEAR
        assert methods.season_of(period_days=7, periods=112) == WEEKLY_WITH_YEAR

    def test_a_constant_part_stays_constant_and_is_told_per_day(self) -> None:
        batch = _batch(np.full((1, 51), 60.0), grain="M", horizon_days=90)

        assert batch.mean[0] == pytest.approx(np.full(90, 2.0))
        assert batch.total_days.tolist() == [30, 60, 90]
        assert batch.observed_days[0] == 51 * 30

    def test_a_year_that_repeats_is_followed(self) -> None:
        year = np.array([10.0, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 130])
        units = np.tile(year, 4)[None, :-1]  # the peak comes next

        peak = _batch(units, grain="M", horizon_days=30).mean[0].sum()

        assert 10 < peak <= 130

    def test_too_few_months_are_named(self) -> None:
        batch = _batch(np.array([[3.0, 0, 3]]), grain="M", horizon_days=30)

        assert batch.classes == [DemandClass.NEW]
        assert "only 3 months since the first sale" in batch.warnings[0][0]


class TestCombinations:
    def test_a_young_series_among_old_ones_gets_no_seasonal_model(self) -> None:
        old = methods.combination(DemandClass.SMOOTH, adi=1.0, season=WEEKLY_WITH_YEAR, periods=104)
        young = methods.combination(DemandClass.SMOOTH, adi=1, season=WEEKLY_WITH_YEAR, periods=60)

        assert old == methods.YEARLY
        assert not {"seasonal_window", "seasonal_naive"} & set(young)

    def test_names_of_all_defaults_fit_the_table(self) -> None:
        sets = (
            methods.STEADY, methods.RARE, methods.YEARLY, methods.MONTHLY_YEARLY, methods.SHORT,
            methods.SHORT_RARE,
        )  # fmt: skip
        assert max(len(methods.model_name(models)) for models in sets) <= 64

    @pytest.mark.parametrize("name", sorted(set(methods.MODELS) - {"arima"}))
    def test_every_model_of_the_registry_forecasts(self, name: str) -> None:
        units = np.random.default_rng(2).poisson(6, (2, 60)).astype(float)

        said = methods.forecasts(units, horizon=7, models=(name,), season=DAILY)

        assert said.shape == (2, 7)
        assert (said >= 0).all()
        assert 2 <= said.mean() <= 12  # of a Poisson demand of 6 a day


class TestBadInput:
    def test_one_sale_is_no_reason_to_order_much(self) -> None:
        units = np.zeros((1, 200))
        units[0, 0] = 7.0

        batch = _batch(units)

        assert batch.mean[0].sum() <= 7.0
        assert (batch.total_quantiles <= 14.0).all()  # twice the most that ever sold

    def test_zeros_alone_are_told(self) -> None:
        batch = _batch(np.zeros((1, 200)))

        assert batch.classes == [DemandClass.NO_DEMAND]
        assert "nothing was sold" in batch.warnings[0][0]

    def test_absurd_sizes_stay_finite_and_do_not_touch_the_others(self) -> None:
        units = np.random.default_rng(3).poisson(20, (60, 300)).astype(float)
        absurd = units.copy()
        absurd[0] = 1e12
        absurd[1, 150] = 1e12

        usual, batch = _batch(units), _batch(absurd)

        assert np.isfinite(batch.total_quantiles).all()
        # the two rows change their pool a little, and not by orders of magnitude
        assert np.median(batch.total_sd[2:] / usual.total_sd[2:]) == pytest.approx(1, abs=0.25)

    def test_fifty_years_of_weeks(self) -> None:
        units = np.random.default_rng(1).poisson(30, (2, 2600)).astype(float)

        batch = _batch(units, grain="W", horizon_days=91)

        assert batch.observed_days.tolist() == [18_200] * 2
        assert batch.mean.mean() == pytest.approx(30 / 7, rel=0.15)

    def test_a_long_gap_is_demand_of_zero(self) -> None:
        units = np.full((1, 300), 10.0)
        units[0, 200:] = 0.0

        assert _batch(units).mean[0].max() <= 2.0
