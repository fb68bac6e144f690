"""The policies that a backtest compares, each as levels from what it could know on a day.

A policy is called with the sales that *it* would have seen: what its own stock allowed it to sell,
and on which days it had stock. Nothing else reaches it, except the clairvoyant, which is the bound.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from tools.backtest.core.plant import Plant
from tools.backtest.core.policy import Policy
from tools.errors import InvalidInput

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

AVERAGE_DAYS, COVER_DAYS = 30, 30
CARELESS_SAFETY_DAYS, CAREFUL_SAFETY_DAYS = 7, 28
TEXTBOOK_DAYS = 90
WEEK_DAYS, MONTH_DAYS = 7, 28


def min_max(plant: Plant) -> Policy:
    """The spreadsheet as it is often kept: reviewed every four weeks, safety stock set once."""
    average = plant.periods(AVERAGE_DAYS)
    safety = plant.recent_mean(3 * average) * CARELESS_SAFETY_DAYS / plant.period_days

    def levels(_day: int, sold: FloatArray, _in_stock: BoolArray) -> tuple[FloatArray, FloatArray]:
        mean = sold[:, :, -average:].mean(axis=2)
        low = mean * plant.lead_time[:, None] + safety[:, None]
        return low, low + mean * COVER_DAYS / plant.period_days

    return Policy(
        "spreadsheet",
        "your min/max spreadsheet",
        "your min/max spreadsheet",
        f"{AVERAGE_DAYS}-day average of sales, looked at every {MONTH_DAYS} days, "
        f"{CARELESS_SAFETY_DAYS} days' safety fixed once, {COVER_DAYS} days' cover",
        plant.periods(MONTH_DAYS),
        levels,
    )


def kept_weekly(plant: Plant, *, safety_days: float = CAREFUL_SAFETY_DAYS) -> Policy:
    """The same spreadsheet, kept every week with more safety.

    Args:
        plant: Terms of the items.
        safety_days: Days of average sales held as safety.
    """
    if safety_days < 0:
        raise InvalidInput(f"days of safety cannot be negative, got {safety_days!r}")
    average = plant.periods(AVERAGE_DAYS)

    def levels(_day: int, sold: FloatArray, _in_stock: BoolArray) -> tuple[FloatArray, FloatArray]:
        mean = sold[:, :, -average:].mean(axis=2)
        low = mean * (plant.lead_time[:, None] + safety_days / plant.period_days)
        return low, low + mean * COVER_DAYS / plant.period_days

    return Policy(
        "spreadsheet_weekly",
        f"weekly spreadsheet, {safety_days:g} days",
        f"a spreadsheet kept every week with {safety_days:g} days' safety",
        f"{AVERAGE_DAYS}-day average of sales, every week, {safety_days:g} days' safety, "
        f"{COVER_DAYS} days' cover",
        plant.periods(WEEK_DAYS),
        levels,
    )


def textbook(plant: Plant, *, service_rate: float) -> Policy:
    """Reorder point by the normal formula on the days that had stock, and an economic quantity.

    Args:
        plant: Terms of the items.
        service_rate: Cycle service level, in (0, 1).
    """
    window = plant.periods(TEXTBOOK_DAYS)
    factor = float(ndtri(service_rate))
    days, lead_sd = plant.protection[:, None], plant.lead_time_sd[:, None]

    def levels(_day: int, sold: FloatArray, in_stock: BoolArray) -> tuple[FloatArray, FloatArray]:
        mean, sd = _in_stock_moments(sold[:, :, -window:], in_stock[:, :, -window:])
        low = mean * days + factor * np.sqrt(days * sd**2 + (mean * lead_sd) ** 2)
        return low, low + plant.lot(mean)

    return Policy(
        "textbook",
        f"textbook normal {service_rate * 100:g} %",
        f"the textbook's normal reorder point at {service_rate * 100:g} %",
        f"mean and spread of {TEXTBOOK_DAYS} days with stock, z({service_rate:g}), economic order "
        "quantity, every week",
        plant.periods(WEEK_DAYS),
        levels,
    )


def _in_stock_moments(sold: FloatArray, in_stock: BoolArray) -> tuple[FloatArray, FloatArray]:
    count = np.maximum(in_stock.sum(axis=2), 1)
    mean = (sold * in_stock).sum(axis=2) / count
    squares = ((sold - mean[:, :, None]) ** 2 * in_stock).sum(axis=2)
    return mean, np.sqrt(squares / np.maximum(count - 1, 1))


def clairvoyant(plant: Plant, demand: FloatArray, delay: IntArray) -> Policy:
    """The bound: knows every coming sale and every coming delay, with the same packs and minimums.

    Args:
        plant: Terms of the items.
        demand: Shape (n, T): what will be asked for.
        delay: Shape (n, p, T): how long an order of each day will take.
    """
    horizon = demand.shape[1]
    running = np.concatenate([np.zeros((len(demand), 1)), np.cumsum(demand, axis=1)], axis=1)
    rows = np.arange(len(demand))[:, None]

    def levels(day: int, _sold: FloatArray, _in_stock: BoolArray) -> tuple[FloatArray, FloatArray]:
        following = min(day + plant.review, horizon - 1)
        end = np.minimum(following + 1 + delay[:, :, following], horizon)
        need = running[rows, end] - running[:, day + 1][:, None]
        rest = running[:, -1][:, None] - running[rows, end]
        mean = demand[:, day : day + plant.periods(60)].mean(axis=1)
        extra = np.maximum(plant.economic(mean)[:, None] - 1, 0.0)
        return need - 1e-9, need + np.minimum(extra, np.maximum(rest, 0.0))

    return Policy(
        "clairvoyant",
        "clairvoyant (the bound)",
        "the clairvoyant",
        "knows every sale and every delay to come; nobody can do that",
        1,
        levels,
    )
