"""The worklist of fixture P."""

from typing import Any

import pytest
from sqlmodel import select

from db.models.catalog import Item
from db.models.stock import StockLevel
from db.session import Database
from db.types import OrderState
from tests.factories import add_gloves, day
from tests.factories_planning import USD, Desk, add_order
from tools.alerts.tool import list_exceptions
from tools.replenishment.service import plan_all


def test_fixture_p(database: Database) -> None:
    desk = Desk(database)
    with database.write() as session:
        plan_all(session, clock=desk.context.clock, company=USD)

    envelope: Any = desk.call(list_exceptions)

    rows = envelope["data"]["exceptions"]
    assert envelope["data"]["counts"] == {"below_rop": 1, "projected_stockout": 1, "late_po": 1}
    assert [row["type"] for row in rows] == ["late_po", "below_rop", "projected_stockout"]
    # 840 - 900 = -60 on the eve of the arrival; sigma 208.806: k = -0.2874, G(k) = 0.55898,
    # so 116.72 units are expected to be missing, at 12.00
    assert float(rows[1]["value_at_risk"]) == pytest.approx(1400.62, abs=0.5)
    assert "840" in rows[1]["why"]
    assert "1,244" in rows[1]["why"]
    assert rows[2]["due"] == day(8).isoformat()
    assert (rows[0]["po"], rows[0]["severity"]) == ("PO-1042", "critical")
    assert envelope["warnings"] == []


def test_types_and_limit_narrow_the_list(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)

    some: Any = desk.call(list_exceptions, types=["below_rop", "projected_stockout"], limit=1)

    assert some["data"]["total"] == 2
    assert len(some["data"]["exceptions"]) == 1
    assert desk.call(list_exceptions, types=["nonsense"])["error"] == "invalid_input"


def test_a_supplier_narrows_items_and_orders(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)

    borealis: Any = desk.call(list_exceptions, supplier="Borealis")
    acme: Any = desk.call(list_exceptions, supplier="Acme")

    assert (borealis["data"]["total"], acme["data"]["total"]) == (0, 3)


def test_excess_and_silent_orders(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        gloves = add_gloves(session, desk.world)
        level = session.exec(
            select(StockLevel).where(StockLevel.item_id == gloves["GLOVE-S"].id)
        ).one()
        level.on_hand_units = 1000
        add_order(session, desk.world, state=OrderState.SENT, promise_on=day(6), age_days=3)

    data: Any = desk.call(list_exceptions, types=["excess", "unconfirmed_po"])["data"]

    rows = {row["type"]: row for row in data["exceptions"]}
    assert rows["excess"]["sku"] == "GLOVE-S"
    assert rows["excess"]["value_at_risk"] == "2920.00"  # (1000 - 90 * 3) at 4.00
    assert (rows["unconfirmed_po"]["po"], rows["unconfirmed_po"]["value_at_risk"]) == (
        "PO-2001", "14976.00",
    )  # fmt: skip


def test_a_value_without_exchange_rate_is_left_open_and_named(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        session.get_one(Item, desk.world.widget.id).currency = "JPY"
        desk.world.open_order.currency = "CHF"
        session.merge(desk.world.open_order)

    envelope: Any = desk.call(list_exceptions)

    assert {row["value_at_risk"] for row in envelope["data"]["exceptions"]} == {None}
    assert [note[:24] for note in envelope["warnings"][-2:]] == [
        "no exchange rate for 'CH", "no exchange rate for 'JP",
    ]  # fmt: skip
