"""The wrapper that makes a tool of a function."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any

import pytest
from pydantic import Field
from sqlmodel import Session

from db.session import Database
from db.types import Actor, Role
from tests.conftest import NOW
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import Ambiguous
from tools.wrapping import Result, Tool, ToolContext, idempotency_key, tool

Units = Annotated[int, Field(ge=1, le=1000)]


def count_units(session: Session, context: ToolContext, sku: str, units: Units = 5) -> Result:
    """Count the units of an item.

    Args:
        sku: SKU or name, e.g. "WIDGET-A".
        units: How many, whole, e.g. 120;
            at most a thousand.
    """
    if sku == "GLOVES":
        raise Ambiguous("'GLOVES' fits 3 items", details={"matches": ["S", "M", "L"]})
    return Result({"sku": sku, "units": units, "by": context.actor.login}, as_of=NOW)


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def context(opened: list[str], sqlite_database: Database) -> ToolContext:
    def factory(name: str) -> Callable[[], Any]:
        @contextmanager
        def enter() -> Iterator[Session]:
            opened.append(name)
            with sqlite_database.read() as session:
                yield session

        return enter

    paul = Actor(user_id=1, login="paul", name="Paul", role=Role.PLANNER)
    clock = FixedClock(NOW)
    return ToolContext(factory("read"), factory("write"), paul, clock, Company(), "t1", "7")


@pytest.fixture
def counting() -> Tool:
    return tool(effect="read")(count_units)


class TestSchema:
    def test_comes_from_signature_and_docstring(self, counting: Tool) -> None:
        function = counting.schema()["function"]

        assert function["name"] == "count_units"
        assert function["description"] == "Count the units of an item."
        assert function["parameters"]["required"] == ["sku"]
        units = function["parameters"]["properties"]["units"]
        assert units["description"] == "How many, whole, e.g. 120; at most a thousand."
        assert (units["minimum"], units["maximum"]) == (1, 1000)

    def test_an_argument_without_a_description_is_refused(self) -> None:
        def silent(session: Session, context: ToolContext, sku: str) -> Result:
            """Say nothing about sku."""
            return Result({})

        with pytest.raises(TypeError, match="'sku' lacks an Args: line"):
            tool(effect="read")(silent)


class TestCall:
    def test_wraps_data_in_an_envelope(self, counting: Tool, context: ToolContext) -> None:
        envelope = counting.call(context, {"sku": "A", "units": 3})

        assert envelope["ok"] is True
        assert envelope["data"] == {"sku": "A", "units": 3, "by": "paul"}
        assert envelope["data_age_s"] == 0

    @pytest.mark.parametrize(
        "units", [0, -5, 1001, 10**12, 1.5, float("nan"), float("inf"), "ten", True, None]
    )
    def test_refuses_values_outside_the_domain(
        self, counting: Tool, context: ToolContext, opened: list[str], units: object
    ) -> None:
        envelope = counting.call(context, {"sku": "A", "units": units})

        assert envelope["error"] == "invalid_input"
        assert "units" in envelope["message"]
        assert opened == []

    def test_refuses_unknown_arguments(self, counting: Tool, context: ToolContext) -> None:
        envelope = counting.call(context, {"sku": "A", "actor": "mona"})

        assert envelope["error"] == "invalid_input"

    def test_returns_expected_errors_as_data(self, counting: Tool, context: ToolContext) -> None:
        envelope = counting.call(context, {"sku": "GLOVES"})

        assert (envelope["ok"], envelope["error"]) == (False, "ambiguous")
        assert envelope["details"] == {"matches": ["S", "M", "L"]}

    def test_lets_bugs_through(self, context: ToolContext) -> None:
        def broken(session: Session, context: ToolContext) -> Result:
            """Break."""
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            tool(effect="read")(broken).call(context, {})

    @pytest.mark.parametrize(("effect", "expected"), [("read", ["read"]), ("draft", ["write"])])
    def test_opens_the_transaction_that_its_effect_needs(
        self, context: ToolContext, opened: list[str], effect: Any, expected: list[str]
    ) -> None:
        tool(effect=effect)(count_units).call(context, {"sku": "A"})

        assert opened == expected

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.SERVICE])
    def test_a_viewer_cannot_draft(
        self, context: ToolContext, opened: list[str], role: Role
    ) -> None:
        viewer = replace(context, actor=replace(context.actor, role=role))

        envelope = tool(effect="draft")(count_units).call(viewer, {"sku": "A"})

        assert envelope["error"] == "forbidden"
        assert opened == []


class TestIdempotencyKey:
    def test_is_the_same_for_the_same_call_of_a_turn(self, context: ToolContext) -> None:
        first = idempotency_key(context, "draft", {"a": 1, "b": 2})

        assert first == idempotency_key(context, "draft", {"b": 2, "a": 1})
        assert first != idempotency_key(context, "draft", {"a": 1, "b": 3})
        assert first != idempotency_key(replace(context, turn_id="8"), "draft", {"a": 1, "b": 2})

    def test_there_is_none_outside_a_conversation(self, context: ToolContext) -> None:
        assert idempotency_key(replace(context, thread_id=None), "draft", {}) is None
