"""Long threads, large results, parallel work, junk in the environment."""

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from sqlmodel import select

from agent import prompts
from agent.conversation import Conversations
from agent.graph import MAX_STORED, accept, capped, repaired, unanswered
from agent.memory import Memory
from db.models.conversation import ToolResult
from db.models.purchasing import PurchaseOrder
from db.session import Database
from db.types import Actor
from tests.conftest import NOW
from tests.factories import make_world_p
from tests.fakes import FAKE_TOOLS, ScriptedChatModel, calls
from tests.integration.test_agent_conversation import valid
from tools.clock import FixedClock
from tools.company import Company


@pytest.fixture
def paul(sqlite_database: Database) -> Actor:
    with sqlite_database.write() as session:
        return make_world_p(session).actors["paul"]


def open_agent(database: Database, path: Path, model: ScriptedChatModel) -> Conversations:
    return Conversations(
        database, chat_model=model, clock=FixedClock(NOW), company=Company(currency="USD"),
        checkpoints=path / "memory.db", tools=FAKE_TOOLS,
    )  # fmt: skip


def file_of(agent: Conversations) -> sqlite3.Connection:
    """Return the memory file of an agent."""
    assert isinstance(agent._memory, Memory)
    return agent._memory.conn


def three_calls(messages: list[BaseMessage]) -> AIMessage | str:
    turn = messages[max(i for i, m in enumerate(messages) if isinstance(m, HumanMessage)) :]
    done = sum(isinstance(message, ToolMessage) for message in turn)
    if done < 3:
        return calls(("list_rows", {"count": 5, "text": f"some words, step {done}"}))
    return "Done."


def test_a_long_thread_stays_small_fast_and_valid(
    sqlite_database: Database, paul: Actor, tmp_path: Path
) -> None:
    model = ScriptedChatModel(three_calls)
    agent = open_agent(sqlite_database, tmp_path, model)
    thread = agent.create_thread(paul)

    seconds = []
    for number in range(100):
        begun = time.thread_time()
        agent.execute(agent.post(paul, thread, f"question {number}"))
        seconds.append(time.thread_time() - begun)

    rows = file_of(agent).execute("SELECT count(*), max(length(checkpoint)) FROM checkpoints")
    assert rows.fetchone() <= (1, 100_000)
    agent.close()
    assert (tmp_path / "memory.db").stat().st_size < 1_000_000
    assert all(valid(prompt) for prompt in model.prompts)
    assert max(len(prompt) for prompt in model.prompts) <= MAX_STORED + 9
    assert sorted(seconds[-10:])[5] < 3 * sorted(seconds[:10])[5]


def test_a_large_result_leaves_prompt_and_memory_small(
    sqlite_database: Database, paul: Actor, tmp_path: Path
) -> None:
    model = ScriptedChatModel(calls(("list_rows", {"count": 50_000})), "There are 50,000 rows.")
    agent = open_agent(sqlite_database, tmp_path, model)
    thread = agent.create_thread(paul)

    agent.execute(agent.post(paul, thread, "all rows"))

    assert agent.messages(paul, thread)[-1].text == "There are 50,000 rows."
    assert prompts.estimated_tokens(model.prompts[-1]) < 3_000
    size = file_of(agent).execute("SELECT max(length(checkpoint)) FROM checkpoints").fetchone()
    assert size[0] < 100_000
    with sqlite_database.read() as session:
        stored = session.exec(select(ToolResult)).one()
        assert len(stored.result["data"]["rows"]) == 50_000
    agent.close()


def test_parallel_drafts_and_slow_reads_do_not_lock_the_database(
    sqlite_database: Database, paul: Actor, tmp_path: Path
) -> None:
    together = [("draft_purchase_order", {"sku": "WIDGET-A", "quantity": n}) for n in (1, 2, 3, 4)]
    slow = [("wait_a_moment", {"ms": ms}) for ms in (300, 301)]
    model = ScriptedChatModel(calls(*slow, *together), "Done.")
    agent = open_agent(sqlite_database, tmp_path, model)
    thread = agent.create_thread(paul)

    begun = time.monotonic()
    agent.execute(agent.post(paul, thread, "go"))

    assert time.monotonic() - begun < 5
    with sqlite_database.read() as session:
        assert len(session.exec(select(PurchaseOrder)).all()) == 5
        assert all(row.result["ok"] for row in session.exec(select(ToolResult)))
    agent.close()


def test_memory_holds_no_identity_beside_the_thread(
    sqlite_database: Database, paul: Actor, tmp_path: Path
) -> None:
    agent = open_agent(sqlite_database, tmp_path, ScriptedChatModel("Hello."))
    thread = agent.create_thread(paul)
    agent.execute(agent.post(paul, thread, "hello"))

    rows = file_of(agent).execute("SELECT metadata, checkpoint FROM checkpoints").fetchall()

    assert b"paul" not in b"".join(part for row in rows for part in row).lower()
    assert set(json.loads(rows[0][0])) <= {"source", "step", "parents"}
    agent.close()


def test_tracing_stays_off_whatever_the_environment_says(
    sqlite_database: Database, paul: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING_V2"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://192.0.2.1:9")
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_junk")
    agent = open_agent(sqlite_database, tmp_path, ScriptedChatModel("Hello."))
    thread = agent.create_thread(paul)

    agent.execute(agent.post(paul, thread, "hello"))  # the socket guard would refuse a connection

    assert agent.messages(paul, thread)[-1].text == "Hello."
    agent.close()


def _call(*ids: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": "t", "args": {}, "id": id_} for id_ in ids])


def _answer(id_: str) -> ToolMessage:
    return ToolMessage("{}", tool_call_id=id_)


class TestHistory:
    @pytest.mark.parametrize(
        "broken",
        [
            [HumanMessage("a"), _call("1", "2"), HumanMessage("b")],
            [HumanMessage("a"), _call("1", "2"), _answer("2"), HumanMessage("b")],
            [HumanMessage("a"), _call("1"), HumanMessage("b"), _answer("1")],
            [_answer("9"), HumanMessage("a"), _call("1")],
            [],
        ],
    )
    def test_repair_answers_every_call(self, broken: list[BaseMessage]) -> None:
        whole = repaired(broken)

        assert valid(whole)
        assert repaired(whole) == whole

    def test_a_valid_history_stays_as_it_is(self) -> None:
        said = [HumanMessage("a"), _call("1", "2"), _answer("1"), _answer("2"), AIMessage("b")]

        assert repaired(list(said)) == said

    def test_the_cap_cuts_before_a_question(self) -> None:
        said: list[BaseMessage] = []
        for _ in range(30):
            said += [HumanMessage("a"), _call("1"), _answer("1"), AIMessage("b")]

        kept = capped(said)

        assert len(kept) == MAX_STORED
        assert isinstance(kept[0], HumanMessage)
        assert len(capped([HumanMessage("a"), *(said[1:4] * 30)])) > MAX_STORED  # one long turn

    def test_a_cap_without_any_question_still_cuts(self) -> None:
        notices: list[BaseMessage] = [AIMessage(f"notice {n}") for n in range(99)]

        assert capped(notices) == notices[-MAX_STORED:]

    def test_calls_over_the_limit_are_answered_and_the_rest_waits(self) -> None:
        many: Any = [("t", {"n": n % 12}) for n in range(24)]

        accepted = accept(calls(*many))

        assert len(unanswered(accepted)) == 8
        assert len(accepted) == 1 + 4
