"""The planning pass: from positions, forecasts, policies and offers to orders, on whole arrays.

Two steps. ``evaluate_offers`` works out the policy and the landed cost under every offer (row) of
every case, ``choose`` picks one offer per case, and ``plan`` sizes and dates the orders.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from db.types import ReplenishmentRule
from tools.offers.core import landed_costs, prices_at
from tools.planning.core.caps import shelf_limit, storage_limit, tightest
from tools.planning.core.policies import PolicyInputs, PolicyNumbers, reorder_points
from tools.planning.core.quantities import NO_LIMIT, order_quantities, raised_to_break
from tools.planning.core.review import due, is_rule, needs, order_up_to
from tools.planning.core.service_levels import normal_loss
from tools.planning.core.usual import Rules, Terms, Usual, usual_orders
from tools.positions.core import projected_balance, stockout_days

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
GIVEN = "levels"  # instead of a distribution, where s and S were found otherwise
PREFERENCE = 0.98  # the preferred supplier stays unless another is 2 % cheaper landed
COVER_LIMIT = 2  # a price break may stretch an order to this many times its usual cover


@dataclass(frozen=True)
class Evaluated:
    """Policy and landed cost, one row per offer."""

    window_days: Floats
    demand_total: Floats
    demand_mean: Floats
    cover_units: Floats
    lot: Ints  # what a usual order brings; with s_nQ the economic lot
    service_rate: Floats
    numbers: PolicyNumbers
    landed: Floats  # company minor units per unit; nan without an exchange rate


@dataclass(frozen=True)
class Stock:
    """Stock of the cases, one row each.

    Attributes:
        available: Units free to sell now.
        position: Inventory position after own drafts, units.
        receipts: Units due by day, shape (n, horizon).
        shelf_days: Shelf life; nan where goods do not expire.
        free_units: Units for which the store has room; nan where that is not known.
    """

    available: Floats
    position: Ints
    receipts: Floats
    shelf_days: Floats
    free_units: Floats


@dataclass(frozen=True)
class Plan:
    """Orders and dates, one row per case; nan days where nothing runs out."""

    lead_demand: Ints
    safety_stock: Ints
    order_up_to: Ints
    need: Ints
    rounded: Ints
    quantity: Ints
    price: Ints
    stockout: Floats
    lowest_balance: Floats
    expected_short: Floats
    is_short: Flags
    is_below_safety: Flags
    is_below_point: Flags
    is_waiting: Flags  # for its review day
    is_early: Flags  # ordered between reviews, as stock would run out
    limit: Ints  # of the supplier, of shelf life and of room, whichever is smallest
    cap: npt.NDArray[np.str_]  # which limit made the order smaller; empty where none did


def evaluate_offers(
    rules: Rules,
    terms: Terms,
    *,
    total_sd: Floats,
    empirical_buffer: Floats,
    carrying_rate: float,
    quantity: Ints | None = None,
) -> Evaluated:
    """Policy numbers and landed cost under every offer.

    Args:
        rules: The cases.
        terms: The offers.
        total_sd: Standard deviation of the error of demand over each offer's window, units.
        empirical_buffer: Quantile minus mean of that total; nan where unknown.
        carrying_rate: Fraction of the price a year.
        quantity: What to price, per offer; the usual order by default.
    """
    usual = usual_orders(rules, terms, carrying_rate=carrying_rate)
    inputs = PolicyInputs(
        demand_total=usual.total,
        demand_total_sd=total_sd,
        demand_mean=usual.mean,
        lead_time_sd=terms.lead_time_sd,
        service_rate=usual.service_rate,
        order_quantity=np.maximum(usual.lot, 1).astype(np.float64),
        adi=rules.adi[terms.case],
        empirical_buffer=empirical_buffer,
        is_fill_rate=(rules.is_fill_rate & ~rules.is_optimised)[terms.case],
        is_lost_sales=np.zeros(len(usual.total), dtype=np.bool_),
        method=rules.method[terms.case],
    )
    numbers, cover = _given(rules, terms, usual, reorder_points(inputs))
    priced = usual.lot if quantity is None else quantity
    landed = _landed(terms, priced, numbers.safety_stock, usual.mean, carrying_rate)
    return Evaluated(
        usual.days, usual.total, usual.mean, cover, usual.lot, usual.service_rate, numbers,
        landed,
    )  # fmt: skip


def _given(
    rules: Rules, terms: Terms, usual: Usual, numbers: PolicyNumbers
) -> tuple[PolicyNumbers, Floats]:
    """The numbers with the levels that another policy found, and the cover up to its S."""
    point, top = rules.given_point[terms.case], rules.given_top[terms.case]
    is_given = ~np.isnan(point)
    if not is_given.any():
        return numbers, usual.cover
    s = np.ceil(np.where(is_given, point, 0.0) - 1e-9)
    whole = np.where(is_given, s.astype(np.int64), numbers.reorder_point)
    safety = np.where(is_given, np.maximum(s - usual.total, 0.0), numbers.safety_stock)
    cover = np.where(is_given, np.maximum(np.ceil(top - 1e-9) - s, 0.0), usual.cover)
    given = replace(
        numbers,
        reorder_point=whole,
        safety_stock=safety,
        distribution=np.where(is_given, GIVEN, numbers.distribution),
        is_floored=numbers.is_floored & ~is_given,
    )
    return given, cover


def _landed(
    terms: Terms, quantity: Ints, safety_stock: Floats, mean: Floats, carrying_rate: float
) -> Floats:
    """Landed cost of a unit in company minor units."""
    return landed_costs(
        prices_at(quantity, terms.price, terms.steps, terms.step_prices) * terms.rate,
        terms.duty_rate,
        terms.order_cost * terms.rate,
        quantity.astype(np.float64),
        terms.lead_time,
        safety_stock,
        mean * 365,
        carrying_rate=carrying_rate,
    )


def choose(terms: Terms, landed: Floats, cases: int) -> Ints:
    """Row of the best offer of each case: lowest landed cost, the preferred one 2 % ahead.

    An offer whose landed cost is unknown comes last.
    """
    score = landed * np.where(terms.is_preferred, PREFERENCE, 1.0)
    order = np.lexsort((score, terms.case))
    first = np.searchsorted(terms.case[order], np.arange(cases))
    result: Ints = order[first]
    return result


def take_evaluated(evaluated: Evaluated, rows: Ints) -> Evaluated:
    """The evaluations of some rows."""
    names = PolicyNumbers.__dataclass_fields__
    numbers = PolicyNumbers(**{name: getattr(evaluated.numbers, name)[rows] for name in names})
    plain = [name for name in Evaluated.__dataclass_fields__ if name != "numbers"]
    return Evaluated(numbers=numbers, **{name: getattr(evaluated, name)[rows] for name in plain})


def plan(
    rules: Rules, terms: Terms, evaluated: Evaluated, stock: Stock, *, carrying_rate: float
) -> Plan:
    """Orders of all cases under their chosen offers (row i of each argument is case i).

    An order is due as the case's rule says (``review``) by the position, own drafts included. A
    position below zero is a need even where nothing is forecast: it is owed. Balance is projected
    without own drafts.

    Args:
        rules: The cases.
        terms: Their chosen offers.
        evaluated: Policy and landed cost under these.
        stock: What is there and what is coming.
        carrying_rate: Fraction of the price a year.
    """
    point = evaluated.numbers.reorder_point
    lead_demand = np.minimum(np.rint(evaluated.demand_total).astype(np.int64), point)
    cover = np.ceil(evaluated.cover_units - 1e-9).astype(np.int64)
    highest = order_up_to(rules.rule, point, cover, evaluated.lot)
    balance = projected_balance(stock.available, rules.daily, stock.receipts)
    lowest = _lowest(balance, evaluated.window_days)
    timing = due(
        rules.rule, position=stock.position, reorder_point=point, review_in=rules.review_in,
        has_demand=evaluated.demand_total > 0,
        is_short_before_next=_lowest(balance, rules.review_in + terms.lead_time) < 0,
    )  # fmt: skip
    is_due = timing.is_due & terms.has_supplier
    need = needs(rules.rule, is_due, position=stock.position, highest=highest, lot=evaluated.lot)
    rounded, quantity, limit, cap = _sizes(rules, terms, evaluated, stock, need, carrying_rate)
    safety = point - lead_demand
    return Plan(
        lead_demand=lead_demand,
        safety_stock=safety,
        order_up_to=highest,
        need=need,
        rounded=rounded,
        quantity=quantity,
        price=prices_at(quantity, terms.price, terms.steps, terms.step_prices),
        stockout=stockout_days(stock.available, rules.daily, stock.receipts),
        lowest_balance=lowest,
        expected_short=_expected_short(lowest, evaluated, stock.position),
        is_short=lowest < 0,
        is_below_safety=lowest < safety,
        is_below_point=is_due,
        is_waiting=timing.is_waiting & terms.has_supplier,
        is_early=timing.is_early & is_due,
        limit=limit,
        cap=cap,
    )


def _sizes(
    rules: Rules,
    terms: Terms,
    evaluated: Evaluated,
    stock: Stock,
    need: Ints,
    carrying_rate: float,
) -> tuple[Ints, Ints, Ints, npt.NDArray[np.str_]]:
    """Needs rounded to what can be ordered, raised to price breaks; limit and cap of each."""
    limit, cap = tightest(
        (
            terms.limit,
            shelf_limit(evaluated.demand_mean, stock.shelf_days, stock.position),
            storage_limit(stock.free_units),
        )
    )
    rounded = order_quantities(need, terms.moq, terms.multiple, limit)
    quantity = _with_price_break(
        rules, terms, evaluated, rounded, stock.position, limit, carrying_rate
    )
    is_cut = (need > 0) & (rounded < np.maximum(need, 1))
    return rounded, quantity, limit, np.where(is_cut, cap, "")


def cover_days(position: Floats, reorder_point: Floats, demand_mean: Floats) -> Floats:
    """Days that a position lasts above the reorder point; nan without demand.

    Example:
        >>> one = np.ones(1)
        >>> cover_days(2760 * one, 1244 * one, 100 * one).round(1).tolist()
        [15.2]
    """
    safe = np.where(demand_mean > 0, demand_mean, 1.0)
    result: Floats = np.where(demand_mean > 0, (position - reorder_point) / safe, np.nan)
    return result


def _with_price_break(
    rules: Rules,
    terms: Terms,
    evaluated: Evaluated,
    quantity: Ints,
    position: Ints,
    limit: Ints,
    carrying_rate: float,
) -> Ints:
    multiple = terms.multiple[:, None]
    is_step = (terms.steps > quantity[:, None]) & (terms.steps < NO_LIMIT)
    steps = np.where(is_step, -(-np.where(is_step, terms.steps, 0) // multiple) * multiple, 0)
    columns = [
        prices_at(steps[:, k], terms.price, terms.steps, terms.step_prices)
        for k in range(steps.shape[1])
    ]
    longest = COVER_LIMIT * rules.cover_days * evaluated.demand_mean
    most = np.floor(evaluated.numbers.reorder_point + longest - position).astype(np.int64)
    most = np.where(is_rule(rules.rule, ReplenishmentRule.LOTS), 0, most)  # Q has its price break
    return raised_to_break(
        quantity,
        price=prices_at(quantity, terms.price, terms.steps, terms.step_prices).astype(np.float64),
        break_quantities=steps,
        break_prices=np.column_stack(columns).astype(np.float64),
        order_limit=np.minimum(most, limit),
        demand_mean=evaluated.demand_mean,
        carrying_rate=carrying_rate,
    )


def _expected_short(lowest: Floats, evaluated: Evaluated, position: Ints) -> Floats:
    """Units expected to be missing before an order of today can help: sigma * G(lowest / sigma).

    Without a forecast it is what is owed.
    """
    sigma = np.maximum(evaluated.numbers.sigma_ltd, 1e-9)
    short = sigma * normal_loss(lowest / sigma)
    result: Floats = np.where(evaluated.demand_total > 0, short, np.maximum(-position, 0))
    return result


def _lowest(balance: Floats, days: Floats) -> Floats:
    """Lowest balance at the end of the days inside each window."""
    horizon = balance.shape[1]
    last = np.clip(np.ceil(days - 1e-9).astype(np.int64), 1, horizon)
    inside = np.arange(horizon)[None, :] < last[:, None]
    result: Floats = np.where(inside, balance, np.inf).min(axis=1)
    return result
