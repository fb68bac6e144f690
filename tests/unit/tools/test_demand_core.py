from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from db.types import DemandClass
from tools.demand.core import (
    demand_class,
    dense_panel,
    filled,
    grain_of,
    is_monthly,
    pattern,
    unbelievable,
    unusual,
)
from tools.errors import InvalidInput

MONDAY = date(2026, 1, 5)


def _frame(rows: list[tuple[int, date, int]], **columns: Any) -> pd.DataFrame:
    """Demand rows (item, day, units) at location 1, in stock and without a flag."""
    frame = pd.DataFrame(rows, columns=["item_id", "on", "units"])
    frame["on"] = pd.to_datetime(frame["on"])
    frame = frame.assign(location_id=1, is_in_stock=True, flag="")
    return frame.assign(**columns)


class TestDemandClass:
    @pytest.mark.parametrize(
        ("adi", "cv2", "expected"),
        [
            (4.0, 0.188, DemandClass.INTERMITTENT),  # the example of DOMAIN 1.6
            (1.0, 0.1, DemandClass.SMOOTH),
            (1.31, 0.49, DemandClass.ERRATIC),
            (1.32, 0.49, DemandClass.LUMPY),
            (1.32, 0.48, DemandClass.INTERMITTENT),
            (float("inf"), float("nan"), DemandClass.NO_DEMAND),
        ],
    )
    def test_cuts_at_1_32_and_0_49(self, adi: float, cv2: float, expected: DemandClass) -> None:
        assert demand_class(adi=adi, cv2=cv2) is expected

    def test_sizes_that_are_zero_do_not_count_as_variation(self) -> None:
        # four sales in 16 days: ADI 4.0; sizes 5, 5, 5, 1: mean 4, variance 3, CV2 3/16 = 0.1875
        units = np.zeros((1, 16))
        units[0, [0, 4, 8, 12]] = [5, 5, 5, 1]

        adi, cv2 = pattern(units)

        assert (adi[0], cv2[0]) == (4.0, 0.1875)

    def test_days_before_the_first_sale_do_not_count(self) -> None:
        adi, _ = pattern(np.array([[np.nan, np.nan, 3.0, 0.0]]))

        assert adi[0] == 2.0


class TestFilled:
    def test_days_out_of_stock_are_missing_not_zero(self) -> None:
        # DOMAIN 1.9: 15 of every 50 days out. In stock it sells 19.7 a day (ten days sum to 197);
        # 730 days have 520 days in stock, so the plain mean is 19.7 * 520 / 730 = 14.03
        is_missing = (np.arange(730) % 50 >= 35)[None, :]
        sold = np.zeros((1, 730))
        sold[~is_missing] = np.resize([20, 19, 21, 18, 22, 20, 19, 20, 17, 21], 520)

        demand = filled(sold, is_missing)

        assert sold.mean() == pytest.approx(14.0, abs=0.05)
        assert demand.mean() == pytest.approx(19.7, abs=0.1)

    def test_a_censored_day_keeps_at_least_what_it_sold(self) -> None:
        demand = filled(np.array([[4.0, 9.0, 4.0]]), np.array([[False, True, False]]))

        assert demand.tolist() == [[4.0, 9.0, 4.0]]

    def test_a_far_gap_is_filled_with_the_mean_of_the_whole_series(self) -> None:
        sold = np.zeros((1, 100))
        sold[0, :10] = 7.0
        is_missing = (np.arange(100) >= 10)[None, :]

        assert filled(sold, is_missing)[0, -1] == 7.0

    @given(
        units=hnp.arrays(float, (3, 20), elements=st.integers(0, 1000).map(float)),
        is_missing=hnp.arrays(bool, (3, 20)),
    )
    def test_never_lowers_demand_and_leaves_known_days_alone(
        self, units: np.ndarray, is_missing: np.ndarray
    ) -> None:
        demand = filled(units, is_missing)

        assert (demand >= units).all()
        assert (demand[~is_missing] == units[~is_missing]).all()


