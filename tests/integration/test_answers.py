"""What suppliers answer: proposals, who accepts them, and what an order becomes."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from db.models.purchasing import Outbox, PurchaseOrderLine, PurchaseOrderRevision
from db.session import Database
from db.types import Actor, ActorKind, AnswerState, OrderState, Role
from tests.factories import day, make_item
from tests.factories_orders import Desk
from tools.audit.core.chain import document_hash
from tools.errors import Conflict, Forbidden, InvalidInput, Stale
from tools.purchasing.core.answers import AnswerCode, AnswerLine
from tools.purchasing.service.accepting import AnswerOutcome, decide_answer
from tools.purchasing.service.answering import AnswerRecorded, list_answers, record_answer
from tools.purchasing.service.closing import close_order, short_close
from tools.purchasing.service.receiving import Arrival, receive
from tools.shipments.service import shipment_view
from tools.stock.service import position

IA, IQ, IP, DR, IB, IS, IR = AnswerCode
T6 = (AnswerLine("WIDGET-A", IQ, 240, day(6)), AnswerLine("WIDGET-A", IB, 60, day(12)))


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


@pytest.fixture
def sqlite_desk(sqlite_database: Database, tmp_path: Path) -> Desk:
    return Desk(sqlite_database, tmp_path)


def answer(
    desk: Desk, *lines: AnswerLine, number: str = "PO-1042", by: str = "paul", **more: Any
) -> AnswerRecorded:
    with desk.database.write() as session:
        return record_answer(
            session, number=number, lines=lines, actor=desk.world.actors[by], clock=desk.clock,
            **more,
        )  # fmt: skip


def decide(
    desk: Desk, accept: bool = True, *, by: str = "paul", number: str = "s-1", version: int = 1,
    **more: Any,
) -> AnswerOutcome:  # fmt: skip
    with desk.database.write() as session:
        return decide_answer(
            session, number=number, version=version, accept=accept, actor=desk.world.actors[by],
            clock=desk.clock, company=desk.company, **more,
        )  # fmt: skip


def end(desk: Desk, number: str = "PO-1042", units: int | None = None) -> Any:
    with desk.database.write() as session:
        return short_close(
            session, number=number, actor=desk.world.actors["paul"], clock=desk.clock,
            reason="not made any more",
            units_by_sku=None if units is None else {"WIDGET-A": units},
        )  # fmt: skip


def on_order(desk: Desk) -> list[tuple[int, Any]]:
    with desk.database.read() as session:
        stands = position(
            session, desk.world.widget.id, desk.world.main.id, as_of=desk.clock.now().date()
        )
    return [(receipt.units, receipt.promise_on) for receipt in stands.receipts]


class TestShipmentSlipsAndTheSupplierChangesTheQuantity:
    """Conversation T6: 300 ordered; 855 says IQ 240, two days later, and 60 on another day."""

    def test_nothing_changes_until_a_person_accepts(self, desk: Desk) -> None:
        came = answer(desk, *T6, note="60 are late")

        assert came.answer is not None
        assert (came.order.state, came.order.revision) == (OrderState.CHANGED, 1)
        assert (came.order.lines[0].units, on_order(desk)) == (300, [(300, day(4))])
        assert came.answer.state is AnswerState.PROPOSED

    def test_accepted_the_balance_keeps_its_own_day(self, desk: Desk) -> None:
        answer(desk, *T6)

        order = decide(desk).order

        assert (order.state, order.revision, order.total_minor) == (
            OrderState.CONFIRMED, 2, 300 * 800,
        )  # fmt: skip
        assert on_order(desk) == [(240, day(6)), (60, day(12))]
        with desk.database.read() as session:
            shipment, _ = shipment_view(
                session, "PO-1042", None, clock=desk.clock, company=desk.company
            )
            written = session.exec(
                select(col(PurchaseOrderRevision.content), col(PurchaseOrderRevision.fingerprint))
            ).one()
        # the carrier says day 10, the 240 were promised for day 6
        assert (shipment["promise"], shipment["days_late"]) == (day(6).isoformat(), 4)
        assert shipment["lines"][0]["promises"] == [
            {"units": 240, "promise": day(6).isoformat()},
            {"units": 60, "promise": day(12).isoformat()},
        ]
        assert written[1] == document_hash(written[0]) == order.fingerprint
        assert desk.audit().ok, desk.audit().problem

    def test_the_60_are_short_closed(self, desk: Desk) -> None:
        answer(desk, *T6)
        decide(desk)

        order = end(desk, units=60)

        assert (order.state, order.lines[0].open_units) == (OrderState.CONFIRMED, 240)
        assert on_order(desk) == [(240, day(6))]

    def test_without_a_word_about_the_rest_the_order_is_for_240(self, desk: Desk) -> None:
        answer(desk, T6[0])

        order = decide(desk).order

        assert (order.lines[0].units, order.total_minor) == (240, 240 * 800)
        assert on_order(desk) == [(240, day(6))]

    def test_the_rest_can_stay_open_for_the_day_it_had(self, desk: Desk) -> None:
        answer(desk, T6[0])

        decide(desk, keep_balance=True)

        assert sorted(on_order(desk)) == [(60, day(4)), (240, day(6))]

    def test_goods_use_up_the_earliest_part(self, desk: Desk) -> None:
        answer(desk, *T6)
        decide(desk)

        _receive(desk, 100)

        assert on_order(desk) == [(140, day(6)), (60, day(12))]

    def test_goods_that_came_meanwhile_count(self, desk: Desk) -> None:
        answer(desk, *T6)
        _receive(desk, 100)

        order = decide(desk).order

        assert (order.state, order.lines[0].units) == (OrderState.PARTIALLY_RECEIVED, 300)
        assert on_order(desk) == [(140, day(6)), (60, day(12))]


def _receive(desk: Desk, units: int, number: str = "PO-1042", note: str = "DN-1") -> Any:
    with desk.database.write() as session:
        return receive(
            session, number=number, arrivals=[Arrival("WIDGET-A", units)], reference=note,
            actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
        )  # fmt: skip


class TestWhatIsNoChange:
    def test_yes_confirms(self, desk: Desk) -> None:
        number = desk.sent()

        came = answer(desk, number=number, promise_on=day(9))

        assert came.answer is None
        assert (came.order.state, came.order.promise_on) == (OrderState.CONFIRMED, day(9))
        assert came.order.lines[0].promise_on == day(9)

    def test_yes_heard_again_leaves_no_second_row(self, desk: Desk) -> None:
        number = desk.sent()
        answer(desk, number=number, promise_on=day(9))
        rows = len(desk.trail())

        answer(desk, number=number, promise_on=day(9))

        assert len(desk.trail()) == rows

    def test_no_to_everything_rejects_and_frees_what_was_on_order(self, desk: Desk) -> None:
        number = desk.sent()

        came = answer(desk, AnswerLine("WIDGET-A", IR), number=number)

        assert came.order.state is OrderState.REJECTED
        assert on_order(desk) == [(300, day(4))]  # PO-1042 only

    def test_another_day_than_the_one_promised_is_a_change(self, sqlite_desk: Desk) -> None:
        assert answer(sqlite_desk, AnswerLine("WIDGET-A", IA, promise_on=day(8))).answer


class TestWhoAccepts:
    """300 x 8.00 = 2,400.00 was ordered; planners may approve 10,000.00, tolerance 2 %."""

    @pytest.mark.parametrize(
        "line",
        [
            AnswerLine("WIDGET-A", IQ, 240),
            AnswerLine("WIDGET-A", IB, 300, day(20)),
            AnswerLine("WIDGET-A", IP, unit_price_minor=790),
        ],
    )
    def test_a_planner_accepts_less_later_and_cheaper(
        self, sqlite_desk: Desk, line: AnswerLine
    ) -> None:
        answer(sqlite_desk, line)

        assert decide(sqlite_desk, by="pia").answer.state is AnswerState.ACCEPTED

    @pytest.mark.parametrize(
        ("line", "total"),
        [
            (AnswerLine("WIDGET-A", IQ, 1500), 1500 * 800),  # 12,000.00
            (AnswerLine("WIDGET-A", IP, unit_price_minor=4000), 300 * 4000),  # 12,000.00
        ],
    )
    def test_more_money_needs_somebody_who_could_approve_it(
        self, sqlite_desk: Desk, line: AnswerLine, total: int
    ) -> None:
        answer(sqlite_desk, line)

        with pytest.raises(Forbidden, match=r"could approve 12,000\.00 USD") as refusal:
            decide(sqlite_desk, by="pia")
        assert refusal.value.details["rule"] == "limit"
        assert decide(sqlite_desk, by="mona").order.total_minor == total

    def test_nobody_accepts_more_for_the_own_order_above_the_own_limit(
        self, sqlite_desk: Desk
    ) -> None:
        number = sqlite_desk.sent()  # paul's, 1,920 x 7.80 = 14,976.00
        answer(sqlite_desk, AnswerLine("WIDGET-A", IQ, 2040), number=number)

        with pytest.raises(Forbidden):
            decide(sqlite_desk, by="paul")

    @pytest.mark.parametrize("by", ["vera", "adam", "robot"])
    def test_roles_that_never_decide(self, sqlite_desk: Desk, by: str) -> None:
        answer(sqlite_desk, *T6)

        with pytest.raises(Forbidden):
            decide(sqlite_desk, by=by)

    def test_no_machine_accepts(self, sqlite_desk: Desk) -> None:
        answer(sqlite_desk, *T6)
        agent = Actor(0, "agent", "Agent", Role.MANAGER, ActorKind.AGENT)

        with sqlite_desk.database.write() as session, pytest.raises(Forbidden, match="person"):
            decide_answer(
                session, number="s-1", version=1, accept=True, actor=agent,
                clock=sqlite_desk.clock, company=sqlite_desk.company,
            )  # fmt: skip

    def test_a_substitute_needs_somebody_who_could_approve(self, desk: Desk) -> None:
        with desk.database.write() as session:
            make_item(session, "WIDGET-B", "Widget B")
        answer(desk, AnswerLine("WIDGET-A", IS, 300, day(6), substitute="WIDGET-B"))

        order = decide(desk, by="mona").order

        assert [(line.sku, line.units) for line in order.lines] == [("WIDGET-B", 300)]
        assert on_order(desk) == []
        assert desk.audit().ok


class TestDecisions:
    def test_two_people_race_and_one_wins(self, desk: Desk) -> None:
        answer(desk, *T6)
        start, said = threading.Barrier(8), []

        def accept() -> None:
            start.wait()
            try:
                said.append(decide(desk, by="mona").answer.state.value)
            except Stale:
                said.append("stale")

        threads = [threading.Thread(target=accept) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(said) == ["accepted"] + ["stale"] * 7
        assert desk.order("PO-1042").revision == 2

    def test_accepting_sends_nothing_again(self, desk: Desk) -> None:
        number = desk.sent()
        answer(desk, AnswerLine("WIDGET-A", IQ, 1800), number=number)

        decide(desk, by="mona")

        assert desk.deliver() == []
        with desk.database.read() as session:
            assert [row.revision for row in session.exec(select(Outbox))] == [1]
        assert desk.audit().ok, desk.audit().problem

    def test_declined_the_order_is_what_it_was(self, desk: Desk) -> None:
        answer(desk, *T6)

        order = decide(desk, accept=False, reason="we need all of it").order

        assert (order.state, order.revision) == (OrderState.CONFIRMED, 1)
        assert on_order(desk) == [(300, day(4))]

    def test_a_reason_is_needed_to_decline(self, sqlite_desk: Desk) -> None:
        answer(sqlite_desk, *T6)

        with pytest.raises(InvalidInput, match="reason"):
            decide(sqlite_desk, accept=False)

    def test_a_newer_answer_takes_the_place_of_an_older(self, desk: Desk) -> None:
        answer(desk, *T6)
        answer(desk, AnswerLine("WIDGET-A", IQ, 120))

        with pytest.raises(Stale, match="void"):
            decide(desk)
        assert decide(desk, number="s-2").order.lines[0].units == 120

    def test_the_same_message_twice_is_one_answer(self, desk: Desk) -> None:
        answer(desk, *T6, source="acme:17")
        answer(desk, *T6, source="acme:17")

        with desk.database.read() as session:
            assert len(list_answers(session)) == 1
        with pytest.raises(Conflict, match="other content"):
            answer(desk, T6[0], source="acme:17")

    def test_refused_part_by_part_the_order_ends_rejected(self, desk: Desk) -> None:
        answer(desk, AnswerLine("WIDGET-A", IR))  # it was confirmed: so a person must see it

        order = decide(desk).order

        assert order.state is OrderState.REJECTED
        assert on_order(desk) == []

    def test_goods_that_all_came_leave_nothing_to_decide(self, desk: Desk) -> None:
        answer(desk, *T6)
        _receive(desk, 300)

        with pytest.raises(Stale, match="void"):
            decide(desk)

    def test_a_forged_revision_is_found(self, desk: Desk) -> None:
        number = desk.sent()
        answer(desk, AnswerLine("WIDGET-A", IQ, 1800), number=number)
        decide(desk, by="mona")
        with desk.database.write() as session:
            session.execute(
                update(PurchaseOrderLine)
                .where(col(PurchaseOrderLine.ordered_units) == 1800)
                .values(ordered_units=1801, amount_minor=1801 * 780)
            )

        assert "its revision says" in desk.audit().problem


class TestClosing:
    def test_an_order_is_short_closed_when_nothing_is_open(self, desk: Desk) -> None:
        order = end(desk)

        assert (order.state, on_order(desk)) == (OrderState.SHORT_CLOSED, [])
        with pytest.raises(Conflict, match="nothing is expected"):
            _receive(desk, 1)

    def test_received_is_closed(self, desk: Desk) -> None:
        _receive(desk, 300)
        with desk.database.write() as session:
            order = close_order(
                session, number="PO-1042", actor=desk.world.actors["paul"], clock=desk.clock
            )

        assert order.state is OrderState.CLOSED

    def test_an_open_order_is_not_closed(self, sqlite_desk: Desk) -> None:
        with (
            sqlite_desk.database.write() as session,
            pytest.raises(Conflict, match="become"),
        ):
            close_order(
                session, number="PO-1042", actor=sqlite_desk.world.actors["paul"],
                clock=sqlite_desk.clock,
            )  # fmt: skip

    @pytest.mark.parametrize("units", [0, 301])
    def test_only_what_is_open(self, sqlite_desk: Desk, units: int) -> None:
        with pytest.raises(InvalidInput, match="cannot be closed"):
            end(sqlite_desk, units=units)

    def test_a_proposal_comes_first(self, sqlite_desk: Desk) -> None:
        answer(sqlite_desk, *T6)

        with pytest.raises(Conflict, match="s-1"):
            end(sqlite_desk, units=60)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([AnswerLine("WIDGET-A", IQ)], "how many"),
        ([AnswerLine("WIDGET-A", IP)], "at which price"),
        ([AnswerLine("WIDGET-A", DR)], "for which day"),
        ([AnswerLine("WIDGET-A", IS)], "which item"),
        ([AnswerLine("WIDGET-A", IQ, 0)], "cannot come"),
        ([AnswerLine("WIDGET-A", IQ, 5), AnswerLine("WIDGET-A", IB)], "does not say how many"),
        ([AnswerLine("WIDGET-A", IP, 5, None, 1), AnswerLine("WIDGET-A", IP, 5, None, 2)], "two"),
    ],
)
def test_answers_that_cannot_be(sqlite_desk: Desk, lines: list[AnswerLine], text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        answer(sqlite_desk, *lines)


def test_suppliers_words_are_cleaned(sqlite_desk: Desk) -> None:
    came = answer(sqlite_desk, *T6, note="late\x1b[2J\u202e\0")

    assert came.answer is not None
    assert came.answer.note == "late[2J"
