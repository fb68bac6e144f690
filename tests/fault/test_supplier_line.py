"""The supplier's server behind a bad line: retries with backoff, a rest, an end; one order.

The first half moves the clock and calls the worker's rounds; the second half runs the server.
"""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from api.worker import Courier
from db.models.audit import AuditEvent
from db.models.purchasing import Outbox
from db.session import Database
from db.types import DocumentFormat, OutboxState
from tests.factories_orders import Desk
from tests.fault.house import House
from tests.fault.supplier_stub import SupplierStub
from tests.fault.tcp_proxy import TcpProxy
from tools.outbox.core import MAX_ATTEMPTS, TRIP_AFTER
from tools.outbox.service import stuck_keys
from tools.suppliers.core import Way
from tools.suppliers.service import set_delivery
from tools.webhooks.gateway import WebhookChannel

SECRET = "a secret of sixteen or more"
HERE = ("127.0.0.1",)


class _Line:
    """An order on its way to a supplier's server over a bad line, and a clock to move."""

    def __init__(self, database: Database, folder: Path, stub: SupplierStub) -> None:
        self.stub, self.proxy = stub, TcpProxy(stub.port)
        self.desk = Desk(database, folder)
        address = f"http://127.0.0.1:{self.proxy.port}/orders"
        with database.write() as session:
            set_delivery(
                session, "ACME", way=Way("webhook", address, DocumentFormat.JSON),
                actor=self.desk.world.actors["adam"], clock=self.desk.clock, open_to=HERE,
            )  # fmt: skip
        self.desk.approved()
        channel = WebhookChannel(
            {"acme": SECRET}, clock=self.desk.clock, open_to=HERE, timeout_s=0.6
        )
        self.courier = Courier(
            database, {"webhook": channel}, clock=self.desk.clock, holder="worker"
        )

    def row(self) -> Outbox:
        (row,) = self.desk.outbox()
        return row

    def round(self) -> Outbox:
        """Move to the next attempt, past any rest, and make it."""
        self.desk.clock.at = max(self.row().next_attempt_at, self.desk.clock.at)
        while self.courier.resting():
            self.desk.clock.at += timedelta(seconds=30)
        assert len(self.courier.round()) == 1
        return self.row()


@pytest.fixture
def line(database: Database, tmp_path: Path) -> Iterator[_Line]:
    with SupplierStub("dedupe") as stub:
        made = _Line(database, tmp_path / "outgoing", stub)
        with made.proxy:
            yield made


@pytest.mark.parametrize(
    ("modes", "attempts"),
    [
        ("latency:1.2,ok", 2),
        ("reset,ok", 1),  # the answer's headers said yes
        ("cut,drop,cut,ok", 4),
    ],
)
def test_whatever_the_line_does_the_supplier_has_one_order(
    line: _Line, modes: str, attempts: int
) -> None:
    line.proxy.mode = modes

    while (row := line.round()).state is OutboxState.PENDING:
        assert row.next_attempt_at > line.desk.clock.at
        assert row.last_error

    assert row.state is OutboxState.DELIVERED
    assert row.delivery_reference
    assert row.attempts == attempts == line.proxy.connections
    assert line.stub.orders == {row.key: ["SO-1"]}
    assert {call.key for call in line.stub.calls} == {row.key}
    assert line.desk.audit().ok


def test_the_waits_double_the_way_rests_and_at_last_a_person_hears_of_it(line: _Line) -> None:
    line.proxy.mode = "drop"
    waits, rested = [], 0

    while (row := line.round()).state is OutboxState.PENDING:
        waits.append((row.next_attempt_at - line.desk.clock.at).total_seconds())
        rested += bool(line.courier.resting())

    for number, wait_s in enumerate(waits):
        doubled_s = min(3_600, 5 * 2**number)
        assert 0.75 * doubled_s <= wait_s <= 1.25 * doubled_s
    assert len({wait_s / min(3_600, 5 * 2**n) for n, wait_s in enumerate(waits)}) > 5  # spread
    assert rested == MAX_ATTEMPTS - TRIP_AFTER
    assert (row.state, row.attempts) == (OutboxState.DEAD, MAX_ATTEMPTS)
    assert line.proxy.connections == MAX_ATTEMPTS
    with line.desk.database.read() as session:
        assert stuck_keys(session) == {"PO-2001": row.key}
    assert line.desk.trail()[-1][0] == "delivery.dead"
    assert line.stub.booked == 0


