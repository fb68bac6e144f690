"""Baseline and scenario after the simulation: sums over items, per path, and as JSON."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tools.money import amount_text
from tools.simulation.core.house import House
from tools.simulation.core.outcome import Outcome
from tools.simulation.core.world import Floats

Json = dict[str, Any]
LOW, HIGH = 0.05, 0.95  # nine paths in ten lie between


@dataclass(frozen=True)
class Figures:
    """Sums over items on each path, shape (p,); money in company minor units."""

    item_days: Floats
    short_days: Floats
    demand: Floats
    short: Floats
    average_units: Floats
    average_value: Floats
    orders: Floats
    ordered_units: Floats
    holding: Floats
    ordering: Floats
    shortage: Floats
    purchases: Floats

    @property
    def cost(self) -> Floats:
        """Holding, ordering and shortage."""
        result: Floats = self.holding + self.ordering + self.shortage
        return result

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


def figures(outcome: Outcome, house: House) -> Figures:
    """Sum an outcome over its items."""
    bought = outcome.ordered_units * np.nan_to_num(house.price)[:, None]
    n, p = outcome.demand.shape
    return Figures(
        item_days=np.full(p, float(n * outcome.days)),
        short_days=outcome.short_days.sum(axis=0),
        demand=outcome.demand.sum(axis=0),
        short=outcome.short.sum(axis=0),
        average_units=outcome.average_units.sum(axis=0),
        average_value=outcome.average_value.sum(axis=0),
        orders=outcome.orders.sum(axis=0),
        ordered_units=outcome.ordered_units.sum(axis=0),
        holding=outcome.holding_cost.sum(axis=0),
        ordering=outcome.ordering_cost.sum(axis=0),
        shortage=outcome.shortage_cost.sum(axis=0),
        purchases=bought.sum(axis=0),
    )


def side(found: Figures, currency: str) -> Json:
    """Averages over the paths."""
    demand = float(found.demand.sum())
    return {
        "stockout_days": round(float(found.short_days.mean()), 2),
        "stockout_rate": round(float(found.short_days.sum() / found.item_days.sum()), 4),
        "fill_rate": None if demand <= 0 else round(1 - float(found.short.sum()) / demand, 4),
        "lost_units": round(float(found.short.mean()), 1),
        "average_inventory": round(float(found.average_units.mean()), 1),
        "average_inventory_value": _money(found.average_value, currency),
        "orders": round(float(found.orders.mean()), 1),
        "ordered_units": round(float(found.ordered_units.mean()), 1),
        "cost": {
            "total": _money(found.cost, currency),
            "holding": _money(found.holding, currency),
            "ordering": _money(found.ordering, currency),
            "shortage": _money(found.shortage, currency),
        },
        "purchases": _money(found.purchases, currency),
    }


def difference(before: Figures, after: Figures, currency: str) -> Json:
    """Scenario less baseline, on the same paths; the interval holds nine paths in ten."""
    one, two = side(before, currency), side(after, currency)
    change = after.cost - before.cost
    low, high = np.quantile(change, (LOW, HIGH))
    is_known = None not in (one["fill_rate"], two["fill_rate"])
    return {
        "stockout_days": round(two["stockout_days"] - one["stockout_days"], 2),
        "fill_rate": round(two["fill_rate"] - one["fill_rate"], 4) if is_known else None,
        "average_inventory": round(two["average_inventory"] - one["average_inventory"], 1),
        "average_inventory_value": _money(after.average_value - before.average_value, currency),
        "orders": round(two["orders"] - one["orders"], 1),
        "cost": _money(change, currency),
        "cost_low": amount_text(round(float(low)), currency),
        "cost_high": amount_text(round(float(high)), currency),
        "purchases": _money(after.purchases - before.purchases, currency),
    }


@dataclass(frozen=True)
class ItemChange:
    """What a scenario does to one item: days with something short, and cost."""

    sku: str
    location: str
    stockout_days: float
    stockout_days_before: float
    cost_minor: float


def item_changes(before: Outcome, after: Outcome, names: list[tuple[str, str]]) -> list[ItemChange]:
    """Compare item by item, averages over the paths."""
    short, was = after.short_days.mean(axis=1), before.short_days.mean(axis=1)
    cost = (after.total_cost - before.total_cost).mean(axis=1)
    return [
        ItemChange(sku, place, float(short[i]), float(was[i]), float(cost[i]))
        for i, (sku, place) in enumerate(names)
    ]


def hardest_hit(changes: list[ItemChange], limit: int) -> list[ItemChange]:
    """Return the items that the scenario hurts most: first in stock-out days, then in cost."""
    hurt = [c for c in changes if c.stockout_days > c.stockout_days_before or c.cost_minor > 0]
    hurt.sort(key=lambda c: (c.stockout_days_before - c.stockout_days, -c.cost_minor, c.sku))
    return hurt[:limit]


def item_json(change: ItemChange, currency: str) -> Json:
    """One of the items hit hardest."""
    return {
        "sku": change.sku,
        "location": change.location,
        "stockout_days": round(change.stockout_days, 2),
        "stockout_days_before": round(change.stockout_days_before, 2),
        "cost_change": amount_text(round(change.cost_minor), currency),
    }


def _money(values: Floats, currency: str) -> str:
    return amount_text(round(float(values.mean())), currency)
