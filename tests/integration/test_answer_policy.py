"""The policy holds for what a supplier's accepted answer makes of an order."""

from datetime import timedelta
from pathlib import Path

import pytest

from db.session import Database
from tests.conftest import NOW
from tests.factories import day, make_item
from tests.factories_orders import Desk
from tests.integration.test_answers import answer, decide
from tools.errors import Conflict, Forbidden
from tools.purchasing.core.answers import AnswerCode, AnswerLine
from tools.purchasing.service.receiving import Arrival, receive

MORE = AnswerLine("WIDGET-A", AnswerCode.QUANTITY, 2040)  # 2,040 x 7.80 = 15,912.00
DEARER = AnswerLine("WIDGET-A", AnswerCode.PRICE, unit_price_minor=800)  # 15,360.00


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


def rule_of(desk: Desk, *, number: str = "s-1", by: str = "mona") -> str:
    with pytest.raises(Forbidden) as refused:
        decide(desk, number=number, by=by)
    return str(refused.value.details["rule"])


class TestCaps:
    @pytest.mark.parametrize(
        ("name", "rule"), [("per_supplier", "supplier_cap"), ("per_requester", "requester_cap")]
    )
    def test_an_answer_does_not_take_an_order_over_a_cap(
        self, desk: Desk, name: str, rule: str
    ) -> None:
        number = desk.sent()
        desk.policy(**{name: '"15911.99"'})
        answer(desk, MORE, number=number)

        assert rule_of(desk) == rule
        assert desk.order(number).total_minor == 1_497_600
        desk.policy(**{name: '"15912"'})
        assert decide(desk, by="mona").order.total_minor == 1_591_200
        assert desk.audit().ok, desk.audit().problem

    @pytest.mark.parametrize(("cap", "is_enough"), [("21671.99", False), ("21672", True)])
    def test_later_orders_count_the_new_total(self, desk: Desk, cap: str, is_enough: bool) -> None:
        number = desk.sent()
        answer(desk, MORE, number=number)
        decide(desk, by="mona")  # counts 15,912.00 from here on
        later = desk.draft(720, by="pia", duplicate_reason="another")
        asked = desk.ask(later.order.number, "pia")
        assert later.order.total_minor == 576_000
        desk.policy(per_supplier=f'"{cap}"')

        if is_enough:
            assert desk.decide(number=asked.number, by="mona").order_state == "approved"
        else:
            with pytest.raises(Forbidden) as refused:
                desk.decide(number=asked.number, by="mona")
            assert refused.value.details["rule"] == "supplier_cap"

    def test_of_an_old_order_only_the_increase_counts(self, desk: Desk) -> None:
        number = desk.sent()
        desk.clock.at = NOW + timedelta(days=60)
        answer(desk, MORE, number=number)
        desk.policy(per_supplier='"935.99"')  # 15,912.00 - 14,976.00 = 936.00

        assert rule_of(desk) == "supplier_cap"
        desk.policy(per_supplier='"936"')
        decide(desk, by="mona")

    def test_a_raise_is_one_of_the_orders_of_an_hour(self, desk: Desk) -> None:
        number = desk.sent()
        answer(desk, MORE, number=number)
        desk.policy(orders_per_hour="1")

        assert rule_of(desk) == "orders_per_hour"
        desk.clock.at = NOW + timedelta(hours=2)
        decide(desk, by="mona")
        later = desk.draft(600, by="pia", duplicate_reason="another")
        asked = desk.ask(later.order.number, "pia")
        with pytest.raises(Forbidden) as refused:
            desk.decide(number=asked.number, by="mona")
        assert refused.value.details["rule"] == "orders_per_hour"


class TestBlockedAndTwoPeople:
    def test_no_more_of_what_is_blocked_but_less(self, desk: Desk) -> None:
        number = desk.sent()
        answer(desk, MORE, number=number)
        desk.policy(items="[WIDGET-A]")
        assert rule_of(desk) == "blocked_item"
        desk.policy(suppliers="[ACME]", items="[]")
        assert rule_of(desk) == "blocked_supplier"
        answer(desk, AnswerLine("WIDGET-A", AnswerCode.QUANTITY, 600), number=number)

        assert decide(desk, number="s-2", by="mona").order.total_minor == 468_000

    def test_a_substitute_may_be_blocked(self, desk: Desk) -> None:
        with desk.database.write() as session:
            make_item(session, "WIDGET-B", "Widget B")
        desk.policy(items="[WIDGET-B]")
        said = AnswerLine("WIDGET-A", AnswerCode.SUBSTITUTED, 300, day(6), substitute="WIDGET-B")
        answer(desk, said)

        assert rule_of(desk) == "blocked_item"

    def test_what_two_people_must_sign_one_does_not_accept(self, desk: Desk) -> None:
        number = desk.sent()
        answer(desk, MORE, number=number)
        desk.policy(two_person_above='"15000"')

        with pytest.raises(Forbidden, match=r"rule two_people.*15,912\.00 USD") as refused:
            decide(desk, by="mona")
        assert refused.value.details["rule"] == "two_people"
        assert refused.value.next_step.startswith("Decline")
        assert decide(desk, accept=False, by="mona", reason="too much").order.total_minor == (
            1_497_600
        )


class TestPriceOfWhatCame:
    def test_it_stays(self, desk: Desk) -> None:
        number = desk.sent()
        answer(desk, DEARER, number=number)
        with desk.database.write() as session:
            receive(
                session, number=number, arrivals=[Arrival("WIDGET-A", 100)], reference="DN-1",
                actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
            )  # fmt: skip

        with pytest.raises(
            Conflict, match=r"100 of 'WIDGET-A' came .* at the old price"
        ) as refused:
            decide(desk, by="mona")
        assert refused.value.details["rule"] == "price_of_received"
        line = desk.order(number).lines[0]
        assert (line.unit_price_minor, line.amount_minor) == (780, 1_497_600)

    def test_before_anything_came_it_changes(self, desk: Desk) -> None:
        number = desk.sent()
        answer(desk, DEARER, number=number)

        assert decide(desk, by="mona").order.total_minor == 1_536_000
