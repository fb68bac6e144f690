"""Collecting tools, filtering them by role, and fitting results into messages."""

import datetime as dt
import json
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from langchain_core.messages import ToolMessage

from agent import toolbox
from agent.memory import open_memory
from db.types import Actor, Role
from tests.fakes import FAKE_TOOLS


def actor(role: Role) -> Actor:
    return Actor(user_id=1, login="x", name="X", role=role)


class TestAllTools:
    """Structure of the real toolbox."""

    def test_holds_the_tools_of_the_domain(self) -> None:
        assert {tool.name for tool in toolbox.all_tools()} == {
            "find_item", "get_stock_position", "list_exceptions", "forecast_demand",
            "compute_reorder_point", "recommend_orders", "explain_recommendation",
            "simulate_scenario", "compare_suppliers", "draft_purchase_order",
            "revise_purchase_order", "request_approval", "list_orders", "cancel_order",
            "check_shipment", "get_kpis", "get_demand_history", "propose_plan_change",
        }  # fmt: skip

    def test_reads_or_drafts_and_never_more(self) -> None:
        verbs = re.compile(r"approve|submit|send|execute|decide|deliver|pay|set_|delete")

        assert {tool.effect for tool in toolbox.all_tools()} == {"read", "draft"}
        assert [tool.name for tool in toolbox.all_tools() if verbs.match(tool.name)] == []

    def test_names_are_unique(self) -> None:
        names = [tool.name for tool in toolbox.all_tools()]

        assert len(names) == len(set(names))


class TestToolsFor:
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.SERVICE])
    def test_who_may_only_look_gets_reading_tools(self, role: Role) -> None:
        offered = toolbox.tools_for(actor(role), tools=FAKE_TOOLS)

        assert {tool.effect for tool in offered} == {"read"}

    @pytest.mark.parametrize("role", [Role.PLANNER, Role.APPROVER, Role.MANAGER, Role.ADMIN])
    def test_others_may_draft_and_nobody_gets_more(self, role: Role) -> None:
        assert toolbox.tools_for(actor(role), tools=FAKE_TOOLS) == FAKE_TOOLS

    def test_core_leaves_the_rest_out(self) -> None:
        offered = toolbox.tools_for(actor(Role.PLANNER), True, tools=FAKE_TOOLS)

        assert {tool.name for tool in FAKE_TOOLS} - {tool.name for tool in offered} == {
            "list_rows",
            "wait_a_moment",
        }


ODD: list[Any] = [
    np.float64(1.5), np.float32(0.5), np.int64(7), np.bool_(True), np.array([1, 2]), np.nan,
    float("inf"), Decimal("14976.00"), dt.date(2026, 3, 2), dt.datetime(2026, 3, 2, tzinfo=dt.UTC),
    pd.Timestamp("2026-03-02"), pd.NaT, (1, 2), {3}, {"a": np.int32(1)}, Role.PLANNER, None, True,
    b"bytes", 10**30,
]  # fmt: skip


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_any_value_becomes_plain_and_survives_a_checkpoint(value: Any) -> None:
    value = toolbox.plain({"value": [value]})

    text = json.dumps(value, allow_nan=False)
    message = ToolMessage(text, tool_call_id="a", artifact={"result_id": 1})
    serde = open_memory(None).serde

    assert json.loads(text) == value
    assert serde.loads_typed(serde.dumps_typed(message)) == message


def test_plain_values() -> None:
    assert toolbox.plain(np.float64(1.5)) == 1.5
    assert type(toolbox.plain(np.float64(1.5))) is float
    assert toolbox.plain([np.nan, float("inf")]) == [None, None]
    assert toolbox.plain(Decimal("14976.00")) == "14976.00"
    assert toolbox.plain(Role.PLANNER) == "planner"
    assert toolbox.plain(np.array([[1, 2]])) == [[1, 2]]


class TestShorten:
    def test_leaves_what_fits(self) -> None:
        envelope = {"ok": True, "data": {"rows": [1, 2, 3]}}

        assert json.loads(toolbox.shorten(envelope)) == envelope

    def test_cuts_the_longest_list_and_says_how_many_are_missing(self) -> None:
        rows = [{"row": index, "text": "x" * 50} for index in range(50_000)]

        text = toolbox.shorten({"ok": True, "data": {"rows": rows, "total": 50_000, "few": [1, 2]}})

        short = json.loads(text)
        assert len(text) <= toolbox.CONTENT_LIMIT
        assert short["data"]["few"] == [1, 2]
        assert short["data"]["total"] == 50_000
        assert len(short["data"]["rows"]) + short["truncated"]["rows"] == 50_000
        assert len(short["data"]["rows"]) >= 20

    @pytest.mark.parametrize(
        "data",
        [
            {"text": "x" * 50_000, "n": 1},
            {str(index): "y" * 100 for index in range(1_000)},
            {"deep": {"er": {"list": ["z" * 20_000]}}},
        ],
    )
    def test_cuts_long_texts_too(self, data: dict[str, Any]) -> None:
        text = toolbox.shorten({"ok": True, "data": data})

        assert len(text) <= toolbox.CONTENT_LIMIT
        assert json.loads(text)["truncated"]

    def test_cuts_errors_too(self) -> None:
        matches = [{"sku": f"S{index}"} for index in range(5_000)]
        envelope = {"ok": False, "error": "ambiguous", "message": "Which one?", "next": ""}

        short = json.loads(toolbox.shorten(envelope | {"details": {"matches": matches}}))

        assert short["message"] == "Which one?"
        assert short["details"]["matches"][0] == {"sku": "S0"}
