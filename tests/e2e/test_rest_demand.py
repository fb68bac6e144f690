"""Demand over HTTP: recorded once, listed, taken back; a model proposes and records nothing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from db.models.catalog import Item, Location
from db.models.demand import DemandCorrection, DemandEvent, ForecastOverride
from tests.factories import day
from tests.factories_demand import YESTERDAY, make_demand, make_load
from tests.factories_rest import Door, actor_of, make_template, open_door
from tools.planning_inputs.tool import get_demand_history, propose_plan_change

TENDER = day(-18)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Fixture P with 60 days of sales, 20 a day and one tender of 350."""
    folder: Path = tmp_path_factory.mktemp("demand")
    with open_door(make_template(folder / "world"), folder / "data") as opened:
        units = [20] * 60
        units[(TENDER - (YESTERDAY - timedelta(days=59))).days] = 350
        with opened.system.database.write() as session:
            item = session.exec(select(Item).where(Item.sku == "WIDGET-A")).one()
            place = session.exec(select(Location)).one()
            make_demand(session, item, place, make_load(session), units=units)
        yield opened


def post(door: Door, path: str, body: dict[str, Any], *, key: str, by: str = "paul") -> Any:
    return door.as_(by).post(f"/v1/demand{path}", json=body, headers={"Idempotency-Key": key})


def proposed(door: Door, **said: Any) -> dict[str, Any]:
    context = door.system.tool_context(actor_of(door, "paul"))
    said = {"target": "WIDGET-A", "reason": "tender of the city"} | said
    return propose_plan_change.call(context, said)


def test_a_correction_is_recorded_once_changes_what_counts_and_is_undone(door: Door) -> None:
    body = {"sku": "widget a", "date": TENDER.isoformat(), "kind": "one_off", "reason": "tender"}
    said = [post(door, "/corrections", body, key="c") for _ in range(2)]
    assert [one.status_code for one in said] == [200, 200], said[0].text
    assert said[1].headers["Idempotency-Replayed"] == "true"
    number = said[0].json()["id"]

    counted = door.as_("vera").get("/v1/demand/history/WIDGET-A").json()["data"]
    listed = door.as_("vera").get("/v1/demand/corrections", params={"sku": "WIDGET-A"}).json()
    again = post(door, "/corrections", body, key="d")
    undone = post(door, f"/corrections/{number}/undo", {"reason": "it came again"}, key="e")
    twice = post(door, f"/corrections/{number}/undo", {"reason": "it came again"}, key="f")

    assert (counted["sold_per_day"], counted["demand_per_day"]) == (25.5, 20.0)
    assert [one["id"] for one in listed["corrections"]] == [number]
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert undone.json()["is_active"] is False
    assert twice.status_code == 409
    everything = door.as_("vera").get("/v1/demand/corrections", params={"all": True}).json()
    assert [one["ended_by"] for one in everything["corrections"]] == ["paul"]


def test_a_promotion_that_overlaps_itself_and_who_may_not(door: Door) -> None:
    body = {
        "kind": "promotion", "name": "spring fair", "start": day(10).isoformat(),
        "end": day(20).isoformat(), "sku": "WIDGET-A", "uplift": 1.4, "reason": "the fair",
    }  # fmt: skip
    event = post(door, "/events", body, key="g").json()
    refused = post(door, "/events", body, key="h")
    viewer = post(door, "/events", body, key="i", by="vera")
    absurd = post(door, "/events", body | {"uplift": 40}, key="j")
    withdrawn = post(door, f"/events/{event['id']}/withdrawal", {"reason": "rain"}, key="k")

    assert refused.status_code == 409
    assert event["id"] in refused.text
    assert viewer.status_code == 403
    assert (absurd.status_code, "40" in absurd.text) == (422, True)
    assert withdrawn.json()["is_active"] is False
    assert door.as_("vera").get("/v1/demand/events").json() == {"events": []}


def test_an_override_remembers_what_the_forecast_said(door: Door) -> None:
    body = {
        "sku": "WIDGET-A", "start": day(0).isoformat(), "end": day(60).isoformat(),
        "units_per_day": 22, "reason": "the customer said so",
    }  # fmt: skip
    row = post(door, "/overrides", body, key="l").json()
    [listed] = door.as_("vera").get("/v1/demand/overrides").json()["overrides"]
    gone = post(door, f"/overrides/{row['id']}/withdrawal", {"reason": "no"}, key="m")

    assert (listed["units_per_day"], listed["system_units_per_day"]) == (22, 100)
    assert gone.status_code == 200
    assert post(door, "/overrides/o-99/withdrawal", {"reason": "x"}, key="n").status_code == 404


