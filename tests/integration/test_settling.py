"""A person's word about a delivery, what the seal covers, and what a restore voids."""

from pathlib import Path

import pytest
from sqlalchemy import text

from api import worker
from db.session import Database
from db.types import ApprovalState, OrderState, ScopeKind
from tests.factories_orders import Desk
from tools.errors import Conflict, Forbidden, InvalidInput
from tools.outbox.core import Settlement
from tools.people.service import access
from tools.purchasing.service.revising import cancel
from tools.recovery.service import after_restore
from tools.webhooks.core import is_public


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path / "outgoing")


def dead(desk: Desk) -> str:
    """An approved order whose delivery was given up; returns its number."""
    number = desk.approved()
    with desk.database.write() as session:
        session.execute(text("UPDATE outbox SET state = 'dead', attempts = 12"))
    return number


def settle(desk: Desk, answer: Settlement, *, by: str = "mona", reason: str = "Acme says") -> None:
    worker.settle(
        desk.database, desk.outbox()[0].key, answer=answer, actor=desk.world.actors[by],
        reason=reason, clock=desk.clock,
    )  # fmt: skip


class TestWhoSays:
    def test_nobody_outside_their_work(self, desk: Desk) -> None:
        dead(desk)
        with desk.database.write() as session:
            access.add_scope(
                session, "mona", ScopeKind.SUPPLIER, "BOREALIS", clock=desk.clock,
                by=desk.world.actors["adam"],
            )  # fmt: skip

        with pytest.raises(Forbidden, match="outside the work"):
            settle(desk, Settlement.TAKE_BACK)

    def test_not_without_a_reason(self, desk: Desk) -> None:
        dead(desk)

        with pytest.raises(InvalidInput, match="needs a reason"):
            settle(desk, Settlement.DELIVERED, reason=" ")

    def test_nobody_says_that_their_own_order_arrived(self, desk: Desk) -> None:
        number = dead(desk)

        with pytest.raises(Forbidden, match="is yours") as refused:
            settle(desk, Settlement.DELIVERED, by="paul")

        assert refused.value.details["rule"] == "separation_of_duties"
        assert desk.order(number).state is OrderState.APPROVED
        settle(desk, Settlement.DELIVERED)
        assert desk.order(number).state is OrderState.SENT


def test_what_is_sent_again_cannot_be_cancelled_as_if_it_had_never_left(desk: Desk) -> None:
    number = dead(desk)
    settle(desk, Settlement.SEND_AGAIN)

    with pytest.raises(Conflict, match="may have arrived"), desk.database.write() as session:
        cancel(
            session, number=number, actor=desk.world.actors["paul"], clock=desk.clock, reason="no"
        )


@pytest.mark.parametrize("change", ["channel = 'webhook'", "key = 'po:other-key'"])
def test_an_order_leaves_only_the_way_that_was_approved(desk: Desk, change: str) -> None:
    number = desk.approved()
    with desk.database.write() as session:
        session.execute(text(f"UPDATE outbox SET {change}"))

    desk.deliver()

    assert desk.order(number).state is OrderState.APPROVED
    assert not desk.audit().ok


def test_a_restore_voids_what_waited_and_gives_no_number_twice(desk: Desk) -> None:
    desk.pending()

    with desk.database.write() as session:
        after_restore(
            session, backed_up_at=desk.clock.now(), clock=desk.clock, company=desk.company
        )

    number = desk.draft(1320, duplicate_reason="after the restore").order.number
    with desk.database.read() as session:
        states = session.execute(text("SELECT state FROM approval")).scalars().all()
    assert states == [ApprovalState.VOID.value]
    assert int(number.removeprefix("PO-")) > 3000
    assert desk.audit().ok


@pytest.mark.parametrize("is_asked", [True, False])
def test_what_may_have_left_since_the_backup_is_revised_before_it_is_asked_for(
    desk: Desk, is_asked: bool
) -> None:
    number = desk.draft().order.number
    if is_asked:
        desk.ask(number)
    with desk.database.write() as session:
        after_restore(
            session, backed_up_at=desk.clock.now(), clock=desk.clock, company=desk.company
        )

    with pytest.raises(Conflict, match="after the backup"):
        desk.ask(number)

    desk.revise(units=1920)  # the same again, after a look at what the supplier has
    assert desk.ask(number).revision == 2
    assert desk.audit().ok


@pytest.mark.parametrize("address", ["fec0::1", "192.0.0.8", "169.254.169.254", "10.1.2.3", "::1"])
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)
