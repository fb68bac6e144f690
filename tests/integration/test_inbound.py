"""Messages from outside: signed, kept once, applied once, refused with a reason."""

import hashlib
import hmac
import json
import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from api.inbound import apply_due, load_sources
from api.settings import Settings
from db.models.purchasing import InboundEvent, Shipment, SupplierAnswer
from db.session import Database
from db.types import AnswerState, InboundState, OrderState, ShipmentStatus
from tests.conftest import NOW
from tests.factories import day
from tests.factories_orders import Desk
from tools.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated
from tools.inbound import service as inbound
from tools.inbound.core.sources import Source, authentic, read_sources

SECRET = "a-secret-of-at-least-32-characters"
KINDS = frozenset({"acknowledgement", "shipment", "receipt"})
SOURCES = {
    "acme": Source("acme", (SECRET.encode(),), frozenset({"acme"}), KINDS),
    "borealis": Source("borealis", (b"x" * 32,), frozenset({"borealis"}), KINDS),
    "wms": Source("wms", (b"y" * 32,), frozenset({"*"}), frozenset({"receipt"}), "robot"),
}
T6 = [
    {"sku": "WIDGET-A", "code": "IQ", "quantity": 240, "promise": day(6).isoformat()},
    {"sku": "WIDGET-A", "code": "IB", "quantity": 60, "promise": day(12).isoformat()},
]


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


@pytest.fixture
def sqlite_desk(sqlite_database: Database, tmp_path: Path) -> Desk:
    return Desk(sqlite_database, tmp_path)


def message(kind: str, id_: str = "m-1", **data: Any) -> bytes:
    return json.dumps({"id": id_, "kind": kind, "data": {"order": "PO-1042", **data}}).encode()


def keep(desk: Desk, body: bytes, source: str = "acme") -> inbound.Kept:
    with desk.database.write() as session:
        return inbound.keep(session, SOURCES[source], body, clock=desk.clock)


def apply(desk: Desk) -> list[tuple[str, str]]:
    apply_due(desk.database, SOURCES, clock=desk.clock, company=desk.company)
    with desk.database.read() as session:
        rows = session.exec(
            select(col(InboundEvent.state), col(InboundEvent.error)).order_by(col(InboundEvent.id))
        ).all()
    return [(state.value, error) for state, error in rows]


