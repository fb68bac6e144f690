"""Cases laid out as the arrays that the planning pass works on."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from db.types import ReplenishmentRule, SafetyStockMethod, ServiceMeasure
from tools.cases.core import Case
from tools.forecasting.core.totals import total_quantile, total_sd
from tools.offers.core import LeadTime, Offer, break_table
from tools.planning.core.calendars import bridge_days
from tools.planning.core.quantities import NO_LIMIT
from tools.planning.core.review import review_in_days
from tools.planning.core.usual import Rules, Terms, Usual, usual_orders
from tools.positions.core import StockPosition, due_offset_days, window_totals

Floats = npt.NDArray[np.float64]
HORIZON_DAYS = 180  # how far stock is projected
MILLION = 1_000_000
USUAL_CARRYING_RATE = 0.25


@dataclass(frozen=True)
class Change:
    """What a scenario changes; nothing by default. Days count from today, the last one included."""

    demand_factor: float = 1.0
    first_day: int = 0
    last_day: int = HORIZON_DAYS
    lead_time_days: float = 0.0


@dataclass(frozen=True)
class Tables:
    """Arrays of the cases and of their offers (``offers[i]`` belongs to row i of ``terms``)."""

    rules: Rules
    terms: Terms
    offers: list[tuple[Offer, LeadTime] | None]
    total_sd: Floats
    empirical_buffer: Floats


NO_CHANGE = Change()


def tables(
    cases: Sequence[Case],
    *,
    today: date,
    rates_micro: dict[str, int],
    change: Change = NO_CHANGE,
    carrying_rate: float = USUAL_CARRYING_RATE,
) -> Tables:
    """Lay the cases out as arrays, with a scenario's change applied."""
    plain = np.array([_daily(case, today) for case in cases]).reshape(len(cases), HORIZON_DAYS)
    factor = np.ones(HORIZON_DAYS)
    factor[max(change.first_day, 0) : change.last_day + 1] = change.demand_factor
    rules = _rules(cases, plain * factor, today)
    offers: list[tuple[Offer, LeadTime] | None] = []
    owners = []
    for row, case in enumerate(cases):
        usable = [pair for pair in case.offers if pair[0].is_usable] if case.is_buyable else []
        offers += [_shifted(pair, change) for pair in usable] or [None]
        owners += [row] * max(len(usable), 1)
    terms = _terms(offers, np.array(owners, dtype=np.int64), rates_micro)
    terms = _bridged(terms, rules, offers, today)
    usual = usual_orders(rules, terms, carrying_rate=carrying_rate)
    sd, buffer = _spreads(cases, rules, terms, usual)
    growth = np.ones(len(sd))
    if change.demand_factor != 1:
        before = window_totals(plain[terms.case], usual.days)
        growth = np.where(before > 0, usual.total / np.where(before > 0, before, 1.0), 1.0)
    return Tables(rules, terms, offers, sd * growth, buffer * growth)


def receipts_table(
    cases: Sequence[Case], *, today: date, fallback_days: Floats
) -> npt.NDArray[np.float64]:
    """Units due by day, shape (n, horizon); later receipts are beyond the projection."""
    table = np.zeros((len(cases), HORIZON_DAYS))
    for row, case in enumerate(cases):
        for receipt in case.position.receipts:
            fallback = int(np.ceil(fallback_days[row]))
            day = due_offset_days(receipt, today, fallback_days=fallback)
            if day < HORIZON_DAYS:
                table[row, day] += receipt.units
        table[row, 0] += case.position.inbound_transfer_units
    return table


def position_key(position: StockPosition) -> str:
    """Short fingerprint of a position: a stored recommendation holds while it stays the same."""
    return hashlib.sha256(repr(position).encode()).hexdigest()[:16]


def _daily(case: Case, today: date) -> list[float]:
    """Forecast from today on, as long as the projection; the last four weeks' mean goes on."""
    if case.outlook is None or case.is_new or not case.outlook.mean:
        return [0.0] * HORIZON_DAYS
    passed = max((today - case.outlook.as_of_on).days - 1, 0)
    mean = [max(value, 0.0) for value in case.outlook.mean]
    tail = sum(mean[-28:]) / len(mean[-28:])
    ahead = mean[passed : passed + HORIZON_DAYS]
    return ahead + [tail] * (HORIZON_DAYS - len(ahead))


