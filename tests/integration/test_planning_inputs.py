"""What planners say about demand: recorded, listed, taken back, scored; and what they may not."""

from datetime import date, timedelta

import pytest
from sqlmodel import Session, col, select

from db.models.audit import AuditEvent
from db.models.catalog import Item
from db.models.demand import DemandCorrection, DemandEvent, ForecastOverride
from db.models.stock import Demand
from db.types import (
    CorrectionKind,
    DemandClass,
    EventKind,
    ForecastBasis,
    ItemStatus,
    ScopeKind,
)
from tests.conftest import NOW
from tests.factories import TODAY, WorldP, day, make_forecast, make_item, make_world_p
from tests.factories_demand import YESTERDAY, make_demand, make_load
from tools.clock import FixedClock
from tools.company import Company
from tools.demand.service import demand_frame
from tools.errors import Conflict, Forbidden, InvalidInput, NotEnoughData, NotFound
from tools.people.service import access
from tools.planning_inputs.core.changes import NewCorrection, NewEvent, NewOverride
from tools.planning_inputs.service import listing, recording
from tools.planning_inputs.service.classes import classify_items
from tools.planning_inputs.service.history import basis_for, demand_history
from tools.planning_inputs.service.reading import read_inputs, supplier_closures
from tools.planning_inputs.service.scoring import score_overrides, track_record_of

USD = Company(currency="USD")
TENDER = day(-18)
FAIR = (day(10), day(20))
MONTH_END = day(27)


@pytest.fixture
def world(session: Session) -> WorldP:
    """Fixture P with 60 days of sales of WIDGET-A: 20 a day and a tender of 900."""
    made = make_world_p(session)
    units = [20, 22, 18] * 20
    units[(TENDER - (YESTERDAY - timedelta(days=59))).days] = 350
    make_demand(session, made.widget, made.main, make_load(session), units=units)
    return made


@pytest.fixture
def clock() -> FixedClock:
    """Stands at NOW until the test moves it."""
    return FixedClock(NOW)


def correct(
    session: Session, world: WorldP, clock: FixedClock, *, by: str = "paul", on: date = TENDER,
    units: int | None = None, reason: str = "tender of the city",
) -> DemandCorrection:  # fmt: skip
    new = NewCorrection("WIDGET-A", on, CorrectionKind.ONE_OFF, units, reason=reason)
    return recording.add_correction(session, new, actor=world.actors[by], clock=clock, company=USD)


def promote(
    session: Session, world: WorldP, *, by: str = "paul", start: date = FAIR[0],
    end: date = FAIR[1], sku: str | None = "WIDGET-A", category: str = "",
    uplift: float | None = 1.4, location: str | None = None,
    kind: EventKind = EventKind.PROMOTION, supplier: str | None = None,
) -> DemandEvent:  # fmt: skip
    new = NewEvent(
        kind, "spring fair", start, end, sku=sku, category=category, location=location,
        supplier=supplier, uplift=uplift, reason="the fair",
    )  # fmt: skip
    return recording.add_event(
        session, new, actor=world.actors[by], clock=FixedClock(NOW), company=USD
    )


def withdraw(session: Session, world: WorldP, row: DemandEvent) -> None:
    recording.take_back(
        session, recording.number_of(row), DemandEvent, reason="rained off",
        actor=world.actors["paul"], clock=FixedClock(NOW),
    )  # fmt: skip


def override(
    session: Session, world: WorldP, clock: FixedClock, *, units: float | None = 22.0,
    start: date = TODAY, end: date = MONTH_END, basis: ForecastBasis = ForecastBasis.OWN,
    sku: str = "WIDGET-A", analog: str | None = None, factor: float | None = None,
) -> ForecastOverride:  # fmt: skip
    new = NewOverride(
        sku, start, end, basis, units_per_day=units, analog_sku=analog, factor=factor,
        reason="the customer said so",
    )  # fmt: skip
    return recording.add_override(
        session, new, actor=world.actors["paul"], clock=clock, company=USD
    )


