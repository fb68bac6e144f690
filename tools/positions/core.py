"""Position, projection and classes of stock: pure arithmetic over units and days.

Day 0 is today. ``daily`` arrays have one row per item and one column per day, today first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
DRAFT_LIFE_DAYS = 7  # an older draft was forgotten and no longer counts as a coming receipt


@dataclass(frozen=True)
class OpenReceipt:
    """Units still to come on one order line."""

    order_id: int
    number: str
    state: str
    units: int
    promise_on: date | None
    eta_on: date | None
    is_confirmed: bool
    in_transit_units: int = 0
    ordered_on: date | None = None


@dataclass(frozen=True)
class StockPosition:
    """Stock of an item at a location and what is coming.

    ``receipts`` are the open balances of orders that are at least waiting for approval; ``drafts``
    are our own plain drafts, which count in ``netted_position_units`` only.
    """

    item_id: int
    location_id: int
    on_hand_units: int = 0
    quarantined_units: int = 0
    expiring_units: int = 0
    allocated_units: int = 0
    backordered_units: int = 0
    inbound_transfer_units: int = 0
    receipts: tuple[OpenReceipt, ...] = ()
    drafts: tuple[OpenReceipt, ...] = ()

    @property
    def usable_units(self) -> int:
        """On hand without what is quarantined or expires before use."""
        return self.on_hand_units - self.quarantined_units - self.expiring_units

    @property
    def available_units(self) -> int:
        """Usable stock that no customer order has claimed."""
        return self.usable_units - self.allocated_units

    @property
    def on_order_units(self) -> int:
        """Open balance of submitted orders."""
        return sum(receipt.units for receipt in self.receipts)

    @property
    def in_transit_units(self) -> int:
        """Part of ``on_order_units`` that a carrier has; never added to it."""
        return sum(receipt.in_transit_units for receipt in self.receipts)

    @property
    def drafted_units(self) -> int:
        """Units on our own recent drafts."""
        return sum(draft.units for draft in self.drafts)

    @property
    def inventory_position_units(self) -> int:
        """Available + on order + inbound transfers - backorders."""
        coming = self.on_order_units + self.inbound_transfer_units
        return self.available_units + coming - self.backordered_units

    @property
    def netted_position_units(self) -> int:
        """Inventory position after our own drafts, so that nothing is advised twice."""
        return self.inventory_position_units + self.drafted_units


def in_parts(receipt: OpenReceipt, promised: Sequence[tuple[int, date]]) -> list[OpenReceipt]:
    """Split an open balance by the days for which its parts are promised.

    What arrived used up the earliest parts; what no part covers keeps the day of the whole. What a
    carrier has are the earliest parts, and its expected day is theirs.

    Args:
        receipt: The whole balance.
        promised: Units and day of each part of the line, earliest first; none is one part.

    >>> whole = OpenReceipt(1, "PO-1", "confirmed", 300, None, None, True)
    >>> parts = in_parts(whole, [(240, date(2026, 3, 8)), (60, date(2026, 3, 14))])
    >>> [(part.units, part.promise_on.day) for part in parts]
    [(240, 8), (60, 14)]
    """
    if not promised:
        return [receipt]
    kept: list[tuple[int, date | None]] = []
    left = receipt.units
    for units, day in reversed(promised):
        if take := min(left, units):
            kept.insert(0, (take, day))
        left -= take
    if left:
        kept.insert(0, (left, receipt.promise_on))
    parts, on_the_road = [], receipt.in_transit_units
    for index, (units, on) in enumerate(kept):
        shipped = min(units, on_the_road)
        on_the_road -= shipped
        eta_on = receipt.eta_on if shipped or index == 0 else None
        parts.append(
            replace(receipt, units=units, promise_on=on, in_transit_units=shipped, eta_on=eta_on)
        )
    return parts


def due_offset_days(receipt: OpenReceipt, today: date, *, fallback_days: int) -> int:
    """Return the day, counted from today, on which a receipt is expected.

    The promise counts. A promise that has passed is replaced by the carrier's date, or by tomorrow;
    an order without a promise is expected ``fallback_days`` after it was sent, or after today.
    """
    if receipt.promise_on is not None and receipt.promise_on >= today:
        return (receipt.promise_on - today).days
    if receipt.eta_on is not None and receipt.eta_on > today:
        return (receipt.eta_on - today).days
    if receipt.promise_on is not None:
        return 1
    ordered_on = receipt.ordered_on or today
    return max(1, (ordered_on - today).days + fallback_days)


def window_totals(daily: Floats, days: Floats) -> Floats:
    """Sum of the forecast over the first ``days`` days of each row; fractions count in part.

    Beyond the last column the average of the last 28 columns goes on.

    Args:
        daily: Units per day, shape (n, horizon), today first.
        days: Window lengths, shape (n,), >= 0.

    Returns:
        Units, shape (n,).

    Example:
        >>> window_totals(np.array([[10.0, 20.0, 30.0]]), np.array([1.5])).tolist()
        [20.0]
    """
    rows, horizon = daily.shape
    total = np.concatenate([np.zeros((rows, 1)), np.cumsum(daily, axis=1)], axis=1)
    inside = np.minimum(days, horizon)
    whole = np.minimum(inside.astype(np.int64), horizon - 1)
    index = np.arange(rows)
    partial = total[index, whole] + (inside - whole) * daily[index, whole]
    tail = daily[:, -28:].mean(axis=1)
    result: Floats = partial + np.maximum(days - horizon, 0) * tail
    return result


def projected_balance(available: Floats, daily: Floats, receipts: Floats) -> Floats:
    """Projected available balance at the end of each day, shape (n, horizon).

    PAB(t) = available + receipts due up to t - demand up to t.
    """
    result: Floats = available[:, None] + np.cumsum(receipts - daily, axis=1)
    return result


def stockout_days(available: Floats, daily: Floats, receipts: Floats) -> Floats:
    """Days until the projected balance runs out; nan where it does not within the horizon.

    Within a day, receipts arrive in the morning and demand is even.

    Example:
        >>> receipts = np.zeros((1, 20)); receipts[0, 4] = 300
        >>> stockout_days(np.array([540.0]), np.full((1, 20), 100.0), receipts).round(1).tolist()
        [8.4]
    """
    balance = projected_balance(available, daily, receipts)
    is_short = balance < -1e-9
    first = is_short.argmax(axis=1)
    index = np.arange(len(available))
    demand = daily[index, first]
    opening = np.maximum(balance[index, first] + demand, 0.0)
    runs_out = is_short[index, first] & (demand > 0)
    within = np.divide(opening, demand, out=np.zeros(len(available)), where=runs_out)
    result: Floats = np.where(is_short.any(axis=1), first + np.minimum(within, 1.0), np.nan)
    return np.where(available < 0, 0.0, result)


def day_of(today: date, days: float | None) -> date | None:
    """Return the calendar day that lies some days ahead; None stays None."""
    return None if days is None else today + timedelta(days=int(days))
