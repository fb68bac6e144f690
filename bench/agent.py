"""What a chat turn costs beside the bare loop, and whether a long thread stays fast and small.

"Bare" is a LangGraph loop of the same shape: intake (which does nothing), a model node and one
task per tool call (``Send``), ``add_messages``, SqliteSaver on a file with ``durability="exit"``,
the same scripted model and the same tools called in the same way. It keeps no message, run, event
or result rows, has no lease, no history repair, no grounding check and no role filter. Ours is
``say`` with all of that, on files, as in the terminal. Both run alternately, each
turn in a new thread; medians are compared.
"""

import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict
from uuid import uuid4

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send
from langsmith import tracing_context
from sqlmodel import Session, select

from agent import prompts
from agent.conversation import Conversations
from agent.memory import Memory
from agent.offline.model import OfflineChatModel
from db import schema
from db.models.catalog import Item
from db.models.stock import StockLevel
from db.session import Database
from db.types import Actor
from tests.conftest import AUDIT_INFO, NOW
from tests.factories import make_world_p
from tests.fakes import ScriptedChatModel, calls
from tools.catalog.service import snapshot
from tools.clock import FixedClock
from tools.company import Company
from tools.wrapping import Result, ToolContext, tool

TURNS = 60


@tool(effect="read")
def look_up(session: Session, _context: ToolContext, *, sku: str, what: str) -> Result:
    """Read an item and its stock, and answer with about 400 bytes.

    Args:
        sku: Item, e.g. "WIDGET-A".
        what: Anything, e.g. "stock".
    """
    item = session.exec(select(Item).where(Item.sku == sku)).one()
    level = session.exec(select(StockLevel).where(StockLevel.item_id == item.id)).one()
    facts = {"on_hand": level.on_hand_units, "allocated": level.allocated_units, "what": what}
    return Result({"sku": item.sku, "name": item.name, "uom": item.uom, "pad": "x" * 200} | facts)


TOOLS = (look_up,)


def three_calls(messages: list[BaseMessage]) -> AIMessage | str:
    """Call a tool three times in a row, then answer."""
    done = 0
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            break
        done += isinstance(message, ToolMessage)
    if done < 3:
        return calls(("look_up", {"sku": "WIDGET-A", "what": f"step {done}"}))
    return "There are 620 on hand, of which 80 are allocated."


