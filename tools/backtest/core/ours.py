"""Our policy: the levels that planning computes, from what a replay could have seen."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tools.backtest.core.plant import Plant
from tools.backtest.core.policies import WEEK_DAYS
from tools.backtest.core.policy import Policy
from tools.planning.core.levels.observed import ObservedDemand
from tools.planning.core.levels.replenishment import (
    DEFAULT,
    Economics,
    LeadTimes,
    LevelWeights,
    OrderTerms,
    replenishment_levels,
)

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
SETTING = "scale of the reorder point"  # the parameter of the curve
DELIVERED = 1.0
SWEEP = (0.5, 0.6, 0.75, 0.9, 1.0, 1.15, 1.35, 1.6)
_KNOWN_DAYS = 364


def ours(plant: Plant, *, setting: float = DELIVERED) -> Policy:
    """Levels whose safety is worth its holding cost, the function that planning calls.

    Args:
        plant: Terms of the items.
        setting: Factor on the reorder points, > 0; 1 is what planning does.
    """
    known = plant.periods(_KNOWN_DAYS)
    weights = _scaled(DEFAULT, setting)
    terms = OrderTerms(plant.moq, plant.multiple)
    order = np.full(len(plant.moq), plant.order_cost)
    step = plant.period_days  # planning thinks in days; a week of sales is seven equal ones
    costs = Economics(plant.margin, plant.holding_cost / step, order)
    lead_times = LeadTimes(plant.lead_time * step)

    def levels(_day: int, sold: FloatArray, in_stock: BoolArray) -> tuple[FloatArray, FloatArray]:
        units = np.ascontiguousarray(sold[:, :, -known:].swapaxes(0, 1)) / step
        served = np.ascontiguousarray(in_stock[:, :, -known:].swapaxes(0, 1))
        seen = ObservedDemand(np.repeat(units, step, axis=2), np.repeat(served, step, axis=2))
        found = replenishment_levels(
            seen, lead_times, terms, costs, review_days=float(plant.review * step), weights=weights
        )
        low, high = found.reorder_point.T, found.order_up_to_level.T
        return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)

    return Policy(
        "ours",
        "Quartermaster",
        "ours",
        "levels of planning from the policy's own sales with stock-out days repaired, safety as "
        "far as it is worth its holding cost, every week",
        plant.periods(WEEK_DAYS),
        levels,
    )


def tuned(plant: Plant, *, setting: float) -> Policy:
    """The same policy with a safety that was chosen before the test.

    Args:
        plant: Terms of the items.
        setting: What ``tuned_setting`` found.
    """
    return replace(
        ours(plant, setting=setting),
        key="ours_tuned",
        name=f"Quartermaster, tuned ({setting:g})",
        said="ours with its safety tuned before the test",
        rule=f"the same, its {SETTING} ({setting:g}) chosen by replaying the days before the test",
    )


def _scaled(weights: LevelWeights, factor: float) -> LevelWeights:
    return replace(weights, scale=weights.scale * factor)
