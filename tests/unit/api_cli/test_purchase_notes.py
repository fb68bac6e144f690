"""Sentences under the morning list."""

from typing import Any

from api.cli.purchase_notes import purchase_notes

ORDERS: dict[str, Any] = {"currency": "USD"}


def test_a_list_without_budget_and_minimum_needs_no_notes() -> None:
    assert purchase_notes(ORDERS) == []


def test_a_budget_that_reaches() -> None:
    found = {"budget": "20000.00", "spent": "14976.00", "cut": [], "risk_of_cuts": "0.00"}

    assert purchase_notes(ORDERS | {"budget": found}) == [
        "A budget of 20,000.00 USD buys 14,976.00 USD of the list: all of it."
    ]


def test_what_a_budget_cuts_and_risks() -> None:
    cut = [{"sku": f"SKU-{k}", "wanted": 1920, "quantity": 600} for k in range(7)]
    found = {"budget": "5000.00", "spent": "4990.00", "cut": cut, "risk_of_cuts": "812.40"}

    (text,) = purchase_notes(ORDERS | {"budget": found})

    assert "SKU-0 600 instead of 1,920" in text
    assert "and 2 more" in text
    assert "expected shortage cost of the cuts 812.40 USD" in text


def test_an_order_that_is_filled_up_names_its_lines() -> None:
    joint = {
        "supplier": "Acme", "reason": "worth 1.00 USD", "decision": "raise",
        "lines": [{"sku": "WIDGET-A", "advised": 1920, "quantity": 3120}],
    }  # fmt: skip

    assert purchase_notes(ORDERS | {"joint_orders": [joint]}) == [
        "Acme: worth 1.00 USD (3,120 WIDGET-A)."
    ]
