"""Two-person approval as a machine: whatever anybody does, no order leaves on one name."""

import shutil
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlmodel import select

from api.worker import expire_due
from db.models.identity import User
from db.models.purchasing import Approval, ApprovalSignature, PurchaseOrder
from db.session import Database
from db.types import ApprovalState, Decision, OrderState
from tests.conftest import AUDIT_INFO
from tests.factories_orders import Desk
from tools.errors import QuartermasterError

PEOPLE = ("vera", "paul", "pia", "anna", "mona", "mark", "adam", "robot")
SIGNERS = {"mona", "mark"}  # whose limit covers 14,976.00; anna's is 12,000.00
somebody = st.sampled_from(PEOPLE)


class Machine(RuleBasedStateMachine):
    """One order above the two-person threshold, and everybody at it."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copyfile(self.template, self.folder / "two.db")
        self.database = Database(f"sqlite:///{self.folder}/two.db", session_info=AUDIT_INFO)
        self.desk = Desk(self.database, self.folder / "out")
        self.desk.policy(two_person_above='"12000"')
        self.desk.draft()

    def _try(self, decision: Decision, login: str, **said: object) -> None:
        with self.database.read() as session:
            newest = session.exec(select(Approval).order_by(Approval.id.desc())).first()  # type: ignore[attr-defined]
            if newest is None:
                return
            number, version = newest.number, newest.version
        with suppress(QuartermasterError):
            self.desk.decide(
                decision, by=login, number=number, version=version, reason="because",
                **said,  # type: ignore[arg-type]
            )  # fmt: skip

    @rule(login=somebody)
    def ask(self, login: str) -> None:
        with suppress(QuartermasterError):
            self.desk.ask(by=login)

    @rule(login=somebody)
    def approve(self, login: str) -> None:
        self._try(Decision.APPROVE, login)

    @rule(login=st.sampled_from(["mona", "mark"]))
    def approve_as_a_manager(self, login: str) -> None:
        self._try(Decision.APPROVE, login)

    @rule(login=somebody)
    def reject(self, login: str) -> None:
        self._try(Decision.REJECT, login)

    @rule(login=somebody, units=st.sampled_from([1800, 1920, 2040]))
    def edit(self, login: str, units: int) -> None:
        self._try(Decision.EDIT, login, edits=[{"sku": "WIDGET-A", "quantity": units}])

    @rule(hours=st.sampled_from([1, 23, 24]))
    def wait(self, hours: int) -> None:
        self.desk.clock.at += timedelta(hours=hours)
        expire_due(self.database, clock=self.desk.clock)

    @invariant()
    def an_order_leaves_on_two_names_of_people_who_did_not_ask(self) -> None:
        with self.database.read() as session:
            order = session.exec(
                select(PurchaseOrder).where(PurchaseOrder.number == "PO-2001")
            ).one()
            released = session.exec(
                select(Approval).where(Approval.state == ApprovalState.APPROVED)
            ).all()
            rows = self.desk.outbox()
            assert len(rows) == len(released) == (order.state is OrderState.APPROVED)
            for approval in released:
                names = session.exec(
                    select(User.login)
                    .join(ApprovalSignature, ApprovalSignature.user_id == User.id)  # type: ignore[arg-type]
                    .where(ApprovalSignature.approval_id == approval.id)
                ).all()
                requester = session.get_one(User, approval.requested_by_id).login
                assert len(names) == len(set(names)) == 2
                assert set(names) == SIGNERS - {requester}
                assert approval.fingerprint == order.fingerprint

    @invariant()
    def what_waits_has_at_most_one_name(self) -> None:
        with self.database.read() as session:
            waiting = session.exec(
                select(Approval).where(Approval.state == ApprovalState.PENDING)
            ).all()
            assert len(waiting) <= 1
            for approval in waiting:
                names = session.exec(
                    select(ApprovalSignature).where(ApprovalSignature.approval_id == approval.id)
                ).all()
                assert len(names) <= 1

    def teardown(self) -> None:
        assert self.desk.audit().ok
        self.database.close()
        shutil.rmtree(self.folder)


def test_no_order_leaves_on_one_name(
    sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "template", sqlite_template, raising=False)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12, stateful_step_count=12, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
