"""What the database knows about closed days, room and rules reaches the plan."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from db.models.catalog import Location
from db.models.demand import DemandEvent
from db.models.planning import Policy, Recommendation
from db.types import EventKind, ReplenishmentRule
from tests.conftest import NOW
from tests.factories import WorldP, day, make_item, make_world_p
from tests.factories_planning import USD, add_order
from tools.clock import FixedClock
from tools.replenishment.core import explanation_view
from tools.replenishment.service import advise, plan_all


@pytest.fixture
def world(session: Session) -> WorldP:
    return make_world_p(session)


def _advise(session: Session, world: WorldP, clock: FixedClock | None = None) -> Recommendation:
    session.flush()
    return advise(session, world.widget, world.main, clock=clock or FixedClock(NOW), company=USD)


def _closure(session: Session, world: WorldP, *, first: int, last: int) -> DemandEvent:
    event = DemandEvent(
        kind=EventKind.CLOSURE, name="Summer", start_on=day(first), end_on=day(last),
        supplier_id=world.acme.id, created_by_id=world.actors["paul"].user_id, created_at=NOW,
    )  # fmt: skip
    session.add(event)
    return event


class TestClosures:
    def test_a_closure_of_the_supplier_is_bridged(self, session: Session, world: WorldP) -> None:
        world.borealis.is_active = False
        _closure(session, world, first=10, last=23)

        row = _advise(session, world)

        assert "closed_days_bridged" in row.flags
        # 23 days instead of 9, as the order of tomorrow would arrive on day 10 + 14
        assert row.inputs["window_days"] == 23
        assert sum(term["value"] for term in row.waterfall) == row.order_units

    def test_a_withdrawn_closure_counts_no_more(self, session: Session, world: WorldP) -> None:
        event = _closure(session, world, first=10, last=23)
        event.withdrawn_at, event.withdrawn_by_id = NOW, world.actors["paul"].user_id

        assert _advise(session, world).inputs["window_days"] == 9

    def test_public_holidays_of_the_supplier_are_no_working_days(
        self, session: Session, world: WorldP
    ) -> None:
        world.borealis.is_active = False
        world.acme.country = "GB-ENG"  # Good Friday 3 April and Easter Monday 6 April 2026
        session.flush()
        clock = FixedClock(NOW + timedelta(days=27))  # 29 March: tomorrow + 9 is 8 April

        assert _advise(session, world, clock).inputs["window_days"] == 11


class TestRoom:
    def _room(self, world: WorldP, units: int) -> None:
        world.widget.volume_ml = 2000
        world.main.storage_ml = units * 2000

    def test_the_store_limits_the_order(self, session: Session, world: WorldP) -> None:
        self._room(world, 1920)  # 620 on hand and 300 on order: room for 1000

        row = _advise(session, world)

        assert row.order_units == 960  # 8 cases of 120
        assert "limited_by_storage" in row.flags

    def test_other_items_take_their_place_also_for_one_alone(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        self._room(world, 1920)
        other = make_item(session, "BULKY", "Bulky")
        other.volume_ml = 20_000
        add_order(session, world, item=other, units=20)

        alone = _advise(session, world)
        plan_all(session, clock=clock, company=USD)

        stored = session.exec(
            select(Recommendation).where(Recommendation.item_id == world.widget.id)
        ).one()
        assert (alone.order_units, stored.order_units) == (720, 720)  # 800 in cases of 120

    def test_a_store_of_unknown_size_limits_nothing(self, session: Session, world: WorldP) -> None:
        world.widget.volume_ml = 2000

        assert _advise(session, world).order_units == 1920
        assert session.exec(select(Location)).one().storage_ml is None


class TestRules:
    @pytest.mark.parametrize("rule", list(ReplenishmentRule))
    def test_alone_as_in_the_batch(
        self, session: Session, world: WorldP, clock: FixedClock, rule: ReplenishmentRule
    ) -> None:
        policy = session.exec(select(Policy)).one()
        policy.rule, policy.review_period_days = rule, 7
        session.flush()

        alone = _advise(session, world)
        plan_all(session, clock=clock, company=USD)

        stored = session.exec(select(Recommendation)).one()
        assert stored.inputs["rule"] == rule.value
        assert (alone.order_units, alone.waterfall) == (stored.order_units, stored.waterfall)

    @pytest.mark.parametrize(("rule", "is_derived"), [("s_S", True), ("s_nQ", False)])
    def test_only_a_plain_need_is_told_as_one_sum(
        self, session: Session, world: WorldP, rule: str, is_derived: bool
    ) -> None:
        session.exec(select(Policy)).one().rule = ReplenishmentRule(rule)

        shown = explanation_view(_advise(session, world), world.widget, None, asked=None)

        assert (shown["inputs"]["need"] is not None) == is_derived
        assert shown["total"] == shown["quantity"]

    def test_an_optimised_service_level_is_shown(self, session: Session, world: WorldP) -> None:
        session.exec(select(Policy)).one().is_service_rate_optimised = True

        row = _advise(session, world)

        assert row.inputs["service_level"] != 0.95


class TestSegments:
    """The shipped service levels: AX 0.98, CZ 0.90, 0.95 without a segment."""

    def _level(self, session: Session, world: WorldP, segment: str) -> float:
        world.widget.abc, world.widget.xyz = segment[:1], segment[1:]
        return float(_advise(session, world).inputs["service_level"])

    @pytest.mark.parametrize(("segment", "level"), [("AX", 0.98), ("CZ", 0.90), ("", 0.95)])
    def test_where_nobody_set_a_level_the_segments_counts(
        self, session: Session, world: WorldP, segment: str, level: float
    ) -> None:
        assert self._level(session, world, segment) == level

    def test_what_a_person_set_stays(self, session: Session, world: WorldP) -> None:
        session.exec(select(Policy)).one().version = 2

        assert self._level(session, world, "CZ") == 0.95

    def test_an_item_without_policy_is_planned_by_its_segment(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        item = make_item(session, "NEW-1", "New one")
        item.abc, item.xyz = "A", "X"
        add_order(session, world, item=item)

        plan_all(session, clock=clock, company=USD)

        row = session.exec(select(Recommendation).where(Recommendation.item_id == item.id)).one()
        assert (row.inputs["service_level"], row.inputs["policy_version"][-2:]) == (0.98, "v1")
