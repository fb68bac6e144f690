"""The offline model as a chat model: bound tools, statelessness, offers, speed."""

import json
import time

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from agent.offline.intents import scorer
from tests.unit.agent.offline_world import (
    DRAFT,
    LINE,
    SITUATIONS,
    STOCK,
    answer,
    failed,
    model,
    ok,
    schemas,
    turn,
)


def ask(text: str, after: str = "") -> AIMessage:
    return answer([*SITUATIONS[after], HumanMessage(text)])


class TestTools:
    def test_calls_bound_tools_only(self) -> None:
        reply = answer([HumanMessage("forecast widget-a")], schemas("get_stock_position"))

        assert reply.tool_calls == []
        assert "not available" in reply.text

    def test_sends_only_arguments_that_the_tool_has(self) -> None:
        bound = schemas("get_stock_position")
        bound[0]["function"]["parameters"]["properties"] = {"sku": {}}

        reply = answer([HumanMessage("stock of widget-a at EAST")], bound)

        assert reply.tool_calls[0]["args"] == {"sku": "WIDGET-A"}

    def test_never_calls_again_after_results(self) -> None:
        messages = turn("stock of widget-a", [("get_stock_position", {}, ok(STOCK))])

        assert isinstance(messages[-1], AIMessage)
        assert messages[-1].tool_calls == []

    def test_calls_have_ids_of_nine_letters(self) -> None:
        calls = ask("stock of widget-a and gasket-9").tool_calls

        assert len({call["id"] for call in calls}) == 2
        assert all(len(call["id"] or "") == 9 for call in calls)

    def test_pairs_quantities_with_items(self) -> None:
        reply = ask("order 120 widget-a and 2 cases of wipes from medline by friday")

        assert reply.tool_calls[0]["args"] == {
            "lines": [
                {"sku": "WIDGET-A", "quantity": 120},
                {"sku": "WIPES", "quantity": 2, "unit": "case"},
            ],
            "supplier": "MEDLINE",
            "need_by": "2026-03-06",
        }

    @pytest.mark.parametrize(
        "text", ["did it go out?", "who has to approve it", "show me the order"]
    )
    def test_looks_up_the_order_that_was_spoken_of(self, text: str) -> None:
        calls = ask(text, after="draft").tool_calls

        assert [(c["name"], c["args"]) for c in calls] == [("list_orders", {"sku": "WIDGET-A"})]

    def test_drafts_only_when_told_to_draft_and_to_request(self) -> None:
        reply = ask("draft 600 wipes and request approval", after="draft")

        assert [call["name"] for call in reply.tool_calls] == ["draft_purchase_order"]

    def test_offers_nothing_that_is_not_bound(self) -> None:
        data = {"lines": [LINE], "total_lines": 1}
        messages = turn("order widget-a", [("recommend_orders", {"sku": "WIDGET-A"}, ok(data))])

        reply = answer(messages[:-1], schemas("recommend_orders"))

        assert "Shall I draft it?" in messages[-1].text
        assert "Shall I draft it?" not in reply.text


class TestHonesty:
    @pytest.mark.parametrize("text", ["are you a language model?", "help", "who are you"])
    def test_says_what_it_is(self, text: str) -> None:
        assert "not a language model" in ask(text).text

    def test_names_the_nearest_when_it_does_not_understand(self) -> None:
        reply = ask("blorp")

        assert reply.response_metadata["kind"] == "unknown"
        assert "did not understand" in reply.text

    def test_asks_for_the_item(self) -> None:
        reply = ask("what is the reorder point?")

        assert reply.response_metadata["kind"] == "clarify"
        assert "Which item" in reply.text

    def test_an_answer_completes_the_question(self) -> None:
        first = HumanMessage("what is the reorder point?")

        reply = answer([first, answer([first]), HumanMessage("widget-a")])

        assert reply.tool_calls[0]["name"] == "compute_reorder_point"
        assert reply.tool_calls[0]["args"]["sku"] == "WIDGET-A"


