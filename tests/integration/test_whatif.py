"""What a change does to stock, played through on fixture P; hand computations beside the figures.

540 units are available and 300 come on day 4: at 100 a day stock lasts 8.4 days. An order of today
arrives after 7, 9 or 11 days (4, 1 and 4 of the 9 past receipts), so days with something short
before it are 0, 1 and 3: 1.44 on average, plus what the 5 % of the later cycles brings.
"""

from typing import Any

import pytest
from sqlmodel import select

from db.models.audit import AuditEvent
from db.models.planning import Policy
from db.models.stock import StockLevel
from db.session import Database
from db.types import ScopeKind
from tests.conftest import NOW
from tests.factories import make_item
from tests.factories_planning import Desk, make_context
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import InvalidInput
from tools.people.service import access
from tools.simulation.core.scenario import ScenarioRequest
from tools.simulation.service import whatif
from tools.simulation.tool import simulate_scenario


@pytest.fixture
def desk(sqlite_database: Database) -> Desk:
    return Desk(sqlite_database)


def _ask(desk: Desk, **arguments: Any) -> Any:
    envelope: Any = desk.call(simulate_scenario, **arguments)
    return envelope


def _played(desk: Desk, **arguments: Any) -> Any:
    if not arguments.keys() & {"category", "supplier", "everything"}:
        arguments["sku"] = "WIDGET-A"
    envelope = _ask(desk, **arguments)
    assert envelope["ok"], envelope
    return envelope["data"]["simulation"]


class TestWhatItSays:
    """The effect of each kind of change."""

    def test_the_order_of_today_comes_too_late_as_computed_by_hand(self, desk: Desk) -> None:
        baseline = _played(desk)["baseline"]

        assert 1.2 < baseline["stockout_days"] < 2.2
        assert 0.95 < baseline["fill_rate"] < 1

    def test_without_a_change_nothing_differs(self, desk: Desk) -> None:
        found = _played(desk)

        assert found["baseline"] == found["scenario"]
        assert found["delta"]["cost"] == found["delta"]["cost_low"] == "0.00"
        assert found["unprepared"]["stockout_days"] == 0

    def test_a_week_more_lead_time_leaves_the_gap_a_week_longer(self, desk: Desk) -> None:
        # orders arrive after 14, 16, 18 days: 6, 8, 10 days short, 8.0 on average less 1.44
        delta = _played(desk, lead_time_change_days=7)["delta"]

        assert delta["stockout_days"] == pytest.approx(6.56, abs=0.8)
        assert delta["fill_rate"] < 0

    def test_open_orders_a_week_late(self, desk: Desk) -> None:
        # 540 last 5.4 days: short on days 5.. until 7, 9, 11 is 2, 4, 6: 4.0 on average less 1.44
        found = _played(desk, supply_delay_days=7)

        assert found["delta"]["stockout_days"] == pytest.approx(2.56, abs=0.5)

    def test_a_dearer_purchase_costs_its_share_more_and_serves_alike(self, desk: Desk) -> None:
        found = _played(desk, price_change_pct=10)

        before, after = (float(found[s]["purchases"]) for s in ("baseline", "scenario"))
        assert after == pytest.approx(1.1 * before, rel=0.005)
        assert found["delta"]["stockout_days"] == 0
        held = [float(found[s]["cost"]["holding"]) for s in ("baseline", "scenario")]
        assert held[1] == pytest.approx(1.1 * held[0], rel=0.005)

    def test_a_larger_minimum_orders_less_often_and_holds_more(self, desk: Desk) -> None:
        delta = _played(desk, moq=5000)["delta"]

        assert delta["orders"] < 0
        assert delta["average_inventory"] > 500

    def test_a_higher_service_level_holds_its_safety_stock(self, desk: Desk) -> None:
        # safety stock 344 -> 486 (DOMAIN 1.2): up to 142 more are on hand once orders arrive
        found = _played(desk, service_level=0.99, horizon_days=180)

        assert 90 < found["delta"]["average_inventory"] < 200
        assert found["delta"]["stockout_days"] <= 0

    def test_more_demand_needs_a_plan_that_knows_of_it(self, desk: Desk) -> None:
        found = _played(desk, demand_change_pct=40, horizon_days=120)

        assert found["delta"]["stockout_days"] > 1
        assert found["unprepared"]["stockout_days"] > found["delta"]["stockout_days"]

    def test_a_promotion_far_ahead_leaves_the_first_weeks_alone(self, desk: Desk) -> None:
        found = _played(
            desk, demand_change_pct=40, start="2026-05-03", end="2026-05-16", horizon_days=30
        )

        assert found["delta"]["stockout_days"] == 0


