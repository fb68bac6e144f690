"""What a simulation starts from: items, the chances that all policies share, and the policies.

Axes are items (n), paths (p) and days (T), in this order. Day 0 is the first simulated day.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Levels = Callable[[int, Floats, Flags], tuple[Floats, Floats]]
Adjust = Callable[[int, Floats, Floats, Floats], Floats]


@dataclass(frozen=True, kw_only=True)
class Items:
    """Items to simulate, one row each; ``Items.of`` broadcasts plain numbers.

    Attributes:
        on_hand: Units free to sell at the start of day 0, shape (n,).
        moq: Least units of an order.
        multiple: Orders come in multiples of it, > 0.
        limit: Most units of an order.
        review_days: Days between reviews, >= 1.
        review_offset: First day with a review at its end.
        unit_cost: Value of a unit in stock, money.
        holding_cost: Money per unit on hand at a day's end.
        order_cost: Money per order.
        shortage_cost: Money per unit that is not served on its day.
        backorder_cost: Money per unit that waits at a day's end.
        is_backordered: Unmet demand waits; else it is lost.
        pipeline: Open receipts by day of arrival, shape (n, T) or (n, p, T); None is none.
        backlog: Units that customers wait for at the start.
        later: Units on order that arrive behind the last day; they count in the position.
    """

    on_hand: Floats
    moq: Floats
    multiple: Floats
    limit: Floats
    review_days: Ints
    review_offset: Ints
    unit_cost: Floats
    holding_cost: Floats
    order_cost: Floats
    shortage_cost: Floats
    backorder_cost: Floats
    is_backordered: Flags
    backlog: Floats
    later: Floats
    pipeline: Floats | None = None

    @staticmethod
    def of(count: int, **values: Any) -> "Items":
        """Build items from arrays of shape (count,) or plain numbers; what is left out is nothing.

        Raises:
            InvalidInput: A name is unknown, a shape does not fit or a value is out of range.

        Example:
            >>> Items.of(2, on_hand=[10, 20], moq=12).moq.tolist()
            [12.0, 12.0]
        """
        known = {field.name for field in fields(Items)}
        if unknown := sorted(values.keys() - known):
            raise InvalidInput(
                f"items have no {unknown[0]!r}", next_step=f"Give some of {sorted(known)}."
            )
        pipeline = values.pop("pipeline", None)
        columns = {
            name: _column(name, values.get(name, default), count)
            for name, default in _DEFAULTS.items()
        }
        items = Items(
            **columns, pipeline=None if pipeline is None else np.asarray(pipeline, np.float64)
        )
        _check_items(items)
        return items

    def take(self, rows: Ints) -> "Items":
        """Return some items."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{k: v[rows] for k, v in parts.items() if v is not None})


_DEFAULTS: dict[str, Any] = {
    "on_hand": 0.0, "moq": 0.0, "multiple": 1.0, "limit": np.inf,
    "review_days": 1, "review_offset": 0,
    "unit_cost": 0.0, "holding_cost": 0.0, "order_cost": 0.0, "shortage_cost": 0.0,
    "backorder_cost": 0.0, "is_backordered": False, "backlog": 0.0, "later": 0.0,
}  # fmt: skip
_LEAST = {"multiple": 1e-9, "review_days": 1}


def _column(name: str, value: Any, count: int) -> npt.NDArray[Any]:
    kind = type(_DEFAULTS[name])
    column = np.asarray(value, dtype=np.dtype(kind))
    if column.shape not in ((), (count,)):
        raise InvalidInput(f"{name} must have one value per item ({count}), got {column.shape!r}")
    return np.ascontiguousarray(np.broadcast_to(column, (count,)))


def _check_items(items: Items) -> None:
    for name in _DEFAULTS:
        column = getattr(items, name)
        least = _LEAST.get(name, 0)
        if name != "is_backordered" and not np.all(column >= least):
            worst = column[~(column >= least)][0]
            raise InvalidInput(f"{name} must be a number >= {least}, got {worst!r}")
    if items.pipeline is not None and not np.all(items.pipeline >= 0):
        raise InvalidInput("open receipts must be numbers >= 0")
    if np.any(items.limit < items.moq):
        raise InvalidInput("an order's limit must not be below its minimum")


