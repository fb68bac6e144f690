"""What a conversation so far means for the next message: numbers, corrections, lists, totals."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from agent.grounding import correction
from agent.offline.replies import NO_FIGURES
from tests.unit.agent.offline_world import SITUATIONS, answer, ok, turn

ORDER = {"po_id": "X-1", "state": "sent", "supplier": "Acme", "total": "1.00", "currency": "USD",
         "skus": ["WIDGET-A"], "quantity": 1}  # fmt: skip


def ask(text: str, after: str = "") -> AIMessage:
    return answer([*SITUATIONS[after], HumanMessage(text)])


def called(reply: AIMessage) -> list[tuple[str, dict[str, Any]]]:
    return [(call["name"], call["args"]) for call in reply.tool_calls]


class TestOrderNumbers:
    @pytest.mark.parametrize("number", ["PO-1", "PO-12", "PO-123", "PO-2001", "PO-1234567"])
    def test_recognises_any_number_of_digits(self, number: str) -> None:
        assert called(ask(f"where is {number}?")) == [("check_shipment", {"po_id": number})]
        assert called(ask(f"status of {number}")) == [("check_shipment", {"po_id": number})]
        assert called(ask(f"cancel {number.lower()}"))[0][1]["po_id"] == number

    def test_a_short_bare_number_is_no_order(self) -> None:
        assert called(ask("where is 1042?")) == [("check_shipment", {"po_id": "PO-1042"})]
        assert "check_shipment" not in [name for name, _ in called(ask("where is 104?"))]

    def test_recognises_the_numbers_that_results_named(self) -> None:
        listed = turn("list orders", [("list_orders", {}, ok({"orders": [ORDER], "total": 1}))])

        reply = answer([*listed, HumanMessage("where is x-1?")])

        assert called(reply) == [("check_shipment", {"po_id": "X-1"})]


class TestCorrection:
    """The check of figures speaks as a human message; it must never be taken for a question."""

    def test_answers_from_the_same_results_without_a_call(self) -> None:
        messages = SITUATIONS["stock"]

        reply = answer([*messages, HumanMessage(correction(["42", "7"]))])

        assert reply.tool_calls == []
        assert "on hand 620" in reply.text

    def test_gives_no_figures_when_the_plain_words_were_refused(self) -> None:
        once = [*SITUATIONS["stock"], HumanMessage(correction(["42"]))]

        reply = answer([*once, answer(once), HumanMessage(correction(["42"]))])

        assert (reply.tool_calls, reply.text) == ([], NO_FIGURES)

    def test_gives_no_figures_without_results(self) -> None:
        said = [HumanMessage("thanks"), AIMessage("You saved 42 %.")]

        reply = answer([*said, HumanMessage(correction(["42 %"]))])

        assert (reply.tool_calls, reply.text) == ([], NO_FIGURES)

    def test_is_no_turn_of_the_conversation(self) -> None:
        checked = [*SITUATIONS["draft"], HumanMessage(correction(["42"]))]
        again = AIMessage(SITUATIONS["draft"][-1].text)

        reply = answer([*checked, again, HumanMessage("yes")])

        assert [name for name, _ in called(reply)] == ["request_approval"]
