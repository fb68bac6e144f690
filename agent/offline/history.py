"""Read the state of a conversation out of its messages; nothing else is remembered."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

Json = dict[str, Any]
MOST_LISTED = 5  # what fits beside a question; the rest is a page or a command away
_CORRECTION = "Your reply has figures that no tool result gives"


@dataclass(frozen=True)
class Call:
    """A tool call and the envelope that came back."""

    name: str
    arguments: Json
    envelope: Json

    @property
    def is_ok(self) -> bool:
        """The tool answered."""
        return self.envelope.get("ok") is True

    @property
    def data(self) -> Json:
        """What the tool answered; empty after an error."""
        data = self.envelope.get("data")
        return data if self.is_ok and isinstance(data, dict) else {}

    @property
    def error(self) -> str:
        """Code of the error, or an empty text."""
        return "" if self.is_ok else str(self.envelope.get("error", "error"))

    @property
    def details(self) -> Json:
        """Machine-readable part of an error."""
        details = self.envelope.get("details")
        return details if isinstance(details, dict) else {}


@dataclass(frozen=True)
class Turn:
    """What a person said, the tools called for it, and the reply."""

    said: str
    calls: tuple[Call, ...] = ()
    reply: str = ""
    kind: str = ""
    request: str = ""

    @property
    def whole_request(self) -> str:
        """The request including what earlier turns had asked for."""
        return self.request or self.said


@dataclass(frozen=True)
class History:
    """Finished turns, oldest first, and the one that waits for an answer."""

    turns: tuple[Turn, ...] = ()
    current: Turn = field(default_factory=lambda: Turn(""))
    system: str = ""

    @property
    def last(self) -> Turn:
        """The turn before the current one; an empty one at the start."""
        return self.turns[-1] if self.turns else Turn("")

    def calls(self) -> Iterator[Call]:
        """All answered calls of finished turns, newest first."""
        for turn in reversed(self.turns):
            yield from reversed(turn.calls)

    def skus(self) -> list[str]:
        """Items that tools spoke about, most recent first."""
        found: dict[str, None] = {}
        for call in self.calls():
            found |= dict.fromkeys(skus_of(call))
        return list(found)

    def focus(self) -> str | None:
        """The one item the conversation is about, if it is one."""
        for call in self.calls():
            skus = skus_of(call)
            if skus:
                return skus[0] if len(set(skus)) == 1 else None
        return None

    def recommendations(self) -> list[Json]:
        """Lines of the newest list of recommendations, as they were shown."""
        for call in self.calls():
            if call.name == "recommend_orders" and call.is_ok:
                return [line for line in rows(call.data, "lines") if line.get("quantity")]
        return []

    def shown_recommendations(self) -> int:
        """How many lines of the newest list its reply showed."""
        found = (call for call in self.calls() if call.name == "recommend_orders" and call.is_ok)
        call = next(found, None)
        is_whole = call is None or call.arguments.get("limit")
        return len(self.recommendations()) if is_whole else MOST_LISTED

    def documents(self) -> frozenset[str]:
        """Numbers of all orders that results named; those of other systems have any form."""
        found: set[str] = set()
        for call in self.calls():
            found |= _numbers_in([call.data, call.details])
        return frozenset(found)

    def order(self) -> Json | None:
        """The newest purchase order that a tool of this conversation wrote."""
        written = ("draft_purchase_order", "revise_purchase_order")
        return next(
            (call.data for call in self.calls() if call.name in written and call.data), None
        )

    def order_number(self) -> str | None:
        """The newest order that any tool spoke about."""
        for call in self.calls():
            number = call.data.get("po_id")
            if isinstance(number, str):
                return number
            orders = rows(call.data, "orders")
            if len(orders) == 1:
                return str(orders[0].get("po_id"))
        return None

    def is_cancelled(self, number: str) -> bool:
        """An order was cancelled in this conversation."""
        return any(
            call.name == "cancel_order" and call.data.get("po_id") == number
            for call in self.calls()
        )

    def quantity_of(self, sku: str) -> int | None:
        """The newest quantity to order that was spoken about for an item."""
        for call in self.calls():
            if call.data.get("sku") == sku and isinstance(call.data.get("quantity"), int):
                return int(call.data["quantity"])
            for line in rows(call.data, "lines"):
                if line.get("sku") == sku and isinstance(line.get("quantity"), int):
                    return int(line["quantity"])
        return None


def rows(data: Json, name: str) -> list[Json]:
    """The rows of a list in a result; empty if there is no such list."""
    value = data.get(name)
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def skus_of(call: Call) -> list[str]:
    """Items of one call, in the order of its result."""
    if "sku" in call.data:
        return [str(call.data["sku"])]
    found: dict[str, None] = {}
    for name in ("lines", "matches", "exceptions"):
        found |= dict.fromkeys(str(row["sku"]) for row in rows(call.data, name) if row.get("sku"))
    for order in rows(call.data, "orders"):
        found |= dict.fromkeys(str(sku) for sku in order.get("skus") or [])
    return list(found)


def _numbers_in(value: Any) -> set[str]:
    if isinstance(value, list):
        return {number for part in value for number in _numbers_in(part)}
    if not isinstance(value, dict):
        return set()
    named = {str(value[key]) for key in ("po_id", "po") if value.get(key)}
    parts = [part for part in value.values() if isinstance(part, list)]
    return named | _numbers_in(parts)


def read_history(messages: Sequence[BaseMessage]) -> History:
    """Group the messages into turns; results are joined to their calls by id."""
    turns: list[Turn] = []
    said, reply = "", AIMessage("")
    requested: dict[str, tuple[str, Json]] = {}
    calls: list[tuple[str, Call]] = []
    system: list[str] = []
    is_open = False
    for message in messages:
        if is_correction(message):
            continue
        if isinstance(message, HumanMessage):
            if is_open:
                turns.append(_turn(said, _in_order(calls, requested), reply))
            said, reply, calls, is_open = message.text, AIMessage(""), [], True
        elif isinstance(message, AIMessage):
            reply = message
            for call in message.tool_calls:
                requested.pop(call["id"] or "", None)
                requested[call["id"] or ""] = (call["name"], dict(call["args"]))
        elif isinstance(message, ToolMessage):
            name, arguments = requested.get(message.tool_call_id, (message.name or "", {}))
            call_id = message.tool_call_id
            calls.append((call_id, Call(name, arguments, envelope_of(message.text))))
        else:
            system.append(message.text)
    return History(tuple(turns), _turn(said, _in_order(calls, requested), reply), "\n".join(system))


def is_correction(message: BaseMessage) -> bool:
    """The grounding check speaks in the planner's place; it is never a question."""
    return isinstance(message, HumanMessage) and message.text.startswith(_CORRECTION)


def envelope_of(content: str) -> Json:
    """The JSON object of a tool message; text that is none counts as an error."""
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    return {"ok": False, "error": "error", "message": content[:300], "next": "", "details": {}}


def _in_order(answered: list[tuple[str, Call]], requested: Iterable[str]) -> list[Call]:
    """Results in the order of their calls: tools that run side by side answer in any order."""
    place = {call_id: at for at, call_id in enumerate(requested)}
    return [call for _, call in sorted(answered, key=lambda pair: place.get(pair[0], len(place)))]


def _turn(said: str, calls: list[Call], reply: AIMessage) -> Turn:
    metadata = reply.response_metadata
    kind, request = metadata.get("kind", ""), metadata.get("request", "")
    return Turn(said, tuple(calls), reply.text, str(kind), str(request))
