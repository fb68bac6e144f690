"""Ask a chat model once, and let nothing half-said through.

The stream is consumed here, because the client's own merging turns a cut ``{"quantity": 12`` of
1200 into a valid call. A tool call counts only when its raw text is complete JSON that can be
stored and the server said that it had finished; everything else becomes an invalid call, which
nobody executes.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn
from uuid import uuid4

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    ToolCall,
    ToolCallChunk,
)
from langchain_core.runnables import Runnable

from agent.storable import LONGEST_NAME, clean, problem_of
from tools.errors import ExternalError

MAX_ANSWER_S = 300.0  # for one answer, however slowly it drips
MAX_ANSWER = 250_000  # characters of it; more are not read
CUT_OFF = "(The model's answer was cut off here.)"
Model = Runnable[LanguageModelInput, AIMessage]

_FINISHED = ("stop", "tool_calls", "function_call")
_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_CALL_AS_TEXT = re.compile(r"<tool_call>.*?(?:</tool_call>|\Z)", re.DOTALL | re.IGNORECASE)
_WIRE_ID = re.compile(r"[A-Za-z0-9]{9}")  # what the strictest chat template accepts
_EMPTY = (
    "The model gave no answer. Please ask again; if it happens often, raise its output limit "
    "(a thinking model can use it up before it answers)."
)
_CALL_WAS_TEXT = (
    "The model wrote a tool call as text, which its server should have parsed; nothing was done. "
    "Please check the tool-call settings of the model server."
)
TOO_SLOW = "The model server did not answer in time. Please try again in a moment."


@dataclass
class _Answer:
    """What has arrived of one answer."""

    text: list[str] = field(default_factory=list)
    calls: list[ToolCallChunk] = field(default_factory=list)
    finish: str | None = None
    usage: Any = None
    length: int = 0  # characters


def ask(model: Model, messages: Sequence[BaseMessage]) -> AIMessage:
    """Return the model's answer: either tool calls that are whole, or text a person may read.

    Asks a second time when the first answer is empty.

    Raises:
        ExternalError: The server failed; the message is a sentence for the user, and
            ``details['kind']`` is ``context`` when the prompt was too long.
    """
    for _ in range(2):
        answer = _collect(model.stream(list(messages)))
        if answer.tool_calls or answer.invalid_tool_calls:
            return answer
        raw = answer.text
        if text := visible(raw):
            return answer.model_copy(update={"content": text})
    return AIMessage(_CALL_WAS_TEXT if _CALL_AS_TEXT.search(raw) else _EMPTY)


def visible(text: str) -> str:
    """Return the text without hidden reasoning, tool calls written as text and odd characters."""
    return clean(_CALL_AS_TEXT.sub("", _THINKING.sub("", text))).strip()


def _collect(stream: Iterable[AIMessage]) -> AIMessage:
    """Add the pieces up; a model in this process gives one whole message instead of pieces."""
    answer = _Answer()
    until = time.monotonic() + MAX_ANSWER_S
    for piece in stream:
        if not isinstance(piece, AIMessageChunk):
            return _whole(piece)
        _add(answer, piece)
        if answer.length > MAX_ANSWER:
            answer.text, answer.finish = ["".join(answer.text)[:MAX_ANSWER]], None
            break
        if time.monotonic() > until:
            raise ExternalError(TOO_SLOW, details={"kind": "timeout"})
    return _finished(answer)


def _add(answer: _Answer, piece: AIMessageChunk) -> None:
    answer.text.append(piece.text)
    answer.length += len(piece.text) + sum(len(c["args"] or "") for c in piece.tool_call_chunks)
    answer.finish = piece.response_metadata.get("finish_reason") or answer.finish
    answer.usage = piece.usage_metadata or answer.usage
    for chunk in piece.tool_call_chunks:
        call = _open_call(answer.calls, chunk)
        call["name"] = call["name"] or chunk["name"]
        call["args"] = (call["args"] or "") + (chunk["args"] or "")


def _open_call(calls: list[ToolCallChunk], chunk: ToolCallChunk) -> ToolCallChunk:
    """Return the call that this piece continues, or a new one.

    Servers leave the index out, give it to two calls, or repeat id and name in every piece.
    """
    same = [call for call in calls if call["index"] == chunk["index"]]
    if chunk["id"]:
        same = [call for call in same if call["id"] in (chunk["id"], None)]
    elif same and chunk["name"] and _arguments(same[-1]) is not None:
        same = []
    if same:
        return same[-1]
    started = ToolCallChunk(
        name=None, args="", id=chunk["id"] or None, index=chunk["index"], type="tool_call_chunk"
    )
    calls.append(started)
    return started


def _finished(answer: _Answer) -> AIMessage:
    is_whole = answer.finish in _FINISHED
    good: list[ToolCall] = []
    bad: list[InvalidToolCall] = []
    for call in answer.calls:
        arguments = _arguments(call)
        if not is_whole:
            bad.append(_invalid(call, "cut off"))
        elif arguments is None:
            bad.append(_invalid(call, "not valid JSON"))
        elif problem := problem_of(call["name"], arguments):
            bad.append(_invalid(call, problem))
        else:
            good.append(ToolCall(name=call["name"] or "", args=arguments, id=call["id"]))
    text = "".join(answer.text)
    if not is_whole and not answer.calls and visible(text):
        text = _up_to_last_word(visible(text)) + " " + CUT_OFF
    return AIMessage(
        content=text,
        tool_calls=_with_ids(good),
        invalid_tool_calls=_with_ids(bad),
        usage_metadata=answer.usage,
    )


def _whole(message: AIMessage) -> AIMessage:
    good: list[ToolCall] = []
    bad = [_invalid(call, call["error"] or "not valid JSON") for call in message.invalid_tool_calls]
    for call in message.tool_calls:
        problem = problem_of(call["name"], call["args"])
        if problem is None:
            good.append(call)
        else:
            bad.append(_invalid(call, problem))
    return message.model_copy(
        update={"tool_calls": _with_ids(good), "invalid_tool_calls": _with_ids(bad)}
    )


def _arguments(call: ToolCallChunk) -> dict[str, Any] | None:
    """Return the arguments if their text is one complete JSON object without NaN."""
    try:
        value = json.loads(call["args"] or "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _invalid(call: Mapping[str, Any], why: str) -> InvalidToolCall:
    """Keep the name and the reason; the arguments are what cannot be kept."""
    name = clean(call["name"] or "")[:LONGEST_NAME]
    return InvalidToolCall(
        name=name, args="", id=call["id"], error=clean(why)[:200], type="invalid_tool_call"
    )


def _with_ids(calls: Sequence[Any]) -> list[Any]:
    """Give each call an id of nine letters and digits that no other call of the message has."""
    taken: set[str] = set()
    named = []
    for call in calls:
        id_ = call["id"] or ""
        if not _WIRE_ID.fullmatch(id_) or id_ in taken:
            id_ = uuid4().hex[:9]
        taken.add(id_)
        named.append({**call, "id": id_})
    return named


def _up_to_last_word(text: str) -> str:
    """Drop the last word of a cut text: half a number is a wrong number."""
    return text.rpartition(" ")[0].rstrip()
