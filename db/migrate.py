"""Bring a database to the current revision, or leave it as it was.

All migrations of one upgrade run in one transaction, on SQLite too, and it commits only after a
look: no row of an old table is gone, every trigger that guards history stands, foreign keys and
pages are whole. A SQLite file is copied beside itself before (``<file>.pre-<revision>``), in case
that something goes wrong that a rollback does not undo.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, inspect, select, table, text
from sqlalchemy.exc import DBAPIError

from db.schema import guards

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_TIMEOUT_S = 3  # an upgrade that waits for a lock makes everybody behind it wait, too


class MigrationFailed(Exception):
    """The upgrade did not happen.

    Attributes:
        message: What went wrong, and how the database is now.
        next_step: What to do about it.
    """

    def __init__(self, message: str, *, next_step: str) -> None:
        super().__init__(message)
        self.message, self.next_step = message, next_step


@dataclass(frozen=True)
class State:
    """What an upgrade must not lose: the revision and the rows of every table."""

    revision: str | None
    rows: Mapping[str, int]


def upgrade(engine: Engine, revision: str = "head") -> Path | None:
    """Run the migrations up to ``revision``.

    Returns:
        The copy that was made of a SQLite file; None on a server and of an empty database.

    Raises:
        CommandError: (Alembic's) The database is at a revision that is not known here.
        MigrationFailed: It is as it was before.
    """
    before = state(engine)
    config = _config(engine)
    script = ScriptDirectory.from_config(config)
    target = script.as_revision_number(revision)
    if before.revision is not None:
        script.get_revision(before.revision)  # known, or it says so
    copy = _copy_of(engine, before, str(target))
    try:
        _run(engine, config, revision, before)
    except (DBAPIError, MigrationFailed) as error:
        raise _undone(engine, before, copy, error) from error
    return copy


def current_revision(engine: Engine) -> str | None:
    """Return the revision that the database is at, or None when it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str:
    """Return the newest revision that this version of the program knows."""
    head = ScriptDirectory.from_config(_config(None)).get_current_head()
    if head is None:
        raise RuntimeError("the package ships no migration")
    return head


def state(engine: Engine) -> State:
    """Return the revision and the number of rows of every table."""
    with engine.connect() as connection:
        return state_of(connection)


def findings(connection: Connection, before: State) -> list[str]:
    """Say what is wrong with a database after an upgrade, in the transaction of the upgrade."""
    now = state_of(connection)
    lost = [
        f"{name} has {now.rows.get(name, 0):,} rows instead of {count:,}"
        for name, count in before.rows.items()
        if now.rows.get(name, 0) < count
    ]
    missing = sorted(guards(connection.dialect.name, now.rows) - _triggers(connection))
    unguarded = [f"trigger {name} is missing" for name in missing]
    return [*lost, *unguarded, *_damage(connection)]


def missing_triggers(connection: Connection) -> list[str]:
    """Return the triggers that should guard the history tables and do not stand."""
    rows = set(inspect(connection).get_table_names())
    return sorted(guards(connection.dialect.name, rows) - _triggers(connection))


def _config(engine: Engine | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = engine
    return config


def _run(engine: Engine, config: Config, revision: str, before: State) -> None:
    with _prepared(engine, needs_keys_off=_needs_keys_off(config, before, revision)) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        found = findings(connection, before)
        if found:
            raise MigrationFailed("; ".join(found[:5]), next_step="")
        connection.commit()


@contextmanager
def _prepared(engine: Engine, *, needs_keys_off: bool) -> Iterator[Connection]:
    """Give a connection that is set up for an upgrade, and rolled back unless it was committed."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            yield connection
            return
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)  # noqa: S101 (for the type checker)
        if needs_keys_off:  # SQLite ignores this inside a transaction, so it comes first
            raw.execute("PRAGMA foreign_keys=OFF")
        try:
            yield connection
        finally:
            connection.rollback()
            raw.execute("PRAGMA foreign_keys=ON")


def _needs_keys_off(config: Config, before: State, revision: str) -> bool:
    """Whether a migration on the way rebuilds a table that others refer to, and says so."""
    steps = ScriptDirectory.from_config(config).iterate_revisions(
        revision, before.revision or "base"
    )
    return any(getattr(step.module, "needs_foreign_keys_off", False) for step in steps)


def state_of(connection: Connection) -> State:
    """Return the revision and the number of rows of every table, as a transaction sees them."""
    names = inspect(connection).get_table_names()
    rows = {
        name: connection.execute(select(func.count()).select_from(table(name))).scalar_one()
        for name in names
        if name != "alembic_version"
    }
    return State(MigrationContext.configure(connection).get_current_revision(), rows)


def _triggers(connection: Connection) -> set[str]:
    is_sqlite = connection.dialect.name == "sqlite"
    statement = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if is_sqlite
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    )
    return set(connection.execute(text(statement)).scalars())


def _damage(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    pages = connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars().all()
    return [
        *(f"a row of {row[0]} refers to a row of {row[2]} that is gone" for row in orphans[:5]),
        *(page for page in pages if page != "ok"),
    ]


def _copy_of(engine: Engine, before: State, target: str) -> Path | None:
    """Copy a SQLite file that holds something, whole or not at all."""
    name = engine.url.database
    if engine.dialect.name != "sqlite" or before.revision is None or name in (None, "", ":memory:"):
        return None
    path = Path(f"{name}.pre-{target}")
    draft = path.with_name(f"{path.name}.part")
    draft.unlink(missing_ok=True)
    with closing(sqlite3.connect(str(name))) as source, closing(sqlite3.connect(draft)) as copy:
        source.backup(copy)
    draft.chmod(0o600)
    draft.replace(path)
    return path


def _undone(
    engine: Engine, before: State, copy: Path | None, error: DBAPIError | MigrationFailed
) -> MigrationFailed:
    """Make sure that the database is as it was, and say so."""
    reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()[0]
    engine.dispose()
    how = "was rolled back"
    if state(engine) != before and copy is not None:
        damaged = str(engine.url.database)
        with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(damaged)) as target:
            source.backup(target)
        how = "was restored from the copy made before"
    kept = f" A copy from before is {str(copy)!r}." if copy else ""
    return MigrationFailed(
        f"the database could not be upgraded and {how}: {reason}",
        next_step="Stop every other program that uses the database and start again; if it fails "
        f"again, go on with the version that worked.{kept}",
    )
