"""Goods that come, go back or were never ordered; bookings that were wrong; stock as a ledger."""

from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from db.models.purchasing import Receipt
from db.models.stock import StockLevel, StockMovement
from db.session import Database
from db.types import MovementKind, OrderState, ReceiptKind
from tests.factories import make_item
from tests.factories_orders import Desk
from tools.errors import Conflict, Forbidden, InvalidInput, NotFound
from tools.offers.service import DeliveryHistory
from tools.purchasing.core.views import OrderView
from tools.purchasing.service.closing import short_close
from tools.purchasing.service.receiving import Arrival, Disposition, WrongArrival, receive
from tools.purchasing.service.reversing import return_goods, reverse_receipt
from tools.stock.service import adjust, ledger_differences, position, reconcile


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


@pytest.fixture
def sqlite_desk(sqlite_database: Database, tmp_path: Path) -> Desk:
    return Desk(sqlite_database, tmp_path)


def come(
    desk: Desk, units: int, note: str = "DN-1", *, rejected: int = 0, by: str = "paul", **more: Any
) -> OrderView:
    with desk.database.write() as session:
        return receive(
            session, number="PO-1042", arrivals=[Arrival("WIDGET-A", units, rejected)],
            reference=note, actor=desk.world.actors[by], clock=desk.clock, company=desk.company,
            **more,
        )  # fmt: skip


def undo(desk: Desk, note: str = "DN-1") -> OrderView:
    with desk.database.write() as session:
        return reverse_receipt(
            session, number="PO-1042", reference=note, reason="booked on the wrong order",
            actor=desk.world.actors["paul"], clock=desk.clock,
        )  # fmt: skip


def go_back(desk: Desk, units: int, note: str = "RN-1", sku: str = "WIDGET-A", **more: Any) -> Any:
    with desk.database.write() as session:
        return return_goods(
            session, number="PO-1042", sku=sku, units=units, reference=note, reason="dented",
            actor=desk.world.actors["paul"], clock=desk.clock, **more,
        )  # fmt: skip


def correct(desk: Desk, units: int, reference: str = "count 1", by: str = "paul") -> Any:
    with desk.database.write() as session:
        return adjust(
            session, sku="WIDGET-A", units=units, reason="counted", reference=reference,
            actor=desk.world.actors[by], clock=desk.clock,
        )  # fmt: skip


def on_hand(desk: Desk) -> int:
    with desk.database.read() as session:
        assert ledger_differences(session) == []
        return session.exec(
            select(StockLevel.on_hand_units).where(StockLevel.item_id == desk.world.widget.id)
        ).one()


class TestWhatComes:
    """300 were ordered at PO-1042; at most a tenth more is taken: 330."""

    @pytest.mark.parametrize(
        ("units", "state", "open_units"),
        [(120, OrderState.PARTIALLY_RECEIVED, 180), (300, OrderState.RECEIVED, 0),
         (330, OrderState.RECEIVED, 0)],
    )  # fmt: skip
    def test_part_all_and_a_little_more(
        self, sqlite_desk: Desk, units: int, state: OrderState, open_units: int
    ) -> None:
        order = come(sqlite_desk, units)

        assert (order.state, order.lines[0].open_units) == (state, open_units)
        assert on_hand(sqlite_desk) == 620 + units

    def test_much_more_is_refused(self, sqlite_desk: Desk) -> None:
        with pytest.raises(InvalidInput, match="at most 330"):
            come(sqlite_desk, 331)

    def test_what_was_short_closed_is_not_taken(self, sqlite_desk: Desk) -> None:
        with sqlite_desk.database.write() as session:
            short_close(
                session, number="PO-1042", actor=sqlite_desk.world.actors["paul"],
                clock=sqlite_desk.clock, reason="gone", units_by_sku={"WIDGET-A": 100},
            )  # fmt: skip

        with pytest.raises(InvalidInput, match="at most 220"):  # 200 and a tenth
            come(sqlite_desk, 221)

    def test_a_note_twice_counts_once_and_with_other_content_never(self, desk: Desk) -> None:
        come(desk, 100)
        come(desk, 100)

        with pytest.raises(Conflict, match="other content"):
            come(desk, 101)
        with pytest.raises(Conflict, match="other content"):
            come(desk, 100, rejected=1)
        assert on_hand(desk) == 720

    def test_a_note_is_not_mistaken_for_another_that_begins_alike(self, sqlite_desk: Desk) -> None:
        come(sqlite_desk, 100, "DN:1")
        come(sqlite_desk, 100, "DN")

        assert on_hand(sqlite_desk) == 820

    @pytest.mark.parametrize(("by", "is_allowed"), [("robot", True), ("vera", False)])
    def test_a_warehouse_system_books_and_a_viewer_does_not(
        self, sqlite_desk: Desk, by: str, is_allowed: bool
    ) -> None:
        if is_allowed:
            assert come(sqlite_desk, 100, by=by).state is OrderState.PARTIALLY_RECEIVED
            return
        with pytest.raises(Forbidden):
            come(sqlite_desk, 100, by=by)