class TestCorrections:
    def test_a_tender_is_set_aside_and_comes_back_when_undone(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        def means() -> tuple[float, float]:
            found = demand_history(session, world.widget, world.main, clock=clock, company=USD)
            return round(found.history.sold_mean, 1), round(found.history.demand_mean, 1)

        before = means()
        row = correct(session, world, clock)
        after = means()
        recording.take_back(
            session, recording.number_of(row), DemandCorrection, reason="it came again",
            actor=world.actors["pia"], clock=clock,
        )  # fmt: skip

        # 59 days of 20 and one of 350: 1,530 / 60 = 25.5; without it 20 a day
        assert before == (25.5, 25.5)
        assert after == (25.5, 20.0)
        assert means() == before
        assert demand_frame(session)["units"].max() == 350  # what was sold stays as it is
        shown = listing.corrections(session, is_all=True)
        assert [(one["id"], one["is_active"], one["ended_by"]) for one in shown] == [
            (recording.number_of(row), False, "pia")
        ]
        assert listing.corrections(session) == []

    def test_the_trail_says_who_and_why(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        row = correct(session, world, clock)

        found = session.exec(select(AuditEvent).order_by(col(AuditEvent.seq).desc())).first()

        assert found is not None
        assert (found.action, found.object_id) == ("demand.correction_added", f"c-{row.id}")
        assert (found.actor, found.reason) == ("paul", "tender of the city")

    def test_a_day_is_corrected_once(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        row = correct(session, world, clock)

        with pytest.raises(Conflict, match=f"c-{row.id}"):
            correct(session, world, clock, units=5)

    @pytest.mark.parametrize(
        ("on", "units", "reason", "message"),
        [
            (TODAY, None, "x", "is not over"),
            (day(400), None, "x", "is not over"),
            (TODAY.replace(year=1976), None, "x", "more than ten years ago"),
            (TENDER, -3, "x", "-3"),
            (TENDER, 10**12, "x", "1000000000000"),
            (TENDER, None, " \x00 ", "needs a reason"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, session: Session, world: WorldP, clock: FixedClock, on: date, units: int | None,
        reason: str, message: str,
    ) -> None:  # fmt: skip
        with pytest.raises(InvalidInput, match=message):
            correct(session, world, clock, on=on, units=units, reason=reason)

    def test_a_viewer_may_not(self, session: Session, world: WorldP, clock: FixedClock) -> None:
        with pytest.raises(Forbidden):
            correct(session, world, clock, by="vera")

    def test_nor_who_works_with_something_else(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        make_item(session, "GLOVE", "Glove", category="care")
        access.add_scope(
            session, "pia", ScopeKind.CATEGORY, "care", clock=clock, by=world.actors["adam"]
        )
        row = correct(session, world, clock)

        with pytest.raises(Forbidden, match="category"):
            correct(session, world, clock, by="pia", on=day(-3))
        with pytest.raises(Forbidden, match="category"):
            recording.take_back(
                session, f"c-{row.id}", DemandCorrection, reason="x", actor=world.actors["pia"],
                clock=clock,
            )  # fmt: skip

    @pytest.mark.parametrize("number", ["c-999", "e-1", "c-", "c-1x", "x", "c-" + "9" * 30])
    def test_a_number_of_nothing(
        self, session: Session, world: WorldP, clock: FixedClock, number: str
    ) -> None:
        with pytest.raises(NotFound):
            recording.take_back(
                session, number, DemandCorrection, reason="x", actor=world.actors["paul"],
                clock=clock,
            )  # fmt: skip


class TestEvents:
    def test_is_recorded_listed_and_withdrawn(self, session: Session, world: WorldP) -> None:
        row = promote(session, world)
        [shown] = listing.events(session)
        withdraw(session, world, row)

        assert (shown["id"], shown["sku"], shown["uplift"]) == (f"e-{row.id}", "WIDGET-A", 1.4)
        assert read_inputs(session).events == ()
        with pytest.raises(Conflict, match="already"):
            withdraw(session, world, row)

    @pytest.mark.parametrize(("sku", "category"), [("WIDGET-A", ""), (None, "widgets"), (None, "")])
    def test_a_promotion_that_overlaps_itself_is_refused(
        self, session: Session, world: WorldP, sku: str | None, category: str
    ) -> None:
        row = promote(session, world)

        with pytest.raises(Conflict, match="promotion of the same") as refused:
            promote(session, world, sku=sku, category=category, start=day(20), end=day(25))

        assert refused.value.details["id"] == f"e-{row.id}"

    def test_the_next_day_another_item_and_a_withdrawn_one_do_not_overlap(
        self, session: Session, world: WorldP
    ) -> None:
        make_item(session, "MUG", "Mug", category="mugs")
        row = promote(session, world)
        promote(session, world, start=day(21), end=day(25))
        promote(session, world, sku="MUG")
        promote(session, world, sku=None, category="mugs", start=day(30), end=day(31))
        withdraw(session, world, row)

        promote(session, world)

        assert len(read_inputs(session).events) == 4

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            ({"end": day(9)}, "before it starts"),
            ({"end": day(700)}, "more than 400"),
            ({"start": day(1100), "end": day(1101)}, "three years ahead"),
            ({"uplift": 40.0}, "40.0"),
            ({"uplift": -0.1}, "-0.1"),
            ({"uplift": float("nan")}, "nan"),
            ({"category": "widgets"}, "an item or a category"),
            ({"supplier": "ACME"}, "no item, place or uplift"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, session: Session, world: WorldP, said: dict[str, object], message: str
    ) -> None:
        with pytest.raises(InvalidInput, match=message):
            promote(session, world, **said)  # type: ignore[arg-type]

    def test_a_category_that_nothing_has(self, session: Session, world: WorldP) -> None:
        with pytest.raises(NotFound, match="'tea'"):
            promote(session, world, sku=None, category="tea")

    def test_a_supplier_is_closed(self, session: Session, world: WorldP) -> None:
        promote(session, world, sku=None, supplier="ACME", uplift=None, kind=EventKind.CLOSURE)

        assert supplier_closures(session) == {world.acme.id: [(day(10), day(20))]}
        assert supplier_closures(session, [world.borealis.id]) == {}

    def test_who_works_at_one_place_says_nothing_about_all(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        access.add_scope(
            session, "pia", ScopeKind.LOCATION, "MAIN", clock=clock, by=world.actors["adam"]
        )

        with pytest.raises(Forbidden, match="all places"):
            promote(session, world, by="pia")
        assert promote(session, world, by="pia", location="MAIN").location_id == world.main.id


class TestOverrides:
    def test_remembers_what_the_forecast_said(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        row = override(session, world, clock)

        assert row.system_units_per_day == 100  # fixture P
        assert listing.overrides(session)[0]["units_per_day"] == 22

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            ({"units": None}, "needs its figure"),
            ({"units": -1.0}, "-1.0"),
            ({"units": float("inf")}, "inf"),
            ({"start": day(-9), "end": day(-2)}, "before today"),
            ({"end": day(900)}, "more than 400"),
            ({"basis": ForecastBasis.ANALOG, "units": None}, "needs the item"),
            ({"basis": ForecastBasis.ANALOG, "analog": "WIDGET-A"}, "not given together"),
            ({"basis": ForecastBasis.CATEGORY, "units": None, "factor": 0.0}, "0.0"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, session: Session, world: WorldP, clock: FixedClock, said: dict[str, object],
        message: str,
    ) -> None:  # fmt: skip
        with pytest.raises(InvalidInput, match=message):
            override(session, world, clock, **said)  # type: ignore[arg-type]

    def test_an_analog_needs_a_forecast(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        make_item(session, "NOVA-LAMP", "Nova lamp", category="lamps")
        make_item(session, "OLD-LAMP", "Old lamp", category="lamps")
        like = {"sku": "NOVA-LAMP", "units": None, "basis": ForecastBasis.ANALOG}

        row = override(session, world, clock, analog="WIDGET-A", factor=0.6, **like)  # type: ignore[arg-type]

        assert row.analog_factor == 0.6
        with pytest.raises(NotEnoughData, match="OLD-LAMP"):
            override(session, world, clock, analog="OLD-LAMP", **like)  # type: ignore[arg-type]

    def test_is_scored_when_it_is_over(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        # 20 a day before and 30 a day while it lasts; the forecast said 100, the planner 22, 50, 28
        good, bad = override(session, world, clock, units=22), override(session, world, clock)
        assert score_overrides(session, clock=clock, company=USD) == 0  # not over
        make_demand(
            session, world.widget, world.main, make_load(session), units=[30] * 28, until=day(27)
        )
        bad.system_units_per_day = 29.0
        clock.at = NOW + timedelta(days=28)

        assert score_overrides(session, clock=clock, company=USD) == 2
        assert score_overrides(session, clock=clock, company=USD) == 0

        # naive: the mean of the 28 days before, 27 of about 20 and the tender of 350
        before = demand_frame(session, start=day(-28), end=YESTERDAY)["units"].mean()
        assert good.score["naive_error"] == pytest.approx(abs(30 - before), abs=0.001)
        assert good.score["override_error"] == 8
        assert good.score["system_error"] == 70
        assert (good.score["fva_override"], good.score["verdict"]) == (62, "better")
        assert (bad.score["fva_override"], bad.score["verdict"]) == (-7, "worse")
        assert track_record_of(session, world.widget.id, world.main.id) == (
            "accuracy of past overrides on this item: 1 of 2 made the forecast worse"
        )


class TestBasis:
    def test_the_category_stands_for_a_new_item(self, session: Session, world: WorldP) -> None:
        nova = make_item(session, "NOVA", "Nova", category="lamps")
        for sku, mean in (("L1", 2.0), ("L2", 4.0), ("L3", 9.0)):
            lamp = make_item(session, sku, sku, category="lamps")
            make_forecast(session, lamp, world.main, mean=mean)

        found = basis_for(session, nova, world.main)

        assert found.basis is ForecastBasis.CATEGORY
        assert found.profile.mean.tolist() == pytest.approx([4.0] * 28)  # the median item
        assert found.because == "the median of 3 items of 'lamps'"

    def test_too_few_alike_is_said(self, session: Session, world: WorldP) -> None:
        nova = make_item(session, "NOVA", "Nova", category="lamps")

        with pytest.raises(NotEnoughData, match="only 0 items"):
            basis_for(session, nova, world.main)

    def test_a_share_of_a_similar_item(self, session: Session, world: WorldP) -> None:
        nova = make_item(session, "NOVA", "Nova", category="lamps")

        found = basis_for(session, nova, world.main, analog=world.widget, factor=0.6)

        assert found.profile.mean.tolist() == [60.0] * 28  # 60 % of 100 a day
        with pytest.raises(InvalidInput, match="above 0"):
            basis_for(session, nova, world.main, analog=world.widget, factor=0.0)


class TestClasses:
    def test_sorts_and_stores_in_bulk(self, session: Session, world: WorldP) -> None:
        load = make_load(session)
        cheap = make_item(session, "CHEAP", "Cheap", unit_cost_minor=1)
        wild = make_item(session, "WILD", "Wild", unit_cost_minor=100)
        make_item(session, "NEVER", "Never")
        make_demand(session, cheap, world.main, load, units=[5] * 70)
        make_demand(
            session, wild, world.main, load, units=[350 if k == 0 else 0 for k in range(70)]
        )

        counts = classify_items(session, until=YESTERDAY, company=USD)

        # usage value: widget 1,530 x 7.80 = 11,934; wild 350 x 1.00 = 350; cheap 350 x 0.01 = 3.50.
        # The widget is 97 % of it alone. Weekly CV: 5 a day does not vary, one sale in ten weeks 3
        session.expire_all()
        found = {i.sku: i.abc + i.xyz for i in session.exec(select(Item))}
        assert found == {"WIDGET-A": "AY", "WILD": "CZ", "CHEAP": "CX", "NEVER": "CZ"}
        assert dict(counts.items) == {"AY": 1, "CZ": 2, "CX": 1}
        assert counts.changed == 4
        assert classify_items(session, until=YESTERDAY, company=USD).changed == 0


class TestHistory:
    def test_days_out_of_stock_are_re_estimated_and_named(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        rows = session.exec(select(Demand).order_by(col(Demand.on).desc())).all()
        for row in rows[:6]:
            row.units, row.is_in_stock = 0, False
        session.flush()

        found = demand_history(session, world.widget, world.main, clock=clock, company=USD)

        last = found.history.periods[-1]
        assert (last.sold, last.is_in_stock) == (0, False)
        assert last.demand == pytest.approx(20, abs=4)
        assert last.flags == ("out of stock: at least what was sold",)
        assert found.history.out_of_stock_rate == 0.1  # 6 of 60 days
        assert found.history.demand_class is DemandClass.ERRATIC  # the tender: CV2 of 0.5 and more

    def test_the_history_of_a_replaced_item_is_joined(
        self, session: Session, world: WorldP, clock: FixedClock
    ) -> None:
        heir = make_item(session, "WIDGET-B", "Widget B")
        world.widget.superseded_by_id, world.widget.status = heir.id, ItemStatus.PHASE_OUT
        session.flush()

        found = demand_history(session, heir, world.main, clock=clock, company=USD)

        assert found.history.observed_days == 60
        assert found.notes == ("its history holds that of WIDGET-A, which it replaced",)

    @pytest.mark.parametrize("units", [[], [0, 0, 0]])
    def test_nothing_was_sold(
        self, session: Session, world: WorldP, clock: FixedClock, units: list[int]
    ) -> None:
        mug = make_item(session, "MUG", "Mug")
        make_demand(session, mug, world.main, make_load(session), units=units)

        with pytest.raises(NotEnoughData, match="no sale") as refused:
            demand_history(session, mug, world.main, clock=clock, company=USD)

        assert "similar item" in refused.value.next_step

    def test_one_sale_is_new(self, session: Session, world: WorldP, clock: FixedClock) -> None:
        mug = make_item(session, "MUG", "Mug")
        make_demand(session, mug, world.main, make_load(session), units=[3])

        found = demand_history(session, mug, world.main, clock=clock, company=USD)

        assert found.history.demand_class is DemandClass.NEW
        assert found.history.observed_days == 1
