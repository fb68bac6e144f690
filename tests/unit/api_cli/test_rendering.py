from datetime import UTC, date, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from api import rendering
from api.cli import screens

LINE: dict[str, Any] = {
    "rec_id": "R-1", "action": "buy", "sku": "WIDGET-A", "name": "Widget A", "quantity": 1920,
    "uom": "each", "supplier": "Acme", "supplier_code": "ACME", "unit_price": "7.80",
    "amount": "14976.00", "currency": "USD", "need_by": "2026-03-11",
    "latest_order_date": "2026-03-02", "days_of_cover": 5.4, "inventory_position": 840,
    "reorder_point": 1244, "stockout_in_days": 8.4, "arrival_in_days": 9.0,
    "severity": "critical", "value_at_risk": "720.00", "flags": [],
}  # fmt: skip
ORDERS: dict[str, Any] = {
    "lines": [LINE], "total_lines": 19, "total_amount": "20000.50", "currency": "USD",
    "items_without_need": 412,
}  # fmt: skip


def lines(renderable: RenderableType) -> list[str]:
    """What a 100-column terminal without colours shows."""
    console = Console(file=StringIO(), width=100, highlight=False)
    console.print(renderable)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


class TestSpark:
    def test_draws_the_maximum_full_and_zero_low(self) -> None:
        # 8 levels over 0..16: 2 -> level 1, 8 -> level 4, 16 -> level 8
        assert rendering.spark([0, 2, 8, 16]) == "▁▁▄█"

    def test_draws_no_demand_as_a_flat_line(self) -> None:
        assert rendering.spark([0, 0, 0]) == "▁▁▁"

    def test_draws_nothing_of_nothing(self) -> None:
        assert rendering.spark([]) == ""


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("14976.00", "14,976.00"),
        ("0.50", "0.50"),
        ("1000000", "1,000,000"),
        ("-1234.5", "-1,234.5"),
    ],
)
def test_writes_money_with_thousands_and_keeps_its_decimals(value: str, written: str) -> None:
    assert rendering.money(value) == written


def test_the_morning_list_counts_what_needs_nothing() -> None:
    exceptions = {"counts": {"below_rop": 19, "late_po": 2, "excess": 0}}

    shown = lines(screens.morning_list(ORDERS, exceptions, at=datetime(2026, 3, 2, 9, tzinfo=UTC)))

    assert "Monday 2 March 2026" in shown[0]
    assert "412 of 431 items need nothing" in shown[0]
    assert any("WIDGET-A" in line and "1,920" in line and "14,976.00" in line for line in shown)
    assert "and 18 more: quartermaster today --limit 50" in shown
    assert shown[-1] == "Exceptions: 19 below reorder point, 2 orders late"


def test_the_morning_list_fits_a_hundred_columns() -> None:
    long = LINE | {
        "name": "Hanging heart t-light holder of white wood",
        "supplier": "Beacon Textiles",
    }

    shown = lines(screens.order_lines([long], currency="GBP", today=date(2026, 3, 2)))

    assert len(shown) == 2
    assert "…" not in shown[0]


def test_the_waterfall_shows_every_term_and_the_total() -> None:
    explanation = {
        "uom": "each",
        "waterfall": [
            {"label": "Demand over 9 days", "value": 900, "source": "forecast 12"},
            {"label": "Position", "value": -840, "source": "stock"},
        ],
        "total": 60,
    }

    shown = lines(rendering.waterfall(explanation))

    assert "+ 900" in shown[1]
    assert "\N{MINUS SIGN} 840" in shown[2]
    assert shown[3].split() == ["=", "order", "60"]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("get_stock_position", {"sku": "WIDGET-A"}, "stock position WIDGET-A"),
        ("recommend_orders", {"limit": 10}, "recommend orders"),
        ("draft_purchase_order", {"lines": [{"rec_id": "R-1"}]}, "draft purchase order R-1"),
        ("check_shipment", {"po_id": "PO-1042"}, "check shipment PO-1042"),
    ],
)
def test_a_step_says_what_is_looked_at(tool: str, arguments: dict[str, Any], said: str) -> None:
    assert rendering.tool_step(tool, arguments) == said


def test_plain_replies_keep_their_lines_and_markup_like_text() -> None:
    assert lines(rendering.reply("one [bold]\ntwo")) == ["one [bold]", "two"]


def test_what_wraps_of_a_list_item_stands_under_its_text() -> None:
    shown = lines(rendering.reply("1. " + "word " * 30))

    assert shown[0].startswith("1. word")
    assert shown[1].startswith("   word")


def test_a_deadline_that_has_passed_is_today() -> None:
    today = date(2026, 3, 2)

    assert screens.deadline("2026-02-20", today) == "today"
    assert screens.deadline("2026-03-04", today) == "Wed 4 Mar"


def test_the_card_of_a_request_says_how_to_decide() -> None:
    content = {
        "approval_id": "a-31", "po_id": "PO-2001", "version": 1, "total": "14976.00",
        "currency": "USD", "approver_role": "manager", "expires_at": "2026-03-03T09:00:00+00:00",
        "needs": "manager",
    }  # fmt: skip

    shown = "\n".join(lines(screens.approval_request(content, "quartermaster approve a-31")))

    assert "quartermaster approve a-31" in shown
    assert "14,976.00 USD" in shown
    assert "needs a manager" in shown
    assert "Tue 3 Mar 09:00" in shown


def test_an_import_names_each_bad_row() -> None:
    report = {
        "state": "published", "is_repeat": False, "rows_read": 3, "rows_good": 2, "rows_bad": 1,
        "message": "", "quarantine": [
            {"row_number": 2, "field": "quantity", "value": "ten", "reason": "not a whole number"}
        ],
    }  # fmt: skip

    shown = lines(screens.load_report(report))

    assert shown[0] == "Published · 3 rows read · 2 good · 1 set aside"
    assert "'ten'" in shown[-1]
    assert "not a whole number" in shown[-1]


def test_a_broken_trail_names_the_event() -> None:
    report = {"ok": False, "rows": 5, "first_bad_seq": 3, "problem": "its seal does not fit"}

    assert lines(screens.audit_line(report)) == [
        "The audit trail is broken at event 3: its seal does not fit"
    ]
