"""Decisions over HTTP: one order, one effect, whatever is sent and how often."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from sqlmodel import func, select

from db.models.audit import AuditEvent
from db.models.purchasing import Outbox
from tests.factories_rest import (
    Door,
    eventually,
    make_template,
    open_door,
    request_order,
    sent_files,
)
from tools.audit import service as audit


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("rest") / "world")


@pytest.fixture
def door(template: Path, tmp_path: Path) -> Iterator[Door]:
    with open_door(template, tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def approval(door: Door) -> dict[str, Any]:
    return request_order(door)


@pytest.fixture(scope="module")
def calm_door(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One server for all requests that must change nothing."""
    with open_door(template, tmp_path_factory.mktemp("calm") / "data") as opened:
        yield opened


@pytest.fixture(scope="module")
def pending(calm_door: Door) -> dict[str, Any]:
    return request_order(calm_door)


@pytest.fixture
def unchanged(calm_door: Door, pending: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A pending request that the test must leave as it is."""
    yield pending
    shown = calm_door.as_("vera").get(f"/v1/approvals/{pending['approval_id']}").json()
    assert (shown["state"], shown["version"]) == ("pending", pending["version"])
    assert _outbox_rows(calm_door) == 0


def _decide(
    client: httpx2.Client,
    approval: dict[str, Any],
    decision: str = "approve",
    *,
    key: str | None = None,
    headers: dict[str, str] | None = None,
    **body: Any,
) -> httpx2.Response:
    if "version" not in body and "If-Match" not in (headers or {}):
        body["version"] = approval["version"]
    return client.post(
        f"/v1/approvals/{approval['approval_id']}/decisions",
        json={"decision": decision, **body},
        headers={"Idempotency-Key": key or uuid4().hex, **(headers or {})},
    )


def _outbox_rows(door: Door) -> int:
    with door.system.database.read() as session:
        return session.exec(select(func.count()).select_from(Outbox)).one()


def _decisions_in_trail(door: Door, approval: dict[str, Any]) -> int:
    with door.system.database.read() as session:
        assert audit.verify(session).ok
        return session.exec(
            select(func.count())
            .select_from(AuditEvent)
            .where(AuditEvent.object_id == approval["approval_id"])
            .where(AuditEvent.action == "approval.approve")
        ).one()


class TestApprove:
    def test_a_manager_sends_the_order(self, door: Door, approval: dict[str, Any]) -> None:
        response = _decide(door.as_("mona"), approval, reason="stock-out in 8 days")

        assert response.status_code == 200, response.text
        assert response.json()["order"] == approval["po_id"]
        assert response.json()["approval"]["decision"]["by"] == "mona"
        (name,) = eventually(lambda: sent_files(door))
        sent = json.loads((door.system.settings.outgoing_dir / name).read_text())
        assert sent["number"] == approval["po_id"]
        assert _decisions_in_trail(door, approval) == 1
        order = eventually(lambda: _order_in_state(door, approval, "sent"))
        assert order["total"] == "14976.00"

    def test_the_etag_is_the_version(self, door: Door, approval: dict[str, Any]) -> None:
        mona = door.as_("mona")
        shown = mona.get(f"/v1/approvals/{approval['approval_id']}")

        response = _decide(mona, approval, headers={"If-Match": shown.headers["etag"]})

        assert shown.json()["order"]["lines"][0]["quantity"] == 1920
        assert shown.json()["total"] == "14976.00"
        assert response.status_code == 200

    def test_a_repeat_with_the_same_key_gets_the_same_answer(
        self, door: Door, approval: dict[str, Any]
    ) -> None:
        mona = door.as_("mona")

        first = _decide(mona, approval, key="k-1")
        second = _decide(mona, approval, key="k-1")

        assert first.status_code == second.status_code == 200
        assert first.json() == second.json()
        assert second.headers["idempotency-replayed"] == "true"
        assert (_outbox_rows(door), _decisions_in_trail(door, approval)) == (1, 1)

    def test_a_repeat_with_another_key_is_told_who_decided(
        self, door: Door, approval: dict[str, Any]
    ) -> None:
        _decide(door.as_("mona"), approval)

        again = _decide(door.as_("mark"), approval)

        assert again.status_code == 409
        assert "mona" in again.json()["detail"]
        assert _outbox_rows(door) == 1

    def test_a_key_is_not_for_two_requests(self, door: Door, approval: dict[str, Any]) -> None:
        mona = door.as_("mona")
        _decide(mona, approval, "respond", key="k-1", reason="why so many?")

        response = _decide(mona, approval, "approve", key="k-1", version=2)

        assert response.status_code == 422
        assert "another request" in response.json()["detail"]
        assert _outbox_rows(door) == 0

    def test_many_clicks_at_once_send_one_order(self, door: Door, approval: dict[str, Any]) -> None:
        clients = [door.as_(login) for login in ("mona", "mark", "mona", "mark", "mona", "mona")]
        answers: list[int] = []

        def click(client: httpx2.Client) -> None:
            answers.append(_decide(client, approval).status_code)

        threads = [threading.Thread(target=click, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(answers) == [200, 409, 409, 409, 409, 409]
        assert (_outbox_rows(door), _decisions_in_trail(door, approval)) == (1, 1)

    def test_one_key_at_once_is_one_answer(self, door: Door, approval: dict[str, Any]) -> None:
        clients = [door.as_("mona") for _ in range(4)]
        answers: list[httpx2.Response] = []

        def click(client: httpx2.Client) -> None:
            answers.append(_decide(client, approval, key="k-1"))

        threads = [threading.Thread(target=click, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {answer.status_code for answer in answers} <= {200, 409}
        bodies = [answer.json() for answer in answers if answer.status_code == 200]
        assert bodies
        assert all(body == bodies[0] for body in bodies)
        assert _outbox_rows(door) == 1


class TestRefusals:
    def test_above_the_limit(self, door: Door, approval: dict[str, Any]) -> None:
        response = _decide(door.as_("pia"), approval)  # a planner's limit is 10,000.00

        assert response.status_code == 403
        assert response.headers["content-type"] == "application/problem+json"
        assert _outbox_rows(door) == 0

    @pytest.mark.parametrize("login", ["vera", "robot"])
    def test_roles_that_never_decide(
        self, calm_door: Door, unchanged: dict[str, Any], login: str
    ) -> None:
        assert _decide(calm_door.as_(login), unchanged).status_code == 403

    def test_the_requester_above_the_limit(self, door: Door) -> None:
        own = request_order(door, by="mona")

        assert _decide(door.as_("mona"), own).status_code == 403
        assert _outbox_rows(door) == 0

    def test_a_stale_version(self, door: Door, approval: dict[str, Any]) -> None:
        mona = door.as_("mona")
        assert _decide(mona, approval, "respond", reason="why?").status_code == 200

        response = _decide(mona, approval)  # still the version from before the answer

        assert response.status_code == 409
        assert response.json()["code"] == "stale"
        assert response.json()["details"]["current_version"] == approval["version"] + 1
        assert _outbox_rows(door) == 0

    def test_a_refusal_is_repeated_too(self, calm_door: Door, unchanged: dict[str, Any]) -> None:
        pia = calm_door.as_("pia")

        first = _decide(pia, unchanged, key="k-1")
        second = _decide(pia, unchanged, key="k-1")

        assert first.status_code == second.status_code == 403
        assert first.json() == second.json()

    def test_an_unknown_approval(self, calm_door: Door) -> None:
        response = _decide(calm_door.as_("mona"), {"approval_id": "a-99999", "version": 1})

        assert response.status_code == 404

    def test_without_an_idempotency_key(self, calm_door: Door, unchanged: dict[str, Any]) -> None:
        response = calm_door.as_("mona").post(
            f"/v1/approvals/{unchanged['approval_id']}/decisions",
            json={"decision": "approve", "version": unchanged["version"]},
        )

        assert response.status_code == 422
        assert "Idempotency-Key" in response.json()["detail"]

    def test_without_a_version(self, calm_door: Door, unchanged: dict[str, Any]) -> None:
        response = _decide(calm_door.as_("mona"), unchanged, version=None)

        assert response.status_code == 422
        assert "version" in response.json()["detail"]

    def test_with_two_versions(self, calm_door: Door, unchanged: dict[str, Any]) -> None:
        response = _decide(calm_door.as_("mona"), unchanged, version=1, headers={"If-Match": '"2"'})

        assert response.status_code == 422

    @pytest.mark.parametrize("version", ["NaN", "Infinity", "1e999", "1e0", '"1"', "true", "0"])
    def test_versions_that_are_none(
        self, calm_door: Door, unchanged: dict[str, Any], version: str
    ) -> None:
        response = calm_door.as_("mona").post(
            f"/v1/approvals/{unchanged['approval_id']}/decisions",
            content=f'{{"decision": "approve", "version": {version}}}',
            headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
        )

        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"

    def test_another_fingerprint(self, calm_door: Door, unchanged: dict[str, Any]) -> None:
        response = _decide(calm_door.as_("mona"), unchanged, fingerprint="0" * 64)

        assert response.status_code == 409

    def test_an_actor_in_the_body_is_refused(
        self, calm_door: Door, unchanged: dict[str, Any]
    ) -> None:
        response = _decide(calm_door.as_("pia"), unchanged, actor="mona")

        assert response.status_code == 422


class TestEdit:
    def test_makes_a_new_request_that_somebody_else_approves(
        self, door: Door, approval: dict[str, Any]
    ) -> None:
        mona = door.as_("mona")

        edited = _decide(
            mona, approval, "edit", edits=[{"sku": "WIDGET-A", "quantity": 1560}], reason="less"
        )

        assert edited.status_code == 200, edited.text
        fresh = edited.json()["approval"]
        assert fresh["id"] != approval["approval_id"]
        assert fresh["total"] == "12168.00"  # 1,560 x 7.80
        old = _decide(mona, approval)
        assert old.status_code == 409
        again = {"approval_id": fresh["id"], "version": fresh["version"]}
        assert _decide(mona, again).status_code == 403  # she wrote it: 12,168.00 > 10,000.00
        assert _decide(door.as_("mark"), again).status_code == 200
        assert _outbox_rows(door) == 1

    @pytest.mark.parametrize("quantity", [10**12, -1, 2.5, "1560", None, True], ids=str)
    def test_impossible_quantities(
        self, calm_door: Door, unchanged: dict[str, Any], quantity: object
    ) -> None:
        edits = [{"sku": "WIDGET-A", "quantity": quantity}]

        response = _decide(calm_door.as_("mona"), unchanged, "edit", edits=edits)

        assert response.status_code == 422

    def test_without_edits(self, calm_door: Door, unchanged: dict[str, Any]) -> None:
        assert _decide(calm_door.as_("mona"), unchanged, "edit").status_code == 422


def test_reject_makes_a_draft_again(door: Door, approval: dict[str, Any]) -> None:
    response = _decide(door.as_("mona"), approval, "reject", reason="not now")

    assert response.status_code == 200
    assert response.json()["order_state"] == "draft"
    assert sent_files(door) == []
    listed = door.as_("vera").get("/v1/approvals", params={"state": "rejected"}).json()
    assert [row["id"] for row in listed["approvals"]] == [approval["approval_id"]]


def _order_in_state(door: Door, approval: dict[str, Any], state: str) -> Any:
    order = door.as_("vera").get(f"/v1/orders/{approval['po_id']}").json()
    return order if order["state"] == state else None
