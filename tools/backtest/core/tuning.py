"""The safety of our policy, chosen by replaying the training part: nothing of the test is seen."""

from collections.abc import Sequence
from dataclasses import replace

from tools.backtest.core.assumptions import Assumptions
from tools.backtest.core.history import LEAST_TEST, History
from tools.backtest.core.ours import DELIVERED, ours
from tools.backtest.core.plant import build_world, run

MOST_CELLS = 3_000  # items times paths: more items need fewer paths for the same certainty
LEAST_PATHS = 4
LEAST_ITEMS = 5  # fewer tell the luck of a season, not a setting
MARGIN = 0.05  # by which a setting must win: the optimum is flat, and a narrow win is luck


def tuned_setting(
    history: History, assumptions: Assumptions, *, settings: Sequence[float]
) -> float:
    """Setting that would have cost least in the second half of the training part.

    Args:
        history: Chosen series.
        assumptions: Costs and terms.
        settings: Factors to try.

    Returns:
        One of the settings, or the delivered one where none was 5 % cheaper or there are fewer
        than five items to learn from.
    """
    if len(history.skus) < LEAST_ITEMS:
        return DELIVERED
    validation = max(LEAST_TEST[history.panel.grain], min(history.test, history.training // 2))
    before = replace(history, panel=history.before_test(), training=history.training - validation)
    paths = min(assumptions.replications, max(LEAST_PATHS, MOST_CELLS // len(history.skus)))
    world = build_world(before, replace(assumptions, replications=paths, seed=assumptions.seed + 1))
    cost = {
        setting: float(run(world, ours(world.plant, setting=setting)).total_cost.sum())
        for setting in {*settings, DELIVERED}
    }
    best = min(cost, key=cost.__getitem__)
    return best if cost[best] <= (1 - MARGIN) * cost[DELIVERED] else DELIVERED
