"""Replies that may pass, and replies that may not, against the results of fixture P."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from agent import grounding

DATA: dict[str, Any] = {
    "sku": "WIDGET-A", "name": "Widget A (set of 24)", "uom": "each", "on_hand": 620,
    "available": 540, "inventory_position": 840, "reorder_point": 1244, "safety_stock": 344.1,
    "daily_demand": 100.0, "days_of_cover": 8.4, "stockout_in_days": 8.4, "fill_rate": 0.9534,
    "otif": 0.94, "otif_n": 34, "quantity": 1920, "unit_price": "7.80", "amount": "14976.00",
    "currency": "USD", "need_by": "2026-03-11", "delta": -60, "excess_value": 212_345.67,
    "rec_id": "R-12", "open_receipts": [{"po": "PO-1042", "quantity": 300}],
}  # fmt: skip


def conversation(*more: BaseMessage, words: str = "what about 1,500 instead?") -> list[BaseMessage]:
    envelope = json.dumps({"ok": True, "data": DATA, "data_age_s": 10_800, "refs": ["PO-1042"]})
    call = AIMessage("", tool_calls=[{"name": "t", "args": {}, "id": "abcdefghi"}])
    result = ToolMessage(envelope, tool_call_id="abcdefghi", name="recommend_orders")
    return [HumanMessage(words), call, result, *more]


GOOD = [
    "WIDGET-A: position 840 against a reorder point of 1,244.",
    "Order 1 920 units at 7.80, 14,976.00 USD in all.",
    "Bestellwert 14.976,00 USD; Reichweite 8,4 Tage.",
    "You have about 15.0k USD to commit, or 15k.",
    "On time in full: 94 % (n=34); fill rate 95.3%, roughly 95 %.",
    "Excess is 0.21 M, that is 212k or 212,346.",
    "It is 60 short; the change is -60 (down \u221260).",
    "Safety stock 344, demand 100 a day, cover 8.4 days.",
    "1. WIDGET-A: 1,920\n2. Ask for approval\n3) Wait",
    "1) WIDGET-A 840 ... 2) nothing else",
    "PO-1042 brings 300 by 2026-03-07 09:14 or 7 March, at 9:30 am.",
    "R-12 says 1,920; needed by March 11, 2026 and again in 2026.",
    "You asked for 1,500. I am 100 % sure that we are here 24/7.",
    "The top 10 are below; this is the 3rd time, week 12, Q3, revision 2.",
    "It is called Widget A (set of 24).",
    "Between 540 and 840; 540-840.",
    "USD14,976.00 or $14,976 or \u20ac14976.",
    "There are two options and a dozen reasons.",
]
BAD = [
    "Order 1,921 units.",
    "Order 1,800 units from Acme.",
    "That costs 14,976.50 USD.",
    "That costs 15,976.00 USD.",
    "Position 84 against 1,244.",
    "Cover is 8.5 days.",
    "On time in full is 96 %.",
    "Excess is 0.3 M.",
    "Excess is 213k.",
    "Order 1200 units now.",
    "Available: 54.",
    "Lead time is 9 days.",
    "The reorder point is 12. Order now.",
    "I drafted PO-2001 for you.",
    "Approval a-31 is granted.",
    "Half of 1,920 is 960.",
    "Price 78.0 each.",
    "Bestellwert 14.977,00 USD.",
    "It is 7.81 per unit, USD7.81.",
    "Take 2.5 pallets.",
    "Demand is up 40%.",
    "You need 1_000 more, about 1000.",
]


@pytest.mark.parametrize("reply", GOOD)
def test_lets_figures_with_a_source_through(reply: str) -> None:
    assert grounding.strays(reply, conversation()) == []


@pytest.mark.parametrize("reply", BAD)
def test_names_figures_without_a_source(reply: str) -> None:
    assert grounding.strays(reply, conversation()) != []


def test_a_notice_is_a_source_and_the_models_own_words_are_not() -> None:
    notice = AIMessage("PO-2001 sent 09:14, approved by Mona (a-31).", name=grounding.NOTICE)
    boast = AIMessage("It will take 77 days.")

    assert grounding.strays("PO-2001 was sent, a-31.", conversation(notice)) == []
    assert grounding.strays("So, 77 days.", conversation(boast)) == ["77"]


def test_without_any_tool_result_only_the_users_figures_count() -> None:
    said: list[BaseMessage] = [HumanMessage("order 120 of WIDGET-A")]

    assert grounding.strays("120 of WIDGET-A: each or cases?", said) == []
    assert grounding.strays("120 cost 936.00.", said) == ["936.00"]


def _failed(arguments: dict[str, Any], **envelope: Any) -> list[BaseMessage]:
    call = AIMessage("", tool_calls=[{"name": "find_item", "args": arguments, "id": "abcdefghi"}])
    failure = {"ok": False, "error": "not_found", "message": "", "next": "", "details": {}}
    said = json.dumps(failure | envelope)
    return [HumanMessage("hi"), call, ToolMessage(said, tool_call_id="abcdefghi")]


def test_a_failed_call_does_not_make_its_own_figures_true() -> None:
    said = _failed(
        {"query": "stock 77777", "limit": 4200, "po": "PO-9999"},
        message="no item is called 'stock 77777' in PO-9999",
        details={"query": "stock 77777", "most": 4200, "seen": "PO-9999 has 1,920", "left": 77},
    )

    assert grounding.strays("You have 77,777 units.", said) == ["77,777"]
    assert grounding.strays("The most is 4,200.", said) == ["4,200"]
    assert grounding.strays("See PO-9999.", said) == ["PO-9999"]
    assert grounding.strays("1,920 are on order and 77 are left.", said) == []


def test_a_refusal_that_is_not_json_is_no_source() -> None:
    refused = ToolMessage("At most 8 calls at once.", tool_call_id="abcdefghi")

    assert grounding.strays("It takes 8 days.", [HumanMessage("hi"), refused]) == ["8"]


def test_the_safe_reply_lists_results_of_this_turn_only() -> None:
    failed = ToolMessage(
        json.dumps({"ok": False, "error": "not_found", "message": "no item 'X'", "next": ""}),
        tool_call_id="b",
        name="find_item",
    )
    later: list[BaseMessage] = [*conversation(), HumanMessage("and X?"), failed]

    assert grounding.safe_reply(later) == (
        "I can only confirm what the tools returned:\n- find item: no item 'X'"
    )
    assert "reorder point 1244" in grounding.safe_reply(conversation())
    assert "\n  - po PO-1042, quantity 300" in grounding.safe_reply(conversation())
    assert grounding.strays(grounding.safe_reply(conversation()), conversation()) == []


def test_the_safe_reply_without_results_has_no_figure() -> None:
    reply = grounding.safe_reply([HumanMessage("how much?")])

    assert grounding.figures(reply) == []