def _rules(cases: Sequence[Case], daily: Floats, today: date) -> Rules:
    settings = [case.settings for case in cases]
    review = np.array([s.review_days for s in settings], dtype=np.float64)
    rule = np.array([s.rule.value for s in settings])
    cover = np.array([s.cover_days for s in settings], dtype=np.float64)
    is_periodic = rule == ReplenishmentRule.PERIODIC.value
    margin = np.array([float(case.unit_margin_minor) for case in cases])
    is_optimised = np.array([s.is_service_rate_optimised for s in settings], dtype=np.bool_)
    adi = [1.0 if c.outlook is None or c.outlook.adi is None else c.outlook.adi for c in cases]
    return Rules(
        daily=daily,
        service_rate=np.array([s.service_rate for s in settings]),
        is_fill_rate=np.array([s.measure == ServiceMeasure.FILL_RATE for s in settings]),
        method=np.array([s.method.value for s in settings]),
        rule=rule,
        review_days=review,
        review_in=review_in_days(today, review),
        cover_days=np.where(is_periodic, np.maximum(review, 1.0), cover),
        adi=np.array(adi),
        is_optimised=is_optimised & (margin > 0),
        given_point=np.array([math.nan if c.levels is None else c.levels[0] for c in cases]),
        given_top=np.array([math.nan if c.levels is None else c.levels[1] for c in cases]),
        unit_cost=np.array([float(case.unit_cost_minor) for case in cases]),
        margin=margin,
    )


def _shifted(pair: tuple[Offer, LeadTime], change: Change) -> tuple[Offer, LeadTime]:
    offer, lead_time = pair
    mean = max(lead_time.mean_days + change.lead_time_days, 0.0)
    return offer, replace(lead_time, mean_days=mean)


_NOBODY = (
    Offer(0, 0, "", "", "", 0),
    LeadTime(0.0, 0.0, 0, ""),
)


def _terms(
    offers: Sequence[tuple[Offer, LeadTime] | None],
    owners: npt.NDArray[np.int64],
    rates_micro: dict[str, int],
) -> Terms:
    sold = [_NOBODY[0] if pair is None else pair[0] for pair in offers]
    times = [_NOBODY[1] if pair is None else pair[1] for pair in offers]
    steps, step_prices = break_table(sold)

    def whole(values: list[int]) -> npt.NDArray[np.int64]:
        return np.array(values, dtype=np.int64)

    return Terms(
        case=owners,
        price=whole([offer.unit_price_minor for offer in sold]),
        steps=steps,
        step_prices=step_prices,
        moq=whole([offer.moq_units for offer in sold]),
        multiple=whole([offer.step_units for offer in sold]),
        limit=whole([NO_LIMIT if offer.max_units is None else offer.max_units for offer in sold]),
        order_cost=whole([offer.order_cost_minor for offer in sold]),
        duty_rate=np.array([offer.duty_bp / 10_000 for offer in sold]),
        rate=np.array([rates_micro.get(offer.currency, math.nan) / MILLION for offer in sold]),
        lead_time=np.array([time.mean_days for time in times]),
        lead_time_sd=np.array([time.sd_days for time in times]),
        bridge_days=np.zeros(len(sold)),
        is_preferred=np.array([offer.is_preferred for offer in sold]),
        has_supplier=np.array([pair is not None for pair in offers]),
    )


def _bridged(
    terms: Terms,
    rules: Rules,
    offers: Sequence[tuple[Offer, LeadTime] | None],
    today: date,
) -> Terms:
    """The terms with the closed days of their suppliers bridged."""
    sold = [_NOBODY[0] if pair is None else pair[0] for pair in offers]
    bridge = bridge_days(sold, terms.lead_time, rules.review_days[terms.case], today=today)
    return replace(terms, bridge_days=bridge)


def _spreads(
    cases: Sequence[Case], rules: Rules, terms: Terms, usual: Usual
) -> tuple[Floats, Floats]:
    """Read the spread of each offer's window from the stored forecasts."""
    sd = np.zeros(len(usual.days))
    buffer = np.full(len(usual.days), np.nan)
    for row, owner in enumerate(terms.case):
        outlook = cases[owner].outlook
        if outlook is None or cases[owner].is_new or not outlook.total_sd.get("days"):
            continue
        window = float(usual.days[row])
        sd[row] = total_sd(outlook.total_sd, window)
        is_empirical = rules.method[owner] == SafetyStockMethod.EMPIRICAL.value
        if is_empirical and outlook.total_quantiles.get("days"):
            level = float(usual.service_rate[row])
            spread = (outlook.mean, outlook.total_sd, outlook.total_quantiles)
            quantile = total_quantile(*spread, days=window, level=level)
            middle = window_totals(np.array([outlook.mean]), np.array([window]))[0]
            buffer[row] = quantile - middle
    return sd, buffer
