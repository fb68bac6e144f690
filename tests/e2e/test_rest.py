"""The whole way over HTTP: ask, draft, request, decide with another key, delivered, told."""

import json
import sqlite3
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from api.bootstrap import build_system
from db.types import Decision
from tests.conftest import NOW
from tests.factories_rest import (
    Door,
    Event,
    eventually,
    make_template,
    open_door,
    read_events,
    sent_files,
    settings_in,
)
from tools.approvals import service as approving
from tools.clock import FixedClock
from tools.identity.service import actor_by_login


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("rest") / "world")


@pytest.fixture
def door(template: Path, tmp_path: Path) -> Iterator[Door]:
    with open_door(template, tmp_path / "data") as opened:
        yield opened


def _thread(client: httpx2.Client) -> str:
    response = client.post("/v1/threads", json={"title": "Monday orders"})
    assert response.status_code == 201
    thread_id: str = response.json()["thread_id"]
    return thread_id


def _say(client: httpx2.Client, thread_id: str, text: str) -> list[Event]:
    """Say something and read the run's events as they come."""
    with client.stream(
        "POST", f"/v1/threads/{thread_id}/messages", json={"text": text},
        headers={"Accept": "text/event-stream"},
    ) as response:  # fmt: skip
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        return read_events(response)


def _reply(events: list[Event]) -> str:
    return "".join(event.data["text"] for event in events if event.kind == "message.completed")


def test_from_a_question_to_a_delivered_order(door: Door) -> None:
    paul, mona = door.as_("paul"), door.as_("mona")
    thread_id = _thread(paul)

    drafted = _say(paul, thread_id, "Draft a purchase order for 1,920 WIDGET-A from Acme")
    asked = _say(paul, thread_id, "yes, request approval")

    assert "14,976.00" in _reply(drafted)
    (request,) = [event for event in asked if event.kind == "approval.requested"]
    assert asked[-1].kind == "run.completed"
    (waiting,) = mona.get("/v1/approvals", params={"state": "pending"}).json()["approvals"]
    assert waiting["id"] == request.data["approval_id"]
    assert waiting["order"]["lines"][0]["quantity"] == 1920
    assert sent_files(door) == []  # nothing left the house yet

    decided = mona.post(
        f"/v1/approvals/{waiting['id']}/decisions",
        json={"decision": "approve", "fingerprint": waiting["fingerprint"]},
        headers={"Idempotency-Key": uuid4().hex, "If-Match": f'"{waiting["version"]}"'},
    )

    assert decided.status_code == 200, decided.text
    (name,) = eventually(lambda: sent_files(door))
    sent = json.loads((door.system.settings.outgoing_dir / name).read_text())
    assert (sent["number"], sent["approval"]["number"]) == (
        waiting["order"]["po_id"],
        waiting["id"],
    )
    told = eventually(lambda: _told(paul, thread_id, waiting["order"]["po_id"]))
    assert "Mona" in told


def _told(client: httpx2.Client, thread_id: str, po_id: str) -> str | None:
    """Return what the assistant said after the decision."""
    messages = client.get(f"/v1/threads/{thread_id}/messages").json()["messages"]
    notices = [message["id"] for message in messages if message["role"] == "notice"]
    replies = [m["text"] for m in messages if notices and m["id"] > notices[0]]
    return next((text for text in replies if po_id in text), None)


class TestStreams:
    def test_a_dropped_stream_goes_on_where_it_stopped(self, door: Door) -> None:
        paul = door.as_("paul")
        thread_id = _thread(paul)
        accepted = paul.post(
            f"/v1/threads/{thread_id}/messages", json={"text": "stock of WIDGET-A?"}
        )
        assert accepted.status_code == 202
        url = accepted.json()["events"]

        with paul.stream("GET", url) as response:
            first = read_events(response, at_most=2)
        with paul.stream("GET", url, headers={"Last-Event-ID": str(first[-1].id)}) as response:
            rest = read_events(response)
        with paul.stream("GET", url) as response:
            whole = read_events(response)

        assert first + rest == whole
        assert whole[0].kind == "run.started"
        assert whole[-1].kind == "run.completed"

    def test_the_turn_goes_on_when_nobody_listens(self, door: Door) -> None:
        paul = door.as_("paul")
        thread_id = _thread(paul)
        with paul.stream(
            "POST", f"/v1/threads/{thread_id}/messages", json={"text": "stock of WIDGET-A?"},
            headers={"Accept": "text/event-stream"},
        ) as response:  # fmt: skip
            run_id = response.headers["x-run-id"]

        with paul.stream("GET", f"/v1/runs/{run_id}/events") as response:
            assert read_events(response)[-1].kind == "run.completed"

    def test_a_bad_last_event_id(self, door: Door) -> None:
        response = door.as_("paul").get("/v1/runs/1/events", headers={"Last-Event-ID": "x"})

        assert response.status_code == 422