class TestWhatNobodyOrdered:
    def _stray(self, desk: Desk, sku: str, what: Disposition) -> OrderView:
        with desk.database.write() as session:
            return receive(
                session, number="PO-1042", arrivals=[], reference="DN-9",
                actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
                wrong=[WrongArrival(sku, 50, what)],
            )  # fmt: skip

    def test_lies_apart_and_is_not_to_be_used(self, desk: Desk) -> None:
        with desk.database.write() as session:
            other = make_item(session, "WIDGET-B", "Widget B").id

        order = self._stray(desk, "WIDGET-B", Disposition.QUARANTINE)

        assert (order.state, order.lines[0].open_units) == (OrderState.CONFIRMED, 300)
        with desk.database.read() as session:
            place = desk.world.main.id
            stands = position(session, other, place, as_of=desk.clock.now().date())
        assert (stands.on_hand_units, stands.available_units) == (50, 0)
        assert on_hand(desk) == 620

        go_back(desk, 50, sku="WIDGET-B")

        with desk.database.read() as session:
            stands = position(session, other, place, as_of=desk.clock.now().date())
        assert (stands.on_hand_units, stands.quarantined_units) == (0, 0)

    def test_unknown_goods_can_only_go_back(self, sqlite_desk: Desk) -> None:
        with pytest.raises(InvalidInput, match="no item of ours"):
            self._stray(sqlite_desk, "THING", Disposition.QUARANTINE)

        self._stray(sqlite_desk, "THING", Disposition.SEND_BACK)

        with sqlite_desk.database.read() as session:
            row = session.exec(
                select(col(Receipt.kind), col(Receipt.rejected_units), col(Receipt.reason)).where(
                    col(Receipt.reference).startswith("PO-1042:DN-9")
                )
            ).one()
        assert tuple(row) == (ReceiptKind.WRONG_ITEM, 50, "not on the order: THING")

    def test_ordered_goods_are_not_wrong(self, sqlite_desk: Desk) -> None:
        with pytest.raises(InvalidInput, match="is not wrong"):
            self._stray(sqlite_desk, "WIDGET-A", Disposition.SEND_BACK)


