"""The house as it stands today, laid out for the engine: stock, rules by day, demand, deliveries.

Levels move with the forecast, as the nightly plan moves them: on every day the reorder point is the
forecast of the protection window that begins there, plus the safety stock of today's advice.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from db.types import ReplenishmentRule
from tools.cases.core import Case
from tools.offers.core import Offer, unit_price
from tools.planning.core.advice import Advice
from tools.planning.core.review import review_in_days
from tools.positions.core import due_offset_days
from tools.simulation.core.draws import Streams, delivery_draws, lead_time_table
from tools.simulation.core.paths import demand_paths
from tools.simulation.core.world import DatedLevels, Deliveries, Floats, Ints, Items

HORIZONS = (1, 3, 7, 14, 21, 28, 42, 63, 91, 126, 180)
MILLION = 1_000_000
_TAIL_DAYS = 28  # whose mean goes on behind a forecast's end
_ROUNDING = 1e-9
_GATED = (ReplenishmentRule.PERIODIC, ReplenishmentRule.PERIODIC_MIN_MAX)


@dataclass(frozen=True)
class Shipping:
    """How a supplier delivered: days of past orders, and how often only a part came."""

    days: tuple[int, ...] = ()
    partial_rate: float = 0.0
    first_share: float = 0.5


NEVER_SEEN = Shipping()


@dataclass(frozen=True)
class Setting:
    """What holds for all items: today, days to simulate, worth of currencies, rate of holding."""

    today: date
    days: int
    rates_micro: Mapping[str, int]
    carrying_rate: float


@dataclass(frozen=True)
class House:
    """Items under their rules; ``price`` is company minor units a unit bought, nan if unknown."""

    items: Items
    levels: DatedLevels
    price: Floats


def daily_means(cases: Sequence[Case], today: date, days: int) -> Floats:
    """Forecast from today on, shape (n, days); behind its end the last four weeks' mean goes on."""
    table = np.zeros((len(cases), days))
    for row, case in enumerate(cases):
        if case.outlook is None or not case.can_plan or not len(case.outlook.mean):
            continue
        mean = np.maximum(np.asarray(case.outlook.mean, dtype=np.float64), 0.0)
        table[row] = mean[-_TAIL_DAYS:].mean()
        ahead = mean[max((today - case.outlook.as_of_on).days - 1, 0) :][:days]
        table[row, : len(ahead)] = ahead
    return table


def reach_days(advices: Sequence[Advice], days: int) -> int:
    """Days of forecast that the levels of the last simulated day look at."""
    longest = max((_window(a) + a.case.settings.cover_days for a in advices), default=0.0)
    return days + math.ceil(longest) + 1


def house(
    advices: Sequence[Advice], *, plain: Floats, daily: Floats, setting: Setting, late_days: int = 0
) -> House:
    """Lay out stock, receipts, terms, costs and rules.

    Args:
        advices: Advice on each item, without a change of demand; each has an offer.
        plain: The forecast, shape (n, reach).
        daily: The same under the scenario.
        setting: Today, days, money.
        late_days: Days by which open orders come later.
    """
    cases = [advice.case for advice in advices]
    offers = [_offer(advice) for advice in advices]
    price = np.array([_price(advice, setting) for advice in advices], dtype=np.float64)
    cost = np.nan_to_num(price)
    freight = [o.order_cost_minor * _rate(o.currency, setting) for o in offers]
    value = [case.unit_value_minor * _rate(case.currency, setting) for case in cases]
    review = np.array([_review_days(case) for case in cases], dtype=np.float64)
    pipeline, later = _receipts(advices, setting, late_days)
    items = Items.of(
        len(advices),
        on_hand=[max(case.position.available_units, 0) for case in cases],
        backlog=[_owed(case) for case in cases],
        moq=[offer.moq_units for offer in offers],
        multiple=[offer.step_units for offer in offers],
        limit=[_limit(offer) for offer in offers],
        review_days=review.astype(np.int64),
        review_offset=review_in_days(setting.today, review).astype(np.int64),
        unit_cost=cost,
        holding_cost=cost * setting.carrying_rate / 365,
        order_cost=np.nan_to_num(freight),
        shortage_cost=np.where(np.isnan(price), 0.0, np.maximum(np.nan_to_num(value) - cost, 0.0)),
        pipeline=pipeline,
        later=later,
    )
    return House(items, _levels(advices, plain, daily, setting.days), price)


def demand_of(
    advices: Sequence[Advice], *, plain: Floats, setting: Setting, paths: int, streams: Streams
) -> Floats:
    """Draw demand around the forecast, shape (n, p, T)."""
    days = setting.days
    horizons = np.array([h for h in HORIZONS if h <= days], dtype=np.float64)
    running = np.cumsum(plain, axis=1)[:, horizons.astype(int) - 1]
    pairs = zip(advices, running, strict=True)
    spread = [_spread(advice.case, horizons, totals) for advice, totals in pairs]
    return demand_paths(
        plain[:, :days],
        horizons,
        np.array(spread).reshape(running.shape),
        paths=paths,
        rng=streams.demand,
    )


