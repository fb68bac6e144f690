"""What a decision asks the database does not grow with the lines of its order."""

from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import select

from db.models.catalog import Supplier, SupplierItem
from db.session import Database
from db.types import Decision
from tests.factories import make_item
from tests.factories_orders import Desk
from tools.approvals.service import decide
from tools.purchasing.service.drafting import draft
from tools.purchasing.service.requesting import request_approval
from tools.purchasing.service.terms import LineRequest


def _statements_of_an_approval(desk: Desk, skus: list[str]) -> int:
    database, who = desk.database, desk.world.actors
    with database.write() as session:
        drafted = draft(
            session, lines=[LineRequest(1, sku) for sku in skus], actor=who["paul"],
            clock=desk.clock, company=desk.company,
        )  # fmt: skip
        asked = request_approval(
            session, number=drafted.order.number, actor=who["paul"], clock=desk.clock,
            company=desk.company,
        )  # fmt: skip
        number, version = asked.number, asked.version
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        with database.write() as session:
            decide(
                session, number=number, version=version, decision=Decision.APPROVE,
                actor=who["mona"], clock=desk.clock, company=desk.company, channel="test",
            )  # fmt: skip
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return len(sent)


@pytest.fixture
def skus(database: Database, tmp_path: Path) -> tuple[Desk, list[str]]:
    """Goods of one supplier."""
    desk = Desk(database, tmp_path / "outgoing")
    names = [f"PART-{number}" for number in range(8)]
    with database.write() as session:
        acme = session.exec(select(Supplier).where(Supplier.name == "Acme")).one()
        for name in names:
            item = make_item(session, name, f"Part {name}", unit_cost_minor=100)
            session.add(
                SupplierItem(
                    supplier_id=acme.id, item_id=item.id, unit_price_minor=100, moq_units=1,
                    order_multiple_units=1, quoted_lead_time_days=9, is_preferred=True,
                )
            )  # fmt: skip
    return desk, names


def test_an_approval_of_seven_lines_sends_as_many_as_one_of_one(
    skus: tuple[Desk, list[str]],
) -> None:
    desk, names = skus

    one = _statements_of_an_approval(desk, names[:1])
    seven = _statements_of_an_approval(desk, names[1:])

    assert seven == one
