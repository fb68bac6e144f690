"""What a thread is told about a decision: only what the rows say."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from agent.conversation import Conversations
from agent.narration import narration
from db.models.purchasing import Approval, Outbox, PurchaseOrder
from db.session import Database
from db.types import ApprovalState, Decision, OrderState, OutboxState
from tests.conftest import NOW
from tests.factories import WorldP, make_world_p
from tests.fakes import FAKE_TOOLS, ScriptedChatModel
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import NotFound

COMPANY = Company(currency="USD")
LATER = NOW + timedelta(minutes=14)


def make_approval(session: Session, world: WorldP, **changes: Any) -> Approval:
    """PO-2001 over 14,976.00 USD, waiting for a manager as a-31."""
    order = PurchaseOrder(
        number="PO-2001", supplier_id=world.acme.id, location_id=world.main.id, currency="USD",
        state=OrderState.PENDING_APPROVAL, total_minor=1_497_600, fingerprint="a" * 64,
        requested_by_id=world.actors["paul"].user_id, created_at=NOW, thread_id="t1",
    )  # fmt: skip
    session.add(order)
    session.flush()
    approval = Approval(
        number="a-31", order_id=order.id, revision=1, fingerprint="a" * 64, total_minor=1_497_600,
        currency="USD", company_total_minor=1_497_600, required_role="manager", thread_id="t1",
        requested_by_id=world.actors["paul"].user_id, requested_at=NOW,
        expires_at=NOW + timedelta(hours=24),
    )  # fmt: skip
    for name, value in changes.items():
        setattr(approval, name, value)
    session.add(approval)
    session.flush()
    return approval


def decide(session: Session, world: WorldP, state: ApprovalState, **changes: Any) -> Approval:
    """The same, decided by Mona at 09:14."""
    mona = world.actors["mona"].user_id
    return make_approval(
        session, world, state=state, decided_by_id=mona, decided_at=LATER, **changes
    )


def deliver(session: Session, approval: Approval, state: OutboxState) -> None:
    session.add(
        Outbox(
            key="k", kind="purchase_order", order_id=approval.order_id, revision=1,
            approval_id=approval.id, channel="drop", state=state, next_attempt_at=NOW,
            created_at=NOW,
        )
    )  # fmt: skip
    session.flush()


def tell(session: Session) -> str:
    return narration(session, "a-31", company=COMPANY, clock=FixedClock(LATER))


@pytest.fixture
def world(session: Session) -> WorldP:
    return make_world_p(session)


class TestNarration:
    def test_sent(self, session: Session, world: WorldP) -> None:
        approval = decide(session, world, ApprovalState.APPROVED, decision=Decision.APPROVE)
        order = session.get_one(PurchaseOrder, approval.order_id)
        order.state, order.sent_at = OrderState.SENT, LATER

        assert tell(session) == "PO-2001 sent 09:14, approved by Mona (a-31)."

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            (OutboxState.PENDING, "It is queued for delivery to Acme and has not left yet."),
            (OutboxState.CLAIMED, "It is queued for delivery to Acme and has not left yet."),
            (OutboxState.DEAD, "It could not be delivered to Acme; a person must look into it."),
            (OutboxState.IN_DOUBT, "Whether it reached Acme is in doubt"),
        ],
    )
    def test_approved_and_not_sent(
        self, session: Session, world: WorldP, state: OutboxState, words: str
    ) -> None:
        approval = decide(session, world, ApprovalState.APPROVED, decision=Decision.APPROVE)
        session.get_one(PurchaseOrder, approval.order_id).state = OrderState.APPROVED
        deliver(session, approval, state)

        assert tell(session).startswith(f"PO-2001 approved by Mona (a-31) 09:14. {words}")

    def test_rejected(self, session: Session, world: WorldP) -> None:
        decide(session, world, ApprovalState.REJECTED, decision=Decision.REJECT, reason="too much")

        assert tell(session) == ("PO-2001 rejected by Mona (a-31): too much. Nothing was sent.")

    def test_asked_back(self, session: Session, world: WorldP) -> None:
        decide(
            session, world, ApprovalState.PENDING, decision=Decision.RESPOND, reason="why so many?"
        )

        assert tell(session) == ("Mona answered on PO-2001 (a-31): why so many? The request waits.")

    def test_edited_and_waiting_again(self, session: Session, world: WorldP) -> None:
        first = decide(session, world, ApprovalState.VOID, decision=Decision.EDIT)
        order = session.get_one(PurchaseOrder, first.order_id)
        order.revision, order.total_minor = 2, 1_216_800
        make_next(session, first, ApprovalState.PENDING)

        assert tell(session) == (
            "Mona changed PO-2001 to revision 2, 12,168.00 USD. It waits for a manager (a-32)."
        )

    def test_edited_and_approved_at_once(self, session: Session, world: WorldP) -> None:
        first = decide(session, world, ApprovalState.VOID, decision=Decision.EDIT)
        order = session.get_one(PurchaseOrder, first.order_id)
        order.revision, order.total_minor = 2, 1_216_800
        order.state, order.sent_at = OrderState.SENT, LATER
        make_next(session, first, ApprovalState.APPROVED)

        assert tell(session) == (
            "Mona changed PO-2001 to revision 2, 12,168.00 USD. "
            "PO-2001 sent 09:14, approved by Mona (a-32)."
        )

    def test_expired_void_pending(self, session: Session, world: WorldP) -> None:
        approval = make_approval(session, world)

        assert tell(session) == "The request for PO-2001 (a-31) still waits for a manager."
        approval.state = ApprovalState.EXPIRED
        assert "expired. Nothing was sent" in tell(session)
        approval.state = ApprovalState.VOID
        assert "void: the order changed after it" in tell(session)

    def test_a_day_later_the_date_is_told(self, session: Session, world: WorldP) -> None:
        approval = decide(session, world, ApprovalState.APPROVED, decision=Decision.APPROVE)
        order = session.get_one(PurchaseOrder, approval.order_id)
        order.state, order.sent_at = OrderState.CONFIRMED, LATER

        text = narration(
            session, "a-31", company=COMPANY, clock=FixedClock(NOW + timedelta(days=1))
        )

        assert text == "PO-2001 sent 2026-03-02 09:14, approved by Mona (a-31)."

    def test_unknown(self, session: Session) -> None:
        with pytest.raises(NotFound, match="a-99"):
            narration(session, "a-99", company=COMPANY, clock=FixedClock(NOW))


def make_next(session: Session, first: Approval, state: ApprovalState) -> None:
    """a-32 for the next revision."""
    session.add(
        Approval(
            number="a-32", order_id=first.order_id, revision=2, fingerprint="b" * 64,
            state=state, total_minor=1_216_800, currency="USD", company_total_minor=1_216_800,
            required_role="manager", requested_by_id=first.requested_by_id, requested_at=LATER,
            expires_at=LATER, decided_by_id=first.decided_by_id, decided_at=LATER,
        )
    )  # fmt: skip
    session.flush()


class TestPostDecision:
    @pytest.fixture
    def agent(self, database: Database, tmp_path: Path) -> Iterator[Conversations]:
        opened = Conversations(
            database, chat_model=ScriptedChatModel("PO-2001 is on its way."), company=COMPANY,
            clock=FixedClock(LATER), checkpoints=tmp_path / "memory.db", tools=FAKE_TOOLS,
        )  # fmt: skip
        yield opened
        opened.close()

    def test_the_thread_is_told_and_the_model_is_not_asked(
        self, database: Database, agent: Conversations
    ) -> None:
        with database.write() as session:
            world = make_world_p(session)
        paul = world.actors["paul"]
        thread = agent.create_thread(paul)
        _approve_in(database, world, thread)

        run_id = agent.post_decision("a-31")
        assert run_id is not None
        agent.execute(run_id)

        said = agent.messages(paul, thread)
        assert [message.role for message in said] == ["notice", "assistant"]
        assert said[-1].text == "PO-2001 sent 09:14, approved by Mona (a-31)."
        assert [event.kind for event in agent.events(run_id)] == [
            "run.started", "message.delta", "message.completed", "run.completed",
        ]  # fmt: skip
        assert agent._model.prompts == []  # type: ignore[attr-defined]

    def test_twice_is_told_once_until_the_order_moves_on(
        self, database: Database, agent: Conversations
    ) -> None:
        with database.write() as session:
            world = make_world_p(session)
        thread = agent.create_thread(world.actors["paul"])
        _approve_in(database, world, thread)

        first = agent.post_decision("a-31")
        assert agent.post_decision("a-31") == first
        with database.write() as session:
            order = session.exec(select(PurchaseOrder).where(PurchaseOrder.number == "PO-2001"))
            order.one().state = OrderState.CONFIRMED
        assert agent.post_decision("a-31") != first

    def test_a_message_cannot_take_the_place_of_a_notice(
        self, database: Database, agent: Conversations
    ) -> None:
        with database.write() as session:
            world = make_world_p(session)
        paul = world.actors["paul"]
        thread = agent.create_thread(paul)
        _approve_in(database, world, thread)
        with database.read() as session:
            version = session.exec(select(Approval.version)).one()
            order = session.exec(
                select(PurchaseOrder).where(PurchaseOrder.number == "PO-2001")
            ).one()
            key = f"a-31:v{version}:{order.state}"
        said = agent.post(paul, thread, "hello", client_key=key)

        assert agent.post_decision("a-31") != said
        assert [message.role for message in agent.messages(paul, thread)] == ["user", "notice"]

    def test_chat_goes_on_before_and_after(self, database: Database, agent: Conversations) -> None:
        with database.write() as session:
            world = make_world_p(session)
        paul = world.actors["paul"]
        thread = agent.create_thread(paul)
        agent.execute(agent.post(paul, thread, "is PO-2001 out?"))
        _approve_in(database, world, thread)
        agent.execute(agent.post_decision("a-31") or 0)
        agent.execute(agent.post(paul, thread, "and now?"))

        prompt = agent._model.prompts[-1]  # type: ignore[attr-defined]
        assert [message.type for message in prompt] == ["system", "human", "ai", "human"]
        assert "PO-2001 sent 09:14, approved by Mona (a-31)." in prompt[2].text

    def test_an_order_without_a_thread_tells_nobody(
        self, database: Database, agent: Conversations
    ) -> None:
        with database.write() as session:
            world = make_world_p(session)
            decide(session, world, ApprovalState.APPROVED, decision=Decision.APPROVE)

        assert agent.post_decision("a-31") is None
        with pytest.raises(NotFound):
            agent.post_decision("a-99")


def _approve_in(database: Database, world: WorldP, thread: str) -> None:
    with database.write() as session:
        approval = decide(
            session, world, ApprovalState.APPROVED, decision=Decision.APPROVE, thread_id=thread
        )
        order = session.get_one(PurchaseOrder, approval.order_id)
        order.state, order.sent_at, order.thread_id = OrderState.SENT, LATER, thread
        session.add(order)
