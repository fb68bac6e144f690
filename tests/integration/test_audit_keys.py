"""The keys of the trail: changed without a gap in the proof, whatever happens in between."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import Session

from api.bootstrap import System, build_system
from api.sealing import anchor_now, rotate_key
from api.settings import Settings
from db.models.audit import AuditEvent
from db.models.identity import User
from db.session import Database
from db.types import Actor, Role
from tests.conftest import NOW
from tests.factories import make_users
from tools.audit.core.chain import entry_mac
from tools.audit.gateway.anchors import AnchorFile
from tools.audit.gateway.keys import Keyring, create_key, key_id_of
from tools.audit.service import (
    SYSTEM,
    append,
    entry_of,
    rotate,
    signer,
    verify,
    write_rows,
)
from tools.clock import FixedClock
from tools.errors import Conflict, Forbidden, InvalidInput

APPEND = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from db.session import Database
from tools.audit.core.chain import entry_mac
from tools.audit.gateway.anchors import AnchorFile
from tools.audit.gateway.keys import Keyring
from tools.audit.service import SYSTEM, append
ring = Keyring(Path(sys.argv[2]))
database = Database(sys.argv[1], session_info={"audit_keys": ring, "audit_key_id": sys.argv[3]})
for number in range(40):
    with database.write() as session:
        append(session, at=datetime(2026, 3, 2, tzinfo=UTC), actor=SYSTEM, action="x",
               object_id=f"{sys.argv[4]}-{number}")
"""


@pytest.fixture
def system(tmp_path: Path) -> System:
    return build_system(Settings(data_dir=tmp_path / "d"), clock=FixedClock(NOW))


def _append(database: Database, name: str = "x") -> str:
    """Returns the id of the key that sealed the row."""
    with database.write() as session:
        return append(session, at=NOW, actor=SYSTEM, action="x", object_id=name).key_id


def _holds(database: Database) -> bool:
    with database.read() as session:
        return verify(session).ok


class TestRotation:
    def test_the_next_row_is_sealed_with_the_new_key_and_everything_holds(
        self, system: System
    ) -> None:
        root = _append(system.database)

        old, new = rotate_key(system, by=None, reason="yearly")

        assert old == root
        assert _append(system.database) == new != old
        assert _holds(system.database)
        folder = system.settings.data_dir
        assert key_id_of((folder / "audit.key").read_bytes()) == new
        assert key_id_of((folder / f"audit.key.{old}").read_bytes()) == old
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.glob("audit.key*"))

    def test_a_running_server_goes_on_with_the_key_that_another_process_made(
        self, system: System
    ) -> None:
        _append(system.database)
        server = build_system(system.settings, clock=FixedClock(NOW))

        _, new = rotate_key(system, by=None, reason="leaked")

        assert _append(server.database) == new
        assert _holds(server.database)

    @pytest.mark.parametrize("died", ["before the row", "after the row"])
    def test_a_crash_in_between_is_finished_by_the_next_start(
        self, system: System, died: str
    ) -> None:
        root = _append(system.database)
        new = Keyring(system.settings.audit_key_file).prepare()
        if died == "after the row":
            with system.database.write() as session:
                rotate(session, by=None, new_key_id=new, reason="r", at=NOW)
        system.close()

        again = build_system(system.settings, clock=FixedClock(NOW))

        expected = new if died == "after the row" else root
        assert _append(again.database) == expected
        assert Keyring(again.settings.audit_key_file).file_key_id == expected
        assert _holds(again.database)

    def test_a_key_that_no_row_introduced_seals_nothing_that_holds(
        self, database: Database
    ) -> None:
        """Two processes with different keys: the second one's row is refused by verification."""
        ring = {"test": b"0" * 32, "other": b"1" * 32}
        _append(database)
        with database.write() as session:
            session.info["audit_keys"] = ring
            first = session.get_one(AuditEvent, 1)
            forged = replace(entry_of(first), seq=2, prev_mac=first.mac, key_id="other")
            write_rows(session, [(forged, entry_mac(ring["other"], forged))])

        with database.read() as session:
            session.info["audit_keys"] = ring
            report = verify(session)

        assert (report.ok, report.first_bad_seq) == (False, 2)
        assert "which no row introduced" in report.problem

    def test_only_an_administrator_changes_the_key_and_says_why(self, database: Database) -> None:
        with database.write() as session:
            actors = make_users(session)
            _make_admin(session, actors["anna"])
        for who, reason, error in (
            ("paul", "r", Forbidden), ("mona", "r", Forbidden), ("anna", " ", InvalidInput),
        ):  # fmt: skip
            with pytest.raises(error), database.write() as session:
                rotate(session, by=actors[who], new_key_id="test", reason=reason, at=NOW)

    def test_without_the_key_nothing_is_written(self, database: Database) -> None:
        _append(database)

        with database.write() as session:
            session.info["audit_keys"] = {"other": b"1" * 32}
            with pytest.raises(Conflict, match="sealed with key 'test'"):
                append(session, at=NOW, actor=SYSTEM, action="x", object_id="y")

    def test_without_the_key_nobody_can_say_whether_it_holds(self, database: Database) -> None:
        _append(database)

        with database.read() as session:
            session.info["audit_keys"] = {"other": b"1" * 32}
            report = verify(session)

        assert (report.ok, report.is_checkable, report.first_bad_seq) == (False, False, 1)

    def test_anchors_of_the_old_key_go_on_to_count(self, system: System) -> None:
        _append(system.database)
        anchor_now(system)
        rotate_key(system, by=None, reason="yearly")
        anchor_now(system)

        with system.database.read() as session:
            report = verify(session, AnchorFile(system.settings.anchor_file).lines())
        assert (report.ok, report.anchors, report.anchored_seq) == (True, 2, 2)


