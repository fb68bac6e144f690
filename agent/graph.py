"""The conversation as a graph: START -> intake -> (decision? narrate : think <-> act) -> END.

``think`` asks the model, ``act`` runs one tool call per task, ``narrate`` tells the thread what a
person decided. No node waits for a person, and no node can approve or send: a decision is a row of
the database and comes in as an input.
"""

import logging
from typing import Any
from uuid import uuid4

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    ToolCall,
    ToolMessage,
)
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from agent import grounding, guard, prompts
from agent.narration import narration
from agent.state import CallTask, State, TurnContext
from agent.toolbox import run_tool, shorten
from tools.errors import ExternalError, NotAuthenticated
from tools.purchasing.core.views import needs_spoken

logger = logging.getLogger(__name__)

MAX_STEPS = 12  # model calls of one turn
MAX_CALLS = 8  # tool calls of one model reply
MAX_STORED = 40  # messages
RECURSION_LIMIT = 4 * MAX_STEPS
STEP_LIMIT = (
    "I stopped: this took more steps than I may use for one answer. What the tools returned so far "
    "is above; please ask for one part of it."
)
BROKEN_CALLS = (
    "The model's tool call arrived {how}, twice in a row, so I ran nothing of it and drafted "
    "nothing. Please ask again, perhaps for less at once."
)
Graph = CompiledStateGraph[State, TurnContext, State, State]


def build_graph(saver: BaseCheckpointSaver[Any]) -> Graph:
    """Compile the graph; run it with ``context=TurnContext(...)`` and RECURSION_LIMIT."""
    builder = StateGraph(State, context_schema=TurnContext)
    builder.add_node("intake", intake)
    builder.add_node("think", think)
    builder.add_node("act", act, input_schema=CallTask)
    builder.add_node("narrate", narrate)
    builder.add_edge(START, "intake")
    builder.add_conditional_edges("intake", _after_intake, ["think", "narrate"])
    builder.add_conditional_edges("think", _after_think, ["think", "act", END])
    builder.add_edge("act", "think")
    builder.add_edge("narrate", END)
    return builder.compile(checkpointer=saver)


def intake(state: State, runtime: Runtime[TurnContext]) -> State:
    """Repair and cap the stored messages before anything reads them.

    Raises:
        NotAuthenticated: The turn was started without a context, so nobody is asking.
    """
    if runtime.context is None:
        raise NotAuthenticated("a turn needs the person who asks")
    messages = state["messages"]
    kept = capped(repaired(_until(messages, state["turn"]["id"])))
    if kept == messages:
        return {}
    return {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), *kept]}


def think(state: State, runtime: Runtime[TurnContext]) -> State:
    """Ask the model for tool calls or a reply; a reply must be grounded."""
    turn, messages = runtime.context, state["messages"]
    turn.stop_if_unwanted()
    steps = _steps(messages)
    if len(steps) >= MAX_STEPS:
        return {"messages": [AIMessage(STEP_LIMIT)]}
    try:
        reply = _grounded(turn, messages, _ask(turn, messages))
    except ExternalError as error:
        cause = type(error.__cause__).__name__  # expected, and the reply says it: no traceback
        logger.info("model server failed", extra={**error.details, "cause": cause})
        reply = AIMessage(error.message)
    if not _has_calls(reply):
        return {"messages": [reply]}
    accepted = accept(reply)
    if not unanswered(accepted) and steps and not any(steps[-1]):
        accepted.append(AIMessage(BROKEN_CALLS.format(how=_how(reply))))
    for call in unanswered(accepted):  # here, in the model's order: the calls run side by side
        turn.journal.emit("step.started", {"tool": call["name"], "arguments": call["args"]})
    return {"messages": accepted}


def act(state: CallTask, runtime: Runtime[TurnContext]) -> State:
    """Run one tool call; the full result becomes a row, the message a short copy of it."""
    turn, call = runtime.context, state["call"]
    turn.stop_if_unwanted()
    envelope = _run(turn, call)
    result_id = turn.journal.keep(call["name"], call["args"], envelope)
    is_ok = bool(envelope["ok"])
    turn.journal.emit("step.completed", {"tool": call["name"], "ok": is_ok, "result_id": result_id})
    if is_ok and call["name"] == "request_approval":
        turn.journal.emit("approval.requested", _approval_card(envelope["data"]))
    message = ToolMessage(
        shorten(envelope),
        tool_call_id=call["id"],
        name=call["name"],
        status="success" if is_ok else "error",
        artifact={"result_id": result_id},
    )
    return {"messages": [message]}


def narrate(state: State, runtime: Runtime[TurnContext]) -> State:
    """Tell the thread what a person decided, in words made from the rows."""
    asking = runtime.context.asking
    with asking.read() as session:
        text = narration(
            session, state["turn"]["decision"], company=asking.company, clock=asking.clock
        )
    said = AIMessage(text, name=grounding.NOTICE, id=f"{state['turn']['id']}-notice")
    return {"messages": [said]}


def _after_intake(state: State) -> str:
    return "narrate" if state["turn"]["decision"] else "think"


def _after_think(state: State) -> str | list[Send]:
    last = state["messages"][-1]
    if isinstance(last, AIMessage) and not last.tool_calls:
        return END
    calls = unanswered(state["messages"])
    return [Send("act", CallTask(call=call)) for call in calls] or "think"


