"""The way of an approved order to its supplier: turns, rest, the stop, and where it goes."""

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from api.worker import Courier
from db.models.audit import AuditEvent
from db.models.catalog import Supplier
from db.session import Database
from db.types import Decision, DocumentFormat, OrderState, OutboxState
from tests.conftest import NOW
from tests.factories import make_policy
from tests.factories_documents import ubl_problems, x12_problems
from tests.factories_orders import Desk
from tests.fault.supplier_stub import SupplierStub
from tools.alerts.service import exceptions
from tools.errors import ApprovalRequired, Conflict, Forbidden, InvalidInput, NotFound
from tools.outbox.core import LEASE, TRIP_AFTER, failed
from tools.outbox.gateway import Channel, DropFolder
from tools.suppliers.core import Way
from tools.suppliers.service import set_delivery
from tools.webhooks.gateway import WebhookChannel

SECRET = "sixteen characters"


class Scripted:
    """A channel that says what it is told and remembers what it was given."""

    def __init__(
        self, *script: Exception | str, name: str = "file", idempotent: bool = True
    ) -> None:
        self.name = name
        self.is_idempotent = idempotent
        self.script = list(script) or ["ref"]
        self.given: list[str] = []

    def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
        assert payload["key"] == key
        self.given.append(str(payload["number"]))
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Desk:
    """The same desk on each engine."""
    return Desk(database, tmp_path / "outgoing")


@pytest.fixture
def desk(sqlite_database: Database, tmp_path: Path) -> Desk:
    return Desk(sqlite_database, tmp_path / "outgoing")


@pytest.fixture
def stub() -> Iterator[SupplierStub]:
    with SupplierStub("dedupe") as started:
        yield started


def _send_by(desk: Desk, channel: str, address: str = "", form: str = "json", by: str = "adam",
             code: str = "ACME") -> Supplier:  # fmt: skip
    way = Way(channel, address, DocumentFormat(form))
    with desk.database.write() as session:
        return set_delivery(
            session, code, way=way, actor=desk.world.actors[by], clock=desk.clock,
            open_to=["127.0.0.1"],
        )  # fmt: skip


def _approve(desk: Desk, count: int, supplier: str = "ACME") -> list[str]:
    """Approve several orders of one supplier; returns their numbers."""
    drafts = [desk.draft(supplier=supplier, duplicate_reason="x").order.number
              for _ in range(count)]  # fmt: skip
    asked = [desk.ask(number).number for number in drafts]
    return [desk.decide(number=number).order_number for number in asked]


def _courier(desk: Desk, *channels: Channel, **options: Any) -> Courier:
    named = {channel.name: channel for channel in channels}
    return Courier(desk.database, named, clock=desk.clock, holder="one", **options)


class TestTurns:
    def test_suppliers_take_turns(self, world: Desk) -> None:
        desk = world
        of_acme, of_borealis = _approve(desk, 3), _approve(desk, 1, "BOREALIS")
        channel = Scripted()

        _courier(desk, channel).round()

        assert channel.given == [of_acme[0], *of_borealis, *of_acme[1:]]

    def test_a_worker_that_is_stopping_finishes_and_claims_no_more(self, desk: Desk) -> None:
        _approve(desk, 2)
        channel = Scripted()
        courier = _courier(desk, channel, is_stopping=lambda: bool(channel.given))

        (done,) = courier.round()

        assert done.state is OutboxState.DELIVERED
        assert [row.state for row in desk.outbox()] == [
            OutboxState.DELIVERED, OutboxState.PENDING,
        ]  # fmt: skip


class TestStop:
    """The kill switch of the policy, read in the transaction that claims."""

    def test_nothing_is_claimed_while_dispatch_is_stopped(self, world: Desk) -> None:
        desk = world
        desk.approved()
        with desk.database.write() as session:
            make_policy(session, version=90, dispatch_enabled="false")
        assert desk.deliver() == []
        assert [(row.state, row.attempts) for row in desk.outbox()] == [(OutboxState.PENDING, 0)]

        with desk.database.write() as session:
            make_policy(session, version=91, dispatch_enabled="true")
        assert [delivery.state for delivery in desk.deliver()] == [OutboxState.DELIVERED]

    def test_a_stop_between_two_deliveries_counts_at_once(self, desk: Desk) -> None:
        _approve(desk, 2)

        class Stopping(Scripted):
            def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
                with desk.database.write() as session:
                    make_policy(session, version=90, dispatch_enabled="false")
                return super().deliver(key, payload)

        assert len(_courier(desk, Stopping()).round()) == 1


