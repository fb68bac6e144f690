"""The first pass of a run: all demand read once, and what its partitions share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from db.session import Database
from tools.demand.core import Panel
from tools.forecasting.core import partitions, replay, totals
from tools.forecasting.core.batch import (
    Batch,
    Champions,
    Outline,
    horizons_of,
    outline,
    past_errors,
    season_of,
)
from tools.forecasting.core.rows import forecast_rows
from tools.forecasting.core.stretched import with_factors
from tools.forecasting.service import reading
from tools.forecasting.service.spool import Spool
from tools.forecasting.service.tracking import Track, tracked
from tools.planning_inputs.core.values import Inputs

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ground:
    """What is known of the whole catalogue before its first forecast.

    Attributes:
        catalogue: Calendar and partitions.
        horizon_days: Days to forecast.
        data_hash: Of all demand, and of what people said about it.
        spool: The panels of the partitions.
        outlines: Of each partition.
        pools: Bucket of each series, by partition.
        accuracy: Of the replayed past, by partition.
        calibration: Of the whole.
        notes: What planners should know, by partition and series.
        factors: Of events to come, by partition; None without any.
        silent: Item and location of stock that never sold, in partitions of their own.
        champions: Models in use by segment.
        part_series: Series in a partition.
    """

    catalogue: reading.Catalogue
    horizon_days: int
    data_hash: str
    spool: Spool
    outlines: list[Outline]
    pools: list[Any]
    accuracy: list[replay.SeriesAccuracy]
    calibration: totals.Calibration
    notes: list[list[list[str]]]
    factors: list[FloatArray | None]
    silent: list[list[reading.Pair]]
    champions: Champions
    part_series: int = partitions.SERIES

    @property
    def count(self) -> int:
        """Partitions in all."""
        return len(self.outlines) + len(self.silent)

    @property
    def sizes(self) -> list[int]:
        """Series of each partition."""
        return [len(one.level) for one in self.outlines] + [len(pairs) for pairs in self.silent]

    @property
    def series(self) -> int:
        """Series in all."""
        return sum(self.sizes)

    def wide(self, number: int) -> Panel:
        """Give the panel of a partition in the width of the whole."""
        return partitions.widened(self.spool[number], self.spool.periods)

    def task(self, number: int) -> partitions.Task:
        """Give the work of one partition."""
        panel = self.wide(number)
        return partitions.Task(
            panel, self.outlines[number], self.horizon_days, season_of(panel), self.pools[number],
            self.calibration, self.accuracy[number], self.champions,
        )  # fmt: skip

    def items(self, number: int) -> list[int]:
        """Give the items of a partition."""
        return sorted(set(self.spool[number].item_ids.tolist()))

    def rows(
        self, number: int, batch: Batch, before: Mapping[reading.Pair, Track]
    ) -> list[dict[str, Any]]:
        """Give the rows to store of one partition.

        Args:
            number: Partition.
            batch: Its forecasts; the events to come move them here.
            before: Promises of the run before.
        """
        moved, added = batch, None
        factors = self.factors[number]
        if factors is not None:
            moved = with_factors(batch, factors)
            added = moved.mean - batch.mean
        panel = self.wide(number)
        rows = list(forecast_rows(panel, moved, self.horizon_days, events=added))
        return tracked(rows, panel, moved, before)


def groundwork(
    database: Database,
    catalogue: reading.Catalogue,
    inputs: Inputs,
    spool: Spool,
    *,
    end: date,
    horizon_days: int,
    champions: Champions,
    part_series: int,
) -> Ground:
    """Read all demand once and settle what the partitions share: width, pools, calibration.

    Args:
        database: Open database.
        catalogue: Calendar and partitions.
        inputs: What people and the calendar say about demand.
        spool: Takes the panels.
        end: Last day that counts.
        horizon_days: Days to forecast.
        champions: Models in use by segment.
        part_series: Series in a partition.
    """
    seen = reading.Seen()
    seen.note(inputs)
    notes, factors, pairs = [], [], set()
    for part in reading.cleaned(
        database, catalogue, inputs, end=end, seen=seen, part_series=part_series,
        horizon_days=horizon_days,
    ):  # fmt: skip
        spool.append(part.panel)
        notes.append(part.notes)
        factors.append(part.factors)
        ids = part.panel.item_ids.tolist(), part.panel.location_ids.tolist()
        pairs |= set(zip(*ids, strict=True))
    outlines, pools, found, calibration = _shared(spool, horizon_days)
    silent = [pair for pair in catalogue.stocked if pair not in pairs]
    return Ground(
        catalogue, horizon_days, seen.hexdigest(), spool, outlines, pools, found, calibration,
        notes, factors, reading.chunks(silent, part_series), champions, part_series,
    )  # fmt: skip


def _shared(
    spool: Spool, horizon_days: int
) -> tuple[list[Outline], list[Any], list[replay.SeriesAccuracy], totals.Calibration]:
    """Settle pools and calibration: one look at each partition for its outline, one at its past."""

    def wide(number: int) -> Panel:
        return partitions.widened(spool[number], spool.periods)

    season, horizons = season_of(wide(0)), horizons_of(wide(0), horizon_days)
    numbers = range(len(spool))
    outlines = [outline(wide(k)) for k in numbers]
    pools, members = partitions.pools_of(outlines)
    found = [
        past_errors(
            wide(k), outlines[k], season=season, pool=pools[k], members=members,
            horizons=horizons,
        )
        for k in numbers
    ]  # fmt: skip
    calibration = totals.pooled([e for e, _ in found], pools=len(members), horizons=horizons)
    return outlines, pools, [accuracy for _, accuracy in found], calibration
