from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.errors import InvalidInput, NotEnoughData
from tools.forecasting.core.components import NAMES, FloatArray, component_rows, components, parts
from tools.forecasting.core.reasons import reasons, shown_averages

MONDAY = date(2026, 3, 2)
FLAT = np.full((1, 60), 13.2)


def _known_forecast(days: int = 28) -> FloatArray:
    """13.7 on the first day, +0.4 a day every week, Mondays +3, Saturdays -3; a +5 event."""
    at = np.arange(days)
    season = np.array([3.0, 0, 0, 0, 0, -3.0, 0])[at % 7]
    mean = 13.7 + 0.4 / 7 * at + season
    mean[10:14] += 5.0
    return np.asarray(mean[None, :])


def _events(days: int = 28) -> FloatArray:
    events = np.zeros((1, days))
    events[0, 10:14] = 5.0
    return events


class TestComponents:
    def test_finds_what_a_forecast_was_built_from(self) -> None:
        found = components(
            FLAT, _known_forecast(), period_days=1, first_on=MONDAY, events=_events()
        )

        assert found.level[0] == pytest.approx(13.2)
        assert found.shift[0] == pytest.approx(0.5, abs=1e-4)
        assert 7 * found.slope[0] == pytest.approx(0.4, abs=1e-4)
        assert found.season[0] == pytest.approx([3, 0, 0, 0, 0, -3, 0], abs=1e-3)

    def test_a_season_does_not_bend_the_trend(self) -> None:
        """Weekly sums of a pure weekday pattern are equal, whatever day it starts on."""
        pattern = np.tile([9.0, 1, 2, 3, 4, 5, 4], 4)[None, :]

        found = components(FLAT, pattern, period_days=1, first_on=MONDAY + timedelta(days=2))

        assert found.slope[0] == 0
        assert found.season[0].sum() == pytest.approx(0, abs=1e-3)
        assert found.season[0][2] == pytest.approx(5.0)  # the first column is a Wednesday: 9 - 4

    def test_the_level_looks_four_weeks_back_and_skips_days_before_the_first_sale(self) -> None:
        units = np.full((2, 40), 4.0)
        units[0, -28:] = 10.0
        units[1, :-10] = np.nan

        found = components(units, np.ones((2, 28)), period_days=1, first_on=MONDAY)

        assert found.level.tolist() == [10.0, 4.0]
        assert found.window_days.tolist() == [28, 10]

    def test_weekly_history_gives_units_a_day(self) -> None:
        found = components(
            np.full((1, 20), 70.0), np.full((1, 28), 10.0), period_days=7, first_on=MONDAY
        )

        assert found.level[0] == 10.0
        assert found.window_days[0] == 56
        assert not found.season.any()

    def test_monthly_history_counts_three_months_of_thirty_days(self) -> None:
        units = np.full((1, 20), 60.0)
        units[0, -3:] = 30.0

        found = components(units, np.full((1, 60), 1.5), period_days=30, first_on=MONDAY)

        assert found.level[0] == 1.0
        assert found.window_days[0] == 90
        assert found.shift[0] == pytest.approx(0.5)

    def test_two_years_of_weeks_show_the_share_of_the_year_that_the_forecast_follows(self) -> None:
        year = 70 + 35 * np.sin(2 * np.pi * np.arange(52) / 52)
        units = np.tile(year, 3)[None, :]  # a whole number of years: the next week is week 0 again
        half = 10 + 0.5 * (np.repeat(year, 7) / 7 - 10)

        found = components(units, half[None, :91], period_days=7, first_on=MONDAY)

        assert found.season_kind == "year"
        assert found.season[0] == pytest.approx(0.5 * (year[:13] - 70) / 7, abs=1e-3)
        assert found.slope[0] == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize("days", [1, 5, 7, 13])
    def test_a_short_horizon_has_no_trend(self, days: int) -> None:
        mean = np.arange(1.0, days + 1)[None, :]

        assert components(FLAT, mean, period_days=1, first_on=MONDAY).slope[0] == 0

    def test_refuses_what_does_not_fit(self) -> None:
        with pytest.raises(InvalidInput, match="1, 7 or 30 days, got 31"):
            components(FLAT, np.ones((1, 7)), period_days=31, first_on=MONDAY)
        with pytest.raises(InvalidInput, match="do not fit"):
            components(FLAT, np.ones((2, 7)), period_days=1, first_on=MONDAY)
        with pytest.raises(InvalidInput, match="events of shape"):
            components(
                FLAT, np.ones((1, 7)), period_days=1, first_on=MONDAY, events=np.ones((1, 6))
            )


