"""The policy at the doors: who reads and writes it, what a refusal leaves, what a look leaves."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from sqlmodel import col, func, select

from db.models.audit import AuditEvent
from db.models.purchasing import Approval, PurchaseOrder
from tests.factories import make_policy
from tests.factories_rest import Door, actor_of, make_template, open_door, request_order
from tools.audit.service import verify
from tools.people.service.access import set_password


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("rest") / "world")


@pytest.fixture
def door(template: Path, tmp_path: Path) -> Iterator[Door]:
    with open_door(template, tmp_path / "data") as opened:
        yield opened


def _decide(client: httpx2.Client, number: str, **body: Any) -> httpx2.Response:
    return client.post(
        f"/v1/approvals/{number}/decisions",
        json={"decision": "approve", "version": 1, **body},
        headers={"Idempotency-Key": body.pop("key", None) or uuid4().hex},
    )


def _refusals(door: Door) -> list[tuple[str, str]]:
    with door.system.database.read() as session:
        assert verify(session).ok
        rows = session.exec(
            select(AuditEvent)
            .where(AuditEvent.action == "approval.refused")
            .order_by(col(AuditEvent.seq))
        ).all()
        return [(row.actor, str(row.after["rule"])) for row in rows]


def test_two_people_sign_over_http(door: Door) -> None:
    with door.system.database.write() as session:
        make_policy(session, version=2, two_person_above='"12000"')
    number = request_order(door)["approval_id"]
    mona, mark = door.as_("mona"), door.as_("mark")

    shown = mona.get(f"/v1/approvals/{number}").json()
    first = _decide(mona, number)
    again = _decide(mona, number, version=2)
    second = _decide(mark, number, version=2)

    assert (shown["required_signatures"], shown["policy_version"]) == (2, 2)
    assert (first.status_code, first.json()["order_state"]) == (200, "pending_approval")
    assert first.json()["approval"]["version"] == 2
    assert (again.status_code, again.json()["details"]["rule"]) == (403, "two_person")
    assert second.json()["order_state"] == "approved"
    assert [
        (one["name"], one["meaning"]) for one in second.json()["approval"]["signatures"]
    ] == [("Mona", "approval"), ("Mark", "approval")]  # fmt: skip
    assert _refusals(door) == [("mona", "two_person")]


def test_a_refused_decision_is_in_the_trail_and_a_repeat_of_it_is_not(door: Door) -> None:
    number = request_order(door)["approval_id"]
    pia, key = door.as_("pia"), uuid4().hex
    headers = {"Idempotency-Key": key}
    body = {"decision": "approve", "version": 1}

    answers = [
        pia.post(f"/v1/approvals/{number}/decisions", json=body, headers=headers) for _ in range(3)
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert answers[0].json() == answers[2].json()
    assert answers[0].json()["details"]["rule"] == "limit"
    assert _refusals(door) == [("pia", "limit")]


def test_everybody_reads_the_policy_and_an_admin_writes_it(door: Door) -> None:
    vera, adam, mona = door.as_("vera"), door.as_("adam"), door.as_("mona")
    shown = vera.get("/v1/policy")
    stands = shown.json()
    text = stands["text"].replace('manager: "100000"', 'manager: "50000"')
    change = {"text": text, "reason": "less at once"}

    assert shown.headers["etag"] == f'"{stands["version"]}"'
    unread = adam.put("/v1/policy", json=change)
    denied = mona.put("/v1/policy", json={**change, "version": stands["version"]})
    old = adam.put("/v1/policy", json={**change, "version": stands["version"] + 1})
    wrong = adam.put("/v1/policy", json={**change, "text": "a: &x 1", "version": 1})
    done = adam.put("/v1/policy", json=change, headers={"If-Match": shown.headers["etag"]})

    codes = [answer.status_code for answer in (unread, denied, old, wrong, done)]
    assert codes == [422, 403, 409, 422, 200]
    assert wrong.json()["details"]["line"] == 1
    assert done.json()["content"]["approval"]["role_limits"]["manager"] == "50000"
    assert vera.get("/v1/policy").json()["version"] == stands["version"] + 1
    before = vera.get("/v1/policy", params={"version": stands["version"]})
    assert before.json()["text"] == stands["text"]


def test_a_manager_stops_dispatch_and_an_admin_starts_it(door: Door) -> None:
    stop, start = ({"enabled": on, "reason": "wrong prices"} for on in (False, True))

    assert door.as_("paul").put("/v1/policy/dispatch", json=stop).status_code == 403
    stopped = door.as_("mona").put("/v1/policy/dispatch", json=stop)
    assert door.as_("mona").put("/v1/policy/dispatch", json=start).status_code == 403
    started = door.as_("adam").put("/v1/policy/dispatch", json=start)

    assert stopped.json()["content"]["dispatch_enabled"] is False
    assert started.json()["content"]["dispatch_enabled"] is True


def test_an_order_that_needs_a_password_needs_the_right_one(door: Door) -> None:
    mona_herself = actor_of(door, "mona")
    with door.system.database.write() as session:
        session.connection().exec_driver_sql("UPDATE item SET signature_required = true")
        set_password(
            session, "mona", "three quiet herons", clock=door.clock, is_confirmed=True,
            by=mona_herself,
        )  # fmt: skip
    number = request_order(door)["approval_id"]
    mona = door.as_("mona")

    without = _decide(mona, number)
    wrong = _decide(mona, number, password="not hers at all")

    assert (without.status_code, without.json()["details"]["rule"]) == (403, "signature_required")
    assert wrong.status_code == 401
    assert mona.get(f"/v1/approvals/{number}").json()["state"] == "pending"

    right = _decide(mona, number, password="three quiet herons")

    assert right.json()["order_state"] == "approved"
    assert right.json()["approval"]["signatures"][0]["reauthenticated"] is True
    with door.system.database.read() as session:
        kept = (
            session.connection().exec_driver_sql("SELECT body_hash FROM idempotent_request").all()
        )
    asked = {"decision": "approve", "edits": None, "fingerprint": None, "reason": "", "version": 1}
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    assert {row[0] for row in kept} == {sha256(canonical.encode()).hexdigest()}  # no password in it


@pytest.mark.parametrize("agent", ["Slackbot-LinkExpanding 1.0", "Mozilla/5.0", ""])
def test_no_look_at_any_link_changes_anything(door: Door, agent: str) -> None:
    asked = request_order(door)
    number, client = asked["approval_id"], door.as_("mona")
    paths = [
        f"/v1/approvals/{number}", f"/v1/approvals/{number}/decisions", "/v1/approvals",
        f"/v1/approvals/{number}/approve", f"/v1/approvals/{number}/decisions?decision=approve",
        f"/v1/orders/{asked['po_id']}", "/v1/policy", "/v1/policy/dispatch?enabled=false",
    ]  # fmt: skip
    before = _state(door)

    for path in paths:
        for method in ("GET", "HEAD", "OPTIONS"):
            sent = client.request(
                method, path, headers={"User-Agent": agent, "Purpose": "prefetch"}
            )
            assert sent.status_code < 500

    assert _state(door) == before


def _state(door: Door) -> tuple[Any, ...]:
    with door.system.database.read() as session:
        return (
            session.exec(select(func.count()).select_from(AuditEvent)).one(),
            session.exec(select(Approval.number, Approval.version, Approval.state)).all(),
            session.exec(select(PurchaseOrder.number, PurchaseOrder.state)).all(),
        )
