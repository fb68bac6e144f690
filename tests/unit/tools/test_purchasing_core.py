"""States, content, quantities, money, coverage and authority of orders."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.types import OrderState, Role
from tests.conftest import NOW
from tools.errors import Conflict, InvalidInput
from tools.money import amount_spoken, amount_text, company_minor, in_company_minor, minor_rate
from tools.offers.core import Offer, break_table, prices_at
from tools.purchasing.core.authority import rule_for
from tools.purchasing.core.content import (
    Content,
    ContentLine,
    document,
    fingerprint,
    is_same,
)
from tools.purchasing.core.coverage import (
    Coverage,
    OtherOrder,
    duplicates,
    next_need_days,
    sent_meanwhile,
)
from tools.purchasing.core.quantities import (
    Terms,
    most_receivable,
    moved_bp,
    neighbours,
    orderable,
    price_for,
)
from tools.purchasing.core.states import AWAITED, LEGAL, UNSENT, check_step

CONTENT = Content(
    number="PO-1",
    revision=1,
    supplier_code="ACME",
    supplier_name="Acme",
    supplier_email="orders@acme.example",
    ship_to="MAIN",
    currency="USD",
    need_by=date(2026, 3, 20),
    lines=(
        ContentLine("W", "Widget", "AC-1", "each", 1920, "case", 120, 780),
        ContentLine("X", "Box", "", "box", 12, "box", 1, 5),
    ),
)


class TestStates:
    def test_every_state_has_its_steps(self) -> None:
        assert set(LEGAL) == set(OrderState)

    @pytest.mark.parametrize(
        ("now", "to"),
        [
            (OrderState.DRAFT, OrderState.APPROVED),
            (OrderState.DRAFT, OrderState.SENT),
            (OrderState.PENDING_APPROVAL, OrderState.SENT),
            (OrderState.SENT, OrderState.CANCELLED),
            (OrderState.CANCELLED, OrderState.DRAFT),
            (OrderState.CLOSED, OrderState.PARTIALLY_RECEIVED),
            (OrderState.RECEIVED, OrderState.DRAFT),
        ],
    )
    def test_refuses_a_step_that_skips_a_person_or_goes_back(
        self, now: OrderState, to: OrderState
    ) -> None:
        with pytest.raises(Conflict, match="cannot become"):
            check_step("PO-1", now=now, to=to)

    def test_only_an_approved_order_can_be_sent(self) -> None:
        # a declined change or a reversed booking goes back to sent, but such an order left long ago
        before_sent = {state for state in UNSENT if OrderState.SENT in LEGAL[state]}
        before_approved = {state for state, steps in LEGAL.items() if OrderState.APPROVED in steps}

        assert before_sent == {OrderState.APPROVED}
        assert all(not (LEGAL[state] & UNSENT) for state in AWAITED)
        assert before_approved == {OrderState.PENDING_APPROVAL}


class TestFingerprint:
    def test_total_is_the_sum_of_the_lines(self) -> None:
        # 1920 x 780 + 12 x 5 = 1,497,600 + 60
        assert document(CONTENT)["total_minor"] == 1_497_660

    @pytest.mark.parametrize(
        "change",
        [
            {"number": "PO-2"}, {"revision": 2}, {"supplier_code": "X"},
            {"supplier_email": "thief@evil.example"}, {"ship_to": "EAST"}, {"currency": "EUR"},
            {"need_by": None}, {"lines": CONTENT.lines[:1]}, {"lines": CONTENT.lines[::-1]},
            {"lines": (replace(CONTENT.lines[0], units=1921), CONTENT.lines[1])},
            {"lines": (replace(CONTENT.lines[0], unit_price_minor=781), CONTENT.lines[1])},
            {"lines": (replace(CONTENT.lines[0], uom="case"), CONTENT.lines[1])},
            {"lines": (replace(CONTENT.lines[0], name="Gadget"), CONTENT.lines[1])},
            {"lines": (replace(CONTENT.lines[0], supplier_sku="AC-2"), CONTENT.lines[1])},
            {"lines": (replace(CONTENT.lines[0], pack_uom="pallet"), CONTENT.lines[1])},
            {"lines": (replace(CONTENT.lines[0], pack_units=60), CONTENT.lines[1])},
            {"supplier_name": "Acme Ltd"},
        ],
    )  # fmt: skip
    def test_any_change_gives_another_one(self, change: dict[str, Any]) -> None:
        assert fingerprint(replace(CONTENT, **change)) != fingerprint(CONTENT)

    def test_it_is_stable(self) -> None:
        assert fingerprint(CONTENT) == fingerprint(replace(CONTENT))
        assert len(fingerprint(CONTENT)) == 64

    def test_a_short_prefix_stands_for_nothing(self) -> None:
        print_ = fingerprint(CONTENT)

        assert is_same(print_[:12].upper(), print_)
        assert not is_same(print_[:11], print_)
        assert not is_same("0" * 64, print_)
        assert not is_same(print_ + "0", print_)


class TestOrderable:
    @pytest.mark.parametrize(
        ("asked", "answer"), [(1, 60), (49, 60), (50, 60), (51, 60), (60, 60), (61, 72)]
    )
    def test_minimum_first_then_up_to_the_multiple(self, asked: int, answer: int) -> None:
        assert orderable(Terms(1, moq_units=50, order_multiple_units=12), asked) == answer

    @pytest.mark.parametrize("asked", [0, -5, 10_000_001])
    def test_refuses_what_is_no_quantity(self, asked: int) -> None:
        with pytest.raises(InvalidInput, match="got"):
            orderable(Terms(1), asked)

    def test_above_the_maximum_it_suggests_the_most(self) -> None:
        with pytest.raises(InvalidInput) as refused:
            orderable(Terms(1, order_multiple_units=12, max_units=100), 99)

        assert refused.value.details == {"suggestion": 96}

    @given(st.integers(1, 10**6), st.integers(0, 10**4), st.integers(1, 500))
    def test_it_is_the_least_acceptable_one(self, asked: int, moq: int, multiple: int) -> None:
        units = orderable(Terms(1, moq_units=moq, order_multiple_units=multiple), asked)

        assert units % multiple == 0
        assert units >= max(asked, moq)
        assert units - multiple < max(asked, moq)


class TestPrices:
    @pytest.mark.parametrize(
        ("units", "price"), [(999, 800), (1000, 780), (5039, 780), (5040, 760)]
    )
    def test_the_highest_reached_break_counts(self, units: int, price: int) -> None:
        assert price_for(Terms(800, breaks=((1000, 780), (5040, 760))), units) == price

    @given(
        st.dictionaries(st.integers(1, 9000), st.integers(1, 900), max_size=4),
        st.integers(1, 10_000),
    )
    def test_an_order_costs_what_planning_said(self, breaks: dict[int, int], units: int) -> None:
        rising = tuple(sorted(breaks.items()))
        offer = Offer(1, 1, "ACME", "Acme", "USD", 800, breaks=rising)

        planned = prices_at(np.array([units]), np.array([800]), *break_table([offer]))

        assert price_for(Terms(800, breaks=rising), units) == planned[0]

    @pytest.mark.parametrize(
        ("old", "new", "moved"), [(100, 102, 200), (100, 98, 200), (780, 796, 206), (0, 0, 0)]
    )
    def test_a_move_is_measured_either_way(self, old: int, new: int, moved: int) -> None:
        assert moved_bp(old, new) == moved

    def test_a_broken_quantity_has_two_neighbours_but_never_zero(self) -> None:
        below_one = neighbours(0.5, unit_units=1, pack_units=12)

        assert [(choice.packs, choice.units) for choice in below_one] == [(1, 1)]

    def test_a_tenth_too_much_is_accepted(self) -> None:
        assert most_receivable(1920) == 2112


class TestMoney:
    @pytest.mark.parametrize(
        ("minor", "currency", "text"),
        [(1_497_600, "USD", "14976.00"), (5, "GBP", "0.05"), (1500, "JPY", "1500"),
         (1500, "KWD", "1.500")],
    )  # fmt: skip
    def test_decimals_of_the_currency(self, minor: int, currency: str, text: str) -> None:
        assert amount_text(minor, currency) == text

    def test_spoken_with_separators(self) -> None:
        assert amount_spoken(1_497_600, "USD") == "14,976.00 USD"
        assert amount_spoken(1_497_600, "JPY") == "1,497,600 JPY"

    def test_conversion_rounds_up(self) -> None:
        # 9.99 EUR x 1.1 = 10.989 USD
        got = company_minor(999, currency="EUR", rate_micro=1_100_000, company_currency="USD")

        assert got == 1099

    def test_conversion_knows_decimals(self) -> None:
        # 1,500 yen at 0.0067 = 10.05 USD
        got = company_minor(1500, currency="JPY", rate_micro=6_700, company_currency="USD")

        assert got == 1005

    def test_refuses_without_a_rate(self) -> None:
        with pytest.raises(InvalidInput, match="no exchange rate from 'EUR'"):
            company_minor(1, currency="EUR", rate_micro=None, company_currency="USD")

    def test_a_rate_counts_minor_units_on_both_sides(self) -> None:
        yen = minor_rate(6_700, currency="JPY", company_currency="USD")  # 0.0067 USD a yen
        fils = minor_rate(3_250_000, currency="KWD", company_currency="USD")  # 3.25 USD a dinar

        assert in_company_minor(1500, yen) == 1005  # 1,500 yen are 10.05 USD
        assert in_company_minor(2000, fils) == 650  # 2.000 dinar are 6.50 USD
        assert in_company_minor(1001, 1_100_000) == 1101  # 1101.1, half up


def _other(
    number: str = "PO-9",
    units: int = 1920,
    state: OrderState = OrderState.SENT,
    sent_hours: int = -1,
) -> OtherOrder:
    sent = None if state is OrderState.DRAFT else NOW + timedelta(hours=sent_hours)
    return OtherOrder(number, units, state, "pia", NOW, sent)


class TestCoverage:
    def test_fixture_p_with_another_1920_is_covered_for_15_days(self) -> None:
        # 540 + 300 + 1920 = 2760 > 1244; (2760 - 1244) / 100 = 15.16 days
        cover = Coverage(540, (_other("PO-1042", 300), _other("PO-9", 1920)), 1244, 100.0)

        assert [other.number for other in duplicates(cover)] == ["PO-9"]
        assert next_need_days(cover) == 15

    def test_an_open_order_that_is_too_small_is_no_duplicate(self) -> None:
        assert duplicates(Coverage(540, (_other("PO-1042", 300),), 1244, 100.0)) == ()

    def test_stock_alone_covers_nothing_twice(self) -> None:
        assert duplicates(Coverage(5000, (_other(),), 1244, 100.0)) == ()

    def test_two_orders_of_which_either_is_enough_are_both_named(self) -> None:
        cover = Coverage(540, (_other("PO-8"), _other("PO-9")), 1244, 100.0)

        assert len(duplicates(cover)) == 2

    def test_without_a_plan_only_what_has_not_left_counts(self) -> None:
        draft = _other("PO-8", state=OrderState.DRAFT)

        assert duplicates(Coverage(0, (_other("PO-9"), draft), None, None)) == (draft,)

    @pytest.mark.parametrize(("sent_hours", "names"), [(-1, []), (1, ["PO-9"])])
    def test_only_what_was_sent_after_the_request_took_the_need_over(
        self, sent_hours: int, names: list[str]
    ) -> None:
        cover = Coverage(540, (_other(sent_hours=sent_hours),), 1244, 100.0)

        took = sent_meanwhile(cover, units=1920, since=NOW)

        assert [other.number for other in took] == names

    def test_a_small_order_sent_meanwhile_leaves_the_need(self) -> None:
        cover = Coverage(540, (_other(units=300, sent_hours=1),), 1244, 100.0)

        assert sent_meanwhile(cover, units=1920, since=NOW) == ()


LIMITS: dict[Role, int | None] = {
    Role.PLANNER: 1_000_000, Role.APPROVER: 2_500_000, Role.MANAGER: 10_000_000,
}  # fmt: skip


def _role(total: int, *, is_approved: bool = True, highest: int | None = 10_000_000) -> Role:
    rule = rule_for(
        total, currency="USD", limits=LIMITS, highest_minor=highest,
        needs_manager=not is_approved,
    )  # fmt: skip
    return rule.role


class TestRule:
    @pytest.mark.parametrize(
        ("total", "role"),
        [
            (0, Role.PLANNER), (1_000_000, Role.PLANNER), (1_000_001, Role.APPROVER),
            (2_500_001, Role.MANAGER), (10_000_000, Role.MANAGER),
        ],
    )  # fmt: skip
    def test_the_least_role_with_the_limit(self, total: int, role: Role) -> None:
        assert _role(total) is role

    def test_a_supplier_that_is_not_approved_needs_a_manager(self) -> None:
        assert _role(1, is_approved=False) is Role.MANAGER

    def test_a_wider_own_limit_counts(self) -> None:
        assert _role(10_000_001, highest=None) is Role.MANAGER

    def test_refuses_what_nobody_may_approve(self) -> None:
        with pytest.raises(Conflict, match=r"nobody may approve 100,000\.01 USD"):
            _role(10_000_001)

    def test_the_sentence_says_both_limits(self) -> None:
        rule = rule_for(
            1_497_600, currency="USD", limits=LIMITS, highest_minor=None,
        )  # fmt: skip

        assert rule.sentence == (
            "14,976.00 USD is above the planner limit of 10,000.00 USD: "
            "it needs the approver (limit 25,000.00 USD)"
        )
