"""Advice for many cases at once: quantities, dates, severity, and the numbers behind them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from db.types import Action, SafetyStockMethod
from tools.cases.core import Case
from tools.demand.core import OUTLIER_NOTE
from tools.offers.core import Offer, arrival_on
from tools.planning.core.explanation import waterfall
from tools.planning.core.numbers import Row, as_lists, is_optimised, numbers_of, unrated
from tools.planning.core.plan import (
    Stock,
    choose,
    evaluate_offers,
    plan,
    take_evaluated,
)
from tools.planning.core.service_levels import NEGATIVE_BINOMIAL, POISSON
from tools.planning.core.tables import (
    MILLION,
    NO_CHANGE,
    Change,
    receipts_table,
    tables,
)
from tools.planning.core.usual import take
from tools.positions.core import day_of, due_offset_days

OLD_FORECAST_DAYS = 7
BLOCK = 5000  # cases at once: what they take in memory does not grow with the assortment


@dataclass(frozen=True)
class Advice:
    """What to do about one case; ``inputs`` holds every number behind it, ready for JSON."""

    case: Case
    offer: Offer | None
    action: Action
    quantity: int
    unit_price_minor: int
    currency: str
    severity: str
    value_at_risk_minor: int | None  # company currency; None without an exchange rate
    need_by_on: date | None
    latest_order_on: date | None
    stockout_on: date | None
    days_of_cover: float | None
    inputs: dict[str, Any]
    waterfall: list[dict[str, Any]]
    flags: list[str]

    @property
    def amount_minor(self) -> int:
        """Price of the order in its currency."""
        return self.quantity * self.unit_price_minor


def advise_cases(
    cases: Sequence[Case],
    *,
    today: date,
    rates_micro: dict[str, int],
    carrying_rate: float,
    change: Change = NO_CHANGE,
) -> list[Advice]:
    """Advise on every case; the arithmetic runs on whole arrays.

    Args:
        cases: Items at locations.
        today: Day 0 of the projection.
        rates_micro: Company currency per unit of each currency, in millionths.
        carrying_rate: Cost of holding, fraction of the value a year.
        change: A scenario.
    """
    return [
        advice
        for first in range(0, len(cases), BLOCK)
        for advice in _advise_block(
            cases[first : first + BLOCK], today=today, rates_micro=rates_micro,
            carrying_rate=carrying_rate, change=change,
        )
    ]  # fmt: skip


def _advise_block(
    cases: Sequence[Case],
    *,
    today: date,
    rates_micro: dict[str, int],
    carrying_rate: float,
    change: Change,
) -> list[Advice]:
    laid = tables(
        cases, today=today, rates_micro=rates_micro, change=change, carrying_rate=carrying_rate
    )
    under_all = evaluate_offers(
        laid.rules, laid.terms, total_sd=laid.total_sd, empirical_buffer=laid.empirical_buffer,
        carrying_rate=carrying_rate,
    )  # fmt: skip
    rows = choose(laid.terms, under_all.landed, len(cases))
    evaluated = take_evaluated(under_all, rows)
    terms = take(laid.terms, rows)
    stock = Stock(
        available=np.array([float(case.position.available_units) for case in cases]),
        position=np.array([case.position.netted_position_units for case in cases], dtype=np.int64),
        receipts=receipts_table(cases, today=today, fallback_days=terms.lead_time),
        shelf_days=_known(case.shelf_life_days for case in cases),
        free_units=_known(case.free_units for case in cases),
    )
    result = as_lists(plan(laid.rules, terms, evaluated, stock, carrying_rate=carrying_rate))
    evaluated = replace(as_lists(evaluated), numbers=as_lists(evaluated.numbers))
    timed = zip(terms.bridge_days.tolist(), laid.rules.review_in.tolist(), strict=True)
    return [
        _advice(Row(case, laid.offers[rows[i]], i, evaluated, result, today, rates_micro, *days))
        for i, (case, days) in enumerate(zip(cases, timed, strict=True))
    ]


def _known(values: Iterable[int | None]) -> npt.NDArray[np.float64]:
    """Numbers as an array, nan where there is none."""
    return np.array([math.nan if value is None else float(value) for value in values])


def _advice(row: Row) -> Advice:
    offer = None if row.chosen is None else row.chosen[0]
    quantity = int(row.plan.quantity[row.index])
    stockout = _days(row.plan.stockout[row.index])
    arrival = _arrival_days(row)
    inputs = numbers_of(row, quantity, stockout, arrival)
    need_by = day_of(row.today, stockout)
    return Advice(
        case=row.case,
        offer=offer,
        action=_action(row, quantity, stockout),
        quantity=quantity,
        unit_price_minor=int(row.plan.price[row.index]),
        currency=row.case.currency if offer is None else offer.currency,
        severity=_severity(row),
        value_at_risk_minor=_value_at_risk(row),
        need_by_on=need_by,
        latest_order_on=_latest_order_on(row, need_by, arrival),
        stockout_on=need_by,
        days_of_cover=inputs["days_of_cover"],
        inputs=inputs,
        waterfall=waterfall(inputs, quantity=quantity),
        flags=_flags(row, quantity, stockout, arrival),
    )


def _latest_order_on(row: Row, need_by: date | None, arrival: int | None) -> date | None:
    """Last day on which an order arrives before the stock-out; today once the policy says order."""
    latest = None if need_by is None or arrival is None else need_by - timedelta(days=arrival)
    if not row.plan.is_below_point[row.index]:
        return latest
    return row.today if latest is None else min(latest, row.today)


def _days(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 1)


def _arrival_days(row: Row) -> int | None:
    if row.chosen is None:
        return None
    return (arrival_on(*row.chosen, row.today) - row.today).days


def _action(row: Row, quantity: int, stockout: float | None) -> Action:
    """Buy; or hurry what is coming when an order could not arrive in time; or nothing."""
    if quantity > 0:
        return Action.BUY
    if not row.plan.is_short[row.index] or stockout is None or not row.case.has_demand:
        return Action.NONE
    fallback = math.ceil(row.evaluated.window_days[row.index])
    receipts = row.case.position.receipts
    later = [
        r for r in receipts if due_offset_days(r, row.today, fallback_days=fallback) > stockout
    ]
    return Action.EXPEDITE if later else Action.NONE


def _severity(row: Row) -> str:
    if not row.case.has_demand:
        return "warning" if row.case.position.netted_position_units < 0 else "info"
    if row.plan.is_short[row.index]:
        return "critical"
    is_low = row.plan.is_below_point[row.index] or row.plan.is_below_safety[row.index]
    return "warning" if is_low else "info"


def _value_at_risk(row: Row) -> int | None:
    """Sales value of the units expected to be missing before an order of today can help."""
    if row.case.currency not in row.rates_micro:
        return None
    rate = row.rates_micro[row.case.currency] / MILLION
    return round(float(row.plan.expected_short[row.index]) * row.case.unit_value_minor * rate)


def _flags(row: Row, quantity: int, stockout: float | None, arrival: int | None) -> list[str]:
    offer = None if row.chosen is None else row.chosen[0]
    amount = int(row.plan.price[row.index]) * quantity
    i, case = row.index, row.case
    slow = (POISSON, NEGATIVE_BINOMIAL)
    conditions = {
        "no_forecast": case.outlook is None,
        "too_little_history": case.is_new,
        "outlier_set_aside": case.outlook is not None
        and any(note.startswith(OUTLIER_NOTE) for note in case.outlook.warnings),
        "old_forecast": case.outlook is not None
        and (row.today - case.outlook.as_of_on).days > OLD_FORECAST_DAYS,
        "not_bought_any_more": not case.is_buyable,
        "no_supplier": case.is_buyable and offer is None,
        "stockout_before_arrival": None not in (stockout, arrival)
        and (stockout or 0) < (arrival or 0),
        f"limited_by_{row.plan.cap[i]}": bool(row.plan.cap[i]),
        "waits_for_review": bool(row.plan.is_waiting[i]),
        "ordered_between_reviews": bool(row.plan.is_early[i]),
        "closed_days_bridged": row.bridge_days > 0,
        "service_level_optimised": is_optimised(row),
        "service_level_not_optimised": case.settings.is_service_rate_optimised
        and not is_optimised(row),
        "minimum_order": quantity > 0 and offer is not None and offer.moq_units > row.plan.need[i],
        "raised_to_price_break": quantity > row.plan.rounded[i],
        "below_minimum_order_value": offer is not None and 0 < amount < offer.min_order_value_minor,
        "lead_time_capped": row.chosen is not None and row.chosen[1].is_capped,
        "quoted_lead_time": row.chosen is not None and row.chosen[1].source == "quoted",
        "count_distribution": case.has_demand
        and str(row.evaluated.numbers.distribution[i]) in slow,
        "empirical_not_possible": case.can_plan
        and case.settings.method == SafetyStockMethod.EMPIRICAL
        and str(row.evaluated.numbers.distribution[i]) != SafetyStockMethod.EMPIRICAL.value,
        "no_safety_stock_needed": bool(row.evaluated.numbers.is_floored[i]),
        "own_draft_counted": case.position.drafted_units > 0,
        "no_exchange_rate": bool(unrated(row)),
        "negative_stock": case.position.on_hand_units < 0,
    }
    return [name for name, holds in conditions.items() if holds]