class TestMessages:
    def test_the_same_key_is_one_message(self, door: Door) -> None:
        paul = door.as_("paul")
        url = f"/v1/threads/{_thread(paul)}/messages"
        headers = {"Idempotency-Key": "m-1"}

        first = paul.post(url, json={"text": "stock of WIDGET-A?"}, headers=headers)
        second = paul.post(url, json={"text": "stock of WIDGET-A?"}, headers=headers)
        other = paul.post(url, json={"text": "something else"}, headers=headers)

        assert first.json() == second.json()
        assert other.status_code == 422
        said = [m for m in paul.get(url).json()["messages"] if m["role"] == "user"]
        assert len(said) == 1

    @pytest.mark.parametrize("text", ["", "   ", "x" * 8001, "a\x00b", None, 7])
    def test_what_is_no_message(self, door: Door, text: object) -> None:
        paul = door.as_("paul")

        response = paul.post(f"/v1/threads/{_thread(paul)}/messages", json={"text": text})

        assert response.status_code == 422

    def test_a_body_over_a_megabyte(self, door: Door) -> None:
        paul = door.as_("paul")

        response = paul.post(
            f"/v1/threads/{_thread(paul)}/messages", json={"text": "x" * 1_100_000}
        )

        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"

    def test_threads_belong_to_their_owner(self, door: Door) -> None:
        thread_id = _thread(door.as_("paul"))
        pia = door.as_("pia")

        assert pia.get(f"/v1/threads/{thread_id}/messages").status_code == 404
        posted = pia.post(f"/v1/threads/{thread_id}/messages", json={"text": "hello"})
        assert posted.status_code == 404

    def test_a_viewer_may_ask_but_not_draft(self, door: Door) -> None:
        vera = door.as_("vera")
        thread_id = _thread(vera)

        _say(vera, thread_id, "Draft a purchase order for 1,920 WIDGET-A from Acme")

        orders = vera.get("/v1/orders").json()["data"]["orders"]
        assert [order["po_id"] for order in orders] == ["PO-1042"]


class TestCancel:
    def test_a_run_that_ended_cannot_be_stopped(self, door: Door) -> None:
        paul = door.as_("paul")
        events = _say(paul, _thread(paul), "stock of WIDGET-A?")
        assert events[-1].kind == "run.completed"

        assert paul.post("/v1/runs/1/cancel").status_code == 409

    def test_nobody_stops_a_strangers_run(self, door: Door) -> None:
        paul = door.as_("paul")
        _say(paul, _thread(paul), "stock of WIDGET-A?")

        assert door.as_("pia").post("/v1/runs/1/cancel").status_code == 404


class TestRestart:
    def test_a_stored_message_is_answered_by_the_next_server(
        self, template: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "data"
        with open_door(template, folder) as door:
            thread_id = _thread(door.as_("paul"))
        system = build_system(settings_in(folder), clock=FixedClock(NOW))
        with system.database.read() as session:
            paul = actor_by_login(session, "paul")
        run_id = system.conversations.post(paul, thread_id, "stock of WIDGET-A?")
        system.close()  # the process that stored it is gone before anybody answered

        with (
            open_door(template, folder) as door,
            door.as_("paul").stream("GET", f"/v1/runs/{run_id}/events") as response,
        ):
            events = read_events(response)

        assert events[-1].kind == "run.completed"
        assert "840" in _reply(events)

    def test_a_decision_that_nobody_was_told_of_is_told_and_delivered(
        self, template: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "data"
        with open_door(template, folder) as door:
            thread_id = _ask_for_order(door.as_("paul"))
            (waiting,) = door.as_("mona").get("/v1/approvals").json()["approvals"]
        system = build_system(settings_in(folder), clock=FixedClock(NOW))
        with system.database.write() as session:
            approving.decide(
                session, number=waiting["id"], version=waiting["version"],
                decision=Decision.APPROVE, actor=actor_by_login(session, "mona"),
                clock=system.clock, company=system.company, channel="rest",
            )  # fmt: skip
        system.close()  # committed, and dead before the answer

        with open_door(template, folder, at=NOW + timedelta(minutes=1)) as door:
            po_id = waiting["order"]["po_id"]
            told = eventually(lambda: _told(door.as_("paul"), thread_id, po_id))

            assert "Mona" in told
            assert len(sent_files(door)) == 1


def _ask_for_order(client: httpx2.Client) -> str:
    thread_id = _thread(client)
    _say(client, thread_id, "Draft a purchase order for 1,920 WIDGET-A from Acme")
    _say(client, thread_id, "yes, request approval")
    return thread_id


def test_reading_needs_no_write_lock(door: Door) -> None:
    paul = door.as_("paul")
    assert paul.get("/v1/orders").status_code == 200  # notes the use of the key
    writer = sqlite3.connect(door.system.settings.data_dir / "quartermaster.db")
    writer.execute("BEGIN IMMEDIATE")

    begun = time.monotonic()
    answer = paul.get("/v1/orders")

    writer.rollback()
    writer.close()
    assert answer.status_code == 200
    assert time.monotonic() - begun < 5
