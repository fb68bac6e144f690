"""The trail in a database: it grows with the change, and tampering is found."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session

from db.session import Database
from tests.conftest import NOW
from tests.factories import make_users
from tests.factories_orders import Desk
from tools.audit.service import append, verify


def _fill(database: Database, rows: int = 5) -> None:
    with database.write() as session:
        actors = make_users(session)
        for number in range(1, rows + 1):
            append(
                session, at=NOW, actor=actors["paul"], action="test.done",
                object_id=f"T-{number}", after={"number": number},
            )  # fmt: skip


def _tamper(database: Database, *statements: str) -> None:
    """Do what only the owner of the database can: switch the triggers off and write."""
    if database.is_sqlite:
        off = ["DROP TRIGGER audit_event_no_update", "DROP TRIGGER audit_event_no_delete"]
    else:
        off = ["ALTER TABLE audit_event DISABLE TRIGGER ALL"]
    with database.write() as session:
        for statement in (*off, *statements):
            session.execute(text(statement))


def test_rows_are_numbered_without_gaps(database: Database) -> None:
    _fill(database)

    with database.read() as session:
        report = verify(session)

    assert (report.ok, report.rows, report.problem) == (True, 5, "")


def test_a_rolled_back_change_leaves_no_row_and_no_gap(database: Database) -> None:
    _fill(database, 2)

    def fails(session: Session) -> None:
        actors = make_users(session)
        append(session, at=NOW, actor=actors["paul"], action="x", object_id="T-9")

    with pytest.raises(Exception, match=r"UNIQUE|unique"), database.write() as session:
        fails(session)
    with database.read() as session:
        assert verify(session).rows == 2


@pytest.mark.parametrize(
    ("statements", "seq", "problem"),
    [
        (["UPDATE audit_event SET actor = 'eve' WHERE seq = 3"], 3, "changed after"),
        (["UPDATE audit_event SET after = '{\"number\": 9}' WHERE seq = 3"], 3, "changed after"),
        (["DELETE FROM audit_event WHERE seq = 3"], 3, "missing"),
        (["DELETE FROM audit_event WHERE seq = 1"], 1, "missing"),
        (["UPDATE audit_event SET seq = 9 WHERE seq = 5"], 5, "missing"),
        (
            [
                "UPDATE audit_event SET seq = 99 WHERE seq = 2",
                "UPDATE audit_event SET seq = 2 WHERE seq = 3",
                "UPDATE audit_event SET seq = 3 WHERE seq = 99",
            ],
            2,
            "does not follow",
        ),
    ],
    ids=["edit", "edit of the content", "delete", "delete the first", "gap", "swap"],
)
def test_tampering_is_found_at_the_first_bad_row(
    sqlite_database: Database, statements: list[str], seq: int, problem: str
) -> None:
    _fill(sqlite_database)

    _tamper(sqlite_database, *statements)

    with sqlite_database.read() as session:
        report = verify(session)
    assert not report.ok
    assert report.first_bad_seq == seq
    assert problem in report.problem


def test_an_edit_and_a_deletion_are_found_on_every_database(database: Database) -> None:
    _fill(database)

    _tamper(
        database,
        "UPDATE audit_event SET actor = 'eve' WHERE seq = 4",
        "DELETE FROM audit_event WHERE seq = 5",
    )

    with database.read() as session:
        assert verify(session).first_bad_seq == 4


def test_a_row_signed_with_another_key_is_found(database: Database) -> None:
    _fill(database)

    with database.read() as session:
        session.info["audit_keys"] = {"test": b"1" * 32}
        report = verify(session)

    assert (report.ok, report.first_bad_seq) == (False, 1)


def _forget_approval(session: Session) -> None:
    session.execute(text("UPDATE approval SET state = 'void'"))


def _forget_delivery(session: Session) -> None:
    session.execute(text("UPDATE outbox SET state = 'cancelled'"))


def _change_content(session: Session) -> None:
    session.execute(
        text("UPDATE purchase_order SET fingerprint = :x WHERE number = 'PO-2001'"), {"x": "0" * 64}
    )


class TestOrdersAreProven:
    def test_a_sent_order_is_proven(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)

        desk.sent()

        assert desk.audit().ok

    @pytest.mark.parametrize(
        ("tamper", "problem"),
        [
            (_forget_approval, "without an approval"),
            (_forget_delivery, "without a delivered outbox row"),
            (_change_content, "without an approval of its content"),
        ],
    )
    def test_a_sent_order_that_lacks_a_proof_is_named(
        self,
        sqlite_database: Database,
        tmp_path: Path,
        tamper: Callable[[Session], None],
        problem: str,
    ) -> None:
        desk = Desk(sqlite_database, tmp_path)
        desk.sent()

        with sqlite_database.write() as session:
            tamper(session)

        report = desk.audit()
        assert not report.ok
        assert "PO-2001" in report.problem
        assert problem in report.problem

    def test_an_order_set_to_sent_by_hand_is_named(
        self, sqlite_database: Database, tmp_path: Path
    ) -> None:
        desk = Desk(sqlite_database, tmp_path)
        desk.draft()

        with sqlite_database.write() as session:
            session.execute(text("UPDATE purchase_order SET state = 'sent', sent_at = created_at"))

        assert "PO-2001" in desk.audit().problem
