"""The memory of conversations on PostgreSQL: the same rules as the file, beside our tables."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from sqlalchemy import text

from agent.conversation import Conversations
from agent.memory import open_memory
from agent.memory_postgres import PostgresMemory
from db.models.conversation import Run
from db.session import Database
from db.types import Actor, RunState
from tests.conftest import NOW
from tests.factories import make_world_p
from tests.fakes import FAKE_TOOLS, ScriptedChatModel, Step, calls
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import Conflict

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[2]


@pytest.fixture
def memory(postgres_database: Database) -> Iterator[PostgresMemory]:
    opened = open_memory(postgres_database.url)
    assert isinstance(opened, PostgresMemory)
    yield opened
    opened.close()


def put(saver: PostgresMemory, thread: str, number: int, **configurable: Any) -> None:
    config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": "", **configurable}}
    checkpoint: Any = {
        "v": 4, "id": f"{number:05}", "channel_values": {"n": [number]},
        "channel_versions": {"n": str(number)},
    }  # fmt: skip
    saver.put(config, checkpoint, {}, {"n": str(number)})
    config["configurable"]["checkpoint_id"] = f"{number:05}"
    saver.put_writes(config, [("x", number)], task_id="t1")


def counts(database: Database) -> list[int]:
    with database.read() as session:
        return [
            session.execute(text(f"SELECT count(*) FROM conversation_memory.{table}")).scalar_one()
            for table in ("checkpoints", "checkpoint_writes", "checkpoint_blobs")
        ]


def newest(saver: PostgresMemory, thread: str) -> Any:
    found = saver.get_tuple({"configurable": {"thread_id": thread, "checkpoint_ns": ""}})
    return found and found.checkpoint["channel_values"]


def test_keeps_the_newest_of_each_thread(
    memory: PostgresMemory, postgres_database: Database
) -> None:
    for number in range(1, 8):
        put(memory, "t", number)
        put(memory, "u", number)

    assert newest(memory, "t") == {"n": [7]}
    assert counts(postgres_database) == [2, 2, 2]
    assert memory.threads() == ["t", "u"]
    memory.forget(["t"])
    assert counts(postgres_database) == [1, 1, 1]
    assert newest(memory, "t") is None


def test_what_a_cancelled_turn_found_out_is_not_kept(memory: PostgresMemory) -> None:
    put(memory, "t", 1)

    put(memory, "t", 2, may_save=lambda: False)

    assert newest(memory, "t") == {"n": [1]}


def test_a_planted_command_is_not_run(
    memory: PostgresMemory, postgres_database: Database, tmp_path: Path
) -> None:
    from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_SINGLE_ARG

    from tests.unit.agent.test_memory import attack

    put(memory, "t", 1)
    for table in ("checkpoint_blobs", "checkpoint_writes"):
        with postgres_database.write() as session:
            session.execute(
                text(f"UPDATE conversation_memory.{table} SET type = 'msgpack', blob = :blob"),
                {"blob": attack(tmp_path / "owned", EXT_CONSTRUCTOR_SINGLE_ARG)},
            )

    newest(memory, "t")

    assert not (tmp_path / "owned").exists()


def test_its_tables_are_not_among_ours(memory: PostgresMemory, postgres_database: Database) -> None:
    put(memory, "t", 1)
    with postgres_database.read() as session:
        ours = session.execute(
            text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' "
                 "AND tablename LIKE 'checkpoint%'")
        ).scalar_one()  # fmt: skip

    assert ours == 0


def test_a_lost_connection_is_replaced(memory: PostgresMemory, postgres_database: Database) -> None:
    put(memory, "t", 1)
    with postgres_database.read() as session:
        session.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                 "WHERE application_name = 'quartermaster-memory' AND datname = current_database()")
        )  # fmt: skip

    assert newest(memory, "t") == {"n": [1]}


def test_two_processes_that_start_at_once_share_it(postgres_database: Database) -> None:
    script = (
        "import sys; from agent.memory import open_memory; m = open_memory(sys.argv[1]); "
        "from tests.integration.test_memory_postgres import put; put(m, sys.argv[2], 1); m.close()"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, postgres_database.url, thread],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )
        for thread in ("a", "b")
    ]  # fmt: skip

    errors = [process.communicate(timeout=60)[1] for process in started]

    assert [process.returncode for process in started] == [0, 0], errors
    assert counts(postgres_database) == [2, 2, 2]


class Desk:
    """A planner whose agent remembers on the server."""

    def __init__(self, database: Database) -> None:
        with database.write() as session:
            self.paul: Actor = make_world_p(session).actors["paul"]
        self.database = database

    def open(self, *script: Step) -> tuple[Conversations, ScriptedChatModel]:
        """A process of its own: nothing is shared but the database."""
        model = ScriptedChatModel(*script)
        agent = Conversations(
            self.database, chat_model=model, clock=FixedClock(NOW),
            company=Company(currency="USD"), checkpoints=self.database.url, tools=FAKE_TOOLS,
        )  # fmt: skip
        return agent, model


@pytest.fixture
def desk(postgres_database: Database) -> Desk:
    return Desk(postgres_database)


def test_a_thread_goes_on_after_a_restart(desk: Desk) -> None:
    first, _ = desk.open("There is plenty.")
    thread = first.create_thread(desk.paul)
    first.say(desk.paul, thread, "stock of WIDGET-A?")
    first.close()

    second, model = desk.open("As I said, plenty.")
    second.say(desk.paul, thread, "and again?")
    second.close()

    said = [message.text for message in model.prompts[-1]]
    assert said[-3:] == ["stock of WIDGET-A?", "There is plenty.", "and again?"]


def test_a_cancelled_turn_does_not_enter_the_memory(desk: Desk) -> None:
    def cancel(_prompt: list[BaseMessage]) -> str:
        with desk.database.write() as session:
            session.get_one(Run, run_id).state = RunState.CANCELLED
        pause.wait(0.15)  # longer than a look at the run counts as new
        return "Never mind."

    pause = threading.Event()
    agent, model = desk.open("Hello.", cancel, "Good morning.")
    thread = agent.create_thread(desk.paul)
    agent.say(desk.paul, thread, "one")
    run_id = agent.post(desk.paul, thread, "two")
    with pytest.raises(Conflict):
        agent.execute(run_id)

    agent.say(desk.paul, thread, "three")
    agent.close()

    said = [message.text for message in model.prompts[-1]]
    assert "Never mind." not in said
    assert said[-1] == "three"


def test_a_turn_with_a_tool_is_kept_whole(desk: Desk) -> None:
    agent, _ = desk.open(calls(("get_stock_position", {"sku": "WIDGET-A"})), "540 available.")
    thread = agent.create_thread(desk.paul)

    agent.say(desk.paul, thread, "stock?")

    assert counts(desk.database)[0] == 1
    agent.close()
