"""The life of orders as a machine: any sequence of acts, by anybody, keeps every promise."""

import atexit
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
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
from db.models.audit import AuditEvent
from db.models.purchasing import (
    Approval,
    Outbox,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderRevision,
    Receipt,
    SupplierAnswer,
)
from db.session import Database
from db.types import (
    AnswerState,
    ApprovalState,
    Decision,
    OrderState,
    OutboxState,
    ReceiptKind,
)
from tests.conftest import AUDIT_INFO
from tests.factories import day, make_item
from tests.factories_orders import Desk
from tests.postgres import POSTGRES_URL, drop_postgres, new_postgres
from tools.errors import ExternalError, QuartermasterError
from tools.outbox.gateway import DropFolder
from tools.purchasing.core.answers import AnswerCode, AnswerLine
from tools.purchasing.core.states import LEGAL, UNSENT
from tools.purchasing.service.accepting import decide_answer
from tools.purchasing.service.answering import list_answers, record_answer
from tools.purchasing.service.closing import close_order, short_close
from tools.purchasing.service.receiving import Arrival, Disposition, WrongArrival, receive
from tools.purchasing.service.reversing import return_goods, reverse_receipt
from tools.purchasing.service.revising import cancel
from tools.stock.service import adjust, ledger_differences, position

PEOPLE = ("paul", "pia", "anna", "mona", "vera", "adam")
NEVER = ("vera", "adam")
LIMITS = {"paul": 1_000_000, "pia": 1_000_000, "anna": 2_500_000, "mona": 10_000_000}
SELF_LIMIT = 1_000_000
ON_ORDER = (
    OrderState.PENDING_APPROVAL, OrderState.APPROVED, OrderState.SENT,
    OrderState.PARTIALLY_RECEIVED, OrderState.CONFIRMED, OrderState.CHANGED,
)  # fmt: skip

SAID = (
    (),
    (AnswerLine("WIDGET-A", AnswerCode.QUANTITY, 240),),
    (AnswerLine("WIDGET-A", AnswerCode.QUANTITY, 5000),),
    (AnswerLine("WIDGET-A", AnswerCode.PRICE, unit_price_minor=900),),
    (
        AnswerLine("WIDGET-A", AnswerCode.ACCEPTED, 400, day(6)),
        AnswerLine("WIDGET-A", AnswerCode.BACKORDERED, 200, day(12)),
    ),
    (AnswerLine("WIDGET-A", AnswerCode.REJECTED),),
)

T = TypeVar("T")

people = st.sampled_from(PEOPLE)
amounts = st.sampled_from([1, 600, 1320, 1920, 5040])
picks = st.integers(0, 5)


class Down:
    """A channel that does not answer."""

    name, is_idempotent = "file", True

    def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
        raise ExternalError(f"{key} of {payload['number']}: no answer")