class TestSignature:
    """HMAC-SHA256 of ``timestamp.body``; computed here with the standard library only."""

    def _check(
        self, *, body: bytes = b"{}", name: str = "acme", seconds: int = 0, **other: Any
    ) -> Any:
        timestamp = str(int(NOW.timestamp()) + seconds)
        mac = hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
        given = {"timestamp": timestamp, "signed": f"v1={mac.hexdigest()}", "body": body, **other}
        return authentic(SOURCES, name, now=NOW, **given)

    @pytest.mark.parametrize("seconds", [0, 300, -300])
    def test_signed_and_fresh(self, seconds: int) -> None:
        assert self._check(seconds=seconds).name == "acme"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"seconds": 301}, {"seconds": -301}, {"name": "borealis"}, {"name": "nobody"},
            {"signed": ""}, {"signed": "v1="}, {"signed": "v1=\udce9"}, {"timestamp": ""},
            {"timestamp": "abc"}, {"timestamp": "9" * 400}, {"timestamp": "-1"},
        ],
    )  # fmt: skip
    def test_everything_else_is_refused_with_the_same_words(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(NotAuthenticated, match=r"^the signature of this message is not valid$"):
            self._check(**wrong)

    def test_a_changed_body_is_refused(self) -> None:
        timestamp = str(int(NOW.timestamp()))
        mac = hmac.new(SECRET.encode(), f"{timestamp}.a".encode(), hashlib.sha256).hexdigest()

        with pytest.raises(NotAuthenticated):
            authentic(SOURCES, "acme", body=b"b", timestamp=timestamp, signed=f"v1={mac}", now=NOW)


class TestSources:
    def test_the_page_shows_one(self) -> None:
        page = (Path(__file__).parents[2] / "docs" / "inbound.md").read_text(encoding="utf-8")
        shown = re.search(r"```json\n(.*?)```", page, re.DOTALL)

        assert shown is not None
        found = read_sources(shown[1])
        assert found["acme"].speaks_for("ACME")
        assert not found["acme"].speaks_for("BOREALIS")
        assert found["warehouse"].speaks_for("BOREALIS")

    @pytest.mark.parametrize("text", ["", "[]", '{"a": {"secrets": ["short"]}}', '{"a": 1}'])
    def test_another_file_is_refused_without_its_content(self, text: str) -> None:
        with pytest.raises(InvalidInput) as refusal:
            read_sources(text)
        assert "short" not in refusal.value.message

    def test_others_must_not_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "senders.json"
        path.write_text("{}")
        path.chmod(0o644)
        with pytest.raises(InvalidInput, match="others may read"):
            load_sources(Settings(inbound_file=path))
        path.chmod(0o600)
        assert load_sources(Settings(inbound_file=path)) == {}


class TestKeeping:
    def test_the_same_message_is_kept_once(self, desk: Desk) -> None:
        assert not keep(desk, message("acknowledgement")).is_repeat
        assert keep(desk, message("acknowledgement")).is_repeat

        with pytest.raises(Conflict, match="other content"):
            keep(desk, message("acknowledgement", note="x"))
        assert apply(desk) == [("applied", "")]

    def test_twenty_at_once_are_one(self, desk: Desk) -> None:
        threads = [
            threading.Thread(target=keep, args=(desk, message("acknowledgement")))
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(apply(desk)) == 1

    @pytest.mark.parametrize(
        "body",
        [
            b"", b"[]", b"{", b'{"id": "a", "kind": "order", "data": {}}', b"\xff\xfe",
            b'{"id": "", "kind": "receipt", "data": {}}', b'{"id": NaN}', b"[" * 100_000,
            b'{"id": "a b", "kind": "receipt", "data": {}}',
        ],
    )  # fmt: skip
    def test_what_is_no_message(self, sqlite_desk: Desk, body: bytes) -> None:
        with pytest.raises(InvalidInput):
            keep(sqlite_desk, body)

    def test_a_sender_says_its_own_kinds_only(self, sqlite_desk: Desk) -> None:
        with pytest.raises(Forbidden, match="does not send"):
            keep(sqlite_desk, message("acknowledgement"), "wms")

    def test_texts_are_cleaned(self, desk: Desk) -> None:
        keep(desk, message("acknowledgement", lines=T6, note="late\0\x1b[2J\u202e"))
        apply(desk)

        with desk.database.read() as session:
            [content] = session.exec(select(col(SupplierAnswer.content))).all()
        assert content["note"] == "late[2J"


class TestApplying:
    def test_an_acknowledgement_becomes_a_proposal(self, desk: Desk) -> None:
        keep(desk, message("acknowledgement", lines=T6))

        assert apply(desk) == apply(desk) == [("applied", "")]

        with desk.database.read() as session:
            [state] = session.exec(select(col(SupplierAnswer.state))).all()
        assert state is AnswerState.PROPOSED
        assert desk.order("PO-1042").state is OrderState.CHANGED
        assert ("order.changed", "PO-1042", "system") in desk.trail()
        assert desk.audit().ok

    def test_a_supplier_cannot_speak_for_another(self, desk: Desk) -> None:
        keep(desk, message("acknowledgement", lines=T6), "borealis")

        [(state, error)] = apply(desk)

        assert (state, "does not speak for 'ACME'" in error) == ("refused", True)
        assert desk.order("PO-1042").state is OrderState.CONFIRMED

    def test_a_receipt_becomes_stock_in_the_name_of_the_account(self, desk: Desk) -> None:
        line = {"sku": "WIDGET-A", "quantity": 300}
        keep(desk, message("receipt", delivery_note="DN-1", lines=[line]), "wms")

        assert apply(desk) == [("applied", "")]

        assert desk.order("PO-1042").state is OrderState.RECEIVED
        assert ("order.received", "PO-1042", "robot") in desk.trail()

    def test_reports_out_of_order_and_twice(self, desk: Desk) -> None:
        def step(number: int, status: str, hours: int) -> dict[str, str]:
            at = (NOW + timedelta(hours=hours)).isoformat()
            return {"id": f"e{number}", "status": status, "at": at}

        first, last = step(1, "in_transit", 1), step(2, "out_for_delivery", 5)
        keep(desk, message("shipment", "m-1", shipment="SH-9", events=[last]))
        keep(desk, message("shipment", "m-2", shipment="SH-9", events=[first, last], quantity=300))

        assert apply(desk) == [("applied", ""), ("applied", "")]

        with desk.database.read() as session:
            row = session.exec(select(Shipment).where(Shipment.number == "SH-9")).one()
            assert row.status is ShipmentStatus.OUT_FOR_DELIVERY
            assert row.shipped_units == 300

    def test_another_orders_shipment_cannot_be_taken_over(self, sqlite_desk: Desk) -> None:
        sqlite_desk.sent()
        keep(sqlite_desk, message("shipment", order="PO-2001", shipment="SH-1"))

        [(state, error)] = apply(sqlite_desk)

        assert (state, "another order" in error) == ("failed", True)

    def test_what_may_become_right_is_tried_again(self, desk: Desk) -> None:
        keep(desk, message("acknowledgement", order="PO-2001"))

        assert apply(desk)[0][0] == "failed"
        desk.sent()
        assert apply(desk)[0][0] == "failed"  # not before its time
        desk.clock.at += timedelta(seconds=31)

        assert apply(desk)[0][0] == "applied"
        assert desk.order().state is OrderState.CONFIRMED

    def test_poison_is_refused_in_the_end_and_holds_nobody_up(self, desk: Desk) -> None:
        keep(desk, message("acknowledgement", "m-1", order="PO-9"))
        keep(desk, message("acknowledgement", "m-2", lines=T6))

        assert [state for state, _ in apply(desk)] == ["failed", "applied"]
        for _ in range(inbound.MOST_ATTEMPTS):
            desk.clock.at += timedelta(hours=1)
            found = apply(desk)

        assert found[0][0] == "refused"
        with desk.database.read() as session:
            assert [row.event_id for row in inbound.troubled(session)] == ["m-1"]

    def test_one_on_which_we_fail_is_refused_too(self, sqlite_desk: Desk) -> None:
        keep(sqlite_desk, message("acknowledgement"))
        for _ in range(inbound.MOST_ATTEMPTS):  # claimed, and then the process died
            with sqlite_desk.database.write() as session:
                assert inbound.claim_due(session, clock=sqlite_desk.clock)
            sqlite_desk.clock.at += timedelta(hours=1)

        [(state, error)] = apply(sqlite_desk)

        assert (state, "6 times" in error) == (InboundState.REFUSED.value, True)

    def test_a_refused_message_is_tried_again_on_request(self, sqlite_desk: Desk) -> None:
        keep(sqlite_desk, message("acknowledgement", lines=[{"sku": "NOPE", "code": "IA"}]))
        assert apply(sqlite_desk)[0][0] in ("refused", "failed")
        sqlite_desk.clock.at += timedelta(days=1)
        for _ in range(6):
            apply(sqlite_desk)
            sqlite_desk.clock.at += timedelta(days=1)

        with sqlite_desk.database.write() as session:
            actors = sqlite_desk.world.actors
            with pytest.raises(Forbidden):
                inbound.retry(session, "acme", "m-1", actor=actors["paul"], clock=sqlite_desk.clock)
            inbound.retry(session, "acme", "m-1", actor=actors["mona"], clock=sqlite_desk.clock)

        assert apply(sqlite_desk)[0][0] in ("refused", "failed")

    @pytest.mark.parametrize(
        "line",
        [
            {"sku": "WIDGET-A", "code": "ZZ"}, {"sku": "WIDGET-A", "code": "IP", "unit_price": -1},
            {"sku": "WIDGET-A", "code": "IP", "unit_price": "7.801"},
            {"sku": "WIDGET-A", "code": "IP", "unit_price": "NaN"},
            {"sku": "WIDGET-A", "code": "IQ", "quantity": 2**63},
            {"sku": "WIDGET-A", "code": "IQ", "quantity": 1.5},
            {"sku": "WIDGET-A", "code": "IA", "approve": True},
        ],
    )  # fmt: skip
    def test_what_cannot_be_is_refused_at_once(
        self, sqlite_desk: Desk, line: dict[str, Any]
    ) -> None:
        keep(sqlite_desk, message("acknowledgement", lines=[line]))

        assert apply(sqlite_desk)[0][0] == "refused"