class TestCounterEntries:
    def test_a_wrong_booking_is_undone_and_stays_to_be_seen(self, desk: Desk) -> None:
        come(desk, 300, rejected=20)

        order = undo(desk)
        undo(desk)  # again: nothing

        assert (order.state, order.lines[0].open_units) == (OrderState.CONFIRMED, 300)
        assert on_hand(desk) == 620
        with desk.database.read() as session:
            kinds = session.exec(
                select(Receipt.kind).where(col(Receipt.reference).startswith("PO-1042:"))
            ).all()
            moved = session.exec(select(StockMovement.units)).all()
        assert sorted(kinds) == [ReceiptKind.RECEIPT, ReceiptKind.REVERSAL]
        assert sorted(moved) == [-280, 280, 620]
        assert desk.audit().ok, desk.audit().problem

    def test_the_note_is_spent(self, sqlite_desk: Desk) -> None:
        come(sqlite_desk, 300)
        undo(sqlite_desk)

        with pytest.raises(Conflict, match="reversed"):
            come(sqlite_desk, 300)
        assert come(sqlite_desk, 300, "DN-1 corrected").state is OrderState.RECEIVED

    def test_a_reversed_booking_is_no_lead_time(self, sqlite_desk: Desk) -> None:
        with sqlite_desk.database.read() as session:
            before = len(DeliveryHistory(session).of_supplier(sqlite_desk.world.acme.id))
        come(sqlite_desk, 300)
        undo(sqlite_desk)

        with sqlite_desk.database.read() as session:
            assert len(DeliveryHistory(session).of_supplier(sqlite_desk.world.acme.id)) == before

    def test_there_must_be_a_booking(self, sqlite_desk: Desk) -> None:
        with pytest.raises(NotFound, match="no delivery note"):
            undo(sqlite_desk)

    def test_goods_that_go_back_leave_the_balance_closed(self, desk: Desk) -> None:
        come(desk, 300)

        order = go_back(desk, 30)
        go_back(desk, 30)

        assert (order.state, order.lines[0].open_units) == (OrderState.RECEIVED, 0)
        assert on_hand(desk) == 890
        assert desk.audit().ok, desk.audit().problem

    def test_goods_that_are_replaced_are_awaited_again(self, desk: Desk) -> None:
        come(desk, 300)

        order = go_back(desk, 30, is_replaced=True)

        assert (order.state, order.lines[0].open_units) == (OrderState.PARTIALLY_RECEIVED, 30)
        with pytest.raises(Conflict, match="went back already"):
            undo(desk)

    @pytest.mark.parametrize("units", [0, 281])
    def test_no_more_goes_back_than_came_good(self, sqlite_desk: Desk, units: int) -> None:
        come(sqlite_desk, 300, rejected=20)

        with pytest.raises(Conflict, match="280 of 'WIDGET-A' can go back"):
            go_back(sqlite_desk, units)


class TestCorrections:
    def test_a_correction_is_a_movement_with_a_reason(self, desk: Desk) -> None:
        assert correct(desk, -20).on_hand_units == 600
        assert correct(desk, -20).is_repeat

        assert on_hand(desk) == 600
        assert desk.trail()[-1] == ("stock.adjusted", "WIDGET-A", "paul")

    def test_a_reference_names_one_correction(self, sqlite_desk: Desk) -> None:
        correct(sqlite_desk, 5)

        with pytest.raises(Conflict, match="another correction"):
            correct(sqlite_desk, 6)

    def test_no_more_goes_than_lies_there(self, sqlite_desk: Desk) -> None:
        with pytest.raises(InvalidInput, match="620 lie"):
            correct(sqlite_desk, -621)

    @pytest.mark.parametrize("by", ["vera", "robot"])
    def test_who_may_not(self, sqlite_desk: Desk, by: str) -> None:
        with pytest.raises(Forbidden):
            correct(sqlite_desk, 1, by=by)

    def test_what_an_older_database_lacks_is_written_once(self, desk: Desk) -> None:
        with desk.database.write() as session:
            item = make_item(session, "OLD", "Old item")
            session.add(
                StockLevel(
                    item_id=item.id, location_id=desk.world.main.id, on_hand_units=70,
                    updated_at=desk.clock.now(),
                )
            )  # fmt: skip
        with desk.database.read() as session:
            [found] = ledger_differences(session)
        assert (found.sku, found.units) == ("OLD", 70)

        with desk.database.write() as session:
            mona = desk.world.actors["mona"]
            assert len(reconcile(session, actor=mona, clock=desk.clock)) == 1
            assert reconcile(session, actor=mona, clock=desk.clock) == []
            kind = session.exec(
                select(StockMovement.kind).where(StockMovement.item_id == item.id)
            ).one()

        assert kind is MovementKind.OPENING
        assert on_hand(desk) == 620
        assert desk.trail()[-1] == ("stock.reconciled", "stock", "mona")

    def test_only_a_manager_or_admin_writes_them(self, sqlite_desk: Desk) -> None:
        with sqlite_desk.database.write() as session, pytest.raises(Forbidden):
            reconcile(session, actor=sqlite_desk.world.actors["paul"], clock=sqlite_desk.clock)
