"""What administrators set, and what an approval says, edited behind the trail's back."""

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from db.session import Database
from db.types import DocumentFormat, Permission, ScopeKind
from tests.factories_orders import Desk
from tools.identity.service import create_api_key
from tools.offers.service import set_exchange_rate
from tools.people.service import access
from tools.suppliers.core import Way
from tools.suppliers.service import set_delivery

HELD = {  # the columns that docs/audit-trail.md lists, and an edit of each
    "api_key.secret_hash": "'00'",
    "api_key.revoked_at": "'2020-01-01 00:00:00.000000'",
    "api_key.expires_at": "'2040-01-01 00:00:00.000000'",
    "api_key.scopes": "'[]'",
    "user_scope.value": "'EAST'",
    "exchange_rate.rate_micro": "1",
    "supplier.delivery_address": "'thief@example.org'",
    "approval.company_total_minor": "0",
    "approval.consumed_at": "'2020-01-01 00:00:00.000000'",
    "approval.expires_at": "'2020-01-01 00:00:00.000000'",
    "approval_signature.printed_name": "'Somebody Else'",
    "approval_signature.is_reauthenticated": "true",
}


@pytest.fixture
def desk(sqlite_database: Database, tmp_path: Path) -> Desk:
    """Everything that is held against the trail, once."""
    database = sqlite_database
    made = Desk(database, tmp_path)
    adam, clock = made.world.actors["adam"], made.clock
    with database.write() as session:
        create_api_key(
            session, "anna", label="x", clock=clock, permissions=[Permission.READ], by=adam
        )
        access.add_scope(session, "anna", ScopeKind.LOCATION, "MAIN", clock=clock, by=adam)
        set_exchange_rate(
            session, "EUR", Decimal("1.2"), company=made.company, clock=clock, by=adam
        )
        way = Way("email", "orders@acme.example", DocumentFormat.PDF)
        set_delivery(session, "BOREALIS", way=way, actor=adam, clock=clock)
    made.sent()
    return made


def test_nothing_that_is_held_against_the_trail_changes_unseen(desk: Desk) -> None:
    assert desk.audit().ok

    for column, value in HELD.items():
        table, name = column.split(".")
        where = "where code = 'BOREALIS'" if table == "supplier" else ""
        with desk.database.write() as session:
            triggers = "select name from sqlite_master where type = 'trigger'"
            for trigger in session.execute(text(triggers)).scalars().all():
                session.execute(text(f"drop trigger {trigger}"))
            rows = text(f"select rowid, {name} from {table} {where}")
            before = [tuple(row) for row in session.execute(rows)]
            session.execute(text(f"update {table} set {name} = {value} {where}"))
        assert not desk.audit().ok, column
        with desk.database.write() as session:
            for row_id, held in before:
                back = text(f"update {table} set {name} = :held where rowid = :row_id")
                session.execute(back, {"held": held, "row_id": row_id})
        assert desk.audit().ok, column


def test_the_page_lists_what_is_held(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "docs" / "audit-trail.md").read_text()

    assert [column for column in HELD if f"`{column}`" not in page] == []
