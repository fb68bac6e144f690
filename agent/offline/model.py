"""The offline chat model: deterministic, in this process, without network or key.

It fills the same place as a served model: messages and bound tools in, tool calls or a reply out.
Nothing is remembered between calls; every answer follows from the messages, the bound tools and
the names of the catalogue alone. It is no language model and says so when asked.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any
from zlib import crc32

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from agent.offline import replies
from agent.offline.entities import Linker
from agent.offline.history import History, Json, is_correction, read_history
from agent.offline.intents import scorer
from agent.offline.phrasing.telling import plainly, tell
from agent.offline.second_steps import next_calls
from agent.offline.situation import Decision, Request, say
from agent.offline.understanding import Understanding
from agent.offline.vocabulary import PROTECTED
from tools.catalog.core import CatalogueSnapshot

_TODAY = re.compile(r"\b[Tt]oday is (?:\w+ )?(\d{4}-\d{2}-\d{2})")


class OfflineChatModel(BaseChatModel):
    """A chat model made of rules, example sentences and templates.

    Attributes:
        catalogue: Gives the names that planners may use, as they are now.
        model: What this model calls itself in traces.
    """

    catalogue: Callable[[], CatalogueSnapshot]
    model: str = "quartermaster-offline"
    _linked: tuple[CatalogueSnapshot, Linker] | None = PrivateAttr(None)

    @property
    def _llm_type(self) -> str:
        return "quartermaster-offline"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "quartermaster"
        params["ls_model_name"] = str(kwargs.get("model", self.model))
        return params

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,  # noqa: ARG002  (this model always chooses itself)
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools to the model."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        """Answer the last message: phrase tool results, or decide what to do."""
        del stop, run_manager  # templates have no end to stop at
        history = read_history(messages)
        tools = _schemas(kwargs.get("tools") or [])
        if messages and is_correction(messages[-1]):
            reply = _spoken(say("answer", plainly(history.current)), "")
        elif steps := _bound(next_calls(history.current.calls), tools):
            reply = _spoken(Decision("tools", calls=tuple(steps)), "")
            reply.tool_calls = _tool_calls(steps, len(messages))
        elif history.current.calls:
            told = tell(history.current.calls, tools, history.current.said)
            decision = Decision("clarify" if told.is_question else "answer", text=told.text)
            asked = self._understanding(history, {}) if told.is_question else None
            reply = _spoken(decision, asked.whole_request(history) if asked else "")
        else:
            decision = _offered(self._understanding(history, tools).decide(history), tools)
            reply = _spoken(decision, decision.request or history.current.said)
            reply.tool_calls = _tool_calls(decision.calls, len(messages))
        reply.usage_metadata = _usage(messages, reply)
        return ChatResult(generations=[ChatGeneration(message=reply)])

    def _understanding(self, history: History, tools: Mapping[str, Json]) -> Understanding:
        return Understanding(self._linker(), scorer(), tools, _today(history))

    def _linker(self) -> Linker:
        """The linker of the catalogue as it is now; the last one is kept while nothing changes."""
        names = self.catalogue()
        kept = self._linked
        if kept is None or (kept[0] is not names and kept[0] != names):
            kept = (names, Linker(names, PROTECTED | scorer().known_words))
            self._linked = kept
        return kept[1]


def _today(history: History) -> date | None:
    """The day of the conversation: from the system prompt, else the age of the newest result."""
    match = _TODAY.search(history.system)
    if match:
        return date.fromisoformat(match[1])
    for made in history.calls():
        as_of = str(made.envelope.get("as_of") or "")
        if re.match(r"\d{4}-\d{2}-\d{2}", as_of):
            return date.fromisoformat(as_of[:10])
    return None


def _schemas(tools: Sequence[Mapping[str, Any]]) -> dict[str, Json]:
    """Properties of the arguments of each bound tool."""
    functions = [tool["function"] for tool in tools]
    return {f["name"]: dict(f.get("parameters", {}).get("properties", {})) for f in functions}


def _bound(steps: Sequence[Request], tools: Mapping[str, Json]) -> list[Request]:
    return [step for step in steps if step.tool in tools]


def _offered(decision: Decision, tools: Mapping[str, Json]) -> Decision:
    """Keep to the tools that are bound and to the arguments that they have."""
    absent = [request.tool for request in decision.calls if request.tool not in tools]
    if absent and len(absent) == len(decision.calls):
        return say("answer", replies.NOT_AVAILABLE.format(tool=absent[0].replace("_", " ")))
    calls = []
    for request in (request for request in decision.calls if request.tool in tools):
        known = {k: v for k, v in request.arguments.items() if k in tools[request.tool]}
        calls.append(Request(request.tool, known))
    return Decision(decision.kind, tuple(calls), decision.text, decision.request)


def _spoken(decision: Decision, request: str) -> AIMessage:
    metadata: dict[str, Any] = {"kind": decision.kind, "model_name": "quartermaster-offline"}
    if decision.kind == "clarify":
        metadata["request"] = request
    return AIMessage(decision.text, response_metadata=metadata)


def _tool_calls(requests: Sequence[Request], position: int) -> list[ToolCall]:
    calls = []
    for index, request in enumerate(requests):
        text = f"{position}:{index}:{request.tool}:{request.arguments}"
        calls.append(
            ToolCall(name=request.tool, args=request.arguments, id=f"q{crc32(text.encode()):08x}")
        )
    return calls


def _usage(messages: Sequence[BaseMessage], reply: AIMessage) -> Any:
    """Sizes as word counts; nothing is billed here."""
    read = sum(len(message.text.split()) for message in messages)
    written = len(reply.text.split())
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
