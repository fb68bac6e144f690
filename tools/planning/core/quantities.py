"""From a need to an order quantity that the supplier accepts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.errors import InvalidInput

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NO_LIMIT = 2**62


def order_quantities(need: Ints, moq: Ints, multiple: Ints, limit: Ints) -> Ints:
    """Order quantities for needs: at least the MOQ, a multiple, at most the limit.

    A need of 0 or less orders nothing, never the MOQ. A quantity above the limit is cut to the last
    multiple below it, and to 0 when that is under the MOQ.

    Example:
        >>> one = np.ones(6, dtype=np.int64)
        >>> needs = np.array([1, 49, 50, 51, 60, 61])
        >>> order_quantities(needs, 50 * one, 12 * one, NO_LIMIT * one).tolist()
        [60, 60, 60, 60, 60, 72]
    """
    wanted = np.maximum(need, moq)
    rounded = -(-wanted // multiple) * multiple
    cut = limit // multiple * multiple
    bounded = np.where(rounded <= limit, rounded, np.where(cut >= moq, cut, 0))
    result: Ints = np.where(need > 0, bounded, 0)
    return result


def order_quantity(need: int, *, moq: int = 0, multiple: int = 1, limit: int | None = None) -> int:
    """Order quantity for one need; see ``order_quantities``.

    Raises:
        InvalidInput: MOQ below 0, multiple below 1, or limit below the MOQ.

    Example:
        >>> order_quantity(1804, moq=500, multiple=120)
        1920
    """
    if moq < 0 or multiple < 1 or (limit is not None and limit < max(moq, 0)):
        raise InvalidInput(
            f"order terms need moq >= 0, multiple >= 1, limit >= moq, got {moq!r}, {multiple!r}, "
            f"{limit!r}"
        )
    most = NO_LIMIT if limit is None else limit
    row = (np.array([value], dtype=np.int64) for value in (need, moq, multiple, most))
    return int(order_quantities(*row)[0])


def raised_to_break(
    quantity: Ints,
    *,
    price: Floats,
    break_quantities: Ints,
    break_prices: Floats,
    order_limit: Ints,
    demand_mean: Floats,
    carrying_rate: float,
) -> Ints:
    """Raise an order to the price break that pays most, else leave it.

    A break pays by the saving on the larger order less the cost of holding the extra units until
    they are used: i * price * (Q2**2 - Q1**2) / (2 * d * 365). All breaks are looked at: the next
    one may save next to nothing and the one behind it a lot. ``order_limit`` caps the quantity
    (cover, shelf life). ``break_quantities`` and ``break_prices`` have shape (n, breaks); 0 is no
    break.
    """
    lot = quantity[:, None]
    can = (lot > 0) & (break_quantities > lot) & (break_quantities <= order_limit[:, None])
    saving = (price[:, None] - break_prices) * break_quantities
    growth = break_quantities.astype(np.float64) ** 2 - lot.astype(np.float64) ** 2
    yearly = 2 * np.maximum(demand_mean, 1e-9)[:, None] * 365
    gain = np.where(can, saving - carrying_rate * break_prices * growth / yearly, 0.0)
    best = gain.argmax(axis=1)
    rows = np.arange(len(quantity))
    result: Ints = np.where(gain[rows, best] > 0, break_quantities[rows, best], quantity)
    return result


@dataclass(frozen=True)
class Packs:
    """A quantity in purchase units, rounded up, and what that is in stock units."""

    packs: int
    units: int


def packs_for_units(units: int, pack_units: int) -> Packs:
    """Whole packs that hold at least these units.

    Raises:
        InvalidInput: Negative units, or a pack of less than one.

    Example:
        >>> packs_for_units(1500, 120)
        Packs(packs=13, units=1560)
    """
    if units < 0 or pack_units < 1:
        raise InvalidInput(f"packs need units >= 0 and a pack >= 1, got {units!r}, {pack_units!r}")
    packs = -(-units // pack_units)
    return Packs(packs, packs * pack_units)
