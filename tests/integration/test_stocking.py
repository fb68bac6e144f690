"""How an item is kept is set by people, in scope, with a trail; the next advice follows it."""

from typing import Any

import pytest
from sqlmodel import Session, select

from db.models.audit import AuditEvent
from db.models.planning import Policy
from db.types import ReplenishmentRule
from tests.conftest import NOW
from tests.factories import WorldP, make_item, make_world_p
from tests.factories_planning import USD
from tools.clock import FixedClock
from tools.errors import Forbidden, InvalidInput
from tools.replenishment.service import advise, current_recommendations, plan_all
from tools.stocking.core import StockingChange
from tools.stocking.service import set_stocking, stocking_of


@pytest.fixture
def world(session: Session) -> WorldP:
    return make_world_p(session)


def _set(session: Session, world: WorldP, by: str = "mona", **values: Any) -> dict[str, Any]:
    reason = values.pop("reason", "C item")
    return set_stocking(
        session, "WIDGET-A", None, StockingChange(**values), reason=reason,
        actor=world.actors[by], clock=FixedClock(NOW),
    )  # fmt: skip


class TestSet:
    def test_the_change_counts_at_once_and_for_the_next_plan(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        world.borealis.is_active = False
        plan_all(session, clock=clock, company=USD)

        found = _set(session, world, rule=ReplenishmentRule.PERIODIC, review_period_days=7)

        row = advise(session, world.widget, world.main, clock=clock, company=USD)
        assert (found["rule"], found["version"]) == ("R_S", 2)
        assert row.inputs["order_up_to"] == 1955  # S = 1954.31, DOMAIN 1.2
        assert current_recommendations(session, clock=clock, company=USD).recomputed == 1

    def test_the_trail_says_who_what_and_why(self, session: Session, world: WorldP) -> None:
        _set(session, world, service_rate=0.97)

        told = [e for e in session.exec(select(AuditEvent)) if e.action == "stocking.set"]
        assert [(e.object_id, e.reason) for e in told] == [("WIDGET-A@MAIN", "C item")]
        assert told[0].before["service_rate"] == "0.95"
        assert told[0].after["service_rate"] == "0.97"

    def test_what_is_so_already_is_no_change(self, session: Session, world: WorldP) -> None:
        assert _set(session, world, cover_days=14)["version"] == 1
        assert not [e for e in session.exec(select(AuditEvent)) if e.action == "stocking.set"]

    def test_a_fixed_level_ends_the_optimised_one(self, session: Session, world: WorldP) -> None:
        assert _set(session, world, is_service_rate_optimised=True)["is_service_rate_optimised"]
        assert not _set(session, world, service_rate=0.9)["is_service_rate_optimised"]

    def test_an_item_without_policy_gets_one(self, session: Session, world: WorldP) -> None:
        make_item(session, "NEW-1", "New one")

        set_stocking(
            session, "NEW-1", None, StockingChange(cover_days=30), reason="bulky",
            actor=world.actors["mona"], clock=FixedClock(NOW),
        )  # fmt: skip

        assert sorted(p.cover_days for p in session.exec(select(Policy))) == [14, 30]
        assert stocking_of(session, "NEW-1")["version"] == 2

    @pytest.mark.parametrize("by", ["vera", "robot"])
    def test_only_who_decides_about_orders_may(
        self, session: Session, world: WorldP, by: str
    ) -> None:
        with pytest.raises(Forbidden):
            _set(session, world, by, cover_days=20)

    @pytest.mark.parametrize(
        ("values", "words"),
        [({}, "nothing"), ({"service_rate": 1.2}, "service level"),
         ({"service_rate": 0.9, "is_service_rate_optimised": True}, "either"),
         ({"cover_days": -1}, "cover"), ({"review_period_days": 400}, "review"),
         ({"rule": ReplenishmentRule.PERIODIC}, "intervals"),
         ({"cover_days": 20, "reason": " "}, "reason")],
    )  # fmt: skip
    def test_refuses_what_cannot_be(
        self, session: Session, world: WorldP, values: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(InvalidInput, match=words):
            _set(session, world, **values)


class TestShow:
    def test_the_numbers_of_the_last_plan(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        plan_all(session, clock=clock, company=USD)
        session.expire_all()

        found = stocking_of(session, "blue widget")

        assert (found["rule"], found["reorder_point"], found["order_up_to"]) == ("s_S", 1244, 2644)
        assert (world.widget.sku, found["sku"]) == ("WIDGET-A", "WIDGET-A")
