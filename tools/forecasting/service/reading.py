"""What a run of forecasts reads: the catalogue's outline first, then its demand part by part."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import select
from sqlmodel import Session, col

from db.models.ingestion import Load
from db.models.stock import Demand, StockLevel
from db.session import Database
from db.types import LoadState
from tools.demand.core import FloatArray, Grain, Panel, grain_of
from tools.demand.service import demand_frame
from tools.forecasting.core.partitions import cut, widened
from tools.planning_inputs.core.cleaning import CleanPanel, cleaned_panel, descendants, series_of
from tools.planning_inputs.core.events import event_factors
from tools.planning_inputs.core.values import Inputs

LATE_DAYS = {"D": 2, "W": 9, "M": 40}
Pair = tuple[int, int]
_MOST_NAMED = 20_000  # items in one query; more are all


@dataclass(frozen=True)
class Catalogue:
    """The calendar and the partitions of a run.

    Attributes:
        until: Last day with a sale.
        grain: Of the whole history.
        parts: Item ids of each partition.
        stocked: Item and location of all stock, in order.
        late: Last day of sales by location whose sales stopped arriving.
    """

    until: date
    grain: Grain
    parts: list[list[int]]
    stocked: list[Pair]
    late: dict[int, date]


def survey(
    session: Session, *, end: date, part_series: int, heirs: Mapping[int, int] | None = None
) -> Catalogue | None:
    """Look at what there is to forecast; None without any sale.

    Args:
        session: Open session.
        end: Last day that counts.
        part_series: Series in a partition.
        heirs: Item that took over by the item that it replaced; their demand is read together.
    """
    published = select(col(Load.id)).where(col(Load.state) == LoadState.PUBLISHED)
    counts = col(Demand.load_id).in_(published), col(Demand.on) <= end
    days = session.execute(
        select(col(Demand.location_id), col(Demand.on)).where(*counts).distinct()
    ).all()
    if not days:
        return None
    pairs = session.execute(
        select(col(Demand.item_id), col(Demand.location_id)).where(*counts).distinct()
    ).all()
    per_item = Counter(item for item, _ in sorted(pairs))
    until = max(on for _, on in days)
    grain = grain_of(pd.Series(pd.to_datetime([on for _, on in days])))
    stocked = session.execute(select(col(StockLevel.item_id), col(StockLevel.location_id))).all()
    return Catalogue(
        until=until,
        grain=grain,
        parts=cut(per_item, series=part_series, together=_families(heirs or {})),
        stocked=sorted((item, place) for item, place in stocked),
        late=_late(days, until - timedelta(days=LATE_DAYS[grain])),
    )


def _late(days: Sequence[Any], least: date) -> dict[int, date]:
    """Give the last day of the locations that sold nothing from ``least`` on."""
    last: dict[int, date] = {}
    for place, on in days:
        last[place] = max(on, last.get(place, on))
    return {place: on for place, on in last.items() if on < least}


def _families(heirs: Mapping[int, int]) -> list[list[int]]:
    """Group items with all that took over from them."""
    families: dict[int, set[int]] = {}
    for old in heirs:
        line = [old, *descendants(old, heirs)]
        families.setdefault(max(line) if line[-1] in heirs else line[-1], set()).update(line)
    return [sorted(family) for family in families.values()]


@dataclass(frozen=True)
class Part:
    """Demand of one partition, and what its planner should know.

    Attributes:
        panel: Cleaned demand.
        notes: By series.
        factors: Shape (n, horizon_days), of events to come; None without any.
    """

    panel: Panel
    notes: list[list[str]]
    factors: FloatArray | None = None


class Seen:
    """SHA-256 of all demand that a run saw, the same however the catalogue is cut."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, frame: pd.DataFrame) -> None:
        """Take the next rows."""
        columns = [frame[name].to_numpy(np.int64) for name in ("item_id", "location_id")]
        columns.append(frame["on"].to_numpy("datetime64[D]").astype(np.int64))
        columns += [frame[name].to_numpy().astype(np.int64) for name in ("units", "is_in_stock")]
        flags = frame["flag"].to_numpy()
        flagged = np.flatnonzero(flags != "")
        texts = [int.from_bytes(hashlib.sha256(flags[k].encode()).digest()[:7]) for k in flagged]
        marks = np.zeros(len(frame), dtype=np.int64)
        marks[flagged] = texts
        self._digest.update(np.column_stack([*columns, marks]).tobytes())

    def note(self, inputs: Inputs) -> None:
        """Take what people said about demand; nothing said changes nothing."""
        said = (inputs.events, inputs.corrections, inputs.overrides, dict(inputs.heirs))
        if any(said):
            self._digest.update(repr(said).encode())

    def hexdigest(self) -> str:
        """Return it."""
        return self._digest.hexdigest()


