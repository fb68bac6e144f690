"""One odd row must not stop the plan of everybody else."""

from typing import Any

import pytest
from sqlmodel import Session, col, select

from db.models.catalog import Item, SupplierItem
from db.models.planning import Forecast, Policy, Recommendation
from db.models.stock import StockLevel
from db.session import Database
from db.types import Action, DemandClass, ItemStatus, OrderState
from tests.conftest import NOW
from tests.factories import (
    WorldP,
    add_gloves,
    make_forecast,
    make_item,
    make_location,
    make_world_p,
)
from tests.factories_planning import USD, Desk, add_order
from tools.alerts.tool import list_exceptions
from tools.clock import FixedClock
from tools.replenishment.service import plan_all
from tools.replenishment.tool import compute_reorder_point, explain_recommendation, recommend_orders
from tools.stock.tool import get_stock_position
from tools.wrapping import Tool


@pytest.fixture
def world(session: Session) -> WorldP:
    return make_world_p(session)


def _ask(desk: Desk, tool: Tool, **arguments: object) -> Any:
    return desk.call(tool, **arguments)["data"]


def _plan(session: Session, clock: FixedClock) -> dict[int, Recommendation]:
    run = plan_all(session, clock=clock, company=USD)
    rows = session.exec(select(Recommendation).where(Recommendation.run_id == run.id))
    return {row.item_id: row for row in rows}


@pytest.mark.parametrize("state", [OrderState.DRAFT, OrderState.SENT])
def test_an_item_that_is_only_on_order_is_planned_with_the_default_policy(
    session: Session, world: WorldP, clock: FixedClock, state: OrderState
) -> None:
    item = make_item(session, "NEW-1", "New one")
    add_order(session, world, item=item, state=state)

    rows = _plan(session, clock)

    policy = session.exec(select(Policy).where(Policy.item_id == item.id)).one()
    assert rows[world.widget.id].order_units == 1920
    assert rows[item.id].action == Action.NONE
    assert rows[item.id].policy_id == policy.id
    assert rows[item.id].inputs["policy_version"] == f"policy {policy.id} v1"


def test_a_mistyped_lead_time_stops_nobody(
    session: Session, world: WorldP, clock: FixedClock
) -> None:
    gloves = add_gloves(session, world)["GLOVE-M"]
    offer = session.exec(select(SupplierItem).where(SupplierItem.item_id == gloves.id)).one()
    offer.quoted_lead_time_days = 3_000_000

    rows = _plan(session, clock)

    assert rows[world.widget.id].order_units == 1920
    assert rows[gloves.id].inputs["lead_time_days"] == 1000
    assert "lead_time_capped" in rows[gloves.id].flags
    assert "lead_time_capped" not in rows[world.widget.id].flags


def test_too_little_history_is_said_to_be_too_little(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        forecast = session.exec(select(Forecast)).one()
        forecast.demand_class, forecast.observed_days = DemandClass.NEW, 1
        plan_all(session, clock=desk.context.clock, company=USD)

    point = desk.call(compute_reorder_point, sku="WIDGET-A")
    orders = _ask(desk, recommend_orders)
    stock = _ask(desk, get_stock_position, sku="WIDGET-A")

    assert (point["error"], point["details"]) == ("insufficient_data", {"observed_days": 1})
    assert "1 days of sales" in str(point["message"])
    assert (orders["lines"], orders["items_without_need"]) == ([], 1)
    assert (stock["reorder_point"], stock["daily_demand"], stock["available"]) == (None, None, 540)


@pytest.mark.parametrize("is_planned_before", [True, False])
def test_a_discontinued_item_stays_out_of_the_lists(
    database: Database, is_planned_before: bool
) -> None:
    desk = Desk(database)
    with database.write() as session:
        if is_planned_before:
            plan_all(session, clock=desk.context.clock, company=USD)
        session.get_one(Item, desk.world.widget.id).status = ItemStatus.DISCONTINUED
        session.exec(select(StockLevel)).one().on_hand_units = 90_000
        if not is_planned_before:
            plan_all(session, clock=desk.context.clock, company=USD)

    orders: Any = desk.call(recommend_orders)["data"]
    listed: Any = desk.call(list_exceptions)["data"]
    named: Any = desk.call(recommend_orders, sku="WIDGET-A")["data"]

    assert (orders["lines"], orders["items_without_need"]) == ([], 0)
    assert set(listed["counts"]) == {"late_po"}  # an order that is under way still counts
    assert named["items_without_need"] == 1


class TestSeveralLocations:
    """WIDGET-A is well stocked at MAIN; NORTH has 100, sells 100 a day and needs a purchase."""

    @pytest.fixture
    def desk(self, sqlite_database: Database) -> Desk:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            widget = desk.world.widget
            session.exec(select(StockLevel)).one().on_hand_units = 3000
            north = make_location(session, "NORTH")
            make_forecast(session, widget, north)
            session.add(
                StockLevel(
                    item_id=widget.id, location_id=north.id, on_hand_units=100, updated_at=NOW
                )
            )  # fmt: skip
        return desk

    @pytest.mark.parametrize("is_planned", [True, False])
    def test_every_answer_names_the_place(self, desk: Desk, is_planned: bool) -> None:
        if is_planned:
            with desk.database.write() as session:
                plan_all(session, clock=desk.context.clock, company=USD)

        line = _ask(desk, recommend_orders)["lines"][0]
        listed = _ask(desk, list_exceptions)["exceptions"]
        why = _ask(desk, explain_recommendation, sku="WIDGET-A")

        assert {line["location"], why["location"]} == {"NORTH"}
        assert (why["quantity"], why["inputs"]["on_hand"]) == (line["quantity"], 100)
        places = {row["type"]: row["location"] for row in listed}
        assert places == {
            "below_rop": "NORTH", "projected_stockout": "NORTH", "late_po": "MAIN",
        }  # fmt: skip

    def test_the_place_asked_for_is_explained(self, desk: Desk) -> None:
        main = _ask(desk, explain_recommendation, sku="WIDGET-A", location="MAIN")
        unknown = desk.call(explain_recommendation, sku="WIDGET-A", location="NOWHERE")

        assert (main["location"], main["quantity"], main["inputs"]["on_hand"]) == ("MAIN", 0, 3000)
        assert unknown["error"] == "not_found"

    def test_other_places_with_a_need_are_named(self, desk: Desk) -> None:
        with desk.database.write() as session:
            levels = session.exec(select(StockLevel).order_by(col(StockLevel.id))).all()
            levels[0].on_hand_units = 620

        envelope: Any = desk.call(explain_recommendation, sku="WIDGET-A")

        assert envelope["data"]["location"] == "NORTH"
        assert envelope["warnings"] == ["also to order: 1,920 at MAIN"]

    def test_an_order_is_late_where_the_shelf_is_empty(self, desk: Desk) -> None:
        # PO-1042 goes to MAIN, which has enough: NORTH's stock-out does not make it critical
        rows = _ask(desk, list_exceptions, types=["late_po"])["exceptions"]

        assert rows[0]["severity"] == "warning"
