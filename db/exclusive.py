"""One process at a time: a lock that two programs which start on one new database share."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

_KEY = 7_165_883_101  # of the advisory lock: any number that nobody else in the database uses


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Hold the lock inside the block; the operating system or the server frees it after a crash.

    SQLite: a lock on a file beside the database. PostgreSQL: an advisory lock.
    """
    if engine.url.get_backend_name() != "sqlite":
        with engine.connect() as connection:
            held = connection.execution_options(isolation_level="AUTOCOMMIT")
            held.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _KEY})
            try:
                yield
            finally:
                held.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _KEY})
    elif engine.url.database in (None, "", ":memory:"):
        yield
    else:
        with _locked(Path(f"{engine.url.database}.lock")):
            yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        with contextlib.suppress(ImportError):  # a system without such locks
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
