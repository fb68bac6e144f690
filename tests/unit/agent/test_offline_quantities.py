"""A quantity that was named is the one that is drafted, and an impossible one drafts nothing."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from tests.unit.agent.offline_world import SITUATIONS, answer


def ask(text: str, after: str = "") -> AIMessage:
    return answer([*SITUATIONS[after], HumanMessage(text)])


def drafted(reply: AIMessage) -> list[dict[str, Any]]:
    """Lines of all drafts that a reply asks for."""
    calls = [c["args"] for c in reply.tool_calls if c["name"] == "draft_purchase_order"]
    return [line for arguments in calls for line in arguments["lines"]]


@pytest.mark.parametrize("after", ["", "recommendation", "stock", "draft"])
@pytest.mark.parametrize(
    "text",
    [
        "order 0 of the first one", "order -5 of the first one", "order -5 of widget-a",
        "draft 0 of widget-a", "draft -5 cases of widget-a", "order 0 widget-a",
        "order zero widget-a", "order \u22125 widget-a", "order minus 20 widget-a",
        "draft 0 of R-12",
    ],
)  # fmt: skip
def test_drafts_nothing_for_zero_or_less(text: str, after: str) -> None:
    reply = ask(text, after)

    assert reply.tool_calls == []
    assert reply.text == ("Zero or a negative number is no order; nothing was drafted. How many?")


@pytest.mark.parametrize("text", ["order 1e12 widget-a", "order 5000000000 of widget-a"])
def test_says_that_a_quantity_is_not_possible(text: str) -> None:
    reply = ask(text)

    assert reply.tool_calls == []
    assert f"{text.split()[1]} is not a possible quantity; nothing was drafted" in reply.text


def test_survives_numbers_of_any_length() -> None:
    assert ask(f"order {'9' * 400} widget-a").tool_calls == []
    assert ask("order 1e99 widget-a").tool_calls == []


def test_the_next_answer_is_the_quantity() -> None:
    asked = [*SITUATIONS["recommendation"], HumanMessage("order 0 of the first one")]

    reply = answer([*asked, answer(asked), HumanMessage("500")])

    assert drafted(reply) == [{"rec_id": "R-12", "quantity": 500}]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("order 500 of the first one", [{"rec_id": "R-12", "quantity": 500}]),
        ("draft 5 cases of the second one",
         [{"rec_id": "R-13", "quantity": 5, "unit": "case"}]),
        ("order 500 of R-13", [{"rec_id": "R-13", "quantity": 500}]),
        ("order 500 each of them",
         [{"rec_id": "R-12", "quantity": 500}, {"rec_id": "R-13", "quantity": 500}]),
        ("draft the first one", [{"rec_id": "R-12", "quantity": 1920}]),
        ("draft 2", [{"rec_id": "R-13", "quantity": 600}]),
        ("draft the top 2",
         [{"rec_id": "R-12", "quantity": 1920}, {"rec_id": "R-13", "quantity": 600}]),
    ],
)  # fmt: skip
def test_a_named_quantity_replaces_the_recommended_one(
    text: str, lines: list[dict[str, Any]]
) -> None:
    assert drafted(ask(text, "recommendation")) == lines


def test_asks_how_a_quantity_splits_over_several_lines() -> None:
    reply = ask("order 500 of both", "recommendation")

    assert reply.tool_calls == []
    assert "How many of each?" in reply.text


@pytest.mark.parametrize("text", ["make it 0", "make it -5"])
def test_changes_nothing_to_zero(text: str) -> None:
    reply = ask(text, "draft")

    assert reply.tool_calls == []
    assert "nothing was changed" in reply.text


def test_a_long_number_beside_a_quantity_is_none() -> None:
    assert drafted(ask("order 120 widget-a for customer 201112091234")) != []


@pytest.mark.parametrize("quantity", ["0", "-5"])
def test_compares_for_no_impossible_quantity(quantity: str) -> None:
    reply = ask(f"compare suppliers for {quantity} widget-a", "recommendation")

    assert reply.tool_calls == []
    assert "above zero" in reply.text


@pytest.mark.parametrize("text", ["order nothing", "order none of widget-a"])
def test_orders_nothing_when_told_so(text: str) -> None:
    assert ask(text, "recommendation").tool_calls == []
