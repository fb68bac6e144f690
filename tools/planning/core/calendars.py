"""How far an order must reach to bridge the days on which its supplier does not work."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from tools.offers.core import Offer

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def closure_delay(start: Floats, days: Floats, closed: Ints) -> Floats:
    """Days by which closed days put off an order: those between its day and its arrival.

    Args:
        start: Day of the order, counted from today, shape (n,).
        days: Lead time without closures, shape (n,).
        closed: Closed days, counted from today, rising.

    Example:
        >>> fortnight = np.arange(10, 24)
        >>> closure_delay(np.array([0.0, 1.0]), np.array([9.0, 9.0]), fortnight).tolist()
        [0.0, 14.0]
    """
    before = np.searchsorted(closed, start, side="right")
    delay = np.zeros_like(start)
    for _ in range(len(closed) + 1):
        inside = np.searchsorted(closed, start + days + delay + 1e-9, side="right") - before
        if np.array_equal(inside, delay):
            break
        delay = inside.astype(np.float64)
    return delay


def bridge_days(
    offers: Sequence[Offer], lead_time: Floats, review_days: Floats, *, today: date
) -> Floats:
    """Days that the protection window grows because the *next* order would meet closed days.

    The next order is placed a review interval from now. What is ordered today must last until that
    one arrives, so a closure is bridged by ordering earlier and more.

    Args:
        offers: One per row.
        lead_time: Calendar days without closures.
        review_days: Review interval of each row's case.
        today: Day 0.
    """
    result = np.zeros(len(offers))
    groups: dict[frozenset[date], list[int]] = {}
    for row, offer in enumerate(offers):
        if offer.closed_on:
            groups.setdefault(offer.closed_on, []).append(row)
    for closed_on, rows in groups.items():
        closed = np.array(sorted((on - today).days for on in closed_on))
        result[rows] = closure_delay(np.maximum(review_days[rows], 1.0), lead_time[rows], closed)
    return result
