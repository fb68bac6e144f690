"""Orders in a database: draft, revise, request, submit, cancel, receive; and every refusal."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from db.models.audit import AuditEvent
from db.models.planning import Recommendation
from db.models.purchasing import (
    Approval,
    PurchaseOrderRevision,
    Receipt,
)
from db.models.stock import StockLevel, StockMovement
from db.session import Database
from db.types import ApprovalState, Decision, OrderState
from tests.conftest import NOW
from tests.factories import add_gloves, day
from tests.factories_orders import Desk
from tools.errors import (
    ApprovalRequired,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    Stale,
)
from tools.purchasing.service.answering import record_answer
from tools.purchasing.service.drafting import draft
from tools.purchasing.service.reading import list_orders
from tools.purchasing.service.receiving import Arrival, receive
from tools.purchasing.service.requesting import request_approval
from tools.purchasing.service.revising import Change, cancel, revise
from tools.purchasing.service.submitting import submit
from tools.purchasing.service.terms import LineRequest
from tools.purchasing.tool import TOOLS
from tools.replenishment.service import plan_all
from tools.wrapping import ToolContext

BY_NAME = {tool.name: tool for tool in TOOLS}


@pytest.fixture
def desk(sqlite_database: Database, tmp_path: Path) -> Desk:
    return Desk(sqlite_database, tmp_path / "outgoing")


def _set(desk: Desk, statement: str) -> None:
    with desk.database.write() as session:
        session.execute(text(statement))


def _plan(desk: Desk) -> str:
    """Plan all; returns the number of the widget's recommendation."""
    with desk.database.write() as session:
        plan_all(session, clock=desk.clock, company=desk.company)
        row = session.exec(
            select(Recommendation.id).where(Recommendation.item_id == desk.world.widget.id)
        ).one()
    return f"R-{row}"


class TestDraft:
    def test_fixture_p(self, database: Database, tmp_path: Path) -> None:
        made = Desk(database, tmp_path).draft(1920)

        # 1,920 = 16 cases of 120; from 1,000 on 7.80 each: 14,976.00
        (line,) = made.order.lines
        assert (line.units, line.packs, line.unit_price_minor) == (1920, 16, 780)
        assert (made.order.number, made.order.total, made.order.currency) == (
            "PO-2001", "14976.00", "USD",
        )  # fmt: skip
        assert made.order.state is OrderState.DRAFT
        assert made.rule is not None
        assert made.rule.role.value == "manager"
        assert made.your_limit_minor == 1_000_000

    def test_it_keeps_its_first_revision(self, desk: Desk) -> None:
        made = desk.draft()

        with desk.database.read() as session:
            (revision,) = session.exec(select(PurchaseOrderRevision)).all()
            assert revision.fingerprint == made.order.fingerprint
            assert revision.content["total_minor"] == 1_497_600
        assert desk.trail() == [("order.drafted", "PO-2001", "paul")]

    def test_below_the_minimum_it_rounds_up_and_says_so(self, desk: Desk) -> None:
        made = desk.draft(100)

        # minimum 500, then up to 5 x 120 = 600, below the first price break: 8.00
        assert made.order.total == "4800.00"
        assert [(check.code, check.level) for check in made.order.checks] == [
            ("rounded", "warning")
        ]

    def test_the_preferred_supplier_gets_it(self, desk: Desk) -> None:
        assert desk.draft().order.supplier_code == "ACME"

    def test_an_approved_supplier_goes_before_a_preferred_one(self, desk: Desk) -> None:
        _set(desk, "UPDATE supplier SET is_approved = false WHERE code = 'ACME'")

        assert desk.draft(2000).order.supplier_code == "BOREALIS"

    def test_another_supplier_by_name(self, desk: Desk) -> None:
        made = desk.draft(2000, supplier="borealis")

        assert (made.order.supplier_code, made.order.total) == ("BOREALIS", "14700.00")

    def test_a_recommendation_brings_item_supplier_and_quantity(self, desk: Desk) -> None:
        number = _plan(desk)

        with desk.database.write() as session:
            made = draft(
                session, lines=[LineRequest(rec_id=number)], actor=desk.world.actors["paul"],
                clock=desk.clock, company=desk.company,
            )  # fmt: skip

        assert [(line.sku, line.units) for line in made.order.lines] == [("WIDGET-A", 1920)]
        assert made.order.supplier_code == "ACME"
        assert made.order.need_by_on == day(8)  # the shelf runs empty on day 8.4

    @pytest.mark.parametrize(
        ("quantity", "unit", "units"),
        [(16, "case", 1920), (16, "Cases", 1920), (1920, "each", 1920), (1920.0, None, 1920)],
    )
    def test_units_are_converted_once(
        self, desk: Desk, quantity: float, unit: str | None, units: int
    ) -> None:
        with desk.database.write() as session:
            made = draft(
                session, lines=[LineRequest(quantity, "WIDGET-A", unit=unit)],
                actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
            )  # fmt: skip

        assert made.order.lines[0].units == units

    def test_the_same_key_gives_the_same_draft(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)

        first = desk.draft(idempotency_key="t1:m1:abc")
        again = desk.draft(idempotency_key="t1:m1:abc")

        assert first.order == again.order
        assert len(desk.trail()) == 1

    def test_a_foreign_currency_is_judged_in_company_currency(self, desk: Desk) -> None:
        _set(desk, "UPDATE supplier SET currency = 'EUR' WHERE code = 'ACME'")

        # 960 x 8.00 EUR = 7,680 EUR x 1.1 = 8,448 USD; 1,320 x 7.80 x 1.1 = 11,325.60 USD
        assert desk.draft(960).rule.role.value == "planner"  # type: ignore[union-attr]
        bigger = desk.draft(1320, duplicate_reason="test")
        assert bigger.rule is not None
        assert bigger.rule.sentence.startswith("11,325.60 USD is above the planner limit")


