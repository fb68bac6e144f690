"""What a simulation gives: totals per item and path, and on request days and orders."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Daily:
    """Days of each item over all paths, units; shape (n, T) but for the quantiles (q, n, T)."""

    quantiles: tuple[float, ...]
    on_hand_mean: Floats
    demand_mean: Floats
    short_mean: Floats
    order_mean: Floats
    on_hand_quantiles: Floats


@dataclass(frozen=True)
class Orders:
    """Every order, one element each: who ordered when, how much, and when the first of it came."""

    item: Ints
    path: Ints
    day: Ints
    units: Floats
    arrives_on_day: Ints


@dataclass(frozen=True)
class Outcome:
    """Totals over ``days`` days, each of shape (n, p); units and money.

    ``sold`` was served on its day, ``short`` was not. ``short_days`` had something short,
    ``empty_days`` ended with less than one unit. ``cycles`` are replenishment cycles that ended,
    ``short_cycles`` those of them with something short.
    """

    days: int
    demand: Floats
    sold: Floats
    short: Floats
    short_days: Floats
    empty_days: Floats
    average_units: Floats
    average_value: Floats
    orders: Floats
    ordered_units: Floats
    holding_cost: Floats
    ordering_cost: Floats
    shortage_cost: Floats
    cycles: Floats
    short_cycles: Floats
    final_units: Floats
    final_on_order: Floats
    final_backlog: Floats
    daily: Daily | None = None
    orders_log: Orders | None = None

    @property
    def total_cost(self) -> Floats:
        """Holding, ordering and shortage, shape (n, p)."""
        result: Floats = self.holding_cost + self.ordering_cost + self.shortage_cost
        return result

    def fill_rate(self, axis: int | None = None) -> Floats:
        """Share of demand served on its day; nan without demand.

        Args:
            axis: None pools everything, 1 gives one per item, 0 one per path.
        """
        return _share(self.demand.sum(axis) - self.short.sum(axis), self.demand.sum(axis))

    def cycle_service_level(self, axis: int | None = None) -> Floats:
        """Share of replenishment cycles without anything short; nan where none ended."""
        good = self.cycles.sum(axis) - self.short_cycles.sum(axis)
        return _share(good, self.cycles.sum(axis))

    def stockout_rate(self, axis: int | None = None) -> Floats:
        """Share of item-days with something short."""
        result: Floats = np.asarray(self.short_days.mean(axis) / self.days)
        return result


def _share(part: Floats, whole: Floats) -> Floats:
    safe = np.where(np.asarray(whole) > 0, whole, 1.0)
    result: Floats = np.where(np.asarray(whole) > 0, part / safe, np.nan)
    return result