class TestKeyFiles:
    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o666])
    def test_a_key_that_others_can_read_is_refused_with_a_way_out(
        self, tmp_path: Path, mode: int
    ) -> None:
        path = tmp_path / "audit.key"
        create_key(path)
        path.chmod(mode)

        with pytest.raises(InvalidInput, match="open to everybody") as refused:
            Keyring(path)

        assert "chmod 600" in refused.value.next_step

    def test_an_old_key_under_a_wrong_name_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "audit.key"
        create_key(path)
        create_key(tmp_path / f"audit.key.{'0' * 16}")

        with pytest.raises(InvalidInput, match="not the key that its name says"):
            Keyring(path)

    def test_half_a_key_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "audit.key"
        path.write_bytes(b"0" * 16)
        path.chmod(0o600)

        with pytest.raises(InvalidInput, match="16 bytes"):
            Keyring(path)

    def test_no_key_is_in_the_database(self, system: System) -> None:
        _append(system.database)
        rotate_key(system, by=None, reason="yearly")
        system.close()
        keys = [path.read_bytes() for path in system.settings.data_dir.glob("audit.key*")]

        for path in system.settings.data_dir.iterdir():
            if not path.name.startswith("audit.key"):
                content = path.read_bytes()
                assert not any(key in content or key.hex().encode() in content for key in keys)


def test_two_processes_and_a_rotation_leave_no_gap_and_no_fork(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "audit.key"
    create_key(path)
    ring = Keyring(path)
    environment = {**os.environ, "PYTHONPATH": "."}  # noqa: TID251
    url = database.engine.url.render_as_string(hide_password=False)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", APPEND, url, str(path), ring.file_key_id, name], env=environment
        )
        for name in ("a", "b")
    ]
    info = {"audit_keys": ring, "audit_key_id": ring.file_key_id}
    mine = Database(url, session_info=info)
    for _ in range(3):
        new = ring.prepare()
        with mine.write() as session:
            rotate(session, by=None, new_key_id=new, reason="often", at=NOW)
        ring.promote(new)
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]

    with mine.read() as session:
        report = verify(session)
        assert (report.ok, report.rows) == (True, 83), report
        assert signer(session) == ring.file_key_id
    mine.close()


def _make_admin(session: Session, actor: Actor) -> None:
    session.get_one(User, actor.user_id).role = Role.ADMIN
    session.flush()
