"""Positions from stored stock and orders, and the tool that shows them."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session, select

from db.models.catalog import Location
from db.models.stock import StockLevel
from db.session import Database
from db.types import OrderState
from tests.conftest import NOW
from tests.factories import TODAY, add_gloves, day, make_item, make_world_p
from tests.factories_planning import Desk, add_order
from tools.stock.service import position, positions
from tools.stock.tool import get_stock_position


@pytest.fixture
def on_sqlite(sqlite_database: Database) -> Iterator[Session]:
    """A write transaction where the engine does not matter."""
    with sqlite_database.write() as opened:
        yield opened


def test_position_of_fixture_p(session: Session) -> None:
    world = make_world_p(session)

    found = position(session, world.widget.id, world.main.id, as_of=TODAY)

    assert (found.available_units, found.on_order_units) == (540, 300)
    assert found.inventory_position_units == 840
    assert found.in_transit_units == 300


@pytest.mark.parametrize(
    "state",
    [OrderState.PENDING_APPROVAL, OrderState.APPROVED, OrderState.SENT, OrderState.CONFIRMED,
     OrderState.CHANGED, OrderState.PARTIALLY_RECEIVED],
)  # fmt: skip
def test_submitted_orders_count_with_their_open_balance(
    on_sqlite: Session, state: OrderState
) -> None:
    world = make_world_p(on_sqlite)
    add_order(on_sqlite, world, units=100, state=state, received_units=30, short_closed_units=10)

    found = position(on_sqlite, world.widget.id, world.main.id, as_of=TODAY)

    assert found.on_order_units == 360


@pytest.mark.parametrize(
    "state",
    [OrderState.REJECTED, OrderState.RECEIVED, OrderState.CLOSED, OrderState.CANCELLED,
     OrderState.SHORT_CLOSED],
)  # fmt: skip
def test_ended_orders_do_not_count(on_sqlite: Session, state: OrderState) -> None:
    world = make_world_p(on_sqlite)
    add_order(on_sqlite, world, state=state)

    found = position(on_sqlite, world.widget.id, world.main.id, as_of=TODAY)

    assert found.netted_position_units == 840


def test_recent_drafts_are_netted_and_shown_apart(session: Session) -> None:
    world = make_world_p(session)
    add_order(session, world, units=1920)
    add_order(session, world, number="PO-2002", units=777, age_days=30)

    found = position(session, world.widget.id, world.main.id, as_of=TODAY)

    assert found.inventory_position_units == 840
    assert found.drafted_units == 1920
    assert found.netted_position_units == 2760


def test_an_item_without_stock_record_has_zeros(on_sqlite: Session) -> None:
    world = make_world_p(on_sqlite)
    item = make_item(on_sqlite, "NEW-1", "New one")

    assert position(on_sqlite, item.id, world.main.id, as_of=TODAY).inventory_position_units == 0


def test_negative_stock_is_kept(on_sqlite: Session) -> None:
    world = make_world_p(on_sqlite)
    level = on_sqlite.exec(select(StockLevel)).one()
    level.on_hand_units = -150
    on_sqlite.flush()

    found = position(on_sqlite, world.widget.id, world.main.id, as_of=TODAY)

    assert found.inventory_position_units == -150 - 80 + 300


def test_the_batch_gives_what_each_item_gives_alone(session: Session) -> None:
    world = make_world_p(session)
    add_gloves(session, world)
    add_order(session, world)

    frame = positions(session, world.main.id, as_of=TODAY).set_index("item_id")

    assert len(frame) == 5
    for item_id, row in frame.iterrows():
        alone = position(session, int(str(item_id)), world.main.id, as_of=TODAY)
        assert row["netted_position_units"] == alone.netted_position_units
        assert row["available_units"] == alone.available_units


def test_the_batch_needs_as_many_queries_as_one_item(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        world = make_world_p(session)
        add_gloves(session, world)
    sent: list[str] = []

    @event.listens_for(sqlite_database.engine, "before_cursor_execute")
    def _count(*arguments: Any) -> None:
        sent.append(arguments[2])

    with sqlite_database.read() as session:
        positions(session, as_of=TODAY)

    assert sum(text.startswith("SELECT") for text in sent) == 2


class TestTool:
    def test_shows_fixture_p(self, sqlite_database: Database) -> None:
        desk = Desk(sqlite_database)

        envelope: Any = desk.call(get_stock_position, sku="widget a")

        data = envelope["data"]
        assert data["sku"] == "WIDGET-A"
        assert (data["available"], data["inventory_position"]) == (540, 840)
        assert (data["days_of_cover"], data["stockout_in_days"]) == (5.4, 8.4)
        assert data["projected_stockout_date"] == day(8).isoformat()
        assert (data["reorder_point"], data["safety_stock"]) == (1244, 344)
        assert data["open_receipts"][0]["po"] == "PO-1042"
        assert envelope["as_of"] == NOW.isoformat(timespec="seconds")
        assert "6 days after its promise" in envelope["warnings"][0]

    def test_an_item_without_forecast_has_no_invented_numbers(
        self, sqlite_database: Database
    ) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            make_item(session, "NEW-1", "New one")

        data: Any = desk.call(get_stock_position, sku="NEW-1")["data"]

        assert data["on_hand"] == 0
        assert [data[name] for name in ("daily_demand", "days_of_cover", "reorder_point")] == [
            None, None, None,
        ]  # fmt: skip

    def test_another_location_has_its_own_stock(self, sqlite_database: Database) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            session.add(Location(code="EAST", name="East"))

        data: Any = desk.call(get_stock_position, sku="WIDGET-A", location="EAST")["data"]

        assert (data["location"], data["on_hand"], data["on_order"]) == ("EAST", 0, 0)

    def test_an_unknown_item_is_not_found(self, sqlite_database: Database) -> None:
        envelope = Desk(sqlite_database).call(get_stock_position, sku="ZZZ-999")

        assert (envelope["ok"], envelope["error"]) == (False, "not_found")
