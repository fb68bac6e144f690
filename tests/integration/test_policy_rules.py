"""Every rule of the policy held against orders: who may, how many, how much at once, when."""

import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session, select

from db.clock import database_now
from db.models.identity import UserScope
from db.models.purchasing import Approval, ApprovalSignature
from db.session import Database
from db.types import Actor, Decision, OrderState, ScopeKind
from tests.conftest import AUDIT_INFO, NOW
from tests.factories_orders import Desk
from tools.approvals.service import decide, get_approval
from tools.clock import SystemClock
from tools.errors import ApprovalRequired, Conflict, Forbidden, QuartermasterError
from tools.purchasing.service.pending import tell_refusal
from tools.purchasing.service.revising import cancel
from tools.purchasing.service.submitting import submit
from tools.purchasing.service.timing import steady

TWO = {"two_person_above": '"12000"'}  # 1,920 x 7.80 = 14,976.00 is above, 600 x 8.00 is not


@pytest.fixture
def desk(sqlite_database: Database, tmp_path: Path) -> Desk:
    return Desk(sqlite_database, tmp_path / "outgoing")


def _set(desk: Desk, statement: str) -> None:
    with desk.database.write() as session:
        session.execute(text(statement))


def _rule(desk: Desk, **said: object) -> str:
    """Return the rule that refuses a decision; nothing may have happened."""
    before = len(desk.outbox())
    with pytest.raises(QuartermasterError) as refused:
        desk.decide(**said)  # type: ignore[arg-type]
    assert len(desk.outbox()) == before
    assert refused.value.details["rule"] in refused.value.details["reason"]
    return str(refused.value.details["rule"])


