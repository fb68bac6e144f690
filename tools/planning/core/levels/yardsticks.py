"""Measures of the demand that a lead time may bring, each of them in units.

Half of them follow recent demand at different speeds, because levels move; the others remember the
worst that the whole history has seen, because single large orders come back.
"""

import math
from dataclasses import dataclass

import numpy as np

from tools.planning.core.levels.observed import (
    Floats,
    ObservedDemand,
    largest_window_total,
    memory,
    season_weights,
    uncensored,
)

SLOW, STEADY, FAST = 0.03, 0.10, 0.20  # smoothing a day: memories of 33, 10 and 5 days
SPREAD = 0.02  # smoothing of the variance: 50 days
BURST = 5.0  # a day above so many times the slow level counts as that much for the capped level
WINDOW_STRETCH = 1.15  # worst windows are looked for over a lead time that is a little late
GROWTH_BOUNDS = (0.5, 2.0)
BLOCK_VALUES = 2_000_000  # of history worked on at a time


@dataclass(frozen=True)
class Yardsticks:
    """Units over the protection window, shape (..., n) each, and two levels in units a day.

    Attributes:
        slow, steady, fast: Exponentially weighted levels times the window.
        capped: The steady level of days whose bursts are cut off, times the window.
        grown: The slow level with the growth that all items share, times the window.
        worst_window: Largest total of a window in the history.
        worst_day: Largest day in the history.
        spread: Standard deviation of a day times the root of the window.
        demand_mean: Units a day: the mean of the slow and the capped level.
    """

    slow: Floats
    steady: Floats
    fast: Floats
    capped: Floats
    grown: Floats
    worst_window: Floats
    worst_day: Floats
    spread: Floats
    demand_mean: Floats


def yardsticks(
    demand: ObservedDemand, window_days: Floats, *, off_season: float = 1.0
) -> Yardsticks:
    """Measure demand, repaired for stock-outs, against protection windows.

    Args:
        demand: Sales as seen, (..., n, days). Worked on in blocks of items, to bound the memory.
        window_days: Lead time plus review of each item, days, shape (n,).
        off_season: Weight of days of another season in the two worst cases, in [0, 1].

    Example:
        >>> steady = ObservedDemand(np.full((1, 60), 2.0), np.ones((1, 60), dtype=bool))
        >>> flat = yardsticks(steady, np.array([9.0]))
        >>> [round(float(x[0]), 3) for x in (flat.slow, flat.fast, flat.worst_day, flat.spread)]
        [18.0, 18.0, 2.0, 0.0]
        >>> flat.worst_window.tolist()
        [20.0]
    """
    *paths, items, days = demand.units.shape
    step = max(1, BLOCK_VALUES // (days * math.prod(paths)))
    blocks = [slice(start, start + step) for start in range(0, items, step)]
    parts = [
        _measured(
            uncensored(ObservedDemand(demand.units[..., b, :], demand.in_stock[..., b, :])),
            window_days[b],
            off_season,
        )
        for b in blocks
    ]
    joined = {name: np.concatenate([p[name] for p in parts], axis=-1) for name in parts[0]}
    slow, capped = joined["slow"], joined["capped"]
    growth = common_growth(slow, capped)
    totals = {name: joined[name] * window_days for name in ("slow", "steady", "fast", "capped")}
    return Yardsticks(
        **totals,
        grown=slow * growth * window_days,
        worst_window=joined["worst_window"],
        worst_day=joined["worst_day"],
        spread=joined["sd"] * np.sqrt(window_days),
        demand_mean=(slow + capped) / 2,
    )


def _measured(units: Floats, window_days: Floats, off_season: float) -> dict[str, Floats]:
    """Levels and spread a day, and the worst cases, of a block of items."""
    days = units.shape[-1]
    columns = [memory(days, rate) for rate in (SLOW, STEADY, FAST, SPREAD)]
    weights = np.stack(columns, axis=1).astype(units.dtype)
    slow, steady, fast, wide = np.moveaxis(units @ weights, -1, 0)
    variance = (units * units) @ weights[:, 3] - wide * wide
    capped = np.minimum(units, BURST * slow[..., None]) @ weights[:, 1]
    lengths = np.rint(window_days * WINDOW_STRETCH).astype(np.int64)
    in_season = units * season_weights(days, off_season).astype(units.dtype)
    return {
        "slow": slow,
        "steady": steady,
        "fast": fast,
        "capped": capped,
        "sd": np.sqrt(np.maximum(variance, 0.0)),
        "worst_window": largest_window_total(in_season, np.clip(lengths, 1, days // 2)),
        "worst_day": in_season.max(axis=-1),
    }


def common_growth(slow: Floats, capped: Floats) -> Floats:
    """Recent over slow demand of all items together, within half and double; shape (..., 1).

    One item's growth drowns in its noise; that of a few hundred together does not.
    """
    total = np.maximum(slow.sum(axis=-1, keepdims=True), 1e-9)
    result: Floats = np.clip(capped.sum(axis=-1, keepdims=True) / total, *GROWTH_BOUNDS)
    return result