class TestTools:
    def test_the_history_names_what_was_unusual(self, door: Door) -> None:
        context = door.system.tool_context(actor_of(door, "paul"))

        found = get_demand_history.call(context, {"sku": "WIDGET-A", "grain": "day"})

        assert found["ok"], found
        [tender] = [row for row in found["data"]["series"] if row["outlier"]]
        assert (tender["date"], tender["qty"]) == (TENDER.isoformat(), 350)
        assert tender["outlier"] == "unusual, and counts"
        assert (found["data"]["adi"], found["data"]["coverage_days"]) == (1.0, 60)
        assert len(found["data"]["series"]) == 28

    @pytest.mark.parametrize(
        ("said", "code"),
        [
            ({"start": "2026-02-30"}, "invalid_input"),
            ({"start": "2026-03-01", "end": "2026-01-01"}, "invalid_input"),
            ({"sku": "NOTHING-LIKE-IT"}, "not_found"),
            ({"grain": "year"}, "invalid_input"),
        ],
    )
    def test_what_cannot_be_asked(self, door: Door, said: dict[str, Any], code: str) -> None:
        context = door.system.tool_context(actor_of(door, "paul"))

        assert get_demand_history.call(context, {"sku": "WIDGET-A"} | said)["error"] == code

    def test_a_proposal_says_before_and_after_and_records_nothing(self, door: Door) -> None:
        def rows() -> list[int]:
            with door.system.database.read() as session:
                kinds = (DemandCorrection, DemandEvent, ForecastOverride)
                return [len(session.exec(select(kind)).all()) for kind in kinds]

        before = rows()
        exclude = proposed(door, kind="demand_correction", start=TENDER.isoformat())["data"]
        figure = proposed(
            door, kind="forecast_override", start=day(0).isoformat(), end=day(90).isoformat(),
            value=22.0,
        )["data"]  # fmt: skip
        note = proposed(door, kind="note", start=day(0).isoformat(), name="they move house")
        lift = proposed(
            door, kind="event", start=day(40).isoformat(), value=1.4, name="summer sale"
        )["data"]

        assert exclude["before"] == {"sold": 350, "counts": 350}
        assert exclude["after"] == {"sold": 350, "counts": "as the days around it"}
        assert figure["before"] == {"units_per_day": 100}
        assert figure["after"] == {"units_per_day": 22, "lapses_after": day(90).isoformat()}
        assert note["data"]["after"]["factor"] == 1.0
        assert lift["after"]["factor"] == 1.4
        assert len(exclude["digest"]) == 64
        assert exclude["digest"] != figure["digest"]
        assert rows() == before

    def test_what_was_proposed_can_be_posted_as_it_is(self, door: Door) -> None:
        asked = proposed(
            door, kind="event", start=day(50).isoformat(), value=1.2, name="autumn sale"
        )["data"]["rest"]

        done = door.as_("paul").post(
            asked["post"], json=asked["body"], headers={"Idempotency-Key": "p"}
        )

        assert done.status_code == 200, done.text
        assert done.json()["name"] == "autumn sale"

    @pytest.mark.parametrize(
        "said",
        [
            {"kind": "demand_correction", "start": day(1).isoformat()},
            {"kind": "demand_correction", "start": TENDER.isoformat(), "end": day(0).isoformat()},
            {"kind": "demand_correction", "start": TENDER.isoformat(), "value": 1.5},
            {"kind": "forecast_override", "start": day(0).isoformat()},
            {"kind": "event", "start": day(0).isoformat(), "value": -1.0, "name": "x"},
            {"kind": "event", "start": "0001-01-01", "name": "x"},
        ],
    )
    def test_what_cannot_be_is_refused_with_a_reason(
        self, door: Door, said: dict[str, Any]
    ) -> None:
        found = proposed(door, **said)

        assert (found["ok"], found["error"]) == (False, "invalid_input"), found
        assert found["message"]
