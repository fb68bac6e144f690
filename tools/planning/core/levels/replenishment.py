"""Reorder points and order-up-to levels whose safety is worth its holding cost.

    s = max((w . yardsticks) * (0.03 / P) ** g, f * worst window)
    S = s + max(c * EOQ, demand until the next review)

The yardsticks say what a lead time may bring; their weights w are the same for every item and were
found by replaying demand in closed loop: 800 items of Online Retail, December 2010 to May 2011,
forwards and backwards (``bench/closed_loop_search.py``). P is the chance of a
stock-out in a cycle that pays when sales are lost: h * Q / (m * d + h * Q) (Silver, Pyke & Thomas).
Items whose P is smaller than usual get a higher level, by the power that a heavy tail asks for.
The worst window of the past is a floor because P is as a rule smaller than 1 / (n + 1), the chance
that a window exceeds all n before it.
"""

from dataclasses import dataclass, fields

import numpy as np

from tools.errors import InvalidInput
from tools.planning.core.levels.observed import Floats, ObservedDemand
from tools.planning.core.levels.yardsticks import Yardsticks, yardsticks

USUAL_CHANCE = 0.03
ADJUSTMENT_BOUNDS = (0.4, 2.5)
LEAST_DEMAND = 1e-3  # units a day; below it an item counts as this slow


@dataclass(frozen=True)
class LeadTimes:
    """Supplier lead times in calendar days, each of shape (n,)."""

    mean: Floats

    @classmethod
    def of_samples(cls, samples: Floats) -> "LeadTimes":
        """Lead times observed by item, shape (n, k)."""
        return cls(mean=np.asarray(samples, dtype=np.float64).mean(axis=1))


@dataclass(frozen=True)
class OrderTerms:
    """Smallest order and order multiple in units, shape (n,)."""

    moq: Floats
    multiple: Floats


@dataclass(frozen=True)
class Economics:
    """What stock and its absence cost, in one currency, shape (n,) each.

    Attributes:
        shortage: m, money lost for a unit not served, usually the margin, > 0.
        holding: h, money for a unit and a day, > 0.
        order: K, money for an order line, >= 0.
    """

    shortage: Floats
    holding: Floats
    order: Floats

    def __post_init__(self) -> None:
        if not (np.all(self.shortage > 0) and np.all(self.holding > 0) and np.all(self.order >= 0)):
            raise InvalidInput(
                "levels need shortage and holding cost > 0 and order cost >= 0 for every item",
                next_step="Give a margin or shortage cost, or keep a service rate for these items.",
            )


@dataclass(frozen=True)
class LevelWeights:
    """The numbers that all items share; the module says how they act.

    ``scale`` moves along the curve of fill against stock value: it multiplies what a reorder point
    holds beyond expected demand, and below 1 lots shrink to the economic one, since a larger lot is
    a kind of safety too. Above 1 buys more fill.
    """

    slow: float = 0.24
    steady: float = 0.38
    fast: float = 0.15
    capped: float = 0.78
    grown: float = 0.13
    worst_window: float = 0.43
    worst_day: float = 0.15
    spread: float = 0.94
    tail_power: float = 0.02
    floor: float = 0.56
    off_season: float = 0.51
    lot_factor: float = 1.24
    scale: float = 1.0


DEFAULT = LevelWeights()


@dataclass(frozen=True)
class Levels:
    """Results, shape (..., n): order up to S when the inventory position is at or below s.

    Attributes:
        reorder_point: s, units (not rounded).
        order_up_to_level: S, units.
        demand_mean: d, units a day, stock-outs repaired.
        shortage_chance: P, the chance of a stock-out in a cycle that pays.
    """

    reorder_point: Floats
    order_up_to_level: Floats
    demand_mean: Floats
    shortage_chance: Floats


def replenishment_levels(
    demand: ObservedDemand,
    lead_times: LeadTimes,
    terms: OrderTerms,
    economics: Economics,
    *,
    review_days: float = 1.0,
    weights: LevelWeights = DEFAULT,
) -> Levels:
    """Levels of all items, and of all paths of a simulation, at once.

    Lost sales. Nothing about the future is used but the lead times' mean.

    Args:
        demand: Sales as seen, (..., n, days).
        lead_times: Of each item's supplier.
        terms: Smallest order and multiple.
        economics: Costs.
        review_days: R, days between two looks at an item, > 0; nightly planning is 1.
        weights: Numbers shared by all items.

    Raises:
        InvalidInput: Shapes differ or a cost is not positive.
        NotEnoughData: Less than two weeks of history.
    """
    items = demand.units.shape[-2]
    _require_rows(items, lead_times, terms, economics)
    window = lead_times.mean + review_days
    measured = yardsticks(demand, window, off_season=weights.off_season)
    mean = measured.demand_mean
    factor = weights.lot_factor ** min(weights.scale, 1.0)
    lot = np.maximum(factor * economic_lot(mean, economics), mean * review_days)
    chance = shortage_chance(mean, np.maximum(lot, terms.moq), economics)
    tail = np.clip((USUAL_CHANCE / chance) ** weights.tail_power, *ADJUSTMENT_BOUNDS)
    point = tail * _weighted(measured, weights)
    point = np.maximum(point, weights.floor * measured.worst_window)
    expected = np.minimum(mean * window, point)
    point = expected + weights.scale * (point - expected)
    return Levels(point, point + lot, mean, chance)


def economic_lot(demand_mean: Floats, economics: Economics) -> Floats:
    """Economic order quantity sqrt(2 * d * K / h), units.

    Example:
        >>> costs = Economics(*(np.array([x]) for x in (1.0, 2.0 / 365, 50.0)))
        >>> economic_lot(np.array([100.0]), costs).round(2).tolist()
        [1350.93]
    """
    result: Floats = np.sqrt(2 * np.maximum(demand_mean, 0.0) * economics.order / economics.holding)
    return result


def shortage_chance(demand_mean: Floats, order_quantity: Floats, economics: Economics) -> Floats:
    """Chance of a stock-out in a cycle at which one more unit of safety stock stops paying.

    With lost sales, a unit more costs h for the Q / d days of a cycle, and saves m and the holding
    of a later unit where the cycle runs short: P = h * Q / (m * d + h * Q).

    Example:
        >>> costs = Economics(*(np.array([x]) for x in (9.0, 0.1, 1.0)))
        >>> shortage_chance(np.array([1.0]), np.array([10.0]), costs).tolist()
        [0.1]
    """
    held = economics.holding * order_quantity
    result: Floats = held / (economics.shortage * np.maximum(demand_mean, LEAST_DEMAND) + held)
    return result


def _weighted(measured: Yardsticks, weights: LevelWeights) -> Floats:
    """Sum of all yardsticks by weight; a weight bears the name of its yardstick."""
    names = [f.name for f in fields(Yardsticks) if f.name != "demand_mean"]
    result: Floats = sum(
        (getattr(weights, name) * getattr(measured, name) for name in names),
        start=np.zeros_like(measured.demand_mean),
    )
    return result


def _require_rows(items: int, *parts: LeadTimes | OrderTerms | Economics) -> None:
    for part in parts:
        for field in fields(part):
            shape = np.shape(getattr(part, field.name))
            if shape != (items,):
                raise InvalidInput(
                    f"{field.name} needs one value for each of {items!r} items, got {shape!r}"
                )
