"""Classes of stock, and the position as the tool shows it. Pure functions.

``StockPosition`` and ``OpenReceipt`` live in ``tools.positions``, below planning.
"""

import numpy as np
import numpy.typing as npt

from tools.errors import InvalidInput
from tools.planning.core.advice import Advice
from tools.planning.core.views import Json, day, heading, is_planned, missing_notes
from tools.positions.core import OpenReceipt, StockPosition

__all__ = [
    "OpenReceipt",
    "StockPosition",
    "abc_classes",
    "position_view",
    "position_warnings",
    "xyz_class",
]

Floats = npt.NDArray[np.float64]


def abc_classes(
    annual_values: Floats, *, first_share: float = 0.80, second_share: float = 0.95
) -> list[str]:
    """Class by annual usage value: A up to the first cumulative share, B up to the second, else C.

    An item belongs to the class in which its own value begins, so the largest item is always A.

    Raises:
        InvalidInput: A value is negative, or the shares are not 0 < first < second <= 1.
    """
    if not 0 < first_share < second_share <= 1:
        raise InvalidInput(
            f"ABC shares must rise within (0, 1], got {first_share!r}, {second_share!r}"
        )
    if len(annual_values) and float(annual_values.min()) < 0:
        raise InvalidInput(f"annual value must be >= 0, got {float(annual_values.min())!r}")
    total = float(annual_values.sum())
    if total == 0:
        return ["C"] * len(annual_values)
    order = np.argsort(-annual_values, kind="stable")
    before = (np.cumsum(annual_values[order]) - annual_values[order]) / total
    bounds = np.array([first_share, second_share]) - 1e-12
    classes = np.array(["A", "B", "C"])[np.searchsorted(bounds, before, side="right")]
    result = np.empty(len(annual_values), dtype=object)
    result[order] = np.where(annual_values[order] > 0, classes, "C")
    return [str(value) for value in result]


def xyz_class(weekly_units: Floats, *, x_limit: float = 0.5, y_limit: float = 1.0) -> str:
    """Class by the coefficient of variation of weekly demand: X steady, Y varying, Z erratic.

    Example:
        >>> xyz_class(np.array([10.0, 11.0, 9.0]))
        'X'
    """
    mean = float(weekly_units.mean()) if len(weekly_units) else 0.0
    if mean <= 0:
        return "Z"
    variation = float(weekly_units.std()) / mean
    return "X" if variation <= x_limit else "Y" if variation <= y_limit else "Z"


def position_view(advice: Advice) -> Json:
    """The stock position with its projection."""
    inputs, position = advice.inputs, advice.case.position
    knows_policy = is_planned(advice)
    return heading(advice) | {
        "on_hand": position.on_hand_units,
        "quarantined": position.quarantined_units,
        "expiring": position.expiring_units,
        "allocated": position.allocated_units,
        "backordered": position.backordered_units,
        "available": position.available_units,
        "on_order": position.on_order_units,
        "in_transit": position.in_transit_units,
        "inbound_transfers": position.inbound_transfer_units,
        "drafted": position.drafted_units,
        "inventory_position": position.inventory_position_units,
        "open_receipts": [
            {
                "po": receipt.number,
                "state": receipt.state,
                "quantity": receipt.units,
                "promise": day(receipt.promise_on),
                "eta": day(receipt.eta_on),
                "confirmed": receipt.is_confirmed,
            }
            for receipt in position.receipts
        ],
        "daily_demand": inputs["demand_per_day"] if advice.case.can_plan else None,
        "days_of_cover": advice.days_of_cover,
        "projected_stockout_date": day(advice.stockout_on),
        "stockout_in_days": inputs["stockout_in_days"],
        "next_order_in_days": inputs["next_order_in_days"] if knows_policy else None,
        "reorder_point": inputs["reorder_point"] if knows_policy else None,
        "safety_stock": inputs["safety_stock"] if knows_policy else None,
    }


def position_warnings(advice: Advice) -> list[str]:
    """What a planner should know about the position."""
    found = [
        f"{receipt.number} is expected {(receipt.eta_on - receipt.promise_on).days} days after "
        f"its promise; without it stock lasts {advice.days_of_cover} days"
        for receipt in advice.case.position.receipts
        if receipt.eta_on and receipt.promise_on and receipt.eta_on > receipt.promise_on
    ]
    if advice.case.position.on_hand_units < 0:
        found.append("stock on hand is negative: a movement is missing")
    return found + missing_notes(advice)
