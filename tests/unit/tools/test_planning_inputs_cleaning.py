"""Corrections, heirs, closed days and events: from what was sold to what was asked for."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from db.types import CorrectionKind, EventKind
from tools.errors import InvalidInput
from tools.planning_inputs.core.cleaning import (
    cleaned_panel,
    closed_weekdays,
    corrected,
    joined,
    series_of,
)
from tools.planning_inputs.core.events import event_factors
from tools.planning_inputs.core.holidays import public_holidays
from tools.planning_inputs.core.values import Correction, Event, Inputs

MONDAY = date(2025, 9, 1)


def frame_of(units: list[int], *, item_id: int = 1, **columns: Any) -> pd.DataFrame:
    """Daily demand of one item at location 1 from MONDAY on."""
    days = pd.date_range(MONDAY, periods=len(units))
    plain = {"location_id": 1, "on": days, "units": units, "returned_units": 0}
    frame = pd.DataFrame({"item_id": item_id, **plain, "is_in_stock": True, "flag": ""})
    return frame.assign(**columns)


def on(k: int) -> date:
    """Day k of the frame."""
    return MONDAY + timedelta(days=k)


def promotion(first: int, last: int, **more: Any) -> Event:
    return Event(1, EventKind.PROMOTION, "spring fair", on(first), on(last), item_id=1, **more)


class TestCorrections:
    FRAME = frame_of([10, 12, 900, 8, 0, 10])

    def _correction(self, k: int, kind: CorrectionKind, units: int | None = None) -> Correction:
        return Correction(1, 1, 1, on(k), kind, units, "a tender")

    def test_a_tender_counts_as_the_days_around_it(self) -> None:
        inputs = Inputs(corrections=(self._correction(2, CorrectionKind.ONE_OFF),))

        clean = cleaned_panel(self.FRAME, inputs, until=on(5))

        assert clean.panel.units[0].tolist() == [10, 12, 8, 8, 0, 10]  # (10 + 12 + 8 + 0 + 10) / 5
        assert clean.notes == [["2025-09-03 counts as the days around it (one off)"]]
        assert self.FRAME["units"].tolist()[2] == 900  # what was sold stays

    def test_a_quantity_replaces_what_was_sold_and_is_believed(self) -> None:
        rows = corrected(self.FRAME, [self._correction(2, CorrectionKind.CANCELLATION, 11)])

        assert rows["units"].tolist() == [10, 12, 11, 8, 0, 10]
        assert rows["flag"].tolist()[2] == "event"

    def test_a_stock_out_is_at_least_what_was_sold(self) -> None:
        inputs = Inputs(
            corrections=(
                self._correction(4, CorrectionKind.STOCKOUT),
                self._correction(2, CorrectionKind.MANUAL, 10),
            )
        )

        clean = cleaned_panel(self.FRAME, inputs, until=on(5))

        assert clean.panel.units[0].tolist() == [10, 12, 10, 8, 10, 10]  # 50 in 5 days
        assert clean.panel.is_missing[0].tolist() == [False] * 4 + [True, False]

    def test_a_day_without_a_row_can_be_corrected(self) -> None:
        frame = self.FRAME.drop(index=4)

        rows = corrected(frame, [self._correction(4, CorrectionKind.MANUAL, 7)])

        assert rows["units"].tolist() == [10, 12, 900, 8, 7, 10]


class TestHeirs:
    def test_the_history_of_a_replaced_item_is_joined_to_its_heir(self) -> None:
        old = frame_of([5, 5, 5, 2, 0, 0])
        new = frame_of([3, 6], item_id=2, on=pd.to_datetime([on(3), on(4)]))

        inputs = Inputs(heirs={1: 2}, skus={1: "LAMP-1"})
        clean = cleaned_panel(pd.concat([old, new]), inputs, until=on(5))

        assert clean.panel.units[1].tolist() == [5, 5, 5, 5, 6, 0]
        assert clean.panel.units[0].tolist() == [5, 5, 5, 2, 0, 0]  # its own stays
        assert clean.notes[1] == ["its history holds that of LAMP-1, which it replaced"]

    def test_an_heir_without_a_sale_starts_with_the_history_of_two(self) -> None:
        both = pd.concat([frame_of([5, 5]), frame_of([1, 1], item_id=2)])

        rows = joined(both, {1: 2, 2: 3})

        assert rows[rows["item_id"] == 3]["units"].tolist() == [6, 6]
        assert rows[rows["item_id"] == 2]["units"].tolist() == [6, 6]

    def test_a_circle_of_heirs_ends(self) -> None:
        rows = joined(frame_of([5, 5]), {1: 2, 2: 1})

        assert rows[rows["item_id"] == 2]["units"].tolist() == [5, 5]


class TestClosedDays:
    def test_a_weekday_without_any_sale_is_closed_and_no_stock_out(self) -> None:
        units = [10, 10, 10, 10, 10, 10, 0] * 10
        is_in_stock = [True, True, True, True, True, True, False] * 10
        frame = frame_of(units, is_in_stock=is_in_stock)

        clean = cleaned_panel(frame, Inputs(), until=on(69))

        assert closed_weekdays(frame) == [(1, 6)]
        assert clean.panel.units[0].tolist() == units
        assert not clean.panel.is_missing.any()

    def test_a_closure_is_no_demand_then_and_none_of_it_is_learned(self) -> None:
        frame = frame_of([10] * 20 + [0] * 4 + [10] * 16, is_in_stock=[True] * 20 + [False] * 4
                         + [True] * 16)  # fmt: skip
        shut = Event(1, EventKind.CLOSURE, "stocktaking", on(20), on(23), location_id=1)
        ahead = Event(2, EventKind.CLOSURE, "works", on(42), on(43), location_id=1)

        clean = cleaned_panel(frame, Inputs(events=(shut, ahead)), until=on(39))
        factors = event_factors(clean.events, clean.series, start_on=on(40), days=5)

        assert clean.panel.units[0].tolist() == [10] * 40
        assert factors.tolist() == [[1, 1, 0, 0, 1]]

    def test_a_holiday_on_which_nothing_was_ever_sold_is_closed(self) -> None:
        days = 365 + 100  # up to 9 December 2026
        units = [0 if on(k) == date(2025, 12, 25) else 10 for k in range(days)]

        clean = cleaned_panel(frame_of(units), Inputs(countries={1: "GB-ENG"}), until=on(days - 1))
        start = date(2026, 12, 24)
        factors = event_factors(clean.events, clean.series, start_on=start, days=2)

        assert factors[0, 1] == 0  # Christmas Day
        assert np.nanmin(clean.panel.units) > 9

    def test_the_library_knows_the_days_of_a_part_of_a_country(self) -> None:
        # St Andrew's Day is a holiday in Scotland only
        assert date(2026, 11, 30) in public_holidays("GB-SCT", [2026])
        assert date(2026, 11, 30) not in public_holidays("GB-ENG", [2026])
        with pytest.raises(InvalidInput, match="'XX'"):
            public_holidays("XX", [2026])

    def test_a_country_that_nobody_knows_is_a_warning_and_no_failure(self) -> None:
        clean = cleaned_panel(frame_of([1, 2]), Inputs(countries={1: "XX"}), until=on(1))

        assert clean.warnings == ("no public holidays are known for 'XX'",)


class TestPromotions:
    def test_a_given_uplift_is_divided_out_and_multiplied_in(self) -> None:
        frame = frame_of([10] * 20 + [14] * 5 + [10] * 15)
        events = (promotion(20, 24, uplift=1.4), promotion(45, 46, uplift=2.0))

        clean = cleaned_panel(frame, Inputs(events=events), until=on(39))
        factors = event_factors(clean.events, clean.series, start_on=on(40), days=10)

        assert clean.panel.units[0] == pytest.approx([10] * 40)
        assert factors[0].tolist() == [1] * 5 + [2, 2] + [1] * 3

    def test_a_learned_uplift_is_the_ratio_shrunk_towards_one(self) -> None:
        frame = frame_of([10] * 28 + [20] * 14 + [10] * 28)
        events = (promotion(28, 41), promotion(75, 80))

        clean = cleaned_panel(frame, Inputs(events=events), until=on(69))

        # sold 280 where 140 were usual, and seven ordinary days of 10: (280 + 70) / (140 + 70)
        assert clean.events[1].uplift == pytest.approx(350 / 210)
        assert clean.events[1].n == 1
        assert clean.panel.units[0] == pytest.approx([10] * 70)

    def test_two_past_ones_are_believed_more_than_one(self) -> None:
        frame = frame_of(([10] * 28 + [20] * 7) * 2 + [10] * 28)
        events = (promotion(28, 34), promotion(63, 69), promotion(120, 126))

        clean = cleaned_panel(frame, Inputs(events=events), until=on(97))

        assert clean.events[2].uplift == pytest.approx((280 + 70) / (140 + 70))
        assert clean.events[2].n == 2

    def test_nothing_like_it_was_seen(self) -> None:
        clean = cleaned_panel(
            frame_of([10] * 30), Inputs(events=(promotion(35, 40),)), until=on(29)
        )

        assert clean.events[0].uplift is None
        assert "has no uplift" in clean.notes[0][0]
        factors = event_factors(clean.events, clean.series, start_on=on(30), days=15)
        assert (factors == 1).all()

    def test_weekly_history_takes_the_part_of_the_week(self) -> None:
        weeks = pd.date_range(MONDAY + timedelta(days=6), periods=20, freq="7D")
        units = [70] * 20
        units[10] = 70 + 2 * 10  # two days at +100 %
        frame = frame_of([0] * 20).assign(on=weeks, units=units)
        event = Event(1, EventKind.PROMOTION, "fair", on(70), on(71), item_id=1, uplift=2.0)

        clean = cleaned_panel(frame, Inputs(events=(event,)), until=on(139))

        assert clean.panel.grain == "W"
        assert clean.panel.units[0] == pytest.approx([70] * 20)

    def test_a_category_and_a_place_are_covered_and_others_are_not(self) -> None:
        series = series_of([1, 2, 1], [1, 1, 2], {1: "tea", 2: "mugs"})
        event = Event(1, EventKind.PROMOTION, "fair", on(0), on(0), category="tea", location_id=1,
                      uplift=3.0)  # fmt: skip

        factors = event_factors([event], series, start_on=on(0), days=1)

        assert factors.tolist() == [[3.0], [1.0], [1.0]]

    def test_a_closure_of_a_supplier_moves_no_demand(self) -> None:
        series = series_of([1], [1], {})
        event = Event(1, EventKind.CLOSURE, "new year", on(0), on(9), supplier_id=4, uplift=0.0)

        assert (event_factors([event], series, start_on=on(0), days=9) == 1).all()


class TestBadHistory:
    def test_rows_of_the_future_are_ignored_and_named(self) -> None:
        clean = cleaned_panel(frame_of([10] * 30), Inputs(), until=on(19))

        assert clean.panel.units.shape == (1, 20)
        assert clean.warnings == ("10 rows are dated after 2025-09-20 and are ignored",)

    def test_fifty_years_count_from_three_years_back(self) -> None:
        days = 50 * 365
        frame = frame_of([5] * days)

        clean = cleaned_panel(frame, Inputs(), until=on(days - 1))

        assert clean.panel.units.shape == (1, 1100)
        assert "older than 1,100 days" in clean.warnings[0]

    def test_no_sales_at_all(self) -> None:
        clean = cleaned_panel(frame_of([]), Inputs(countries={1: "GB"}), until=on(5))

        assert len(clean.series) == 0
        assert clean.warnings == ("no sales are loaded",)

    def test_all_zeros_stay_without_demand(self) -> None:
        clean = cleaned_panel(frame_of([0] * 40), Inputs(events=(promotion(3, 5),)), until=on(39))

        assert np.isnan(clean.panel.units).all()
        assert clean.events[0].uplift is None