class TestRest:
    """A way out that fails again and again is given a rest."""

    def _fail(self, desk: Desk, courier: Courier) -> None:
        """Let the oldest delivery fail as often in a row as it takes; two hours lie between."""
        for _ in range(TRIP_AFTER):
            desk.clock.at += timedelta(hours=2)
            courier.round(limit=1)

    def test_after_failures_in_a_row_nothing_is_tried_for_a_while(self, desk: Desk) -> None:
        _approve(desk, 2)
        channel = Scripted(failed("500"))
        courier = _courier(desk, channel)

        self._fail(desk, courier)

        assert courier.round() == []
        assert len(channel.given) == TRIP_AFTER
        assert [row.attempts for row in desk.outbox()] == [TRIP_AFTER, 0]
        assert [way[0] for way in courier.resting()] == ["file"]

    def test_then_one_attempt_decides(self, desk: Desk) -> None:
        _approve(desk, 2)
        courier = _courier(desk, channel := Scripted(failed("500")))
        self._fail(desk, courier)

        desk.clock.at += timedelta(seconds=60)
        assert len(courier.round()) == 1  # fails: another rest, twice as long
        desk.clock.at += timedelta(seconds=119)
        assert courier.round() == []
        desk.clock.at += timedelta(hours=1)
        channel.script = ["ref"]
        assert len(courier.round()) == 2
        assert courier.resting() == []

    def test_another_supplier_is_not_kept_waiting(self, world: Desk) -> None:
        desk = world
        _approve(desk, 1)
        others = _approve(desk, 1, "BOREALIS")
        channel = Scripted(failed("500"))
        courier = _courier(desk, channel)
        for _ in range(TRIP_AFTER):  # the first is Acme's; Borealis' has its turn when it is closed
            desk.clock.at += timedelta(hours=2)
            courier._served.clear()
            courier.round(limit=1)

        channel.script = ["ref"]

        assert [delivery.order_number for delivery in courier.round()] == others

    def test_a_mail_server_that_is_away_gives_the_whole_channel_a_rest(self, desk: Desk) -> None:
        _approve(desk, 1)
        _approve(desk, 1, "BOREALIS")
        courier = _courier(desk, Scripted(failed("away", is_unsent=True, is_channel=True)))

        self._fail(desk, courier)

        assert courier.resting() == [("file", None)]
        assert courier.round() == []

    def test_a_refusal_is_an_answer_and_counts_for_nothing(self, desk: Desk) -> None:
        desk.approved()
        courier = _courier(desk, Scripted(failed("400", is_unsent=True, is_final=True)))

        assert [delivery.state for delivery in courier.round()] == [OutboxState.DEAD]
        assert courier._breakers == {}


class TestWaiting:
    def test_no_sooner_than_the_receiver_asks(self, desk: Desk) -> None:
        desk.approved()
        courier = _courier(desk, channel := Scripted(failed("429", retry_after_s=900), "ref"))
        courier.round()

        desk.clock.at += timedelta(seconds=899)
        assert courier.round() == []
        desk.clock.at += timedelta(seconds=1)
        assert [delivery.state for delivery in courier.round()] == [OutboxState.DELIVERED]
        assert len(channel.given) == 2

    def test_nobody_makes_us_wait_longer_than_a_day(self, desk: Desk) -> None:
        desk.approved()
        _courier(desk, Scripted(failed("429", retry_after_s=10**9))).round()

        assert desk.outbox()[0].next_attempt_at == NOW + timedelta(days=1)


