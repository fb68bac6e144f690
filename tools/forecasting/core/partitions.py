"""A catalogue in partitions: cut by series, forecast one by one, equal to the whole.

Three things depend on the whole catalogue: the calendar (grain, last day, width), the pools of
errors, and the calibration from them. They are settled before the first partition is forecast;
everything else belongs to one series. So neither the size of a partition nor who computes it nor
the order changes a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tools.demand.core import Panel
from tools.errors import InvalidInput
from tools.forecasting.core import methods, replay, totals
from tools.forecasting.core.batch import (
    Batch,
    Champions,
    IntArray,
    Outline,
    Progress,
    forecast_part,
)

SERIES = 500  # in a partition: some seconds of work, a megabyte of history, one transaction


@dataclass(frozen=True)
class Task:
    """All that is needed to forecast one partition, anywhere.

    Attributes:
        panel: Its cleaned demand, as wide as that of the whole catalogue.
        found: Its outline.
        horizon_days: Days to forecast.
        season: Of the whole.
        pool: Shape (n,): bucket of each series in the whole.
        calibration: Of the whole.
        accuracy: Of the replayed past of its series.
        champions: Models in use by demand class.
    """

    panel: Panel
    found: Outline
    horizon_days: int
    season: methods.Season
    pool: IntArray
    calibration: totals.Calibration
    accuracy: replay.SeriesAccuracy
    champions: Champions = field(default_factory=dict)


def forecast_task(task: Task, progress: Progress | None = None) -> Batch:
    """Forecast one partition.

    Args:
        task: What to forecast, with what the whole catalogue says.
        progress: Called with (series done, series in the partition).
    """
    return forecast_part(
        task.panel, task.found, horizon_days=task.horizon_days, season=task.season,
        pool=task.pool, calibration=task.calibration, accuracy=task.accuracy,
        champions=task.champions, progress=progress,
    )  # fmt: skip


def cut(
    counts: Mapping[int, int], *, series: int, together: Sequence[Sequence[int]] = ()
) -> list[list[int]]:
    """Cut a catalogue into partitions of whole items, in the order of the items.

    Args:
        counts: Series of each item, the items in order.
        series: At most so many in a partition, unless one item alone has more; >= 1.
        together: Groups of items whose histories are joined, such as an item and its heir; they
            stay in one partition, that of their first one.

    Returns:
        Item ids of each partition.

    Raises:
        InvalidInput: A partition would be empty.

    Example:
        >>> cut({1: 2, 2: 2, 3: 1, 4: 5}, series=4)
        [[1, 2], [3], [4]]
        >>> cut({1: 1, 2: 1, 3: 1}, series=2, together=[(1, 3)])
        [[1, 3], [2]]
    """
    if series < 1:
        raise InvalidInput(f"a partition holds at least 1 series, got {series!r}")
    groups = {item: tuple(i for i in group if i in counts) for group in together for item in group}
    taken: set[int] = set()
    parts: list[list[int]] = []
    room = 0
    for item in counts:
        if item in taken:
            continue
        group = groups.get(item, (item,))
        size = sum(counts[member] for member in group)
        if not parts or size > room:
            parts.append([])
            room = series
        parts[-1] += group
        taken |= set(group)
        room -= size
    return parts


def widened(panel: Panel, periods: int) -> Panel:
    """Give a part of a catalogue the width of the whole: nothing was sold before its first sale.

    This comes before anything is computed: even a sum of the same numbers rounds in another order
    when the row is longer.

    Args:
        panel: Part.
        periods: Of the whole, at least those of the part.
    """
    missing = periods - panel.units.shape[1]
    if missing <= 0:
        return panel
    before = ((0, 0), (missing, 0))
    return replace(
        panel,
        units=np.pad(panel.units, before, constant_values=np.nan),
        is_missing=np.pad(panel.is_missing, before),
    )


def pools_of(outlines: Sequence[Outline]) -> tuple[list[IntArray], IntArray]:
    """Sort the series of all parts into pools.

    Returns:
        The pool of each series, part by part, and the number of series of each pool.
    """
    if not outlines:
        return [], np.zeros(1, dtype=np.int64)
    pool = totals.pools(
        np.concatenate([one.level for one in outlines]),
        np.concatenate([one.is_rare for one in outlines]),
    )
    ends = np.cumsum([len(one.level) for one in outlines])[:-1]
    return np.split(pool, ends), np.bincount(pool, minlength=1)
