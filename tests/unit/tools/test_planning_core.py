"""The planning pass on whole arrays: what holds for every case, however odd."""

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.types import Action, DemandClass, SafetyStockMethod, ServiceMeasure
from tools.cases.core import Case, Outlook, Settings
from tools.offers.core import LeadTime, Offer
from tools.planning.core.advice import Advice, advise_cases
from tools.planning.core.explanation import alternative
from tools.planning.core.tables import Change, position_key
from tools.planning.core.views import missing_notes
from tools.positions.core import OpenReceipt, StockPosition

TODAY = date(2026, 3, 2)
RATES = {"USD": 1_000_000}


def _offer(**changes: Any) -> Offer:
    values: dict[str, Any] = {
        "supplier_id": 1, "item_id": 1, "supplier_code": "ACME", "supplier_name": "Acme",
        "currency": "USD", "unit_price_minor": 800, "moq_units": 500, "order_multiple_units": 120,
        "pack_uom": "case", "pack_units": 120, "order_cost_minor": 35_000, "is_preferred": True,
        "breaks": ((1000, 780), (5040, 760)),
    }  # fmt: skip
    return Offer(**(values | changes))


def _case(**changes: Any) -> Case:
    """Fixture P."""
    receipt = OpenReceipt(
        1, "PO-1042", "confirmed", 300, TODAY + timedelta(days=4), None, is_confirmed=True
    )
    outlook = Outlook(
        forecast_id=1, run_id=1, model="median", demand_class=DemandClass.SMOOTH,
        as_of_on=TODAY - timedelta(days=1), mean=[100.0] * 60,
        total_sd={"days": [1, 9], "sd": [20.0, 60.0]}, total_quantiles={},
    )  # fmt: skip
    values: dict[str, Any] = {
        "item_id": 1, "location_id": 1, "sku": "WIDGET-A", "name": "Widget A", "uom": "each",
        "location": "MAIN", "currency": "USD", "unit_value_minor": 1200, "unit_cost_minor": 780,
        "position": StockPosition(1, 1, 620, allocated_units=80, receipts=(receipt,)),
        "settings": Settings(review_days=0), "outlook": outlook,
        "offers": ((_offer(), LeadTime(9.0, 2.0, 9, "item")),),
    }  # fmt: skip
    return Case(**(values | changes))


def _advise(*cases: Case, change: Change | None = None) -> list[Advice]:
    return advise_cases(
        cases, today=TODAY, rates_micro=RATES, carrying_rate=0.25, change=change or Change()
    )


def test_fixture_p() -> None:
    (advice,) = _advise(_case())

    assert (advice.action, advice.quantity, advice.amount_minor) == (Action.BUY, 1920, 1_497_600)
    assert advice.inputs["stockout_in_days"] == 8.4
    assert advice.flags == ["stockout_before_arrival"]


def test_no_cases_give_no_advice() -> None:
    assert _advise() == []


def test_a_case_does_not_depend_on_its_neighbours() -> None:
    cases = [_case(), _case(outlook=None), _case(offers=()), _case(settings=Settings())]

    assert [a.inputs for a in _advise(*cases)] == [_advise(case)[0].inputs for case in cases]


def test_among_suppliers_the_landed_cost_decides_with_two_percent_for_the_preferred() -> None:
    acme = (_offer(breaks=(), unit_price_minor=1000), LeadTime(9.0, 2.0, 9, "item"))
    terms: dict[str, Any] = {
        "breaks": (), "supplier_id": 2, "supplier_code": "OTHER", "is_preferred": False,
    }  # fmt: skip
    near = (_offer(unit_price_minor=990, **terms), LeadTime(9.0, 2.0, 9, "item"))
    cheap = (_offer(unit_price_minor=960, **terms), LeadTime(9.0, 2.0, 9, "item"))

    kept, changed = _advise(_case(offers=(acme, near)), _case(offers=(acme, cheap)))

    assert kept.inputs["supplier_code"] == "ACME"
    assert changed.inputs["supplier_code"] == "OTHER"


def test_a_promotion_counts_only_in_its_days() -> None:
    change = Change(demand_factor=2.0, first_day=0, last_day=2)  # 3 days of +100

    (advice,) = _advise(_case(), change=change)

    assert advice.inputs["lead_time_demand"] == 1200


