"""Whose history a forecast rests on: its own, a similar item's, a category's, a person's word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from db.types import ForecastBasis
from tools.errors import NotEnoughData
from tools.planning_inputs.core.values import Override, Series

FloatArray = npt.NDArray[np.float64]

CATEGORY_NEEDS_ITEMS = 3  # with demand, before their mean says anything about another one
RANGE = (0.1, 0.9)  # quantiles of a category's items, or of an analog's days


@dataclass(frozen=True)
class Profile:
    """An expected demand that rests on others.

    Attributes:
        mean: Units a day, one per day.
        low: Units a day, the lower end of what others like it sell.
        high: The upper end.
        n: Items that it rests on.
    """

    mean: FloatArray
    low: float
    high: float
    n: int


def analog_profile(mean: FloatArray, *, factor: float, spread: float = 0.5) -> Profile:
    """Take a share of another item's forecast.

    Args:
        mean: Units a day of the other item.
        factor: Share of it that is expected, > 0.
        spread: How far from its analog a launch may lie, as a part of it: an assumption.

    Example:
        >>> profile = analog_profile(np.array([7.0, 7.0]), factor=0.6)
        >>> [round(float(x), 1) for x in (profile.mean[0], profile.low, profile.high)]
        [4.2, 2.1, 6.3]
    """
    taken = np.asarray(mean, dtype=np.float64) * factor
    level = float(taken.mean()) if taken.size else 0.0
    return Profile(taken, level * (1 - spread), level * (1 + spread), 1)


def category_profile(means: FloatArray, *, factor: float = 1.0) -> Profile:
    """Take the mean profile of a category's items, at the level of its median item.

    Each item's forecast is divided by its own level before they are averaged, so that a big seller
    does not give its shape to all.

    Args:
        means: Shape (items, days), units a day.
        factor: Times so much, > 0.

    Raises:
        NotEnoughData: Fewer than ``CATEGORY_NEEDS_ITEMS`` items have demand.

    Example:
        >>> three = np.array([[1.0, 3.0], [4.0, 4.0], [30.0, 30.0]])
        >>> category_profile(three).mean.round(2).tolist()  # level 4, shape 5/6 and 7/6
        [3.33, 4.67]
    """
    levels = means.mean(axis=1) if means.size else np.zeros(0)
    sold = levels > 0
    if int(sold.sum()) < CATEGORY_NEEDS_ITEMS:
        raise NotEnoughData(
            f"only {int(sold.sum())} items of this category have demand, {CATEGORY_NEEDS_ITEMS} "
            "are needed",
            next_step="Name a similar item, or give a launch estimate in units a day.",
            details={"items": int(sold.sum())},
        )
    shape = (means[sold] / levels[sold, None]).mean(axis=0)
    low, level, high = np.quantile(levels[sold], (RANGE[0], 0.5, RANGE[1])) * factor
    return Profile(shape * level, float(low), float(high), int(sold.sum()))


def applied_overrides(
    mean: FloatArray, overrides: Sequence[Override], series: Series, *, start_on: date
) -> tuple[FloatArray, list[ForecastBasis]]:
    """Put planners' figures in the place of the forecast, on their days only.

    An analog and a category rest on what the forecast says of the others, before any override.
    Where they cannot (the other item or the category has no forecast) the forecast stays.

    Args:
        mean: Shape (n, days), units a day; it is not changed.
        overrides: Oldest first; a newer one wins.
        series: Its rows.
        start_on: Day of the first column.

    Returns:
        The means, and the basis of each series.

    Example:
        >>> lamp = Series(np.array([7]), np.array([1]), np.array([""], dtype=object))
        >>> said = Override(1, 7, 1, date(2026, 3, 3), date(2026, 3, 3), ForecastBasis.OWN, 22.0)
        >>> applied_overrides(np.ones((1, 3)), [said], lamp, start_on=date(2026, 3, 2))[0].tolist()
        [[1.0, 22.0, 1.0]]
    """
    answer, bases = mean.copy(), [ForecastBasis.OWN] * len(series)
    row = rows_of(series)
    for override in overrides:
        at = row.get((override.item_id, override.location_id))
        first = max(0, (override.start_on - start_on).days)
        behind = min(mean.shape[1], (override.end_on - start_on).days + 1)
        if at is None or first >= behind:
            continue
        said = _said(override, mean, series, row)
        if said is not None:
            answer[at, first:behind] = said[first:behind]
            bases[at] = override.basis
    return answer, bases


def rows_of(series: Series) -> Mapping[tuple[int, int], int]:
    """Return the row of each (item, location)."""
    pairs = zip(series.item_ids.tolist(), series.location_ids.tolist(), strict=True)
    return {pair: k for k, pair in enumerate(pairs)}


def _said(
    override: Override,
    mean: FloatArray,
    series: Series,
    row: Mapping[tuple[int, int], int],
) -> FloatArray | None:
    """Units a day of one override over the whole horizon; None when its basis is not there."""
    if override.basis is ForecastBasis.OWN:
        return np.full(mean.shape[1], override.units_per_day or 0.0)
    if override.basis is ForecastBasis.ANALOG:
        at = row.get((override.analog_item_id or 0, override.location_id))
        return None if at is None else analog_profile(mean[at], factor=override.factor).mean
    mine = series.categories[row[override.item_id, override.location_id]]
    alike = (series.categories == mine) & (series.location_ids == override.location_id)
    alike &= series.item_ids != override.item_id
    try:
        return category_profile(mean[alike.astype(np.bool_)], factor=override.factor).mean
    except NotEnoughData:
        return None
