"""From a Python function to a tool that a model can call: schema out, JSON envelope back.

A tool function takes a session, the ``ToolContext`` and its own arguments, and returns a
``Result``. Its docstring is prompt text. The wrapper validates the arguments strictly, opens one
transaction (read-only for effect ``read``), and turns expected errors into data. Everything else is
a bug and propagates.
"""

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from db.session import SessionFactory
from db.types import Actor, Permission
from tools import tracing
from tools.clock import Clock
from tools.company import Company
from tools.errors import QuartermasterError
from tools.identity.core import require
from tools.reach.service import look_as

Effect = Literal["read", "draft"]


@dataclass(frozen=True)
class ToolContext:
    """Who is asking, when, and how to reach the database. Identity never comes from the model.

    ``turn_id`` names the message that caused the call; with the arguments it makes the
    idempotency key of a draft, so that a repeated turn drafts nothing twice.
    """

    read: SessionFactory
    write: SessionFactory
    actor: Actor
    clock: Clock
    company: Company
    thread_id: str | None = None
    turn_id: str | None = None


@dataclass(frozen=True)
class Result:
    """What a tool answers: JSON-ready data, its age, warnings and the ids of the rows behind it."""

    data: dict[str, Any]
    as_of: datetime | None = None
    warnings: list[str] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Tool:
    """A tool as the model sees it and as the agent runs it."""

    name: str
    description: str
    effect: Effect
    is_core: bool
    arguments: type[BaseModel]
    function: Callable[..., Result]

    def schema(self) -> dict[str, Any]:
        """Return the OpenAI function schema."""
        parameters = self.arguments.model_json_schema()
        parameters.pop("title", None)
        for prop in parameters.get("properties", {}).values():
            prop.pop("title", None)
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}

    def call(self, context: ToolContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Run the tool and return the envelope; expected errors come back as data."""
        with tracing.span("tool", self.name) as outcome:
            envelope = self._envelope(context, arguments)
            outcome.result = str(envelope.get("error", "ok"))
        return envelope

    def _envelope(self, context: ToolContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            parsed = self.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            return _failure("invalid_input", _first_problem(error), "Correct the argument.", {})
        values = {name: getattr(parsed, name) for name in type(parsed).model_fields}
        try:
            is_read = self.effect == "read"
            require(context.actor, Permission.READ if is_read else Permission.DRAFT)
            opened = context.read if is_read else context.write
            with opened() as session:
                if is_read:  # a draft outside the actor's work is refused with a reason instead
                    look_as(session, context.actor)
                result = self.function(session, context, **values)
        except QuartermasterError as error:
            return _failure(error.code, error.message, error.next_step, error.details)
        return _success(result, context.clock.now())


def tool(*, effect: Effect, core: bool = True) -> Callable[[Callable[..., Result]], Tool]:
    """Make a tool of a function ``(session, context, **arguments) -> Result``."""

    def wrap(function: Callable[..., Result]) -> Tool:
        description, notes = _split_docstring(inspect.getdoc(function) or "")
        return Tool(
            name=function.__name__,
            description=description,
            effect=effect,
            is_core=core,
            arguments=_arguments_model(function, notes),
            function=function,
        )

    return wrap


def idempotency_key(context: ToolContext, name: str, arguments: Mapping[str, Any]) -> str | None:
    """Return a stable key for (thread, turn, tool, arguments); None outside a conversation."""
    if context.thread_id is None or context.turn_id is None:
        return None
    text = json.dumps([name, arguments], sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{context.thread_id}:{context.turn_id}:{digest}"


def _arguments_model(function: Callable[..., Result], notes: Mapping[str, str]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(function, eval_str=True).parameters.values())[2:]:
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        note = notes.get(parameter.name)
        if note is None:
            raise TypeError(f"{function.__name__}: argument {parameter.name!r} lacks an Args: line")
        fields[parameter.name] = (parameter.annotation, Field(default, description=note))
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, str_max_length=500)
    return create_model(f"{function.__name__}_arguments", __config__=config, **fields)


def _split_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Separate the description from the lines under ``Args:``."""
    head, _, tail = text.partition("\nArgs:\n")
    notes: dict[str, str] = {}
    name = ""
    for line in tail.splitlines():
        if found := re.match(r"    (\w+): (.*)", line):
            name = found[1]
            notes[name] = found[2].strip()
        elif name and line.startswith("      "):
            notes[name] += " " + line.strip()
    return head.strip(), notes


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in problem["loc"]) or "arguments"
    return f"{where}: {problem['msg']}, got {problem['input']!r}"[:300]


def _success(result: Result, now: datetime) -> dict[str, Any]:
    age = None if result.as_of is None else max(0, round((now - result.as_of).total_seconds()))
    return {
        "ok": True,
        "data": result.data,
        "as_of": None if result.as_of is None else result.as_of.isoformat(timespec="seconds"),
        "data_age_s": age,
        "warnings": result.warnings,
        "refs": result.refs,
    }


def _failure(code: str, message: str, next_step: str, details: dict[str, Any]) -> dict[str, Any]:
    return {"ok": False, "error": code, "message": message, "next": next_step, "details": details}