def test_below_the_reorder_point_the_order_is_due_today_at_the_latest() -> None:
    position = StockPosition(1, 1, on_hand_units=1200)

    (advice,) = _advise(_case(position=position))  # lasts 12 days, an order takes 9

    assert advice.latest_order_on == TODAY


def _debt(**changes: Any) -> Case:
    """40 backordered, nothing in stock or coming, no forecast."""
    position = StockPosition(1, 1, backordered_units=40)
    return _case(outlook=None, position=position, **changes)


def test_a_debt_without_demand_is_a_need() -> None:
    offer = _offer(moq_units=0, order_multiple_units=12, pack_units=12)
    (advice,) = _advise(_debt(offers=((offer, LeadTime(9.0, 2.0, 9, "item")),)))

    assert (advice.action, advice.quantity, advice.severity) == (Action.BUY, 48, "warning")
    assert (advice.inputs["need"], advice.latest_order_on) == (40, TODAY)
    assert advice.value_at_risk_minor == 40 * 1200
    assert sum(term["value"] for term in advice.waterfall) == 48


def test_what_is_owed_is_ordered_even_of_goods_that_expire() -> None:
    offer = _offer(moq_units=0, order_multiple_units=1, pack_units=1)
    case = _debt(offers=((offer, LeadTime(9.0, 2.0, 9, "item")),), shelf_life_days=20)

    assert _advise(case)[0].quantity == 40


def test_a_debt_that_nobody_can_deliver_is_said_to_be_one() -> None:
    (advice,) = _advise(_debt(offers=()))

    assert (advice.action, advice.severity) == (Action.NONE, "warning")
    assert advice.waterfall[-1]["label"] == "not bought, nothing to order"


def test_a_day_of_sales_is_no_reason_to_buy() -> None:
    outlook = replace(_case().outlook or pytest.fail("fixture"), demand_class=DemandClass.NEW)

    (advice,) = _advise(_case(outlook=outlook, position=StockPosition(1, 1)))

    assert (advice.action, advice.quantity) == (Action.NONE, 0)
    assert "too_little_history" in advice.flags
    assert (advice.inputs["demand_per_day"], advice.stockout_on) == (0, None)


def test_the_empirical_method_says_when_it_has_no_past_errors() -> None:
    policy = Settings(review_days=0, method=SafetyStockMethod.EMPIRICAL)
    outlook = replace(_case().outlook or pytest.fail("fixture"), adi=4.0)
    tested = replace(outlook, total_quantiles={"days": [9], "0.5": [900.0], "0.95": [998.7]})

    steady, rare, known = _advise(
        _case(settings=policy),
        _case(settings=policy, outlook=outlook),
        _case(settings=policy, outlook=tested),
    )

    assert [a.inputs["distribution"] for a in (steady, rare, known)] == [
        "normal", "negative_binomial", "empirical",
    ]  # fmt: skip
    flags = ["empirical_not_possible" in a.flags for a in (steady, rare, known)]
    assert flags == [True, True, False]
    assert "too few past forecasts" in " ".join(missing_notes(rare))
    assert "negative binomial distribution used" in " ".join(missing_notes(rare))


@pytest.mark.parametrize(("need", "quantity"), [(61, 120), (60, 60), (1, 60)])
def test_orders_are_multiples_of_the_pack_and_of_the_multiple(need: int, quantity: int) -> None:
    offer = _offer(moq_units=0, order_multiple_units=10, pack_units=12, breaks=())
    position = StockPosition(1, 1, backordered_units=need)

    (advice,) = _advise(
        _case(outlook=None, position=position, offers=((offer, LeadTime(9.0, 2.0, 9, "item")),))
    )

    assert (advice.quantity, advice.inputs["order_multiple"]) == (quantity, 60)  # lcm of 12 and 10


def test_all_price_breaks_are_looked_at() -> None:
    offer = _offer(
        moq_units=0, order_multiple_units=1, pack_units=1, unit_price_minor=1000,
        breaks=((1900, 999), (2000, 500)),
    )  # fmt: skip

    (advice,) = _advise(_case(offers=((offer, LeadTime(9.0, 2.0, 9, "item")),)))  # need 1804

    assert (advice.quantity, advice.unit_price_minor) == (2000, 500)