@dataclass(frozen=True)
class Deliveries:
    """What an order meets that is placed with a supplier on a day.

    Attributes:
        days: Lead times in whole days >= 0, shape (rows, p, T).
        row: Row of each item, shape (n,): orders of one row and one day travel together.
        first_share: Share of the units that comes first, shape (rows, p, T); None is all of them.
        rest_days: Further days until the rest comes, shape (rows, p, T).
    """

    days: Ints
    row: Ints
    first_share: Floats | None = None
    rest_days: Ints | None = None


@dataclass(frozen=True)
class Draws:
    """Chances, drawn before any policy is known: every policy meets the same ones.

    Attributes:
        demand: Units, shape (n, p, T), or (n, 1, T) where all paths see the same demand.
        deliveries: Lead times and partial receipts.
    """

    demand: Floats
    deliveries: Deliveries

    @property
    def shape(self) -> tuple[int, int, int]:
        """Items, paths and days."""
        paths = max(self.demand.shape[1], self.deliveries.days.shape[1])
        return self.demand.shape[0], paths, self.demand.shape[2]


@dataclass(frozen=True)
class FixedLevels:
    """Levels that do not change, each of shape (n,), (n, 1) or (n, p).

    (s, S) and (R, s, S): a position at or below ``reorder_point`` is filled to ``order_up_to``.
    Where ``lot`` is above 0, (s, nQ): the fewest lots that lift the position above the reorder
    point. Where ``is_periodic``, (R, S): every review fills the position to ``order_up_to``.
    The review period R is the item's.
    """

    reorder_point: Floats
    order_up_to: Floats
    lot: Floats | None = None
    is_periodic: Flags | None = None


@dataclass(frozen=True)
class ChangingLevels:
    """Levels that a policy works out from what it has seen, as in production.

    Attributes:
        levels: Called with the day, what was sold and whether it was in stock, both of shape
            (n, p, H + day + 1), oldest first and read-only; gives reorder point and order-up-to
            level, each of shape (n,), (n, 1) or (n, p).
        every_days: Days between calls; the levels hold in between.
        history: Units sold in the H days before day 0, shape (n, H).
        adjust: Called with the day, the order quantities, on hand and on order, all (n, p); gives
            the quantities to order: joint orders, budgets, minimum order values.
        history_in_stock: Shape (n, H); None: the items were in stock all the time.
    """

    levels: Levels
    every_days: int = 1
    history: Floats | None = None
    adjust: Adjust | None = None
    history_in_stock: Flags | None = None


@dataclass(frozen=True)
class DatedLevels:
    """Levels known beforehand that change from day to day, each of shape (n, T).

    ``lot`` and ``is_periodic`` are those of ``FixedLevels``.
    """

    reorder_point: Floats
    order_up_to: Floats
    lot: Floats | None = None
    is_periodic: Flags | None = None


LevelPolicy = FixedLevels | DatedLevels | ChangingLevels


def check_shapes(items: Items, draws: Draws) -> None:
    """Refuse draws that do not fit the items.

    Raises:
        InvalidInput: A shape does not fit, or a draw is negative or not a number.
    """
    n, p, t = draws.shape
    deliveries = draws.deliveries
    if len(items.on_hand) != n or deliveries.row.shape != (n,):
        raise InvalidInput(
            f"{len(items.on_hand)} items need as many rows of demand and deliveries, got {n} and "
            f"{deliveries.row.shape!r}"
        )
    if draws.demand.shape[1] not in (1, p) or deliveries.days.shape[1:] != (p, t):
        raise InvalidInput(
            f"demand {draws.demand.shape!r} and lead times {deliveries.days.shape!r} must agree in "
            "paths and days"
        )
    if not np.all(draws.demand >= 0) or np.any(deliveries.days < 0):
        raise InvalidInput("demand and lead times must be numbers >= 0")
    if items.pipeline is not None and items.pipeline.shape not in ((n, t), (n, p, t)):
        raise InvalidInput(
            f"open receipts must have the shape {(n, t)!r} or {(n, p, t)!r}, got "
            f"{items.pipeline.shape!r}"
        )
