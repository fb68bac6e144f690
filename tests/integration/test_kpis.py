"""Key figures of fixture P."""

from datetime import timedelta
from typing import Any

from sqlmodel import select

from db.models.catalog import Item
from db.models.ingestion import Load
from db.models.purchasing import PurchaseOrder
from db.models.stock import Demand, StockLevel
from db.session import Database
from db.types import LoadState
from tests.conftest import NOW
from tests.factories import TODAY, add_gloves
from tests.factories_planning import Desk
from tools.kpis.tool import get_kpis


def _figures(desk: Desk, **arguments: Any) -> dict[str, Any]:
    data: Any = desk.call(get_kpis, **arguments)["data"]
    return {row["name"]: row for row in data["kpis"]}


def test_fixture_p(database: Database) -> None:
    desk = Desk(database)

    found = _figures(desk)

    assert found["stockout_rate"]["value"] == 0.0
    assert found["forecast_accuracy"]["value"] == 85.0  # stored WMAPE 0.15
    assert found["inventory_value"]["value"] == 4836.00  # 620 at 7.80
    assert found["carrying_cost"]["value"] == 1209.00
    assert found["supplier_otif"]["numerator"] == 14  # 9 of Acme, 5 of Borealis
    assert found["supplier_otif"]["denominator"] == 18
    assert found["fill_rate"]["value"] is None
    assert found["days_of_supply"]["value"] is None
    assert all(row["definition"] for row in found.values())


def test_an_empty_shelf_counts(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        add_gloves(session, desk.world)
        level = session.exec(
            select(StockLevel).where(StockLevel.item_id == desk.world.widget.id)
        ).one()
        level.on_hand_units = 80  # all of it allocated

    row = _figures(desk)["stockout_rate"]

    assert (row["value"], row["numerator"], row["denominator"], row["holds"]) == (20.0, 1, 5, False)


def test_cycle_time_runs_from_the_detected_need(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        order = session.exec(select(PurchaseOrder)).one()
        order.is_imported = False
        order.detected_at = NOW - timedelta(days=5, hours=19)

    row = _figures(desk)["po_cycle_time"]

    assert (row["value"], row["denominator"], row["holds"]) == (19.0, 1, True)


def test_sales_give_days_of_supply(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        load = Load(
            kind="sales", file_name="s.csv", content_hash="h", state=LoadState.PUBLISHED,
            started_at=NOW,
        )  # fmt: skip
        session.add(load)
        session.flush()
        session.add_all(
            Demand(
                item_id=desk.world.widget.id, location_id=desk.world.main.id,
                on=TODAY - timedelta(days=day), load_id=load.id, units=90,
            )
            for day in range(1, 11)
        )  # fmt: skip

    found = _figures(desk, names=["days_of_supply", "carrying_cost_of_revenue"], window_days=90)

    # cost of sales 900 * 7.80 / 90 = 78.00 a day; 4836 / 78 = 62 days
    assert found["days_of_supply"]["value"] == 62.0
    # 1209 / (900 * 12.00 * 365 / 90 = 43800) = 2.76 %
    assert found["carrying_cost_of_revenue"]["value"] == 2.8
    assert list(found) == ["days_of_supply", "carrying_cost_of_revenue"]


def test_an_unknown_figure_is_refused_with_the_names(sqlite_database: Database) -> None:
    envelope: Any = Desk(sqlite_database).call(get_kpis, names=["happiness"])

    assert envelope["error"] == "invalid_input"
    assert "stockout_rate" in envelope["next"]


def test_stock_in_a_currency_without_rate_is_left_out_and_named(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        session.get_one(Item, desk.world.widget.id).currency = "JPY"

    envelope: Any = desk.call(get_kpis, names=["inventory_value"])

    assert float(envelope["data"]["kpis"][0]["value"]) == 0
    assert "no exchange rate for 'JPY'" in envelope["warnings"][-1]
