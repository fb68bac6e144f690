import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from db.types import DemandClass
from tools.demand.core import Panel, dense_panel
from tools.errors import InvalidInput, NotEnoughData
from tools.forecasting.core import methods, selection
from tools.forecasting.core.batch import forecast_panel
from tools.forecasting.core.methods import DAILY, RARE, STEADY

WEEK = np.array([10.0, 20, 30, 40, 50, 0, 5])


def _panel(units: np.ndarray) -> Panel:
    ids = np.arange(len(units)), np.ones(len(units), dtype=np.int64)
    return Panel(*ids, units, np.zeros(units.shape, bool), date(2026, 3, 1))


class TestForecasts:
    def test_the_seasonal_floor_repeats_the_last_week(self) -> None:
        units = np.tile(WEEK, 6)[None, :]

        answer = methods.forecasts(units, horizon=9, models=("seasonal_naive",), season=DAILY)

        assert answer[0].tolist() == [*WEEK, 10.0, 20.0]

    def test_the_combination_is_the_median_of_its_members(self) -> None:
        units = np.random.default_rng(5).poisson(6, (3, 120)).astype(float)

        members = methods.member_forecasts(units, horizon=7, models=STEADY, season=DAILY)
        answer = methods.forecasts(units, horizon=7, models=STEADY, season=DAILY)

        assert members.shape == (5, 3, 7)
        assert answer == pytest.approx(np.median(members, axis=0))

    def test_a_window_average_is_the_mean_of_its_window(self) -> None:
        units = np.concatenate([np.full(50, 100.0), np.arange(28.0)])[None, :]

        answer = methods.forecasts(units, horizon=1, models=("window",), season=DAILY)

        assert answer[0, 0] == pytest.approx(13.5)  # mean of 0 .. 27

    def test_a_constant_series_stays_constant(self) -> None:
        answer = methods.forecasts(np.full((1, 90), 8.0), horizon=14, models=STEADY, season=DAILY)

        assert answer[0] == pytest.approx(np.full(14, 8.0), abs=1e-6)

    def test_an_unknown_model_is_named(self) -> None:
        with pytest.raises(InvalidInput, match="'oracle'"):
            methods.forecasts(np.ones((1, 40)), horizon=1, models=("oracle",), season=DAILY)
        with pytest.raises(InvalidInput, match="0"):
            methods.forecasts(np.ones((1, 40)), horizon=0, models=("ses",), season=DAILY)


class TestCombination:
    @pytest.mark.parametrize(
        ("name", "adi", "expected"),
        [
            (DemandClass.SMOOTH, 1.0, STEADY),
            (DemandClass.LUMPY, 2.0, STEADY),
            (DemandClass.LUMPY, 4.0, RARE),
            (DemandClass.NEW, 1.0, methods.FLOOR),
            (DemandClass.NO_DEMAND, float("inf"), methods.FLOOR),
        ],
    )
    def test_follows_the_class(
        self, name: DemandClass, adi: float, expected: tuple[str, ...]
    ) -> None:
        assert methods.combination(name, adi=adi) == expected

    def test_its_name_fits_the_table(self) -> None:
        assert max(len(methods.model_name(models)) for models in (STEADY, RARE)) <= 64


class TestBatch:
    def test_nothing_sold_is_zero_and_says_so(self) -> None:
        batch = forecast_panel(_panel(np.full((1, 60), np.nan)), horizon_days=14)

        assert batch.classes == [DemandClass.NO_DEMAND]
        assert batch.mean.sum() == batch.total_quantiles.sum() == 0
        assert "nothing was sold" in batch.warnings[0][0]

    def test_a_short_history_gives_its_mean_and_says_so(self) -> None:
        units = np.full((1, 60), np.nan)
        units[0, -9:] = [3, 0, 6, 0, 3, 0, 6, 0, 9]

        batch = forecast_panel(_panel(units), horizon_days=7)

        assert (batch.classes, batch.models) == ([DemandClass.NEW], ["mean"])
        assert batch.mean[0] == pytest.approx(np.full(7, 3.0))  # 27 units in 9 days
        assert batch.observed_days[0] == 9
        assert "only 9 days" in batch.warnings[0][0]

    def test_weekly_history_is_forecast_in_weeks_and_told_per_day(self) -> None:
        rows = [(1, date(2025, 1, 5) + timedelta(weeks=k), 70) for k in range(60)]
        frame = pd.DataFrame(rows, columns=["item_id", "on", "units"])
        frame = frame.assign(
            on=pd.to_datetime(frame["on"]), location_id=1, is_in_stock=True, flag=""
        )

        batch = forecast_panel(dense_panel(frame, until=date(2026, 3, 1)), horizon_days=30)

        assert batch.mean[0] == pytest.approx(np.full(30, 10.0), abs=1e-6)
        assert batch.total_days.tolist() == [7, 14, 21, 28]
        assert batch.observed_days[0] == 420

    def test_progress_counts_series(self) -> None:
        seen: list[tuple[int, int]] = []

        forecast_panel(
            _panel(np.ones((3, 20))), horizon_days=3, progress=lambda *step: seen.append(step)
        )

        assert seen == [(3, 3)]

    def test_missing_days_are_mentioned(self) -> None:
        panel = _panel(np.full((1, 20), 4.0))
        panel.is_missing[0, :5] = True

        batch = forecast_panel(panel, horizon_days=3)

        assert any("25% of the days were out of stock" in text for text in batch.warnings[0])


class TestSelection:
    def test_windows_end_at_the_last_period_and_do_not_overlap(self) -> None:
        assert selection.origins(100, horizon=28, windows=3) == [16, 44, 72]
        with pytest.raises(NotEnoughData, match="50"):
            selection.origins(50, horizon=28, windows=3)

    def test_scores_a_known_forecast(self) -> None:
        # a level that jumps from 10 to 20 in the last window of 10: the mean of 28 days says 10
        units = np.concatenate([np.full(60, 10.0), np.full(10, 20.0)])[None, :]
        units[0, 0] = 12.0  # a step, so that the naive error is not zero

        score = selection.cross_validate(
            units, candidates={"w": ("window",)}, horizon=10, windows=1, season=DAILY
        )["w"]

        assert score.wmape == pytest.approx(0.5)  # |200 - 100| / 200
        assert score.bias == pytest.approx(-0.5)
        # naive steps of 7 days: 2 once in 53 steps; error of 10 a day: 10 / (2 / 53)
        assert score.mase == pytest.approx(265)

    @pytest.mark.parametrize(
        ("windows", "expected"),
        [((0.3, 0.3, 0.3), "lucky"), ((0.1, 0.1, 0.39), "median"), ((0.1, 0.1), "median")],
    )
    def test_a_single_model_must_win_in_every_one_of_three_windows(
        self, windows: tuple[float, ...], expected: str
    ) -> None:
        default = selection.Score(1.0, 0.4, 0.0, (0.4,) * len(windows))
        lucky = selection.Score(0.5, sum(windows) / len(windows), 0.0, windows)

        chosen = selection.preferred({"median": default, "lucky": lucky}, default="median")

        assert chosen == expected

    def test_the_default_must_be_scored(self) -> None:
        with pytest.raises(InvalidInput, match="'median'"):
            selection.preferred({}, default="median")


def test_answering_from_stored_forecasts_does_not_import_the_model_library() -> None:
    program = (
        "import sys, tools.forecasting.tool; "
        "sys.exit(any(name.startswith('statsforecast') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
