"""Rows of conversations: threads with their lease, messages, runs and events.

A run goes queued -> running -> completed | failed. One run at a time works on a thread: it holds
the thread's lease, which is taken and kept by compare-and-set, so that a dead worker's lease runs
out and a slow worker that lost its lease cannot write.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from sqlalchemy import CursorResult, delete, func, or_, update
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from db.models.conversation import Message, Run, RunEvent, Thread, ToolResult
from db.models.identity import User
from db.types import Actor, RunState
from tools.errors import Conflict, Forbidden, InvalidInput, NotFound

logger = logging.getLogger(__name__)

LONGEST_TEXT = 8_000
Row = TypeVar("Row", bound=SQLModel)
MAX_ATTEMPTS = 2  # a run that killed its worker twice is not tried again
RESULTS_PER_RUN = 1_000  # ids of tool results are run id * this + ordinal: known before the insert
INTERRUPTED = (
    "This turn was interrupted before it finished. Nothing was sent; a draft it may have made is "
    "in the order list. Please ask again."
)


@dataclass(frozen=True)
class Claim:
    """A run that this worker may execute, and what it needs to know."""

    run_id: int
    thread_id: str
    holder: str
    actor: Actor
    text: str
    decision: str
    turn: str
    kept_results: int


def own_thread(session: Session, actor: Actor, thread_id: str) -> Thread:
    """Return a thread of this person.

    Raises:
        NotFound: There is none with this id, or it belongs to somebody else.
    """
    thread = session.get(Thread, thread_id)
    if thread is None or thread.owner_id != actor.user_id:
        raise NotFound(f"there is no conversation {thread_id!r}")
    return thread


def checked_text(text: str) -> str:
    """Return the message without control characters and outer space.

    Raises:
        InvalidInput: Nothing is left, or it is too long.
    """
    clean = "".join(sign for sign in text if sign.isprintable() or sign in "\n\t").strip()
    if not clean:
        raise InvalidInput("a message needs some text")
    if len(clean) > LONGEST_TEXT:
        raise InvalidInput(
            f"a message holds at most {LONGEST_TEXT:,} characters, got {len(clean):,}"
        )
    return clean


def detached(session: Session, statement: SelectOfScalar[Row]) -> list[Row]:
    """Return rows that can be read after the session has ended."""
    rows = list(session.exec(statement))
    session.expunge_all()
    return rows


def inbound(session: Session, thread_id: str, client_key: str | None) -> Message | None:
    """Return the message that came in under this key, if there is one."""
    if client_key is None:
        return None
    return session.exec(
        select(Message).where(Message.thread_id == thread_id, Message.client_key == client_key)
    ).first()


def queue(session: Session, message: Message, *, actor_id: int, work: Mapping[str, Any]) -> Run:
    """Store an inbound message and the run that will answer it."""
    run = Run(
        thread_id=message.thread_id,
        actor_id=actor_id,
        input=dict(work),
        created_at=message.created_at,
    )
    session.add(run)
    session.flush()
    message.run_id = run.id
    session.add(message)
    session.flush()
    run.input = {**run.input, "message_id": message.id}
    session.add(run)
    session.flush()
    return run


def claim(
    session: Session, run_id: int, *, holder: str, now: datetime, lease: timedelta
) -> Claim | None:
    """Take a queued run and its thread's lease; None when the run is no longer queued.

    Raises:
        NotFound: There is no such run.
        Conflict: Another run is working on the thread.
    """
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id!r}")
    if run.state != RunState.QUEUED:
        return None
    if not _take_lease(session, run.thread_id, holder=holder, now=now, until=now + lease):
        raise Conflict(
            "this conversation is still answering another message",
            next_step="Wait for that answer and send it again.",
        )
    started = update(Run).where(col(Run.id) == run_id, col(Run.state) == RunState.QUEUED)
    if not _changed(session, started.values(state=RunState.RUNNING)):
        release(session, run.thread_id, holder)
        return None
    session.add(RunEvent(run_id=run_id, kind="run.started", content={}, created_at=now))
    kept = select(func.count()).select_from(ToolResult).where(ToolResult.run_id == run_id)
    return Claim(
        run_id=run_id,
        thread_id=run.thread_id,
        holder=holder,
        actor=_actor(session, run.actor_id),
        text=str(run.input.get("text", "")),
        decision=str(run.input.get("decision", "")),
        turn=str(run.input["message_id"]),
        kept_results=session.exec(kept).one(),
    )


def _actor(session: Session, user_id: int) -> Actor:
    user = session.get_one(User, user_id)
    if not user.is_active:
        raise Forbidden(f"{user.login!r} is not active any more")
    return Actor(user_id=user_id, login=user.login, name=user.name, role=user.role)


def _take_lease(
    session: Session, thread_id: str, *, holder: str, now: datetime, until: datetime
) -> bool:
    free = or_(col(Thread.lease_until).is_(None), col(Thread.lease_until) < now)
    taken = update(Thread).where(col(Thread.id) == thread_id, free)
    return _changed(session, taken.values(lease_until=until, lease_holder=holder))


def extend_lease(session: Session, thread_id: str, holder: str, until: datetime) -> bool:
    """Keep the lease for longer; False when it was lost."""
    mine = update(Thread).where(col(Thread.id) == thread_id, col(Thread.lease_holder) == holder)
    return _changed(session, mine.values(lease_until=until))


def release(session: Session, thread_id: str, holder: str) -> bool:
    """Give the lease back; False when it was lost."""
    mine = update(Thread).where(col(Thread.id) == thread_id, col(Thread.lease_holder) == holder)
    return _changed(session, mine.values(lease_until=None, lease_holder=""))


def finish(session: Session, claimed: Claim, *, reply: str, state: RunState, now: datetime) -> None:
    """Store the reply, close the run and give the lease back.

    Raises:
        Conflict: The lease was lost to another worker, which answers instead.
    """
    if not release(session, claimed.thread_id, claimed.holder):
        raise Conflict(f"the lease of run {claimed.run_id} was lost; its answer is dropped")
    session.add(
        Message(
            thread_id=claimed.thread_id,
            role="assistant",
            text=reply,
            run_id=claimed.run_id,
            created_at=now,
        )
    )
    closed = update(Run).where(col(Run.id) == claimed.run_id)
    session.execute(closed.values(state=state, finished_at=now))


def recover(session: Session, now: datetime) -> int:
    """Queue runs again whose worker died; give up on those that were tried often enough."""
    dead = (
        select(Run)
        .join(Thread, col(Thread.id) == col(Run.thread_id))
        .where(Run.state == RunState.RUNNING)
        .where(or_(col(Thread.lease_until).is_(None), col(Thread.lease_until) < now))
    )
    runs = session.exec(dead).all()
    for run in runs:
        if _attempts(session, run.id) < MAX_ATTEMPTS:
            run.state = RunState.QUEUED
        else:
            _give_up(session, run, now)
        session.add(run)
        logger.warning("run recovered", extra={"run": run.id, "state": run.state.value})
    session.flush()
    return len(runs)


def _attempts(session: Session, run_id: int) -> int:
    started = select(func.count()).select_from(RunEvent)
    return session.exec(
        started.where(RunEvent.run_id == run_id, RunEvent.kind == "run.started")
    ).one()


def _give_up(session: Session, run: Run, now: datetime) -> None:
    run.state, run.finished_at = RunState.FAILED, now
    session.add(
        Message(
            thread_id=run.thread_id, role="assistant", text=INTERRUPTED, run_id=run.id,
            created_at=now,
        )
    )  # fmt: skip
    for kind, content in (
        ("message.completed", {"text": INTERRUPTED}),
        ("run.failed", {"error": INTERRUPTED}),
    ):
        session.add(RunEvent(run_id=run.id, kind=kind, content=content, created_at=now))


def forget_thread(session: Session, thread_id: str) -> None:
    """Delete a conversation; orders, approvals and the audit trail stay."""
    runs = select(col(Run.id)).where(Run.thread_id == thread_id)
    session.execute(delete(RunEvent).where(col(RunEvent.run_id).in_(runs)))
    for table in (ToolResult, Message, Run):
        session.execute(delete(table).where(col(table.thread_id) == thread_id))
    session.execute(delete(Thread).where(col(Thread.id) == thread_id))


def _changed(session: Session, statement: Any) -> bool:
    result = cast("CursorResult[Any]", session.execute(statement))
    return result.rowcount == 1
