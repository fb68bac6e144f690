"""Rows of conversations: threads with their lease, messages, runs and events.

A run goes queued -> running -> completed | failed | cancelled. One run at a time works on a thread:
it holds the thread's lease, which is taken and kept by compare-and-set, so that a dead worker's
lease runs out and a slow worker that lost its lease cannot write. The worker of a cancelled run
keeps the lease until it has stopped. Whoever changes both rows changes the thread's first.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar

from sqlalchemy import Table, Update, bindparam, insert, or_, update
from sqlalchemy import select as select_columns
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from db.models.conversation import Message, Run, RunEvent, Thread, ToolResult
from db.models.identity import User
from db.types import Actor, Permission, RunState
from tools.errors import Conflict, InvalidInput, NotFound

logger = logging.getLogger(__name__)

LONGEST_TEXT = 8_000
Row = TypeVar("Row", bound=SQLModel)
MAX_ATTEMPTS = 2  # a run that killed its worker twice is not tried again
RESULTS_PER_ATTEMPT = 500
INTERRUPTED = (
    "This turn was interrupted before it finished. Nothing was sent; a draft it may have made is "
    "in the order list. Please ask again."
)
NOT_ACTIVE = "Your account is not active any more, so this was not answered. Please ask an admin."


# Every turn runs these statements; built once, they cost a fraction of building them each time.
def _table(model: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(model.__tablename__)]


_THREAD, _RUN, _MESSAGE, _USER = (_table(model) for model in (Thread, Run, Message, User))
_ADD_RUN = insert(_RUN).returning(_RUN.c.id)
_ADD_MESSAGE = insert(_MESSAGE)
_ADD_EVENT = insert(_table(RunEvent))
_ADD_RESULT = insert(_table(ToolResult))
_SEE_OWNER = select_columns(_THREAD.c.owner_id).where(_THREAD.c.id == bindparam("thread"))
_SEE_KEY = select_columns(_MESSAGE.c.run_id).where(
    _MESSAGE.c.thread_id == bindparam("thread"), _MESSAGE.c.client_key == bindparam("key")
)
_SEE_RUN = (
    select_columns(
        _RUN.c.state, _RUN.c.thread_id, _RUN.c.actor_id, _RUN.c.input,
        _MESSAGE.c.id.label("message_id"),
        _USER.c.login, _USER.c.name, _USER.c.role, _USER.c.is_active,
    )
    .join(_USER, _USER.c.id == _RUN.c.actor_id)
    .join(_MESSAGE, _MESSAGE.c.run_id == _RUN.c.id)
    .where(_RUN.c.id == bindparam("run"))
    .order_by(_MESSAGE.c.id)
)  # fmt: skip
_IS_FREE = or_(_THREAD.c.lease_until.is_(None), _THREAD.c.lease_until < bindparam("now"))
_TAKE_LEASE = (
    update(_THREAD)
    .where(_THREAD.c.id == bindparam("thread"), _IS_FREE)
    .values(lease_until=bindparam("until"), lease_holder=bindparam("holder"))
)
_SEE_WORK = (
    select_columns(_RUN.c.id)
    .join(_THREAD, _THREAD.c.id == _RUN.c.thread_id)
    .where(_RUN.c.id == bindparam("run"), _RUN.c.state == RunState.RUNNING)
    .where(_THREAD.c.lease_holder == bindparam("holder"), _THREAD.c.lease_until.is_not(None))
)
_MOVE_LEASE = (
    update(_THREAD)
    .where(_THREAD.c.id == bindparam("thread"), _THREAD.c.lease_holder == bindparam("holder"))
    .values(lease_until=bindparam("until"))
)
_START_RUN = (
    update(_RUN)
    .where(_RUN.c.id == bindparam("run"), _RUN.c.state == RunState.QUEUED)
    .values(state=bindparam("new"))
)
_END_RUN = (
    update(_RUN)
    .where(_RUN.c.id == bindparam("run"), _RUN.c.state == RunState.RUNNING)
    .values(state=bindparam("new"), finished_at=bindparam("at"))
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
    attempt: int

    @property
    def first_result_id(self) -> int:
        """Id of the first tool result: known before it is stored, and no other run's."""
        return (self.run_id * MAX_ATTEMPTS + self.attempt) * RESULTS_PER_ATTEMPT + 1


def check_owner(session: Session, actor: Actor, thread_id: str) -> None:
    """Let only the owner of a thread go on.

    Raises:
        NotFound: There is none with this id, or it belongs to somebody else.
    """
    owner = session.connection().execute(_SEE_OWNER, {"thread": thread_id}).scalar()
    if owner != actor.user_id:
        raise NotFound(f"there is no conversation {thread_id!r}")


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


def message_key(client_key: str | None) -> str | None:
    """Return the stored form of a door's key: never that of a notice, and never too long."""
    return None if client_key is None else f"m:{sha256(client_key.encode()).hexdigest()}"


def inbound(session: Session, thread_id: str, client_key: str | None) -> int | None:
    """Return the run of the message that came in under this key, if there is one."""
    if client_key is None:
        return None
    found = session.connection().execute(_SEE_KEY, {"thread": thread_id, "key": client_key})
    run_id: int | None = found.scalar()
    return run_id


def queue(
    session: Session, message: Mapping[str, Any], *, actor_id: int, work: Mapping[str, Any]
) -> int:
    """Store an inbound message and the run that will answer it; return the run's id."""
    run = {
        "thread_id": message["thread_id"],
        "actor_id": actor_id,
        "input": dict(work),
        "state": RunState.QUEUED,
        "created_at": message["created_at"],
    }
    run_id = int(session.connection().execute(_ADD_RUN, run).scalar_one())
    session.connection().execute(_ADD_MESSAGE, {**message, "run_id": run_id})
    return run_id


