"""The cheapest order quantity under price breaks, minimum, multiple and maximum, on whole arrays.

Within one price step the yearly cost falls and then rises with the quantity. So of all orderable
quantities only these can be the cheapest: around each step's EOQ the multiple below and the one
above, and the first and the last multiple of each step. All of them are priced, the cheapest wins.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.planning.core.quantities import NO_LIMIT

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LotTerms:
    """Costs and conditions, one row each; money in one unit throughout.

    Attributes:
        annual_demand: D, units a year, shape (n,).
        order_cost: K, money per order, shape (n,).
        carrying_rate: i, fraction of the price a year.
        steps: First quantity of each price step, shape (n, k), rising from 0; ``NO_LIMIT`` fills.
        prices: Unit price of each step, shape (n, k).
        moq, multiple, limit: Units, shape (n,).
        is_incremental: The lower price holds only for the units above its step.
    """

    annual_demand: Floats
    order_cost: Floats
    carrying_rate: float
    steps: Ints
    prices: Floats
    moq: Ints
    multiple: Ints
    limit: Ints
    is_incremental: bool = False


@dataclass(frozen=True)
class Lots:
    """Order quantities in units, and what a year costs with them; 0 and inf where none fits."""

    quantity: Ints
    annual_cost: Floats


def economic_lots(terms: LotTerms) -> Lots:
    """Cheapest orderable quantity of each row, purchase, ordering and holding cost together.

    Example:
        >>> one = np.ones(1, dtype=np.int64)
        >>> lots = economic_lots(LotTerms(
        ...     annual_demand=36_500.0 * one, order_cost=50.0 * one, carrying_rate=0.25,
        ...     steps=np.array([[0, 1000, 5000]]), prices=np.array([[8.00, 7.80, 7.60]]),
        ...     moq=0 * one, multiple=one, limit=NO_LIMIT * one))
        >>> lots.quantity.tolist(), lots.annual_cost.round(2).tolist()
        ([5000], [282515.0])
    """
    candidates = _candidates(terms)
    cost = annual_costs(terms, candidates)
    best = cost.argmin(axis=1)
    rows = np.arange(len(best))
    cheapest = cost[rows, best]
    quantity = np.where(np.isfinite(cheapest), candidates[rows, best], 0)
    return Lots(quantity, cheapest)


def annual_costs(terms: LotTerms, quantities: Ints) -> Floats:
    """Yearly cost of quantities of shape (n, m); inf where one cannot be ordered.

    D * p + D * K / Q + i * p * Q / 2, with p the price of a unit, on average where the discount is
    incremental.
    """
    lot = np.maximum(quantities, 1).astype(np.float64)
    price = _average_prices(terms, quantities) if terms.is_incremental else _prices(terms, lot)
    demand = terms.annual_demand[:, None]
    cost = demand * price + demand * terms.order_cost[:, None] / lot
    cost = cost + terms.carrying_rate * price * lot / 2
    multiple = terms.multiple[:, None]
    can = (quantities > 0) & (quantities >= terms.moq[:, None]) & (quantities % multiple == 0)
    result: Floats = np.where(can & (quantities <= terms.limit[:, None]), cost, np.inf)
    return result


def _prices(terms: LotTerms, lot: Floats) -> Floats:
    result = np.broadcast_to(terms.prices[:, :1], lot.shape)
    for k in range(1, terms.steps.shape[1]):
        result = np.where(lot >= terms.steps[:, k : k + 1], terms.prices[:, k : k + 1], result)
    return result


def _extra_paid(terms: LotTerms) -> Floats:
    """What a quantity of each step costs beyond quantity * price, shape (n, k)."""
    fall = terms.prices[:, :-1] - terms.prices[:, 1:]
    steps = np.where(terms.steps[:, 1:] < NO_LIMIT, terms.steps[:, 1:], 0)
    first = np.zeros((len(fall), 1))
    result: Floats = np.concatenate([first, np.cumsum(fall * steps, axis=1)], axis=1)
    return result


def _average_prices(terms: LotTerms, quantities: Ints) -> Floats:
    lot = np.maximum(quantities, 1).astype(np.float64)
    extra = _extra_paid(terms)
    paid = extra[:, :1] + np.zeros_like(lot)
    for k in range(1, terms.steps.shape[1]):
        paid = np.where(lot >= terms.steps[:, k : k + 1], extra[:, k : k + 1], paid)
    return _prices(terms, lot) + paid / lot


def _candidates(terms: LotTerms) -> Ints:
    """Quantities of which one is the cheapest, shape (n, 4 * k + 2)."""
    multiple = terms.multiple[:, None].astype(np.float64)
    fixed = terms.order_cost[:, None] + (_extra_paid(terms) if terms.is_incremental else 0.0)
    holding = np.maximum(terms.carrying_rate * terms.prices, 1e-12)
    best = np.sqrt(2 * terms.annual_demand[:, None] * fixed / holding)
    columns = [np.floor(best / multiple), np.floor(best / multiple) + 1]
    first = np.where(terms.steps < NO_LIMIT, terms.steps, 0)
    columns += [-(-first // multiple), -(-first // multiple) - 1]
    columns += [-(-terms.moq[:, None] // multiple), terms.limit[:, None] // multiple]
    packs = np.concatenate(columns, axis=1)
    most = NO_LIMIT / multiple
    result: Ints = (np.clip(packs, 1, most) * multiple).astype(np.int64)
    return result
