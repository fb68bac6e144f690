"""The trail in a database: it grows with the change, and tampering is found."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from db.models.purchasing import PurchaseOrderRevision
from db.session import Database
from tests.conftest import NOW
from tests.factories import make_users
from tests.factories_orders import Desk
from tools.audit.core.chain import document_hash
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


@pytest.mark.parametrize(
    "broken",
    [
        "mac = 'm\u00e4c'", "mac = x'ff'", "before = '[]'", "after = '{\"number\": 1.5}'",
        "after = '{'", "after = x'ff00'", "at = 'yesterday'", "at = 5", "actor = x'c3'",
        "after = '{\"number\": NaN}'", "actor_kind = 'alien'",
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_the_first_bad_one(
    sqlite_database: Database, broken: str
) -> None:
    _fill(sqlite_database)

    _tamper(
        sqlite_database,
        "PRAGMA ignore_check_constraints = ON",
        f"UPDATE audit_event SET {broken} WHERE seq = 3",
    )

    with sqlite_database.read() as session:
        report = verify(session)
    assert (report.ok, report.first_bad_seq) == (False, 3), report.problem
    assert "row 3" in report.problem


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

    @pytest.mark.parametrize(
        ("statement", "named"),
        [
            ("UPDATE purchase_order SET sent_at = NULL, state = 'approved'", "PO-2001"),
            ("UPDATE purchase_order SET total_minor = 1", "PO-2001"),
            ("UPDATE purchase_order SET currency = 'EUR'", "PO-2001"),
            ("UPDATE purchase_order SET supplier_id = supplier_id + 1", "PO-2001"),
            ("UPDATE purchase_order SET need_by_on = '2026-04-01'", "PO-2001"),
            ("UPDATE purchase_order SET is_imported = true", "PO-2001"),
            ("UPDATE purchase_order_line SET ordered_units = 1, amount_minor = unit_price_minor"
             " WHERE order_id IN (SELECT id FROM purchase_order WHERE number = 'PO-2001')",
             "PO-2001"),
            ("UPDATE approval SET decided_by_id = requested_by_id", "a-31"),
            ("UPDATE approval SET total_minor = 5", "a-31"),
            ("UPDATE approval SET reason = 'never said'", "a-31"),
            ("UPDATE approval SET requested_by_id = decided_by_id", "a-31"),
            ("UPDATE approval SET consumed_at = NULL", "a-31"),
            ("UPDATE approval SET revision = 2", "a-31"),
            ("UPDATE outbox SET payload = '{}'", "po:PO-2001:v1:"),
            ("UPDATE outbox SET payload = '[1.5]'", "po:PO-2001:v1:"),
            ("DELETE FROM outbox", "PO-2001"),
            ("UPDATE purchase_order_revision SET content = '{}'", "PO-2001"),
            ("UPDATE purchase_order_revision SET fingerprint = 'x'", "PO-2001"),
            ("DELETE FROM purchase_order_revision", "PO-2001"),
        ],
    )  # fmt: skip
    def test_a_row_that_contradicts_the_trail_is_named(
        self, sqlite_database: Database, tmp_path: Path, statement: str, named: str
    ) -> None:
        desk = Desk(sqlite_database, tmp_path)
        desk.sent()
        table = "purchase_order_revision"
        off = [f"DROP TRIGGER {table}_no_update", f"DROP TRIGGER {table}_no_delete"]
        with sqlite_database.write() as session:
            for step in (*off, statement):
                own = (
                    " WHERE number = 'PO-2001'" if step.startswith("UPDATE purchase_order ") else ""
                )
                session.execute(text(step + own))

        report = desk.audit()

        assert not report.ok
        assert named in report.problem

    def test_a_forged_paper_and_a_forged_approval_are_named_on_every_database(
        self, database: Database, tmp_path: Path
    ) -> None:
        desk = Desk(database, tmp_path)
        desk.sent()

        with database.write() as session:
            session.execute(text("UPDATE outbox SET payload = '{}'"))
            session.execute(text("UPDATE approval SET decided_by_id = requested_by_id"))

        assert "a-31: decided_by is 'paul'" in desk.audit().problem
        assert "(and 2 more)" in desk.audit().problem

    def test_an_order_rewritten_everywhere_contradicts_the_trail(
        self, sqlite_database: Database, tmp_path: Path
    ) -> None:
        desk = Desk(sqlite_database, tmp_path)
        desk.sent()
        order = desk.order()

        with sqlite_database.write() as session:
            session.execute(text("DROP TRIGGER purchase_order_revision_no_update"))
            revision = session.exec(select(PurchaseOrderRevision)).one()
            content = {**revision.content, "ship_to": "EAST"}
            forged = document_hash(content)
            revision.content, revision.fingerprint = content, forged
            session.flush()
            session.execute(text("UPDATE location SET code = 'EAST'"))
            for table in ("purchase_order", "approval"):
                session.execute(
                    text(f"UPDATE {table} SET fingerprint = :new WHERE fingerprint = :old"),
                    {"new": forged, "old": order.fingerprint},
                )

        report = desk.audit()
        assert "fingerprint is" in report.problem
        assert "PO-2001" in report.problem or "a-31" in report.problem

    def test_later_changes_of_master_data_accuse_nobody(
        self, database: Database, tmp_path: Path
    ) -> None:
        desk = Desk(database, tmp_path)
        desk.sent()

        with database.write() as session:
            session.execute(text("UPDATE item SET name = 'Widget of another name'"))
            session.execute(text("UPDATE supplier SET email = 'new@acme.example'"))
            session.execute(text("UPDATE supplier_item SET pack_units = 60"))

        assert desk.audit().ok

    def test_an_order_set_to_sent_by_hand_is_named(
        self, sqlite_database: Database, tmp_path: Path
    ) -> None:
        desk = Desk(sqlite_database, tmp_path)
        desk.draft()

        with sqlite_database.write() as session:
            session.execute(text("UPDATE purchase_order SET state = 'sent', sent_at = created_at"))

        assert "PO-2001" in desk.audit().problem
