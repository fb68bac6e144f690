"""What a usual order of every offer brings, and the service level that it is worth.

One row per offer of every case; the arrays that the planning pass works on are laid out here.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from db.types import ReplenishmentRule
from tools.planning.core.economic_lots import LotTerms, economic_lots
from tools.planning.core.economics import critical_ratios
from tools.planning.core.quantities import order_quantities
from tools.planning.core.review import is_rule
from tools.positions.core import window_totals

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
LOT_DAYS = 365  # an economic lot lasts no longer: nobody knows the demand behind it


@dataclass(frozen=True)
class Terms:
    """Offers, one row each; money in minor units, ``*_company`` in company currency."""

    case: Ints  # row of the case that the offer belongs to
    price: Ints
    steps: Ints  # (m, breaks): quantities, and the prices from there on
    step_prices: Ints
    moq: Ints
    multiple: Ints
    limit: Ints
    order_cost: Ints
    duty_rate: Floats
    rate: Floats  # company currency per unit of the offer's currency; nan where unknown
    lead_time: Floats
    lead_time_sd: Floats
    bridge_days: Floats  # that closed days of the supplier put off the order after this one
    is_preferred: Flags
    has_supplier: Flags


@dataclass(frozen=True)
class Rules:
    """Policies and demand, one row per case."""

    daily: Floats  # (n, horizon), today first
    service_rate: Floats
    is_fill_rate: Flags
    method: npt.NDArray[np.str_]
    rule: npt.NDArray[np.str_]
    review_days: Floats
    review_in: Floats  # days until the next review day, 0 on one
    cover_days: Floats  # that one order brings; with R_S the review interval
    adi: Floats
    is_optimised: Flags  # the service rate follows from holding and shortage cost
    given_point: Floats  # s and S that another policy found, units; nan where this one decides
    given_top: Floats
    unit_cost: Floats  # and the margin: money per unit, in one currency per case
    margin: Floats


@dataclass(frozen=True)
class Usual:
    """Demand over the windows and the usual order, one row per offer."""

    days: Floats
    total: Floats
    mean: Floats
    cover: Floats
    lot: Ints
    service_rate: Floats


def window_days(rules: Rules, terms: Terms) -> Floats:
    """Protection window of each offer: lead time, review interval, and closed days bridged."""
    result: Floats = terms.lead_time + rules.review_days[terms.case] + terms.bridge_days
    return result


def usual_orders(rules: Rules, terms: Terms, *, carrying_rate: float) -> Usual:
    """What every offer's window needs, what a usual order brings, and the service level."""
    days = window_days(rules, terms)
    daily = rules.daily[terms.case]
    total = window_totals(daily, days)
    mean = np.where(days > 0, total / np.where(days > 0, days, 1.0), daily[:, 0])
    cover = window_totals(daily, days + rules.cover_days[terms.case]) - total
    usual = np.maximum(np.ceil(cover - 1e-9), 1).astype(np.int64)
    lot = order_quantities(usual, terms.moq, terms.multiple, terms.limit)
    is_lots = is_rule(rules.rule[terms.case], ReplenishmentRule.LOTS)
    is_lots &= (terms.order_cost > 0) & (mean > 0) & (terms.price > 0)
    if is_lots.any():
        best = _economic(take(terms, np.flatnonzero(is_lots)), mean[is_lots], carrying_rate)
        lot[is_lots] = np.where(best > 0, best, lot[is_lots])
    rate = rules.service_rate[terms.case]
    if rules.is_optimised.any():
        rate = _optimised(rules, terms, rate, mean, lot, carrying_rate)
    return Usual(days, total, mean, cover, lot, rate)


def _economic(terms: Terms, mean: Floats, carrying_rate: float) -> Ints:
    """Economic lots of some offers, at most a year's demand."""
    first = np.zeros((len(mean), 1), dtype=np.int64)
    year = np.maximum(np.ceil(mean * LOT_DAYS), np.maximum(terms.moq, 1)).astype(np.int64)
    year = -(-year // terms.multiple) * terms.multiple
    prices = np.concatenate([terms.price[:, None], terms.step_prices], axis=1)
    lots = LotTerms(
        annual_demand=mean * 365,
        order_cost=terms.order_cost.astype(np.float64),
        carrying_rate=carrying_rate,
        steps=np.concatenate([first, terms.steps], axis=1),
        prices=prices.astype(np.float64),
        moq=terms.moq,
        multiple=terms.multiple,
        limit=np.minimum(terms.limit, year),
    )
    return economic_lots(lots).quantity


def _optimised(
    rules: Rules, terms: Terms, rate: Floats, mean: Floats, lot: Ints, carrying_rate: float
) -> Floats:
    case = terms.case
    ratio = critical_ratios(
        holding_cost=carrying_rate * rules.unit_cost[case],
        shortage_cost=rules.margin[case],
        order_quantity=lot.astype(np.float64),
        annual_demand=mean * 365,
    )
    result: Floats = np.where(rules.is_optimised[case] & ~np.isnan(ratio), ratio, rate)
    return result


def take(terms: Terms, rows: Ints) -> Terms:
    """The offers of some rows."""
    return Terms(**{name: getattr(terms, name)[rows] for name in Terms.__dataclass_fields__})