class TestChances:
    """Everybody meets the same demand and the same luck."""

    def test_a_seed_repeats_its_answer(self, desk: Desk) -> None:
        first, again = (_played(desk, demand_change_pct=40, seed=7) for _ in range(2))

        assert first == again
        assert first["seed"] == 7
        assert first["baseline"] != _played(desk, demand_change_pct=40, seed=8)["baseline"]

    def test_the_baseline_does_not_depend_on_the_question(self, desk: Desk) -> None:
        questions: list[dict[str, Any]] = [
            {}, {"demand_change_pct": -30}, {"lead_time_change_days": 20}, {"moq": 9000},
        ]  # fmt: skip
        answers = [_played(desk, **question)["baseline"] for question in questions]

        assert all(answer == answers[0] for answer in answers)

    def test_two_seeds_agree_but_for_chance(self, desk: Desk) -> None:
        one, other = (_played(desk, seed=seed)["baseline"] for seed in (1, 2))

        assert one["stockout_days"] == pytest.approx(other["stockout_days"], abs=0.4)
        assert one["average_inventory"] == pytest.approx(other["average_inventory"], rel=0.05)


class TestScope:
    """One item, a category, what a supplier delivers, everything."""

    @pytest.mark.parametrize("scope", [{"category": "widgets"}, {"supplier": "acme"},
                                       {"everything": True}])  # fmt: skip
    def test_a_scope_of_one_item_says_what_the_item_says(
        self, desk: Desk, scope: dict[str, Any]
    ) -> None:
        envelope = _ask(desk, lead_time_change_days=7, **scope)

        data = envelope["data"]
        assert data["items"] == 1
        assert data["saved"] is False
        assert data["simulation"] == _played(desk, lead_time_change_days=7)
        assert [one["sku"] for one in data["hardest_hit"]] == ["WIDGET-A"]

    def test_what_is_bought_from_others_is_left_out(self, desk: Desk) -> None:
        envelope = _ask(desk, supplier="BOREALIS", lead_time_change_days=7)

        assert envelope["error"] == "insufficient_data"
        assert "1 bought from others" in envelope["message"]

    def test_items_that_cannot_be_planned_are_counted(self, desk: Desk) -> None:
        with desk.database.write() as session:
            bolt = make_item(session, "BOLT-1", "Bolt")
            session.add(
                StockLevel(
                    item_id=bolt.id, location_id=desk.world.main.id, on_hand_units=3,
                    updated_at=NOW,
                )
            )  # fmt: skip

        envelope = _ask(desk, everything=True)

        assert envelope["data"]["left_out"] == {"no forecast": 1}
        assert "1 items left out: no forecast" in envelope["warnings"]

    def test_nobody_sees_beyond_their_work(self, desk: Desk) -> None:
        with desk.database.write() as session:
            make_item(session, "ROSE", "Rose", category="garden")
            access.add_scope(
                session, "pia", ScopeKind.CATEGORY, "garden", clock=FixedClock(NOW),
                by=desk.world.actors["adam"],
            )  # fmt: skip
        desk.context = make_context(desk.database, desk.world.actors["pia"])

        everything, outside = _ask(desk, everything=True), _ask(desk, category="widgets")

        assert everything["error"] == "insufficient_data"
        assert outside["error"] == "not_found"
        assert outside["next"] == "Categories are 'garden'."
        assert "WIDGET" not in str(everything)


