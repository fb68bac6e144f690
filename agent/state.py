"""What a turn works on: the checkpointed state, and the context that is never checkpointed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, ToolCall
from langgraph.graph.message import add_messages

from tools.wrapping import Tool, ToolContext


class Turn(TypedDict):
    """The input of a turn.

    Attributes:
        id: Names the inbound message; a repeated turn has the same one.
        decision: Number of the approval a person decided; empty when somebody said something.
    """

    id: str
    decision: str


class State(TypedDict, total=False):
    """Checkpointed state of a conversation: messages, JSON values and ids only.

    Attributes:
        messages: The stored part of the conversation, oldest first.
        turn: What this turn is about.
    """

    messages: Annotated[list[BaseMessage], add_messages]
    turn: Turn


class CallTask(TypedDict):
    """Input of one ``act`` task."""

    call: ToolCall


class Journal(Protocol):
    """Where a turn reports its steps and leaves full results; safe to use from several threads."""

    def emit(self, kind: str, content: Mapping[str, Any]) -> None:
        """Report a step."""
        ...

    def keep(self, tool: str, arguments: Mapping[str, Any], result: Mapping[str, Any]) -> int:
        """Store a full tool result and return its id."""
        ...


@dataclass(frozen=True)
class TurnContext:
    """What a turn may use. It is passed as ``context=`` and never stored.

    Attributes:
        asking: Who asks, the clock, and the way to the database, as tools get it.
        model: The chat model.
        toolbox: The tools this person may use.
        journal: Where steps and results go.
        stop_if_unwanted: Raises when the turn was cancelled; called before each step.
        prompt_budget: Size of a prompt in estimated tokens.
        brief: Describe the tools in few words, for a small model.
    """

    asking: ToolContext
    model: BaseChatModel
    toolbox: tuple[Tool, ...]
    journal: Journal
    stop_if_unwanted: Callable[[], None]
    prompt_budget: int = 12_000
    brief: bool = False
