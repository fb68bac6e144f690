"""PostgreSQL: how we connect, what we wait for, and what a server must be able to do.

Nothing here waits for ever: a lock, a statement, a connection that died and a transaction whose
program hangs all end after a stated time, and the caller hears that the database is busy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL

LEAST_VERSION = 130_000  # as the server counts: 13.0
CONNECT_TIMEOUT_S = 5
IDLE_IN_TRANSACTION_S = 600  # longer than any plan computes between two statements
DRIVER = "postgresql+psycopg"


class DatabaseUnusable(Exception):
    """The database cannot be used as it is, and waiting does not help.

    Attributes:
        message: A sentence.
        next_step: What to do about it.
    """

    def __init__(self, message: str, *, next_step: str) -> None:
        super().__init__(message)
        self.message, self.next_step = message, next_step


@dataclass(frozen=True)
class Waiting:
    """How long a program waits for a server, and how many connections it keeps.

    Attributes:
        pool_size: Connections kept open.
        pool_overflow: Further ones under load.
        pool_timeout_s: For a free connection.
        lock_timeout_s: For a row or table that somebody else holds.
        statement_timeout_s: For one statement; 0 is without end.
    """

    pool_size: int = 10
    pool_overflow: int = 10
    pool_timeout_s: float = 10.0
    lock_timeout_s: float = 10.0
    statement_timeout_s: float = 120.0


def is_postgres(url: URL) -> bool:
    """Tell whether an address leads to a PostgreSQL server."""
    return url.get_backend_name() in ("postgresql", "postgres")


def connect_arguments(url: URL, *, waiting: Waiting, name: str = "quartermaster") -> dict[str, Any]:
    """Return what psycopg is told beside host and database; what the address says has precedence.

    Args:
        url: The address.
        waiting: How long to wait.
        name: How the server's own lists call this program.
    """
    settings = {
        "lock_timeout": round(waiting.lock_timeout_s * 1000),
        "statement_timeout": round(waiting.statement_timeout_s * 1000),
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_S * 1000,
    }
    ours = " ".join(f"-c {key}={value}" for key, value in settings.items())
    own = url.query.get("options", "")
    arguments: dict[str, Any] = {
        "application_name": name,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "keepalives": 1,  # a server that vanished is noticed within a minute
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    given = {key: value for key, value in arguments.items() if key not in url.query}
    return {**given, "options": f"{ours} {own}".strip()}


def connection_info(url: URL, *, waiting: Waiting, name: str) -> Mapping[str, Any]:
    """Return all that ``psycopg.connect`` needs to reach the same database."""
    plain = url.translate_connect_args(username="user", database="dbname")
    return {**plain, **url.query, **connect_arguments(url, waiting=waiting, name=name)}


def engine_for(url: URL, *, waiting: Waiting) -> Engine:
    """Return an engine: pooled, connections tested before use, READ COMMITTED.

    Raises:
        DatabaseUnusable: The driver is not installed. On the first connection: the server is too
            old.
    """
    try:
        engine = create_engine(
            url.set(drivername=DRIVER),
            connect_args=connect_arguments(url, waiting=waiting),
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_size=waiting.pool_size,
            max_overflow=waiting.pool_overflow,
            pool_timeout=waiting.pool_timeout_s,
            pool_use_lifo=True,  # so that idle connections grow old and are closed
            pool_recycle=1800,
        )
    except ImportError:
        raise DatabaseUnusable(
            "the driver for PostgreSQL is not installed",
            next_step="Install the extra: pip install 'quartermaster[postgres]'.",
        ) from None
    event.listen(engine, "connect", _refuse_an_old_server)
    return engine


def _refuse_an_old_server(connection: Any, _record: Any) -> None:
    try:
        refuse_version(connection.info.server_version)
    except DatabaseUnusable:
        connection.close()
        raise


def refuse_version(number: int) -> None:
    """Refuse a server that lacks what we use.

    Args:
        number: As ``server_version_num`` has it: 150018 is 15.18.

    Raises:
        DatabaseUnusable: It is older than 13.
    """
    if number < LEAST_VERSION:
        raise DatabaseUnusable(
            f"the PostgreSQL server is version {number // 10_000}, which is too old",
            next_step=f"Use version {LEAST_VERSION // 10_000} or newer.",
        )
