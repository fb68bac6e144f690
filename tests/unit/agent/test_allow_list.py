"""What a model can call: exactly what is written down, and nothing of it decides or sends."""

import json
import re
from pathlib import Path

import pytest

from agent.toolbox import all_tools, tools_for
from db.types import Actor, Role

WRITTEN = Path(__file__).parents[3] / "docs" / "tools.json"
MAY_DRAFT = {Role.PLANNER, Role.APPROVER, Role.MANAGER, Role.ADMIN}


def allow_list() -> str:
    """Return the text of ``docs/tools.json``; write it there after a change that is meant."""
    listed = [
        {"name": tool.name, "effect": tool.effect, **tool.schema()["function"]}
        for tool in sorted(all_tools(), key=lambda tool: tool.name)
    ]
    return json.dumps(listed, indent=1, ensure_ascii=False) + "\n"


def test_the_tools_are_those_that_are_written_down() -> None:
    assert allow_list() == WRITTEN.read_text(encoding="utf-8"), (
        "if the change is meant: python -c 'from tests.unit.agent.test_allow_list import *; "
        "WRITTEN.write_text(allow_list())'"
    )


def test_what_drafts_is_named_here() -> None:
    drafting = {tool.name for tool in all_tools() if tool.effect != "read"}

    assert drafting == {
        "draft_purchase_order", "revise_purchase_order", "request_approval",
        "cancel_order",
    }  # fmt: skip


def test_no_argument_names_an_actor_an_address_or_a_decision() -> None:
    """Who asks comes from the door, where an order goes to from the database."""
    forbidden = re.compile(
        r"actor|user|login|role|decision|approved|email|url|address|endpoint|key|password|thread"
    )

    named = {
        (tool.name, argument)
        for tool in all_tools()
        for argument in re.findall(r'"(\w+)": \{', json.dumps(tool.schema()))
        if forbidden.search(argument)
    }

    assert named == set()


@pytest.mark.parametrize("role", Role)
def test_only_who_may_draft_is_offered_a_draft(role: Role) -> None:
    actor = Actor(user_id=1, login="x", name="X", role=role)

    effects = {tool.effect for tool in tools_for(actor)}

    assert ("draft" in effects) == (role in MAY_DRAFT)