def test_while_the_way_rests_nobody_is_called(line: _Line) -> None:
    line.proxy.mode = "drop"
    for _ in range(TRIP_AFTER):
        line.round()
    line.desk.clock.at = line.row().next_attempt_at - timedelta(seconds=40)
    assert line.courier.resting() == [] or line.courier.round() == []
    before = line.proxy.connections

    line.courier.round()

    assert line.proxy.connections == before


def test_a_supplier_that_names_a_time_is_not_asked_before(line: _Line) -> None:
    line.stub.mode = "429-retry-after:90,dedupe"
    row = line.round()
    wished_at = line.desk.clock.at + timedelta(seconds=90)

    assert row.next_attempt_at == wished_at
    line.desk.clock.at = wished_at - timedelta(seconds=1)
    assert line.courier.round() == []
    line.desk.clock.at = wished_at
    assert [delivery.state for delivery in line.courier.round()] == [OutboxState.DELIVERED]
    assert line.stub.booked == 1


def test_the_server_follows_no_redirect_and_calls_nobody_inside(house: House) -> None:
    """A redirect to the cloud's metadata, and this machine where only another name is allowed."""
    with SupplierStub("redirect-to-metadata") as stub:
        addresses = [
            f"http://localhost:{stub.port}/orders", f"https://127.0.0.1:{stub.port}/orders",
        ]  # fmt: skip
        for number, address in enumerate(addresses):
            with house.system.database.write() as session:
                set_delivery(
                    session, f"S{number}", way=Way("webhook", address, DocumentFormat.JSON),
                    actor=house.actor("adam"), clock=house.system.clock,
                    open_to=("127.0.0.1", "localhost"),
                )  # fmt: skip
        pile = house.ask(2)
        secrets = json.dumps({f"S{number}": SECRET for number in range(8)})
        with house.server(
            QM_WEBHOOK_SECRETS=secrets, QM_WEBHOOK_ALLOWED_HOSTS='["localhost"]'
        ) as server:
            for asked in pile:
                reply = server.as_("mona").call(
                    "POST", asked.decisions,
                    {"decision": "approve", "version": asked.version,
                     "fingerprint": asked.fingerprint},
                    {"Idempotency-Key": asked.number},
                )  # fmt: skip
                assert reply is not None
                assert reply.status == 200
            rows = _settled(house)

    assert [row.state for row in rows] == [OutboxState.DEAD] * 2
    assert "redirect" in rows[0].last_error
    assert "127.0.0.1" in rows[1].last_error
    assert (stub.paths, stub.accepted, stub.booked) == (["/orders"], 1, 0)
    with house.system.database.read() as session:
        assert len(stuck_keys(session)) == 2
        told = [row.action for row in session.exec(select(AuditEvent)).all()]
    assert told.count("delivery.dead") == 2


def _settled(house: House) -> list[Outbox]:
    """Wait until no delivery is on its way, and return them by supplier."""
    end_s = time.monotonic() + 30
    while True:
        with house.system.database.read() as session:
            rows = list(session.exec(select(Outbox).order_by(Outbox.id)).all())  # type: ignore[arg-type]
            session.expunge_all()
        if not {row.state for row in rows} & {OutboxState.PENDING, OutboxState.CLAIMED}:
            return rows
        assert time.monotonic() < end_s, [(row.state, row.last_error) for row in rows]
        time.sleep(0.1)