class TestDensePanel:
    def test_starts_at_the_first_sale_and_runs_to_the_last_known_day(self) -> None:
        frame = _frame([(1, date(2026, 1, 2), 5), (1, date(2026, 1, 4), 3), (2, MONDAY, 0)])

        panel = dense_panel(frame, until=date(2026, 1, 6))

        assert panel.units[0].tolist() == [5, 0, 3, 0, 0]
        assert np.isnan(panel.units[1]).all()  # never sold

    def test_a_series_that_starts_later_is_unknown_before(self) -> None:
        frame = _frame([(1, date(2026, 1, 1), 5), (2, date(2026, 1, 3), 7)])

        panel = dense_panel(frame, until=date(2026, 1, 4))

        assert np.isnan(panel.units[1]).tolist() == [True, True, False, False]

    def test_a_one_off_order_is_set_aside_and_an_outlier_counts(self) -> None:
        days = [(1, MONDAY + timedelta(days=k), 10) for k in range(5)]
        frame = _frame(days, units=[10, 10, 900, 10, 900], flag=["", "", "one_off", "", "outlier"])

        panel = dense_panel(frame, until=MONDAY + timedelta(days=4))

        # the third day counts with the mean of the others: (10 + 10 + 10 + 900) / 4
        assert panel.units[0].tolist() == [10, 10, 232.5, 10, 900]
        assert panel.is_missing[0].tolist() == [False, False, True, False, False]

    def test_rows_after_the_last_day_are_ignored(self) -> None:
        frame = _frame([(1, MONDAY, 5), (1, MONDAY + timedelta(days=3), 9)])

        panel = dense_panel(frame, until=MONDAY)

        assert panel.units.tolist() == [[5.0]]

    @pytest.mark.parametrize(("first", "last_day"), [(MONDAY, 6), (date(2026, 1, 11), 0)])
    def test_weekly_history_is_recognised_by_its_spacing(self, first: date, last_day: int) -> None:
        rows = [(1, first + timedelta(weeks=k), 70 + k) for k in range(10)]
        last = first + timedelta(weeks=9, days=last_day)

        panel = dense_panel(_frame(rows), until=last + timedelta(days=3))

        assert (panel.grain, panel.until, panel.period_days) == ("W", last, 7)
        assert panel.units[0].tolist() == [70.0 + k for k in range(10)]

    def test_daily_history_of_one_month_is_daily(self) -> None:
        days = pd.Series(pd.date_range("2026-01-01", periods=30))

        assert grain_of(days) == "D"

    def test_refuses_negative_demand(self) -> None:
        with pytest.raises(InvalidInput, match="-3"):
            dense_panel(_frame([(1, MONDAY, -3)]), until=MONDAY)


class TestOutliers:
    def _frame(self, units: list[int], flag: str = "") -> pd.DataFrame:
        days = pd.date_range("2026-01-01", periods=len(units))
        flags = [""] * (len(units) - 1) + [flag]
        return pd.DataFrame(
            {"item_id": 1, "location_id": 1, "on": days, "units": units, "is_in_stock": True,
             "flag": flags}
        )  # fmt: skip

    def test_a_typing_error_is_missing_and_named(self) -> None:
        panel = dense_panel(self._frame([20, 22, 18] * 20 + [100_000]), until=date(2026, 3, 2))

        assert [o.note for o in panel.outliers] == ["set aside as outlier: 100,000 on 2 Mar 2026"]
        assert panel.is_missing[0, -1]
        assert panel.units[0, -1] == pytest.approx(20, abs=1)

    @pytest.mark.parametrize("units", [
        [20, 22, 18] * 20 + [300],  # a bulk order, 14 times the highest day
        [0, 0, 0, 1] * 15 + [15],  # nothing on most days: the median of days with demand counts
        [3, 100_000],  # two days are no pattern
    ])  # fmt: skip
    def test_real_demand_stays(self, units: list[int]) -> None:
        panel = dense_panel(self._frame(units), until=date(2026, 3, 2))

        assert panel.outliers == ()
        assert np.nanmax(panel.units) == max(units)

    def test_what_somebody_called_an_event_stays(self) -> None:
        frame = self._frame([20, 22, 18] * 20 + [100_000], "event")

        assert dense_panel(frame, until=date(2026, 3, 2)).outliers == ()


