"""The plant of a replay: terms of the items in periods, delays, opening stock, and the run itself.

This is the only module of the backtest that knows the simulation engine.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.backtest.core.assumptions import DAYS_A_YEAR, Assumptions
from tools.backtest.core.history import History
from tools.backtest.core.policy import Policy
from tools.simulation.core.draws import Streams, delivery_draws, lead_time_table
from tools.simulation.core.engine import simulate
from tools.simulation.core.outcome import Outcome
from tools.simulation.core.world import ChangingLevels, Deliveries, Draws, Items

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
OPENING_DAYS = 14  # of demand on hand at the start, beyond the lead time
OPENING_WINDOW_DAYS = 90


@dataclass(frozen=True)
class Plant:
    """Terms of the items; arrays of shape (n,), times in periods (days, or weeks of weekly data).

    Attributes:
        past: Shape (n, training): what was sold before the test; zeros before the first sale.
        period_days: Days in a period.
        lead_time: Mean.
        lead_time_sd: Standard deviation.
        review: Periods between two reviews.
        moq: Smallest order.
        multiple: Pack.
        holding_cost: Of a unit for a period.
        order_cost: Of an order.
        margin: Lost with a unit that could not be sold.
        unit_cost: Value of a unit in stock.
    """

    past: FloatArray
    period_days: int
    lead_time: FloatArray
    lead_time_sd: FloatArray
    review: int
    moq: FloatArray
    multiple: FloatArray
    holding_cost: FloatArray
    order_cost: float
    margin: FloatArray
    unit_cost: FloatArray

    def periods(self, days: float) -> int:
        """Whole periods in so many days, at least one."""
        return max(1, round(days / self.period_days))

    @property
    def protection(self) -> FloatArray:
        """Periods that a reorder point must last: lead time and review."""
        return self.lead_time + self.review

    def recent_mean(self, periods: int) -> FloatArray:
        """Mean sales of the last periods before the test."""
        return np.asarray(self.past[:, -periods:].mean(axis=1))

    def economic(self, mean: FloatArray) -> FloatArray:
        """Economic order quantity for a demand a period; ``mean`` (n,) or (n, p)."""
        held = self.holding_cost if mean.ndim == 1 else self.holding_cost[:, None]
        return np.asarray(np.sqrt(2 * self.order_cost * np.maximum(mean, 1e-9) / held))

    def lot(self, mean: FloatArray) -> FloatArray:
        """Economic quantity, at least the demand of a review."""
        return np.asarray(np.maximum(self.economic(mean), mean * self.review))


@dataclass(frozen=True)
class World:
    """A plant with what happens to it: the same for every policy.

    Attributes:
        plant: Terms.
        demand: Shape (n, T): what was asked for on each period of the test.
        items: The same terms as the engine wants them.
        draws: Demand and delays of every path.
    """

    plant: Plant
    demand: FloatArray
    items: Items
    draws: Draws

    @property
    def delay(self) -> IntArray:
        """Delay of an order of each item, path and period, shape (n, p, T)."""
        return np.asarray(self.draws.deliveries.days[self.draws.deliveries.row])


def build_plant(history: History, assumptions: Assumptions) -> Plant:
    """Bring the terms of a history onto its calendar."""
    step = history.panel.period_days
    lead_time = history.lead_time_days / step
    return Plant(
        past=np.nan_to_num(history.panel.units[:, : history.training]),
        period_days=step,
        lead_time=lead_time,
        lead_time_sd=lead_time * assumptions.lead_time_cv,
        review=max(1, round(assumptions.review_days / step)),
        moq=history.moq,
        multiple=history.multiple,
        holding_cost=assumptions.holding_rate * history.unit_cost * step / DAYS_A_YEAR,
        order_cost=assumptions.order_cost,
        margin=history.price - history.unit_cost,
        unit_cost=history.unit_cost,
    )


def build_world(history: History, assumptions: Assumptions) -> World:
    """Draw the delays and open the stock."""
    plant = build_plant(history, assumptions)
    demand = np.rint(np.nan_to_num(history.panel.units[:, history.training :]))
    paths, periods = assumptions.replications, demand.shape[1]
    mean = plant.recent_mean(plant.periods(OPENING_WINDOW_DAYS))
    days = plant.lead_time + OPENING_DAYS / plant.period_days
    items = Items.of(
        len(demand), on_hand=np.ceil(mean * days), moq=plant.moq, multiple=plant.multiple,
        review_days=plant.review, unit_cost=plant.unit_cost, holding_cost=plant.holding_cost,
        order_cost=plant.order_cost, shortage_cost=plant.margin,
    )  # fmt: skip
    deliveries = _deliveries(history, plant, assumptions, paths=paths, periods=periods)
    return World(plant, demand, items, Draws(demand=demand[:, None, :], deliveries=deliveries))


def _deliveries(
    history: History, plant: Plant, assumptions: Assumptions, *, paths: int, periods: int
) -> Deliveries:
    """Gamma delays; orders of one group on one day travel together."""
    table = np.maximum(lead_time_table(plant.lead_time, plant.lead_time_sd), 1)
    return delivery_draws(
        table, history.group, paths=paths, days=periods, streams=Streams(assumptions.seed)
    )


def run(world: World, policy: Policy, *, keep: bool = False) -> Outcome:
    """Replay a policy against the world.

    Args:
        world: Demand and delays.
        policy: What sets the levels.
        keep: Also keep every order and the stock of every day.
    """
    changing = ChangingLevels(
        policy.levels, every_days=policy.every_periods, history=world.plant.past
    )
    quantiles = (0.1, 0.5, 0.9) if keep else None
    return simulate(world.items, world.draws, changing, quantiles=quantiles, keep_orders=keep)
