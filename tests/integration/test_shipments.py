"""Where the goods of an order are."""

from typing import Any

import pytest

from db.models.purchasing import ShipmentEvent
from db.session import Database
from db.types import OrderState, ShipmentStatus
from tests.conftest import NOW
from tests.factories import day
from tests.factories_planning import Desk, add_order
from tools.shipments.tool import check_shipment


@pytest.mark.parametrize("name", ["PO-1042", "po-1042", "1042", "po 1042"])
def test_fixture_p_is_six_days_late(sqlite_database: Database, name: str) -> None:
    data: Any = Desk(sqlite_database).call(check_shipment, po_id=name)["data"]

    assert (data["po_id"], data["supplier"], data["state"]) == ("PO-1042", "Acme", "confirmed")
    assert (data["status"], data["days_late"], data["last_event_age_h"]) == ("exception", 6, 6)
    assert (data["eta"], data["promise"]) == (day(10).isoformat(), day(4).isoformat())
    assert data["eta_source"] == "carrier"
    assert data["lines"] == [
        {"sku": "WIDGET-A", "ordered": 300, "shipped": 300, "received": 0, "balance": 300,
         "uom": "each"},
    ]  # fmt: skip


def test_the_tracking_number_finds_the_same(database: Database) -> None:
    data: Any = Desk(database).call(check_shipment, tracking="JD0001042")["data"]

    assert (data["po_id"], data["events"][0]["description"]) == ("PO-1042", "held at customs")


def test_an_order_without_shipment_has_its_promise_only(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        add_order(session, desk.world, state=OrderState.SENT, promise_on=day(9))

    envelope: Any = desk.call(check_shipment, po_id="PO-2001")

    data = envelope["data"]
    assert (data["status"], data["eta"], data["eta_source"]) == (
        "unknown", day(9).isoformat(), "promise",
    )  # fmt: skip
    assert (data["events"], data["last_event_age_h"], envelope["as_of"]) == ([], None, None)


def test_the_carriers_text_is_cleaned(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        session.add(
            ShipmentEvent(
                shipment_id=1, source_event_id="X", status=ShipmentStatus.IN_TRANSIT,
                occurred_at=NOW, description="\x1b[2Jleft hub\u202e" + "x" * 450,
            )
        )  # fmt: skip

    data: Any = desk.call(check_shipment, po_id="PO-1042")["data"]

    text = data["events"][0]["description"]
    assert text.startswith("[2Jleft hub")
    assert len(text) == 300


@pytest.mark.parametrize(
    ("arguments", "code"),
    [({}, "invalid_input"), ({"po_id": "PO-1", "tracking": "x"}, "invalid_input"),
     ({"po_id": "PO-9"}, "not_found"), ({"tracking": "nope"}, "not_found")],
)  # fmt: skip
def test_refusals(sqlite_database: Database, arguments: dict[str, Any], code: str) -> None:
    assert Desk(sqlite_database).call(check_shipment, **arguments)["error"] == code