class TestDraftRefusals:
    @pytest.mark.parametrize("login", ["vera", "robot"])
    def test_a_role_that_may_only_look(self, desk: Desk, login: str) -> None:
        with pytest.raises(Forbidden, match="not draft"):
            desk.draft(by=login)

    @pytest.mark.parametrize("quantity", [-1, 0, 10_000_001, float("nan"), float("inf"), 10**30])
    def test_what_is_no_quantity(self, desk: Desk, quantity: float) -> None:
        with pytest.raises(InvalidInput):
            desk.draft(quantity)

    def test_a_broken_number_of_packs_gives_the_choice(self, desk: Desk) -> None:
        with desk.database.write() as session:
            add_gloves(session, desk.world)

        with pytest.raises(InvalidInput) as refused, desk.database.write() as session:
            draft(
                session, lines=[LineRequest(2.5, "WIPES", unit="pallets")],
                actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
            )  # fmt: skip

        # 96 / 3 a day = 32 days, 144 / 3 = 48 days
        assert refused.value.details["options"] == [
            {"packs": 2, "units": 96, "cover_days": 32.0},
            {"packs": 3, "units": 144, "cover_days": 48.0},
        ]

    def test_an_unknown_item_or_unit(self, desk: Desk) -> None:
        with pytest.raises(NotFound):
            desk.draft(sku="NO-SUCH-THING")
        with pytest.raises(InvalidInput, match="by 'litre'"), desk.database.write() as session:
            draft(
                session, lines=[LineRequest(1, "WIDGET-A", unit="litre")],
                actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
            )  # fmt: skip

    @pytest.mark.parametrize(
        "lines",
        [[], [LineRequest(1)], [LineRequest(1, "WIDGET-A"), LineRequest(2, "widget a")],
         [LineRequest(sku="WIDGET-A")]],
        ids=["none", "nothing named", "twice", "no quantity"],
    )  # fmt: skip
    def test_lines_that_make_no_order(self, desk: Desk, lines: list[LineRequest]) -> None:
        with pytest.raises(InvalidInput), desk.database.write() as session:
            draft(
                session, lines=lines, actor=desk.world.actors["paul"], clock=desk.clock,
                company=desk.company,
            )  # fmt: skip

    @pytest.mark.parametrize("rec_id", ["R-999", "R-x", "-1", "R-" + "9" * 30, "R-²"])
    def test_an_unknown_recommendation(self, desk: Desk, rec_id: str) -> None:
        with pytest.raises(NotFound), desk.database.write() as session:
            draft(
                session, lines=[LineRequest(rec_id=rec_id)], actor=desk.world.actors["paul"],
                clock=desk.clock, company=desk.company,
            )  # fmt: skip

    def test_above_the_suppliers_maximum(self, desk: Desk) -> None:
        _set(desk, "UPDATE supplier_item SET max_units = 1000 WHERE supplier_sku = 'AC-77'")

        with pytest.raises(InvalidInput) as refused:
            desk.draft(1920)

        assert refused.value.details == {"suggestion": 960}

    def test_a_supplier_that_is_not_active_or_does_not_sell_it(self, desk: Desk) -> None:
        with desk.database.write() as session:
            add_gloves(session, desk.world)
        with pytest.raises(InvalidInput, match="does not sell"):
            desk.draft(supplier="MEDLINE")

        _set(desk, "UPDATE supplier SET is_active = false WHERE code = 'ACME'")

        with pytest.raises(InvalidInput, match="not active"):
            desk.draft(supplier="ACME")

    def test_items_that_no_single_supplier_sells(self, desk: Desk) -> None:
        with desk.database.write() as session:
            add_gloves(session, desk.world)

        with (
            pytest.raises(InvalidInput, match="no single supplier"),
            desk.database.write() as session,
        ):
            draft(
                session, lines=[LineRequest(1920, "WIDGET-A"), LineRequest(12, "GLOVE-S")],
                actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
            )  # fmt: skip

    def test_a_discontinued_item(self, desk: Desk) -> None:
        _set(desk, "UPDATE item SET status = 'discontinued'")

        with pytest.raises(InvalidInput, match="discontinued"):
            desk.draft()

    def test_a_day_that_has_passed(self, desk: Desk) -> None:
        with pytest.raises(InvalidInput, match="2026-03-01"):
            desk.draft(need_by=NOW.date() - timedelta(days=1))

    def test_without_an_exchange_rate_nobody_can_approve(self, desk: Desk) -> None:
        _set(desk, "UPDATE supplier SET currency = 'CHF' WHERE code = 'ACME'")

        made = desk.draft()

        assert made.rule is None
        assert [check.level for check in made.order.checks] == ["block"]
        with pytest.raises(InvalidInput, match="no exchange rate"):
            desk.ask()

    def test_more_than_anybody_may_approve(self, desk: Desk) -> None:
        # 20,040 x 7.60 = 152,304.00 > 100,000.00
        made = desk.draft(20_000)

        assert made.rule is None
        with pytest.raises(Conflict, match=r"nobody may approve 152,304\.00 USD"):
            desk.ask()


