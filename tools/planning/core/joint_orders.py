"""Orders of one supplier together: what to do when they are worth less than it accepts.

Below the minimum order value the order waits while nothing is urgent. When something is, it is
filled up with what is due next: items by days of cover, each up to its order-up-to level plus a cap
of further cover.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from tools.offers.core import prices_at

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
_TRIES = 4


class Joint(StrEnum):
    """What becomes of an order of a supplier."""

    ORDER = "order"  # worth enough, or the supplier has no minimum
    RAISE = "raise"  # filled up with what is due next
    WAIT = "wait"  # too small, and nothing is urgent
    BELOW_MINIMUM = "below_minimum"  # urgent, and too small even when filled up


@dataclass(frozen=True)
class JointLines:
    """Items that one supplier delivers to one place, one row each, ordered or not.

    Attributes:
        group: Number of the order (supplier and place) from 0 on, shape (n,).
        quantity: Units advised; 0 for items that are not due yet.
        most: Units that may be ordered at most: up to the order-up-to level plus the cover cap,
            and within the supplier's maximum, shelf life and room.
        moq, multiple: Units.
        price, steps, step_prices: Unit prices and price breaks, minor units of the supplier's
            currency, as ``break_table`` lays them out.
        cover_days: Days that the position lasts above the reorder point; the smaller, the sooner
            the item is due. nan where there is no demand: never added.
        is_urgent: Runs out before an order of today, or the next one, arrives.
    """

    group: Ints
    quantity: Ints
    most: Ints
    moq: Ints
    multiple: Ints
    price: Ints
    steps: Ints
    step_prices: Ints
    cover_days: Floats
    is_urgent: Flags


@dataclass(frozen=True)
class JointOrders:
    """Units of each line, and of each group what is done and its worth, in minor units."""

    quantity: Ints
    decision: npt.NDArray[np.str_]
    value: Ints
    advised_value: Ints


def joint_orders(lines: JointLines, minimum: Ints) -> JointOrders:
    """Raise, hold or leave the orders of every supplier.

    Args:
        lines: The items.
        minimum: Minimum order value of each group, minor units; 0 is none. Shape (groups,).

    Returns:
        Quantities of ``WAIT`` groups are 0. An order that stays below the minimum although it is
        urgent keeps what was advised: nothing is bought in vain.
    """
    groups = len(minimum)
    advised = _values(lines, lines.quantity, groups)
    is_small = (advised > 0) & (advised < minimum)
    urgent = _worth(((lines.quantity > 0) & lines.is_urgent).astype(np.int64), lines.group, groups)
    wants = is_small & (urgent > 0)
    missing = np.where(wants, minimum - advised, 0)
    raised = lines.quantity
    for _ in range(_TRIES):  # a price break on the way makes the order cheaper than it was
        raised = _raised(lines, missing)
        value = _values(lines, raised, groups)
        if (short := np.where(wants, np.maximum(minimum - value, 0), 0)).max(initial=0) == 0:
            break
        missing = missing + short
    reaches = wants & (value >= minimum)
    waits = is_small & ~wants
    decision = np.select(
        [reaches, waits, wants],
        [Joint.RAISE.value, Joint.WAIT.value, Joint.BELOW_MINIMUM.value],
        Joint.ORDER.value,
    )
    quantity = np.where(reaches[lines.group], raised, lines.quantity)
    quantity = np.where(waits[lines.group], 0, quantity)
    return JointOrders(quantity, decision, _values(lines, quantity, groups), advised)


def _values(lines: JointLines, quantity: Ints, groups: int) -> Ints:
    """Worth of the order of each group."""
    price = prices_at(quantity, lines.price, lines.steps, lines.step_prices)
    return _worth(quantity * price, lines.group, groups)


def _worth(values: Ints, group: Ints, groups: int) -> Ints:
    result = np.zeros(groups, dtype=np.int64)
    np.add.at(result, group, values)
    return result


def _raised(lines: JointLines, missing: Ints) -> Ints:
    """Quantities with what is due next added until the missing value is there.

    Sorted by group and days of cover, each line takes its whole room while the rooms before it do
    not reach; the line that reaches takes the multiples that are still needed.
    """
    order = np.lexsort((np.nan_to_num(lines.cover_days, nan=np.inf), lines.group))
    price = prices_at(lines.quantity, lines.price, lines.steps, lines.step_prices)[order]
    group, price = lines.group[order], np.maximum(price, 1)
    base, multiple = lines.quantity[order], np.maximum(lines.multiple[order], 1)
    least = -(-np.maximum(lines.moq[order], 1) // multiple) * multiple
    top = lines.most[order] // multiple * multiple
    room = np.where(np.isnan(lines.cover_days[order]), 0, np.maximum(top - base, 0))
    room = np.where((base == 0) & (top < least), 0, room)
    worth = room * price
    before = np.cumsum(worth) - worth
    first = np.searchsorted(group, group)  # where the group of each line begins
    before -= before[first]
    needed = np.maximum(missing[group] - before, 0)
    steps = -(-needed // (price * multiple)) * multiple
    steps = np.where((base == 0) & (steps > 0), np.maximum(steps, least), steps)
    added = np.empty_like(base)
    added[order] = np.minimum(steps, room)
    result: Ints = lines.quantity + added
    return result
