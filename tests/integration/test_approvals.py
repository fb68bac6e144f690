"""What a person can say to a request, and every way in which it is refused."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from db.models.identity import User
from db.session import Database
from db.types import ApprovalState, Decision, OrderState
from tests.conftest import NOW
from tests.factories_orders import Desk
from tools.approvals.core import DecisionOutcome
from tools.approvals.service import close_due, get_approval, list_approvals, list_due
from tools.errors import (
    ApprovalRequired,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    QuartermasterError,
    Stale,
)
from tools.purchasing.service.drafting import draft
from tools.purchasing.service.terms import LineRequest
from tools.replenishment.service import advise, plan_all


@pytest.fixture
def desk(sqlite_database: Database, tmp_path: Path) -> Desk:
    return Desk(sqlite_database, tmp_path / "outgoing")


def _set(desk: Desk, statement: str) -> None:
    with desk.database.write() as session:
        session.execute(text(statement))


class TestApprove:
    def test_the_order_goes_into_the_outbox_once(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.pending()

        came = desk.decide()

        assert (came.order_state, came.approval.state) == ("approved", ApprovalState.APPROVED)
        (row,) = desk.outbox()
        assert row.key == f"po:PO-2001:v1:{came.approval.fingerprint[:16]}"
        assert row.payload["approval"]["approved_by"] == "Mona"
        assert desk.trail()[-2:] == [
            ("approval.approve", "a-31", "mona"), ("order.approved", "PO-2001", "mona"),
        ]  # fmt: skip
        assert desk.audit().ok

    def test_a_planner_approves_the_own_order_within_the_own_limit(self, desk: Desk) -> None:
        # 600 x 8.00 = 4,800.00 <= 10,000.00
        desk.pending(600)

        assert desk.decide(by="paul").order_state == "approved"

    def test_the_fingerprint_that_was_seen_may_come_along(self, desk: Desk) -> None:
        approval = desk.pending()

        assert desk.decide(fingerprint=approval.fingerprint[:12]).order_state == "approved"

    def test_it_may_be_written_carelessly(self, desk: Desk) -> None:
        desk.pending()

        assert desk.decide(number=" A-31 ").order_state == "approved"


class TestRefusals:
    """A refused decision changes nothing: the request stays open and somebody else can decide."""

    def _refused(
        self, desk: Desk, kind: type[QuartermasterError], **said: object
    ) -> QuartermasterError:
        before = (desk.trail(), desk.order())

        with pytest.raises(kind) as refused:
            desk.decide(**said)  # type: ignore[arg-type]

        assert (desk.trail(), desk.order()) == before
        assert desk.outbox() == []
        return refused.value

    @pytest.mark.parametrize("login", ["vera", "adam", "robot"])
    @pytest.mark.parametrize("decision", list(Decision))
    def test_roles_that_never_decide(self, desk: Desk, login: str, decision: Decision) -> None:
        desk.pending(600)

        error = self._refused(desk, Forbidden, by=login, decision=decision, reason="x")

        assert error.details["reason"] == "role"

    def test_above_the_limit(self, desk: Desk) -> None:
        desk.pending()

        error = self._refused(desk, Forbidden, by="pia")

        assert "your limit is 10,000.00 USD" in error.message
        assert error.details == {"reason": "limit", "rule": "limit", "required_role": "manager"}

    def test_the_own_order_above_the_limit_for_that(self, desk: Desk) -> None:
        # 1,920 x 7.80 = 14,976.00 > 10,000.00
        desk.pending(by="mona")

        error = self._refused(desk, Forbidden, by="mona")

        assert error.details["reason"] == "separation_of_duties"
        assert desk.decide(by="mark").order_state == "approved"

    def test_asking_through_somebody_else_does_not_help(self, desk: Desk) -> None:
        desk.draft(by="mona")
        desk.ask(by="paul")

        error = self._refused(desk, Forbidden, by="mona")

        assert error.details["reason"] == "separation_of_duties"

    def test_a_role_that_was_taken_away(self, desk: Desk) -> None:
        desk.pending()
        _set(desk, "UPDATE app_user SET role = 'viewer' WHERE login = 'mona'")

        self._refused(desk, Forbidden)

    def test_somebody_who_left(self, desk: Desk) -> None:
        desk.pending()
        _set(desk, "UPDATE app_user SET is_active = false WHERE login = 'mona'")

        self._refused(desk, Forbidden)

    def test_a_supplier_that_is_not_approved_needs_a_manager(self, desk: Desk) -> None:
        _set(desk, "UPDATE supplier SET is_approved = false")
        desk.pending(600)  # 600 x 8.00 = 4,800.00, inside an approver's limit

        error = self._refused(desk, Forbidden, by="anna")

        assert (error.details["rule"], error.details["required_role"]) == ("supplier", "manager")
        assert desk.decide(by="mona").order_state == "approved"

    def test_an_unknown_request(self, desk: Desk) -> None:
        desk.pending()

        self._refused(desk, NotFound, number="a-99")

    @pytest.mark.parametrize("said", [{"version": 2}, {"version": 0}, {"fingerprint": "0" * 64},
                                      {"fingerprint": ""}])  # fmt: skip
    def test_what_the_person_saw_is_not_what_stands(
        self, desk: Desk, said: dict[str, object]
    ) -> None:
        desk.pending()

        error = self._refused(desk, Stale, **said)

        assert error.details == {
            "current_version": 1, "current_revision": 1, "state": "pending",
        }  # fmt: skip

    def test_the_card_of_an_older_revision(self, desk: Desk) -> None:
        desk.pending()
        desk.revise()
        desk.ask()

        error = self._refused(desk, Stale)

        assert error.message == (
            "approval 'a-31' was for revision 1 of 'PO-2001'; current is revision 2"
        )
        assert error.details["current_approval"] == "a-32"

    def test_one_that_ran_out_at_that_very_moment(self, desk: Desk) -> None:
        desk.pending()
        desk.clock.at = NOW + timedelta(hours=24)

        error = self._refused(desk, Conflict)

        assert error.details["reason"] == "expired"

    @pytest.mark.parametrize(
        ("statement", "reason"),
        [
            ("UPDATE price_break SET unit_price_minor = 796 WHERE min_units = 1000",
             "price_moved"),
            ("UPDATE price_break SET unit_price_minor = 700 WHERE min_units = 1000",
             "price_moved"),
            ("UPDATE item SET status = 'discontinued'", "item_discontinued"),
            ("UPDATE supplier SET is_active = false", "supplier_inactive"),
        ],
    )  # fmt: skip
    def test_the_world_changed(self, desk: Desk, statement: str, reason: str) -> None:
        desk.pending()
        _set(desk, statement)

        error = self._refused(desk, Conflict)

        assert error.details["reason"] == reason

    def test_a_price_within_the_tolerance_is_no_change(self, desk: Desk) -> None:
        # 7.80 to 7.95 is 192 basis points; 200 are tolerated
        desk.pending()
        _set(desk, "UPDATE price_break SET unit_price_minor = 795 WHERE min_units = 1000")

        assert desk.decide().order_state == "approved"

    def test_another_order_took_the_need_over_meanwhile(self, desk: Desk) -> None:
        desk.pending()
        desk.draft(by="pia", duplicate_reason="race")
        second = desk.ask("PO-2002", by="pia")
        desk.clock.at = NOW + timedelta(minutes=5)
        desk.decide(number=second.number)
        desk.deliver()

        with pytest.raises(Conflict) as refused:
            desk.decide()

        assert refused.value.details["reason"] == "covered_meanwhile"
        assert "PO-2002 was sent meanwhile" in refused.value.message
        assert desk.approval_state() == "pending"

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE supplier SET email = 'thief@evil.example'",
            "UPDATE supplier SET name = 'Another Ltd'",
            "UPDATE item SET name = 'OTHER THING'",
            "UPDATE supplier_item SET supplier_sku = 'X-1'",
            "UPDATE supplier_item SET pack_uom = 'pallet'",
            "UPDATE supplier_item SET pack_units = 1",
        ],
    )
    def test_what_the_supplier_would_read_changed(self, desk: Desk, change: str) -> None:
        desk.pending()
        _set(desk, change)

        error = self._refused(desk, ApprovalRequired)

        assert "is not what approval 'a-31' was given for" in error.message


class TestDecidedAlready:
    @pytest.mark.parametrize("second", list(Decision))
    def test_the_second_click_hears_who_was_first(self, desk: Desk, second: Decision) -> None:
        desk.pending()
        desk.decide()

        with pytest.raises(Conflict, match="already approved by mona 09:00"):
            desk.decide(second, by="anna", version=2, reason="x")

        assert len(desk.outbox()) == 1

    def test_no_approval_after_a_rejection(self, desk: Desk) -> None:
        desk.pending()
        desk.decide(Decision.REJECT, reason="too much")

        with pytest.raises(Conflict, match="already rejected by mona"):
            desk.decide(version=2)

        assert desk.outbox() == []


class TestReject:
    def test_the_order_is_a_draft_again(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.pending()

        came = desk.decide(Decision.REJECT, reason="too much")

        assert (came.order_state, came.approval.state) == ("draft", ApprovalState.REJECTED)
        assert (came.approval.reason, came.approval.meaning) == ("too much", "rejection")
        assert desk.ask().number == "a-32"

    def test_no_limit_is_needed_to_say_no(self, desk: Desk) -> None:
        desk.pending()

        assert desk.decide(Decision.REJECT, by="pia").order_state == "draft"


class TestRespond:
    def test_the_request_stays_open_with_the_answer(
        self, database: Database, tmp_path: Path
    ) -> None:
        desk = Desk(database, tmp_path)
        desk.pending()

        came = desk.decide(Decision.RESPOND, reason="why not 1,560?")

        assert came.approval.state is ApprovalState.PENDING
        assert (came.approval.reason, came.approval.version) == ("why not 1,560?", 2)
        assert came.order_state == "pending_approval"
        assert desk.decide(version=2, by="mona").order_state == "approved"

    def test_needs_its_text(self, desk: Desk) -> None:
        desk.pending()

        with pytest.raises(InvalidInput, match="text"):
            desk.decide(Decision.RESPOND, reason=" ")


class TestEdit:
    def _edit(self, desk: Desk, units: int) -> DecisionOutcome:
        return desk.decide(
            Decision.EDIT, edits=[{"sku": "WIDGET-A", "quantity": units}], reason="other"
        )

    def test_makes_a_revision_that_waits_in_the_editors_name(
        self, database: Database, tmp_path: Path
    ) -> None:
        desk = Desk(database, tmp_path)
        desk.pending()

        came = self._edit(desk, 1560)

        # 1,560 x 7.80 = 12,168.00
        assert (came.approval.number, came.approval.state) == ("a-32", ApprovalState.PENDING)
        assert (came.approval.revision, came.approval.total) == (2, "12168.00")
        assert came.approval.requested_by == "mona"
        assert desk.approval_state("a-31") == "void"
        assert desk.decide(number="a-32", by="mark").order_state == "approved"
        assert [row.revision for row in desk.outbox()] == [2]
        assert desk.audit().ok

    def test_the_editor_approves_alone_within_the_limit_for_that(self, desk: Desk) -> None:
        desk.pending()

        came = self._edit(desk, 1200)  # 1,200 x 7.80 = 9,360.00 <= 10,000.00

        assert desk.decide(number=came.approval.number).order_state == "approved"

    def test_nobody_raises_a_small_order_and_approves_it(self, desk: Desk) -> None:
        desk.pending(600)
        came = self._edit(desk, 12_000)  # 12,000 x 7.60 = 91,200.00 > 10,000.00

        with pytest.raises(Forbidden) as refused:
            desk.decide(number=came.approval.number)

        assert refused.value.details["reason"] == "separation_of_duties"
        assert desk.decide(number=came.approval.number, by="mark").order_state == "approved"

    def test_who_wrote_the_revision_needs_another_one_whoever_asked(self, desk: Desk) -> None:
        desk.pending(600)
        desk.revise(units=12_000, by="mona")
        asked = desk.ask(by="paul")

        with pytest.raises(Forbidden, match="asked for or wrote"):
            desk.decide(number=asked.number)

        assert desk.decide(number=asked.number, by="mark").order_state == "approved"

    @pytest.mark.parametrize(
        "edits", [None, [], [{"sku": "WIDGET-A", "quantity": 1920}],
                  [{"sku": "NOPE", "quantity": 5}], [{"sku": "WIDGET-A", "quantity": 0}]],
    )  # fmt: skip
    def test_a_wrong_edit_changes_nothing(
        self, desk: Desk, edits: list[dict[str, object]] | None
    ) -> None:
        desk.pending()

        with pytest.raises((InvalidInput, NotFound)):
            desk.decide(Decision.EDIT, edits=edits)

        assert desk.approval_state() == "pending"
        assert desk.order().revision == 1


class TestExpire:
    def test_requests_that_waited_too_long(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.pending()
        with desk.database.write() as session:
            assert list_due(session, clock=desk.clock) == []
            assert not close_due(session, "a-31", clock=desk.clock)

        desk.clock.at = NOW + timedelta(hours=24)
        with desk.database.write() as session:
            assert list_due(session, clock=desk.clock) == ["a-31"]
            assert close_due(session, "a-31", clock=desk.clock)

        assert desk.approval_state() == "expired"
        assert desk.order().state is OrderState.DRAFT
        assert desk.trail()[-1] == ("approval.expired", "PO-2001", "system")
        with pytest.raises(Conflict, match="ran out"):
            desk.decide(version=2)


class TestView:
    def test_a_card_shows_everything(self, desk: Desk) -> None:
        with desk.database.write() as session:
            plan_all(session, clock=desk.clock, company=desk.company)
            advice = advise(
                session, desk.world.widget, desk.world.main, clock=desk.clock,
                company=desk.company,
            )  # fmt: skip
            made = draft(
                session, lines=[LineRequest(rec_id="R-1")], actor=desk.world.actors["paul"],
                clock=desk.clock, company=desk.company,
            )  # fmt: skip
        desk.ask(made.order.number)

        with desk.database.read() as session:
            view = get_approval(session, "a-31")

        (why,) = view.why
        assert (why.sku, why.quantity) == ("WIDGET-A", advice.order_units)
        assert sum(term["value"] for term in why.terms) == 1920
        assert (view.total, view.required_role, view.requested_by_name) == (
            "14976.00", "manager", "Paul",
        )  # fmt: skip
        assert view.content["lines"][0]["units"] == 1920
        assert view.order.lines[0].packs == 16

    def test_a_void_request_shows_what_it_was_about(self, desk: Desk) -> None:
        desk.pending()
        desk.revise()

        with desk.database.read() as session:
            view = get_approval(session, "a-31")

        assert view.content["lines"][0]["units"] == 1920
        assert view.order.lines[0].units == 1560

    def test_by_state(self, desk: Desk) -> None:
        desk.pending()
        desk.revise()
        desk.ask()

        with desk.database.read() as session:
            open_ones = list_approvals(session, state=ApprovalState.PENDING)
            everything = list_approvals(session)

        assert [view.number for view in open_ones] == ["a-32"]
        assert [view.number for view in everything] == ["a-32", "a-31"]


def test_an_own_limit_goes_before_the_roles(desk: Desk) -> None:
    desk.pending()
    with desk.database.write() as session:
        session.get_one(User, desk.world.actors["pia"].user_id).approval_limit_minor = 2_000_000

    assert desk.decide(by="pia").order_state == "approved"
