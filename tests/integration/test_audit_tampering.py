"""Who changes the trail, with the database's rights or even with the key, is found out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session, col, delete, select

from db.models.audit import AuditEvent
from db.session import Database
from db.types import Actor
from tests.conftest import AUDIT_INFO, NOW
from tests.factories import make_users
from tests.factories_orders import Desk
from tools.audit.core.chain import Entry, entry_mac
from tools.audit.gateway.anchors import AnchorFile, anchor
from tools.audit.service import SYSTEM, AuditReport, append, entry_of, verify, write_rows
from tools.errors import Conflict
from tools.identity.service import create_api_key

KEY = b"0" * 32
ROWS = 6
Tamper = Callable[[Session], None]


def _fill(database: Database, rows: int = ROWS) -> Actor:
    with database.write() as session:
        paul = make_users(session)["paul"]
        for number in range(1, rows + 1):
            append(
                session, at=NOW, actor=paul, action="test.done", object_id=f"T-{number}",
                before={"number": number - 1}, after={"number": number, "name": "Öl"},
                reason="weil", context={"request_id": "7f"},
            )  # fmt: skip
    return paul


def _tamper(database: Database, change: Tamper) -> None:
    """Do what only the owner of the database can: switch the triggers off and write."""
    off = (
        ["DROP TRIGGER audit_event_no_update", "DROP TRIGGER audit_event_no_delete"]
        if database.is_sqlite
        else ["ALTER TABLE audit_event DISABLE TRIGGER ALL"]
    )
    with database.write() as session:
        for statement in off:
            session.execute(text(statement))
        change(session)


def _sql(*statements: str) -> Tamper:
    def change(session: Session) -> None:
        for statement in statements:
            session.execute(text(statement))

    return change


def _rewrite(key: bytes, *, first: int, edit: Callable[[Entry], Entry]) -> Tamper:
    """Write the trail anew from a row on, each row sealed with a key."""

    def change(session: Session) -> None:
        rows = session.exec(select(AuditEvent).order_by(col(AuditEvent.seq))).all()
        entries = [entry_of(row) for row in rows]
        before = rows[first - 2].mac if first > 1 else entries[0].prev_mac
        session.exec(delete(AuditEvent).where(col(AuditEvent.seq) >= first))
        for entry in entries[first - 1 :]:
            forged = replace(edit(entry), prev_mac=before)
            before = entry_mac(key, forged)
            write_rows(session, [(forged, before)])

    return change


def _blame(entry: Entry) -> Entry:
    return replace(entry, actor="eve") if entry.seq == 4 else entry


def _insert_after_the_last(session: Session) -> None:
    last = session.exec(select(AuditEvent).order_by(col(AuditEvent.seq).desc())).first()
    assert last is not None
    entry = replace(entry_of(last), seq=last.seq + 1, prev_mac=last.mac, reason="slipped in")
    write_rows(session, [(entry, entry_mac(b"f" * 32, entry))])


def _report(database: Database, anchors: AnchorFile | None = None) -> AuditReport:
    with database.read() as session:
        return verify(session, anchors.lines() if anchors else ())


def _anchored(database: Database, path: Path) -> AnchorFile:
    file = AnchorFile(path / "elsewhere" / "anchors.jsonl")
    with database.read() as session:
        assert anchor(session, file, at=NOW)
    return file


@pytest.mark.parametrize(
    ("change", "seq", "problem"),
    [
        (_sql("UPDATE audit_event SET actor = 'eve' WHERE seq = 3"), 3, "changed after"),
        (_sql("UPDATE audit_event SET at = '2026-03-02 09:00:01.000000' WHERE seq = 3"),
         3, "row 3"),
        (_sql("UPDATE audit_event SET context = '{\"request_id\":\"8f\"}' WHERE seq = 3"), 3,
         "changed after"),
        (_sql("UPDATE audit_event SET context = NULL WHERE seq = 3"), 3, "changed after"),
        (_sql("UPDATE audit_event SET before = '{\"number\" \\:2}' WHERE seq = 3"), 3, "spelled"),
        (_sql("DELETE FROM audit_event WHERE seq = 3"), 3, "missing"),
        (_sql("DELETE FROM audit_event WHERE seq <= 2"), 1, "missing"),
        (_sql("UPDATE audit_event SET seq = 99 WHERE seq = 3",
              "UPDATE audit_event SET seq = 3 WHERE seq = 4",
              "UPDATE audit_event SET seq = 4 WHERE seq = 99"), 3, "does not follow"),
        (_sql("UPDATE audit_event SET seq = 0 WHERE seq = 1"), 1, "missing"),
        (_rewrite(b"f" * 32, first=4, edit=_blame), 4, "changed after"),
        (_rewrite(b"f" * 32, first=1, edit=_blame), 1, "changed after"),
        (_rewrite(KEY, first=4, edit=lambda e: replace(e, key_id="mine")), 4, "unknown key"),
        (_insert_after_the_last, 7, "changed after"),
    ],
    ids=["edit", "edit of the time", "edit of the context", "back to version 1", "respelled",
         "delete", "delete the first", "swap", "renumber", "rewrite without the key",
         "rewrite all without the key", "rewrite with a key of one's own", "insert"],
)  # fmt: skip
def test_a_change_without_the_key_is_found_at_its_row(
    database: Database, change: Tamper, seq: int, problem: str
) -> None:
    _fill(database)
    assert _report(database).ok

    _tamper(database, change)

    report = _report(database)
    assert (report.ok, report.first_bad_seq) == (False, seq), report
    assert problem in report.problem


class TestAnchors:
    @pytest.mark.parametrize(
        ("change", "seq", "problem"),
        [
            (_sql("DELETE FROM audit_event WHERE seq > 4"), 5, "it was cut"),
            (_sql("DELETE FROM audit_event"), 1, "it was cut"),
            (_rewrite(KEY, first=4, edit=_blame), 6, "not the one that was anchored"),
            (_rewrite(KEY, first=1, edit=_blame), 6, "not the one that was anchored"),
        ],
        ids=["tail cut", "all cut", "rewrite of the end with the key", "rewrite of all"],
    )
    def test_what_only_an_anchor_shows(
        self, database: Database, tmp_path: Path, change: Tamper, seq: int, problem: str
    ) -> None:
        _fill(database)
        file = _anchored(database, tmp_path)

        _tamper(database, change)

        assert _report(database).ok  # the documented limit of a trail without anchors
        report = _report(database, file)
        assert (report.ok, report.first_bad_seq) == (False, seq), report
        assert problem in report.problem

    def test_a_trail_that_grew_agrees_with_its_anchors(
        self, database: Database, tmp_path: Path
    ) -> None:
        _fill(database, 3)
        file = _anchored(database, tmp_path)
        with database.write() as session:
            append(session, at=NOW, actor=_actor(session), action="x", object_id="y")

        report = _report(database, file)

        assert (report.ok, report.rows, report.anchors, report.anchored_seq) == (True, 4, 1, 3)

    @pytest.mark.parametrize(
        ("old", "new"), [('"rows":6', '"rows":5'), ('"seq":6', '"seq":5'), ("{", " {")]
    )
    def test_an_anchor_that_was_changed_is_named(
        self, sqlite_database: Database, tmp_path: Path, old: str, new: str
    ) -> None:
        _fill(sqlite_database)
        file = _anchored(sqlite_database, tmp_path)
        file.path.write_text(file.path.read_text().replace(old, new))

        report = _report(sqlite_database, file)

        assert not report.ok
        assert "anchor 1 was changed" in report.problem

    def test_an_anchor_taken_out_of_the_middle_is_named(
        self, sqlite_database: Database, tmp_path: Path
    ) -> None:
        file = AnchorFile(tmp_path / "anchors.jsonl")
        for rows in (1, 2, 3):
            with sqlite_database.write() as session:
                actor = make_users(session)["paul"] if rows == 1 else _actor(session)
                append(session, at=NOW, actor=actor, action="x", object_id="y")
            with sqlite_database.read() as session:
                anchor(session, file, at=NOW)
        first, _, last = file.lines()
        file.path.write_text(f"{first}\n{last}\n")

        assert "anchor 2 does not follow" in _report(sqlite_database, file).problem

    def test_a_line_that_a_crash_left_unfinished_is_no_anchor_and_is_written_over(
        self, sqlite_database: Database, tmp_path: Path
    ) -> None:
        _fill(sqlite_database, 2)
        file = _anchored(sqlite_database, tmp_path)
        with file.path.open("a") as torn:
            torn.write('{"at":"2026-')
        with sqlite_database.write() as session:
            append(session, at=NOW, actor=_actor(session), action="x", object_id="y")

        with sqlite_database.read() as session:
            assert anchor(session, file, at=NOW)

        report = _report(sqlite_database, file)
        assert (report.ok, report.anchors, report.anchored_seq) == (True, 2, 3)

    def test_nothing_is_anchored_twice_and_a_shorter_trail_never(
        self, sqlite_database: Database, tmp_path: Path
    ) -> None:
        _fill(sqlite_database)
        file = _anchored(sqlite_database, tmp_path)
        with sqlite_database.read() as session:
            assert not anchor(session, file, at=NOW)

        _tamper(sqlite_database, _sql("DELETE FROM audit_event WHERE seq > 2"))

        with sqlite_database.read() as session, pytest.raises(Conflict, match="row 6 was anchored"):
            anchor(session, file, at=NOW)


def _actor(session: Session) -> Actor:
    assert session.info["audit_key_id"] == "test"
    return SYSTEM


@pytest.fixture(scope="module")
def forgery(sqlite_template: Path, tmp_path_factory: Any) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("bytes") / "test.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{path}", session_info=AUDIT_INFO)
    _fill(database, 3)
    _tamper(database, _sql())
    yield database
    database.close()


class TestEveryByte:
    """Any single byte of any column of any row."""

    @settings(
        max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        seq=st.integers(1, 3),
        column=st.sampled_from([*Entry.__dataclass_fields__, "mac"]).filter(lambda n: n != "seq"),
        place=st.integers(0, 200),
        flip=st.integers(1, 255),
    )
    def test_a_changed_byte_is_found_in_its_row(
        self, forgery: Database, seq: int, column: str, place: int, flip: int
    ) -> None:
        where = {"seq": seq}
        read = text(f"SELECT CAST({column} AS BLOB) FROM audit_event WHERE seq = :seq")
        write = text(f"UPDATE audit_event SET {column} = CAST(:it AS TEXT) WHERE seq = :seq")
        with forgery.write() as session:
            session.execute(text("PRAGMA ignore_check_constraints = ON"))
            true: bytes = session.execute(read, where).scalar_one()
            spot = place % len(true) if true else 0
            false = true[:spot] + bytes([true[spot] ^ flip] if true else [flip]) + true[spot + 1 :]
            session.execute(write, {**where, "it": false})

            report = verify(session)

            session.execute(write, {**where, "it": true})
        assert (report.ok, report.first_bad_seq) == (False, seq), (false, report)


class TestWhoSigned:
    """Signatures, receipts and policies are held against the trail too."""

    @pytest.mark.parametrize(
        ("statement", "named"),
        [
            ("DELETE FROM approval_signature", "a-31 lacks the signature of 'mona'"),
            ("UPDATE approval_signature SET user_id = (SELECT id FROM app_user WHERE login='paul')",
             "a-31 lacks the signature of 'mona'"),
            ("UPDATE approval_signature SET fingerprint = 'x'", "a-31 lacks the signature"),
            ("UPDATE approval SET required_signatures = 2", "with 1 of 2 signatures"),
            ("UPDATE approval SET needs_reauthentication = true", "without a password"),
            ("INSERT INTO approval_signature (approval_id, user_id, printed_name, signed_at,"
             " meaning, reason, channel, fingerprint, is_reauthenticated)"
             " SELECT approval_id, (SELECT id FROM app_user WHERE login = 'pia'), 'Pia', signed_at,"
             " meaning, reason, channel, fingerprint, is_reauthenticated FROM approval_signature",
             "a signature of 'pia' that the trail denies"),
        ],
    )  # fmt: skip
    def test_a_signature_that_contradicts_the_trail_is_named(
        self, database: Database, tmp_path: Path, statement: str, named: str
    ) -> None:
        desk = Desk(database, tmp_path)
        desk.sent()
        assert desk.audit().ok, desk.audit()
        table = "approval_signature"
        off = (
            [f"DROP TRIGGER {table}_no_update", f"DROP TRIGGER {table}_no_delete"]
            if database.is_sqlite
            else [f"ALTER TABLE {table} DISABLE TRIGGER ALL"]
        )

        with database.write() as session:
            for step in (*off, statement):
                session.execute(text(step))

        assert named in desk.audit().problem, desk.audit()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE api_key SET expires_at = x'ff00'",
        "UPDATE api_key SET scopes = 'no document'",
        "UPDATE purchase_order SET total_minor = x'ff00'",
        "UPDATE supplier SET delivery_format = 'clay tablet'",
    ],
)
def test_a_record_that_nobody_could_have_written_is_a_finding(
    sqlite_database: Database, tmp_path: Path, statement: str
) -> None:
    """SQLite keeps whatever it is given; the verification must say so instead of falling over."""
    desk = Desk(sqlite_database, tmp_path)
    desk.sent()
    with sqlite_database.write() as session:
        create_api_key(session, "mona", label="till", clock=desk.clock)
    assert desk.audit().ok, desk.audit()

    with sqlite_database.write() as session:
        session.execute(text(statement))
        report = verify(session)

    assert not report.ok
    assert "never writes" in report.problem
