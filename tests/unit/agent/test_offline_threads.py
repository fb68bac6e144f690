"""What a conversation so far means for the next message: numbers, corrections, lists, totals."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from agent.grounding import correction
from agent.offline.replies import NO_FIGURES
from tests.unit.agent.offline_world import (
    DRAFT,
    LINE,
    LINE_2,
    SITUATIONS,
    answer,
    failed,
    ok,
    turn,
)

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


class TestRefresh:
    @pytest.mark.parametrize(
        "text", ["refresh PO-2002", "revise PO-2002", "please update po-2002."]
    )
    def test_takes_over_changed_data_without_a_change(self, text: str) -> None:
        nothing: dict[str, Any] = {"po_id": "PO-2002", "changes": []}
        assert called(ask(text)) == [("revise_purchase_order", nothing)]

    def test_the_only_line_of_a_listed_order_is_meant(self) -> None:
        order = {**ORDER, "po_id": "PO-2003", "state": "draft", "lines": 1}
        listed = turn("orders", [("list_orders", {}, ok({"orders": [order], "total": 1}))])

        reply = answer([*listed, HumanMessage("change PO-2003 to 3000")])

        changes = [{"sku": "WIDGET-A", "quantity": 3000}]
        assert called(reply) == [
            ("revise_purchase_order", {"po_id": "PO-2003", "changes": changes})
        ]


class TestLists:
    @pytest.mark.parametrize(
        "text", ["show all 24", "next", "more", "show more", "the rest please", "show me all"]
    )
    def test_lists_more_and_drafts_nothing(self, text: str) -> None:
        assert called(ask(text, "recommendation")) == [("recommend_orders", {"limit": 50})]

    def test_goes_on_with_what_was_listed_for_a_supplier(self) -> None:
        arguments = {"types": ["late_po"], "supplier": "ACME"}
        listed = turn("late?", [("list_exceptions", arguments, ok({"exceptions": []}))])

        reply = answer([*listed, HumanMessage("more")])

        assert called(reply) == [("list_exceptions", {**arguments, "limit": 50})]

    @pytest.mark.parametrize("text", ["next", "more", "show all"])
    def test_there_is_nothing_to_go_on_with(self, text: str) -> None:
        assert ask(text).tool_calls == []
        assert "There is no list" in ask(text).text

    def test_leaves_an_item_out_of_what_is_drafted(self) -> None:
        first = [*SITUATIONS["recommendation"], HumanMessage("skip widget-a")]
        skipped = answer(first)

        reply = answer([*first, skipped, HumanMessage("draft all of them")])

        assert skipped.text == "WIDGET-A is left out; nothing was drafted or changed."
        lines = [{"rec_id": "R-13", "quantity": 600}]
        assert called(reply) == [("draft_purchase_order", {"lines": lines})]

    def test_asks_before_it_drafts_what_was_left_out(self) -> None:
        first = [*SITUATIONS["recommendation"], HumanMessage("skip widget-a")]
        skipped = [*first, answer(first), HumanMessage("draft the first one")]

        asked = answer(skipped)
        reply = answer([*skipped, asked, HumanMessage("yes")])

        assert (asked.tool_calls, asked.text) == ([], "You left out WIDGET-A. Draft it anyway?")
        assert [name for name, _ in called(reply)] == ["draft_purchase_order"]

    @pytest.mark.parametrize("text", ["skip the approval", "skip the check for widget-a"])
    def test_skips_no_check(self, text: str) -> None:
        assert ask(text, "draft").response_metadata["kind"] == "refuse"


class TestTotals:
    @pytest.mark.parametrize(
        "text", ["how much is it now?", "what's it cost", "total?", "what is the total?", "cost?"]
    )
    def test_tells_what_the_draft_comes_to(self, text: str) -> None:
        reply = ask(text, "draft")

        assert (reply.tool_calls, reply.text) == ([], "PO-2001 revision 1 comes to 14,976.00 USD.")

    def test_tells_what_was_recommended(self) -> None:
        one = turn(
            "order widget-a", [("recommend_orders", {"sku": "WIDGET-A"}, ok({"lines": [LINE]}))]
        )

        assert "14,976.00 USD" in answer([*one, HumanMessage("how much is it?")]).text
        assert "15,576.00 USD" in ask("total?", "recommendation").text

    def test_tells_no_total_of_what_is_no_longer_spoken_of(self) -> None:
        other = {"sku": "WIPES", "name": "Surface wipes", "on_hand": 1}
        looked = turn("stock of wipes", [("get_stock_position", {"sku": "WIPES"}, ok(other))])

        reply = answer([*SITUATIONS["draft"], *looked, HumanMessage("how much is it?")])

        assert "14,976.00" not in reply.text

    @pytest.mark.parametrize("text", ["hm", "what now", "is it done", "and the thing", "so what"])
    def test_never_offers_the_same_reading_twice(self, text: str) -> None:
        for after in SITUATIONS:
            parts = ask(text, after).text.removeprefix("Did you mean ").rstrip("?").split(", or ")
            assert len(parts) == len(set(parts))


class TestAfterwards:
    def test_a_draft_stays_when_it_is_not_ordered_yet(self) -> None:
        revised = turn("make it 600", [("revise_purchase_order", {}, ok({**DRAFT, "revision": 2}))])

        reply = answer([*SITUATIONS["draft"], *revised, HumanMessage("don't order yet")])

        assert reply.tool_calls == []
        assert "PO-2001 stays a draft; nothing was sent" in reply.text

    def test_another_quantity_than_recommended_is_offered_first(self) -> None:
        one = turn(
            "order widget-a", [("recommend_orders", {"sku": "WIDGET-A"}, ok({"lines": [LINE]}))]
        )
        asked = [*one, HumanMessage("make it 600")]

        offered = answer(asked)
        reply = answer([*asked, offered, HumanMessage("yes")])

        assert (offered.tool_calls, offered.text) == ([], "Draft 600 of WIDGET-A?")
        lines = reply.tool_calls[0]["args"]["lines"]
        assert [line["quantity"] for line in lines] == [600]

    def test_a_quantity_after_no_need_is_offered(self) -> None:
        none = turn(
            "order widget-a", [("recommend_orders", {"sku": "WIDGET-A"}, ok({"lines": []}))]
        )

        assert answer([*none, HumanMessage("600")]).text == "Draft 600 of WIDGET-A?"

    def test_another_level_completes_the_refused_one(self) -> None:
        asked: list[BaseMessage] = [HumanMessage("reorder point of widget-a at 150 %")]

        reply = answer([*asked, answer(asked), HumanMessage("95 %")])

        wanted = {"sku": "WIDGET-A", "service_level": 0.95}
        assert called(reply) == [("compute_reorder_point", wanted)]

    def test_tells_the_limit_that_a_draft_showed(self) -> None:
        assert ask("what is my approval limit?", "draft").text == "Your limit is 10,000.00 USD."
        assert "with every draft" in ask("what is my approval limit?").text


class TestSeveralItems:
    def test_each_item_gets_the_quantity(self) -> None:
        calls = called(ask("order 500 each of widget-a, gasket-9 and wipes"))

        skus = ("WIDGET-A", "GASKET-9", "WIPES")
        lines = [{"sku": sku, "quantity": 500} for sku in skus]
        assert calls == [("draft_purchase_order", {"lines": lines})]

    def test_splits_what_no_single_supplier_sells(self) -> None:
        lines = [{"sku": sku, "quantity": 500} for sku in ("WIDGET-A", "WIPES")]
        refused = failed("invalid_input", "no single supplier sells 'WIDGET-A', 'WIPES'")
        messages = turn("order", [("draft_purchase_order", {"lines": lines}, refused)], reply="")

        reply = answer(messages[:-1])

        assert called(reply) == [("draft_purchase_order", {"lines": [line]}) for line in lines]

    def test_recommends_before_it_offers_to_draft(self) -> None:
        calls = called(ask("draft widget-a and gasket-9"))
        pair = [("recommend_orders", {"sku": sku}, ok({"lines": [line]}))
                for sku, line in (("WIDGET-A", LINE), ("GASKET-9", LINE_2))]  # fmt: skip
        told = turn("draft widget-a and gasket-9", pair)

        reply = answer([*told, HumanMessage("yes")])

        assert calls == [("recommend_orders", {"sku": s}) for s in ("WIDGET-A", "GASKET-9")]
        assert told[-1].text.endswith("Shall I draft all of them?")
        lines = [{"rec_id": "R-12", "quantity": 1920}, {"rec_id": "R-13", "quantity": 600}]
        assert called(reply) == [("draft_purchase_order", {"lines": lines})]


class TestLongLists:
    """Nothing is drafted that was not shown."""

    LINES = tuple({**LINE, "rec_id": f"R-{at}", "sku": f"S-{at}"} for at in range(1, 8))

    def listed(self, **arguments: Any) -> Any:
        data = ok({"lines": list(self.LINES), "total_lines": 7})
        return turn("what to order?", [("recommend_orders", arguments, data)])

    @pytest.mark.parametrize("text", ["draft all", "draft them all", "order everything"])
    def test_asks_before_it_drafts_more_than_was_shown(self, text: str) -> None:
        said = [*self.listed(), HumanMessage(text)]

        asked = answer(said)
        reply = answer([*said, asked, HumanMessage("yes")])

        assert asked.tool_calls == []
        assert asked.text.startswith("Draft the five that were shown?")
        assert [len(made["lines"]) for _, made in called(reply)] == [5]

    def test_drafts_all_that_was_shown(self) -> None:
        calls = called(answer([*self.listed(limit=50), HumanMessage("draft all")]))

        assert [len(made["lines"]) for _, made in calls] == [7]

    def test_asks_which_two(self) -> None:
        reply = answer([*self.listed(), HumanMessage("draft both")])

        assert reply.tool_calls == []
        assert "Which two" in reply.text


class TestSuppliersOfRecommendations:
    def test_drafts_for_each_supplier(self) -> None:
        other = {**LINE_2, "supplier": "Borealis", "supplier_code": "BOREALIS"}
        listed = turn("what to order?", [("recommend_orders", {}, ok({"lines": [LINE, other]}))])

        calls = called(answer([*listed, HumanMessage("draft both")]))

        assert calls == [
            ("draft_purchase_order", {"lines": [{"rec_id": "R-12", "quantity": 1920}]}),
            ("draft_purchase_order", {"lines": [{"rec_id": "R-13", "quantity": 600}]}),
        ]

    def test_names_the_supplier_of_advice_without_a_number(self) -> None:
        fresh = {**LINE, "rec_id": None}
        listed = turn("order widget-a", [("recommend_orders", {}, ok({"lines": [fresh]}))])

        calls = called(answer([*listed, HumanMessage("yes")]))

        lines = [{"sku": "WIDGET-A", "quantity": 1920}]
        assert calls == [("draft_purchase_order", {"lines": lines, "supplier": "ACME"})]

    def test_reads_results_in_the_order_of_their_calls(self) -> None:
        pair = list(TestNamedSupplier.ASKED)
        said, asked, first, second, _ = turn("draft widget-a from borealis", pair, reply="")

        reply = answer([said, asked, second, first])

        assert [name for name, _ in called(reply)] == ["compare_suppliers"]


class TestNamedSupplier:
    """The planner names a supplier that is not the recommended one."""

    ASKED = (
        ("recommend_orders", {"sku": "WIDGET-A", "supplier": "BOREALIS"}, ok({"lines": []})),
        ("recommend_orders", {"sku": "WIDGET-A"}, ok({"lines": [LINE]})),
    )

    def test_asks_for_each_of_several_items(self) -> None:
        wanted = [("recommend_orders", {"sku": sku, "supplier": "ACME"})
                  for sku in ("WIDGET-A", "WIPES")]  # fmt: skip

        assert called(ask("draft widget-a and wipes from acme")) == wanted

    def compared(self, *options: dict[str, Any]) -> Any:
        data = {"sku": "WIDGET-A", "quantity": 1920, "options": list(options)}
        wanted = {"sku": "WIDGET-A", "quantity": 1920}
        return turn("draft widget-a from borealis",
                    [*self.ASKED, ("compare_suppliers", wanted, ok(data))])  # fmt: skip

    def test_asks_for_its_terms(self) -> None:
        first = called(ask("draft widget-a from borealis"))
        messages = turn("draft widget-a from borealis", list(self.ASKED), reply="")

        assert first == [(name, arguments) for name, arguments, _ in self.ASKED]
        assert called(answer(messages[:-1])) == [
            ("compare_suppliers", {"sku": "WIDGET-A", "quantity": 1920})
        ]

    def test_keeps_it_in_the_offer(self) -> None:
        option = {"supplier": "Borealis", "code": "BOREALIS", "feasible": True,
                  "unit_price": "7.35", "currency": "USD"}  # fmt: skip
        told = self.compared(option)

        reply = answer([*told, HumanMessage("yes")])

        assert told[-1].text.endswith("Shall I draft it from Borealis?")
        lines = [{"sku": "WIDGET-A", "quantity": 1920}]
        wanted = {"lines": lines, "supplier": "BOREALIS"}
        assert called(reply) == [("draft_purchase_order", wanted)]

    def test_says_that_it_does_not_sell_it(self) -> None:
        told = self.compared({"supplier": "Acme", "code": "ACME", "feasible": True})

        assert "BOREALIS does not sell WIDGET-A" in told[-1].text
        assert told[-1].text.endswith("Shall I draft it from Acme instead?")
