"""Overrides, analogs, segments and scores: what a person's word does to a forecast."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from db.types import EventKind, ForecastBasis
from tools.errors import NotEnoughData
from tools.planning_inputs.core.basis import applied_overrides, category_profile
from tools.planning_inputs.core.changes import clashes
from tools.planning_inputs.core.classes import (
    SERVICE_RATES,
    abc_classes,
    service_rate_for,
    xyz_classes,
)
from tools.planning_inputs.core.cleaning import series_of
from tools.planning_inputs.core.scoring import score, track_record
from tools.planning_inputs.core.values import Event, Override

START = date(2026, 3, 2)


def day(k: int) -> date:
    return START + timedelta(days=k)


def override(first: int, last: int, item_id: int = 1, **more: object) -> Override:
    said = {"basis": ForecastBasis.OWN, "units_per_day": 22.0} | more
    return Override(1, item_id, 1, day(first), day(last), **said)  # type: ignore[arg-type]


class TestOverrides:
    SERIES = series_of([1, 2, 3, 4], [1, 1, 1, 1], {1: "a", 2: "b", 3: "b", 4: "b"})
    MEAN = np.array([[10.0] * 4, [2.0] * 4, [4.0] * 4, [6.0] * 4])

    def _applied(self, *overrides: Override) -> tuple[list[list[float]], list[ForecastBasis]]:
        mean, bases = applied_overrides(self.MEAN, overrides, self.SERIES, start_on=START)
        return mean.tolist(), bases

    def test_counts_on_its_days_and_the_newer_one_wins(self) -> None:
        mean, bases = self._applied(override(-5, 2), override(2, 2, units_per_day=30.0))

        assert mean[0] == [22, 22, 30, 10]
        assert mean[1:] == self.MEAN[1:].tolist()
        assert bases == [ForecastBasis.OWN] * 4

    def test_an_analog_takes_its_share(self) -> None:
        like: dict[str, Any] = {
            "basis": ForecastBasis.ANALOG,
            "units_per_day": None,
            "analog_item_id": 1,
        }

        mean, bases = self._applied(override(0, 99, item_id=2, factor=0.6, **like))

        assert mean[1] == pytest.approx([6.0] * 4)
        assert bases[1] is ForecastBasis.ANALOG

    def test_a_category_takes_the_median_of_the_others(self) -> None:
        series = series_of([1, 2, 3, 4], [1, 1, 1, 1], dict.fromkeys(range(5), "b"))
        said = override(0, 9, item_id=4, basis=ForecastBasis.CATEGORY, units_per_day=None)

        mean, bases = applied_overrides(self.MEAN, [said], series, start_on=START)

        assert mean[3].tolist() == [4.0] * 4  # of 10, 2 and 4
        assert bases[3] is ForecastBasis.CATEGORY

    def test_where_the_other_is_unknown_the_forecast_stays(self) -> None:
        like: dict[str, Any] = {
            "basis": ForecastBasis.ANALOG,
            "units_per_day": None,
            "analog_item_id": 99,
        }
        alike: dict[str, Any] = {"basis": ForecastBasis.CATEGORY, "units_per_day": None}

        mean, bases = self._applied(override(0, 9, **like), override(0, 9, **alike))

        assert mean == self.MEAN.tolist()
        assert bases == [ForecastBasis.OWN] * 4

    def test_what_is_over_or_of_others_changes_nothing(self) -> None:
        mean, _ = self._applied(override(-9, -1), override(4, 9), override(0, 3, item_id=77))

        assert mean == self.MEAN.tolist()

    def test_a_category_needs_three_with_demand(self) -> None:
        with pytest.raises(NotEnoughData, match="only 2 items") as refused:
            category_profile(np.array([[1.0], [2.0], [0.0]]))

        assert refused.value.details == {"items": 2}


class TestSegments:
    def test_cuts_at_80_and_95_percent_of_the_value(self) -> None:
        # cumulative 50, 80, 92, 96, 99, 100: A holds 80, B what follows up to 95 (and crosses it)
        assert abc_classes(np.array([50.0, 30, 12, 4, 3, 1])) == ["A", "A", "B", "B", "C", "C"]

    def test_one_item_that_is_nearly_all_is_a(self) -> None:
        assert abc_classes(np.array([97.0, 2, 1])) == ["A", "C", "C"]

    @pytest.mark.parametrize("values", [[], [0.0, 0.0]])
    def test_without_usage_nothing_is_a(self, values: list[float]) -> None:
        assert set(abc_classes(np.array(values))) <= {"C"}

    @given(hnp.arrays(float, st.integers(1, 40), elements=st.integers(0, 10**6).map(float)))
    def test_a_items_hold_four_fifths_and_are_worth_most(self, values: np.ndarray) -> None:
        letters = np.array(abc_classes(values))

        if values.sum() > 0:
            assert values[letters == "A"].sum() >= 0.8 * values.sum() * (1 - 1e-9)
            rest = values[letters != "A"]
            assert rest.max(initial=0) <= values[letters == "A"].min()

    def test_cuts_at_variations_of_a_half_and_one(self) -> None:
        # 5 and 15 alternating: mean 10, sd 5, CV 0.5; 0 and 20: CV 1; 0, 0, 30: CV 1.41
        weekly = np.array([[5.0, 15] * 6, [0.0, 20] * 6, [0.0, 0, 30] * 4])

        assert xyz_classes(weekly) == ["X", "Y", "Z"]

    def test_too_short_or_without_demand_is_z(self) -> None:
        short = np.array([[np.nan] * 9 + [10.0] * 3, [0.0] * 12])

        assert xyz_classes(short) == ["Z", "Z"]

    def test_the_table_falls_with_value_and_with_variation(self) -> None:
        assert len(SERVICE_RATES) == 9
        for letter in "ABC":
            assert [service_rate_for(letter, x) for x in "XYZ"] == sorted(
                (service_rate_for(letter, x) for x in "XYZ"), reverse=True
            )
        for letter in "XYZ":
            assert service_rate_for("A", letter) > service_rate_for("C", letter)


class TestScores:
    def test_the_figures_of_a_hand_computation(self) -> None:
        # came 19.7 a day; mean before 14.0, forecast 18.0, planner 22.0
        found = score(days=28, actual=19.7, naive=14.0, system=18.0, override=22.0)

        assert found.as_json() == {
            "days": 28, "actual": 19.7, "naive_error": 5.7, "system_error": 1.7,
            "override_error": 2.3, "fva_system": 4.0, "fva_override": -0.6, "verdict": "worse",
        }  # fmt: skip

    def test_without_a_forecast_the_naive_one_is_the_measure(self) -> None:
        found = score(days=28, actual=20, naive=10, system=None, override=19)

        assert (found.fva_system, found.fva_override, found.verdict) == (None, 9, "better")

    @pytest.mark.parametrize(("scores", "told"), [([], ""), ([{}], "")])
    def test_nothing_is_said_before_one_is_over(
        self, scores: list[dict[str, str]], told: str
    ) -> None:
        assert track_record(scores) == told

    def test_t9_of_the_domain(self) -> None:
        past = [{"verdict": v} for v in ("worse", "better", "worse")]

        assert track_record(past).endswith("2 of 3 made the forecast worse")


class TestClashes:
    FAIR = Event(1, EventKind.PROMOTION, "fair", day(0), day(6), item_id=1)

    def _other(self, **more: object) -> Event:
        said = {"item_id": 1, "start_on": day(6), "end_on": day(9)} | more
        return Event(2, EventKind.PROMOTION, "sale", **said)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("more", "is_clash"),
        [
            ({}, True),
            ({"start_on": day(7)}, False),
            ({"item_id": 2}, False),
            ({"item_id": None}, True),  # of everything
            ({"item_id": None, "category": "tea"}, True),
            ({"item_id": None, "category": "mugs"}, False),
            ({"location_id": 5}, True),  # the fair is everywhere
        ],
    )
    def test_the_same_item_on_the_same_day(self, more: dict[str, object], is_clash: bool) -> None:
        assert clashes(self._other(**more), self.FAIR, other_category="tea") is is_clash

    def test_other_places_and_other_kinds_do_not(self) -> None:
        here = Event(3, EventKind.PROMOTION, "x", day(0), day(6), item_id=1, location_id=1)
        closure = Event(4, EventKind.CLOSURE, "x", day(0), day(6), item_id=1)

        assert not clashes(self._other(location_id=2), here)
        assert not clashes(closure, self.FAIR)
