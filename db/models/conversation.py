"""Threads, messages, runs and their events, results of tools."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.columns import choice, document, key, moment, one_of, ref
from db.types import RunState


class Thread(SQLModel, table=True):
    """A conversation. The lease lets one run work on it at a time."""

    __tablename__ = "thread"
    id: str = Field(primary_key=True, max_length=64)
    owner_id: int = ref("app_user.id")
    title: str = Field(default="", max_length=200)
    created_at: datetime = moment()
    lease_until: datetime | None = moment(nullable=True)
    lease_holder: str = Field(default="", max_length=64)


class Message(SQLModel, table=True):
    """What a person said or was told. Inbound text is stored here before anything else happens."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("thread_id", "client_key"),
        CheckConstraint("role IN ('user', 'assistant', 'notice')", name="role_known"),
    )
    id: int = key()
    thread_id: str = Field(foreign_key="thread.id", max_length=64, index=True)
    role: str = Field(max_length=16)
    text: str
    client_key: str | None = Field(default=None, max_length=120)  # de-duplicates a re-sent message
    author_id: int | None = ref("app_user.id", nullable=True)
    run_id: int | None = ref("run.id", nullable=True)
    created_at: datetime = moment()


class Run(SQLModel, table=True):
    """One turn of the agent."""

    __tablename__ = "run"
    __table_args__ = (one_of("state", RunState),)
    id: int = key()
    thread_id: str = Field(foreign_key="thread.id", max_length=64, index=True)
    actor_id: int = ref("app_user.id")
    state: RunState = choice(RunState, RunState.QUEUED, index=True)
    input: dict[str, Any] = document()  # {"text": ...} or {"decision": approval number}
    created_at: datetime = moment()
    finished_at: datetime | None = moment(nullable=True)


class RunEvent(SQLModel, table=True):
    """One step of a run; every door tails this table."""

    __tablename__ = "run_event"
    id: int = key()
    run_id: int = ref("run.id")
    kind: str = Field(max_length=32)
    content: dict[str, Any] = document()
    created_at: datetime = moment()


class ToolResult(SQLModel, table=True):
    """The full result of a tool call; the conversation holds a summary and this row's id."""

    __tablename__ = "tool_result"
    id: int = key()
    thread_id: str = Field(foreign_key="thread.id", max_length=64, index=True)
    run_id: int | None = ref("run.id", nullable=True)
    tool: str = Field(max_length=64)
    arguments: dict[str, Any] = document()
    result: dict[str, Any] = document()
    created_at: datetime = moment()