class Supply(RuleBasedStateMachine):
    """Acts of suppliers, the warehouse and those who work with them, on orders that left."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.database = self._open()
        self.desk = Desk(self.database, self.folder)
        self.orders: list[str] = []
        self.requests: list[str] = []
        self.states: dict[str, OrderState] = {}
        self.notes = 0
        self.replaced = 0  # units that went back and are awaited again

    def _open(self) -> Database:
        database = Database("sqlite://", session_info=AUDIT_INFO)
        schema.metadata().create_all(database.engine)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
        return database

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    # acts

    @initialize()
    def two_were_sent(self) -> None:
        sent = []
        for units, who in ((600, "pia"), (1320, "paul")):
            number = self.desk.draft(units, who, duplicate_reason="machine").order.number
            request = self.desk.ask(number, who)
            self.desk.decide(by="mona", number=request.number, version=request.version)
            sent.append(number)
        self.orders += sent
        with self.database.write() as session:
            make_item(session, "GADGET", "Gadget")
        self.desk.deliver()
        self.states |= dict.fromkeys(sent, OrderState.SENT)

    @precondition(lambda self: self.out)
    @rule(pick=picks, units=st.sampled_from([100, 300, 600, 660, 1320]), is_repeat=st.booleans())
    def goods_arrive(self, pick: int, units: int, is_repeat: bool) -> None:
        self.notes += 0 if is_repeat else 1

        def book() -> object:
            with self.database.write() as session:
                return receive(
                    session, number=self._out(pick), arrivals=[Arrival("WIDGET-A", units)],
                    reference=f"DN-{self.notes}", actor=self.desk.world.actors["paul"],
                    clock=self.desk.clock, company=self.desk.company,
                )  # fmt: skip

        self._try(book)

    @precondition(lambda self: self.out)
    @rule(
        pick=picks, said=st.sampled_from(SAID), by=st.sampled_from(["paul", "pia", "robot", "vera"])
    )
    def supplier_answers(self, pick: int, said: tuple[AnswerLine, ...], by: str) -> None:
        self._try(
            self._write(record_answer, number=self._out(pick), lines=said, by=by, is_plain=True)
        )

    @precondition(lambda self: self.out)
    @rule(pick=picks, by=people, accept=st.booleans(), keep=st.booleans(), is_stale=st.booleans())
    def decide_about_the_answer(
        self, pick: int, by: str, accept: bool, keep: bool, is_stale: bool
    ) -> None:
        with self.database.read() as session:
            found = list_answers(session, state=AnswerState.PROPOSED)
        if not found:
            return
        answer = found[pick % len(found)]
        before = self.desk.order(answer.order_number)

        came = self._try(
            self._write(
                decide_answer, number=answer.number, version=answer.version - is_stale,
                accept=accept, by=by, reason="machine", keep_balance=keep,
            )
        )  # fmt: skip

        if came is not None:
            assert not is_stale
            assert by not in NEVER
            after = self.desk.order(answer.order_number)
            if after.total_minor > before.total_minor:
                assert after.total_minor <= LIMITS[by]

    @precondition(lambda self: self.out)
    @rule(pick=picks, units=st.integers(1, 300), is_kept=st.booleans())
    def goods_nobody_ordered_arrive(self, pick: int, units: int, is_kept: bool) -> None:
        what = Disposition.QUARANTINE if is_kept else Disposition.SEND_BACK
        self.notes += 1
        self._try(
            self._write(
                receive, number=self._out(pick), arrivals=[], reference=f"DN-{self.notes}",
                wrong=[WrongArrival("GADGET", units, what)], by="robot",
            )
        )  # fmt: skip

    @precondition(lambda self: self.out and self.notes)
    @rule(pick=picks, note=st.integers(1, 8))
    def a_booking_is_reversed(self, pick: int, note: int) -> None:
        self._try(
            self._write(
                reverse_receipt, number=self._out(pick), reference=f"DN-{note}",
                reason="machine", is_plain=True,
            )
        )  # fmt: skip

    @precondition(lambda self: self.out)
    @rule(pick=picks, units=st.integers(1, 200), is_replaced=st.booleans())
    def goods_go_back(self, pick: int, units: int, is_replaced: bool) -> None:
        self.notes += 1
        came = self._try(
            self._write(
                return_goods, number=self._out(pick), sku="WIDGET-A", units=units,
                reference=f"RN-{self.notes}", reason="machine", is_replaced=is_replaced,
                is_plain=True,
            )
        )  # fmt: skip
        if came is not None and is_replaced:
            self.replaced += units

    @precondition(lambda self: self.out)
    @rule(pick=picks, by=people, units=st.sampled_from([1, 60, 600, 60, 1, None]))
    def stop_waiting(self, pick: int, by: str, units: int | None) -> None:
        lines = None if units is None else {"WIDGET-A": units}
        self._try(
            self._write(
                short_close, number=self._out(pick), reason="machine", units_by_sku=lines, by=by,
                is_plain=True,
            )
        )  # fmt: skip

    @precondition(lambda self: self.out)
    @rule(pick=picks, by=people)
    def close(self, pick: int, by: str) -> None:
        self._try(self._write(close_order, number=self._out(pick), by=by, is_plain=True))

    @rule(units=st.sampled_from([-700, -5, 3]), reference=st.integers(1, 4), by=people)
    def correct_the_stock(self, units: int, reference: int, by: str) -> None:
        came = self._try(
            self._write(
                adjust, sku="WIDGET-A", units=units, reason="machine", reference=f"c{reference}",
                by=by, is_plain=True,
            )
        )  # fmt: skip
        assert came is None or by != "vera"

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
                signed = session.exec(
                    select(PurchaseOrderRevision.fingerprint).where(
                        PurchaseOrderRevision.order_id == order.id,
                        PurchaseOrderRevision.revision == approval.revision,
                    )
                ).one()
                accepted = session.exec(
                    select(SupplierAnswer.id).where(
                        SupplierAnswer.order_id == order.id,
                        SupplierAnswer.state == AnswerState.ACCEPTED,
                    )
                ).all()
                assert approval.fingerprint == signed
                assert order.revision == approval.revision + len(accepted)
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
        ended = col(PurchaseOrderLine.received_units) + col(PurchaseOrderLine.short_closed_units)
        balance = col(PurchaseOrderLine.ordered_units) - ended
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
            differences = ledger_differences(session)
            booked = session.exec(
                select(col(Receipt.kind), func.sum(Receipt.received_units))
                .where(col(Receipt.order_line_id).is_not(None))
                .group_by(col(Receipt.kind))
            ).all()
            wrong = session.execute(
                text(
                    "SELECT o.number FROM purchase_order o WHERE o.total_minor <> (SELECT"
                    " sum(l.ordered_units * l.unit_price_minor) FROM purchase_order_line l"
                    " WHERE l.order_id = o.id)"
                )
            ).all()
            received = session.exec(select(PurchaseOrderLine.received_units)).all()
        units = {kind: int(total) for kind, total in booked}
        came = units.get(ReceiptKind.RECEIPT, 0) - units.get(ReceiptKind.REVERSAL, 0)
        assert differences == []
        assert sum(received) == came - self.replaced
        assert wrong == []

    @invariant()
    def the_trail_rebuilds_every_order(self) -> None:
        """Each row begins where the one before ended, and the last one says what stands."""
        with self.database.read() as session:
            rows = session.exec(
                select(col(AuditEvent.object_id), col(AuditEvent.before), col(AuditEvent.after))
                .where(col(AuditEvent.object_id).startswith("PO-"))
                .order_by(col(AuditEvent.seq))
            ).all()
            stands = dict(
                session.exec(
                    select(col(PurchaseOrder.number), col(PurchaseOrder.state)).where(
                        PurchaseOrder.number != "PO-1042"
                    )
                ).all()
            )
        told: dict[str, str] = {}
        for number, before, after in rows:
            if "state" in (before or {}):
                assert told[number] == before["state"]
            if "state" in after:
                told[number] = after["state"]
        assert told == {number: state.value for number, state in stands.items()}

    @invariant()
    def the_trail_holds(self) -> None:
        report = self.desk.audit()
        assert report.ok, report.problem

    # words

    def _order(self, pick: int) -> str:
        return self.orders[pick % len(self.orders)]

    @property
    def out(self) -> list[str]:
        """Orders that left the house and are not over."""
        over = {*UNSENT, OrderState.CANCELLED, OrderState.CLOSED}
        return [
            number
            for number in self.orders
            if self.states.get(number, OrderState.DRAFT) not in over
        ]

    def _out(self, pick: int) -> str:
        return self.out[pick % len(self.out)]

    def _request(self, pick: int) -> tuple[str, Approval]:
        number = self.requests[pick % len(self.requests)]
        with self.database.write() as session:
            return number, session.exec(select(Approval).where(Approval.number == number)).one()

    def _write(
        self, act: Callable[..., T], *, by: str = "paul", is_plain: bool = False, **how: Any
    ) -> Callable[[], T]:
        """Do something in a transaction of its own; plain acts do not ask about the company."""
        company = {} if is_plain else {"company": self.desk.company}

        def do() -> T:
            with self.database.write() as session:
                return act(
                    session, actor=self.desk.world.actors[by], clock=self.desk.clock, **company,
                    **how,
                )  # fmt: skip

        return do

    def _try(self, act: Callable[[], T]) -> T | None:
        try:
            return act()
        except QuartermasterError:
            return None


class Orders(Supply):
    """Acts of planners, approvers, the worker, suppliers and the warehouse on one database."""

    # acts

    @initialize(large=st.sampled_from([1920, 5040]), by=st.sampled_from(["paul", "mona"]))
    def two_wait_and_one_more_was_sent(self, large: int, by: str) -> None:
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
    @rule(pick=picks, by=people)
    def cancel(self, pick: int, by: str) -> None:
        def do() -> object:
            with self.database.write() as session:
                return cancel(
                    session, number=self._order(pick), actor=self.desk.world.actors[by],
                    clock=self.desk.clock, reason="machine",
                )  # fmt: skip

        self._try(do)


def _reachable(start: OrderState, end: OrderState) -> bool:
    """Whether some legal steps lead from one state to the other (one act may take two)."""
    steps = {start, *LEGAL[start]}
    return end in steps or any(end in LEGAL[step] for step in steps)


class OnPostgres(Supply):
    """The same on PostgreSQL."""

    def _open(self) -> Database:
        self.url = new_postgres(template=_template())
        return Database(self.url, session_info=AUDIT_INFO)

    def teardown(self) -> None:
        super().teardown()
        drop_postgres(self.url)


class SupplyOnPostgres(OnPostgres, Supply):
    """What comes and goes, on PostgreSQL."""


class OrdersOnPostgres(OnPostgres, Orders):
    """Everything, on PostgreSQL."""


@cache
def _template() -> str:
    url = new_postgres()
    database = Database(url)
    schema.metadata().create_all(database.engine)
    database.close()
    atexit.register(drop_postgres, url)
    return url


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip


_if_postgres = pytest.mark.skipif(not POSTGRES_URL, reason="QM_TEST_POSTGRES_URL is not set")
TestSupply, TestOrders = Supply.TestCase, Orders.TestCase
TestSupplyOnPostgres = pytest.mark.postgres(_if_postgres(SupplyOnPostgres.TestCase))
TestOrdersOnPostgres = pytest.mark.postgres(_if_postgres(OrdersOnPostgres.TestCase))
TestSupply.settings, TestSupplyOnPostgres.settings = _settings(8, 20), _settings(1, 20)
TestOrders.settings, TestOrdersOnPostgres.settings = _settings(6, 20), _settings(1, 20)
