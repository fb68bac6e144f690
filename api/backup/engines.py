"""Copies of a database and back: SQLite's backup interface, PostgreSQL's own programs."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import URL

from tools.errors import ExternalError

Progress = Callable[[int, int], None]
_PAGES = 1024  # copied between two looks of the progress bar
_DUMP_HOURS = 12


def copy_sqlite(source: Path, target: Path, *, progress: Progress | None = None) -> None:
    """Copy a database file as of one moment, while others read and write it.

    Args:
        source: The file; what is in its write-ahead log is copied too.
        target: A new file.
        progress: Is told pages done and in all.
    """
    address = f"file:{source}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)) as reading,
        closing(sqlite3.connect(target)) as copy,
    ):
        reading.execute("BEGIN")  # one moment: without it every write would start the copy anew
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()

        def tell(_status: int, left: int, total: int) -> None:
            if progress is not None:
                progress(total - left, total)

        reading.backup(copy, pages=_PAGES, progress=tell)
        reading.execute("COMMIT")
    target.chmod(0o600)
    sync(target)


def damage(path: Path) -> str:
    """Return what SQLite finds wrong with a file; empty when nothing."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as opened:
            found = [row[0] for row in opened.execute("PRAGMA integrity_check(3)")]
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)


def dump(url: URL, target: Path, *, snapshot: str) -> None:
    """Write a PostgreSQL database into a file, as a transaction sees it.

    Args:
        url: The database.
        target: A new file.
        snapshot: What the transaction exported.

    Raises:
        ExternalError: pg_dump is not there, or failed.
    """
    _run(
        "pg_dump", url, "--format=custom", "--no-owner", "--no-privileges",
        f"--snapshot={snapshot}", f"--file={target}",
    )  # fmt: skip
    target.chmod(0o600)
    sync(target)


def restore_dump(url: URL, source: Path) -> None:
    """Read a dump into an empty PostgreSQL database: all of it or nothing.

    Raises:
        ExternalError: pg_restore is not there, or failed.
    """
    _run(
        "pg_restore", url, "--single-transaction", "--exit-on-error", "--no-owner",
        "--no-privileges", str(source),
    )  # fmt: skip


def check_dump(source: Path) -> None:
    """Make sure that a dump can be read at all.

    Raises:
        ExternalError: It cannot.
    """
    _call([_program("pg_restore"), "--list", str(source)], {})


def sync(path: Path) -> None:
    """Make a file or folder outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _run(name: str, url: URL, *options: str) -> None:
    """Run a program of PostgreSQL; the password is in its environment, where nobody lists it."""
    password = {"PGPASSWORD": str(url.password)} if url.password else {}
    address = url.set(drivername="postgresql", password=None)
    where = f"--dbname={address.render_as_string(hide_password=False)}"
    _call([_program(name), where, "--no-password", *options], password)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ExternalError(
            f"{name} is not installed here, and a PostgreSQL database is copied with it",
            next_step="Install the client programs of your server's version "
            "(postgresql-client), or let the server's own backup do it: see docs/operations.md.",
        )
    return found


def _call(command: list[str], environment: Mapping[str, str]) -> None:
    path = str(Path(command[0]).parent)
    done = subprocess.run(  # noqa: S603 (our own command, no shell)
        command, env={"PATH": path, **environment}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=_DUMP_HOURS * 3600, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        told = (done.stderr.strip() or "no message").splitlines()
        raise ExternalError(
            f"{Path(command[0]).name} failed: {told[0]}",
            next_step="Check that its version is not older than the server's, and that the "
            "database user may read everything.",
        )
