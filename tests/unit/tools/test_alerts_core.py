"""Exceptions and their order."""

from datetime import date
from typing import Any

from tools.alerts.core import StockException, counts, item_exceptions, order_exception, worklist

TODAY = date(2026, 3, 2)
INPUTS = {
    "netted_position": 840, "reorder_point": 1244, "stockout_in_days": 8.4, "arrival_in_days": 9,
    "excess": 0, "demand_per_day": 100.0,
}  # fmt: skip


def _of_item(inputs: dict[str, Any] | None = None, **changes: Any) -> list[StockException]:
    values: dict[str, Any] = {
        "sku": "WIDGET-A", "name": "Widget A", "location": "MAIN", "severity": "critical",
        "value_at_risk_minor": 484_800, "unit_cost_minor": 780.0, "latest_order_on": None,
        "stockout_on": None, "is_planned": True, "horizon_days": 30,
    }  # fmt: skip
    return item_exceptions(inputs=INPUTS | (inputs or {}), **(values | changes))


def _of_order(**changes: Any) -> StockException | None:
    values: dict[str, Any] = {
        "number": "PO-1", "sku": "A", "name": "A", "location": "MAIN", "value_minor": 100,
        "promise_on": date(2026, 3, 6), "expected_on": None, "is_confirmed": True,
        "hours_since_sent": 10.0, "today": TODAY, "runs_out_before": False,
    }  # fmt: skip
    return order_exception(**(values | changes))


def test_fixture_p_is_below_its_reorder_point_and_will_run_out() -> None:
    assert [e.type for e in _of_item()] == ["below_rop", "projected_stockout"]


def test_a_drafted_need_is_no_exception() -> None:
    assert [e.type for e in _of_item({"netted_position": 2760})] == ["projected_stockout"]


def test_a_stockout_beyond_the_horizon_is_left_out() -> None:
    assert [e.type for e in _of_item(horizon_days=5)] == ["below_rop"]


def test_an_item_without_demand_or_supplier_is_not_below_anything() -> None:
    assert _of_item({"demand_per_day": 0.0, "reorder_point": 900}, severity="info") == []
    assert _of_item(is_planned=False, severity="info") == []


def test_a_debt_without_demand_is_an_exception_even_without_supplier() -> None:
    found = _of_item(
        {"demand_per_day": 0.0, "netted_position": -40, "reorder_point": 0,
         "stockout_in_days": None}, severity="warning", is_planned=False,
    )  # fmt: skip

    assert [(e.type, e.why) for e in found] == [
        ("below_rop", "40 more are owed than are there or coming")
    ]


def test_excess_is_valued_at_cost() -> None:
    found = _of_item({"netted_position": 9000, "excess": 50}, severity="info")

    assert [(e.type, e.value_at_risk_minor) for e in found] == [("excess", 39_000)]


class TestOrders:
    def test_expected_after_the_promise_is_late(self) -> None:
        found = _of_order(expected_on=date(2026, 3, 12), runs_out_before=True)

        assert found is not None
        assert (found.type, found.severity) == ("late_po", "critical")
        assert found.why.startswith("6 days late")

    def test_a_promise_that_passed_is_late(self) -> None:
        found = _of_order(promise_on=date(2026, 2, 27))

        assert found is not None
        assert found.why.startswith("3 days late")

    def test_silence_after_two_days_is_unconfirmed(self) -> None:
        found = _of_order(is_confirmed=False, hours_since_sent=49.0)

        assert found is not None
        assert found.type == "unconfirmed_po"
        assert _of_order(is_confirmed=False, hours_since_sent=48.0) is None

    def test_an_order_on_its_way_is_none(self) -> None:
        assert _of_order() is None


def test_urgent_first_then_valuable() -> None:
    def one(sku: str, severity: str, value: int) -> StockException:
        return StockException("below_rop", sku, sku, "MAIN", severity, value, None, "")

    rows = [one("A", "info", 9), one("B", "critical", 1), one("C", "critical", 5)]

    assert [e.sku for e in worklist(rows)] == ["C", "B", "A"]
    assert counts(rows) == {"below_rop": 3}
