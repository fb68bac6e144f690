"""Engine and transactions: the one place that opens the database and the only one that commits.

SQLite: WAL, ``BEGIN IMMEDIATE`` for writes, ``synchronous=FULL``, foreign keys and recursive
triggers on, and one writer at a time in a process (SQLite's own waiting is unfair and costs seconds
under load). PostgreSQL: plain READ COMMITTED; every decision is a compare-and-set. Two transactions
that block each other are told so, and the caller sends the request again.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as WaitedTooLong
from sqlalchemy.pool import StaticPool
from sqlmodel import Session

from db import postgres, schema
from db.once import count_writes
from db.postgres import DatabaseUnusable, Waiting

IS_READING = "is_reading"  # in session.info: what is noted in passing is not noted here
SessionFactory = Callable[[], AbstractContextManager[Session]]


class Database:
    """An open database; ``write()`` and ``read()`` give a session for one transaction."""

    def __init__(
        self,
        url: str,
        *,
        session_info: Mapping[str, Any] | None = None,
        waiting: Waiting | None = None,
    ) -> None:
        """Open ``url``; ``session_info`` is seen by every session as ``session.info``.

        Nothing is connected yet.

        Raises:
            DatabaseUnusable: The address is no address, or not of SQLite or PostgreSQL, or the
                driver is missing.
        """
        self.url = url
        schema.metadata()  # every table is known before the first statement, whoever asks
        self.session_info = dict(session_info or {})
        self._waiting = waiting or Waiting()
        parts = _parsed(url)
        self.is_sqlite = parts.get_backend_name() == "sqlite"
        self.engine = _engine(parts, waiting=self._waiting)
        self._reader = self.engine.execution_options(qm_read_only=True)
        self._writer_lock = threading.Lock()

    @contextmanager
    def write(self, *, patience_s: float | None = None) -> Iterator[Session]:
        """One read-write transaction: committed at the end, rolled back on any exception.

        Args:
            patience_s: How long to wait for other writers; default: the lock timeout.

        Raises:
            TimeoutError: (SQLAlchemy's) Other writers of this process took too long.
            OperationalError: Another process holds the lock, or the server is away.
        """
        wait_s = self._waiting.lock_timeout_s if patience_s is None else patience_s
        engine = self.engine
        if patience_s is not None:
            engine = engine.execution_options(qm_patience_ms=round(patience_s * 1000))
        with (
            self._queue(wait_s),
            Session(engine, expire_on_commit=False, info=self.session_info) as session,
        ):
            yield session
            session.commit()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that takes no write lock; what is flushed in it is rolled back."""
        info = {**self.session_info, IS_READING: True}
        with Session(self._reader, expire_on_commit=False, info=info) as session:
            try:
                yield session
            finally:
                session.rollback()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _queue(self, wait_s: float) -> Iterator[None]:
        """Stand in line behind the other writers of this process."""
        if not self.is_sqlite:
            yield
            return
        if not self._writer_lock.acquire(timeout=wait_s):
            raise WaitedTooLong(f"no turn to write within {wait_s:g} s")
        try:
            yield
        finally:
            self._writer_lock.release()


def _parsed(url: str) -> URL:
    try:
        parts = make_url(url)
        backend = parts.get_backend_name()
    except ArgumentError:  # its text would show the password
        raise DatabaseUnusable(
            "the address of the database cannot be read",
            next_step="It looks like sqlite:///file.db or postgresql+psycopg://user@host/name.",
        ) from None
    if backend != "sqlite" and not postgres.is_postgres(parts):
        raise DatabaseUnusable(
            f"{backend!r} is not a database that this program knows",
            next_step="Use sqlite:///file.db or postgresql+psycopg://user@host/name.",
        )
    return parts


def _engine(url: URL, *, waiting: Waiting) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = _sqlite(url, waiting) if is_sqlite else _server(url, waiting)
    count_writes(engine)
    return engine


def _server(url: URL, waiting: Waiting) -> Engine:
    engine = postgres.engine_for(url, waiting=waiting)

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        patience_ms = connection.get_execution_options().get("qm_patience_ms")
        if patience_ms is not None:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(patience_ms)}")

    return engine


def _sqlite(url: URL, waiting: Waiting) -> Engine:
    options: dict[str, Any] = {}
    if url.database in (None, "", ":memory:"):
        options = {"poolclass": StaticPool}
    engine = create_engine(url, connect_args={"check_same_thread": False}, **options)
    busy_timeout_ms = round(waiting.lock_timeout_s * 1000)

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
        options = connection.get_execution_options()
        if options.get("qm_read_only", False):
            connection.exec_driver_sql("BEGIN")
        elif (patience_ms := options.get("qm_patience_ms")) is None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={int(patience_ms)}")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={busy_timeout_ms}")

    return engine