class TestAlert:
    def test_a_dead_delivery_is_on_the_morning_list_and_in_the_log(
        self, world: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        desk = world
        desk.approved()
        with caplog.at_level(logging.ERROR):
            _courier(desk, Scripted(failed("answered 400", is_final=True))).round()

        found = self._exceptions(desk)
        assert [(e.type, e.severity, e.po) for e in found] == [
            ("stuck_delivery", "critical", "PO-2001")
        ]
        assert found[0].why == "approved but not delivered, given up after 1 attempt: answered 400"
        assert [record.message for record in caplog.records] == ["delivery waits for a person"]

    def test_one_in_doubt_says_to_ask_the_supplier(self, desk: Desk) -> None:
        desk.approved()
        _courier(desk, Scripted(failed("silence"), idempotent=False)).round()

        (found,) = self._exceptions(desk)

        assert found.why == "may or may not have reached the supplier, ask them: silence"

    def test_a_delivered_order_is_not(self, desk: Desk) -> None:
        desk.sent()

        assert self._exceptions(desk) == []

    def _exceptions(self, desk: Desk) -> list[Any]:
        with desk.database.read() as session:
            found = exceptions(
                session, clock=desk.clock, company=desk.company, types=["stuck_delivery"]
            )
        return found.exceptions


class TestTraced:
    def test_log_and_trail_name_the_delivery(self, desk: Desk) -> None:
        desk.sent()
        key = desk.outbox()[0].key

        with desk.database.read() as session:
            row = session.exec(select(AuditEvent).where(AuditEvent.action == "order.sent")).one()
            context = dict(row.context or {})

        assert context["delivery_key"] == key


class TestWebhook:
    """From set-delivery over approval to the supplier's server, on both databases."""

    def test_an_order_is_delivered_as_approved(self, world: Desk, stub: SupplierStub) -> None:
        desk = world
        _send_by(desk, "webhook", stub.url, "ubl")
        desk.approved()

        (done,) = self._round(desk)

        assert (done.state, done.reference) == (OutboxState.DELIVERED, "SO-1")
        assert desk.order().state is OrderState.SENT
        assert stub.orders == {desk.outbox()[0].key: ["SO-1"]}
        assert ubl_problems(stub.calls[0].body.decode()) == []
        assert desk.audit().ok

    def test_silence_after_booking_is_asked_again_under_the_same_key(
        self, desk: Desk, stub: SupplierStub
    ) -> None:
        stub.mode = "drop-after-read,500,429-retry-after:20,dedupe"
        _send_by(desk, "webhook", stub.url)
        desk.approved()

        states = []
        for _ in range(4):
            states += [delivery.state for delivery in self._round(desk)]
            desk.clock.at += LEASE

        assert states == [OutboxState.PENDING] * 3 + [OutboxState.DELIVERED]
        assert [call.status for call in stub.calls] == [0, 500, 429, 409]
        assert stub.booked == 1

    def test_an_address_that_leads_into_the_house_is_given_up_unsent(
        self, desk: Desk, stub: SupplierStub
    ) -> None:
        _send_by(desk, "webhook", f"https://acme.example:{stub.port}/")
        desk.approved()

        (done,) = self._round(desk, resolve=lambda _host, _port: ["169.254.169.254"])

        assert done.state is OutboxState.DEAD
        assert "not a public address" in done.error
        assert stub.accepted == 0

    def _round(self, desk: Desk, **options: Any) -> list[Any]:
        channel = WebhookChannel(
            {"ACME": SECRET}, clock=desk.clock, open_to=["127.0.0.1"], timeout_s=5, **options
        )
        return _courier(desk, channel).round()


class TestFolder:
    @pytest.mark.parametrize(("form", "suffix"), [("x12", "x12"), ("ubl", "xml"), ("pdf", "pdf")])
    def test_the_suppliers_format_lies_beside_the_others(
        self, desk: Desk, form: str, suffix: str
    ) -> None:
        _send_by(desk, "file", form=form)
        desk.approved()

        desk.deliver()

        assert desk.files() == sorted(f"PO-2001-r1.{one}" for one in ("csv", "json", suffix))
        if form == "x12":
            assert x12_problems((desk.folder / "PO-2001-r1.x12").read_text()) == []

    def test_what_cannot_be_written_in_the_format_is_given_up_unsent(self, desk: Desk) -> None:
        desk.approved()
        channel = Scripted(
            InvalidInput("'Ü-1' cannot be written in an X12 order"), idempotent=False
        )

        (done,) = _courier(desk, channel).round()

        assert (done.state, desk.files()) == (OutboxState.DEAD, [])


class TestSetDelivery:
    def test_an_admin_does_and_the_trail_tells(self, world: Desk) -> None:
        desk = world
        supplier = _send_by(desk, "email", "orders@acme.example", "pdf")

        assert (supplier.delivery_channel, supplier.delivery_address) == (
            "email", "orders@acme.example",
        )  # fmt: skip
        assert desk.trail()[-1] == ("supplier.delivery_set", "ACME", "adam")
        assert desk.audit().ok

    def test_the_same_again_changes_nothing(self, desk: Desk) -> None:
        _send_by(desk, "email", "orders@acme.example", "pdf")
        before = desk.trail()

        _send_by(desk, "email", "orders@acme.example", "pdf")

        assert desk.trail() == before

    @pytest.mark.parametrize("login", ["vera", "paul", "anna", "mona", "robot"])
    def test_nobody_else(self, desk: Desk, login: str) -> None:
        with pytest.raises(Forbidden):
            _send_by(desk, "email", "thief@evil.example", by=login)

        assert desk.trail() == []

    @pytest.mark.parametrize(
        ("channel", "address", "form"),
        [("email", "", "pdf"), ("email", "a@b", "pdf"), ("webhook", "", "json"),
         ("webhook", "http://acme.example", "json"), ("webhook", "https://acme.example", "pdf"),
         ("file", "/etc", "json"), ("fax", "1", "json"),
         ("webhook", "https://acme.example/" + "x" * 300, "json")],
    )  # fmt: skip
    def test_what_no_order_could_take(
        self, desk: Desk, channel: str, address: str, form: str
    ) -> None:
        with pytest.raises(InvalidInput):
            _send_by(desk, channel, address, form)

    def test_no_such_supplier(self, desk: Desk) -> None:
        with pytest.raises(NotFound, match="NOBODY"):
            _send_by(desk, "file", code="NOBODY")

    def test_open_requests_become_stale(self, world: Desk) -> None:
        desk = world
        desk.pending()
        _send_by(desk, "email", "other@acme.example", "pdf")

        with pytest.raises((ApprovalRequired, Conflict)):
            desk.decide(Decision.APPROVE)

        assert desk.outbox() == []

    def test_what_was_approved_goes_the_way_it_was_approved_for(self, desk: Desk) -> None:
        desk.approved()
        _send_by(desk, "email", "other@acme.example", "pdf")

        assert [delivery.state for delivery in desk.deliver()] == [OutboxState.DELIVERED]
        assert json.loads((desk.folder / "PO-2001-r1.json").read_text()).get("delivery") is None


def test_the_folder_is_a_channel(tmp_path: Path) -> None:
    channel: Channel = DropFolder(tmp_path)

    assert (channel.name, channel.is_idempotent) == ("file", True)
