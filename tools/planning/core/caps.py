"""Limits of an order that are not the buyer's: the supplier's, shelf life and room."""

import numpy as np
import numpy.typing as npt

from tools.planning.core.quantities import NO_LIMIT

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]
CAPS = ("supplier_maximum", "shelf_life", "storage")
LABELS = {
    "supplier_maximum": "limit of the supplier",
    "shelf_life": "limit of shelf life",
    "storage": "limit of the store's space",
    "": "limit",
}


def shelf_limit(demand_mean: Floats, shelf_days: Floats, position: Ints) -> Ints:
    """Units that can still be sold before they expire, beyond what is already coming.

    Q <= demand * remaining life - position. What is owed leaves the house at once.

    Args:
        demand_mean: Units a day.
        shelf_days: Remaining life on arrival; nan where goods do not expire.
        position: Inventory position, units.

    Example:
        >>> shelf_limit(np.array([100.0]), np.array([20.0]), np.array([840])).tolist()
        [1160]
    """
    sellable = np.floor(demand_mean * np.nan_to_num(shelf_days)) - position.astype(np.float64)
    return _whole(sellable, shelf_days)


def storage_limit(free_units: Floats) -> Ints:
    """Units for which there is room; nan where the room or the item's volume is not known."""
    return _whole(free_units, free_units)


def _whole(units: Floats, known: Floats) -> Ints:
    most = np.clip(np.nan_to_num(units), 0, float(2**53)).astype(np.int64)
    result: Ints = np.where(np.isnan(known), NO_LIMIT, most)
    return result


def tightest(limits: tuple[Ints, Ints, Ints]) -> tuple[Ints, Texts]:
    """The smallest of the limits in the order of ``CAPS``, and which one it is.

    Example:
        >>> one = np.ones(1, dtype=np.int64)
        >>> most, name = tightest((900 * one, 700 * one, NO_LIMIT * one))
        >>> (most.tolist(), name.tolist())
        ([700], ['shelf_life'])
    """
    table = np.stack(limits)
    which = table.argmin(axis=0)
    most: Ints = table.min(axis=0)
    return most, np.where(most < NO_LIMIT, np.array(CAPS)[which], "")
