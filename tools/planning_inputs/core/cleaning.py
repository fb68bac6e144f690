"""From what was sold to what was asked for: corrections, heirs, closed days and events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from db.types import CorrectionKind, EventKind
from tools.demand.core import EVENT_FLAG, EXCLUDED_FLAG, Grain, Panel, dense_panel
from tools.errors import InvalidInput
from tools.planning_inputs.core.events import baseline, with_uplifts, without_events
from tools.planning_inputs.core.holidays import holiday_events
from tools.planning_inputs.core.values import Correction, Event, Inputs, Series

KEY = ["item_id", "location_id", "on"]
LEAST_WEEKS = 8  # of sales of a place before a weekday without any is a day on which it is closed
HOLIDAYS_AHEAD_DAYS = 400


@dataclass(frozen=True)
class CleanPanel:
    """Demand without what does not come again, and what is known to come.

    Attributes:
        panel: Demand with corrections and heirs' history, without events.
        series: Its rows.
        events: All events with given or learned uplifts, holidays included.
        notes: What a planner should know about each series.
        warnings: What a planner should know about the whole.
    """

    panel: Panel
    series: Series
    events: tuple[Event, ...]
    notes: list[list[str]]
    warnings: tuple[str, ...] = ()


def cleaned_panel(
    frame: pd.DataFrame,
    inputs: Inputs,
    *,
    until: date,
    most_days: int = 1100,
    grain: Grain | None = None,
) -> CleanPanel:
    """Clean demand once, for every use.

    Args:
        frame: What was sold: columns item_id, location_id, on (datetime64), units, is_in_stock,
            flag; one row per series and day. It is not changed.
        inputs: What people and the calendar say.
        until: Last day; later rows are ignored.
        most_days: Older history is left out.
        grain: As for ``dense_panel``.

    Raises:
        InvalidInput: The frame holds a negative quantity, or a country is not known.
    """
    warnings = _frame_warnings(frame, until, most_days)
    counted, unknown = _with_holidays(inputs, frame, until=until, most_days=most_days)
    counts = corrected(frame, inputs.corrections)
    counts = in_stock_when_closed(joined(counts, inputs.heirs), counted)
    panel = dense_panel(counts, until=until, most_days=most_days, grain=grain)
    series = series_of(panel.item_ids, panel.location_ids, inputs.categories)
    plain, effects = baseline(counted, panel, series)
    events = with_uplifts(counted, effects, series)
    if effects:
        units, is_missing = without_events(panel, plain, events, effects, series)
        panel = replace(panel, units=units, is_missing=is_missing)
    notes = _notes(panel, series, inputs, events)
    return CleanPanel(panel, series, events, notes, (*warnings, *unknown))


def series_of(
    item_ids: Sequence[int] | np.ndarray, location_ids: Sequence[int] | np.ndarray,
    categories: Mapping[int, str],
) -> Series:  # fmt: skip
    """Name rows by item and location; categories come from the catalogue."""
    items = np.asarray(item_ids, dtype=np.int64)
    found = np.array([categories.get(item, "") for item in items.tolist()], dtype=object)
    return Series(items, np.asarray(location_ids, dtype=np.int64), found)


def corrected(frame: pd.DataFrame, corrections: Sequence[Correction]) -> pd.DataFrame:
    """Apply corrections: what counts instead of what was sold.

    A quantity replaces the day's and is believed; without one the day counts as the days around
    it, a stock-out with what was sold as the least.

    Args:
        frame: As for ``cleaned_panel``.
        corrections: At most one counts per series and day, the last.

    Returns:
        The frame with corrected rows, in no order.
    """
    if not corrections:
        return frame
    said = pd.DataFrame(
        {
            "item_id": [c.item_id for c in corrections],
            "location_id": [c.location_id for c in corrections],
            "on": pd.to_datetime([c.on for c in corrections]),
            "new_units": np.array([np.nan if c.units is None else c.units for c in corrections]),
            "is_stockout": [c.kind is CorrectionKind.STOCKOUT for c in corrections],
        }
    ).drop_duplicates(KEY, keep="last")
    is_touched = frame["item_id"].isin(said["item_id"].unique())
    mixed = frame[is_touched].merge(said, on=KEY, how="outer")
    is_said = mixed["is_stockout"].notna()
    is_stockout = mixed["is_stockout"].eq(True)
    is_given = mixed["new_units"].notna()
    is_out = is_said & ~is_given
    sold = mixed["units"].fillna(0)
    mixed["units"] = mixed["new_units"].where(is_given, sold).astype(np.int64)
    mixed["is_in_stock"] = (mixed["is_in_stock"].ne(False) | is_given) & ~(is_out & is_stockout)
    flag = mixed["flag"].fillna("").mask(is_given, EVENT_FLAG)
    mixed["flag"] = flag.mask(is_out & ~is_stockout, EXCLUDED_FLAG).mask(is_out & is_stockout, "")
    if "returned_units" in mixed:
        mixed["returned_units"] = mixed["returned_units"].fillna(0).astype(np.int64)
    return pd.concat([frame[~is_touched], mixed[frame.columns]], ignore_index=True)


def joined(frame: pd.DataFrame, heirs: Mapping[int, int]) -> pd.DataFrame:
    """Add the history of replaced items to the items that took over; their own stays.

    Args:
        frame: As for ``cleaned_panel``.
        heirs: Id of the item that took over by the id of the replaced one.

    Returns:
        The frame in no order, one row per series and day.
    """
    pairs = [(old, heir) for old in heirs for heir in descendants(old, heirs)]
    if not pairs or frame.empty:
        return frame
    moves = pd.DataFrame(pairs, columns=["item_id", "heir_id"])
    moved = frame.merge(moves, on="item_id")
    moved = moved.assign(item_id=moved["heir_id"])[frame.columns]
    is_heir = frame["item_id"].isin(moves["heir_id"].unique())
    both = pd.concat([frame[is_heir], moved])
    rules = {name: _JOIN.get(name, "first") for name in frame.columns if name not in KEY}
    added = both.groupby(KEY, as_index=False, sort=True).agg(rules)[frame.columns]
    return pd.concat([frame[~is_heir], added], ignore_index=True)


_JOIN = {"units": "sum", "returned_units": "sum", "is_in_stock": "max", "flag": "max"}


def descendants(item_id: int, heirs: Mapping[int, int]) -> list[int]:
    """Follow an item to its heir, the heir's heir and so on; a circle ends where it closes.

    Example:
        >>> descendants(1, {1: 2, 2: 3})
        [2, 3]
        >>> descendants(1, {1: 2, 2: 1})
        [2]
    """
    found: list[int] = []
    while (item := heirs.get(found[-1] if found else item_id)) is not None:
        if item == item_id or item in found:
            break
        found.append(item)
    return found


def closed_weekdays(frame: pd.DataFrame) -> list[tuple[int, int]]:
    """Find the weekdays on which a place never sells anything, as (location, 0 for Monday).

    Args:
        frame: As for ``cleaned_panel``. Weekly history, all on one weekday, tells nothing.
    """
    sold = frame[frame["units"] > 0]
    found = []
    for location_id in sold["location_id"].unique().tolist():
        days = sold.loc[sold["location_id"] == location_id, "on"]
        open_on = set(days.dt.weekday.unique().tolist())
        # So many days with a sale on each open weekday that its absence on another is no chance.
        is_plain = days.nunique() >= LEAST_WEEKS * len(open_on)
        if is_plain and len(open_on) > 1:
            found += [(location_id, k) for k in range(7) if k not in open_on]
    return found


def in_stock_when_closed(frame: pd.DataFrame, events: Sequence[Event]) -> pd.DataFrame:
    """Take "no stock" off the days on which the place was closed: nobody asked for anything.

    Args:
        frame: As for ``cleaned_panel``.
        events: Closures and holidays; a holiday counts where the place sold nothing on it.
    """
    is_out = ~frame["is_in_stock"].to_numpy(bool)
    if not is_out.any():
        return frame
    out = frame.loc[is_out, ["location_id", "on"]]
    shut = [7 * location_id + weekday for location_id, weekday in closed_weekdays(frame)]
    is_shut = (7 * out["location_id"] + out["on"].dt.weekday).isin(shut).to_numpy()
    is_shut |= _behind_closed_doors(frame, out, events)
    if not is_shut.any():
        return frame
    opened = frame["is_in_stock"].to_numpy(bool).copy()
    opened[np.nonzero(is_out)[0][is_shut]] = True
    return frame.assign(is_in_stock=opened)


def _behind_closed_doors(
    frame: pd.DataFrame, out: pd.DataFrame, events: Sequence[Event]
) -> npt.NDArray[np.bool_]:
    """Mark the rows of closures and holidays on which their place sold nothing at all."""
    is_door = np.zeros(len(out), dtype=np.bool_)
    for event in events:
        is_place = event.supplier_id is None and event.item_id is None and not event.category
        if is_place and event.kind in (EventKind.CLOSURE, EventKind.HOLIDAY):
            here = out["on"].between(pd.Timestamp(event.start_on), pd.Timestamp(event.end_on))
            if event.location_id is not None:
                here &= out["location_id"] == event.location_id
            is_door |= here.to_numpy()
    days = out.loc[is_door, "on"].unique()
    if not len(days):
        return is_door
    sold = frame.loc[frame["on"].isin(days) & (frame["units"] > 0), ["location_id", "on"]]
    busy = pd.MultiIndex.from_frame(sold.drop_duplicates())
    return is_door & ~pd.MultiIndex.from_frame(out).isin(busy)


def _with_holidays(
    inputs: Inputs, frame: pd.DataFrame, *, until: date, most_days: int
) -> tuple[tuple[Event, ...], list[str]]:
    """Add the calendar's holidays; a person's own event of a day at a place takes its place."""
    if not inputs.countries:
        return inputs.events, []
    oldest = until - timedelta(days=most_days)
    first = max(oldest, frame["on"].min().date()) if len(frame) else oldest
    try:
        found = holiday_events(
            inputs.countries, start_on=first, end_on=until + timedelta(days=HOLIDAYS_AHEAD_DAYS)
        )
    except InvalidInput as error:
        return inputs.events, [error.message]
    own = [e for e in inputs.events if e.kind is EventKind.HOLIDAY and e.item_id is None]
    kept = [h for h in found if not any(_replaces(event, h) for event in own)]
    return (*inputs.events, *kept), []


def _replaces(own: Event, holiday: Event) -> bool:
    is_here = own.location_id in (None, holiday.location_id) and not own.category
    return is_here and own.start_on <= holiday.start_on <= own.end_on


def _frame_warnings(frame: pd.DataFrame, until: date, most_days: int) -> list[str]:
    if frame.empty:
        return ["no sales are loaded"]
    found = []
    late = int((frame["on"] > pd.Timestamp(until)).sum())
    if late:
        found.append(f"{late:,} rows are dated after {until.isoformat()} and are ignored")
    oldest = until - timedelta(days=most_days)
    if frame["on"].min() <= pd.Timestamp(oldest):
        found.append(
            f"sales up to {oldest.isoformat()} are older than {most_days:,} days and do not count"
        )
    return found


def _notes(
    panel: Panel, series: Series, inputs: Inputs, events: Sequence[Event]
) -> list[list[str]]:
    notes: list[list[str]] = [[] for _ in range(len(series))]
    pairs = zip(series.item_ids.tolist(), series.location_ids.tolist(), strict=True)
    row = {pair: k for k, pair in enumerate(pairs)}
    by_item: dict[int, list[int]] = {}
    for (item_id, _), k in row.items():
        by_item.setdefault(item_id, []).append(k)
    for correction in inputs.corrections:
        at = row.get((correction.item_id, correction.location_id))
        if at is not None and correction.on <= panel.until:
            notes[at].append(correction_note(correction))
    for old in inputs.heirs:
        for heir in descendants(old, inputs.heirs):
            for at in by_item.get(heir, []):
                name = inputs.skus.get(old, f"item {old}")
                notes[at].append(f"its history holds that of {name}, which it replaced")
    _note_unknown(notes, series, events, panel.until)
    return notes


def _note_unknown(
    notes: list[list[str]], series: Series, events: Sequence[Event], until: date
) -> None:
    """Say of which events to come nobody knows what they do."""
    for event in events:
        is_ahead = event.end_on > until and event.uplift is None
        if is_ahead and event.kind is EventKind.PROMOTION and event.item_id is not None:
            for at in np.nonzero(series.item_ids == event.item_id)[0].tolist():
                notes[at].append(
                    f"promotion {event.name!r} from {event.start_on.isoformat()} has no uplift and "
                    "none like it was seen: its days count as ordinary ones"
                )


def correction_note(correction: Correction) -> str:
    """Say what a correction does.

    Example:
        >>> day = date(2026, 2, 12)
        >>> correction_note(Correction(1, 7, 1, day, CorrectionKind.ONE_OFF, None, ""))
        '2026-02-12 counts as the days around it (one off)'
    """
    counts = "the days around it" if correction.units is None else f"{correction.units:,}"
    kind = correction.kind.value.replace("_", " ")
    return f"{correction.on.isoformat()} counts as {counts} ({kind})"
