"""Bookings, answers, stock and rights that somebody changed behind the trail are named."""

from pathlib import Path

import pytest
from sqlalchemy import text

from db.session import Database
from tests.factories import make_item
from tests.factories_orders import Desk
from tests.integration.test_answers import T6, answer, decide
from tools.people.service import accounts
from tools.purchasing.service.receiving import Arrival, Disposition, WrongArrival, receive
from tools.purchasing.service.reversing import return_goods, reverse_receipt


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    """300 ordered: 240 and 60 promised; a note reversed, goods returned, others quarantined."""
    desk = Desk(database, tmp_path)
    with database.write() as session:
        make_item(session, "STRAY", "Nobody ordered it")
    answer(desk, *T6)
    decide(desk)
    who = {"actor": desk.world.actors["paul"], "clock": desk.clock}
    for note, units in (("DN-1", 30), ("DN-2", 100)):
        with database.write() as session:
            receive(
                session, number="PO-1042", arrivals=[Arrival("WIDGET-A", units)], reference=note,
                company=desk.company, wrong=[WrongArrival("STRAY", 7, Disposition.QUARANTINE)],
                **who,  # type: ignore[arg-type]
            )  # fmt: skip
    with database.write() as session:
        reverse_receipt(session, number="PO-1042", reference="DN-1", reason="typed twice", **who)  # type: ignore[arg-type]
    with database.write() as session:
        return_goods(
            session, number="PO-1042", sku="WIDGET-A", units=5, reference="RN-1", reason="broken",
            **who,  # type: ignore[arg-type]
        )  # fmt: skip
    answer(desk, *T6)
    decide(desk, accept=False, number="s-2", reason="no")
    with database.write() as session:
        by = desk.world.actors["adam"]
        accounts.change_user(session, "pia", {"approval_limit_minor": 5}, by=by, clock=desk.clock)
    return desk


def test_what_stands_is_what_was_told(desk: Desk) -> None:
    assert desk.audit().ok, desk.audit().problem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE receipt SET received_units = 4 WHERE kind = 'return'", "return of 4"),
        ("DELETE FROM receipt WHERE kind = 'return'", "RN-1:return:WIDGET-A of row"),
        ("DELETE FROM receipt WHERE reference = 'PO-1042:DN-2:x1'", "PO-1042:DN-2:x1 of row"),
        ("UPDATE receipt SET rejected_units = 7 WHERE reference = 'PO-1042:DN-2:x1'", "7 refused"),
        ("DELETE FROM receipt WHERE reference = 'PO-1042:DN-1:1:reversed'", "lacks the counter"),
        (
            "UPDATE receipt SET received_units = 29 WHERE reference = 'PO-1042:DN-1:1:reversed'",
            "units are 29, it reverses 30",
        ),
        (
            "UPDATE receipt SET reference = 'PO-1042:RN-2:return:WIDGET-A' WHERE kind = 'return'",
            "RN-1:return:WIDGET-A of row",
        ),
        ("UPDATE supplier_answer SET state = 'declined' WHERE number = 's-1'", "'declined', row"),
        ("UPDATE supplier_answer SET state = 'accepted' WHERE number = 's-2'", "'accepted', row"),
        ("UPDATE stock_level SET on_hand_units = on_hand_units + 3", "its movements sum to"),
        ("UPDATE app_user SET approval_limit_minor = 9 WHERE login = 'pia'", "user pia: approval_"),
    ],
)  # fmt: skip
def test_what_was_changed_behind_it_is_named(desk: Desk, change: str, problem: str) -> None:
    with desk.database.write() as session:
        for statement in _unguarded(desk.database):
            session.execute(text(statement))
        session.execute(text(change))

    report = desk.audit()

    assert not report.ok
    assert problem in report.problem


def _unguarded(database: Database) -> list[str]:
    """Do what only the owner of the database can."""
    if database.is_sqlite:
        return [f"DROP TRIGGER IF EXISTS receipt_no_{verb}" for verb in ("update", "delete")]
    return ["ALTER TABLE receipt DISABLE TRIGGER ALL"]
