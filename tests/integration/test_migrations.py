"""Upgrades of populated databases: nothing is lost, and what fails leaves everything as it was."""

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from api.bootstrap import migrate_to_head, stored_revision
from db import migrate, schema
from db.migrate import MigrationFailed
from db.models.audit import AuditEvent
from db.models.conversation import Message
from db.models.purchasing import ApprovalSignature, Outbox, PurchaseOrder
from db.session import Database
from db.types import OrderState, OutboxState
from tests.conftest import AUDIT_INFO
from tests.factories_revisions import REVISIONS, populate, rows_of
from tests.postgres import POSTGRES_URL, drop_postgres, new_postgres
from tools.audit.service import verify

ROOT = Path(__file__).parents[2]
MARK = pytest.mark.postgres


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=MARK)])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each test here runs on both engines."""
    if request.param == "postgres" and not POSTGRES_URL:
        pytest.skip("no PostgreSQL: QM_TEST_POSTGRES_URL is not set")
    return str(request.param)


@pytest.fixture(scope="module", params=REVISIONS)
def kept(
    engine_name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a populated database of an older revision; tests work on copies."""
    if engine_name == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('old')}/old.db"
    else:
        url = new_postgres()
    with closing(Database(url)) as database:
        populate(database, request.param)
    yield url
    if engine_name != "sqlite":
        drop_postgres(url)


@pytest.fixture
def old(kept: str, tmp_path: Path) -> Iterator[Database]:
    """A populated database of an older revision."""
    is_sqlite = kept.startswith("sqlite")
    if is_sqlite:
        shutil.copyfile(kept.removeprefix("sqlite:///"), tmp_path / "old.db")
        url = f"sqlite:///{tmp_path}/old.db"
    else:
        url = new_postgres(template=kept)
    opened = Database(url, session_info=AUDIT_INFO)
    yield opened
    opened.close()
    if not is_sqlite:
        drop_postgres(url)


def test_every_revision_but_the_newest_has_its_shop() -> None:
    shipped = sorted(path.name[:4] for path in (migrate.MIGRATIONS / "versions").glob("[0-9]*.py"))

    assert shipped[:-1] == REVISIONS


class TestUpgrade:
    def test_keeps_every_row_and_the_trail(self, old: Database) -> None:
        revision = stored_revision(old)
        assert revision is not None

        migrate_to_head(old)

        now = migrate.state(old.engine)
        kept = {name: len(rows) for name, rows in rows_of(revision).items()}
        assert now.revision == migrate.head_revision()
        assert {name: now.rows[name] for name in kept} == kept
        with old.read() as session:
            report = verify(session)
        assert (report.ok, report.problem) == (True, "")

    def test_gives_the_schema_of_the_models(self, old: Database) -> None:
        migrate_to_head(old)

        with old.engine.connect() as connection:
            context = MigrationContext.configure(connection)
            assert compare_metadata(context, schema.metadata()) == []
            assert migrate.missing_triggers(connection) == []

    def test_the_program_reads_what_it_finds(self, old: Database) -> None:
        migrate_to_head(old)

        with old.read() as session:
            states = dict(session.exec(select(PurchaseOrder.number, PurchaseOrder.state)).all())
            waiting = session.exec(
                select(Outbox.key).where(Outbox.state == OutboxState.PENDING)
            ).all()
            said = session.exec(select(Message.text)).all()
        assert states["PO-2001"] is OrderState.PARTIALLY_RECEIVED
        assert states["PO-2003"] is OrderState.APPROVED
        assert [key.split(":")[1] for key in waiting] == ["PO-2003"]
        assert said == ["stock of WIDGET-A? Grüße ☕"]

    def test_older_approvals_get_their_signature(self, old: Database) -> None:
        migrate_to_head(old)

        with old.read() as session:
            signed = session.exec(select(ApprovalSignature)).all()
            assert [(row.printed_name, row.channel) for row in signed] == [("Mona", "test")] * 2

    @pytest.mark.parametrize(
        "table", [name for name in schema.APPEND_ONLY if name != "policy_version"]
    )
    def test_history_refuses_changes_afterwards(self, old: Database, table: str) -> None:
        migrate_to_head(old)

        with pytest.raises(DBAPIError, match="append-only"), old.write() as session:
            session.execute(text(f"DELETE FROM {table}"))

    def test_a_file_is_copied_before(self, old: Database, tmp_path: Path) -> None:
        before = migrate.state(old.engine)

        copy = migrate.upgrade(old.engine)

        if not old.is_sqlite:
            assert copy is None
            return
        assert copy == tmp_path / f"old.db.pre-{migrate.head_revision()}"
        assert copy.stat().st_mode & 0o777 == 0o600
        with closing(Database(f"sqlite:///{copy}")) as kept:
            assert migrate.state(kept.engine) == before

    def test_two_programs_at_once_do_it_once(self, old: Database) -> None:
        together = threading.Barrier(3)

        def start(_number: int) -> str | None:
            with closing(Database(old.url)) as opened:
                together.wait(10)
                migrate_to_head(opened)
                return stored_revision(opened)

        with ThreadPoolExecutor(3) as pool:
            assert set(pool.map(start, range(3))) == {migrate.head_revision()}