class TestOffers:
    def test_yes_requests_what_was_offered(self) -> None:
        reply = ask("yes", after="draft")

        wanted = {"po_id": "PO-2001", "digest": "d" * 64}
        assert [(c["name"], c["args"]) for c in reply.tool_calls] == [("request_approval", wanted)]

    def test_yes_without_an_offer_does_nothing(self) -> None:
        assert ask("yes", after="stock").tool_calls == []
        assert ask("yes", after="recommendation").tool_calls == []
        assert ask("yes").tool_calls == []

    def test_yes_counts_only_for_what_the_reply_said(self) -> None:
        messages = turn("draft it", [("draft_purchase_order", {}, ok(DRAFT))], reply="Drafted.")

        assert answer([*messages, HumanMessage("yes")]).tool_calls == []

    def test_a_near_name_is_taken_after_yes(self) -> None:
        envelope = failed("not_found", "no item 'WIDGE'", {"matches": [{"sku": "WIDGET-A"}]})
        messages = turn("stock of WIDGE", [("get_stock_position", {"sku": "WIDGE"}, envelope)])

        reply = answer([*messages, HumanMessage("yes")])

        assert reply.tool_calls[0]["args"] == {"sku": "WIDGET-A"}

    def test_an_ambiguous_name_is_settled_by_the_answer(self) -> None:
        matches = [{"sku": "GLOVE-S", "name": "small"}, {"sku": "GLOVE-M", "name": "medium"}]
        envelope = failed("ambiguous", "'nitrile' fits 2 items", {"matches": matches})
        messages = turn("rop nitrile", [("compute_reorder_point", {"sku": "nitrile"}, envelope)])

        reply = answer([*messages, HumanMessage("the second one")])

        assert reply.tool_calls[0]["args"] == {"sku": "GLOVE-M"}


class TestNothingIsRemembered:
    def test_the_same_messages_give_the_same_reply_from_any_instance(self) -> None:
        messages: list[BaseMessage] = [*SITUATIONS["draft"], HumanMessage("make it 1,560")]

        first, second = answer(messages), answer(messages)

        assert first.tool_calls == second.tool_calls

    def test_another_conversation_between_changes_nothing(self) -> None:
        one = model().bind_tools(schemas())
        one.invoke([*SITUATIONS["stock"], HumanMessage("and gasket-9?")])

        reply = one.invoke([HumanMessage("and gasket-9?")])

        assert [call["name"] for call in reply.tool_calls] != []
        assert one.invoke([HumanMessage("yes")]).tool_calls == []

    def test_a_merged_or_cut_history_is_no_problem(self) -> None:
        cut = ToolMessage('{"ok": true, "data": {"sku', tool_call_id="x", name="find_item")
        messages = [HumanMessage("stock"), AIMessage("", tool_calls=[]), cut, AIMessage("Fine.")]

        assert answer([*messages, HumanMessage("stock of widget-a")]).tool_calls != []

    def test_takes_today_from_the_prompt(self) -> None:
        said = [
            SystemMessage("Today is Friday 2011-12-09."),
            HumanMessage("order 5 wipes by friday"),
        ]

        reply = model().bind_tools(schemas()).invoke(said)

        assert reply.tool_calls[0]["args"]["need_by"] == "2011-12-16"


def test_reports_usage_and_kind() -> None:
    reply = ask("stock of widget-a")

    assert reply.usage_metadata is not None
    assert reply.usage_metadata["total_tokens"] > 0
    assert reply.response_metadata["kind"] == "tools"
    assert json.dumps(reply.tool_calls)


def test_understands_fast() -> None:
    """Generous: the aim is 15 ms for 95 of 100 on an idle machine."""
    scorer()
    bound, times = model().bind_tools(schemas()), []
    bound.invoke([HumanMessage("hello")])
    for text in ("stock of widget-a", "order 10 cases of gloves", "what if demand doubles") * 10:
        started = time.perf_counter()
        bound.invoke([HumanMessage(text)])
        times.append(time.perf_counter() - started)

    assert sorted(times)[len(times) // 2] < 0.05
