"""The look-round of the server: who is served next, and what happens when a step fails."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from api.background import Background
from api.bootstrap import System, build_system
from api.settings import Settings
from db.models.conversation import Run, Thread
from db.models.identity import IdempotentRequest
from db.types import RunState
from tests.conftest import NOW
from tests.factories import make_users
from tests.factories_rest import eventually
from tools.clock import FixedClock


class FakeConversations:
    """Ends runs, or fails, and remembers the order."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.executed: list[int] = []
        self.is_broken = False
        self.is_warm = threading.Event()
        self.forgotten: list[datetime] = []
        self.hold = threading.Event()
        self.hold.set()

    def execute(self, run_id: int) -> None:
        """Answer a run."""
        with self.system.database.write() as session:
            run = session.get_one(Run, run_id)
            run.state = RunState.RUNNING
            session.add(run)
        self.executed.append(run_id)
        self.hold.wait(10)
        with self.system.database.write() as session:
            run = session.get_one(Run, run_id)
            run.state = RunState.FAILED if self.is_broken else RunState.COMPLETED
            session.add(run)
        if self.is_broken:
            raise ZeroDivisionError

    def forget(self, *, since: datetime) -> int:
        """Remember from when on things are kept."""
        self.forgotten.append(since)
        return 0

    def recover(self) -> int:
        """Recover nothing."""
        if self.is_broken:
            raise ZeroDivisionError
        return 0

    def warm(self) -> None:
        """Remember that the server asked for it."""
        self.is_warm.set()

    def close(self) -> None:
        """Close nothing."""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    settings = Settings(data_dir=tmp_path, chat_workers=2, shutdown_grace_s=5)
    built = build_system(settings, clock=FixedClock(NOW))
    with built.database.write() as session:
        owner_id = make_users(session)["paul"].user_id
        session.add_all(Thread(id=f"t-{n}", owner_id=owner_id, created_at=NOW) for n in (1, 2))
        session.flush()
        for thread in ("t-1", "t-1", "t-2"):
            session.add(Run(thread_id=thread, actor_id=owner_id, created_at=NOW))
            session.flush()
    yield built
    built.close()


@pytest.fixture
def fake(system: System, monkeypatch: pytest.MonkeyPatch) -> FakeConversations:
    conversations = FakeConversations(system)
    monkeypatch.setattr(System, "conversations", conversations)
    return conversations


@pytest.fixture
def background(system: System, fake: FakeConversations) -> Iterator[Background]:
    started = Background(system)
    yield started
    fake.hold.set()
    started.stop()


def test_threads_are_served_side_by_side_and_each_in_order(
    background: Background, fake: FakeConversations
) -> None:
    fake.hold.clear()
    background.start()

    eventually(lambda: len(fake.executed) == 2)
    assert sorted(fake.executed) == [1, 3]  # one of each thread; run 2 waits for run 1
    fake.hold.set()

    eventually(lambda: len(fake.executed) == 3)
    assert fake.executed[-1] == 2
    assert background.health() == "ok"


def test_the_model_is_warmed_at_the_start(background: Background, fake: FakeConversations) -> None:
    background.start()

    assert fake.is_warm.wait(10)


def test_old_rows_go_at_the_start_and_are_not_looked_for_again(
    background: Background, fake: FakeConversations, system: System
) -> None:
    with system.database.write() as session:
        session.add(
            IdempotentRequest(
                principal_id=1, key="k", request="r", body_hash="h",
                created_at=NOW - timedelta(days=8),
            )
        )  # fmt: skip

    background.start()

    eventually(lambda: fake.forgotten)
    assert fake.forgotten == [NOW - timedelta(days=30)]
    with system.database.read() as session:
        assert session.exec(select(IdempotentRequest)).all() == []


def test_a_thread_that_a_cancelled_turn_still_holds_waits(
    background: Background, fake: FakeConversations, system: System
) -> None:
    with system.database.write() as session:
        thread = session.get_one(Thread, "t-1")
        thread.lease_until, thread.lease_holder = NOW + timedelta(seconds=60), "w-1"
        session.add(thread)

    background.start()
    eventually(lambda: fake.executed)
    eventually(lambda: background.health() == "ok")
    assert fake.executed == [3]
    with system.database.write() as session:
        session.get_one(Thread, "t-1").lease_until = None
    eventually(lambda: sorted(fake.executed) == [1, 2, 3])


def test_a_failing_step_is_logged_and_does_not_stop_the_others(
    background: Background, fake: FakeConversations, caplog: pytest.LogCaptureFixture
) -> None:
    fake.is_broken = True
    background.start()

    def failed() -> list[str]:
        return [record.step for record in caplog.records if hasattr(record, "step")]

    eventually(lambda: len(failed()) == 4)
    assert sorted(failed()) == ["recover", "run 1", "run 2", "run 3"]  # once each
    assert background.health() == "failing: recover"


def test_stopping_lets_a_turn_finish(
    background: Background, fake: FakeConversations, system: System
) -> None:
    fake.hold.clear()
    background.start()
    eventually(lambda: len(fake.executed) == 2)

    threading.Timer(0.2, fake.hold.set).start()
    background.stop()

    with system.database.read() as session:
        states = [session.get_one(Run, run_id).state for run_id in (1, 3)]
        assert states == [RunState.COMPLETED, RunState.COMPLETED]


def test_a_server_that_never_looked_round_is_not_healthy(background: Background) -> None:
    assert background.health() == "no heartbeat"
    background.start()