def claim(
    session: Session, run_id: int, *, holder: str, now: datetime, lease: timedelta
) -> Claim | None:
    """Take a queued run and its thread's lease; None when the run is no longer queued.

    Raises:
        NotFound: There is no such run.
        Conflict: Another run is working on the thread.
    """
    run = session.connection().execute(_SEE_RUN, {"run": run_id}).first()
    if run is None:
        raise NotFound(f"there is no run {run_id!r}")
    if run.state != RunState.QUEUED:
        return None
    lease_row = {"thread": run.thread_id, "now": now, "until": now + lease, "holder": holder}
    if not _changed(session, _TAKE_LEASE, lease_row):
        raise Conflict(
            "this conversation is still answering another message",
            next_step="Wait for that answer and send it again.",
        )
    is_ours = _changed(session, _START_RUN, {"run": run_id, "new": RunState.RUNNING})
    if is_ours and not run.is_active:
        _give_up(session, run_id, run.thread_id, NOT_ACTIVE, now)
    if not is_ours or not run.is_active:
        release(session, run.thread_id, holder)
        return None
    add_events(session, [_event(run_id, "run.started", {}, now)])
    return Claim(
        run_id=run_id,
        thread_id=run.thread_id,
        holder=holder,
        actor=Actor(
            user_id=run.actor_id,
            login=run.login,
            name=run.name,
            role=run.role,
            permissions=_permissions(run.input.get("permissions")),
        ),
        text=str(run.input.get("text", "")),
        decision=str(run.input.get("decision", "")),
        turn=str(run.message_id),
        attempt=int(run.input.get("attempt", 0)),
    )


def work_of(actor: Actor, text: str) -> dict[str, Any]:
    """Return what a run needs to know of a message: its text, and what the key allows."""
    if actor.permissions is None:
        return {"text": text}
    return {"text": text, "permissions": sorted(actor.permissions)}


def _permissions(stored: Sequence[str] | None) -> frozenset[Permission] | None:
    return None if stored is None else frozenset(map(Permission, stored))


def extend_lease(session: Session, thread_id: str, holder: str, until: datetime) -> bool:
    """Keep the lease for longer; False when it was lost."""
    return _changed(session, _MOVE_LEASE, {"thread": thread_id, "holder": holder, "until": until})


def release(session: Session, thread_id: str, holder: str) -> bool:
    """Give the lease back; False when it was lost."""
    return _changed(session, _MOVE_LEASE, {"thread": thread_id, "holder": holder, "until": None})


def is_working(session: Session, claimed: Claim) -> bool:
    """Whether nobody cancelled the run and its thread's lease is still this worker's."""
    seen = {"run": claimed.run_id, "holder": claimed.holder}
    return session.connection().execute(_SEE_WORK, seen).first() is not None


def finish(session: Session, claimed: Claim, *, reply: str, state: RunState, now: datetime) -> bool:
    """Give the lease back, store the reply and close the run.

    Returns:
        False when somebody cancelled the run meanwhile: nothing is stored then.

    Raises:
        Conflict: The lease was lost to another worker, which answers instead.
    """
    if not release(session, claimed.thread_id, claimed.holder):
        raise Conflict(f"the lease of run {claimed.run_id} was lost; its answer is dropped")
    return _close(session, claimed.run_id, claimed.thread_id, reply=reply, state=state, now=now)


def add_events(session: Session, events: Sequence[Mapping[str, Any]]) -> None:
    """Append events, in this order."""
    if events:
        session.connection().execute(_ADD_EVENT, list(events))


def add_results(session: Session, results: Sequence[Mapping[str, Any]]) -> None:
    """Store full tool results."""
    if results:
        session.connection().execute(_ADD_RESULT, list(results))


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
        attempt = int(run.input.get("attempt", 0)) + 1
        if attempt < MAX_ATTEMPTS:
            run.input = {**run.input, "attempt": attempt}
            run.state = RunState.QUEUED
            session.add(run)
        else:
            _give_up(session, run.id, run.thread_id, INTERRUPTED, now)
        logger.warning("run recovered", extra={"run": run.id, "attempt": attempt})
    session.flush()
    return len(runs)


def _give_up(session: Session, run_id: int, thread_id: str, why: str, now: datetime) -> None:
    _close(session, run_id, thread_id, reply=why, state=RunState.FAILED, now=now)
    said = [("message.completed", {"text": why}), ("run.failed", {"error": why})]
    add_events(session, [_event(run_id, kind, content, now) for kind, content in said])


def _close(
    session: Session, run_id: int, thread_id: str, *, reply: str, state: RunState, now: datetime
) -> bool:
    """End a working run with what is said last; False when it was ended already."""
    if not _changed(session, _END_RUN, {"run": run_id, "new": state, "at": now}):
        return False
    said = {"thread_id": thread_id, "role": "assistant", "text": reply, "run_id": run_id}
    unset = {"client_key": None, "author_id": None}
    session.connection().execute(_ADD_MESSAGE, {**said, **unset, "created_at": now})
    return True


def _event(run_id: int, kind: str, content: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {"run_id": run_id, "kind": kind, "content": content, "created_at": now}


def _changed(session: Session, statement: Update, values: Mapping[str, Any]) -> bool:
    return session.connection().execute(statement, dict(values)).rowcount == 1
