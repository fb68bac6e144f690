"""Each guard by itself: the small tests that the mutations of the product must make fail.

Most guards stand behind another one, so that a race alone seldom shows that one is missing. Here
each is asked directly.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session, select, text

from api.worker import Courier
from db.models.purchasing import Approval, Outbox
from db.session import Database
from db.types import ApprovalState, OutboxState
from tests.conftest import NOW
from tests.factories_orders import Desk
from tools.audit.core.chain import Entry, entry_mac
from tools.errors import ApprovalRequired, Conflict
from tools.purchasing.service.pending import change_pending


def _outbox_row(session: Session) -> Outbox:
    return session.exec(select(Outbox)).one()


def test_a_request_changes_only_from_what_was_seen(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    desk.pending()
    with database.read() as session:
        seen = session.exec(select(Approval).where(Approval.number == "a-31")).one()
        session.expunge_all()
    desk.decide(number="a-31")

    with pytest.raises(Conflict), database.write() as session:
        change_pending(session, session.merge(seen, load=False), state=ApprovalState.REJECTED)

    assert desk.approval_state() == "approved"


@pytest.mark.parametrize("name", ["key", "revision"])
def test_the_outbox_takes_an_order_once(database: Database, tmp_path: Path, name: str) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    desk.approved()

    with database.read() as session:
        values = _outbox_row(session).model_dump(exclude={"id"})
    values |= {"revision": 99} if name == "key" else {"key": "po:another"}

    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Outbox(**values))


class _Looking:
    """A way out that looks whether the claim is written down when it sends."""

    name, is_idempotent = "file", True

    def __init__(self, database: Database) -> None:
        self.database = database
        self.seen: list[OutboxState] = []

    def deliver(self, key: str, payload: Mapping[str, Any]) -> str:  # noqa: ARG002
        other = Database(self.database.url)
        with other.read() as session:
            self.seen.append(_outbox_row(session).state)
        other.close()
        return "seen"


def test_a_claim_is_committed_before_anything_is_sent(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    desk.approved()
    channel = _Looking(database)

    Courier(database, {"file": channel}, clock=desk.clock, holder="w").round()

    assert channel.seen == [OutboxState.CLAIMED]


def test_an_order_that_changed_after_it_was_shown_does_not_leave(
    database: Database, tmp_path: Path
) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    desk.pending()
    with database.write() as session:
        session.execute(
            text(
                "UPDATE purchase_order_line SET ordered_units = 1680, "
                "amount_minor = 1680 * unit_price_minor WHERE ordered_units = 1920"
            )
        )

    with pytest.raises(ApprovalRequired):
        desk.decide()

    assert desk.outbox() == []


def test_a_seal_depends_on_the_key() -> None:
    entry = Entry(
        seq=1, at=NOW, actor="paul", actor_kind="human", action="order.drafted", object_id="PO-1",
        before={}, after={}, meaning="", reason="", key_id="k", prev_mac="", context=None,
    )  # fmt: skip

    assert entry_mac(b"1" * 32, entry) != entry_mac(b"2" * 32, entry)


def test_a_writer_holds_the_file_from_its_first_moment(tmp_path: Path) -> None:
    one, other = (Database(f"sqlite:///{tmp_path}/test.db") for _ in range(2))
    with one.write() as first:
        first.execute(text("SELECT 1"))

        with pytest.raises(OperationalError), other.write(patience_s=0.05) as second:
            second.execute(text("SELECT 1"))
    one.close()
    other.close()
