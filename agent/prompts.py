"""What the model reads: the system prompt, the tool schemas, and as much history as fits."""

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from db.types import Actor
from tools.clock import Clock
from tools.wrapping import Tool

_OLD_RESULT = 600  # characters that are left of a tool result when room is short
_REFINING = ("limit", "location", "note", "ship_to", "tracking", "window_days", "digest")
_SENTENCE_END = re.compile(r"(?<=[.;])\s")
_EXAMPLE = re.compile(r"[,;:]? ?e\.g\.")
_KEPT = ("type", "description", "enum", "items", "anyOf", "properties", "required")
_POLICY = Path(__file__).with_name("policy.md")


@cache
def policy() -> str:
    """Return the policy that planners and the model read."""
    return _POLICY.read_text(encoding="utf-8").strip()


def system_prompt(actor: Actor, clock: Clock) -> str:
    """Return the policy with today's date and the person who asks."""
    today = clock.now().strftime("%A %Y-%m-%d")
    return f"{policy()}\n\nToday is {today}. You talk to {actor.name} ({actor.role.value})."


@cache
def schemas_for_model(tools: tuple[Tool, ...], brief: bool = False) -> tuple[dict[str, Any], ...]:
    """Return the tools' schemas without what a model does not need, to keep prompts short.

    Args:
        tools: The tools on offer.
        brief: For small models: one sentence a tool, notes without examples, and no arguments
            that only refine an answer (the tools still accept them).
    """
    return tuple(_schema(tool, brief) for tool in tools)


@cache
def schema_tokens(tools: tuple[Tool, ...], brief: bool = False) -> int:
    """Estimate the tokens that the tools' schemas take in every prompt."""
    return len(json.dumps(schemas_for_model(tools, brief), separators=(",", ":"))) // 4


def _schema(tool: Tool, brief: bool) -> dict[str, Any]:
    schema = tool.schema()
    function = schema["function"]
    parameters = function["parameters"]
    function["parameters"] = _lean(parameters, parameters.pop("$defs", {}))
    function["description"] = " ".join(tool.description.split())
    if brief:
        function["description"] = _SENTENCE_END.split(function["description"])[0]
        _shorten(function["parameters"])
    return schema


def _shorten(node: dict[str, Any]) -> None:
    arguments = node.get("properties", {})
    for name in [name for name in arguments if name in _REFINING]:
        del arguments[name]
    for argument in arguments.values():
        note = argument.get("description", "")
        argument["description"] = _EXAMPLE.split(note)[0] or note
        _shorten(argument.get("items", {}))


def _lean(node: Any, shared: dict[str, Any]) -> Any:
    """Keep types, choices, names and notes; bounds and nulls are the wrapper's business."""
    if isinstance(node, list):
        return [_lean(item, shared) for item in node]
    if not isinstance(node, dict):
        return node
    options = [option for option in node.get("anyOf", []) if option.get("type") != "null"]
    if len(options) == 1:
        node = {**{key: value for key, value in node.items() if key != "anyOf"}, **options[0]}
    if reference := node.get("$ref"):
        meant = shared[reference.rpartition("/")[2]]
        node = {**meant, **node, "description": node.get("description", "")}
    return {
        key: {name: _lean(prop, shared) for name, prop in value.items()}
        if key == "properties"
        else _lean(value, shared)
        for key, value in node.items()
        if key in _KEPT and value not in ("", [])
    }


def prompt(
    system: str, messages: Sequence[BaseMessage], budget: int, *, reserved: int = 0
) -> list[BaseMessage]:
    """Return the messages to send: the system prompt and the newest turns that fit.

    The turn that is being answered is always kept whole; when it alone is too long, its older tool
    results are cut to their beginning.

    Args:
        system: The system prompt.
        messages: The stored conversation.
        budget: Estimated tokens in all.
        reserved: Tokens of the tool schemas, which count too.
    """
    room = budget - reserved - len(system) // 4
    *older, current = _turns(messages) or [[]]
    kept = _squeezed(current, room)
    room -= estimated_tokens(kept)
    for turn in reversed(older):
        room -= estimated_tokens(turn)
        if room < 0:
            break
        kept = [*turn, *kept]
    return [SystemMessage(system), *_merged(kept)]


def estimated_tokens(messages: Sequence[BaseMessage]) -> int:
    """Estimate the tokens of messages as a quarter of their characters."""
    return sum(_size(message) for message in messages) // 4


def _size(message: BaseMessage) -> int:
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return len(message.text) + 16 + sum(len(json.dumps(call["args"])) + 40 for call in calls)


def _turns(messages: Sequence[BaseMessage]) -> list[list[BaseMessage]]:
    """Cut before every message of a person; what comes before the first one is dropped."""
    turns: list[list[BaseMessage]] = []
    for message in messages:
        if isinstance(message, HumanMessage):
            turns.append([])
        if turns:
            turns[-1].append(message)
    return turns


def _squeezed(messages: list[BaseMessage], room: int) -> list[BaseMessage]:
    """Cut tool results to their beginning, oldest first, until the messages fit."""
    squeezed = list(messages)
    excess = estimated_tokens(messages) - room
    for index, message in enumerate(messages):
        if excess <= 0:
            break
        if isinstance(message, ToolMessage) and len(message.text) > _OLD_RESULT:
            short = message.text[:_OLD_RESULT] + " ... (cut; call the tool again for the rest)"
            squeezed[index] = message.model_copy(update={"content": short})
            excess -= (len(message.text) - len(short)) // 4
    return squeezed


def _merged(messages: list[BaseMessage]) -> list[BaseMessage]:
    """Join neighbouring texts of one speaker: many chat templates want strict alternation."""
    merged: list[BaseMessage] = []
    for message in messages:
        before = merged[-1] if merged else None
        same = before is not None and _is_talk(before) and _is_talk(message)
        if before is not None and same and type(before) is type(message):
            merged[-1] = type(message)(f"{before.text}\n\n{message.text}")
        else:
            merged.append(message)
    return merged


def _is_talk(message: BaseMessage) -> bool:
    is_call = isinstance(message, AIMessage) and bool(message.tool_calls)
    return isinstance(message, AIMessage | HumanMessage) and not is_call
