"""One odd row must not stop the plan of everybody else."""

from typing import Any

import pytest
from sqlmodel import Session, select

from db.models.catalog import Item
from db.models.planning import Policy, Recommendation
from db.models.stock import StockLevel
from db.session import Database
from db.types import Action, ItemStatus, OrderState
from tests.factories import WorldP, make_item, make_world_p
from tests.factories_planning import USD, Desk, add_order
from tools.alerts.tool import list_exceptions
from tools.clock import FixedClock
from tools.replenishment.service import plan_all
from tools.replenishment.tool import recommend_orders


@pytest.fixture
def world(session: Session) -> WorldP:
    return make_world_p(session)


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
