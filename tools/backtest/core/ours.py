"""Our policy: the levels that planning computes, from what a replay could have seen."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from db.types import SafetyStockMethod
from tools.backtest.core.plant import Plant
from tools.backtest.core.policies import WEEK_DAYS
from tools.backtest.core.policy import Policy
from tools.demand.core import filled
from tools.forecasting.core.methods import DAILY, WEEKLY
from tools.forecasting.core.replay import replay
from tools.planning.core.policies import PolicyInputs, reorder_points

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
SETTING = "scale of the reorder point"  # the parameter of the curve
SERVICE_RATE = 0.98
DELIVERED = 1.0
SWEEP = (0.5, 0.6, 0.75, 0.9, 1.0, 1.15, 1.35, 1.6)
_KNOWN_DAYS = 364


def ours(plant: Plant, *, setting: float = DELIVERED) -> Policy:
    """Reorder points of the planning pass on forecasts replayed from a path's own sales.

    Args:
        plant: Terms of the items.
        setting: Factor on the reorder points, > 0; 1 is what planning does.
    """
    season = DAILY if plant.period_days == 1 else WEEKLY
    known = plant.periods(_KNOWN_DAYS)

    def levels(_day: int, sold: FloatArray, in_stock: BoolArray) -> tuple[FloatArray, FloatArray]:
        n, paths, _ = sold.shape
        units = sold[:, :, -known:].reshape(n * paths, -1)
        observed = in_stock[:, :, -known:].reshape(n * paths, -1)
        units = filled(units, ~observed)
        cycle = replay(units, origins=[units.shape[1]], season=season).cycle[:, 0]
        mean = np.nan_to_num(cycle.mean(axis=1))
        recent = units[:, -plant.periods(90) :]
        rows = np.repeat(np.arange(n), paths)
        inputs = _inputs(plant, rows, mean, recent.std(axis=1), SERVICE_RATE)
        low = reorder_points(inputs).reorder_point.reshape(n, paths).astype(np.float64)
        low = setting * low
        return low, low + plant.lot(mean.reshape(n, paths))

    return Policy(
        "ours",
        "Quartermaster",
        "ours",
        "forecast from the policy's own sales with stock-out days re-estimated, levels of the "
        "planning pass, every week",
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


def _inputs(
    plant: Plant, rows: npt.NDArray[np.intp], mean: FloatArray, sd: FloatArray, rate: float
) -> PolicyInputs:
    days = plant.protection[rows]
    nothing = np.zeros(len(rows), dtype=np.bool_)
    return PolicyInputs(
        demand_total=mean * days,
        demand_total_sd=sd * np.sqrt(days),
        demand_mean=mean,
        lead_time_sd=plant.lead_time_sd[rows],
        service_rate=np.full(len(rows), rate),
        order_quantity=np.ones(len(rows)),
        adi=np.ones(len(rows)),
        empirical_buffer=np.full(len(rows), np.nan),
        is_fill_rate=nothing,
        is_lost_sales=~nothing,
        method=np.full(len(rows), SafetyStockMethod.COMBINED.value),
    )
