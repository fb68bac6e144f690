"""Positions, projections and classes of stock."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import InvalidInput
from tools.positions.core import (
    OpenReceipt,
    StockPosition,
    due_offset_days,
    projected_balance,
    stockout_days,
    window_totals,
)
from tools.stock.core import abc_classes, xyz_class

TODAY = date(2026, 3, 2)


def _receipt(units: int = 300, **changes: Any) -> OpenReceipt:
    values: dict[str, Any] = {
        "order_id": 1, "number": "PO-1042", "state": "confirmed", "units": units,
        "promise_on": date(2026, 3, 6), "eta_on": None, "is_confirmed": True,
    }  # fmt: skip
    return OpenReceipt(**(values | changes))


class TestPosition:
    def test_of_fixture_p(self) -> None:
        position = StockPosition(
            1, 1, on_hand_units=620, allocated_units=80, receipts=(_receipt(),)
        )

        assert position.available_units == 540
        assert position.on_order_units == 300
        assert position.inventory_position_units == 840

    def test_quarantined_and_expiring_stock_is_not_usable(self) -> None:
        position = StockPosition(
            1, 1, on_hand_units=100, quarantined_units=40, expiring_units=10, allocated_units=20
        )

        assert (position.usable_units, position.available_units) == (50, 30)

    def test_goods_in_transit_are_part_of_the_order_and_counted_once(self) -> None:
        position = StockPosition(1, 1, receipts=(_receipt(in_transit_units=300),))

        assert position.in_transit_units == 300
        assert position.inventory_position_units == 300

    def test_drafts_count_in_the_netted_position_only(self) -> None:
        position = StockPosition(1, 1, on_hand_units=10, drafts=(_receipt(50, state="draft"),))

        assert position.inventory_position_units == 10
        assert position.netted_position_units == 60

    def test_backorders_lower_and_transfers_raise_the_position(self) -> None:
        position = StockPosition(
            1, 1, on_hand_units=10, backordered_units=25, inbound_transfer_units=40
        )

        assert position.inventory_position_units == 25


class TestDueDay:
    def _days(self, **changes: Any) -> int:
        return due_offset_days(_receipt(**changes), TODAY, fallback_days=9)

    def test_is_the_promise(self) -> None:
        assert self._days(eta_on=date(2026, 3, 12)) == 4

    def test_of_a_broken_promise_is_the_carriers_day_else_tomorrow(self) -> None:
        assert self._days(promise_on=date(2026, 2, 20), eta_on=date(2026, 3, 5)) == 3
        assert self._days(promise_on=date(2026, 2, 20)) == 1

    def test_without_a_promise_is_a_lead_time_after_sending(self) -> None:
        assert self._days(promise_on=None) == 9
        assert self._days(promise_on=None, ordered_on=date(2026, 2, 27)) == 6
        assert self._days(promise_on=None, ordered_on=date(2026, 1, 1)) == 1


class TestProjection:
    def test_fixture_p_runs_out_after_8_4_days(self) -> None:
        # 540 last 5.4 days; with 300 on day 4: (540 + 300) / 100 = 8.4
        receipts = np.zeros((1, 30))
        receipts[0, 4] = 300

        found = stockout_days(np.array([540.0]), np.full((1, 30), 100.0), receipts)

        assert found[0] == pytest.approx(8.4)

    def test_a_receipt_after_the_stockout_does_not_move_it(self) -> None:
        receipts = np.zeros((1, 30))
        receipts[0, 10] = 300

        found = stockout_days(np.array([540.0]), np.full((1, 30), 100.0), receipts)

        assert found[0] == pytest.approx(5.4)

    def test_no_demand_never_runs_out_and_debt_already_has(self) -> None:
        flat = np.zeros((2, 30))

        found = stockout_days(np.array([5.0, -1.0]), flat, flat)

        assert np.isnan(found[0])
        assert found[1] == 0

    def test_stock_that_ends_with_the_day_runs_out_then(self) -> None:
        found = stockout_days(np.array([600.0]), np.full((1, 30), 100.0), np.zeros((1, 30)))

        assert found[0] == pytest.approx(6.0)

    def test_balance_is_available_plus_receipts_less_demand(self) -> None:
        receipts = np.array([[0.0, 30.0, 0.0]])

        balance = projected_balance(np.array([10.0]), np.full((1, 3), 8.0), receipts)

        assert balance.tolist() == [[2.0, 24.0, 16.0]]

    def test_window_totals_count_parts_of_days_and_go_on_beyond_the_forecast(self) -> None:
        daily = np.array([[10.0, 20.0, 30.0]])

        totals = [float(window_totals(daily, np.array([d]))[0]) for d in (0.0, 1.5, 3.0, 5.0)]

        assert totals == [0.0, 20.0, 60.0, 100.0]  # the mean of the tail is 20 a day

    @given(
        stock=st.floats(0, 1e4),
        demand=st.lists(st.floats(0, 500), min_size=20, max_size=20),
        first=st.floats(0, 20),
        more=st.floats(0, 20),
    )
    def test_totals_and_stockouts_are_monotone(
        self, stock: float, demand: list[float], first: float, more: float
    ) -> None:
        daily, nothing = np.array([demand]), np.zeros((1, 20))
        early = stockout_days(np.array([stock]), daily, nothing)[0]
        late = stockout_days(np.array([stock + 10]), daily, nothing)[0]

        assert np.isnan(late) or late >= early - 1e-6
        assert window_totals(daily, np.array([first]))[0] <= (
            window_totals(daily, np.array([first + more]))[0] + 1e-6
        )


class TestClasses:
    def test_abc_by_cumulative_value(self) -> None:
        # shares 70, 20, 6, 4 %: begin at 0, 70, 90, 96 %
        assert abc_classes(np.array([20.0, 70.0, 6.0, 4.0])) == ["A", "A", "B", "C"]

    def test_the_only_seller_is_a_and_idle_items_are_c(self) -> None:
        assert abc_classes(np.array([0.0, 5.0])) == ["C", "A"]
        assert abc_classes(np.array([0.0, 0.0])) == ["C", "C"]

    @pytest.mark.parametrize("shares", [(0.9, 0.8), (0.0, 0.5), (0.5, 1.1)])
    def test_refuses_shares_that_do_not_rise(self, shares: tuple[float, float]) -> None:
        with pytest.raises(InvalidInput, match="shares"):
            abc_classes(np.array([1.0]), first_share=shares[0], second_share=shares[1])

    def test_refuses_negative_value(self) -> None:
        with pytest.raises(InvalidInput, match="annual value"):
            abc_classes(np.array([-1.0]))

    @pytest.mark.parametrize(
        ("weeks", "expected"),
        [([10, 11, 9], "X"), ([0, 10, 20], "Y"), ([0, 0, 30], "Z"), ([0, 0], "Z"), ([], "Z")],
    )
    def test_xyz_by_variation(self, weeks: list[float], expected: str) -> None:
        # variations 0.08, 0.82, 1.41
        assert xyz_class(np.array(weeks, dtype=float)) == expected