class TestBadInput:
    """Errors name the value and what is possible."""

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ({}, "invalid_input", "got none"),
            ({"sku": "WIDGET-A", "everything": True}, "invalid_input", "sku and everything"),
            ({"sku": "NO-SUCH"}, "not_found", "NO-SUCH"),
            ({"supplier": "Nobody"}, "not_found", "Nobody"),
            ({"category": "hats"}, "not_found", "'hats'"),
            ({"category": "wid\x00gets"}, "not_found", "x00"),
            ({"sku": "WIDGET-A", "price_change_pct": -100}, "invalid_input", "-99 to 1,000 %"),
            ({"sku": "WIDGET-A", "supply_delay_days": -1}, "invalid_input", "0 to 365 days"),
            ({"sku": "WIDGET-A", "moq": -5}, "invalid_input", "got -5"),
            ({"sku": "WIDGET-A", "demand_change_pct": 1e9}, "invalid_input", "1000000000.0"),
            ({"sku": "WIDGET-A", "service_level": 95}, "invalid_input", "got 95"),
            ({"sku": "WIDGET-A", "start": "May"}, "invalid_input", "'May'"),
            ({"sku": "WIDGET-A", "horizon_days": 0}, "invalid_input", "horizon_days"),
            ({"sku": "WIDGET-A", "seed": -1}, "invalid_input", "seed"),
            ({"everything": True, "end": "2020-01-01"}, "invalid_input", "2020-01-01"),
        ],
    )
    def test_names_the_value(
        self, desk: Desk, arguments: dict[str, Any], error: str, words: str
    ) -> None:
        envelope = _ask(desk, **arguments)

        assert envelope["error"] == error, envelope
        assert words in envelope["message"]
        assert envelope["next"]

    def test_an_unknown_category_is_told_which_there_are(self, desk: Desk) -> None:
        assert "'widgets'" in _ask(desk, category="hats")["next"]

    def test_more_items_than_anybody_waits_for(self, desk: Desk) -> None:
        with desk.database.read() as session, pytest.raises(InvalidInput, match="1 items"):
            whatif.answer(
                session, whatif.Wanted(), ScenarioRequest(), clock=FixedClock(NOW),
                company=Company(currency="USD"), most_items=0,
            )  # fmt: skip

    def test_money_without_an_exchange_rate_is_left_out_and_said(self, desk: Desk) -> None:
        francs = Company(currency="CHF")
        desk.context = make_context(desk.database, desk.world.actors["paul"], company=francs)

        envelope = _ask(desk, sku="WIDGET-A")

        assert any("'USD'" in warning for warning in envelope["warnings"])
        assert envelope["data"]["simulation"]["baseline"]["cost"]["total"] == "0.00"


def test_writes_nothing(database: Database) -> None:
    desk = Desk(database)
    with database.read() as session:
        before = len(session.exec(select(AuditEvent)).all())

    envelope = _ask(desk, everything=True, demand_change_pct=40, moq=100, service_level=0.99)

    assert envelope["ok"], envelope
    assert "nothing was changed" in envelope["warnings"]
    with database.read() as session:
        policy = session.exec(select(Policy)).one()
        assert (policy.service_rate, policy.reorder_point_units) == (0.95, None)
        assert len(session.exec(select(AuditEvent)).all()) == before


def test_progress_is_told_block_by_block(desk: Desk) -> None:
    told: list[tuple[int, int]] = []

    with desk.database.read() as session:
        whatif.answer(
            session, whatif.Wanted(), ScenarioRequest(), clock=FixedClock(NOW),
            company=Company(currency="USD"), progress=lambda *step: told.append(step),
        )  # fmt: skip

    assert told == [(1, 1)]
