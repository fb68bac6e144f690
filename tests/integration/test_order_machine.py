"""The life of orders as a machine: any sequence of acts, by anybody, keeps every promise."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import func, text
from sqlmodel import col, select

from api.worker import deliver_due, expire_due
from db import schema
from db.models.purchasing import Approval, Outbox, PurchaseOrder, PurchaseOrderLine
from db.models.stock import StockLevel, StockMovement
from db.session import Database
from db.types import ApprovalState, Decision, OrderState, OutboxState
from tests.conftest import AUDIT_INFO
from tests.factories_orders import Desk
from tools.errors import ExternalError, QuartermasterError
from tools.outbox.gateway import DropFolder
from tools.purchasing.core.states import LEGAL
from tools.purchasing.service.receiving import Arrival, receive
from tools.purchasing.service.revising import cancel
from tools.stock.service import position

PEOPLE = ("paul", "pia", "anna", "mona", "vera", "adam")
NEVER = ("vera", "adam")
LIMITS = {"paul": 1_000_000, "pia": 1_000_000, "anna": 2_500_000, "mona": 10_000_000}
SELF_LIMIT = 1_000_000
ON_ORDER = (
    OrderState.PENDING_APPROVAL, OrderState.APPROVED, OrderState.SENT,
    OrderState.PARTIALLY_RECEIVED, OrderState.CONFIRMED,
)  # fmt: skip

T = TypeVar("T")

people = st.sampled_from(PEOPLE)
amounts = st.sampled_from([1, 600, 1320, 1920, 5040])
picks = st.integers(0, 5)


class Down:
    """A channel that does not answer."""

    name, is_idempotent = "file", True

    def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
        raise ExternalError(f"{key} of {payload['number']}: no answer")


class Orders(RuleBasedStateMachine):
    """Acts of planners, approvers, the worker and the warehouse on one database."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.database = Database("sqlite://", session_info=AUDIT_INFO)
        schema.metadata().create_all(self.database.engine)
        with self.database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
        self.desk = Desk(self.database, self.folder)
        self.orders: list[str] = []
        self.requests: list[str] = []
        self.states: dict[str, OrderState] = {}
        self.notes = 0

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    # acts

    @initialize(large=st.sampled_from([1920, 5040]), by=st.sampled_from(["paul", "mona"]))
    def two_wait_and_one_was_sent(self, large: int, by: str) -> None:
        for units, who in ((600, "pia"), (large, by), (1320, "paul")):
            self.draft(units, who)
            self.ask(len(self.orders) - 1, who)
        self.approve(2, "mona", False, False)
        self.deliver(False)

    @precondition(lambda self: self.requests)
    @rule(pick=picks)
    def approve_what_waits(self, pick: int) -> None:
        self.ask(pick, "paul")
        self.approve(pick, "mona", False, False)

    @rule(units=amounts, by=people)
    def draft(self, units: int, by: str) -> None:
        made = self._try(lambda: self.desk.draft(units, by, duplicate_reason="machine"))
        assert (made is None) == (by == "vera")
        if made is not None:
            self.orders.append(made.order.number)

    @precondition(lambda self: self.orders)
    @rule(pick=picks, units=amounts, by=people)
    def edit(self, pick: int, units: int, by: str) -> None:
        self._try(lambda: self.desk.revise(self._order(pick), units, by))

    @precondition(lambda self: self.orders)
    @rule(pick=picks, by=people)
    def ask(self, pick: int, by: str) -> None:
        approval = self._try(lambda: self.desk.ask(self._order(pick), by))
        if approval is not None and approval.number not in self.requests:
            self.requests.append(approval.number)

    @precondition(lambda self: self.requests)
    @rule(pick=picks, by=people, is_stale=st.booleans(), is_other=st.booleans())
    def approve(self, pick: int, by: str, is_stale: bool, is_other: bool) -> None:
        number, approval = self._request(pick)
        fingerprint = "0" * 64 if is_other else approval.fingerprint
        version = approval.version - 1 if is_stale else approval.version

        came = self._try(
            lambda: self.desk.decide(by=by, number=number, version=version, fingerprint=fingerprint)
        )

        if came is not None:
            assert not is_stale
            assert not is_other
            assert approval.state is ApprovalState.PENDING
            assert approval.total_minor <= LIMITS.get(by, -1)
            assert approval.expires_at > self.desk.clock.now()
            is_own = self.desk.world.actors[by].user_id == approval.requested_by_id
            assert not (is_own and approval.total_minor > SELF_LIMIT)

    @precondition(lambda self: self.requests)
    @rule(pick=picks, by=people, decision=st.sampled_from([Decision.REJECT, Decision.RESPOND]))
    def answer(self, pick: int, by: str, decision: Decision) -> None:
        number, approval = self._request(pick)

        came = self._try(
            lambda: self.desk.decide(
                decision, by=by, number=number, version=approval.version, reason="no"
            )
        )

        assert came is None or (approval.state is ApprovalState.PENDING and by not in NEVER)

    @precondition(lambda self: self.requests)
    @rule(pick=picks, by=people, units=amounts)
    def change_and_ask(self, pick: int, by: str, units: int) -> None:
        number, approval = self._request(pick)
        came = self._try(
            lambda: self.desk.decide(
                Decision.EDIT, by=by, number=number, version=approval.version,
                edits=[{"sku": "WIDGET-A", "quantity": units}],
            )
        )  # fmt: skip
        if came is not None:
            self.requests.append(came.approval.number)

    @rule(hours=st.sampled_from([1, 5, 24]))
    def wait(self, hours: int) -> None:
        self.desk.clock.at += timedelta(hours=hours)

    @rule()
    def expire(self) -> None:
        expire_due(self.database, clock=self.desk.clock)

    @rule(is_down=st.booleans())
    def deliver(self, is_down: bool) -> None:
        channel = Down() if is_down else DropFolder(self.folder)
        deliver_due(self.database, {"file": channel}, clock=self.desk.clock, holder="worker")

    @precondition(lambda self: self.orders)
    @rule(pick=picks, units=st.integers(1, 3000), is_repeat=st.booleans())
    def goods_arrive(self, pick: int, units: int, is_repeat: bool) -> None:
        self.notes += 0 if is_repeat else 1

        def book() -> object:
            with self.database.write() as session:
                return receive(
                    session, number=self._order(pick), arrivals=[Arrival("WIDGET-A", units)],
                    reference=f"DN-{self.notes}", actor=self.desk.world.actors["paul"],
                    clock=self.desk.clock, company=self.desk.company,
                )  # fmt: skip

        self._try(book)

    @precondition(lambda self: self.orders)
    @rule(pick=picks, by=people)
    def cancel(self, pick: int, by: str) -> None:
        def do() -> object:
            with self.database.write() as session:
                return cancel(
                    session, number=self._order(pick), actor=self.desk.world.actors[by],
                    clock=self.desk.clock, reason="machine",
                )  # fmt: skip

        self._try(do)

    # promises

    @invariant()
    def every_step_is_in_the_life_of_an_order(self) -> None:
        with self.database.read() as session:
            found = session.exec(select(col(PurchaseOrder.number), col(PurchaseOrder.state))).all()
        for number, state in found:
            assert _reachable(self.states.get(number, state), state), (number, state)
        self.states = dict(found)

    @invariant()
    def nothing_was_sent_without_an_approval_of_its_content(self) -> None:
        with self.database.read() as session:
            for order in session.exec(
                select(PurchaseOrder).where(
                    col(PurchaseOrder.sent_at).is_not(None), PurchaseOrder.number != "PO-1042"
                )
            ):
                approval = session.exec(
                    select(Approval).where(
                        Approval.order_id == order.id, Approval.state == ApprovalState.APPROVED
                    )
                ).one()
                assert approval.fingerprint == order.fingerprint
                assert approval.consumed_at is not None
                row = session.exec(
                    select(Outbox).where(
                        Outbox.order_id == order.id, Outbox.state == OutboxState.DELIVERED
                    )
                ).one()
                assert row.approval_id == approval.id

    @invariant()
    def one_delivery_for_each_approval(self) -> None:
        with self.database.read() as session:
            approved = session.exec(
                select(Approval.id).where(Approval.state == ApprovalState.APPROVED)
            ).all()
            queued = session.exec(
                select(Outbox.approval_id).where(Outbox.state != OutboxState.CANCELLED)
            ).all()
            sent = session.exec(
                select(func.count())
                .select_from(Outbox)
                .where(col(Outbox.state) == OutboxState.DELIVERED)
            ).one()
        assert sorted(approved) == sorted(queued)
        assert len(self.desk.files()) == 2 * sent

    @invariant()
    def on_order_is_the_open_balance_of_the_lines(self) -> None:
        world = self.desk.world
        balance = col(PurchaseOrderLine.ordered_units) - col(PurchaseOrderLine.received_units)
        with self.database.read() as session:
            rows = session.exec(
                select(balance)
                .join(PurchaseOrder, col(PurchaseOrder.id) == col(PurchaseOrderLine.order_id))
                .where(col(PurchaseOrder.state).in_(ON_ORDER))
            ).all()
            stands = position(
                session, world.widget.id, world.main.id, as_of=self.desk.clock.now().date()
            )
        assert stands.on_order_units == sum(max(0, row) for row in rows)

    @invariant()
    def goods_and_money_add_up(self) -> None:
        with self.database.read() as session:
            on_hand = session.exec(select(StockLevel.on_hand_units)).one()
            moved = session.exec(select(StockMovement.units)).all()
            wrong = session.execute(
                text(
                    "SELECT o.number FROM purchase_order o WHERE o.total_minor <> (SELECT"
                    " sum(l.ordered_units * l.unit_price_minor) FROM purchase_order_line l"
                    " WHERE l.order_id = o.id)"
                )
            ).all()
            received = session.exec(select(PurchaseOrderLine.received_units)).all()
        assert on_hand == 620 + sum(moved)
        assert sum(received) == sum(moved)
        assert wrong == []

    @invariant()
    def the_trail_holds(self) -> None:
        report = self.desk.audit()
        assert report.ok, report.problem

    # words

    def _order(self, pick: int) -> str:
        return self.orders[pick % len(self.orders)]

    def _request(self, pick: int) -> tuple[str, Approval]:
        number = self.requests[pick % len(self.requests)]
        with self.database.write() as session:
            return number, session.exec(select(Approval).where(Approval.number == number)).one()

    def _try(self, act: Callable[[], T]) -> T | None:
        try:
            return act()
        except QuartermasterError:
            return None


def _reachable(start: OrderState, end: OrderState) -> bool:
    """Whether some legal steps lead from one state to the other (one act may take two)."""
    steps = {start, *LEGAL[start]}
    return end in steps or any(end in LEGAL[step] for step in steps)


TestOrders = Orders.TestCase
TestOrders.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
