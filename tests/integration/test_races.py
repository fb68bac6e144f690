"""Many at once: however they interleave, one decision counts and one order leaves."""

import threading
from collections.abc import Callable
from pathlib import Path

from api.worker import deliver_due
from db.session import Database
from db.types import Decision, OrderState, OutboxState
from tests.factories_orders import Desk
from tools.errors import Conflict, QuartermasterError
from tools.outbox.gateway import DropFolder
from tools.purchasing.service.revising import cancel

THREADS = 20


def _at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """Run ``work(0) .. work(count - 1)`` in threads that start together; errors are results."""
    barrier = threading.Barrier(count)
    results: list[object] = [None] * count

    def run(index: int) -> None:
        barrier.wait()
        try:
            results[index] = work(index)
        except QuartermasterError as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def _errors(results: list[object]) -> list[QuartermasterError]:
    return [result for result in results if isinstance(result, QuartermasterError)]


def test_twenty_people_approve_the_same_request(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    desk.pending()

    results = _at_once(THREADS, lambda index: desk.decide(by=("mona", "mark")[index % 2]))

    refused = _errors(results)
    assert len(refused) == THREADS - 1
    assert all(isinstance(error, Conflict) for error in refused)
    assert all("already approved by" in error.message for error in refused)
    assert len(desk.outbox()) == 1
    assert [action for action, _, _ in desk.trail()].count("order.approved") == 1
    assert desk.audit().ok


def test_approve_against_reject_against_edit(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    desk.pending()
    said = (Decision.APPROVE, Decision.REJECT, Decision.EDIT)

    results = _at_once(
        12,
        lambda index: desk.decide(
            said[index % 3], by="mona", edits=[{"sku": "WIDGET-A", "quantity": 1560}]
        ),
    )

    assert len(_errors(results)) == 11
    state = desk.order().state
    assert (state is OrderState.APPROVED) == (len(desk.outbox()) == 1)
    assert state in (OrderState.APPROVED, OrderState.DRAFT, OrderState.PENDING_APPROVAL)
    assert desk.audit().ok


def test_workers_deliver_once(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    for _ in range(3):
        desk.decide(number=desk.ask(desk.draft(duplicate_reason="test").order.number).number)
    channels = {"file": DropFolder(desk.folder)}

    results = _at_once(
        8,
        lambda index: deliver_due(
            desk.database, channels, clock=desk.clock, holder=f"worker-{index}"
        ),
    )

    delivered = [delivery for result in results for delivery in result]  # type: ignore[attr-defined]
    assert sorted(delivery.order_number for delivery in delivered) == [
        "PO-2001", "PO-2002", "PO-2003",
    ]  # fmt: skip
    assert [row.state for row in desk.outbox()] == [OutboxState.DELIVERED] * 3
    assert len(desk.files()) == 6
    assert desk.audit().ok


def test_cancel_against_approve(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    desk.pending()

    def act(index: int) -> object:
        if index % 2:
            return desk.decide()
        with desk.database.write() as session:
            return cancel(
                session, number="PO-2001", actor=desk.world.actors["paul"], clock=desk.clock,
                reason="race",
            )  # fmt: skip

    _at_once(8, act)
    desk.deliver()

    # A cancellation may come before or after the approval; either way nothing leaves the house.
    assert desk.order().state is OrderState.CANCELLED
    assert desk.files() == []
    assert desk.audit().ok


def test_the_same_draft_from_many_retries(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "outgoing")

    results = _at_once(10, lambda _: desk.draft(idempotency_key="t1:m1:abc").order.number)

    assert set(results) == {"PO-2001"}


def test_many_drafts_for_one_need(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "outgoing")

    results = _at_once(8, lambda _: desk.draft())

    assert len(_errors(results)) == 7
    assert all("already covers" in error.message for error in _errors(results))


def test_many_requests_for_one_order(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    desk.draft()

    results = _at_once(8, lambda _: desk.ask().number)

    assert set(results) == {"a-31"}