def _steps(messages: list[BaseMessage]) -> list[list[bool]]:
    """For each reply of the model in this turn: which of its calls were run."""
    steps: list[list[bool]] = []
    for message in messages:
        if isinstance(message, HumanMessage):
            steps = []
        elif isinstance(message, AIMessage):
            steps.append([])
        elif steps:
            steps[-1].append(getattr(message, "artifact", None) is not None)
    return steps


def _ask(turn: TurnContext, messages: list[BaseMessage], *more: BaseMessage) -> AIMessage:
    """Ask with as much history as fits; once more with half of it when it did not."""
    model = turn.model.bind_tools(prompts.schemas_for_model(turn.toolbox, turn.brief))
    system = prompts.system_prompt(turn.asking.actor, turn.asking.clock)
    reserved = prompts.schema_tokens(turn.toolbox, turn.brief)
    try:
        sent = prompts.prompt(system, messages, turn.prompt_budget, reserved=reserved)
        return guard.ask(model, [*sent, *more])
    except ExternalError as error:
        if error.details.get("kind") != "context":
            raise
    sent = prompts.prompt(system, messages, turn.prompt_budget // 3, reserved=reserved // 3)
    return guard.ask(model, [*sent, *more])


def _grounded(turn: TurnContext, messages: list[BaseMessage], reply: AIMessage) -> AIMessage:
    """Let a reply through when its figures have a source; else ask once more, else list facts."""
    stray = [] if _has_calls(reply) else grounding.strays(reply.text, messages)
    if not stray:
        return reply
    logger.info("reply had figures without a source", extra={"figures": stray})
    second = _ask(turn, messages, reply, HumanMessage(grounding.correction(stray)))
    if _has_calls(second) or not grounding.strays(second.text, messages):
        return second
    return AIMessage(grounding.safe_reply(messages))


def _run(turn: TurnContext, call: ToolCall) -> dict[str, Any]:
    """Run the tool; a bug in it costs the turn nothing but this result."""
    try:
        return run_tool(turn.toolbox, turn.asking, call["name"], call["args"])
    except Exception:
        incident = uuid4().hex[:8]
        logger.exception("tool failed", extra={"tool": call["name"], "incident": incident})
        return {
            "ok": False,
            "error": "internal",
            "message": f"The tool failed on our side (incident {incident}); nothing was changed.",
            "next": "Tell the user the incident number; do not repeat the call.",
            "details": {},
        }


def _approval_card(data: dict[str, Any]) -> dict[str, Any]:
    names = ("approval_id", "po_id", "version", "total", "currency", "approver_role", "expires_at")
    signatures = data.get("signatures") or 1
    return {name: data.get(name) for name in names} | {
        "required_signatures": signatures,
        "needs": needs_spoken(str(data.get("approver_role")), signatures, ()),
    }


def _has_calls(reply: AIMessage) -> bool:
    return bool(reply.tool_calls or reply.invalid_tool_calls)


def accept(reply: AIMessage) -> list[BaseMessage]:
    """Turn a reply with calls into messages: calls to run are those that have no answer yet.

    The same call twice counts once; what could not be read, and what is over the limit, is answered
    with an error at once.
    """
    calls: list[ToolCall] = []
    for call in reply.tool_calls:
        if not any((call["name"], call["args"]) == (seen["name"], seen["args"]) for seen in calls):
            calls.append(call)
    refusals = [
        _refusal(call, f"At most {MAX_CALLS} calls at once; call this one again later.")
        for call in calls[MAX_CALLS:]
    ]
    for bad in reply.invalid_tool_calls:
        call = ToolCall(name=bad["name"] or "unknown", args={}, id=bad["id"])
        calls.append(call)
        refusals.append(_refusal(call, f"The arguments were {bad['error']}. Send the call again."))
    kept = AIMessage(
        content=guard.visible(reply.text), tool_calls=calls, usage_metadata=reply.usage_metadata
    )
    return [kept, *refusals]


def _refusal(call: ToolCall, text: str) -> ToolMessage:
    return ToolMessage(text, tool_call_id=call["id"], name=call["name"], status="error")


def _how(reply: AIMessage) -> str:
    errors = {call["error"] for call in reply.invalid_tool_calls}
    return "cut off" if "cut off" in errors else "unreadable"


def unanswered(messages: list[BaseMessage]) -> list[ToolCall]:
    """Return the calls of the last reply that have no tool message yet."""
    answered: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            answered.add(message.tool_call_id)
        elif isinstance(message, AIMessage):
            return [call for call in message.tool_calls if call["id"] not in answered]
        else:
            break
    return []


def repaired(messages: list[BaseMessage]) -> list[BaseMessage]:
    """Answer every tool call that a lost turn left open, right behind the reply it belongs to."""
    answers = {said.tool_call_id: said for said in messages if isinstance(said, ToolMessage)}
    whole: list[BaseMessage] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            continue
        whole.append(message)
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            lost = _refusal(call, "The turn ended before this call was answered.")
            whole.append(answers.get(call["id"] or "", lost))
    return whole


def capped(messages: list[BaseMessage], limit: int = MAX_STORED) -> list[BaseMessage]:
    """Return the newest messages, at most ``limit``, beginning with a person's if there is one."""
    if len(messages) <= limit:
        return messages
    starts = [index for index, said in enumerate(messages) if isinstance(said, HumanMessage)]
    within = [index for index in starts if index >= len(messages) - limit]
    return messages[(within or starts[-1:] or [len(messages) - limit])[0] :]


def _until(messages: list[BaseMessage], turn: str) -> list[BaseMessage]:
    """Drop what an earlier attempt at this very turn left behind its first message."""
    for index, message in enumerate(messages):
        if message.id == turn:
            return messages[: index + 1]
    return messages
