"""Recommendations laid out as arrays, to weigh them against a budget or a supplier's minimum."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tools.planning.core.budget import BudgetLines
from tools.planning.core.joint_orders import JointLines
from tools.planning.core.quantities import NO_LIMIT

Ints = npt.NDArray[np.int64]
MILLION = 1_000_000
COVER_CAP = 1  # a joint order may bring this many further usual covers of an item


class Recommended(Protocol):
    """What is needed of a recommendation, stored or fresh."""

    order_units: int
    unit_price_minor: int
    currency: str
    severity: str
    value_at_risk_minor: int
    inputs: dict[str, Any]


def budget_lines(rows: Sequence[Recommended], rates_micro: Mapping[str, int]) -> BudgetLines:
    """The lines of a budget; a currency without a rate counts as company currency.

    Args:
        rows: Recommendations that buy something.
        rates_micro: Company currency per unit of each currency, in millionths.
    """
    steps, prices = _price_tables(rows)
    return BudgetLines(
        wanted=_whole(row.order_units for row in rows),
        moq=_inputs(rows, "moq"),
        multiple=_inputs(rows, "order_multiple", 1),
        price=prices[:, 0],
        steps=steps[:, 1:],
        step_prices=prices[:, 1:],
        rate=np.array([rates_micro.get(row.currency, MILLION) / MILLION for row in rows]),
        position=_inputs(rows, "netted_position"),
        demand_total=_inputs(rows, "lead_time_demand").astype(np.float64),
        sigma=np.array([float(row.inputs["sigma_ltd"]) for row in rows]),
        shortage_cost=np.array([_shortage_cost(row) for row in rows]),
        adi=np.array([float(row.inputs["adi"] or 1.0) for row in rows]),
    )


def _shortage_cost(row: Recommended) -> float:
    """Company minor units per unit short: the margin, else what a unit at risk is worth."""
    known = row.inputs.get("shortage_cost_minor")
    if known is not None:
        return float(known)
    return row.value_at_risk_minor / max(int(row.inputs["value_at_risk_units"]), 1)


def joint_lines(rows: Sequence[Recommended], group: Ints) -> JointLines:
    """Items of suppliers, ordered or not, for ``joint_orders``.

    Args:
        rows: Recommendations of items that have a supplier.
        group: Number of the joint order of each.
    """
    steps, prices = _price_tables(rows)
    demand = np.array([float(row.inputs["demand_per_day"]) for row in rows])
    position, point = _inputs(rows, "netted_position"), _inputs(rows, "reorder_point")
    cover = np.array([float(row.inputs["cover_days"]) for row in rows])
    top = _inputs(rows, "order_up_to") + np.floor(COVER_CAP * cover * demand).astype(np.int64)
    safe = np.where(demand > 0, demand, 1.0)
    return JointLines(
        group=group,
        quantity=_whole(row.order_units for row in rows),
        most=np.minimum(top - position, _inputs(rows, "order_limit", NO_LIMIT)),
        moq=_inputs(rows, "moq"),
        multiple=_inputs(rows, "order_multiple", 1),
        price=prices[:, 0],
        steps=steps[:, 1:],
        step_prices=prices[:, 1:],
        cover_days=np.where(demand > 0, (position - point) / safe, np.nan),
        is_urgent=np.array([row.severity == "critical" for row in rows], dtype=np.bool_),
    )


def _price_tables(rows: Sequence[Recommended]) -> tuple[Ints, Ints]:
    """Price steps from 0 on, filled with a quantity that nobody reaches; at least two columns."""
    found = [row.inputs["price_steps"] for row in rows]
    width = max([2, *(len(steps) for steps in found)])
    quantities = np.full((len(rows), width), NO_LIMIT, dtype=np.int64)
    prices = np.zeros((len(rows), width), dtype=np.int64)
    for row, steps in enumerate(found):
        for column, (least, price) in enumerate(steps):
            quantities[row, column], prices[row, column] = least, price
    return quantities, prices


def _whole(values: Any) -> Ints:
    return np.array(list(values), dtype=np.int64)


def _inputs(rows: Sequence[Recommended], name: str, missing: int = 0) -> Ints:
    """A number behind every recommendation; ``missing`` where an older one does not have it."""
    found = (row.inputs.get(name) for row in rows)
    return _whole(missing if value is None else value for value in found)
