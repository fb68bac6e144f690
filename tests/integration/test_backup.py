"""Backup while work goes on, restore into an empty place, and nothing leaves twice."""

import io
import json
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, func, select

from agent.memory import Memory
from api.backup import manifest
from api.backup.create import Made, create, last_made
from api.backup.restore import Restored, restore
from api.bootstrap import System, build_system
from api.settings import Settings
from db.models.audit import AuditEvent
from db.models.purchasing import Outbox
from db.session import Database
from db.types import OutboxState
from tests.conftest import NOW
from tests.factories import WorldP, make_world_p
from tests.factories_orders import Desk
from tests.postgres import POSTGRES_URL, drop_postgres, new_postgres
from tools.audit import service as audit
from tools.audit.gateway.anchors import AnchorFile, anchor
from tools.audit.service import verify
from tools.clock import FixedClock
from tools.errors import Conflict, InvalidInput
from tools.policy.service import current

QUIET: Callable[[int, int], None] = lambda _done, _total: None  # noqa: E731
LATER = FixedClock(NOW.replace(hour=18))


class OwnDesk(Desk):
    """A desk whose database is that of a running system."""

    def __post_init__(self) -> None:
        with self.database.write() as session:
            self.world: WorldP = make_world_p(session)


@dataclass
class House:
    """A system with one order delivered, one approved and waiting, and one on a worker's desk."""

    system: System
    desk: Desk
    make_settings: Callable[[str], Settings]

    @property
    def settings(self) -> Settings:
        return self.system.settings

    def backup(self, path: Path) -> Made:
        return create(self.system, path, progress=QUIET)

    def elsewhere(self, name: str = "elsewhere") -> Settings:
        """Settings of an empty place that has the key."""
        settings = self.make_settings(name)
        settings.data_dir.mkdir(mode=0o700)
        shutil.copy2(self.settings.audit_key_file, settings.audit_key_file)
        return settings


