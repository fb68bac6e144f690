"""What people see of a house in which they work in a part only."""

from typing import Any

import pytest

from db.models.catalog import Item
from db.models.identity import UserScope
from db.models.stock import StockLevel
from db.session import Database
from db.types import Actor, ScopeKind
from tests.conftest import NOW
from tests.factories import WorldP, add_gloves, make_location, make_world_p
from tools.alerts.tool import list_exceptions
from tools.approvals.service import get_approval, list_approvals
from tools.catalog.tool import find_item
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import NotFound
from tools.forecasting.tool import forecast_demand
from tools.purchasing.service.reading import get_order
from tools.purchasing.tool import draft_purchase_order, list_orders, request_approval
from tools.reach.service import look_as
from tools.replenishment.tool import compute_reorder_point, explain_recommendation, recommend_orders
from tools.shipments.tool import check_shipment
from tools.stock.tool import get_stock_position
from tools.suppliers.tool import compare_suppliers
from tools.wrapping import Tool, ToolContext


@pytest.fixture
def world(database: Database) -> WorldP:
    """Widgets and gloves at MAIN, nothing yet at EAST."""
    with database.write() as session:
        made = make_world_p(session)
        add_gloves(session, made)
        east = make_location(session, "EAST")
        session.add(
            StockLevel(item_id=made.widget.id, location_id=east.id, on_hand_units=7, updated_at=NOW)
        )
    return made


def narrow(database: Database, actor: Actor, kind: str, value: str) -> None:
    with database.write() as session:
        session.add(UserScope(user_id=actor.user_id, kind=ScopeKind(kind), value=value))


def ask(database: Database, actor: Actor, tool: Tool, **arguments: Any) -> dict[str, Any]:
    company = Company(currency="USD")
    return tool.call(
        ToolContext(database.read, database.write, actor, FixedClock(NOW), company), arguments
    )


def request(database: Database, world: WorldP) -> str:
    """Paul asks for approval of an order of widgets; returns the number of the request."""
    lines = [{"sku": "WIDGET-A", "quantity": 1920}]
    drafted = ask(
        database, world.actors["paul"], draft_purchase_order, lines=lines, supplier="ACME"
    )
    asked = ask(database, world.actors["paul"], request_approval, po_id=drafted["data"]["po_id"])
    return str(asked["data"]["approval_id"])


SCOPES = [("category", "care"), ("location", "EAST"), ("supplier", "BOREALIS")]


class TestOrders:
    @pytest.mark.parametrize(("kind", "value"), SCOPES)
    def test_outside_they_are_as_if_they_were_not(
        self, database: Database, world: WorldP, kind: str, value: str
    ) -> None:
        number = request(database, world)
        vera, mona = world.actors["vera"], world.actors["mona"]
        narrow(database, vera, kind, value)

        listed = {who.login: ask(database, who, list_orders)["data"] for who in (vera, mona)}

        assert (listed["vera"], listed["mona"]["total"]) == ({"orders": [], "total": 0}, 2)
        assert ask(database, vera, check_shipment, po_id="PO-1042")["error"] == "not_found"
        assert ask(database, vera, check_shipment, tracking="JD0001042")["error"] == "not_found"
        assert ask(database, mona, check_shipment, po_id="PO-1042")["ok"]
        with database.read() as session:
            look_as(session, vera)
            assert list_approvals(session) == []
            with pytest.raises(NotFound) as refused:
                get_order(session, "PO-1042")
            with pytest.raises(NotFound):
                get_approval(session, number)
        assert refused.value.details == {"recent": []}  # nor are their numbers told

    @pytest.mark.parametrize(
        ("kind", "value"), [("category", "widgets"), ("location", "MAIN"), ("supplier", "ACME")]
    )
    def test_inside_they_are_there(
        self, database: Database, world: WorldP, kind: str, value: str
    ) -> None:
        number = request(database, world)
        vera = world.actors["vera"]
        narrow(database, vera, kind, value)

        with database.read() as session:
            look_as(session, vera)
            assert [view.number for view in list_approvals(session)] == [number]
            assert get_order(session, "PO-1042").number == "PO-1042"
        assert ask(database, vera, list_orders)["data"]["total"] == 2


class TestItems:
    QUESTIONS = (
        (get_stock_position, {"sku": "WIDGET-A"}),
        (forecast_demand, {"sku": "WIDGET-A"}),
        (compute_reorder_point, {"sku": "blue widget"}),
        (recommend_orders, {"sku": "WIDGET-A"}),
        (explain_recommendation, {"sku": "WIDGET-A"}),
        (compare_suppliers, {"sku": "WIDGET-A", "quantity": 100}),
    )

    @pytest.mark.parametrize(
        ("tool", "arguments"), QUESTIONS, ids=lambda one: getattr(one, "name", "")
    )
    def test_of_other_categories_are_not_there(
        self, database: Database, world: WorldP, tool: Tool, arguments: dict[str, Any]
    ) -> None:
        paul, pia = world.actors["paul"], world.actors["pia"]
        narrow(database, pia, "category", "care")

        assert ask(database, paul, tool, **arguments)["ok"]
        answer = ask(database, pia, tool, **arguments)

        assert (answer["ok"], answer["error"]) == (False, "not_found")
        assert "Widget A" not in str(answer)  # nor offered as a near one

    def test_lists_hold_what_is_inside(self, database: Database, world: WorldP) -> None:
        paul, pia = world.actors["paul"], world.actors["pia"]
        narrow(database, pia, "category", "care")

        def skus(who: Actor, tool: Tool, field: str, **arguments: Any) -> set[str]:
            data = ask(database, who, tool, limit=20, **arguments)["data"]
            return {row["sku"] for row in data[field]}

        assert "WIDGET-A" in skus(paul, recommend_orders, "lines")
        assert "WIDGET-A" in skus(paul, list_exceptions, "exceptions")
        assert skus(paul, find_item, "matches", query="widget") == {"WIDGET-A"}
        assert "WIDGET-A" not in skus(pia, recommend_orders, "lines")
        assert "WIDGET-A" not in skus(pia, list_exceptions, "exceptions")
        assert skus(pia, find_item, "matches", query="widget") == set()

    def test_another_place_is_not_there_and_the_own_is_the_usual_one(
        self, database: Database, world: WorldP
    ) -> None:
        pia = world.actors["pia"]
        narrow(database, pia, "location", "EAST")

        own = ask(database, pia, get_stock_position, sku="WIDGET-A")
        other = ask(database, pia, get_stock_position, sku="WIDGET-A", location="MAIN")

        assert own["data"]["location"] == "EAST"
        assert (other["ok"], other["error"]) == (False, "not_found")

    def test_a_draft_outside_is_refused_with_the_reason(
        self, database: Database, world: WorldP
    ) -> None:
        pia = world.actors["pia"]
        narrow(database, pia, "category", "care")

        answer = ask(
            database, pia, draft_purchase_order, supplier="ACME",
            lines=[{"sku": "WIDGET-A", "quantity": 1920}],
        )  # fmt: skip

        assert answer["error"] == "forbidden"
        assert "category 'widgets' is outside the work of 'pia'" in answer["message"]


def test_without_scopes_everything_is_seen(database: Database, world: WorldP) -> None:
    with database.read() as session:
        look_as(session, world.actors["vera"])
        assert get_order(session, "PO-1042").ship_to == "MAIN"
        assert session.get(Item, world.widget.id) is not None
