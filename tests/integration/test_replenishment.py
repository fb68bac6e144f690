"""Planning runs, current recommendations, reasons: fixture P and its variations."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session, select

from db.models.catalog import Item, PriceBreak, Supplier, SupplierItem
from db.models.planning import Forecast, PlanningRun, Policy, Recommendation
from db.models.stock import StockLevel
from db.session import Database
from db.types import Action, DemandClass, ItemStatus, OrderState, SafetyStockMethod
from tests.conftest import NOW
from tests.factories import TODAY, add_gloves, day, make_forecast, make_item, make_world_p
from tests.factories_planning import USD, Desk, add_order, make_context
from tools.clock import FixedClock
from tools.replenishment.service import advise, latest_recommendations, plan_all
from tools.replenishment.tool import (
    TOOLS,
    compute_reorder_point,
    explain_recommendation,
    recommend_orders,
)
from tools.stock.tool import get_stock_position


class TestPlanAll:
    def test_fixture_p(self, session: Session, clock: FixedClock) -> None:
        world = make_world_p(session)

        run = plan_all(session, clock=clock, company=USD)

        row = session.exec(select(Recommendation)).one()
        assert (run.item_count, row.run_id) == (1, run.id)
        assert (row.action, row.order_units, row.supplier_id) == (Action.BUY, 1920, world.acme.id)
        assert (row.unit_price_minor, row.amount_minor, row.currency) == (780, 1_497_600, "USD")
        assert (row.inventory_position_units, row.reorder_point_units) == (840, 1244)
        assert row.projected_stockout_on == day(8)
        assert row.latest_order_on == day(8) - timedelta(days=9)
        assert (row.severity, row.days_of_cover) == ("critical", 5.4)
        # 840 - 900 = -60 before the arrival; sigma 208.806, k = -0.2874, G(k) = 0.55898: 116.72
        # units are expected to be missing, at 12.00
        assert row.value_at_risk_minor == pytest.approx(116.72 * 1200, rel=1e-4)
        assert sum(term["value"] for term in row.waterfall) == 1920

    def test_computed_numbers_are_written_into_the_policy(
        self, session: Session, clock: FixedClock
    ) -> None:
        make_world_p(session)

        plan_all(session, clock=clock, company=USD)

        session.expire_all()
        policy = session.exec(select(Policy)).one()
        assert (policy.reorder_point_units, policy.safety_stock_units) == (1244, 344)
        assert (policy.order_up_to_units, policy.version) == (2644, 1)
        assert (policy.lead_time_mean_days, policy.lead_time_sd_days) == (9, 2)
        assert (policy.demand_mean, policy.demand_sd) == (100, 20)
        assert policy.sigma_ltd_units == pytest.approx(208.81)
        assert policy.computed_at == NOW

    def test_an_item_without_policy_gets_the_default(
        self, session: Session, clock: FixedClock
    ) -> None:
        world = make_world_p(session)
        item = make_item(session, "NEW-1", "New one")
        session.add(
            StockLevel(item_id=item.id, location_id=world.main.id, on_hand_units=5, updated_at=NOW)
        )

        plan_all(session, clock=clock, company=USD)

        policy = session.exec(select(Policy).where(Policy.item_id == item.id)).one()
        row = session.exec(select(Recommendation).where(Recommendation.item_id == item.id)).one()
        assert (policy.service_rate, policy.reorder_point_units) == (0.95, None)
        assert row.action == Action.NONE
        assert {"no_forecast", "no_supplier"} <= set(row.flags)

    def test_one_item_alone_gets_the_same_advice_as_in_the_batch(
        self, session: Session, clock: FixedClock
    ) -> None:
        world = make_world_p(session)
        items = [world.widget, *add_gloves(session, world).values()]
        plan_all(session, clock=clock, company=USD)
        batch = {row.item_id: row for row in latest_recommendations(session)}

        for item in items:
            alone = advise(session, item, world.main, clock=clock, company=USD)

            assert alone.inputs == batch[item.id].inputs
            assert alone.waterfall == batch[item.id].waterfall

    def test_planning_twice_keeps_both_runs(self, session: Session, clock: FixedClock) -> None:
        make_world_p(session)

        plan_all(session, clock=clock, company=USD)
        plan_all(session, clock=clock, company=USD)

        rows = session.exec(select(Recommendation)).all()
        assert [row.order_units for row in rows] == [1920, 1920]
        assert len(session.exec(select(Policy)).all()) == 1

    def test_the_number_of_queries_does_not_grow_with_the_items(
        self, sqlite_database: Database, clock: FixedClock
    ) -> None:
        def queries() -> int:
            sent: list[str] = []

            def count(*arguments: Any) -> None:
                sent.append(arguments[2])

            event.listen(sqlite_database.engine, "before_cursor_execute", count)
            with sqlite_database.write() as session:
                plan_all(session, clock=clock, company=USD)
            event.remove(sqlite_database.engine, "before_cursor_execute", count)
            return len(sent)

        with sqlite_database.write() as session:
            world = make_world_p(session)
        few = queries()
        with sqlite_database.write() as session:
            add_gloves(session, world)

        assert queries() == few

    def test_an_empty_database_plans_nothing(self, session: Session, clock: FixedClock) -> None:
        assert plan_all(session, clock=clock, company=USD).item_count == 0


class TestAdvice:
    @pytest.fixture
    def session(self, sqlite_database: Database) -> Iterator[Session]:
        with sqlite_database.write() as opened:
            yield opened

    def _advise(self, session: Session, world: Any) -> Recommendation:
        session.flush()
        return advise(session, world.widget, world.main, clock=FixedClock(NOW), company=USD)

    def test_above_the_reorder_point_nothing_is_ordered(self, session: Session) -> None:
        world = make_world_p(session)
        session.exec(select(StockLevel)).one().on_hand_units = 1100

        row = self._advise(session, world)  # position 1320 > 1244

        assert (row.action, row.order_units) == (Action.NONE, 0)
        assert sum(term["value"] for term in row.waterfall) == 0

    def test_a_receipt_that_comes_too_late_is_to_be_hurried(self, session: Session) -> None:
        world = make_world_p(session)
        add_order(session, world, units=2000, state=OrderState.CONFIRMED, promise_on=day(20))

        row = self._advise(session, world)  # position 2840, but nothing between day 8.4 and 20

        assert (row.action, row.order_units, row.severity) == (Action.EXPEDITE, 0, "critical")

    def test_own_drafts_are_not_advised_again(self, session: Session) -> None:
        world = make_world_p(session)
        add_order(session, world)

        row = self._advise(session, world)

        assert (row.action, row.order_units) == (Action.NONE, 0)
        assert "own_draft_counted" in row.flags
        assert row.inventory_position_units == 840

    def test_the_order_value_below_the_suppliers_minimum_is_flagged(self, session: Session) -> None:
        world = make_world_p(session)
        world.acme.min_order_value_minor = 2_000_000

        assert "below_minimum_order_value" in self._advise(session, world).flags

    def test_the_suppliers_maximum_limits_the_order(self, session: Session) -> None:
        world = make_world_p(session)
        world.borealis.is_active = False
        offer = session.exec(
            select(SupplierItem).where(SupplierItem.supplier_id == world.acme.id)
        ).one()
        offer.max_units = 1000

        row = self._advise(session, world)

        assert (row.order_units, row.unit_price_minor) == (960, 800)
        assert "limited_by_supplier_maximum" in row.flags
        assert sum(term["value"] for term in row.waterfall) == 960

    def test_shelf_life_limits_the_order(self, session: Session) -> None:
        world = make_world_p(session)
        world.widget.shelf_life_days = 20  # sells 2000 in that time; 840 are there or coming

        assert self._advise(session, world).order_units == 1080  # 1160 in multiples of 120

    def test_a_price_break_is_taken_within_twice_the_cover(self, session: Session) -> None:
        world = make_world_p(session)
        step = session.exec(select(PriceBreak).where(PriceBreak.min_units == 5040)).one()
        step.min_units = 2400

        row = self._advise(session, world)

        # saves 0.20 * 2400 = 480; holds 0.25 * 7.60 * (2400**2 - 1920**2) / 73000 = 54
        assert (row.order_units, row.unit_price_minor) == (2400, 760)
        assert row.waterfall[-1] == {
            "label": "raised to the price break", "value": 480, "source": "Acme",
        }  # fmt: skip

    def test_an_unapproved_supplier_is_never_chosen(self, session: Session) -> None:
        world = make_world_p(session)
        world.acme.is_approved = False

        row = self._advise(session, world)

        assert row.supplier_id == world.borealis.id
        assert row.inputs["lead_time_days"] == 21

    @pytest.mark.parametrize("status", [ItemStatus.PHASE_OUT, ItemStatus.DISCONTINUED])
    def test_an_item_on_its_way_out_is_not_bought(
        self, session: Session, status: ItemStatus
    ) -> None:
        world = make_world_p(session)
        world.widget.status = status

        row = self._advise(session, world)

        assert row.order_units == 0
        assert "not_bought_any_more" in row.flags

    def test_nightly_review_protects_one_day_more(self, session: Session) -> None:
        world = make_world_p(session)
        session.exec(select(Policy)).one().review_period_days = 1

        row = self._advise(session, world)

        # 1000 + 1.6449 * sqrt(10 * 400 + 40000) = 1345.03
        assert row.reorder_point_units == 1346

    def test_a_rising_forecast_moves_the_reorder_point(self, session: Session) -> None:
        world = make_world_p(session)
        forecast = session.exec(select(Forecast)).one()
        forecast.mean = [60.0 + 10 * i for i in range(60)]  # 60 + ... + 140 = 900 in 9 days

        row = self._advise(session, world)

        assert row.reorder_point_units == 1244
        assert row.inputs["order_up_to"] == 1244 + sum(60 + 10 * i for i in range(9, 23))

    def test_an_older_forecast_is_read_from_today_on(self, session: Session) -> None:
        world = make_world_p(session)
        forecast = session.exec(select(Forecast)).one()
        forecast.mean = [1000.0, 1000.0] + [100.0] * 58
        session.flush()
        clock = FixedClock(NOW + timedelta(days=2))

        row = advise(session, world.widget, world.main, clock=clock, company=USD)

        assert row.inputs["lead_time_demand"] == 900

    def test_spare_parts_take_the_poisson_table(self, session: Session) -> None:
        world = make_world_p(session)
        item = make_item(session, "SPARE-77", "Spare 77")
        session.add(
            SupplierItem(
                supplier_id=world.acme.id, item_id=item.id, unit_price_minor=100,
                quoted_lead_time_days=10,
            )
        )  # fmt: skip
        forecast = make_forecast(
            session, item, world.main, mean=0.25, sd=0.5, demand_class=DemandClass.INTERMITTENT
        )
        forecast.adi = 4.0
        session.add(Policy(item_id=item.id, location_id=world.main.id, review_period_days=0))
        session.flush()

        row = advise(session, item, world.main, clock=FixedClock(NOW), company=USD)

        # supplier's 9 receipts: 9 +- 2 days; mean 2.25, variance 9 * 0.25 + (0.25 * 2)**2 = 2.5
        assert row.inputs["distribution"] == "negative_binomial"
        assert row.reorder_point_units == 5
        assert "count_distribution" in row.flags

    def test_without_a_planning_run_the_empirical_method_falls_back(self, session: Session) -> None:
        world = make_world_p(session)
        session.exec(select(Policy)).one().method = SafetyStockMethod.EMPIRICAL

        row = self._advise(session, world)  # the factory stores no quantiles

        assert (row.reorder_point_units, row.inputs["distribution"]) == (1244, "normal")

    def test_the_empirical_method_reads_the_totals_quantile(self, session: Session) -> None:
        world = make_world_p(session)
        session.exec(select(Policy)).one().method = SafetyStockMethod.EMPIRICAL
        forecast = session.exec(select(Forecast)).one()
        forecast.total_quantiles = {"days": [9], "0.5": [900.0], "0.95": [998.7], "0.99": [1040.0]}

        row = self._advise(session, world)

        # hypot(98.7, 1.6449 * 200 = 328.97) = 343.46
        assert (row.reorder_point_units, row.inputs["distribution"]) == (1244, "empirical")


class TestRecommendOrders:
    def _ask(self, desk: Desk, **arguments: Any) -> Any:
        return desk.call(recommend_orders, **arguments)

    def _plan(self, desk: Desk) -> PlanningRun:
        with desk.database.write() as session:
            return plan_all(session, clock=desk.context.clock, company=USD)

    def test_reads_the_stored_run_of_today(self, database: Database) -> None:
        desk = Desk(database)
        self._plan(desk)

        envelope = self._ask(desk)

        line = envelope["data"]["lines"][0]
        assert (line["rec_id"], line["quantity"], line["amount"]) == ("R-1", 1920, "14976.00")
        assert (line["stockout_in_days"], line["arrival_in_days"]) == (8.4, 9)
        assert envelope["data"]["total_amount"] == "14976.00"
        assert envelope["warnings"] == []
        assert envelope["refs"] == ["R-1"]

    def test_without_a_run_it_advises_afresh_and_says_so(self, sqlite_database: Database) -> None:
        envelope = self._ask(Desk(sqlite_database))

        line = envelope["data"]["lines"][0]
        assert (line["rec_id"], line["quantity"]) == (None, 1920)
        assert "no planning run of today" in envelope["warnings"][0]

    @pytest.mark.parametrize(
        "state", [OrderState.DRAFT, OrderState.PENDING_APPROVAL, OrderState.SENT]
    )
    def test_what_was_drafted_since_is_not_recommended_again(
        self, sqlite_database: Database, state: OrderState
    ) -> None:
        desk = Desk(sqlite_database)
        self._plan(desk)
        with sqlite_database.write() as session:
            add_order(session, desk.world, state=state)

        envelope = self._ask(desk)

        assert envelope["data"]["lines"] == []
        assert envelope["data"]["items_without_need"] == 1
        assert envelope["data"]["total_amount"] == "0.00"
        assert "recomputed" in envelope["warnings"][0]

    def test_a_cancelled_draft_brings_the_need_back(self, sqlite_database: Database) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            order = add_order(session, desk.world)
            number = order.id
        self._plan(desk)
        assert self._ask(desk)["data"]["lines"] == []
        with sqlite_database.write() as session:
            session.get_one(type(order), number).state = OrderState.CANCELLED

        assert self._ask(desk)["data"]["lines"][0]["quantity"] == 1920

    def test_a_run_of_yesterday_is_not_used(self, sqlite_database: Database) -> None:
        desk = Desk(sqlite_database)
        self._plan(desk)
        tomorrow = FixedClock(NOW + timedelta(days=1))
        context = make_context(sqlite_database, desk.world.actors["paul"], clock=tomorrow)

        envelope: Any = recommend_orders.call(context, {})

        assert envelope["data"]["lines"][0]["rec_id"] is None

    def test_a_changed_policy_recomputes_its_item(self, sqlite_database: Database) -> None:
        desk = Desk(sqlite_database)
        self._plan(desk)
        with sqlite_database.write() as session:
            policy = session.exec(select(Policy)).one()
            policy.service_rate, policy.version = 0.99, 2

        line = self._ask(desk)["data"]["lines"][0]

        assert line["reorder_point"] == 1386  # 900 + 2.3263 * 208.81 = 1385.8

    def test_lists_by_value_at_risk_and_by_supplier(self, sqlite_database: Database) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            gloves = add_gloves(session, desk.world)
            for sku in ("GLOVE-M", "WIPES"):
                level = session.exec(
                    select(StockLevel).where(StockLevel.item_id == gloves[sku].id)
                ).one()
                level.on_hand_units = 1

        everything = self._ask(desk)["data"]
        medline = self._ask(desk, supplier="Medline", limit=1)["data"]

        assert everything["lines"][0]["sku"] == "WIDGET-A"
        assert everything["total_lines"] == 3
        assert medline["total_lines"] == 2
        assert len(medline["lines"]) == 1
        assert {line["supplier"] for line in medline["lines"]} == {"Medline"}

    def test_a_missing_exchange_rate_is_flagged_not_invented(
        self, sqlite_database: Database
    ) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            session.get_one(Supplier, desk.world.acme.id).currency = "JPY"
            session.get_one(Supplier, desk.world.borealis.id).is_active = False

        envelope = self._ask(desk)

        data, note = envelope["data"], envelope["warnings"][-1]
        assert "no_exchange_rate" in data["lines"][0]["flags"]
        assert (data["lines"][0]["currency"], data["total_amount"]) == ("JPY", None)
        assert "no exchange rate for 'JPY'" in note

    def test_a_supplier_whose_price_cannot_be_compared_is_the_last_resort(
        self, sqlite_database: Database
    ) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            session.get_one(Supplier, desk.world.acme.id).currency = "JPY"

        line = self._ask(desk)["data"]["lines"][0]

        assert (line["supplier"], line["currency"]) == ("Borealis", "USD")

    def test_an_item_in_a_currency_without_rate_has_no_value_at_risk(
        self, sqlite_database: Database
    ) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            session.get_one(Item, desk.world.widget.id).currency = "JPY"

        envelope = self._ask(desk)

        assert envelope["data"]["lines"][0]["value_at_risk"] is None
        assert envelope["data"]["total_amount"] == "14976.00"  # Acme sells in USD
        assert "no exchange rate for 'JPY'" in envelope["warnings"][-1]


class TestExplain:
    def test_fixture_p_adds_up(self, sqlite_database: Database) -> None:
        data: Any = Desk(sqlite_database).call(
            explain_recommendation, sku="WIDGET-A", alternative_quantity=1500
        )["data"]

        values = [(term["label"], term["value"]) for term in data["waterfall"]]
        assert values == [
            ("forecast over 9 days", 900),
            ("safety stock", 344),
            ("cover of 14 days", 1400),
            ("on hand", -620),
            ("allocated", 80),
            ("on order", -300),
            ("rounding to multiples of 120", 116),
        ]
        assert data["total"] == data["quantity"] == 1920
        assert data["inputs"]["need"] == 1804
        assert data["inputs"]["cover_after_order"] == 15.2
        other = data["alternatives"][0]
        assert (other["quantity"], other["packs"], other["pack_uom"]) == (1560, 13, "case")
        assert (other["unit_price"], other["amount"]) == ("7.80", "12168.00")
        assert other["cover_days"] == 11.6

    def test_a_drafted_recommendation_is_still_explained(self, database: Database) -> None:
        desk = Desk(database)
        with database.write() as session:
            plan_all(session, clock=desk.context.clock, company=USD)
            add_order(session, desk.world, state=OrderState.PENDING_APPROVAL)

        envelope: Any = desk.call(explain_recommendation, sku="WIDGET-A")

        assert (envelope["data"]["rec_id"], envelope["data"]["quantity"]) == ("R-1", 1920)
        assert envelope["data"]["covered_by"] == [
            {"po": "PO-2001", "quantity": 1920, "state": "pending_approval"}
        ]
        assert "PO-2001" in envelope["warnings"][0]

    def test_without_a_run_a_draft_is_explained_as_if_it_were_not_there(
        self, sqlite_database: Database
    ) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            add_order(session, desk.world)

        data: Any = desk.call(explain_recommendation, sku="WIDGET-A")["data"]

        assert (data["quantity"], data["covered_by"][0]["po"]) == (1920, "PO-2001")

    def test_after_sending_nothing_is_ordered_and_the_terms_say_so(
        self, sqlite_database: Database
    ) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            add_order(session, desk.world, state=OrderState.SENT)

        data: Any = desk.call(explain_recommendation, sku="WIDGET-A")["data"]

        assert (data["quantity"], data["total"]) == (0, 0)
        assert data["action"] == "expedite"  # it lands on day 9, the shelf is empty from day 8.4

    def test_a_stored_recommendation_keeps_its_numbers(self, sqlite_database: Database) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            plan_all(session, clock=desk.context.clock, company=USD)
        with sqlite_database.write() as session:
            session.exec(select(StockLevel)).one().on_hand_units = 5

        stored: Any = desk.call(explain_recommendation, rec_id="R-1")["data"]
        fresh: Any = desk.call(explain_recommendation, sku="WIDGET-A")["data"]

        assert (stored["quantity"], stored["inputs"]["on_hand"]) == (1920, 620)
        assert (fresh["rec_id"], fresh["inputs"]["on_hand"]) == (None, 5)

    def test_a_recommendation_of_an_earlier_version_is_still_explained(
        self, sqlite_database: Database
    ) -> None:
        desk = Desk(sqlite_database)
        added = {"location", "unrated", "is_value_known", "set_aside"}
        with sqlite_database.write() as session:
            plan_all(session, clock=desk.context.clock, company=USD)
            row = session.exec(select(Recommendation)).one()
            row.inputs = {k: v for k, v in row.inputs.items() if k not in added}

        why: Any = desk.call(explain_recommendation, rec_id="R-1")
        line: Any = desk.call(recommend_orders)["data"]

        assert why["data"]["quantity"] == line["lines"][0]["quantity"] == 1920

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [({}, "invalid_input"), ({"rec_id": "R-1", "sku": "WIDGET-A"}, "invalid_input"),
         ({"rec_id": "12x"}, "invalid_input"), ({"rec_id": "R-99"}, "not_found"),
         ({"sku": "NOPE-1"}, "not_found")],
    )  # fmt: skip
    def test_refuses_what_it_cannot_find(
        self, sqlite_database: Database, arguments: dict[str, Any], code: str
    ) -> None:
        envelope = Desk(sqlite_database).call(explain_recommendation, **arguments)

        assert envelope["error"] == code


class TestComputeReorderPoint:
    def _ask(self, database: Database, **arguments: Any) -> Any:
        return Desk(database).call(compute_reorder_point, sku="WIDGET-A", **arguments)

    def test_fixture_p(self, database: Database) -> None:
        data = self._ask(database)["data"]

        assert (data["reorder_point"], data["safety_stock"], data["order_up_to"]) == (
            1244, 344, 2644,
        )  # fmt: skip
        assert data["sigma_ltd"] == 208.81
        assert data["lead_time"] == {"mean": 9, "sd": 2, "n": 9, "source": "item"}
        assert [term["value"] for term in data["terms"]] == [900, 344, 1244]

    @pytest.mark.parametrize(
        ("change", "point"),
        [({"review_days": 7}, 1955), ({"method": "additive"}, 1328),
         ({"method": "demand_only"}, 999), ({"service_level": 0.99}, 1386)],
    )  # fmt: skip
    def test_what_if(self, sqlite_database: Database, change: dict[str, Any], point: int) -> None:
        # 1600 + 354.31; 900 + 427.66; 900 + 98.69; 900 + 2.3263 * 208.81
        assert self._ask(sqlite_database, **change)["data"]["reorder_point"] == point

    def test_fill_rate_is_another_measure(self, sqlite_database: Database) -> None:
        data = self._ask(sqlite_database, service_level=0.98, measure="fill_rate")["data"]

        assert (data["measure"], data["reorder_point"]) == ("fill_rate", 1051)

    @pytest.mark.parametrize("level", [0, 1, 98, -0.5])
    def test_refuses_a_level_that_is_no_probability(
        self, sqlite_database: Database, level: float
    ) -> None:
        envelope = self._ask(sqlite_database, service_level=level)

        assert (envelope["ok"], envelope["error"]) == (False, "invalid_input")

    def test_says_what_is_missing(self, sqlite_database: Database) -> None:
        desk = Desk(sqlite_database)
        with sqlite_database.write() as session:
            item = make_item(session, "NEW-1", "New one")
            other = make_item(session, "NEW-2", "Another one")
            make_forecast(session, other, desk.world.main)
            assert item.id

        no_forecast = desk.call(compute_reorder_point, sku="NEW-1")
        no_supplier = desk.call(compute_reorder_point, sku="NEW-2")

        assert (no_forecast["error"], no_supplier["error"]) == ("insufficient_data",) * 2
        assert "forecast" in str(no_forecast["message"])
        assert "nobody sells" in str(no_supplier["message"])


def test_the_same_question_gives_the_same_number_on_every_tool(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    with sqlite_database.write() as session:
        plan_all(session, clock=desk.context.clock, company=USD)

    stock: Any = desk.call(get_stock_position, sku="WIDGET-A")["data"]
    policy: Any = desk.call(compute_reorder_point, sku="WIDGET-A")["data"]
    listed: Any = desk.call(recommend_orders, sku="WIDGET-A")["data"]
    line = listed["lines"][0]
    why: Any = desk.call(explain_recommendation, sku="WIDGET-A")["data"]

    points = {stock["reorder_point"], policy["reorder_point"], line["reorder_point"]}
    assert points | {why["inputs"]["reorder_point"]} == {1244}
    assert {stock["inventory_position"], line["inventory_position"]} == {840}
    assert line["quantity"] == why["quantity"]
    assert stock["stockout_in_days"] == line["stockout_in_days"]


def test_a_question_about_one_item_is_quick(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)
    for tool in (get_stock_position, compute_reorder_point):
        desk.call(tool, sku="WIDGET-A")
        started = time.process_time()
        desk.call(tool, sku="WIDGET-A")

        assert time.process_time() - started < 0.15  # 15 ms on a quiet machine


def test_read_tools_write_nothing(sqlite_database: Database) -> None:
    desk = Desk(sqlite_database)

    for tool in TOOLS:
        assert tool.effect == "read"
    desk.call(recommend_orders)

    with sqlite_database.read() as session:
        assert session.exec(select(Recommendation)).all() == []
        assert session.exec(select(Item)).one().sku == "WIDGET-A"
        assert session.exec(select(Policy)).one().computed_at is None
        assert NOW.date() == TODAY
