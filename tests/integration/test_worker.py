"""Delivery end to end, and a worker that is killed at the two worst moments."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from api.worker import Courier, deliver_due, expire_due, settle, work_once
from db.models.purchasing import Outbox
from db.session import Database
from db.types import OrderState, OutboxState
from tests.conftest import NOW
from tests.factories_orders import Desk
from tools.errors import Conflict, ExternalError, Forbidden
from tools.outbox.core import LEASE, MAX_ATTEMPTS, Settlement
from tools.outbox.gateway import DropFolder

ROOT = Path(__file__).parents[2]


class Failing:
    """A channel that fails as told."""

    name = "file"

    def __init__(self, *, is_idempotent: bool = True, is_unsent: bool = False) -> None:
        self.is_idempotent = is_idempotent
        self.is_unsent = is_unsent

    def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
        raise ExternalError(f"no answer for {key} of {payload['number']}",
                            details={"is_unsent": self.is_unsent})  # fmt: skip


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    desk = Desk(database, tmp_path / "outgoing")
    desk.approved()
    return desk


def _try(desk: Desk, channel: Failing) -> OutboxState | None:
    (delivery,) = deliver_due(desk.database, {"file": channel}, clock=desk.clock, holder="one")
    return delivery.state


class TestDeliver:
    def test_an_approved_order_becomes_a_file_and_is_sent(self, desk: Desk) -> None:
        (delivery,) = desk.deliver()

        assert (delivery.order_number, delivery.state) == ("PO-2001", OutboxState.DELIVERED)
        assert desk.files() == ["PO-2001-r1.csv", "PO-2001-r1.json"]
        assert desk.order().state is OrderState.SENT
        assert desk.trail()[-1] == ("order.sent", "PO-2001", "system")
        assert desk.audit().ok

    def test_the_file_holds_what_was_approved(self, desk: Desk) -> None:
        desk.deliver()

        written = json.loads((desk.folder / "PO-2001-r1.json").read_text())

        assert (written["total"], written["lines"][0]["units"]) == ("14976.00", 1920)
        assert written["approval"] == {
            "number": "a-31", "approved_by": "Mona", "approved_at": "2026-03-02T09:00:00+00:00",
            "meaning": "approval",
            "signatures": [
                {"name": "Mona", "at": "2026-03-02T09:00:00+00:00", "meaning": "approval"}
            ],
        }  # fmt: skip
        assert written["key"] == desk.outbox()[0].key

    def test_nothing_is_left_to_do(self, desk: Desk) -> None:
        desk.deliver()

        assert desk.deliver() == []

    def test_a_draft_and_a_pending_order_stay_in_the_house(
        self, database: Database, tmp_path: Path
    ) -> None:
        desk = Desk(database, tmp_path / "outgoing")
        desk.pending()

        assert desk.deliver() == []
        assert desk.files() == []


class TestFailure:
    def test_it_waits_and_is_tried_again(self, desk: Desk) -> None:
        assert _try(desk, Failing()) is OutboxState.PENDING
        assert desk.deliver() == []

        desk.clock.at = NOW + LEASE
        (delivery,) = desk.deliver()

        assert delivery.state is OutboxState.DELIVERED
        assert desk.outbox()[0].attempts == 2

    def test_a_channel_nobody_set_up(self, desk: Desk) -> None:
        (delivery,) = deliver_due(desk.database, {}, clock=desk.clock, holder="one")

        assert delivery.state is OutboxState.DEAD
        assert "no channel 'file' is set up" in desk.outbox()[0].last_error

    def test_a_terminal_leaves_to_others_what_it_has_no_channel_for(self, desk: Desk) -> None:
        terminal = Courier(desk.database, {}, clock=desk.clock, holder="t", takes_all=False)

        assert terminal.round() == []
        assert desk.outbox()[0].state is OutboxState.PENDING

    @pytest.mark.parametrize(
        ("answer", "state", "left"),
        [
            (Settlement.DELIVERED, OrderState.SENT, 0),
            (Settlement.SEND_AGAIN, OrderState.APPROVED, 1),
            (Settlement.TAKE_BACK, OrderState.DRAFT, 0),
        ],
    )
    def test_in_doubt_a_person_settles_it(
        self, desk: Desk, answer: Settlement, state: OrderState, left: int
    ) -> None:
        assert _try(desk, Failing(is_idempotent=False)) is OutboxState.IN_DOUBT
        assert desk.deliver() == []

        settle(
            desk.database, desk.outbox()[0].key, answer=answer,
            actor=desk.world.actors["mona"], reason="asked Acme", clock=desk.clock,
        )  # fmt: skip

        assert desk.order().state is state
        assert len(desk.deliver()) == left
        assert desk.audit().ok

    def test_a_dead_delivery_is_taken_back_and_sent_as_a_new_revision(self, desk: Desk) -> None:
        for _ in range(MAX_ATTEMPTS):
            state = _try(desk, Failing())
            desk.clock.at += timedelta(hours=2)
        assert state is OutboxState.DEAD
        with pytest.raises(Conflict, match="may have arrived"):
            desk.revise()

        settle(
            desk.database, desk.outbox()[0].key, answer=Settlement.TAKE_BACK,
            actor=desk.world.actors["mona"], reason="they never got it", clock=desk.clock,
        )  # fmt: skip

        assert desk.outbox()[0].state is OutboxState.CANCELLED
        assert desk.approval_state() == "void"
        desk.revise(units=1920)  # the same again, as a new revision
        desk.decide(number=desk.ask().number)
        assert [delivery.state for delivery in desk.deliver()] == [OutboxState.DELIVERED]
        assert desk.files() == ["PO-2001-r2.csv", "PO-2001-r2.json"]
        assert desk.audit().ok

    def test_what_was_taken_back_needs_a_new_revision(self, desk: Desk) -> None:
        _try(desk, Failing(is_idempotent=False))
        settle(
            desk.database, desk.outbox()[0].key, answer=Settlement.TAKE_BACK,
            actor=desk.world.actors["mona"], reason="they never got it", clock=desk.clock,
        )  # fmt: skip

        with pytest.raises(Conflict, match="taken back"):
            desk.ask()

    def test_one_bad_delivery_does_not_stop_the_others(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        second = desk.decide(number=desk.ask(desk.draft(duplicate_reason="x").order.number).number)

        class Buggy(DropFolder):
            def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
                if payload["number"] == "PO-2001":
                    raise KeyError("a bug")
                return super().deliver(key, payload)

        channels = {"file": Buggy(desk.folder)}
        came = deliver_due(desk.database, channels, clock=desk.clock, holder="one")

        assert [(d.order_number, d.state) for d in came] == [
            ("PO-2001", OutboxState.PENDING), (second.order_number, OutboxState.DELIVERED),
        ]  # fmt: skip
        assert desk.outbox()[0].last_error == "KeyError: 'a bug'"
        assert [record.message for record in caplog.records if record.exc_info] == [
            "delivery failed unexpectedly"
        ]

    def test_what_nobody_tried_is_never_in_doubt(self, desk: Desk) -> None:
        desk.decide(number=desk.ask(desk.draft(duplicate_reason="x").order.number).number)
        states = []

        class Looking(Failing):
            def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
                states.append([row.state.value for row in desk.outbox()])
                return super().deliver(key, payload)

        channels = {"file": Looking(is_idempotent=False)}
        deliver_due(desk.database, channels, clock=desk.clock, holder="one")

        assert states == [["claimed", "pending"], ["in_doubt", "claimed"]]

    def test_a_changed_payload_stays_in_the_house(self, desk: Desk) -> None:
        with desk.database.write() as session:
            row = session.exec(select(Outbox)).one()
            row.payload = {**row.payload, "total": "1.00"}

        (came,) = desk.deliver()

        assert came.state is OutboxState.DEAD
        assert "not what was approved" in came.error
        assert desk.files() == []
        assert "content is" in desk.audit().problem

    def test_a_claim_that_was_lost_is_not_called_delivered(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")

        class Slow(DropFolder):
            def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
                desk.clock.at += LEASE
                assert desk.deliver("other")[0].state is OutboxState.DELIVERED
                return super().deliver(key, payload)

        channels = {"file": Slow(desk.folder)}
        (came,) = deliver_due(desk.database, channels, clock=desk.clock, holder="one")

        assert came.state is None
        assert [record.message for record in caplog.records] == [
            "order delivered", "claim lost while delivering",
        ]  # fmt: skip

    def test_who_may_only_look_settles_nothing(self, desk: Desk) -> None:
        _try(desk, Failing(is_idempotent=False))

        with pytest.raises(Forbidden):
            settle(
                desk.database, desk.outbox()[0].key, answer=Settlement.DELIVERED,
                actor=desk.world.actors["vera"], reason="", clock=desk.clock,
            )  # fmt: skip

    def test_what_was_tried_may_have_arrived_and_cannot_be_taken_back(self, desk: Desk) -> None:
        _try(desk, Failing())

        with pytest.raises(Conflict, match="may have arrived"):
            desk.revise()

        assert desk.order().state is OrderState.APPROVED
        assert desk.approval_state() == "approved"

    def test_surely_unsent_is_tried_again(self, desk: Desk) -> None:
        channel = Failing(is_idempotent=False, is_unsent=True)

        assert _try(desk, channel) is OutboxState.PENDING


def test_requests_run_out(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path)
    desk.pending()
    desk.clock.at = NOW + timedelta(hours=24)

    assert expire_due(desk.database, clock=desk.clock) == 1
    assert expire_due(desk.database, clock=desk.clock) == 0


def test_a_failure_to_close_requests_stops_no_delivery(
    sqlite_database: Database, tmp_path: Path
) -> None:
    desk = Desk(sqlite_database, tmp_path / "outgoing")
    desk.approved()
    desk.ask(desk.draft(duplicate_reason="x").order.number)
    desk.clock.at = NOW + timedelta(hours=24)
    with desk.database.write() as session:
        session.execute(text("UPDATE purchase_order SET state = 'closed' WHERE number = 'PO-2002'"))

    with pytest.raises(Conflict, match="cannot become"):
        work_once(desk.database, {"file": DropFolder(desk.folder)}, clock=desk.clock, holder="one")

    assert desk.order().state is OrderState.SENT


VICTIM = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from api.worker import deliver_due
from db.session import Database
from tools.clock import FixedClock
from tools.outbox.gateway import DropFolder

url, folder, at, moment = sys.argv[1:]

class Killed(DropFolder):
    def deliver(self, key, payload):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().deliver(key, payload)
        os.kill(os.getpid(), signal.SIGKILL)

info = {"audit_keys": {"test": b"0" * 32}, "audit_key_id": "test"}
deliver_due(
    Database(url, session_info=info), {"file": Killed(Path(folder))},
    clock=FixedClock(datetime.fromisoformat(at)), holder="victim",
)
"""


class TestKilled:
    """kill -9 between claim and send, and between send and record."""

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_exactly_one_file_and_one_delivery(self, desk: Desk, moment: str) -> None:
        killed = subprocess.run(
            [sys.executable, "-c", VICTIM, desk.database.url, str(desk.folder),
             desk.clock.now().isoformat(), moment],
            cwd=ROOT, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        assert desk.outbox()[0].state is OutboxState.CLAIMED
        assert desk.files() == ([] if moment == "before" else ["PO-2001-r1.csv", "PO-2001-r1.json"])
        assert desk.deliver("other") == []  # the lease still stands

        desk.clock.at = NOW + LEASE
        first, second = desk.deliver("other"), desk.deliver("other")

        assert [delivery.state for delivery in first] == [OutboxState.DELIVERED]
        assert second == []
        assert desk.files() == ["PO-2001-r1.csv", "PO-2001-r1.json"]
        assert [row.state for row in desk.outbox()] == [OutboxState.DELIVERED]
        assert desk.order().state is OrderState.SENT
        assert [action for action, _, _ in desk.trail()].count("order.sent") == 1
        assert desk.audit().ok
