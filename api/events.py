"""Runs and their events as doors see them: a table that is tailed, never a live connection.

A door that goes away and comes back with the last event id it saw misses nothing and repeats
nothing, because the run does not know that anybody listens.
"""

import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import anyio
from fastapi.sse import format_sse_event
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool

from db.models.conversation import Run, RunEvent, Thread
from db.session import Database
from db.types import Actor, RunState
from tools.errors import Conflict, NotFound

logger = logging.getLogger(__name__)

POLL_S = 0.1
PING_S = 15.0
LAST_KINDS = frozenset({"run.completed", "run.failed"})
ENDED = (RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED)


class Event(NamedTuple):
    """One step of a run."""

    id: int
    kind: str
    content: Mapping[str, Any]


class Batch(NamedTuple):
    """New events of a run, and whether more can come."""

    events: list[Event]
    has_ended: bool


def own_run(session: Session, actor: Actor, run_id: int) -> Run:
    """Return a run in a thread of this person.

    Raises:
        NotFound: There is none.
    """
    run = session.get(Run, run_id) if abs(run_id) < 2**63 else None
    thread = None if run is None else session.get(Thread, run.thread_id)
    if run is None or thread is None or thread.owner_id != actor.user_id:
        raise NotFound(f"you have no run {run_id}")  # a stranger's run is not shown to exist
    return run


def new_events(database: Database, run_id: int, after: int) -> Batch:
    """Read what came after an event id, in one short transaction."""
    with database.read() as session:
        # The state is read first: an event written before the end is then never missed.
        state = session.exec(select(Run.state).where(Run.id == run_id)).first()
        rows = session.exec(
            select(RunEvent.id, RunEvent.kind, RunEvent.content)
            .where(RunEvent.run_id == run_id, RunEvent.id > after)
            .order_by(col(RunEvent.id))
            .limit(500)
        ).all()
    return Batch([Event(*row) for row in rows], state is None or state in ENDED)


async def tail(database: Database, run_id: int, *, after: int = 0) -> AsyncIterator[bytes]:
    """Yield the events of a run as server-sent events until it ends.

    Args:
        database: Where the events are.
        run_id: The run.
        after: Id of the last event that the caller has.
    """
    sent_s = time.monotonic()
    while True:
        try:
            batch = await run_in_threadpool(new_events, database, run_id, after)
        except SQLAlchemyError:
            logger.exception("event stream broke", extra={"run_id": run_id})
            yield format_sse_event(event="error", data_str='{"error":"unavailable"}')
            return
        for event in batch.events:
            yield format_sse_event(
                id=str(event.id),
                event=event.kind,
                data_str=json.dumps(dict(event.content), ensure_ascii=False),
            )
            after, sent_s = event.id, time.monotonic()
            if event.kind in LAST_KINDS:
                return
        if batch.has_ended and not batch.events:
            return
        if time.monotonic() - sent_s > PING_S:
            sent_s = time.monotonic()
            yield format_sse_event(comment="ping")
        await anyio.sleep(POLL_S)


def cancel(session: Session, run: Run, *, now: datetime) -> None:
    """End a run that waits or works.

    Its worker sees that before its next step and stores nothing more. Until it has stopped it keeps
    the lease of the thread, so the next message waits for it.

    Raises:
        Conflict: The run has ended.
    """
    # The thread's row first, as everybody who ends a run does: else the two wait for each other.
    session.execute(
        select(Thread.id).where(Thread.id == run.thread_id).with_for_update(key_share=True)
    )
    changed = session.execute(
        update(Run)
        .where(col(Run.id) == run.id, col(Run.state).in_((RunState.QUEUED, RunState.RUNNING)))
        .values(state=RunState.CANCELLED, finished_at=now)
        .returning(col(Run.id))
    ).scalar_one_or_none()
    if changed is None:
        raise Conflict(f"run {run.id} has ended already")
    session.add(
        RunEvent(run_id=run.id, kind="run.failed", content={"error": "cancelled"}, created_at=now)
    )
    session.flush()