class TestFailure:
    """A migration that loses something does not happen."""

    @pytest.mark.parametrize(
        ("loss", "told"),
        [
            ("DELETE FROM message", "message has 0 rows instead of 1"),
            ("DROP TRIGGER {audit_event} {on}", "trigger audit_event"),
            ("DROP TABLE receipt {cascade}", "receipt has 0 rows instead of 19"),
            ("SELECT x FROM nowhere", "nowhere"),
        ],
    )
    def test_leaves_the_database_as_it_was(
        self, old: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loss: str, told: str
    ) -> None:
        before = migrate.state(old.engine)
        _add_migration(monkeypatch, tmp_path, loss, is_sqlite=old.is_sqlite)

        with pytest.raises(MigrationFailed, match="rolled back") as failed:
            migrate.upgrade(old.engine)

        assert told in failed.value.message
        assert migrate.state(old.engine) == before
        with old.engine.connect() as connection:
            assert migrate.missing_triggers(connection) == []
        monkeypatch.undo()
        migrate.upgrade(old.engine)

    def test_what_a_rollback_does_not_undo_is_restored_from_the_copy(
        self, old: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        if not old.is_sqlite:
            return  # a server's transactions hold
        before = migrate.state(old.engine)
        _add_migration(monkeypatch, tmp_path, "COMMIT", is_sqlite=True, then="DELETE FROM message")

        with pytest.raises(MigrationFailed, match="restored from the copy"):
            migrate.upgrade(old.engine)

        assert migrate.state(old.engine) == before

    def test_a_rebuild_of_a_table_with_children_keeps_them(
        self, old: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Batch mode drops the old table: with foreign keys on, its children would go with it."""
        body = (
            "with op.batch_alter_table('supplier') as batch:\n"
            "        batch.alter_column('name', new_column_name='full_name')"
        )
        _add_migration(monkeypatch, tmp_path, "SELECT 1", is_sqlite=old.is_sqlite, body=body)

        migrate.upgrade(old.engine)

        rows = migrate.state(old.engine).rows
        assert (rows["supplier"], rows["supplier_item"], rows["price_break"]) == (2, 2, 2)
        with old.write() as session:  # and they are checked again afterwards
            if old.is_sqlite:
                assert session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1

    def test_a_table_in_use_does_not_make_everybody_wait(
        self, old: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if old.is_sqlite:
            return  # its lock is that of any writer
        monkeypatch.setattr(migrate, "LOCK_TIMEOUT_S", 0.2)
        with closing(Database(old.url)) as other, other.write() as session:
            session.execute(text("LOCK TABLE item IN ACCESS SHARE MODE"))

            with pytest.raises(MigrationFailed, match="lock timeout"):
                migrate.upgrade(old.engine)

        migrate.upgrade(old.engine)


def _add_migration(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    statement: str,
    *,
    is_sqlite: bool,
    then: str = "SELECT 1",
    body: str = "pass",
) -> None:
    """Ship one more migration, a bad one."""
    shipped = folder / "migrations"
    shutil.copytree(migrate.MIGRATIONS, shipped)
    trigger = "audit_event_no_delete" if is_sqlite else "audit_event_no_change"
    filled = statement.format(
        audit_event=trigger,
        on="" if is_sqlite else "ON audit_event",
        cascade="" if is_sqlite else "CASCADE",
    )
    (shipped / "versions" / "9999_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision = '9999', '{migrate.head_revision()}'\n"
        "needs_foreign_keys_off = True\n\n\n"
        f"def upgrade():\n    {body}\n"
        f"    op.execute(sa.text({filled!r}))\n    op.execute(sa.text({then!r}))\n"
    )
    monkeypatch.setattr(migrate, "MIGRATIONS", shipped)


_DIE = """
import os, signal, sys
from sqlalchemy import event
from db import migrate
from db.session import Database

database = Database(sys.argv[1])
seen = 0

@event.listens_for(database.engine, "before_cursor_execute")
def count(_connection, _cursor, statement, *_rest):
    global seen
    seen += statement.lstrip().upper().startswith(("CREATE", "ALTER", "INSERT", "UPDATE"))
    if seen == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

migrate.upgrade(database.engine)
print(seen)
"""


@pytest.mark.parametrize("statement", [12, 30])
def test_a_kill_in_the_middle_leaves_the_old_revision(old: Database, statement: int) -> None:
    before = migrate.state(old.engine)

    killed = subprocess.run(
        [sys.executable, "-c", _DIE, old.url, str(statement)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert killed.returncode == -9, killed.stdout + killed.stderr
    assert migrate.state(old.engine) == before
    migrate_to_head(old)
    with old.read() as session:
        assert verify(session).ok
        assert len(session.exec(select(AuditEvent.seq)).all()) == before.rows["audit_event"]


def test_a_kill_in_the_first_start_does_not_block_the_second(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    subprocess.run([sys.executable, "-c", _DIE, url, "20"], cwd=ROOT, timeout=60, check=False)

    with closing(Database(url)) as database:
        migrate_to_head(database)
        assert stored_revision(database) == migrate.head_revision()


def test_a_copy_is_whole_while_others_write(tmp_path: Path) -> None:
    """``cp`` of a file in WAL mode would lose what is in the log; this copy must not."""
    with closing(Database(f"sqlite:///{tmp_path}/old.db")) as database:
        populate(database, "0001")
        copy = migrate.upgrade(database.engine)

    assert copy is not None
    with closing(sqlite3.connect(copy)) as kept:
        assert kept.execute("SELECT count(*) FROM audit_event").fetchone() == (18,)