class TestParts:
    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(1, 60),
        st.integers(0, 20),
        st.sampled_from([1, 7]),
        st.integers(0, 2**32 - 1),
        st.integers(1, 180),
    )
    def test_adds_up_on_every_day(
        self, days: int, skipped: int, step: int, seed: int, periods: int
    ) -> None:
        random = np.random.default_rng(seed)
        units = random.poisson(3, (4, periods)).astype(float)
        mean = random.gamma(1.0, 5.0, (4, days + skipped))
        rows = component_rows(
            units,
            mean,
            period_days=step,
            first_on=MONDAY,
            events=random.normal(size=mean.shape),
        )

        for row, forecast in zip(rows, mean, strict=True):
            found = parts(row, forecast[skipped:].tolist(), skipped=skipped)
            total = sum(getattr(found, name) for name in NAMES)
            assert total == pytest.approx(forecast[skipped:], abs=1e-9)
            assert sum(found.averages().values()) == pytest.approx(found.mean.mean(), abs=1e-9)

    def test_a_known_decomposition_leaves_no_remainder(self) -> None:
        mean = _known_forecast()
        (row,) = component_rows(FLAT, mean, period_days=1, first_on=MONDAY, events=_events())

        found = parts(row, mean[0, 9:].tolist(), skipped=9)

        assert found.remainder == pytest.approx(np.zeros(19), abs=1e-3)
        assert found.season[:5] == pytest.approx([0, 0, 0, -3, 0], abs=1e-3)  # from a Wednesday on
        assert found.events[:6] == pytest.approx([0, 5, 5, 5, 5, 0])

    def test_says_when_nothing_was_stored(self) -> None:
        with pytest.raises(NotEnoughData, match="without its components") as refused:
            parts({}, [1.0])
        assert refused.value.next_step.startswith("Run the plan")

    def test_refuses_an_empty_stretch(self) -> None:
        (row,) = component_rows(FLAT, np.ones((1, 7)), period_days=1, first_on=MONDAY)
        with pytest.raises(InvalidInput, match="no day to explain"):
            parts(row, [])


class TestReasons:
    def test_tells_level_trend_weekdays_and_events(self) -> None:
        mean = _known_forecast()
        (row,) = component_rows(
            FLAT, mean, period_days=1, first_on=MONDAY, events=_events(),
            event_names=[["Easter offer"]],
        )  # fmt: skip

        said = reasons(parts(row, mean[0].tolist()))

        # Mean: 13.7 + 0.4/7 * 13.5 + 5 * 4/28 = 15.186; the trend averages 0.771, events 0.714.
        # 3 of the mean level 14.47 is 21 %.
        assert said == [
            "15.2 a day over 28 days: level 13.2, shift +0.5, trend +0.8, events +0.7.",
            "The level is the mean of the last 28 days.",
            "The trend is +0.4 a day every week.",
            "Against the mean of the week: Mondays +21 %, Saturdays -21 %.",
            "Events counted: Easter offer.",
        ]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.floats(0, 5000), min_size=7, max_size=40), st.floats(0, 500))
    def test_what_is_shown_adds_up_to_what_is_shown(self, mean: list[float], level: float) -> None:
        (row,) = component_rows(
            np.full((1, 30), level), np.array([mean]), period_days=1, first_on=MONDAY
        )

        whole, shown, digits = shown_averages(parts(row, mean))

        assert sum(shown.values()) == pytest.approx(whole, abs=1e-6)
        assert whole == round(float(np.mean(mean)), digits)

    def test_says_no_more_than_the_level_of_a_flat_forecast(self) -> None:
        (row,) = component_rows(FLAT, np.full((1, 28), 13.2), period_days=1, first_on=MONDAY)

        assert reasons(parts(row, [13.2] * 28)) == [
            "13.2 a day over 28 days: level 13.2.",
            "The level is the mean of the last 28 days.",
        ]
