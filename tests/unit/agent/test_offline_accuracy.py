"""How many sentences the offline model understands, on a set that it was never improved against."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from langchain_core.messages import AIMessage, HumanMessage

from tests.unit.agent.offline_world import SITUATIONS, WRITES, answer

_HERE = Path(__file__).parent
HELD_OUT: list[dict[str, Any]] = yaml.safe_load((_HERE / "offline_heldout.yaml").read_text())
CHECKS: list[dict[str, Any]] = yaml.safe_load((_HERE / "offline_training_check.yaml").read_text())


def respond(case: dict[str, Any]) -> AIMessage:
    """The reply to one case."""
    return answer([*SITUATIONS[case.get("after", "")], HumanMessage(case["say"])])


def is_right_tool(case: dict[str, Any], reply: AIMessage) -> bool:
    """The right tool was called, or rightly none."""
    names = [call["name"] for call in reply.tool_calls]
    if "tool" in case:
        return case["tool"] in names
    if "not_tool" in case:
        return case["not_tool"] not in names
    return not names and reply.response_metadata["kind"] == case["kind"]


def has_arguments(case: dict[str, Any], reply: AIMessage) -> bool:
    """One call of the right tool has the arguments of the case."""
    wanted = case.get("args", {}).items()
    calls = [call["args"] for call in reply.tool_calls if call["name"] == case.get("tool")]
    return not wanted or any(all(args.get(k) == v for k, v in wanted) for args in calls)


def is_unasked_write(case: dict[str, Any], reply: AIMessage) -> bool:
    """Something was written that the case does not ask for."""
    return any(
        call["name"] in WRITES and call["name"] != case.get("tool") for call in reply.tool_calls
    )


@pytest.mark.parametrize("case", CHECKS, ids=lambda case: case["say"])
def test_understands_what_it_was_developed_against(case: dict[str, Any]) -> None:
    reply = respond(case)

    assert is_right_tool(case, reply), (reply.tool_calls, reply.text)
    assert has_arguments(case, reply), reply.tool_calls


@pytest.fixture(scope="module")
def replies() -> list[tuple[dict[str, Any], AIMessage]]:
    """What the model makes of the held-out sentences."""
    return [(case, respond(case)) for case in HELD_OUT]


class TestHeldOutSentences:
    """The floors are below what was measured; see the report of the change that moved them."""

    def test_calls_the_right_tool_for_most(
        self, replies: list[tuple[dict[str, Any], AIMessage]]
    ) -> None:
        wrong = [case["say"] for case, reply in replies if not is_right_tool(case, reply)]

        assert 1 - len(wrong) / len(replies) >= 0.80, wrong

    def test_refuses_every_bypass(self, replies: list[tuple[dict[str, Any], AIMessage]]) -> None:
        refused = [
            (case["say"], reply.response_metadata["kind"])
            for case, reply in replies
            if case.get("kind") == "refuse"
        ]

        assert [said for said, kind in refused if kind != "refuse"] == []

    def test_writes_nothing_unasked(self, replies: list[tuple[dict[str, Any], AIMessage]]) -> None:
        assert [case["say"] for case, reply in replies if is_unasked_write(case, reply)] == []
