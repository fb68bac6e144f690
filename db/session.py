"""Engine and transactions: the one place that opens the database and the only one that commits.

SQLite: WAL, ``BEGIN IMMEDIATE`` for writes, ``synchronous=FULL``, foreign keys and recursive
triggers on, and one writer at a time in a process (SQLite's own waiting is unfair and costs seconds
under load). PostgreSQL: plain READ COMMITTED; every decision is a compare-and-set.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import StaticPool
from sqlmodel import Session

from db import schema

SessionFactory = Callable[[], AbstractContextManager[Session]]


class Database:
    """An open database; ``write()`` and ``read()`` give a session for one transaction."""

    def __init__(
        self,
        url: str,
        *,
        session_info: Mapping[str, Any] | None = None,
        busy_timeout_ms: int = 10_000,
    ) -> None:
        """Open ``url``; ``session_info`` is seen by every session as ``session.info``."""
        self.url = url
        schema.metadata()  # every table is known before the first statement, whoever asks
        self._info = dict(session_info or {})
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.engine = _engine(url, is_sqlite=self.is_sqlite, busy_timeout_ms=busy_timeout_ms)
        self._reader = self.engine.execution_options(qm_read_only=True)
        self._writer_lock = threading.Lock()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One read-write transaction: committed at the end, rolled back on any exception."""
        with (
            self._queue(),
            Session(self.engine, expire_on_commit=False, info=self._info) as session,
        ):
            yield session
            session.commit()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that takes no write lock; what is flushed in it is rolled back."""
        with Session(self._reader, expire_on_commit=False, info=self._info) as session:
            try:
                yield session
            finally:
                session.rollback()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _queue(self) -> AbstractContextManager[Any]:
        return self._writer_lock if self.is_sqlite else nullcontext()


def _engine(url: str, *, is_sqlite: bool, busy_timeout_ms: int) -> Engine:
    if not is_sqlite:
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=10)
    options: dict[str, Any] = {}
    if make_url(url).database in (None, "", ":memory:"):
        options = {"poolclass": StaticPool}
    engine = create_engine(url, connect_args={"check_same_thread": False}, **options)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we send BEGIN ourselves
        for pragma in (
            f"busy_timeout={busy_timeout_ms}",  # first: the next one may have to wait
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "recursive_triggers=ON",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        read_only = connection.get_execution_options().get("qm_read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