def test_no_demand_orders_nothing() -> None:
    outlook = replace(_case().outlook or pytest.fail("fixture"), mean=[0.0] * 60)

    (advice,) = _advise(_case(outlook=outlook, position=StockPosition(1, 1)))

    assert (advice.action, advice.quantity, advice.severity) == (Action.NONE, 0, "info")
    assert advice.stockout_on is None


def test_the_key_of_a_position_changes_with_any_of_its_parts() -> None:
    position = _case().position

    assert position_key(position) == position_key(replace(position))
    assert position_key(position) != position_key(replace(position, allocated_units=81))
    assert position_key(position) != position_key(replace(position, receipts=()))


@settings(max_examples=60, deadline=None)
@given(
    on_hand=st.integers(-500, 6000),
    allocated=st.integers(0, 800),
    drafted=st.integers(0, 3000),
    demand=st.floats(0.01, 400),
    sd=st.floats(0, 300),
    lead=st.floats(0.5, 60),
    lead_sd=st.floats(0, 20),
    rate=st.floats(0.55, 0.999),
    moq=st.integers(0, 3000),
    multiple=st.integers(1, 500),
    limit=st.none() | st.integers(3000, 90_000),
    review=st.integers(0, 14),
    cover=st.integers(0, 60),
    shelf=st.none() | st.integers(1, 200),
    adi=st.floats(1, 5),
    measure=st.sampled_from(ServiceMeasure),
)
def test_every_waterfall_adds_up_and_every_order_is_orderable(
    on_hand: int, allocated: int, drafted: int, demand: float, sd: float, lead: float,
    lead_sd: float, rate: float, moq: int, multiple: int, limit: int | None, review: int,
    cover: int, shelf: int | None, adi: float, measure: ServiceMeasure,
) -> None:  # fmt: skip
    draft = OpenReceipt(2, "PO-2", "draft", drafted, None, None, is_confirmed=False)
    position = StockPosition(
        1, 1, on_hand, quarantined_units=7, allocated_units=allocated, backordered_units=3,
        inbound_transfer_units=11, receipts=_case().position.receipts, drafts=(draft,),
    )  # fmt: skip
    outlook = Outlook(
        1, 1, "median", DemandClass.LUMPY, TODAY - timedelta(days=1), [demand] * 30,
        {"days": [1], "sd": [sd]}, {}, adi,
    )  # fmt: skip
    offer = _offer(moq_units=moq, order_multiple_units=multiple, max_units=limit)
    policy = Settings(rate, measure, review_days=review, cover_days=cover)

    (advice,) = _advise(
        _case(
            position=position, outlook=outlook, settings=policy, shelf_life_days=shelf,
            offers=((offer, LeadTime(lead, lead_sd, 9, "item")),),
        )
    )  # fmt: skip

    quantity = advice.quantity
    assert sum(term["value"] for term in advice.waterfall) == quantity
    assert quantity % math.lcm(multiple, 120) == 0
    assert quantity == 0 or quantity >= moq
    assert quantity <= (limit or quantity)
    is_due = position.netted_position_units <= advice.inputs["reorder_point"]
    assert quantity == 0 or is_due
    assert advice.inputs["safety_stock"] >= 0
    if (
        quantity
        and "limited_by_shelf_life" not in advice.flags
        and "limited_by_supplier_maximum" not in advice.flags
    ):
        assert quantity >= advice.inputs["need"]
    assert advice.amount_minor == quantity * advice.unit_price_minor


@pytest.mark.parametrize(
    ("asked", "quantity", "packs", "price", "cover"),
    [(1500, 1560, 13, 780, 11.6), (1920, 1920, 16, 780, 15.2), (900, 960, 8, 800, 5.6),
     (5000, 5040, 42, 760, 46.4), (1, 600, 5, 800, 2.0)],
)  # fmt: skip
def test_another_quantity(asked: int, quantity: int, packs: int, price: int, cover: float) -> None:
    # cover = (840 + quantity - 1244) / 100
    found = alternative(_advise(_case())[0].inputs, asked)

    assert (found["quantity"], found["packs"]) == (quantity, packs)
    assert (found["unit_price_minor"], found["cover_days"]) == (price, cover)
    assert found["amount_minor"] == quantity * price