def cleaned(
    database: Database,
    catalogue: Catalogue,
    inputs: Inputs,
    *,
    end: date,
    seen: Seen,
    part_series: int,
    horizon_days: int,
) -> Iterator[Part]:
    """Read and clean the demand of each partition, in transactions of their own.

    What an event does is learned from all items that it touched. So with events all demand is read
    and cleaned at once, and cut then.

    Args:
        database: Open database.
        catalogue: What there is.
        inputs: What people and the calendar say.
        end: Last day that counts.
        seen: Takes the rows.
        part_series: Series in a partition.
        horizon_days: Days to forecast, for the events to come.
    """
    if not (inputs.events or inputs.countries):
        for item_ids in catalogue.parts:
            yield _part(database, catalogue, _of(inputs, item_ids), item_ids, end=end, seen=seen)[0]
        return
    everything = [item for part in catalogue.parts for item in part]
    whole, clean = _part(database, catalogue, inputs, everything, end=end, seen=seen)
    for first in range(0, len(whole.notes), part_series):
        rows = np.arange(first, min(first + part_series, len(whole.notes)))
        panel = rows_of(whole.panel, rows)
        series = series_of(panel.item_ids, panel.location_ids, inputs.categories)
        factors = event_factors(
            clean.events, series, start_on=panel.until + timedelta(days=1), days=horizon_days
        )
        moves = factors if (factors != 1.0).any() else None
        yield Part(panel, whole.notes[first : first + part_series], moves)


def _of(inputs: Inputs, item_ids: Sequence[int]) -> Inputs:
    """Keep the corrections of some items: those of others would add rows."""
    mine = set(item_ids)
    return replace(
        inputs, corrections=tuple(one for one in inputs.corrections if one.item_id in mine)
    )


def _part(
    database: Database,
    catalogue: Catalogue,
    inputs: Inputs,
    item_ids: list[int],
    *,
    end: date,
    seen: Seen,
) -> tuple[Part, CleanPanel]:
    wanted = None if len(item_ids) > _MOST_NAMED else item_ids
    with database.read() as session:
        frame = demand_frame(session, item_ids=wanted, end=end)
    seen.add(frame)
    clean = cleaned_panel(frame, inputs, until=catalogue.until, grain=catalogue.grain)
    notes = _notes(frame, clean.panel, catalogue)
    joined = [[*mine, *theirs] for mine, theirs in zip(notes, clean.notes, strict=True)]
    return Part(clean.panel, joined), clean


def _notes(frame: pd.DataFrame, panel: Panel, catalogue: Catalogue) -> list[list[str]]:
    """Tell about outliers and about locations whose sales stopped arriving."""
    notes: list[list[str]] = [[] for _ in panel.item_ids]
    for outlier in panel.outliers:
        notes[outlier.series].append(outlier.note)
    flagged = frame[frame["flag"] == "outlier"].groupby(["item_id", "location_id"]).size()
    pairs = zip(panel.item_ids.tolist(), panel.location_ids.tolist(), strict=True)
    for said, (item_id, location_id) in zip(notes, pairs, strict=True):
        if count := flagged.get((item_id, location_id), 0):
            said.append(f"{count} days are flagged as outliers and still count")
        if location_id in catalogue.late:
            said.append(
                f"no sales of this location after {catalogue.late[location_id].isoformat()} are "
                "loaded; the days behind count as zero"
            )
    return notes


def chunks(pairs: Sequence[Pair], size: int) -> list[list[Pair]]:
    """Cut pairs into lists of at most so many."""
    return [list(pairs[k : k + size]) for k in range(0, len(pairs), size)]


def rows_of(panel: Panel, rows: npt.NDArray[np.int64]) -> Panel:
    """Take some series of a panel."""
    return replace(
        panel, item_ids=panel.item_ids[rows], location_ids=panel.location_ids[rows],
        units=panel.units[rows], is_missing=panel.is_missing[rows], outliers=(),
    )  # fmt: skip


def stacked(panels: Sequence[Panel]) -> Panel:
    """Put panels on one calendar under each other."""
    periods = max(panel.units.shape[1] for panel in panels)
    wide = [widened(panel, periods) for panel in panels]
    return replace(
        wide[0], item_ids=np.concatenate([one.item_ids for one in wide]),
        location_ids=np.concatenate([one.location_ids for one in wide]),
        units=np.concatenate([one.units for one in wide]),
        is_missing=np.concatenate([one.is_missing for one in wide]), outliers=(),
    )  # fmt: skip
