"""What is old goes, a batch at a time; what is a record stays."""

from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, SQLModel, func, select

from db.models.audit import AuditEvent
from db.models.conversation import Message, Run, RunEvent, Thread, ToolResult
from db.models.identity import IdempotentRequest, UserSession
from db.session import Database
from db.types import RunState
from tests.conftest import NOW
from tests.factories import make_users
from tests.factories_orders import Desk
from tools.retention.core import Retention
from tools.retention.service import prune, quiet_threads

OLD = NOW - timedelta(days=91)
LATELY = NOW - timedelta(days=89)


def talk(session: Session, thread: str, at: datetime, state: RunState = RunState.COMPLETED) -> None:
    """A question with its answer, one event and one result."""
    if session.get(Thread, thread) is None:
        session.add(Thread(id=thread, owner_id=1, created_at=at))
        session.flush()
    run = Run(thread_id=thread, actor_id=1, state=state, input={}, created_at=at)
    session.add(run)
    session.flush()
    session.add(RunEvent(run_id=run.id, kind="run.started", created_at=at))
    session.add(ToolResult(thread_id=thread, run_id=run.id, tool="t", created_at=at))
    for role in ("user", "assistant"):
        session.add(Message(thread_id=thread, role=role, text="x", run_id=run.id, created_at=at))
    session.flush()


def count(session: Session, model: type[SQLModel]) -> int:
    return session.exec(select(func.count()).select_from(model)).one()


def prune_all(session: Session, batch_rows: int = 500) -> dict[str, int]:
    gone: dict[str, int] = {}
    while batch := prune(session, Retention(), now=NOW, batch_rows=batch_rows):
        assert max(batch.values()) <= batch_rows
        gone = {name: gone.get(name, 0) + batch.get(name, 0) for name in {*gone, *batch}}
    return gone


@pytest.fixture(autouse=True)
def _people(request: pytest.FixtureRequest) -> None:
    if "session" in request.fixturenames:
        make_users(request.getfixturevalue("session"))


def test_old_conversations_go_and_newer_ones_stay(session: Session) -> None:
    talk(session, "old", OLD)
    talk(session, "both", OLD)
    talk(session, "both", LATELY)

    gone = prune_all(session)

    assert gone == {"message": 4, "run": 2, "run_event": 2, "tool_result": 2, "thread": 1}
    assert [thread.id for thread in session.exec(select(Thread)).all()] == ["both"]
    assert count(session, Message) == 2


def test_a_turn_that_still_waits_stays_whole(session: Session) -> None:
    talk(session, "t", OLD, RunState.QUEUED)

    gone = prune_all(session)

    assert gone == {"tool_result": 1}
    assert (count(session, Run), count(session, Message), count(session, Thread)) == (1, 2, 1)


def test_batches_are_small(session: Session) -> None:
    for _ in range(5):
        talk(session, "old", OLD)

    gone = prune_all(session, batch_rows=3)

    assert gone["message"] == 10
    assert count(session, Thread) == 0


def test_remembered_answers_and_ended_sign_ins_go_after_a_week(session: Session) -> None:
    for days in (6, 8):
        at = NOW - timedelta(days=days)
        session.add(
            IdempotentRequest(
                principal_id=1, key=f"k{days}", request="r", body_hash="h", created_at=at
            )
        )
        session.add(
            UserSession(
                token_hash=bytes([days]) * 32, user_id=1, created_at=at, last_seen_at=at,
                expires_at=at,
            )
        )  # fmt: skip
    session.flush()

    assert prune_all(session) == {"idempotent_request": 1, "user_session": 1}
    assert session.exec(select(IdempotentRequest.key)).all() == ["k6"]


def test_orders_and_the_trail_are_never_deleted(database: Database, tmp_path: object) -> None:
    desk = Desk(database, tmp_path)  # type: ignore[arg-type]
    desk.sent()
    far = NOW + timedelta(days=4000)
    with database.write() as session:
        before = count(session, AuditEvent)
        prune(session, Retention(), now=far)

    assert desk.order("PO-2001").number == "PO-2001"
    assert len(desk.outbox()) == 1
    assert len(desk.trail()) == before
    assert desk.audit().ok


def test_the_model_forgets_where_nobody_wrote(session: Session) -> None:
    talk(session, "quiet", OLD)
    talk(session, "lively", LATELY)
    talk(session, "waiting", OLD, RunState.QUEUED)

    quiet = quiet_threads(
        session, ["gone", "lively", "quiet", "waiting"], since=NOW - timedelta(days=90)
    )

    assert quiet == ["gone", "quiet"]