def bring_back(settings: Settings, source: Path) -> Restored:
    return restore(settings, source, clock=LATER, progress=QUIET)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A house on either engine."""
    if request.param != "sqlite" and not POSTGRES_URL:
        pytest.skip("no PostgreSQL: QM_TEST_POSTGRES_URL is not set")
    yield from _house(tmp_path, is_sqlite=request.param == "sqlite")


@pytest.fixture
def small_house(tmp_path: Path) -> Iterator[House]:
    """A house on SQLite, where the engine does not matter."""
    yield from _house(tmp_path, is_sqlite=True)


def _house(folder: Path, *, is_sqlite: bool) -> Iterator[House]:
    made: list[str] = []

    def settings(name: str) -> Settings:
        place: dict[str, Any] = {"data_dir": folder / name, "company_currency": "USD"}
        if not is_sqlite:
            made.append(new_postgres())
            place["database_url"] = made[-1]
        return Settings(**place)

    system = build_system(settings("house"), clock=FixedClock(NOW))
    desk = OwnDesk(system.database, system.settings.outgoing_dir)
    desk.sent()
    for units in (2400, 3600):
        number = desk.draft(units, duplicate_reason="a tender").order.number
        desk.decide(number=desk.ask(number).number)
    with system.database.write() as session:
        session.execute(
            text("UPDATE outbox SET state = 'claimed', lease_holder = 'w', attempts = 1 "
                 "WHERE id = 3")
        )  # fmt: skip
    yield House(system, desk, settings)
    system.close()
    for url in made:
        drop_postgres(url)


def outbox(database: Database) -> dict[str, OutboxState]:
    with database.read() as session:
        return {row.key.split(":")[1]: row.state for row in session.exec(select(Outbox)).all()}


class TestRoundTrip:
    def test_everything_comes_back_and_nothing_is_sent(self, house: House, tmp_path: Path) -> None:
        thread = _talk(house)
        with house.system.database.read() as session:
            anchor(session, AnchorFile(house.settings.anchor_file), at=NOW)
        made = house.backup(tmp_path / "backup.tar.gz")
        place = house.elsewhere()

        restored = bring_back(place, tmp_path / "backup.tar.gz")

        assert restored.manifest == made.manifest
        assert [key.split(":")[1] for key in restored.in_doubt] == ["PO-2002", "PO-2003"]
        with closing(build_system(place, clock=LATER)) as system:
            with system.database.read() as session:
                report = verify(session, AnchorFile(place.anchor_file).lines())
                is_on = current(session).dispatch_enabled
                told = session.exec(
                    select(AuditEvent.action, AuditEvent.reason).order_by(col(AuditEvent.seq))
                ).all()
            assert (report.ok, report.problem, report.anchors) == (True, "", 1)
            assert is_on is False
            assert [action for action, _ in told[-2:]] == ["delivery.in_doubt"] * 2
            assert "2026-03-02 09:00" in told[-1][1]
            assert outbox(system.database) == {
                "PO-2001": OutboxState.DELIVERED,
                "PO-2002": OutboxState.IN_DOUBT,
                "PO-2003": OutboxState.IN_DOUBT,
            }
            assert _names(place.outgoing_dir) == _names(house.settings.outgoing_dir)
            memory = system.conversations._memory
            assert memory.threads() == [thread]
            assert isinstance(memory, Memory) == system.database.is_sqlite

    def test_a_backup_holds_no_key_and_is_private(self, small_house: House, tmp_path: Path) -> None:
        small_house.backup(tmp_path / "b")

        key = small_house.settings.audit_key_file.read_bytes()
        files = [path for path in (tmp_path / "b").rglob("*") if path.is_file()]
        assert all(key not in path.read_bytes() for path in files)
        assert (tmp_path / "b").stat().st_mode & 0o777 == 0o700
        assert "b" in str(last_made(small_house.settings.data_dir))

    def test_a_storm_of_writes_does_not_tear_it(self, house: House, tmp_path: Path) -> None:
        """What was acknowledged before the backup began is in it; nothing is in it by half."""
        stop, started = threading.Event(), threading.Event()
        acknowledged: list[int] = []

        def storm() -> None:
            while not stop.is_set():
                with house.system.database.write() as session:
                    audit.append(session, at=NOW, actor=audit.SYSTEM, action="x", object_id="y")
                    seq = session.exec(select(func.max(AuditEvent.seq))).one()
                acknowledged.append(seq or 0)
                started.set()

        thread = threading.Thread(target=storm)
        thread.start()
        started.wait(10)
        before = acknowledged[-1]
        try:
            made = house.backup(tmp_path / "b")
        finally:
            stop.set()
            thread.join()

        bring_back(house.elsewhere(), tmp_path / "b")

        assert before <= made.manifest.audit_rows <= acknowledged[-1]


def _talk(house: House) -> str:
    """One turn of a conversation; returns its thread."""
    paul = house.desk.world.actors["paul"]
    thread = house.system.conversations.create_thread(paul)
    house.system.conversations.say(paul, thread, "hello")
    return thread


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestRefusals:
    def test_an_existing_target(self, small_house: House, tmp_path: Path) -> None:
        (tmp_path / "b").mkdir()

        with pytest.raises(Conflict, match="exists already"):
            small_house.backup(tmp_path / "b")

    def test_a_place_where_something_is(self, house: House, tmp_path: Path) -> None:
        house.backup(tmp_path / "b")

        with pytest.raises(Conflict, match="overwrites nothing") as refused:
            bring_back(house.settings, tmp_path / "b")
        assert "already holds a house" in refused.value.message
        again = house.elsewhere()
        bring_back(again, tmp_path / "b")
        shutil.rmtree(again.outgoing_dir)
        with pytest.raises(Conflict, match="overwrites nothing"):
            bring_back(again, tmp_path / "b")

    def test_a_backup_that_was_touched(self, small_house: House, tmp_path: Path) -> None:
        small_house.backup(tmp_path / "b")
        (data,) = (tmp_path / "b").glob("database.*")
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 1
        data.write_bytes(bytes(content))

        with pytest.raises(InvalidInput, match="is not what was written"):
            bring_back(small_house.elsewhere(), tmp_path / "b")

    def test_a_missing_and_a_wrong_key(self, small_house: House, tmp_path: Path) -> None:
        small_house.backup(tmp_path / "b")
        place = small_house.elsewhere()
        place.audit_key_file.unlink()

        with pytest.raises(InvalidInput, match="never holds keys"):
            bring_back(place, tmp_path / "b")

        place.audit_key_file.write_bytes(b"k" * 32)
        place.audit_key_file.chmod(0o600)
        with pytest.raises(InvalidInput, match="audit trail"):
            bring_back(place, tmp_path / "b")

    def test_a_trail_that_does_not_hold_is_no_backup(
        self, small_house: House, tmp_path: Path
    ) -> None:
        with small_house.system.database.write() as session:
            session.execute(text("DROP TRIGGER audit_event_no_update"))
            session.execute(text("UPDATE audit_event SET actor = 'eve' WHERE seq = 3"))

        with pytest.raises(Conflict, match="audit trail"):
            small_house.backup(tmp_path / "b")

        assert sorted(path.name for path in tmp_path.iterdir() if "b" in path.name[:3]) == []


class TestHostileArchives:
    def test_names_outside_are_not_written(self, tmp_path: Path) -> None:
        evil = tmp_path / "evil.tar.gz"
        with tarfile.open(evil, "w:gz") as archive:
            for name in ("../escaped", "/tmp/qm-escaped", "a/../../escaped"):
                member = tarfile.TarInfo(name)
                member.size = 1
                archive.addfile(member, io.BytesIO(b"x"))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        place = Settings(data_dir=tmp_path / "place")

        with pytest.raises(InvalidInput, match=r"manifest\.json"):
            bring_back(place, evil)

        assert not (tmp_path / "escaped").exists()
        assert not Path("/tmp/qm-escaped").exists()
        assert list(place.data_dir.iterdir()) == []

    @pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08\x00"])
    def test_what_is_no_archive(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "b.tar.gz").write_bytes(content)

        with pytest.raises(InvalidInput):
            bring_back(Settings(data_dir=tmp_path / "place"), tmp_path / "b.tar.gz")

    @pytest.mark.parametrize(
        "change",
        [
            {"format": 2},
            {"files": [{"name": "../x", "sha256": "", "size_bytes": 0}]},
            {"files": [{"name": "gone", "sha256": "", "size_bytes": 0}]},
            {"files": "x"},
            {"made_at": "yesterday"},
        ],
    )
    def test_a_manifest_that_lies(self, tmp_path: Path, change: dict[str, object]) -> None:
        content = {
            "format": 1, "made_at": NOW.isoformat(), "program": "1", "engine": "sqlite",
            "revision": "0001", "audit_rows": 0, "rows": {}, "files": [],
        }  # fmt: skip
        (tmp_path / manifest.NAME).write_text(json.dumps({**content, **change}))

        with pytest.raises(InvalidInput, match="cannot be used"):
            manifest.read(tmp_path)