class TestDuplicates:
    def test_a_draft_that_covers_the_need_is_named(self, desk: Desk) -> None:
        desk.draft(by="pia")

        with pytest.raises(Conflict) as refused:
            desk.draft()

        details = refused.value.details
        assert [found["po_id"] for found in details["duplicates"]] == ["PO-2001"]
        assert details["duplicates"][0]["by"] == "pia"
        # 540 + 300 + 1,920 = 2,760 > 1,244; (2,760 - 1,244) / 100 a day = 15 days
        assert (details["inventory_position"], details["reorder_point"]) == (2760, 1244)
        assert details["next_need_in_days"] == 15

    def test_a_reason_lets_it_through_and_stays_with_the_order(self, desk: Desk) -> None:
        desk.draft(by="pia")

        made = desk.draft(duplicate_reason="spring fair")

        assert [other.number for other in made.duplicates] == ["PO-2001"]
        assert "spring fair" in made.order.checks[0].message

    def test_a_cancelled_order_covers_nothing(self, desk: Desk) -> None:
        desk.draft()
        with desk.database.write() as session:
            cancel(
                session, number="PO-2001", actor=desk.world.actors["paul"], clock=desk.clock,
                reason="wrong item",
            )  # fmt: skip

        assert desk.draft().order.number == "PO-2002"

    def test_the_planned_reorder_point_counts(self, desk: Desk) -> None:
        _plan(desk)
        _set(desk, "UPDATE policy SET reorder_point_units = 5000")
        desk.draft(by="pia")

        assert desk.draft().duplicates == ()

    def test_ordering_without_a_need_is_noticed(self, desk: Desk) -> None:
        _set(desk, "UPDATE stock_level SET on_hand_units = 50000")

        assert [check.code for check in desk.draft().order.checks] == ["no_need"]


