"""Reorder points of many items at once: 100,000 in at most a second."""

import time
from dataclasses import fields

import numpy as np

from tools.planning.core.policies import PolicyInputs, reorder_points

ITEMS = 100_000
GOAL_SECONDS = 1.0
ROUNDS = 3


def run() -> list[dict[str, object]]:
    """Time the best of three rounds over a mixed assortment."""
    inputs = assortment(ITEMS, np.random.default_rng(7))
    reorder_points(PolicyInputs(**{f.name: getattr(inputs, f.name)[:100] for f in fields(inputs)}))
    seconds = min(_seconds(inputs) for _ in range(ROUNDS))
    return [
        {
            "name": f"reorder points of {ITEMS:,} items",
            "value": round(seconds, 3),
            "unit": "s",
            "goal": f"<= {GOAL_SECONDS:g}",
            "holds": seconds <= GOAL_SECONDS,
        }
    ]


def assortment(items: int, random: np.random.Generator) -> PolicyInputs:
    """Return fast and slow movers, some by fill rate: 40 % need a count distribution."""
    mean = random.lognormal(0.5, 1.5, items)
    days = random.uniform(3, 40, items)
    is_fill_rate = random.random(items) < 0.2
    return PolicyInputs(
        demand_total=mean * days,
        demand_total_sd=mean * random.uniform(0.3, 2.0, items) * np.sqrt(days),
        demand_mean=mean,
        lead_time_sd=random.uniform(0, 0.4, items) * days,
        service_rate=random.uniform(0.85, 0.995, items),
        order_quantity=np.maximum(mean * 14, 1.0),
        adi=np.where(random.random(items) < 0.4, 2.0, 1.1),
        empirical_buffer=np.full(items, np.nan),
        is_fill_rate=is_fill_rate,
        is_lost_sales=np.zeros(items, dtype=np.bool_),
        method=np.full(items, "combined"),
    )


def _seconds(inputs: PolicyInputs) -> float:
    started = time.perf_counter()
    reorder_points(inputs)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(run())