class Bench:
    """A database with fixture P, our agent and the bare loop, all on files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(f"sqlite:///{folder / 'qm.db'}", session_info=AUDIT_INFO)
        schema.metadata().create_all(self.database.engine)
        with self.database.write() as session:
            self.paul: Actor = make_world_p(session).actors["paul"]
        self.clock, self.company = FixedClock(NOW), Company(currency="USD")
        self.bare = _bare_graph(self._context(), folder / "bare.db")

    def agent(self, script: Callable[[list[BaseMessage]], AIMessage | str]) -> Conversations:
        return Conversations(
            self.database,
            chat_model=ScriptedChatModel(script),
            clock=self.clock,
            company=self.company,
            checkpoints=self.folder / f"{script.__name__}.db",
            tools=TOOLS,
        )

    def _context(self) -> ToolContext:
        return ToolContext(
            self.database.read, self.database.write, self.paul, self.clock, self.company
        )

    def bare_turn(self) -> None:
        config: Any = {"configurable": {"thread_id": uuid4().hex}}
        start = {"messages": [HumanMessage("How much WIDGET-A is there?")]}
        with tracing_context(enabled=False):
            self.bare.invoke(start, config, durability="exit")

    def turn(self, agent: Conversations, thread: str | None = None) -> None:
        thread = thread or agent.create_thread(self.paul)
        agent.say(self.paul, thread, "How much WIDGET-A is there?")


class BareState(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def _bare_graph(context: ToolContext, path: Path) -> Any:
    model = ScriptedChatModel(three_calls).bind_tools(prompts.schemas_for_model(TOOLS))

    def intake(_state: dict[str, Any]) -> dict[str, Any]:
        return {}

    def think(state: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def act(state: dict[str, Any]) -> dict[str, Any]:
        call = state["call"]
        text = json.dumps(look_up.call(context, call["args"]))
        return {"messages": [ToolMessage(text, tool_call_id=call["id"])]}

    def route(state: dict[str, Any]) -> Any:
        return [Send("act", {"call": call}) for call in state["messages"][-1].tool_calls] or END

    builder: Any = StateGraph(BareState)
    builder.add_node("intake", intake)
    builder.add_node("think", think)
    builder.add_node("act", act)
    builder.add_edge(START, "intake")
    builder.add_edge("intake", "think")
    builder.add_conditional_edges("think", route, ["act", END])
    builder.add_edge("act", "think")
    return builder.compile(checkpointer=SqliteSaver(sqlite3.connect(path, check_same_thread=False)))


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _row(name: str, value: float, unit: str, most: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "goal": f"<= {most:g}",
        "holds": value <= most,
    }


def _against_bare(bench: Bench) -> list[dict[str, Any]]:
    agent = bench.agent(three_calls)
    for _ in range(5):
        bench.turn(agent)
        bench.bare_turn()
    ours, bare = [], []
    for _ in range(TURNS):
        bare.append(_timed(bench.bare_turn))
        thread = agent.create_thread(bench.paul)
        ours.append(_timed(lambda thread=thread: bench.turn(agent, thread)))  # type: ignore[misc]
    agent.close()
    ratio = statistics.median(ours) / statistics.median(bare)
    return [
        _row("turn with three tool calls / bare loop", ratio, "x", 1.5),
        _row("turn with three tool calls", 1000 * statistics.median(ours), "ms", 100.0),
    ]


def _long_thread(bench: Bench) -> list[dict[str, Any]]:
    """Turns 98-102 against turns 1-5: one slow turn must not decide."""
    agent = bench.agent(three_calls)
    firsts, lasts = [], []
    threads = [agent.create_thread(bench.paul) for _ in range(5)]
    for thread in threads:
        firsts.append(_timed(lambda thread=thread: bench.turn(agent, thread)))  # type: ignore[misc]
    for number in range(2, 103):
        seconds = _timed(lambda: bench.turn(agent, threads[0]))
        if number >= 98:
            lasts.append(seconds)
    memory = agent._memory
    assert isinstance(memory, Memory)
    size = memory.conn.execute(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    ).fetchone()[0]
    agent.close()
    return [
        _row(
            "turn 100 / turn 1 of a thread",
            statistics.median(lasts) / statistics.median(firsts),
            "x",
            2.0,
        ),
        _row("checkpoint file after 100 turns", size / 1e6, "MB", 1.0),
    ]


def _single_question(bench: Bench) -> list[dict[str, Any]]:
    """Whole turns with the offline model and the real tools, from stored forecasts."""
    with bench.database.read() as session:
        names = snapshot(session)
    agent = Conversations(
        bench.database,
        chat_model=OfflineChatModel(catalogue=lambda: names),
        clock=bench.clock,
        company=bench.company,
        checkpoints=bench.folder / "offline.db",
    )
    thread = agent.create_thread(bench.paul)

    def ask(text: str) -> float:
        return _timed(lambda: agent.say(bench.paul, thread, text))

    ask("stock of WIDGET-A")  # the first one reads the example sentences
    stock = [ask("stock of WIDGET-A") for _ in range(TURNS)]
    forecast = [ask("forecast for WIDGET-A for the next 4 weeks") for _ in range(TURNS)]
    agent.close()
    return [
        _row("stock of one SKU, offline model", 1000 * statistics.median(stock), "ms", 50.0),
        _row("forecast of one SKU, offline model", 1000 * statistics.median(forecast), "ms", 50.0),
    ]


def run() -> list[dict[str, Any]]:
    """Measure in a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        rows = _against_bare(bench) + _long_thread(bench) + _single_question(bench)
        bench.database.close()
    return rows
