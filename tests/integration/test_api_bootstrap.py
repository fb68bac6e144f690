"""Building the system: folders, keys, migrations, clocks."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from api.bootstrap import (
    TickingClock,
    build_system,
    migrate_to_head,
    shipped_revision,
    stored_revision,
)
from api.settings import Settings
from db import migrate
from db.models.audit import AuditEvent
from db.models.ingestion import Load
from db.session import Database
from db.types import ActorKind, LoadState
from tests.conftest import NOW
from tools.clock import FixedClock, SystemClock
from tools.errors import Conflict, InvalidInput

DEMO_NOW = datetime(2011, 12, 9, 7, 30, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def _audit_row(database: Database, at: datetime) -> None:
    with database.write() as session:
        session.add(
            AuditEvent(
                seq=1, at=at, actor="paul", actor_kind=ActorKind.HUMAN, action="order.drafted",
                object_id="PO-1", key_id="test", prev_mac="", mac="x",
            )
        )  # fmt: skip


def _demo_load(database: Database) -> None:
    with database.write() as session:
        session.add(
            Load(
                kind="demo", file_name="demo", content_hash="0" * 64, state=LoadState.PUBLISHED,
                report={"clock": DEMO_NOW.isoformat()}, started_at=DEMO_NOW,
            )
        )  # fmt: skip


class TestFirstStart:
    def test_makes_private_files_and_the_newest_schema(self, settings: Settings) -> None:
        system = build_system(settings)

        assert settings.data_dir.stat().st_mode & 0o777 == 0o700
        assert settings.audit_key_file.stat().st_mode & 0o777 == 0o600
        assert len(settings.audit_key_file.read_bytes()) == 32
        assert stored_revision(system.database) == migrate.head_revision() == shipped_revision()
        assert isinstance(system.clock, SystemClock)
        system.close()

    def test_a_second_start_keeps_the_key(self, settings: Settings) -> None:
        build_system(settings).close()
        key = settings.audit_key_file.read_bytes()

        system = build_system(settings)

        with system.database.read() as session:
            assert list(session.info["audit_keys"].values()) == [key]
            assert session.info["audit_key_id"] in session.info["audit_keys"]
        assert sorted(path.name for path in settings.data_dir.glob("audit*")) == ["audit.key"]
        system.close()

    def test_a_given_clock_is_used(self, settings: Settings) -> None:
        system = build_system(settings, clock=FixedClock(NOW))

        assert system.clock.now() == NOW
        system.close()


class TestRefusals:
    def test_a_database_of_a_newer_version(self, settings: Settings) -> None:
        system = build_system(settings)
        with system.database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        system.close()

        with pytest.raises(Conflict, match="9999") as refused:
            build_system(settings)

        assert "version" in refused.value.next_step

    def test_a_damaged_key(self, settings: Settings) -> None:
        build_system(settings).close()
        settings.audit_key_file.write_bytes(b"short")

        with pytest.raises(InvalidInput, match="5 bytes"):
            build_system(settings)

    def test_a_lost_key_while_sealed_rows_exist(self, settings: Settings) -> None:
        system = build_system(settings)
        _audit_row(system.database, NOW)
        system.close()
        settings.audit_key_file.unlink()

        with pytest.raises(InvalidInput, match="missing"):
            build_system(settings)

        assert not settings.audit_key_file.exists()


class TestDemoClock:
    def test_starts_at_the_demo_day_and_ticks(self, settings: Settings) -> None:
        system = build_system(settings)
        _demo_load(system.database)
        system.close()

        again = build_system(settings)

        first = again.clock.now()
        assert DEMO_NOW <= first < DEMO_NOW + timedelta(minutes=1)
        assert again.clock.now() >= first
        again.close()

    def test_never_goes_back_before_what_is_recorded(self, settings: Settings) -> None:
        system = build_system(settings)
        _demo_load(system.database)
        _audit_row(system.database, DEMO_NOW + timedelta(hours=3))
        system.close()

        again = build_system(settings)

        assert again.clock.now() >= DEMO_NOW + timedelta(hours=3)
        again.close()

    def test_processes_that_run_together_agree(self, settings: Settings) -> None:
        system = build_system(settings)
        _demo_load(system.database)
        system.close()
        shared = settings.data_dir / "demo-clock.json"

        first = build_system(settings)  # a server that runs for ten minutes by now
        set_at = json.loads(shared.read_text())
        shared.write_text(json.dumps(set_at | {"real_s": set_at["real_s"] - 600}))
        second = build_system(settings)

        assert second.clock.now() - DEMO_NOW >= timedelta(seconds=600)
        shared.write_text("broken")
        third = build_system(settings)
        assert third.clock.now() - DEMO_NOW < timedelta(seconds=60)
        for system in (first, second, third):
            system.close()

    def test_ticks_with_real_seconds(self) -> None:
        seconds = iter([100.0, 107.5])

        clock = TickingClock(DEMO_NOW, elapsed_s=lambda: next(seconds))

        assert clock.now() == DEMO_NOW + timedelta(seconds=7.5)


def _emptied(database: Database) -> str:
    """Return the address of a database without anything in it."""
    if database.is_sqlite:
        return f"{database.url}.new"
    with database.write() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    return database.url


def test_many_first_starts_at_once_migrate_once(database: Database) -> None:
    url = _emptied(database)
    together = threading.Barrier(4)

    def start(_number: int) -> str | None:
        with closing(Database(url)) as opened:
            together.wait(10)
            migrate_to_head(opened)
            return stored_revision(opened)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(4))) == [shipped_revision()] * 4


def test_two_first_starts_at_once_agree(settings: Settings, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from api.bootstrap import *; "
        "from api.settings import *; s = build_system(Settings(data_dir=Path(sys.argv[1]))); "
        "print(s.settings.audit_key_file.read_bytes().hex(), stored_revision(s.database))"
    )
    command = [sys.executable, "-c", script, str(settings.data_dir)]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], text=True)
        for _ in range(2)
    ]

    answers = {process.communicate(timeout=60)[0] for process in started}

    assert [process.returncode for process in started] == [0, 0]
    assert len(answers) == 1


def test_building_stays_light(tmp_path: Path) -> None:
    build_system(Settings(data_dir=tmp_path)).close()
    script = (
        "import sys; from pathlib import Path; from api.bootstrap import *; "
        "from api.settings import *; build_system(Settings(data_dir=Path(sys.argv[1]))); "
        "heavy = {'alembic', 'fastapi', 'langgraph', 'langchain_core', 'pandas', 'scipy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )

    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True, check=True, cwd=Path(__file__).parents[2], text=True, timeout=60,
    )  # fmt: skip

    assert answer.stdout.strip() == "[]"


def test_what_is_signed_is_signed_in_real_time_also_on_the_demo(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    demo = build_system(settings, clock=TickingClock(datetime(2011, 12, 9, tzinfo=UTC)))
    own = build_system(settings, clock=FixedClock(NOW))

    assert isinstance(demo.world_clock, SystemClock)
    assert own.world_clock is own.clock
    demo.close()
    own.close()