class TestWeekdays:
    def test_a_saturday_out_of_stock_is_filled_as_a_saturday(self) -> None:
        # 10 a day and 40 on Saturdays (every seventh); the last Saturday was out of stock
        sold = np.tile([10.0, 10, 10, 10, 10, 40, 10], 20)[None, :]
        is_missing = np.zeros(sold.shape, dtype=bool)
        is_missing[0, -2] = True
        sold[0, -2] = 0

        demand = filled(sold, is_missing, season=7)

        # known: 19 x 40 + 120 x 10 = 1,960 on 139 days, 14.10 a day. Share of a Saturday, with four
        # average days: (760 + 56.4) / (23 x 14.10) = 2.517; of the others 256.4 / (24 x 14.10) =
        # 0.758. Around it 2 Saturdays and 13 others sold 210: 210 / 14.88 x 2.517 = 35.5
        assert demand[0, -2] == pytest.approx(35.5, abs=0.05)
        assert filled(sold, is_missing)[0, -2] < 15

    def test_rare_sales_have_no_weekday(self) -> None:
        sold = np.zeros((1, 140))
        sold[0, ::28] = 50.0  # five sales, all on the same weekday
        is_missing = np.zeros(sold.shape, dtype=bool)
        is_missing[0, 70] = True

        assert (filled(sold, is_missing, season=7) == filled(sold, is_missing)).all()

    @given(
        units=hnp.arrays(float, (3, 20), elements=st.integers(0, 1000).map(float)),
        is_missing=hnp.arrays(bool, (3, 20)),
    )
    def test_a_pattern_never_lowers_demand_and_leaves_known_days_alone(
        self, units: np.ndarray, is_missing: np.ndarray
    ) -> None:
        demand = filled(units, is_missing, season=7)

        assert (demand >= units).all()
        assert (demand[~is_missing] == units[~is_missing]).all()


class TestMonths:
    def test_monthly_history_ends_with_the_last_whole_month(self) -> None:
        rows = [(1, date(2025, month, 1), 100 + month) for month in range(3, 13)]

        panel = dense_panel(_frame(rows), until=date(2025, 12, 15), grain="M")

        assert (panel.grain, panel.period_days, panel.until) == ("M", 30, date(2025, 11, 30))
        assert panel.units[0].tolist() == [100.0 + month for month in range(3, 12)]

    def test_days_of_a_month_add_up(self) -> None:
        rows = [(1, date(2026, 1, 5), 3), (1, date(2026, 1, 20), 4), (1, date(2026, 2, 2), 5)]

        panel = dense_panel(_frame(rows), until=date(2026, 2, 28), grain="M")

        assert panel.units[0].tolist() == [7.0, 5.0]

    def test_months_are_told_by_their_first_days(self) -> None:
        assert is_monthly(pd.Series(pd.date_range("2025-01-01", periods=9, freq="MS")))
        assert is_monthly(pd.Series(pd.date_range("2025-01-01", periods=9, freq="ME")))
        assert not is_monthly(pd.Series(pd.date_range("2025-01-01", periods=90)))
        assert grain_of(pd.Series(pd.date_range("2025-01-01", periods=9, freq="MS"))) == "M"


class TestReasons:
    def test_an_outlier_says_by_which_numbers(self) -> None:
        rows = [(1, MONDAY + timedelta(days=k), 20) for k in range(40)]
        rows.append((1, MONDAY + timedelta(days=40), 900))

        (found,) = dense_panel(_frame(rows), until=MONDAY + timedelta(days=40)).outliers

        # the median day with demand is 20, and so is the highest of the others: 900 > 20 x 20
        assert found.reason == (
            "900 is more than 20 times the usual 20 and 20 times the highest other, 20"
        )

    def test_a_bulk_order_is_unusual_and_still_counts(self) -> None:
        # 150 is 7.5 times the usual 20: above 5 times and below 20 times
        units = np.array([[20.0] * 40 + [150.0]])

        assert unusual(units)[0].nonzero()[0].tolist() == [40]
        assert not unbelievable(units).any()
