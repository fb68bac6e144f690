"""Delete what is older than the house keeps it: in small batches, never orders, never the trail."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, exists
from sqlmodel import Session, SQLModel, col, select

from db.models.conversation import Message, Run, RunEvent, Thread, ToolResult
from db.models.identity import IdempotentRequest, UserSession
from db.types import RunState
from tools.retention.core import Retention

BATCH_ROWS = 500
_ENDED = (RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED)


def prune(
    session: Session, keep: Retention, *, now: datetime, batch_rows: int = BATCH_ROWS
) -> dict[str, int]:
    """Delete one batch of each kind; call it again while it deletes something.

    Args:
        session: A write transaction; short, so that nobody waits long.
        keep: How long things are kept.
        now: Time.
        batch_rows: Most rows that are deleted of a table.

    Returns:
        How many rows were deleted, by table; tables without any are left out.
    """
    gone = {
        model.__tablename__: _delete(session, model, is_old, batch_rows)
        for model, is_old in _old(keep, now).items()
    }
    return {str(name): count for name, count in gone.items() if count}


def quiet_threads(session: Session, remembered: list[str], *, since: datetime) -> list[str]:
    """Return those of the remembered threads in which nobody wrote since, or that are gone."""
    lively = select(Message.thread_id).where(Message.created_at >= since).distinct()
    busy = select(Run.thread_id).where(col(Run.state).not_in(_ENDED)).distinct()
    awake = {*session.exec(lively).all(), *session.exec(busy).all()}
    return [thread for thread in remembered if thread not in awake]


def _old(keep: Retention, now: datetime) -> Mapping[type[SQLModel], ColumnElement[bool]]:
    """Say what is old, children before those they refer to."""
    chat = now - keep.chat
    ended = select(Run.id).where(col(Run.state).in_(_ENDED), col(Run.created_at) < chat)
    return {
        RunEvent: col(RunEvent.run_id).in_(ended) & (col(RunEvent.created_at) < chat),
        ToolResult: col(ToolResult.created_at) < chat,
        Message: (col(Message.created_at) < chat)
        & (col(Message.run_id).is_(None) | col(Message.run_id).in_(ended)),
        Run: col(Run.id).in_(ended) & ~_used(RunEvent) & ~_used(ToolResult) & ~_used(Message),
        Thread: (col(Thread.created_at) < chat) & ~_lives(Message) & ~_lives(Run)
        & ~_lives(ToolResult),
        IdempotentRequest: col(IdempotentRequest.created_at) < now - keep.requests,
        UserSession: col(UserSession.expires_at) < now - keep.sessions,
    }  # fmt: skip


def _used(model: Any) -> ColumnElement[bool]:
    """Whether a row refers to the run."""
    return exists().where(col(model.run_id) == col(Run.id))


def _lives(model: Any) -> ColumnElement[bool]:
    """Whether a row belongs to the thread."""
    return exists().where(col(model.thread_id) == col(Thread.id))


def _delete(
    session: Session, model: type[SQLModel], is_old: ColumnElement[bool], batch_rows: int
) -> int:
    key: Any = SQLModel.metadata.tables[str(model.__tablename__)].c.id
    batch = select(key).where(is_old).order_by(key).limit(batch_rows)
    statement = delete(model).where(key.in_(batch)).execution_options(synchronize_session=False)
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]
