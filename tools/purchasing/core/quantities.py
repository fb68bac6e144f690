"""Quantities a supplier accepts, and what they cost."""

import math
from dataclasses import dataclass

from tools.errors import InvalidInput
from tools.money import amount_spoken
from tools.offers.core import unit_price
from tools.planning.core.quantities import order_quantity

MOST_UNITS = 10_000_000
MOST_MINOR = 2**63 - 1  # what a column of money holds
OVER_RECEIPT_PERCENT = 10


@dataclass(frozen=True)
class Terms:
    """Under which terms a supplier sells an item; quantities in the stock unit.

    ``breaks`` are all-units discounts, (least units, price), in any order.
    """

    unit_price_minor: int
    moq_units: int = 0
    order_multiple_units: int = 1
    max_units: int | None = None
    pack_uom: str = "each"
    pack_units: int = 1
    breaks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Choice:
    """A whole quantity that could be ordered instead of a broken one."""

    packs: int
    units: int


def price_for(terms: Terms, units: int) -> int:
    """Return the price of a unit at a quantity: the break with the highest least quantity.

    >>> price_for(Terms(800, breaks=((5040, 760), (1000, 780))), 1920)
    780
    """
    return unit_price(terms.unit_price_minor, terms.breaks, units)


def orderable(terms: Terms, units: int) -> int:
    """Return the least quantity the supplier accepts that is not below ``units``.

    First the minimum order quantity, then up to the multiple: with MOQ 50 and multiple 12, 1 and
    60 give 60, and 61 gives 72.

    Raises:
        InvalidInput: ``units`` is not in 1 to 10,000,000, or the supplier's maximum is below the
            answer; ``details['suggestion']`` is then the most that can be ordered.

    >>> [orderable(Terms(1, moq_units=50, order_multiple_units=12), n) for n in (1, 60, 61)]
    [60, 60, 72]
    """
    if not 1 <= units <= MOST_UNITS:
        raise InvalidInput(
            f"a quantity is 1 to {MOST_UNITS:,} units, got {units!r}",
            next_step="Ask for the quantity again.",
        )
    multiple = math.lcm(terms.order_multiple_units, terms.pack_units)  # whole packs only
    answer = order_quantity(units, moq=terms.moq_units, multiple=multiple)
    if terms.max_units is not None and answer > terms.max_units:
        most = terms.max_units // multiple * multiple
        raise InvalidInput(
            f"the supplier sells at most {terms.max_units:,} units of this at once, asked were "
            f"{units!r}",
            next_step=f"Order {most:,}, or split the order.",
            details={"suggestion": most},
        )
    return answer


def check_amount(minor: int, what: str, currency: str) -> None:
    """Refuse an amount that cannot be stored.

    Raises:
        InvalidInput: It is above the most that can be counted.
    """
    if minor > MOST_MINOR:
        raise InvalidInput(
            f"{what} would cost {amount_spoken(minor, currency)}; at most "
            f"{amount_spoken(MOST_MINOR, currency)} can be counted",
            next_step="Check the price and the quantity.",
        )


def neighbours(quantity: float, *, unit_units: int, pack_units: int) -> tuple[Choice, ...]:
    """Return the whole quantities on both sides of a broken one.

    Args:
        quantity: What was asked, in units of ``unit_units``; positive.
        unit_units: Stock units in the unit that was asked for (1, or a pack).
        pack_units: Stock units in a pack.

    >>> neighbours(2.5, unit_units=48, pack_units=48)
    (Choice(packs=2, units=96), Choice(packs=3, units=144))
    """
    below = int(quantity)
    return tuple(
        Choice(packs=-(-count * unit_units // pack_units), units=count * unit_units)
        for count in (below, below + 1)
        if count > 0
    )


def moved_bp(old_minor: int, new_minor: int) -> int:
    """Return how far a price moved, in basis points of the old one, either way, rounded up.

    >>> moved_bp(780, 800), moved_bp(0, 5)
    (257, 10000)
    """
    if old_minor == 0:
        return 0 if new_minor == 0 else 10_000
    return -(-abs(new_minor - old_minor) * 10_000 // old_minor)


def most_receivable(ordered_units: int) -> int:
    """Return how much of a line may arrive in all: a tenth more than ordered.

    >>> most_receivable(300), most_receivable(5)
    (330, 5)
    """
    return ordered_units * (100 + OVER_RECEIPT_PERCENT) // 100
