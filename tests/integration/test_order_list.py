"""What to order with a budget, and below a supplier's minimum order value."""

from typing import Any

import pytest
from sqlmodel import Session, select

from db.models.catalog import Item, SupplierItem
from db.models.planning import Policy
from db.models.stock import StockLevel
from db.session import Database
from tests.conftest import NOW
from tests.factories import make_forecast, make_item
from tests.factories_planning import Desk
from tools.replenishment.service import plan_all
from tools.replenishment.tool import recommend_orders


@pytest.fixture
def desk(sqlite_database: Database) -> Desk:
    return Desk(sqlite_database)


def _second(session: Session, desk: Desk, *, on_hand: int, price_minor: int = 3900) -> Item:
    """Another item of Acme: 10 a day, reorder point 125 with the supplier's 9 +- 2 days."""
    item = make_item(
        session, "GADGET", "Gadget", unit_cost_minor=3800, unit_price_minor=price_minor
    )
    session.add(
        SupplierItem(
            supplier_id=desk.world.acme.id, item_id=item.id, unit_price_minor=3800,
            quoted_lead_time_days=9,
        )
    )  # fmt: skip
    session.add(
        StockLevel(
            item_id=item.id, location_id=desk.world.main.id, on_hand_units=on_hand, updated_at=NOW
        )
    )  # fmt: skip
    make_forecast(session, item, desk.world.main, mean=10, sd=2)
    session.add(Policy(item_id=item.id, location_id=desk.world.main.id, review_period_days=0))
    session.flush()
    return item


def _ask(desk: Desk, **arguments: object) -> Any:
    return desk.call(recommend_orders, **arguments)["data"]


class TestBudget:
    def test_enough_cuts_nothing(self, desk: Desk) -> None:
        data = _ask(desk, budget=20_000)

        assert data["budget"] == {
            "budget": "20000.00", "wanted": "14976.00", "spent": "14976.00", "currency": "USD",
            "lines": [{"sku": "WIDGET-A", "location": "MAIN", "quantity": 1920}],
            "cut": [], "risk_of_cuts": "0.00",
        }  # fmt: skip

    @pytest.mark.parametrize("is_planned", [True, False])
    def test_the_money_goes_where_a_unit_short_costs_more(
        self, desk: Desk, is_planned: bool
    ) -> None:
        with desk.database.write() as session:
            _second(session, desk, on_hand=60)  # margin 1.00 for 38.00, WIDGET-A 4.20 for 7.80
            if is_planned:
                plan_all(session, clock=desk.context.clock, company=desk.context.company)

        data = _ask(desk, budget=5_000)

        # WIDGET-A: 4.20 * P(X > 840) / 8.00 = 0.32 per money at first, and more than a gadget's
        # 1.00 * 0.92 / 38.00 = 0.024 up to 1,253 (P = 0.046): the minimum, 5 cases of 120 for
        # 4,800.00. The other 200.00 are 5 gadgets at 38.00.
        bought = {line["sku"]: line["quantity"] for line in data["budget"]["lines"]}
        assert bought == {"WIDGET-A": 600, "GADGET": 5}
        assert data["budget"]["spent"] == "4990.00"
        cut = {line["sku"]: line for line in data["budget"]["cut"]}
        assert float(cut["GADGET"]["shortage_cost_risked"]) > 0

    def test_nothing_to_order_costs_nothing(self, desk: Desk) -> None:
        with desk.database.write() as session:
            session.exec(select(StockLevel)).one().on_hand_units = 5000

        assert _ask(desk, budget=10)["budget"]["spent"] == "0.00"

    def test_without_a_budget_the_answer_is_as_before(self, desk: Desk) -> None:
        assert not {"budget", "joint_orders"} & set(_ask(desk))

    def test_a_negative_budget_is_refused(self, desk: Desk) -> None:
        assert desk.call(recommend_orders, budget=-1)["error"] == "invalid_input"


class TestMinimumOrderValue:
    def _minimum(self, desk: Desk, minor: int) -> None:
        with desk.database.write() as session:
            session.merge(desk.world.acme).min_order_value_minor = minor

    def test_an_urgent_order_is_filled_up_by_what_is_due_next(self, desk: Desk) -> None:
        self._minimum(desk, 2_500_000)
        with desk.database.write() as session:
            _second(session, desk, on_hand=180)  # 55 above its reorder point

        (joint,) = _ask(desk)["joint_orders"]

        # WIDGET-A first: up to 2,644 + 1,400 - 840 = 3,204, in cases 3,120, at 7.80 24,336.00;
        # the other 664.00 are 18 gadgets at 38.00
        assert joint["decision"] == "raise"
        assert joint["lines"] == [
            {"sku": "WIDGET-A", "advised": 1920, "quantity": 3120},
            {"sku": "GADGET", "advised": 0, "quantity": 18},
        ]
        assert (joint["advised_amount"], joint["amount"]) == ("14976.00", "25020.00")
        assert "below the supplier's minimum of 25000.00 USD" in joint["reason"]

    def test_an_order_that_is_not_urgent_waits(self, desk: Desk) -> None:
        self._minimum(desk, 2_500_000)
        with desk.database.write() as session:
            session.exec(select(StockLevel)).one().on_hand_units = 1000  # 11.2 days with PO-1042

        data = _ask(desk)

        assert [joint["decision"] for joint in data["joint_orders"]] == ["wait"]
        assert "nothing runs out" in data["joint_orders"][0]["reason"]

    def test_too_little_even_when_filled_up_says_so(self, desk: Desk) -> None:
        self._minimum(desk, 99_000_000)

        (joint,) = _ask(desk)["joint_orders"]

        assert (joint["decision"], joint["amount"]) == ("below_minimum", "14976.00")
