"""What-if questions on fixture P; nothing is written."""

from typing import Any

import pytest
from sqlmodel import select

from db.models.planning import Policy, Recommendation
from db.session import Database
from tests.factories import day, make_item
from tests.factories_planning import Desk
from tools.simulation.tool import simulate_scenario


def _ask(database: Database, **arguments: Any) -> Any:
    return Desk(database).call(simulate_scenario, sku="WIDGET-A", **arguments)


@pytest.mark.parametrize(
    ("change", "point", "stock"),
    [
        ({}, 1244, 344),
        ({"demand_change_pct": 40}, 1741, 481),  # DOMAIN T7: 1740.8, safety 344 -> 481
        ({"lead_time_change_days": 7}, 1955, 355),  # 1600 + 354.3
        ({"service_level": 0.99}, 1386, 486),  # 900 + 2.3263 * 208.81
        # both: 140 * 16 + 1.6449 * sqrt(16 * 28**2 + 140**2 * 4) = 2240 + 496.0
        ({"demand_change_pct": 40, "lead_time_change_days": 7}, 2737, 497),
    ],
)
def test_reorder_point_of_the_scenario(
    sqlite_database: Database, change: dict[str, Any], point: int, stock: int
) -> None:
    data = _ask(sqlite_database, **change)["data"]

    assert data["baseline"]["reorder_point"] == 1244
    assert (data["scenario"]["reorder_point"], data["scenario"]["safety_stock"]) == (point, stock)
    assert data["delta"]["reorder_point"] == point - 1244


def test_more_demand_runs_out_earlier(database: Database) -> None:
    data = _ask(database, demand_change_pct=40)["data"]

    # 540 / 140 = 3.86 days, before the receipt of day 4
    assert data["baseline"]["days_to_stockout"] == 8.4
    assert data["scenario"]["days_to_stockout"] == 3.9
    assert data["scenario"]["first_stockout_date"] == day(3).isoformat()
    assert data["scenario"]["order_quantity"] == 2880  # 3701 - 840 = 2861 in multiples of 120
    assert data["order_by_has_passed"] is True


def test_a_promotion_after_the_lead_time_does_not_move_the_reorder_point(
    sqlite_database: Database,
) -> None:
    data = _ask(
        sqlite_database,
        demand_change_pct=40,
        start=day(20).isoformat(),
        end=day(33).isoformat(),
    )["data"]

    assert data["scenario"]["reorder_point"] == 1244
    assert data["scenario"]["order_up_to"] == 2644 + 120  # days 20 to 22 of the cover at +40
    assert data["scenario"]["days_to_stockout"] == 8.4


def test_a_stockout_beyond_the_horizon_is_not_shown(sqlite_database: Database) -> None:
    data = _ask(sqlite_database, horizon_days=5)["data"]

    assert data["baseline"]["first_stockout_date"] is None


def test_writes_nothing(sqlite_database: Database) -> None:
    envelope = _ask(sqlite_database, demand_change_pct=40)

    assert envelope["warnings"] == ["nothing was changed"]
    with sqlite_database.read() as session:
        policy = session.exec(select(Policy)).one()
        assert (policy.service_rate, policy.reorder_point_units) == (0.95, None)
        assert session.exec(select(Recommendation)).all() == []


def test_an_item_without_forecast_has_no_scenario(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        make_item(session, "NEW-1", "New one")

    assert desk.call(simulate_scenario, sku="NEW-1")["error"] == "insufficient_data"


def test_impossible_changes_are_refused(sqlite_database: Database) -> None:
    assert _ask(sqlite_database, demand_change_pct=-200)["error"] == "invalid_input"
