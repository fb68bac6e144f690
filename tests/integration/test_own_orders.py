"""Whoever changed an order counts as its owner; an accepted answer is decided like an approval."""

from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from db.models.catalog import Item
from db.models.identity import Counter
from db.models.purchasing import PurchaseOrder
from db.session import Database
from db.types import Decision, ScopeKind
from tests.factories import add_gloves, make_item
from tests.factories_orders import Desk
from tests.integration.test_answers import answer, decide
from tools.errors import Conflict, Forbidden, Stale
from tools.people.service import access
from tools.purchasing.core.answers import AnswerCode, AnswerLine
from tools.purchasing.service.drafting import draft
from tools.purchasing.service.terms import LineRequest

MORE = AnswerLine("WIDGET-A", AnswerCode.QUANTITY, 9600)


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


def rule_of(desk: Desk, by: str, **more: Any) -> str:
    with pytest.raises(Forbidden) as refused:
        decide(desk, by=by, **more)
    return str(refused.value.details["rule"])


def substitute(sku: str, was: str = "WIDGET-A") -> AnswerLine:
    return AnswerLine(was, AnswerCode.SUBSTITUTED, substitute=sku)


class TestWhoIsBehindAnOrder:
    @pytest.mark.parametrize("policy", [{}, {"two_person_above": '"100"'}])
    def test_the_author_of_an_earlier_revision(self, desk: Desk, policy: dict[str, str]) -> None:
        desk.policy(**policy)
        desk.draft(1200)
        desk.revise(units=1440, by="mona")
        desk.revise(units=1320, by="pia")  # 10,296.00: anna could sign too
        desk.ask(by="pia")

        with pytest.raises(Forbidden) as refused:
            desk.decide(by="mona")
        assert refused.value.details["rule"] == "separation_of_duties"

    def test_who_asked_for_an_earlier_revision(self, desk: Desk) -> None:
        desk.draft(1560)
        desk.ask(by="mona")
        edits = [{"sku": "WIDGET-A", "quantity": 1680}]
        desk.decide(Decision.EDIT, by="pia", edits=edits)

        with pytest.raises(Forbidden) as refused:
            desk.decide(by="mona", number="a-32")
        assert refused.value.details["rule"] == "separation_of_duties"

    def test_the_cap_of_a_requester_counts_what_they_changed(self, desk: Desk) -> None:
        desk.draft(600)  # 4,680.00
        desk.revise(units=720, by="pia")
        desk.revise(units=600, by="paul")
        desk.ask()
        desk.decide(by="mona")
        later = desk.draft(720, by="pia", duplicate_reason="another")
        asked = desk.ask(later.order.number, "pia")
        desk.policy(per_requester='"6000"')

        with pytest.raises(Forbidden) as refused:
            desk.decide(number=asked.number, by="mona")
        assert refused.value.details["rule"] == "requester_cap"


class TestWhoAcceptsAnAnswer:
    def test_nobody_alone_raises_an_order_with_an_answer_they_recorded(self, desk: Desk) -> None:
        number = desk.sent()
        answer(desk, MORE, number=number, by="mona")

        assert rule_of(desk, "mona") == "separation_of_duties"
        assert desk.order(number).total_minor == 1_497_600

    def test_nor_an_order_that_they_changed(self, desk: Desk) -> None:
        desk.draft(600)
        desk.revise(units=720, by="mona")
        desk.revise(units=600, by="paul")
        desk.ask()
        desk.decide(by="pia")
        desk.deliver()
        answer(desk, MORE, number="PO-2001", by="pia")

        assert rule_of(desk, "mona") == "separation_of_duties"

    def test_small_steps_of_the_price_add_up(self, desk: Desk) -> None:
        number = desk.sent()
        first = AnswerLine("WIDGET-A", AnswerCode.PRICE, 1880, unit_price_minor=794)  # +1.8 %
        answer(desk, first, number=number, by="paul")
        decide(desk, by="pia")
        second = AnswerLine("WIDGET-A", AnswerCode.PRICE, 1850, unit_price_minor=808)  # +1.8 %
        answer(desk, second, number=number, by="paul")

        with pytest.raises(Forbidden, match="from what was approved"):
            decide(desk, by="pia", number="s-2")

    def test_more_units_at_a_lower_price_need_who_could_approve(self, desk: Desk) -> None:
        number = desk.sent()
        said = AnswerLine("WIDGET-A", AnswerCode.PRICE, 1930, unit_price_minor=775)
        answer(desk, said, number=number, by="paul")

        with pytest.raises(Forbidden, match="more of 'WIDGET-A' than was approved"):
            decide(desk, by="pia")