class TestRevise:
    def test_makes_a_revision_at_todays_price(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        first = desk.draft()

        made = desk.revise(units=1500)

        # 13 x 120 = 1,560 x 7.80 = 12,168.00
        assert (made.order.revision, made.order.total) == (2, "12168.00")
        assert made.order.fingerprint != first.order.fingerprint
        with desk.database.read() as session:
            prints = session.exec(select(PurchaseOrderRevision.fingerprint)).all()
        assert prints == [first.order.fingerprint, made.order.fingerprint]

    def test_voids_the_open_request(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.pending()

        made = desk.revise()

        assert made.voided == ("a-31",)
        assert desk.approval_state() == "void"
        assert made.order.state is OrderState.DRAFT

    def test_takes_an_approved_order_back_before_it_is_sent(self, desk: Desk) -> None:
        desk.approved()

        made = desk.revise()

        assert made.voided == ("a-31",)
        assert [row.state.value for row in desk.outbox()] == ["cancelled"]
        assert desk.deliver() == []
        assert made.order.approved_at is None

    def test_refuses_what_is_being_sent_or_was_sent(self, desk: Desk) -> None:
        desk.approved()
        _set(desk, "UPDATE outbox SET state = 'claimed'")
        with pytest.raises(Conflict, match="cannot be taken back"):
            desk.revise()
        _set(desk, "UPDATE outbox SET state = 'pending'")
        desk.deliver()

        with pytest.raises(Conflict, match="cannot be revised"):
            desk.revise()

    def test_refuses_a_change_to_a_revision_that_is_not_current(self, desk: Desk) -> None:
        desk.draft()
        desk.revise()

        with pytest.raises(Stale) as refused, desk.database.write() as session:
            revise(
                session, number="PO-2001", changes=[Change("WIDGET-A", 1920)],
                actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
                revision=1,
            )  # fmt: skip

        assert refused.value.details["current_revision"] == 2

    def test_zero_takes_a_line_away_but_not_the_last(self, desk: Desk) -> None:
        with desk.database.write() as session:
            add_gloves(session, desk.world)
            draft(
                session, lines=[LineRequest(12, "GLOVE-S"), LineRequest(24, "GLOVE-M")],
                actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
            )  # fmt: skip
        options: dict[str, Any] = {
            "number": "PO-2001", "actor": desk.world.actors["paul"], "clock": desk.clock,
            "company": desk.company,
        }  # fmt: skip

        with desk.database.write() as session:
            made = revise(session, changes=[Change("GLOVE-S", 0)], **options)

        assert [(line.line, line.sku) for line in made.order.lines] == [(1, "GLOVE-M")]
        with pytest.raises(InvalidInput, match="last line"), desk.database.write() as session:
            revise(session, changes=[Change("GLOVE-M", 0)], **options)

    def test_a_new_item_adds_a_line(self, desk: Desk) -> None:
        with desk.database.write() as session:
            add_gloves(session, desk.world)
            draft(
                session, lines=[LineRequest(12, "GLOVE-S")], actor=desk.world.actors["paul"],
                clock=desk.clock, company=desk.company,
            )  # fmt: skip
            made = revise(
                session, number="PO-2001", changes=[Change("WIPES", 2, "pallets")],
                actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
            )  # fmt: skip

        assert [(line.sku, line.units) for line in made.order.lines] == [
            ("GLOVE-S", 12), ("WIPES", 96),
        ]  # fmt: skip

    def test_refuses_what_changes_nothing(self, desk: Desk) -> None:
        desk.draft()

        with pytest.raises(InvalidInput, match="changes nothing"):
            desk.revise(units=1900)

    def test_without_changes_it_takes_over_new_prices(self, desk: Desk) -> None:
        desk.draft()
        _set(desk, "UPDATE price_break SET unit_price_minor = 770 WHERE min_units = 1000")

        with desk.database.write() as session:
            made = revise(
                session, number="PO-2001", changes=[], actor=desk.world.actors["paul"],
                clock=desk.clock, company=desk.company,
            )  # fmt: skip

        assert made.order.total == "14784.00"


class TestRequest:
    def test_opens_one_request(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.draft()

        first, again = desk.ask(), desk.ask(by="pia")

        assert first.number == again.number == "a-31"
        assert first.expires_at == NOW + timedelta(hours=24)
        assert desk.order().state is OrderState.PENDING_APPROVAL
        assert [action for action, _, _ in desk.trail()] == ["order.drafted", "approval.requested"]

    def test_the_digest_must_be_of_what_stands(self, desk: Desk) -> None:
        old = desk.draft().order.digest
        desk.revise()

        with pytest.raises(Stale, match="not what digest"), desk.database.write() as session:
            request_approval(
                session, number="PO-2001", actor=desk.world.actors["paul"], clock=desk.clock,
                company=desk.company, digest=old,
            )  # fmt: skip

    def test_a_digest_that_is_too_short_stands_for_nothing(self, desk: Desk) -> None:
        made = desk.draft()

        with pytest.raises(InvalidInput, match="at least 12"), desk.database.write() as session:
            request_approval(
                session, number="PO-2001", actor=desk.world.actors["paul"], clock=desk.clock,
                company=desk.company, digest=made.order.digest[:11],
            )  # fmt: skip

    def test_a_changed_address_of_the_supplier_is_noticed(self, desk: Desk) -> None:
        desk.draft()
        _set(desk, "UPDATE supplier SET email = 'thief@evil.example' WHERE code = 'ACME'")

        with pytest.raises(Stale, match="data of the supplier"):
            desk.ask()

    def test_one_that_ran_out_is_closed_and_another_opened(self, desk: Desk) -> None:
        desk.pending()
        desk.clock.at = NOW + timedelta(hours=24)

        assert desk.ask().number == "a-32"
        assert desk.approval_state("a-31") == "expired"

    def test_refuses_an_order_that_was_sent_or_cancelled(self, desk: Desk) -> None:
        desk.sent()

        with pytest.raises(Conflict, match="nothing to ask"):
            desk.ask()


class TestSubmit:
    """Whatever anybody said before, submit looks at the rows."""

    def _submit(self, desk: Desk, approval: str = "a-31", number: str = "PO-2001") -> None:
        with desk.database.write() as session:
            submit(
                session, number=number, approval_number=approval, clock=desk.clock,
                company=desk.company,
            )  # fmt: skip

    def _approve_by_hand(self, desk: Desk, login: str = "mona") -> None:
        user = desk.world.actors[login].user_id
        with desk.database.write() as session:
            approval = session.exec(select(Approval)).one()
            approval.state = ApprovalState.APPROVED
            approval.decided_by_id = user
            approval.decided_at = desk.clock.now()

    @pytest.mark.parametrize("approval", ["a-31", "a-99", ""])
    def test_refuses_without_an_approval(self, desk: Desk, approval: str) -> None:
        desk.pending()

        with pytest.raises(ApprovalRequired):
            self._submit(desk, approval)
        assert desk.outbox() == []

    def test_refuses_an_approval_of_another_order(self, desk: Desk) -> None:
        desk.pending()
        desk.draft(duplicate_reason="test")
        self._approve_by_hand(desk)

        with pytest.raises(ApprovalRequired):
            self._submit(desk, "a-31", "PO-2002")

    def test_refuses_an_order_edited_after_approval(self, desk: Desk) -> None:
        desk.pending()
        self._approve_by_hand(desk)
        _set(desk, "UPDATE purchase_order_line SET ordered_units = 2040, amount_minor = 1591200 "
             "WHERE ordered_units = 1920")  # fmt: skip

        with pytest.raises(ApprovalRequired, match="not what approval 'a-31' was given for"):
            self._submit(desk)

    def test_refuses_an_approval_that_was_used(self, desk: Desk) -> None:
        desk.approved()
        _set(desk, "UPDATE purchase_order SET state = 'pending_approval' WHERE number = 'PO-2001'")

        with pytest.raises(ApprovalRequired, match="used already"):
            self._submit(desk)

    @pytest.mark.parametrize("login", ["vera", "adam", "robot", "paul"])
    def test_refuses_an_approver_without_right_or_limit(self, desk: Desk, login: str) -> None:
        desk.pending()
        self._approve_by_hand(desk, login)

        with pytest.raises(Forbidden):
            self._submit(desk)


class TestCancel:
    def _cancel(self, desk: Desk, number: str = "PO-2001", reason: str = "not needed") -> Any:
        with desk.database.write() as session:
            return cancel(
                session, number=number, actor=desk.world.actors["paul"], clock=desk.clock,
                reason=reason,
            )  # fmt: skip

    def test_a_pending_order_and_its_request(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.pending()

        came = self._cancel(desk)

        assert (came.is_cancelled, came.was_sent, came.voided) == (True, False, ("a-31",))
        assert desk.order().state is OrderState.CANCELLED
        assert desk.approval_state() == "void"

    def test_an_approved_order_never_leaves(self, desk: Desk) -> None:
        desk.approved()

        self._cancel(desk)

        assert desk.deliver() == []
        assert desk.files() == []

    def test_a_sent_order_stays(self, desk: Desk) -> None:
        desk.sent()
        before = desk.trail()

        came = self._cancel(desk)

        assert (came.is_cancelled, came.was_sent) == (False, True)
        assert "person must ask the supplier" in came.message
        assert desk.order().state is OrderState.SENT
        assert desk.trail() == before

    def test_twice_is_once(self, desk: Desk) -> None:
        desk.draft()
        self._cancel(desk)

        assert self._cancel(desk).is_cancelled
        assert len(desk.trail()) == 2

    def test_needs_a_reason(self, desk: Desk) -> None:
        desk.draft()

        with pytest.raises(InvalidInput, match="reason"):
            self._cancel(desk, reason="  ")


class TestReceive:
    def _receive(self, desk: Desk, units: int, reference: str = "DN-1", **more: Any) -> Any:
        with desk.database.write() as session:
            return receive(
                session, number="PO-2001", arrivals=[Arrival("WIDGET-A", units, **more)],
                reference=reference, actor=desk.world.actors["paul"], clock=desk.clock,
                company=desk.company,
            )  # fmt: skip

    def _on_hand(self, desk: Desk) -> int:
        with desk.database.read() as session:
            return session.exec(select(StockLevel.on_hand_units)).one()

    def test_in_two_parts(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.sent()

        first = self._receive(desk, 1000)
        assert (first.state, first.received_percent) == (OrderState.PARTIALLY_RECEIVED, 52)
        second = self._receive(desk, 920, "DN-2")

        assert (second.state, second.lines[0].open_units) == (OrderState.RECEIVED, 0)
        assert self._on_hand(desk) == 620 + 1920
        with desk.database.read() as session:
            moved = session.exec(select(StockMovement.units)).all()
            receipt = session.exec(
                select(col(Receipt.received_units), col(Receipt.ordered_on)).where(
                    Receipt.reference == "PO-2001:DN-1:1"
                )
            ).one()
        assert moved == [620, 1000, 920]
        assert receipt == (1000, NOW.date())

    def test_the_same_delivery_note_counts_once(self, desk: Desk) -> None:
        desk.sent()
        self._receive(desk, 1000)

        self._receive(desk, 1000)

        assert self._on_hand(desk) == 1620

    def test_rejected_units_do_not_become_stock(self, desk: Desk) -> None:
        desk.sent()

        self._receive(desk, 1000, rejected_units=100)

        assert self._on_hand(desk) == 620 + 900

    def test_a_tenth_too_much_is_the_most(self, desk: Desk) -> None:
        desk.sent()

        with pytest.raises(InvalidInput, match="2,112"):
            self._receive(desk, 2113)

        assert self._receive(desk, 2112).state is OrderState.RECEIVED

    @pytest.mark.parametrize("units", [0, -5])
    def test_refuses_what_is_no_delivery(self, desk: Desk, units: int) -> None:
        desk.sent()

        with pytest.raises(InvalidInput):
            self._receive(desk, units)

    def test_refuses_an_order_that_was_not_sent(self, desk: Desk) -> None:
        desk.approved()

        with pytest.raises(Conflict, match="nothing is expected"):
            self._receive(desk, 100)

    def test_the_first_goods_at_a_place_make_its_stock_record(self, desk: Desk) -> None:
        desk.sent()
        _set(desk, "DELETE FROM stock_level")

        self._receive(desk, 1000)

        assert self._on_hand(desk) == 1000


def test_the_suppliers_answer_is_recorded(desk: Desk) -> None:
    desk.sent()

    with desk.database.write() as session:
        order = record_answer(
            session, number="PO-2001", actor=desk.world.actors["paul"],
            clock=desk.clock, promise_on=NOW.date() + timedelta(days=9),
        ).order  # fmt: skip

    assert (order.state, order.promise_on) == (
        OrderState.CONFIRMED, NOW.date() + timedelta(days=9),
    )  # fmt: skip


class TestListOrders:
    def test_newest_first_page_by_page(self, desk: Desk) -> None:
        desk.draft()
        desk.draft(duplicate_reason="test")

        with desk.database.read() as session:
            first = list_orders(session, limit=2)
            rest = list_orders(session, limit=2, after=first.after)

        assert [order.number for order in first.orders] == ["PO-2002", "PO-2001"]
        assert [order.number for order in rest.orders] == ["PO-1042"]
        assert first.total == 3

    @pytest.mark.parametrize(
        ("question", "numbers"),
        [
            ({"state": OrderState.CONFIRMED}, ["PO-1042"]),
            ({"supplier": "borealis"}, ["PO-2001"]),
            ({"sku": "blue widget"}, ["PO-2001", "PO-1042"]),
            ({"state": OrderState.SENT}, []),
        ],
    )
    def test_by_state_supplier_and_item(
        self, desk: Desk, question: dict[str, Any], numbers: list[str]
    ) -> None:
        desk.draft(2000, supplier="BOREALIS")

        with desk.database.read() as session:
            page = list_orders(session, **question)

        assert [order.number for order in page.orders] == numbers

    def test_an_unknown_number_names_recent_ones(self, desk: Desk) -> None:
        with pytest.raises(NotFound) as refused:
            desk.order("PO-77")

        assert refused.value.details == {"recent": ["PO-1042"]}

    @pytest.mark.parametrize("written", ["po-1042", " PO-1042 ", "1042"])
    def test_a_number_may_be_written_carelessly(self, desk: Desk, written: str) -> None:
        assert desk.order(written).number == "PO-1042"


class TestTools:
    def _call(self, desk: Desk, name: str, login: str = "paul", **arguments: Any) -> Any:
        context = ToolContext(
            read=desk.database.read, write=desk.database.write, actor=desk.world.actors[login],
            clock=desk.clock, company=desk.company, thread_id="t1", turn_id="m1",
        )  # fmt: skip
        return BY_NAME[name].call(context, arguments)

    def test_from_draft_to_request(self, desk: Desk) -> None:
        lines = [{"sku": "widget-a", "quantity": 1920}]
        drafted = self._call(desk, "draft_purchase_order", lines=lines)
        again = self._call(desk, "draft_purchase_order", lines=lines)
        revised = self._call(
            desk, "revise_purchase_order", po_id="PO-2001",
            changes=[{"sku": "WIDGET-A", "quantity": 1560}],
        )  # fmt: skip
        asked = self._call(
            desk, "request_approval", po_id="PO-2001", digest=revised["data"]["digest"]
        )
        listed = self._call(desk, "list_orders", status="pending_approval")

        assert drafted == again
        assert drafted["data"]["approval"]["your_limit"] == "10000.00"
        assert (revised["data"]["total"], revised["data"]["voided_approvals"]) == ("12168.00", [])
        assert (asked["data"]["approval_id"], asked["data"]["limit"]) == ("a-31", "100000.00")
        assert listed["data"]["orders"][0]["approval"]["id"] == "a-31"

    @pytest.mark.parametrize("login", ["vera", "robot"])
    def test_a_role_that_may_only_look_is_refused(self, desk: Desk, login: str) -> None:
        lines = [{"sku": "WIDGET-A", "quantity": 1920}]

        answer = self._call(desk, "draft_purchase_order", login, lines=lines)

        assert (answer["ok"], answer["error"]) == (False, "forbidden")

    @pytest.mark.parametrize(
        "arguments",
        [
            {"lines": []}, {"lines": [{"quantity": 5}]},
            {"lines": [{"sku": "WIDGET-A", "quantity": float("nan")}]},
            {"lines": [{"sku": "WIDGET-A", "quantity": "1920"}]},
            {"lines": [{"sku": "WIDGET-A", "quantity": 10**9}]},
            {"lines": [{"sku": "WIDGET-A", "quantity": 5, "price": 1}]},
            {"lines": [{"sku": "WIDGET-A", "quantity": 5}], "need_by": "soon"},
            {"lines": [{"sku": "WIDGET-A", "quantity": 5}], "idempotency_key": "x"},
        ],
    )  # fmt: skip
    def test_wrong_arguments_draft_nothing(self, desk: Desk, arguments: dict[str, Any]) -> None:
        answer = self._call(desk, "draft_purchase_order", **arguments)

        assert answer["error"] == "invalid_input"
        assert desk.trail() == []

    def test_a_sent_order_is_not_cancelled(self, desk: Desk) -> None:
        answer = self._call(desk, "cancel_order", po_id="PO-1042", reason="too late")

        assert answer["data"]["approval_required"] is True
        assert (answer["data"]["cancelled"], answer["data"]["sent"]) == (False, True)


class TestHarmlessText:
    """What people type reaches no terminal, paper or trail with control characters in it."""

    TRICK = "x\x1b[2J\u202e\0\ud800y"
    PLAIN = "x[2Jy"

    def test_draft_revise_and_cancel(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.draft()
        number = desk.draft(note=self.TRICK, duplicate_reason=self.TRICK).order.number
        paul = desk.world.actors["paul"]
        with database.write() as session:
            revise(
                session, number=number, changes=[Change("WIDGET-A", 1560)], actor=paul,
                clock=desk.clock, company=desk.company, reason=self.TRICK,
            )  # fmt: skip
            cancel(session, number=number, actor=paul, clock=desk.clock, reason=self.TRICK)

        with database.read() as session:
            said = session.exec(
                select(AuditEvent.reason).where(AuditEvent.object_id == number)
            ).all()
        assert desk.order(number).note == self.PLAIN
        assert set(said) == {self.PLAIN}

    def test_decisions_answers_and_deliveries(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.pending()
        assert desk.decide(Decision.RESPOND, reason=self.TRICK).approval.reason == self.PLAIN
        desk.decide(version=2)
        desk.deliver()
        paul = desk.world.actors["paul"]
        with database.write() as session:
            record_answer(
                session, number="PO-2001", actor=paul, clock=desk.clock, note=self.TRICK,
            )  # fmt: skip
            receive(
                session, number="PO-2001", arrivals=[Arrival("WIDGET-A", 5)], actor=paul,
                reference=self.TRICK, clock=desk.clock, company=desk.company,
            )  # fmt: skip

        with database.read() as session:
            note = session.exec(
                select(Receipt.reference).where(col(Receipt.reference).startswith("PO-2001"))
            ).one()
        assert note == f"PO-2001:{self.PLAIN}:1"
        assert desk.audit().ok


class TestAmountsThatCannotBeCounted:
    def _prices(self, desk: Desk, price: int) -> None:
        with desk.database.write() as session:
            session.execute(text("DELETE FROM price_break"))
            session.execute(text("UPDATE supplier_item SET unit_price_minor = :p"), {"p": price})

    def test_a_line(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        self._prices(desk, 2**63 - 1)

        with pytest.raises(
            InvalidInput, match=r"1,920 of 'WIDGET-A' would cost 177,088,743,107,611,695,494.40 USD"
        ):
            desk.draft()  # 1,920 x 92,233,720,368,547,758.07 = 177,088,743,107,611,695,494.40

    def test_a_revision(self, database: Database, tmp_path: Path) -> None:
        desk = Desk(database, tmp_path)
        desk.draft()
        self._prices(desk, 2**63 - 1)

        with pytest.raises(InvalidInput, match="can be counted"):
            desk.revise()

        assert desk.order().revision == 1
