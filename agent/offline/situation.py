"""Everything that understanding one message needs, and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from agent.offline.entities import Linker
from agent.offline.history import History, Json
from agent.offline.reading import Mention, Reading

ReplyKind = Literal["tools", "answer", "clarify", "refuse", "chat", "offtopic", "unknown"]


@dataclass(frozen=True)
class Request:
    """A tool call to make."""

    tool: str
    arguments: Json


@dataclass(frozen=True)
class Decision:
    """What to do about a message: call tools, or say something.

    Attributes:
        kind: What sort of reply this is; a "clarify" waits for an answer.
        calls: Tool calls, when the kind is "tools".
        text: The reply, when it is not.
        request: For a question: the request that the answer completes.
    """

    kind: ReplyKind
    calls: tuple[Request, ...] = ()
    text: str = ""
    request: str = ""


@dataclass(frozen=True)
class Situation:
    """One message in its conversation."""

    reading: Reading
    history: History
    linker: Linker
    tools: Mapping[str, Json] = field(default_factory=dict)
    today: date | None = None
    may_write: bool = True

    @property
    def text(self) -> str:
        """De-lexicalised text."""
        return self.reading.delexical

    def items(self) -> list[Mention]:
        """Items named in the message, each once."""
        seen: dict[tuple[str, ...], Mention] = {}
        for mention in self.reading.of_kind("item"):
            seen.setdefault(mention.values, mention)
        return list(seen.values())

    def order_number(self) -> str | None:
        """The order named in the message: "PO-1042", or a bare number of four digits or more."""
        named = self.reading.first("order")
        if named:
            return named
        bare = [q for q in self.reading.quantities if q.unit is None and q.value.is_integer()]
        long = [q for q in bare if self.reading.text[q.start : q.end].strip().isdigit()]
        return next((f"PO-{int(q.value)}" for q in long if q.value >= 1000), None)


def call(tool: str, **arguments: Any) -> Request:
    """A request with the arguments that are not None."""
    return Request(tool, {name: value for name, value in arguments.items() if value is not None})


def use(*calls: Request) -> Decision:
    """Call tools."""
    return Decision("tools", calls=calls)


def ask(question: str, request: str) -> Decision:
    """Ask for what is missing in a request."""
    return Decision("clarify", text=question, request=request)


def say(kind: ReplyKind, text: str) -> Decision:
    """Answer without a tool."""
    return Decision(kind, text=text)
