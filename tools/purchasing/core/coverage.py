"""Whether what is already ordered covers the need."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from db.types import OrderState


@dataclass(frozen=True)
class OtherOrder:
    """Open balance of an item on another order or draft."""

    number: str
    units: int
    state: OrderState
    by: str
    at: datetime
    sent_at: datetime | None


@dataclass(frozen=True)
class Coverage:
    """Stock of an item, what else is coming, and when one orders.

    Attributes:
        stock_units: On hand less allocated and backordered, plus transfers on their way.
        others: Open orders and drafts of the item for the same place, without this one.
        reorder_point_units: None when nothing was planned yet.
        daily_demand: None when nothing was forecast yet.
    """

    stock_units: int
    others: tuple[OtherOrder, ...]
    reorder_point_units: int | None
    daily_demand: float | None

    @property
    def position_units(self) -> int:
        """Stock plus everything that is coming, drafts included."""
        return self.stock_units + sum(other.units for other in self.others)


def duplicates(coverage: Coverage) -> tuple[OtherOrder, ...]:
    """Return the orders that already cover the need; empty when there is still one.

    A need is a position at or below the reorder point. It is covered by orders when it would be
    there without them; those are named whose absence alone would bring it back, else all. Without
    a reorder point every order that has not left yet is a candidate.
    """
    point = coverage.reorder_point_units
    if point is None:
        unsent = (OrderState.DRAFT, OrderState.PENDING_APPROVAL, OrderState.APPROVED)
        return tuple(other for other in coverage.others if other.state in unsent)
    if not coverage.stock_units <= point < coverage.position_units:
        return ()
    decisive = tuple(o for o in coverage.others if coverage.position_units - o.units <= point)
    return decisive or coverage.others


def sent_meanwhile(coverage: Coverage, *, units: int, since: datetime) -> tuple[OtherOrder, ...]:
    """Return the orders sent after ``since`` that took over the need of this one."""
    later = tuple(
        other for other in coverage.others if other.sent_at is not None and other.sent_at > since
    )
    sent = [other for other in coverage.others if other.sent_at is not None]
    total = sum(other.units for other in sent)
    fresh = sum(other.units for other in later)
    point = coverage.reorder_point_units
    if point is None:
        return later if later and fresh >= units else ()
    position = coverage.stock_units + total
    return later if position - fresh <= point < position else ()


def next_need_days(coverage: Coverage) -> int | None:
    """Return the whole days until the position reaches the reorder point at mean demand."""
    point, demand = coverage.reorder_point_units, coverage.daily_demand
    if point is None or not demand or demand <= 0:
        return None
    return max(0, int((coverage.position_units - point) / demand))


def numbers(orders: Sequence[OtherOrder]) -> str:
    """Name the orders for a sentence."""
    return ", ".join(sorted({other.number for other in orders}))
