"""What was sold, and what that says about demand on days when stock ran out.

Sales are demand cut off by stock. A day that ended without stock shows only a lower bound of what
was wanted, so it counts as the larger of its sales and the usual demand.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.errors import InvalidInput, NotEnoughData

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]
SHORTEST_HISTORY = 14  # days; below this a level says nothing about a lead time
RECENT, YEAR, AHEAD = 90, 365, 120  # days: the present, a year, the season that lies ahead
USUAL = 0.03  # smoothing of the usual demand of days in stock: a memory of about a month


@dataclass(frozen=True)
class ObservedDemand:
    """Sales as the shop saw them, oldest day first, closed days included as zeros.

    Attributes:
        units: Sold, shape (..., n items, days); leading axes are paths of a simulation.
        in_stock: Same shape: whether all that was asked for could be served that day.
    """

    units: Floats
    in_stock: Flags

    def __post_init__(self) -> None:
        if self.units.ndim < 2 or self.units.shape != self.in_stock.shape:
            raise InvalidInput(
                "sales and in-stock flags need one shape (..., items, days), got "
                f"{self.units.shape!r} and {self.in_stock.shape!r}"
            )
        if self.units.shape[-1] < SHORTEST_HISTORY:
            raise NotEnoughData(
                f"levels need {SHORTEST_HISTORY} days of sales, got {self.units.shape[-1]!r}",
                next_step="Use the forecast of an analog item until then.",
            )


def memory(days: int, smoothing: float) -> Floats:
    """Weights of exponential smoothing over a finite history, oldest first; they add up to 1.

    Example:
        >>> memory(3, 0.5).round(3).tolist()
        [0.143, 0.286, 0.571]
    """
    weights = (1.0 - smoothing) ** np.arange(days)[::-1]
    result: Floats = weights / weights.sum()
    return result


def uncensored(demand: ObservedDemand) -> Floats:
    """Demand a day with stock-outs repaired: at least the usual demand, at least what was sold.

    The usual demand is an exponentially weighted mean of the days in stock.

    Example:
        >>> sold = np.array([[4.0] * 20 + [0.0, 9.0]])
        >>> served = np.array([[True] * 20 + [False, False]])
        >>> uncensored(ObservedDemand(sold, served))[0, -3:].tolist()
        [4.0, 4.0, 9.0]
    """
    units, served = demand.units, demand.in_stock
    if served.all():
        return units
    weights = memory(units.shape[-1], USUAL).astype(units.dtype)
    known = served.astype(units.dtype)
    usual = ((units * known) @ weights) / np.maximum(known @ weights, 1e-9)
    result: Floats = np.where(served, units, np.maximum(units, usual[..., None]))
    return result


def season_weights(days: int, off_season: float) -> Floats:
    """How much a day of the past says about the worst that may come, oldest day first.

    The last three months count in full, and so does the stretch that starts with the same date of
    last year: what sold before Christmas is about to come back in autumn, not in May. The days in
    between count by ``off_season``.

    Example:
        >>> weights = season_weights(366, 0.5)
        >>> [float(weights[-1 - age]) for age in (0, 89, 90, 244, 245, 365)]
        [1.0, 1.0, 0.5, 0.5, 1.0, 1.0]
    """
    age = np.arange(days)[::-1]
    is_season = (age < RECENT) | (age >= YEAR - AHEAD)
    result: Floats = np.where(is_season, 1.0, off_season)
    return result


def largest_window_total(units: Floats, window_days: npt.NDArray[np.int64]) -> Floats:
    """Largest total of any run of so many days in the history.

    With n windows in the past, the next one exceeds all of them with a chance of 1 / (n + 1) if
    they are alike: no share of past windows can stand for a rarer chance than that.

    Args:
        units: Demand a day, shape (..., n, days).
        window_days: Length of the window of each item, shape (n,), within 1 and ``days``.

    Returns:
        Units, shape (..., n).

    Example:
        >>> largest_window_total(np.array([[1.0, 5.0, 2.0, 0.0]]), np.array([2])).tolist()
        [7.0]
    """
    running = np.zeros((*units.shape[:-1], units.shape[-1] + 1), dtype=units.dtype)
    np.cumsum(units, axis=-1, out=running[..., 1:])
    result = np.empty(units.shape[:-1], dtype=units.dtype)
    for length in np.unique(window_days):
        rows = np.flatnonzero(window_days == length)
        chosen = running[..., rows, :]
        result[..., rows] = (chosen[..., length:] - chosen[..., :-length]).max(axis=-1)
    return result
