"""Fixtures: a database per test, on SQLite and on a PostgreSQL server if one answers."""

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from db import schema
from db.session import Database
from tests.postgres import POSTGRES_URL, SharedDatabase, drop_postgres, new_postgres
from tools.clock import FixedClock

IS_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")  # noqa: TID251
# The same examples on every run of CI: a new find belongs on a developer's desk, not in a landing.
hypothesis.settings.register_profile("ci", derandomize=True)
if IS_CI:
    hypothesis.settings.load_profile("ci")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday; the day on which the test worlds stand
AUDIT_INFO = {"audit_keys": {"test": b"0" * 32}, "audit_key_id": "test"}


def pytest_sessionstart(session: pytest.Session) -> None:
    """End a run of CI that could not test on PostgreSQL: there a skip would be a lie."""
    if IS_CI and not hasattr(session.config, "workerinput"):
        problem = unanswered(POSTGRES_URL)
        if problem:
            pytest.exit(f"CI is set, but PostgreSQL cannot be tested: {problem}", returncode=1)


def unanswered(url: str) -> str:
    """Say why no PostgreSQL answers under this address; empty when one does."""
    if not url:
        return "QM_TEST_POSTGRES_URL names no server"
    database = Database(url)
    try:
        with database.engine.connect():
            return ""
    except OperationalError as error:
        where = make_url(url).render_as_string(hide_password=True)
        reason = str(error.orig).strip().partition("\n")[0]
        return f"{where} (QM_TEST_POSTGRES_URL) does not answer: {reason}"
    finally:
        database.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which databases the integration tests ran on."""
    if POSTGRES_URL:
        terminalreporter.write_line("databases: SQLite and PostgreSQL (QM_TEST_POSTGRES_URL)")
    else:
        terminalreporter.write_line(
            "databases: SQLite only, PostgreSQL skipped; set QM_TEST_POSTGRES_URL to run on both"
        )


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine, and every look-up of a name."""
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    look_up = socket.getaddrinfo

    def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
        if not re.fullmatch(r"[0-9.]+|[0-9a-fA-F:%]*:[0-9a-zA-Z:.%]*", str(host)):  # no number
            _refuse_far(host)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX:
            _refuse_far(address[0])
        return connect(self, address)

    return guarded


def _refuse_far(host: Any) -> None:
    host = host.decode() if isinstance(host, bytes) else host
    if host not in (None, "", "127.0.0.1", "::1", "localhost"):
        raise OSError(f"a test tried to reach {host!r}")


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands at NOW until the test moves it."""
    return FixedClock(NOW)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with the schema, made once and copied for each test."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    database = Database(f"sqlite:///{path}")
    schema.metadata().create_all(database.engine)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[SharedDatabase]:
    """A PostgreSQL database with the schema, emptied between tests; dropped at the end."""
    template = new_postgres()
    database = Database(template)
    schema.metadata().create_all(database.engine)
    database.close()
    shared = SharedDatabase(template)
    yield shared
    shared.close()
    drop_postgres(template)


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)],
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database; a test that asks for it runs once on each engine."""
    if request.param == "sqlite":
        yield from _sqlite(request.getfixturevalue("sqlite_template"), tmp_path)
    elif not POSTGRES_URL:
        pytest.skip("no PostgreSQL: QM_TEST_POSTGRES_URL is not set")
    else:
        yield from _postgres(request.getfixturevalue("shared_postgres"))


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database, for tests where the engine does not matter."""
    yield from _sqlite(sqlite_template, tmp_path)


@pytest.fixture
def postgres_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty PostgreSQL database, for what only a server does; mark the test ``postgres``."""
    if not POSTGRES_URL:
        pytest.skip("no PostgreSQL: QM_TEST_POSTGRES_URL is not set")
    yield from _postgres(request.getfixturevalue("shared_postgres"))


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """One write transaction on an empty database."""
    with database.write() as opened:
        yield opened


def _sqlite(template: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "test.db"
    shutil.copyfile(template, path)
    opened = Database(f"sqlite:///{path}", session_info=AUDIT_INFO)
    yield opened
    opened.close()


def _postgres(shared: SharedDatabase) -> Iterator[Database]:
    opened = Database(shared.take(), session_info=AUDIT_INFO)
    yield opened
    opened.close()
    shared.give_back()