def deliveries_of(
    advices: Sequence[Advice],
    shipping: Mapping[int, Shipping],
    *,
    setting: Setting,
    paths: int,
    streams: Streams,
) -> Deliveries:
    """Draw what orders of every day would meet, from how their suppliers delivered."""
    supplier = np.array([_offer(advice).supplier_id for advice in advices], dtype=np.int64)
    seen = [shipping.get(int(one), NEVER_SEEN) for one in supplier]
    table = lead_time_table(
        np.array([float(advice.inputs["lead_time_days"] or 0) for advice in advices]),
        np.array([float(advice.inputs["lead_time_sd"] or 0) for advice in advices]),
        samples=[one.days for one in seen],
    )
    return delivery_draws(
        table, supplier, paths=paths, days=setting.days, streams=streams,
        partial_rate=np.array([one.partial_rate for one in seen]),
        partial_share=np.array([one.first_share for one in seen]),
    )  # fmt: skip


def _levels(advices: Sequence[Advice], plain: Floats, daily: Floats, days: int) -> DatedLevels:
    window = np.array([_window(advice) for advice in advices])
    cover = window + np.array([advice.case.settings.cover_days for advice in advices])
    point = np.array([float(advice.inputs["reorder_point"]) for advice in advices])
    gap = np.array([float(advice.inputs["order_up_to"]) for advice in advices]) - point
    rules = [advice.case.settings.rule for advice in advices]
    is_lot = np.array([rule == ReplenishmentRule.LOTS for rule in rules])
    before, after = _windows(plain, window, days), _windows(daily, window, days)
    buffer = np.maximum(point - before[:, 0], 0.0)[:, None]
    growth = np.where(before > 0, after / np.where(before > 0, before, 1.0), 1.0)
    low = np.ceil(after + buffer * growth - _ROUNDING)
    first = (_windows(plain, cover, 1) - _windows(plain, window, 1))[:, :1]
    ahead = _windows(daily, cover, days) - after
    scale = np.where(first > 0, ahead / np.where(first > 0, first, 1.0), 1.0)
    above = np.where(is_lot[:, None], gap[:, None], np.ceil(gap[:, None] * scale - _ROUNDING))
    return DatedLevels(
        reorder_point=low,
        order_up_to=low + above,
        lot=np.where(is_lot, np.maximum(gap, 1.0), 0.0),
        is_periodic=np.array([rule == ReplenishmentRule.PERIODIC for rule in rules]),
    )


def _windows(daily: Floats, window: Floats, days: int) -> Floats:
    """Demand of the ``window`` days that begin on each day, shape (n, days)."""
    n, reach = daily.shape
    running = np.concatenate([np.zeros((n, 1)), np.cumsum(daily, axis=1)], axis=1)
    end = np.minimum(np.arange(days)[None, :] + window[:, None], reach)
    whole = np.minimum(np.floor(end).astype(np.int64), reach - 1)
    rows = np.arange(n)[:, None]
    until = running[rows, whole] + (end - whole) * daily[rows, whole]
    result: Floats = until - running[:, :days]
    return result


def _receipts(advices: Sequence[Advice], setting: Setting, late_days: int) -> tuple[Floats, Floats]:
    """Open receipts by day, and what comes behind the last day."""
    pipeline = np.zeros((len(advices), setting.days))
    later = np.zeros(len(advices))
    for row, advice in enumerate(advices):
        position = advice.case.position
        pipeline[row, 0] += position.inbound_transfer_units
        fallback = math.ceil(_window(advice))
        for receipt in position.receipts:
            day = due_offset_days(receipt, setting.today, fallback_days=fallback) + late_days
            if day < setting.days:
                pipeline[row, max(day, 0)] += receipt.units
            else:
                later[row] += receipt.units
    return pipeline, later


def _spread(case: Case, horizons: Floats, totals: Floats) -> Floats:
    """Standard deviation of the totals of one forecast; that of a Poisson count if none is kept."""
    stored = None if case.outlook is None else case.outlook.total_sd
    if not stored or not stored.get("days"):
        return np.sqrt(totals)
    roots, known = np.sqrt(np.append(0.0, stored["days"])), np.append(0.0, stored["sd"])
    wanted = np.sqrt(horizons)
    beyond = np.maximum(wanted / roots[-1], 1.0)  # behind the last stored day it grows with root h
    result: Floats = np.maximum.accumulate(np.interp(wanted, roots, known) * beyond)
    return result


def _price(advice: Advice, setting: Setting) -> float:
    """Price of a unit of a usual order, company minor units; nan without an exchange rate."""
    offer = _offer(advice)
    usual = advice.inputs["order_up_to"] - advice.inputs["reorder_point"]
    paid = unit_price(offer.unit_price_minor, offer.breaks, max(usual, offer.moq_units))
    return paid * (1 + offer.duty_bp / 10_000) * _rate(offer.currency, setting)


def _offer(advice: Advice) -> Offer:
    if advice.offer is None:
        raise ValueError("only items with an offer can be simulated")  # a bug of the caller
    return advice.offer


def _rate(currency: str, setting: Setting) -> float:
    return setting.rates_micro.get(currency, math.nan) / MILLION


def _window(advice: Advice) -> float:
    return float(advice.inputs["window_days"])


def _owed(case: Case) -> int:
    return case.position.backordered_units + max(-case.position.available_units, 0)


def _review_days(case: Case) -> float:
    """Days between reviews: an item without a review day is looked at every day."""
    return max(case.settings.review_days, 1) if case.settings.rule in _GATED else 1


def _limit(offer: Offer) -> float:
    return math.inf if offer.max_units is None else max(offer.max_units, offer.moq_units)


def suppliers_of(advices: Sequence[Advice]) -> Ints:
    """Numbers of the suppliers from whom the items would be bought."""
    return np.unique([_offer(advice).supplier_id for advice in advices]).astype(np.int64)
