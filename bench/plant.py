"""A shop that replays real demand day by day against a replenishment policy.

Stochastic lead times, lost sales, packs and smallest orders; every policy meets the same lead times
(common random numbers) and sees only what a planner would have seen: its own sales, cut off by its
own stock-outs, the flags that say so, the suppliers' past lead times, terms and costs.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
SUPPLIER_DAYS = np.array([5, 7, 7, 10, 10, 12, 14, 14, 18, 21, 24, 28], dtype=np.float64)
LEAD_TIME_CV = 0.5  # what the vendors of the SCMS deliveries show
PACKS = np.array([1, 1, 6, 12, 12, 24])
MOQ_PACKS = np.array([1, 1, 2, 4])
COST_SHARE, HOLDING_RATE, ORDER_COST = 0.6, 0.25, 3.0  # of the price; a year; a line
OPENING_DAYS = 14  # of demand in stock beyond the mean lead time
OBSERVED_LEAD_TIMES = 400


@dataclass(frozen=True)
class World:
    """Demand, terms and chance: n items, T days to come, r replications.

    Attributes:
        history: Units a day before the first day, (n, days).
        demand: Units a day to come, (n, T).
        lead_time_mean: Days, (n,).
        lead_time_samples: Lead times that the item's supplier showed before, (n, k) days.
        lead_times: Days from order to receipt of an order placed on each day, (r, n, T).
        pack, moq: Order multiple and smallest order, units, (n,).
        cost, margin, holding: Money a unit, a unit lost, a unit and day; (n,).
        opening: Stock on the first morning, units, (n,).
    """

    history: Floats
    demand: Floats
    lead_time_mean: Floats
    lead_time_samples: Ints
    lead_times: Ints
    pack: Floats
    moq: Floats
    cost: Floats
    margin: Floats
    holding: Floats
    opening: Floats


@dataclass(frozen=True)
class Seen:
    """What a policy sees on an evening: (r, n, days so far) each."""

    world: World  # of which it may use history, terms, costs and lead_time_samples
    day: int
    units: npt.NDArray[np.floating]
    in_stock: Flags


class Policy(Protocol):
    """Gives reorder points s and order-up-to levels S, (r, n) each, every ``every`` days."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def every(self) -> int:
        """Days between two computations of the levels."""

    def levels(self, seen: Seen) -> tuple[Floats, Floats]:
        """Order up to S when the position is at or below s."""


@dataclass(frozen=True)
class Outcome:
    """What a policy achieved; money is the mean of the replications."""

    name: str
    fill_rate: float
    inventory_value: float
    stockout_rate: float
    orders: float
    holding_cost: float
    order_cost: float
    lost_margin: float
    item_costs: Floats  # (n,)

    @property
    def total(self) -> float:
        """Holding, ordering and lost margin together."""
        return self.holding_cost + self.order_cost + self.lost_margin


def world(
    history: Floats, demand: Floats, price: Floats, *, replications: int, seed: int = 1
) -> World:
    """Terms and lead times of a shop, drawn from the seed."""
    random = np.random.default_rng(seed)
    items, days = demand.shape
    suppliers = len(SUPPLIER_DAYS)
    supplier = random.integers(0, suppliers, items)
    shape = 1 / LEAD_TIME_CV**2
    mean = SUPPLIER_DAYS[supplier]
    delay = random.gamma(shape, 1 / shape, size=(replications, suppliers, days))
    past = random.gamma(shape, 1 / shape, size=(suppliers, OBSERVED_LEAD_TIMES))
    pack = random.choice(PACKS, items).astype(np.float64)
    moq = pack * random.choice(MOQ_PACKS, items)
    return World(
        history=history,
        demand=demand,
        lead_time_mean=mean,
        lead_time_samples=_whole_days(past * SUPPLIER_DAYS[:, None])[supplier],
        lead_times=_whole_days(delay[:, supplier, :] * mean[None, :, None]),
        pack=pack,
        moq=moq,
        cost=COST_SHARE * price,
        margin=price - COST_SHARE * price,
        holding=HOLDING_RATE * COST_SHARE * price / 365,
        opening=np.ceil(history[:, -90:].mean(axis=1) * (mean + OPENING_DAYS)),
    )


def _whole_days(days: Floats) -> Ints:
    return np.maximum(1, np.rint(days)).astype(np.int64)


def simulate(shop: World, policy: Policy) -> Outcome:
    """Replay all days: receive, sell, look, order.

    An order of the evening of day t with lead time L is sold from on day t + 1 + L. A day is in
    stock when there was a unit to sell and everything asked for was served.
    """
    paths, items, days = shop.lead_times.shape
    past = shop.history.shape[1]
    units = np.empty((paths, items, past + days), dtype=np.float32)
    units[..., :past] = shop.history
    in_stock = np.ones(units.shape, dtype=np.bool_)
    arrivals = np.zeros((days + int(shop.lead_times.max()) + 2, paths, items))
    on_hand = np.broadcast_to(shop.opening, (paths, items)).copy()
    on_order, held, lost, orders = (np.zeros((paths, items)) for _ in range(4))
    short_days = 0
    point = up_to = on_hand
    for day in range(days):
        on_hand += arrivals[day]
        on_order -= arrivals[day]
        sold = np.minimum(on_hand, shop.demand[:, day])
        short = shop.demand[:, day] - sold
        on_hand -= sold
        in_stock[..., past + day] = (on_hand + sold >= 1) & (short <= 0)
        units[..., past + day] = sold
        lost += short
        held += on_hand
        short_days += int((short > 0).sum())
        if day % policy.every == 0:
            so_far = past + day + 1
            seen = Seen(shop, day, units[..., :so_far], in_stock[..., :so_far])
            point, up_to = policy.levels(seen)
        quantity = _orders(shop, on_hand + on_order, point, up_to)
        path, item = np.nonzero(quantity)
        orders[path, item] += 1
        on_order += quantity
        due = day + 1 + shop.lead_times[path, item, day]
        np.add.at(arrivals, (due, path, item), quantity[path, item])
    return _outcome(shop, policy.name, held, lost, orders, short_days)


def _orders(shop: World, position: Floats, point: Floats, up_to: Floats) -> Floats:
    """Quantity of each order: up to the level, in packs, at least the smallest order."""
    want = np.where(position <= point, up_to - position, 0.0)
    packed = np.maximum(np.ceil(want / shop.pack) * shop.pack, shop.moq)
    result: Floats = np.where(want > 0, packed, 0.0)
    return result


def _outcome(
    shop: World, name: str, held: Floats, lost: Floats, orders: Floats, short_days: int
) -> Outcome:
    paths, items, days = shop.lead_times.shape
    costs = [held * shop.holding, orders * ORDER_COST, lost * shop.margin]
    holding, ordering, margin = (float(cost.sum()) / paths for cost in costs)
    return Outcome(
        name=name,
        fill_rate=1 - float(lost.sum()) / (float(shop.demand.sum()) * paths),
        inventory_value=float((held * shop.cost).sum()) / paths / days,
        stockout_rate=short_days / (paths * items * days),
        orders=float(orders.sum()) / paths,
        holding_cost=holding,
        order_cost=ordering,
        lost_margin=margin,
        item_costs=np.sum(costs, axis=0).mean(axis=0),
    )
