"""When an item is ordered and how much: the four rules, on whole arrays.

``s_S``     at or below s, up to S, on any day.
``R_S``     on every review day, up to S; S covers the lead time and the review interval.
``R_s_S``   on a review day, at or below s, up to S.
``s_nQ``    at or below s, so many lots of Q that the position exceeds s.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from db.types import ReplenishmentRule

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.str_]
ANCHOR = date(2024, 1, 1)  # a Monday: weekly reviews are on Mondays, for all items of a supplier


@dataclass(frozen=True)
class Due:
    """Which rows are ordered today, which wait for their review day, which cannot wait."""

    is_due: Flags
    is_waiting: Flags
    is_early: Flags


def review_in_days(today: date, review_days: Floats) -> Floats:
    """Days until the next review day, 0 on one; review days are counted from ``ANCHOR``.

    An interval of 0 or 1 is reviewed every day. Items with the same interval are reviewed on the
    same day, so that their orders can be joined.

    Example:
        >>> review_in_days(date(2026, 3, 3), np.array([1.0, 7.0, 14.0])).tolist()  # a Tuesday
        [0.0, 6.0, 6.0]
    """
    interval = np.maximum(np.ceil(review_days), 1.0)
    result: Floats = np.mod(-float((today - ANCHOR).days), interval)
    return result


def is_rule(rule: Texts, wanted: ReplenishmentRule) -> Flags:
    """Rows that follow a rule."""
    result: Flags = rule == wanted.value
    return result


def due(
    rule: Texts,
    *,
    position: Ints,
    reorder_point: Ints,
    has_demand: Flags,
    review_in: Floats,
    is_short_before_next: Flags,
) -> Due:
    """Rows to order today.

    A row with a review day (``R_S``, ``R_s_S``) waits for it, unless stock runs out before an order
    of that day could arrive. What is owed (position below 0) is ordered on any day.

    Args:
        rule: A ``ReplenishmentRule`` per row, as text.
        position: Inventory position, units.
        reorder_point: s; with ``R_S`` it is S.
        has_demand: Something is forecast.
        review_in: Days until the next review day, 0 on one.
        is_short_before_next: The balance falls below 0 before an order of the next review day
            could arrive.
    """
    is_periodic = is_rule(rule, ReplenishmentRule.PERIODIC)
    is_gated = is_periodic | is_rule(rule, ReplenishmentRule.PERIODIC_MIN_MAX)
    is_low = np.where(is_periodic, position < reorder_point, position <= reorder_point) & has_demand
    is_between = is_gated & (review_in > 0)
    is_owed = position < 0
    return Due(
        is_due=(is_low & (~is_between | is_short_before_next)) | is_owed,
        is_waiting=is_low & is_between & ~is_short_before_next & ~is_owed,
        is_early=is_low & is_between & is_short_before_next,
    )


def order_up_to(rule: Texts, reorder_point: Ints, cover: Ints, lot: Ints) -> Ints:
    """The highest position that an order brings: S, or s + Q for lots.

    Example:
        >>> rules = np.array(["s_S", "R_S", "R_s_S", "s_nQ"])
        >>> point, cover, lot = np.full((3, 4), [[1244], [1400], [1920]])
        >>> order_up_to(rules, point, cover, lot).tolist()
        [2644, 1244, 2644, 3164]
    """
    above = np.where(is_rule(rule, ReplenishmentRule.PERIODIC), 0, cover)
    above = np.where(is_rule(rule, ReplenishmentRule.LOTS), lot, above)
    result: Ints = reorder_point + above
    return result


def needs(rule: Texts, is_due: Flags, *, position: Ints, highest: Ints, lot: Ints) -> Ints:
    """Units needed: up to the highest position, or the lots that lift the position above s.

    ``highest`` is ``order_up_to``; for lots the smallest n with position + n * Q > s.

    Example:
        >>> rules, one = np.array(["s_S", "s_nQ"]), np.ones(2, dtype=np.int64)
        >>> needs(rules, one > 0, position=840 * one, highest=np.array([2644, 1644]), lot=400 * one)
        array([1804,  800])
    """
    gap = np.maximum(highest - position, 0)
    size = np.maximum(lot, 1)
    lots = np.maximum((highest - size - position) // size + 1, 0) * size
    wanted = np.where(is_rule(rule, ReplenishmentRule.LOTS), lots, gap)
    result: Ints = np.where(is_due, wanted, 0)
    return result