class TestTwoPeople:
    def test_the_second_signature_sends_the_order(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.policy(**TWO)
        asked = desk.pending()

        first = desk.decide(reason="stock-out in 8 days")

        assert asked.required_signatures == 2
        assert "14,976.00 USD is above 12,000.00 USD: two people must sign" in asked.rule
        assert (first.order_state, first.approval.state.value) == ("pending_approval", "pending")
        assert (first.approval.version, first.approval.decision) == (2, None)
        assert "another person must sign" in first.message
        assert desk.outbox() == []

        second = desk.decide(by="mark", version=2)

        assert second.order_state == "approved"
        names = [(one.name, one.at, one.meaning) for one in second.approval.signatures]
        assert names == [("Mona", NOW, "approval"), ("Mark", NOW, "approval")]
        (row,) = desk.outbox()
        assert row.payload["approval"]["approved_by"] == "Mona and Mark"
        assert [one["name"] for one in row.payload["approval"]["signatures"]] == ["Mona", "Mark"]
        assert desk.trail()[-3:] == [
            ("approval.signed", "a-31", "mona"), ("approval.approve", "a-31", "mark"),
            ("order.approved", "PO-2001", "mark"),
        ]  # fmt: skip
        assert desk.audit().ok

    def test_the_same_person_twice_is_one_person(self, desk: Desk) -> None:
        desk.policy(**TWO)
        desk.pending()
        desk.decide()

        assert _rule(desk, version=2) == "two_person"
        assert desk.approval_state() == "pending"

    def test_the_second_must_have_seen_the_first(self, desk: Desk) -> None:
        desk.policy(**TWO)
        desk.pending()
        desk.decide()

        with pytest.raises(Conflict):
            desk.decide(by="mark", version=1)

    @pytest.mark.parametrize(("login", "rule"), [("anna", "limit"), ("pia", "limit")])
    def test_each_needs_a_limit_that_covers_it(self, desk: Desk, login: str, rule: str) -> None:
        desk.policy(**TWO)
        desk.pending()
        assert _rule(desk, by=login) == rule

        desk.decide()

        assert _rule(desk, by=login, version=2) == rule

    def test_neither_is_who_asked_however_small_the_amount(self, desk: Desk) -> None:
        desk.policy(two_person_above='"4000"', self_approval_limit='"9000"')
        desk.pending(600, by="mona")  # 4,800.00 is inside the limit for own orders

        assert _rule(desk, by="mona") == "separation_of_duties"

    def test_nobody_asks_for_what_no_two_people_may_sign(self, desk: Desk) -> None:
        desk.policy(**TWO)
        made = desk.draft(by="mona")  # only mark is left

        assert made.order.checks[-1].level == "block"
        with pytest.raises(Conflict) as refused:
            desk.ask(by="mona")

        assert refused.value.details["rule"] == "two_person"

    @pytest.mark.parametrize("how", ["edit", "reject", "expire"])
    def test_an_end_of_the_request_voids_the_first_signature(self, desk: Desk, how: str) -> None:
        desk.policy(**TWO)
        desk.pending()
        desk.decide()
        if how == "edit":
            edits = [{"sku": "WIDGET-A", "quantity": 1800}]
            desk.decide(Decision.EDIT, by="anna", version=2, edits=edits)
        elif how == "reject":
            desk.decide(Decision.REJECT, by="anna", version=2)
        else:
            desk.clock.at = NOW + timedelta(hours=24)
        number = desk.ask(by="paul").number

        assert number == "a-32"
        came = desk.decide(number=number, by="mark")

        assert came.order_state == "pending_approval"
        assert [one.login for one in came.approval.signatures] == ["mark"]

    def test_a_signer_who_lost_the_limit_does_not_count(self, desk: Desk) -> None:
        desk.policy(**TWO)
        desk.pending()
        desk.decide()
        _set(desk, "UPDATE app_user SET approval_limit_minor = 5 WHERE login = 'mona'")

        assert _rule(desk, by="mark", version=2) == "limit"

    def test_a_policy_that_became_stricter_counts_at_once(self, desk: Desk) -> None:
        asked = desk.pending()
        desk.policy(**TWO)

        first = desk.decide()

        assert (asked.required_signatures, asked.policy_version) == (1, 1)
        assert first.order_state == "pending_approval"
        assert desk.decide(by="mark", version=2).order_state == "approved"
        assert desk.audit().ok

    def test_a_policy_that_became_laxer_frees_nobody_who_was_asked_for_two(
        self, desk: Desk
    ) -> None:
        desk.policy(**TWO)
        desk.pending()
        desk.policy(two_person_above="null")

        assert desk.decide().order_state == "pending_approval"

    def test_of_two_second_signers_at_once_one_wins(
        self, database: Database, tmp_path: Path
    ) -> None:
        desk = Desk(database, tmp_path)
        desk.policy(**TWO)
        _set(desk, "UPDATE app_user SET role = 'manager' WHERE login IN ('pia', 'anna')")
        desk.pending()
        desk.decide()
        came: list[str] = []
        together = threading.Barrier(3)

        def second(login: str) -> None:
            together.wait()
            try:
                came.append(desk.decide(by=login, version=2).order_state)
            except Conflict:
                came.append("too late")

        threads = [threading.Thread(target=second, args=(one,)) for one in ("mark", "pia", "anna")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(came) == ["approved", "too late", "too late"]
        assert len(desk.outbox()) == 1
        assert desk.audit().ok

    def test_submit_counts_the_signatures_itself(self, desk: Desk) -> None:
        """Whoever writes 'approved' into the row by hand has not signed twice."""
        desk.policy(**TWO)
        desk.pending()
        desk.decide()
        with desk.database.write() as session:
            session.execute(text(
                "UPDATE approval SET state = 'approved', decision = 'approve', decided_by_id = "
                "(SELECT id FROM app_user WHERE login = 'mark')"
            ))  # fmt: skip

        with pytest.raises(ApprovalRequired, match="1 of 2"), desk.database.write() as session:
            submit(
                session, number="PO-2001", approval_number="a-31", clock=desk.clock,
                company=desk.company,
            )  # fmt: skip


class TestBlocked:
    @pytest.mark.parametrize(
        ("values", "rule"),
        [
            ({"items": '["Widget-A"]'}, "blocked_item"),
            ({"suppliers": "[acme]"}, "blocked_supplier"),
        ],
    )
    def test_nobody_drafts_asks_or_approves(
        self, desk: Desk, values: dict[str, str], rule: str
    ) -> None:
        desk.pending(600)
        made = desk.draft(700, duplicate_reason="spare")
        desk.policy(**values)

        assert _rule(desk) == rule
        for act in (
            lambda: desk.draft(800, duplicate_reason="spare"),
            lambda: desk.ask(made.order.number),
            lambda: desk.revise(made.order.number, 900),
        ):
            with pytest.raises(Forbidden) as refused:
                act()
            assert refused.value.details["rule"] == rule


class TestUnusual:
    def test_a_price_above_the_last_orders_needs_a_reason(self, desk: Desk) -> None:
        # last paid: 8.00 on PO-1042; now 8.80 = +10 %, then 8.81
        desk.policy(last_price_percent='"10"')
        _set(desk, "UPDATE supplier_item SET unit_price_minor = 880")
        assert desk.decide(number=desk.pending(600).number).order_state == "approved"
        _set(desk, "UPDATE purchase_order SET state = 'cancelled' WHERE number = 'PO-2001'")
        _set(desk, "UPDATE supplier_item SET unit_price_minor = 881")
        made = desk.draft(600, duplicate_reason="again")
        asked = desk.ask(made.order.number)

        assert [check.code for check in made.order.checks if check.code == "price_tolerance"]
        assert _rule(desk, number=asked.number) == "price_tolerance"
        came = desk.decide(number=asked.number, reason="copper went up")
        assert came.order_state == "approved"

    def test_a_quantity_far_above_the_last_needs_a_manager_and_a_reason(self, desk: Desk) -> None:
        # last ordered: 300 on PO-1042; 600 is twice that, 720 more
        desk.policy(last_quantity_times="2")
        asked = desk.pending(720)

        assert asked.required_role == "manager"
        assert _rule(desk, by="anna", reason="sale") == "quantity_tolerance"
        assert _rule(desk, by="mona") == "quantity_tolerance"
        assert desk.decide(by="mona", reason="sale").order_state == "approved"

    def test_a_quantity_far_above_the_forecast(self, desk: Desk) -> None:
        # 100 a day: 600 is six days
        desk.policy(forecast_days="5")
        desk.pending(600)

        assert _rule(desk, by="anna", reason="x") == "quantity_tolerance"

    def test_the_usual_needs_neither(self, desk: Desk) -> None:
        desk.policy(last_quantity_times="2", forecast_days="6", last_price_percent='"10"')
        desk.pending(600)

        assert desk.decide(by="anna").order_state == "approved"


class TestCaps:
    """600 x 8.00 is 4,800.00 an order."""

    def _order(self, desk: Desk, by: str = "paul") -> str:
        made = desk.draft(600, by=by, duplicate_reason="another")
        return desk.ask(made.order.number, by).number

    @pytest.mark.parametrize(
        ("name", "rule"), [("per_supplier", "supplier_cap"), ("per_requester", "requester_cap")]
    )
    def test_a_cap_counts_all_of_the_window_and_this_one(
        self, database: Database, tmp_path: Path, name: str, rule: str
    ) -> None:
        desk = Desk(database, tmp_path)
        desk.policy(**{name: '"9600"'})
        for _ in range(2):
            desk.decide(number=self._order(desk), by="mona")
        third = self._order(desk)

        with pytest.raises(Forbidden) as refused:
            desk.decide(number=third, by="mona")

        assert refused.value.details["rule"] == rule
        assert "9,600.00 USD was approved" in refused.value.message
        assert "it would be 14,400.00 USD, above the cap of 9,600.00 USD" in refused.value.message
        desk.clock.at = NOW + timedelta(hours=24)  # the window has passed, and the request
        assert desk.decide(number=self._again(desk, third), by="mona").order_state == "approved"

    def _again(self, desk: Desk, number: str) -> str:
        with desk.database.read() as session:
            order = get_approval(session, number).order.number
        return desk.ask(order).number

    def test_another_requester_has_a_cap_of_their_own(self, desk: Desk) -> None:
        desk.policy(per_requester='"4800"')
        desk.decide(number=self._order(desk), by="mona")

        assert desk.decide(number=self._order(desk, "pia"), by="mona").order_state == "approved"

    def test_asking_through_somebody_else_counts_for_both(self, desk: Desk) -> None:
        desk.policy(per_requester='"4800"')
        desk.decide(number=self._order(desk), by="mona")
        made = desk.draft(600, by="paul", duplicate_reason="another")
        asked = desk.ask(made.order.number, by="pia")

        assert _rule(desk, number=asked.number, by="mona") == "requester_cap"

    def test_an_order_that_was_cancelled_before_it_left_does_not_count(self, desk: Desk) -> None:
        desk.policy(per_supplier='"4800"')
        number = desk.decide(number=self._order(desk), by="mona").order_number
        with desk.database.write() as session:
            cancel(
                session, number=number, actor=desk.world.actors["paul"], clock=desk.clock,
                reason="not needed",
            )  # fmt: skip

        assert desk.decide(number=self._order(desk), by="mona").order_state == "approved"

    def test_orders_of_an_hour(self, desk: Desk) -> None:
        desk.policy(orders_per_hour="2")
        for _ in range(2):
            desk.decide(number=self._order(desk), by="mona")
        third = self._order(desk)

        assert _rule(desk, number=third, by="mona") == "orders_per_hour"
        desk.clock.at = NOW + timedelta(hours=1)
        assert desk.decide(number=third, by="mona").order_state == "approved"

    def test_two_at_once_count_each_other(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.policy(per_supplier='"4800"')
        numbers = [self._order(desk) for _ in range(4)]
        came: list[str] = []
        together = threading.Barrier(len(numbers))

        def approve(number: str) -> None:
            together.wait()
            try:
                came.append(desk.decide(number=number, by="mona").order_state)
            except Forbidden as error:
                came.append(str(error.details["rule"]))

        threads = [threading.Thread(target=approve, args=(number,)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(came) == ["approved", *["supplier_cap"] * 3]

    @settings(max_examples=6, deadline=None)
    @given(
        orders=st.lists(
            st.tuples(st.integers(5, 20), st.sampled_from(["USD", "EUR", "JPY"]),
                      st.integers(0, 20)),
            min_size=3, max_size=7,
        )
    )  # fmt: skip
    def test_however_it_is_split_a_window_never_holds_more_than_the_cap(
        self, orders: list[tuple[int, str, int]], tmp_path_factory: pytest.TempPathFactory,
        sqlite_template: Path,
    ) -> None:  # fmt: skip
        """Units x 120, the supplier's currency, hours until the next order."""
        folder = tmp_path_factory.mktemp("caps")
        path = folder / "caps.db"
        path.write_bytes(sqlite_template.read_bytes())
        database = Database(f"sqlite:///{path}", session_info=AUDIT_INFO)
        desk = Desk(database, folder / "out")
        cap_minor = 1_500_000
        desk.policy(per_supplier='"15000"', per_requester='"15000"', expires_after_hours="720")
        _set(desk, "INSERT INTO exchange_rate (currency, rate_micro, updated_at) "
                   "VALUES ('JPY', 6700, '2026-03-01')")  # fmt: skip
        approved: list[tuple[datetime, int]] = []
        for packs, currency, hours in orders:
            price = 1_200 if currency == "JPY" else 800
            _set(desk, f"UPDATE supplier SET currency = '{currency}' WHERE code = 'ACME'")
            _set(desk, f"UPDATE supplier_item SET unit_price_minor = {price}, moq_units = 0")
            _set(desk, "DELETE FROM price_break")
            made = desk.draft(packs * 120, supplier="ACME", duplicate_reason="split")
            asked = desk.ask(made.order.number)
            within = sum(
                minor for at, minor in approved if at > desk.clock.at - timedelta(hours=24)
            )
            fits = within + asked.company_total_minor <= cap_minor
            if fits:
                desk.decide(number=asked.number)
                approved.append((desk.clock.at, asked.company_total_minor))
            else:
                with pytest.raises(Forbidden) as refused:
                    desk.decide(number=asked.number)
                assert refused.value.details["rule"] == "supplier_cap"
            desk.clock.at += timedelta(hours=hours)
        database.close()


class TestPassword:
    def test_an_item_that_needs_a_signature_needs_the_password(self, desk: Desk) -> None:
        _set(desk, "UPDATE item SET signature_required = true WHERE sku = 'WIDGET-A'")
        asked = desk.pending(600)

        assert asked.needs_reauthentication
        assert _rule(desk) == "signature_required"
        came = desk.decide(reauthenticated=True)

        assert came.order_state == "approved"
        assert came.approval.signatures[0].is_reauthenticated
        assert desk.audit().ok

    def test_also_when_the_item_was_marked_after_the_request(self, desk: Desk) -> None:
        desk.pending(600)
        _set(desk, "UPDATE item SET signature_required = true WHERE sku = 'WIDGET-A'")

        assert _rule(desk) == "signature_required"

    def test_rejecting_needs_none(self, desk: Desk) -> None:
        _set(desk, "UPDATE item SET signature_required = true WHERE sku = 'WIDGET-A'")
        desk.pending(600)

        assert desk.decide(Decision.REJECT).order_state == "draft"


class TestScope:
    @pytest.mark.parametrize(
        ("kind", "value"),
        [(ScopeKind.LOCATION, "EAST"), (ScopeKind.SUPPLIER, "BOREALIS"), (ScopeKind.CATEGORY, "x")],
    )
    def test_what_lies_outside_is_neither_drafted_nor_decided(
        self, desk: Desk, kind: ScopeKind, value: str
    ) -> None:
        desk.pending(600)
        with desk.database.write() as session:
            for login in ("paul", "mona"):
                user_id = desk.world.actors[login].user_id
                session.add(UserScope(user_id=user_id, kind=kind, value=value))

        for act in (
            lambda: desk.draft(700, supplier="ACME", duplicate_reason="x"),
            lambda: desk.revise(units=720),
            lambda: desk.ask(),
            lambda: desk.decide(),
            lambda: desk.decide(Decision.REJECT),
        ):
            with pytest.raises(Forbidden) as refused:
                act()
            assert refused.value.details["reason"] == "scope"


class _Wrong(SystemClock):
    """A machine's clock that is off."""

    def __init__(self, off: timedelta) -> None:
        self.off = off

    def now(self) -> datetime:
        return super().now() + self.off


class TestClock:
    @pytest.mark.parametrize("hours", [-24, -1, 1, 24])
    def test_a_machine_whose_clock_is_off_cannot_approve_what_ran_out(
        self, database: Database, tmp_path: Path, hours: int
    ) -> None:
        desk = Desk(database, tmp_path)
        desk.clock = SystemClock()  # type: ignore[assignment]
        desk.pending(600)
        with desk.database.write() as session:
            now = database_now(session)
            past = now - timedelta(seconds=1)
            session.exec(select(Approval)).one().expires_at = past
        desk.clock = _Wrong(timedelta(hours=hours))  # type: ignore[assignment]

        assert _rule(desk) == "expired"

    @pytest.mark.parametrize("hours", [-24, 24])
    def test_nor_does_it_shorten_or_stretch_a_request(
        self, database: Database, tmp_path: Path, hours: int
    ) -> None:
        desk = Desk(database, tmp_path)
        desk.clock = _Wrong(timedelta(hours=hours))  # type: ignore[assignment]
        with database.read() as session:
            now = database_now(session)
            assert abs(steady(session, desk.clock).now() - now) < timedelta(minutes=1)
        asked = desk.pending(600)

        assert abs(asked.requested_at - now) < timedelta(minutes=1)
        assert asked.expires_at - asked.requested_at == timedelta(hours=24)

    def test_a_clock_that_was_set_back_revives_nothing(self, desk: Desk) -> None:
        desk.pending(600)
        desk.clock.at = NOW + timedelta(hours=25)
        desk.ask(desk.draft(700, duplicate_reason="life goes on").order.number)
        desk.clock.at = NOW + timedelta(hours=1)

        assert _rule(desk) == "expired"

    @pytest.mark.parametrize(("seconds", "goes"), [(-1, True), (0, False), (1, False)])
    def test_to_the_second(self, desk: Desk, seconds: int, goes: bool) -> None:
        desk.pending(600)
        desk.clock.at = NOW + timedelta(hours=24, seconds=seconds)

        if goes:
            assert desk.decide().order_state == "approved"
        else:
            assert _rule(desk) == "expired"


def _undone(session: Session, desk: Desk, actor: Actor) -> None:
    with session.begin_nested():
        decide(
            session, number="a-31", version=1, decision=Decision.APPROVE, actor=actor,
            clock=desk.clock, company=desk.company, channel="test",
        )  # fmt: skip


def test_a_refusal_stays_in_the_trail_when_its_effect_is_undone(
    database: Database, tmp_path: Path
) -> None:
    desk = Desk(database, tmp_path)
    desk.pending()
    actor = desk.world.actors["pia"]
    with desk.database.write() as session:
        with pytest.raises(Forbidden) as refused:
            _undone(session, desk, actor)
        tell_refusal(
            session, refused.value, number="a-31", decision=Decision.APPROVE, version=1,
            actor=actor, clock=desk.clock, channel="test",
        )  # fmt: skip

    assert desk.trail()[-1] == ("approval.refused", "a-31", "pia")
    assert desk.order().state is OrderState.PENDING_APPROVAL
    with desk.database.read() as session:
        assert session.exec(select(ApprovalSignature)).all() == []
    assert desk.audit().ok
