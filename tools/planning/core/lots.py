"""Economic order quantity, without and with quantity discounts.

The textbook's answers, to compare with. Planning does not size orders by them: it orders up to a
level of so many days of cover, and takes a price break where that pays.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tools.errors import InvalidInput

Break = tuple[float, float]  # (smallest quantity, unit price)


@dataclass(frozen=True)
class Lot:
    """An order quantity in units, and what a year costs with it in money."""

    quantity: float
    annual_cost: float


def eoq(*, annual_demand: float, order_cost: float, holding_cost: float) -> Lot:
    """Economic order quantity sqrt(2 * D * K / h), with ordering and holding cost a year.

    Args:
        annual_demand: D, units a year, >= 0.
        order_cost: K, money per order, >= 0.
        holding_cost: h, money per unit and year, > 0.

    Raises:
        InvalidInput: A parameter is outside its range.

    Example:
        >>> lot = eoq(annual_demand=36500, order_cost=50, holding_cost=2)
        >>> round(lot.quantity, 2), round(lot.annual_cost, 2)
        (1350.93, 2701.85)
    """
    _require(annual_demand, order_cost, holding_cost)
    quantity = math.sqrt(2 * annual_demand * order_cost / holding_cost)
    return Lot(quantity, math.sqrt(2 * annual_demand * order_cost * holding_cost))


def all_units_lot(
    *, annual_demand: float, order_cost: float, carrying_rate: float, breaks: Sequence[Break]
) -> Lot:
    """Best quantity when every unit costs the price of the quantity's step.

    Compares the EOQ of every step, moved into the step, and every step's first quantity.

    Args:
        annual_demand: D, units a year, > 0.
        order_cost: K, money per order, > 0.
        carrying_rate: i, fraction a year, > 0.
        breaks: (smallest quantity, unit price), quantities rising from 0, prices falling.

    Raises:
        InvalidInput: A parameter is outside its range.
    """
    _require_breaks(breaks)
    limits = [least for least, _ in breaks[1:]] + [math.inf]
    lots = []
    for (least, price), limit in zip(breaks, limits, strict=True):
        best = eoq(
            annual_demand=annual_demand, order_cost=order_cost, holding_cost=carrying_rate * price
        ).quantity
        if best < limit:
            quantity = max(best, least)
            yearly = annual_demand * order_cost / quantity + carrying_rate * price * quantity / 2
            lots.append(Lot(quantity, annual_demand * price + yearly))
    return min(lots, key=lambda lot: lot.annual_cost)


def incremental_lot(
    *, annual_demand: float, order_cost: float, carrying_rate: float, breaks: Sequence[Break]
) -> Lot:
    """Best quantity when the lower price holds only for the units above each step.

    Arguments as in ``all_units_lot``.

    Raises:
        InvalidInput: A parameter is outside its range.
    """
    _require_breaks(breaks)
    limits = [least for least, _ in breaks[1:]] + [math.inf]
    lots = []
    paid_extra = 0.0  # purchase cost of a quantity in this step beyond quantity * price
    previous = breaks[0][1]
    for (least, price), limit in zip(breaks, limits, strict=True):
        paid_extra += (previous - price) * least
        previous = price
        _require(annual_demand, order_cost, carrying_rate * price)
        fixed = order_cost + paid_extra
        quantity = math.sqrt(2 * annual_demand * fixed / (carrying_rate * price))
        if least <= quantity < limit:
            average = paid_extra / quantity + price
            cost = annual_demand * average + annual_demand * order_cost / quantity
            lots.append(Lot(quantity, cost + carrying_rate * average * quantity / 2))
    return min(lots, key=lambda lot: lot.annual_cost)


def _require(annual_demand: float, order_cost: float, holding_cost: float) -> None:
    if not (annual_demand >= 0 and order_cost >= 0 and holding_cost > 0):
        raise InvalidInput(
            "an order quantity needs demand and order cost >= 0 and holding cost > 0, got "
            f"{annual_demand!r}, {order_cost!r}, {holding_cost!r}"
        )
    if not all(map(math.isfinite, (annual_demand, order_cost, holding_cost))):
        raise InvalidInput("an order quantity needs finite demand and costs")


def _require_breaks(breaks: Sequence[Break]) -> None:
    if not breaks or breaks[0][0] != 0:
        raise InvalidInput(f"price breaks must start at quantity 0, got {list(breaks)!r}")
    quantities, prices = zip(*breaks, strict=True)
    if list(quantities) != sorted(set(quantities)) or list(prices) != sorted(prices, reverse=True):
        raise InvalidInput(f"price breaks must rise in quantity, fall in price, got {breaks!r}")