class TestWhatAnAnswerBrings:
    def test_a_substitute_that_needs_a_signature(self, desk: Desk) -> None:
        with desk.database.write() as session:
            make_item(session, "DRUG-X", "Drug X").signature_required = True
        answer(desk, substitute("DRUG-X"), number=desk.sent(), by="pia")

        assert rule_of(desk, "mona") == "signature_required"
        accepted = decide(desk, by="mona", reauthenticated=True).order
        assert accepted.lines[0].sku == "DRUG-X"

    def test_a_substitute_outside_the_work_of_who_accepts(self, desk: Desk) -> None:
        with desk.database.write() as session:
            make_item(session, "OTHER", "Other", category="weapons")
            access.add_scope(
                session, "mona", ScopeKind.CATEGORY, "widgets", clock=desk.clock,
                by=desk.world.actors["adam"],
            )  # fmt: skip
        answer(desk, substitute("OTHER"), number=desk.sent(), by="pia")

        with pytest.raises(Forbidden) as refused:
            decide(desk, by="mona")
        assert refused.value.details["reason"] == "scope"

    def test_what_is_unusual_needs_a_reason(self, desk: Desk) -> None:
        number = desk.sent()
        answer(desk, MORE, number=number, by="pia")
        desk.policy(last_quantity_times="3")

        assert rule_of(desk, "mona") == "quantity_tolerance"
        decide(desk, by="mona", reason="the fair")

    def test_one_item_instead_of_two_lines(self, desk: Desk) -> None:
        with desk.database.write() as session:
            add_gloves(session, desk.world)
            drafted = draft(
                session, lines=[LineRequest(12, "GLOVE-S"), LineRequest(12, "GLOVE-M")],
                actor=desk.world.actors["paul"], clock=desk.clock, company=desk.company,
            )  # fmt: skip
        number = drafted.order.number
        desk.ask(number)
        desk.decide(by="mona")
        desk.deliver()
        said = (substitute("GLOVE-L", "GLOVE-S"), substitute("GLOVE-L", "GLOVE-M"))
        answer(desk, *said, number=number, by="pia")

        with pytest.raises(Conflict, match="instead of two lines"):
            decide(desk, by="mona")


class TestNumbers:
    def test_numbers_that_are_taken_are_skipped(self, desk: Desk) -> None:
        with desk.database.write() as session:
            known = session.exec(select(PurchaseOrder)).one()
            for number in ("PO-2001", "PO-2002", "PO-2004"):
                values = known.model_dump(exclude={"id", "number"})
                session.add(PurchaseOrder(**values, number=number))

        assert desk.draft().order.number == "PO-2003"
        with desk.database.read() as session:
            assert session.get_one(Counter, "purchase_order").value == 2003
        assert desk.draft(units=600, duplicate_reason="another").order.number == "PO-2005"


def test_a_signature_meanwhile_is_called_one(desk: Desk) -> None:
    desk.policy(two_person_above='"100"')
    with desk.database.write() as session:
        assert session.exec(select(Item)).first()
    asked = desk.pending()
    desk.decide(by="mona", version=asked.version)

    with pytest.raises(Stale, match="signed approval 'a-31' meanwhile"):
        desk.decide(by="mark", version=asked.version)
