"""ABC by usage value, XYZ by variation, and the service level that a segment is kept at."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

ABC_CUTS = (0.80, 0.95)  # of cumulative usage value
XYZ_CUTS = (0.5, 1.0)  # of the coefficient of variation of weekly demand
USAGE_DAYS = 365
VARIATION_WEEKS = 52
LEAST_WEEKS = 8  # below, the variation says nothing yet: Z

# Cycle service levels as shipped. What is worth much and steady is kept nearly always; what is
# cheap and erratic would need most stock for the least value.
SERVICE_RATES: Mapping[str, float] = {
    "AX": 0.98, "AY": 0.97, "AZ": 0.95,
    "BX": 0.97, "BY": 0.95, "BZ": 0.93,
    "CX": 0.95, "CY": 0.93, "CZ": 0.90,
}  # fmt: skip


def abc_classes(values: FloatArray, *, cuts: tuple[float, float] = ABC_CUTS) -> list[str]:
    """Sort items by usage value into A, B and C.

    An item is A while those before it hold less than the first cut of the whole, so that the A
    items together hold at least that much; B likewise up to the second cut.

    Args:
        values: Usage value of a year, shape (n,), >= 0, any one currency.
        cuts: Cumulative shares where A and B end.

    Returns:
        Letters in the order of the values; an item without usage is C.

    References:
        DOMAIN 1.6: cumulative 80 / 95 / 100 %.

    Example:
        >>> abc_classes(np.array([5.0, 70, 15, 10, 0]))
        ['C', 'A', 'A', 'B', 'C']
    """
    order = np.argsort(-values, kind="stable")
    total = values.sum()
    before = np.cumsum(values[order]) - values[order]
    share = before / total if total > 0 else np.ones(len(values))
    # A hair below the cut is at the cut: sums of decimals are not exact.
    letters = np.digitize(share + 1e-9, cuts)
    letters[values[order] <= 0] = 2
    answer = np.empty(len(values), dtype=np.int64)
    answer[order] = letters
    return ["ABC"[k] for k in answer]


def xyz_classes(weekly: FloatArray, *, cuts: tuple[float, float] = XYZ_CUTS) -> list[str]:
    """Sort items by the variation of their weekly demand into X, Y and Z.

    Args:
        weekly: Shape (n, weeks), NaN before the first sale.
        cuts: Coefficients of variation up to which an item is X and Y.

    Returns:
        Letters; Z also where there is no demand or fewer than ``LEAST_WEEKS`` weeks.

    References:
        DOMAIN 1.6: up to 0.5, up to 1.0, above.

    Example:
        >>> steady, uneven = [10.0, 14, 6, 10] * 3, [10.0, 0, 25, 5] * 3
        >>> xyz_classes(np.array([steady, uneven]))  # CV 2.83/10 and 9.35/10
        ['X', 'Y']
    """
    known = np.isfinite(weekly)
    weeks = known.sum(axis=1)
    sold = np.where(known, weekly, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sold.sum(axis=1) / weeks
        spread = np.where(known, (weekly - mean[:, None]) ** 2, 0.0).sum(axis=1) / weeks
        variation = np.sqrt(spread) / mean
    variation = np.where((weeks >= LEAST_WEEKS) & (mean > 0), variation, np.inf)
    return ["XYZ"[k] for k in np.digitize(variation, cuts, right=True)]


def service_rate_for(abc: str, xyz: str) -> float:
    """Return the shipped cycle service level of a segment; 0.95 for an item without one.

    Example:
        >>> service_rate_for("A", "X"), service_rate_for("C", "Z"), service_rate_for("", "")
        (0.98, 0.9, 0.95)
    """
    return SERVICE_RATES.get(f"{abc}{xyz}", 0.95)
