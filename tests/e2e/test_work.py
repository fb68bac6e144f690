"""`quartermaster work`: a worker of its own, stopped in the middle of a delivery."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from api.bootstrap import System, build_system
from api.settings import Settings
from db.models.purchasing import Outbox
from db.types import Decision, DocumentFormat, OutboxState
from tests.conftest import NOW
from tests.factories import make_world_p
from tests.fault.supplier_stub import SupplierStub
from tools.approvals.service import decide
from tools.clock import FixedClock
from tools.purchasing.service.drafting import draft
from tools.purchasing.service.requesting import request_approval
from tools.purchasing.service.terms import LineRequest
from tools.suppliers.core import Way
from tools.suppliers.service import set_delivery

SECRETS = json.dumps({"ACME": "sixteen characters"})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[System]:
    system = build_system(
        Settings(data_dir=tmp_path / "data", company_currency="USD"), clock=FixedClock(NOW)
    )
    yield system
    system.close()


@pytest.fixture
def stub() -> Iterator[SupplierStub]:
    with SupplierStub("delay:1") as started:
        yield started


def _approve(house: System, address: str) -> None:
    """Let two orders of one supplier wait for delivery by webhook."""
    with house.database.write() as session:
        world = make_world_p(session)
        way = Way("webhook", address, DocumentFormat.JSON)
        set_delivery(
            session, "ACME", way=way, actor=world.actors["adam"], clock=house.clock,
            open_to=["127.0.0.1"],
        )  # fmt: skip
        asked = []
        for _ in range(2):
            order = draft(
                session, lines=[LineRequest(1920, "WIDGET-A")], actor=world.actors["paul"],
                clock=house.clock, company=house.company, duplicate_reason="x",
            ).order  # fmt: skip
            asked.append(
                request_approval(
                    session,
                    number=order.number,
                    actor=world.actors["paul"],
                    clock=house.clock,
                    company=house.company,
                )
            )
        for approval in asked:
            decide(
                session, number=approval.number, version=approval.version,
                decision=Decision.APPROVE, actor=world.actors["mona"], clock=house.clock,
                company=house.company, channel="test",
            )  # fmt: skip


def _start(house: System) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,  # noqa: TID251  (the program's own reads its settings from here)
        "QM_DATA_DIR": str(house.settings.data_dir), "QM_COMPANY_CURRENCY": "USD",
        "QM_WEBHOOK_SECRETS": SECRETS, "QM_WEBHOOK_ALLOWED_HOSTS": '["127.0.0.1"]',
        "QM_LOG_FORMAT": "json",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli.main", "work"], env=environment, stderr=subprocess.PIPE
    )


def _until(condition: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends_s, "it did not happen within 30 s"
        time.sleep(0.02)


def _states(house: System) -> list[OutboxState]:
    with house.database.read() as session:
        return list(session.exec(select(Outbox.state).order_by(Outbox.id)).all())  # type: ignore[arg-type]


def test_a_stop_in_the_middle_of_a_delivery_finishes_and_records_it(
    house: System, stub: SupplierStub
) -> None:
    _approve(house, stub.url)
    worker = _start(house)
    try:
        _until(lambda: len(stub.calls) == 1)
        worker.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        _, said = worker.communicate(timeout=20)
    finally:
        worker.kill()
        worker.wait()

    assert worker.returncode == 0
    assert time.monotonic() - began_s < 15
    assert _states(house) == [OutboxState.DELIVERED, OutboxState.PENDING]
    assert stub.booked == 1
    assert b"Delivering by file, webhook" in said
    assert b"sixteen characters" not in said


def test_a_worker_that_was_killed_after_booking_leaves_one_order(
    house: System, stub: SupplierStub
) -> None:
    _approve(house, stub.url)
    worker = _start(house)
    stub.mode = f"kill:{worker.pid}@read"
    try:
        worker.communicate(timeout=30)
    finally:
        worker.kill()
        worker.wait()
    assert worker.returncode == -signal.SIGKILL
    assert _states(house) == [OutboxState.CLAIMED, OutboxState.PENDING]
    with house.database.write() as session:  # the lease runs out
        row = session.exec(select(Outbox).where(Outbox.state == OutboxState.CLAIMED)).one()
        row.lease_until = NOW

    other = _start(house)
    try:
        _until(lambda: _states(house) == [OutboxState.DELIVERED] * 2)
    finally:
        other.send_signal(signal.SIGTERM)
        other.communicate(timeout=20)

    assert {len(references) for references in stub.orders.values()} == {1}
    assert stub.booked == 2
