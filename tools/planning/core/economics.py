"""Service levels from money: what a unit short costs against what a unit in stock costs."""

import numpy as np
import numpy.typing as npt

from tools.errors import InvalidInput
from tools.planning.core.service_levels import normal_loss, z

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
LOWEST, HIGHEST = 0.50, 0.998  # below, stock has no buffer; above, the tail is not known


def critical_ratios(
    *,
    holding_cost: Floats,
    shortage_cost: Floats,
    order_quantity: Floats,
    annual_demand: Floats,
    is_lost_sales: bool = True,
) -> Floats:
    """Cycle service levels at which one more unit of safety stock costs what it saves.

    A unit more is held all year (h) and is missing in D / Q cycles a year with the probability
    1 - ratio, each time for m. With backorders 1 - ratio = h * Q / (m * D). With lost sales the
    unit that is short is never owed and adds to the next cycle's stock, so that
    1 - ratio = h * Q / (m * D + h * Q). For orders of a day's interval R (Q = d * R) it is the
    newsvendor's ratio m / (m + h * R).

    Args:
        holding_cost: h, money per unit and year, > 0, shape (n,).
        shortage_cost: m, money per unit short, > 0.
        order_quantity: Q, units, > 0.
        annual_demand: D, units a year, > 0.
        is_lost_sales: Unmet demand is lost instead of waiting.

    Returns:
        In [0.5, 0.998]; nan where a figure is not above 0, as nothing can be weighed there.

    Example:
        >>> one = np.ones(1)
        >>> critical_ratios(holding_cost=2 * one, shortage_cost=4 * one, order_quantity=1920 * one,
        ...                 annual_demand=36_500 * one, is_lost_sales=False).round(4).tolist()
        [0.9737]
    """
    known = np.minimum.reduce([holding_cost, shortage_cost, order_quantity, annual_demand]) > 0
    held = holding_cost * order_quantity
    missed = np.where(known, shortage_cost * annual_demand, 1.0)
    chance = held / (missed + held) if is_lost_sales else held / missed
    result: Floats = np.where(known, np.clip(1 - chance, LOWEST, HIGHEST), np.nan)
    return result


def implied_fill_rates(
    cycle_service_level: Floats,
    *,
    sigma_ltd: Floats,
    order_quantity: Floats,
    is_lost_sales: bool = False,
) -> Floats:
    """Fill rates that cycle service levels give: 1 - sigma * G(z) / Q.

    With lost sales the demand of a cycle is Q and what was short: 1 - ES / (Q + ES).

    Example:
        >>> one = np.ones(1)
        >>> implied_fill_rates(0.95 * one, sigma_ltd=208.806 * one,
        ...                    order_quantity=400 * one).round(4).tolist()
        [0.9891]
    """
    short = sigma_ltd * normal_loss(z(cycle_service_level))
    demand = order_quantity + short if is_lost_sales else order_quantity
    result: Floats = np.clip(1 - short / np.maximum(demand, 1e-9), 0.0, 1.0)
    return result


def critical_ratio(
    *, holding_cost: float, shortage_cost: float, order_quantity: float, annual_demand: float
) -> float:
    """The same for one item with lost sales, checked.

    Raises:
        InvalidInput: A figure is not above 0.

    Example:
        >>> round(critical_ratio(holding_cost=2, shortage_cost=4, order_quantity=1920,
        ...                      annual_demand=36_500), 4)
        0.9744
    """
    values = {
        "holding_cost": holding_cost, "shortage_cost": shortage_cost,
        "order_quantity": order_quantity, "annual_demand": annual_demand,
    }  # fmt: skip
    for name, value in values.items():
        if not value > 0:
            raise InvalidInput(
                f"{name} must be above 0, got {value!r}",
                next_step="Give the selling price and the cost of the item.",
            )
    return float(
        critical_ratios(
            holding_cost=np.array([holding_cost]),
            shortage_cost=np.array([shortage_cost]),
            order_quantity=np.array([order_quantity]),
            annual_demand=np.array([annual_demand]),
        )[0]
    )
