"""What dated events do to demand: measured on past ones, divided out, multiplied in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from db.types import EventKind
from tools.demand.core import WEEKDAYS, Panel, filled, period_end
from tools.planning_inputs.core.values import Event, Series

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

ORDINARY_DAYS = 7  # a learned uplift is judged as if so many ordinary days had been seen too
CLOSED_NEEDS_UNITS = 5.0  # expected of a place on a holiday, before zero sales mean a closed door
_OBSERVED = " (observed)"


def event_factors(
    events: Sequence[Event], series: Series, *, start_on: date, days: int
) -> FloatArray:
    """Say by how much events move demand on each day: the product of those of the day.

    Events without a known uplift, and closures of suppliers, do not move demand here.

    Args:
        events: With uplifts, as ``cleaned_panel`` returns them.
        series: Items and locations.
        start_on: First day.
        days: How many, >= 0.

    Returns:
        Shape (n, days): 1 on an ordinary day, 1.4 with +40 %, 0 behind a closed door.

    Example:
        >>> shop = Series(np.array([7]), np.array([1]), np.array(["tea"], dtype=object))
        >>> fair = Event(1, EventKind.PROMOTION, "fair", date(2026, 5, 3), date(2026, 5, 4),
        ...              item_id=7, uplift=1.4)
        >>> event_factors([fair], shop, start_on=date(2026, 5, 2), days=4).tolist()
        [[1.0, 1.4, 1.4, 1.0]]
    """
    factors = np.ones((len(series), days))
    for event in events:
        first = max(0, (event.start_on - start_on).days)
        behind = min(days, (event.end_on - start_on).days + 1)
        if event.uplift is not None and moves_demand(event) and first < behind:
            rows = np.nonzero(covered(event, series))[0]
            factors[rows, first:behind] *= event.uplift
    return factors


def moves_demand(event: Event) -> bool:
    """Tell events of customers from closures of suppliers."""
    return event.supplier_id is None


def covered(event: Event, series: Series) -> BoolArray:
    """Mark the series that an event is about; shape (n,)."""
    inside = np.ones(len(series), dtype=np.bool_)
    if event.item_id is not None:
        inside &= series.item_ids == event.item_id
    if event.location_id is not None:
        inside &= series.location_ids == event.location_id
    if event.category:
        inside &= (series.categories == event.category).astype(np.bool_)
    return inside


@dataclass(frozen=True)
class Effect:
    """What a past event did to each series.

    Attributes:
        columns: Periods of the panel that it touched.
        share: Shape (columns,): part of each period that it covered, 0 to 1.
        sold: Shape (n,): units while it lasted, 0 where it does not apply.
        usual: Shape (n,): units that the days around it would have sold.
        exposed: Shape (n,): of those, units on its own days.
        days: Its days inside the history.
    """

    columns: npt.NDArray[np.int64]
    share: FloatArray
    sold: FloatArray
    usual: FloatArray
    exposed: FloatArray
    days: int


def touched(event: Event, panel: Panel) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Give the periods of a panel that an event touches, and the covered part of each."""
    last = panel.units.shape[1] - 1
    found = []
    for at in range(last + 1) if panel.grain != "D" else _day_columns(event, panel):
        end = period_end(panel.until, last - at, panel.grain)
        start = period_end(panel.until, last - at + 1, panel.grain) + timedelta(days=1)
        days = (min(end, event.end_on) - max(start, event.start_on)).days + 1
        if days > 0:
            found.append((at, days / ((end - start).days + 1)))
    columns = np.array([at for at, _ in found], dtype=np.int64)
    return columns, np.array([share for _, share in found])


def _day_columns(event: Event, panel: Panel) -> range:
    last = panel.units.shape[1] - 1
    first = last - (panel.until - event.start_on).days
    return range(max(0, first), min(last, first + event.days - 1) + 1)


def baseline(
    events: Sequence[Event], panel: Panel, series: Series
) -> tuple[FloatArray, dict[int, Effect]]:
    """Say what the days of past events would have sold without them, and what they did sell.

    Args:
        events: Any; those outside the history have no effect.
        panel: Cleaned demand.
        series: Its rows.

    Returns:
        Units of shape (n, periods) in which the days of events are filled from the days around
        them, and the effect of each past event by its place in ``events``.
    """
    blocks = {k: touched(e, panel) for k, e in enumerate(events) if moves_demand(e)}
    blocks = {k: found for k, found in blocks.items() if len(found[0])}
    if not blocks:
        return panel.units, {}
    inside = {k: covered(events[k], series) for k in blocks}
    affected = np.zeros(panel.units.shape, dtype=np.bool_)
    for k, (columns, _) in blocks.items():
        affected[np.ix_(inside[k], columns)] = True
    affected &= np.isfinite(panel.units)
    plain = panel.units.copy()
    rows = np.nonzero(affected.any(axis=1))[0]
    hidden = np.where(affected[rows], 0.0, panel.units[rows])
    season = WEEKDAYS if panel.grain == "D" else 1
    plain[rows] = filled(hidden, affected[rows] | panel.is_missing[rows], season=season)
    # What was known stays: only the days of events take the place of what the others sold.
    plain[rows] = np.where(affected[rows], plain[rows], panel.units[rows])
    return plain, {
        k: _effect(panel, plain, inside[k], columns, share)
        for k, (columns, share) in blocks.items()
    }


def _effect(
    panel: Panel,
    plain: FloatArray,
    inside: BoolArray,
    columns: npt.NDArray[np.int64],
    share: FloatArray,
) -> Effect:
    rows = np.nonzero(inside)[0]
    here = np.ix_(rows, columns)
    observed = np.isfinite(panel.units[here]) & ~panel.is_missing[here]
    usual = np.where(observed, plain[here], 0.0)
    totals = np.zeros((3, len(inside)))
    totals[0, rows] = np.where(observed, panel.units[here], 0.0).sum(axis=1)
    totals[1, rows] = usual.sum(axis=1)
    totals[2, rows] = (usual * share).sum(axis=1)
    days = max(1, round(float((share * panel.period_days).sum())))
    return Effect(columns, share, totals[0], totals[1], totals[2], days)


def with_uplifts(
    events: Sequence[Event], effects: dict[int, Effect], series: Series
) -> tuple[Event, ...]:
    """Learn the uplift of each event that has none from past events of the same name or kind.

    The ratio of what past events sold to what the days around them would have sold, over the
    series that this one is about, shrunk towards 1 as if ``ORDINARY_DAYS`` ordinary days had been
    seen too. A closure sells nothing, and so does a holiday on which nothing was ever sold.

    Args:
        events: As for ``baseline``.
        effects: From ``baseline``.
        series: Rows of the panel.

    Returns:
        The events in the same order; an uplift of None stays where nothing like it was seen.
    """
    return tuple(_with_uplift(event, events, effects, series) for event in events)


def _with_uplift(
    event: Event, events: Sequence[Event], effects: dict[int, Effect], series: Series
) -> Event:
    if event.uplift is not None or not moves_demand(event):
        return event
    if event.kind is EventKind.CLOSURE:
        return replace(event, uplift=0.0)
    inside = covered(event, series)
    past = [k for k in effects if _is_like(events[k], event) and effects[k].exposed[inside].any()]
    if event.kind is EventKind.PROMOTION and not past:
        past = [k for k in effects if events[k].kind is event.kind]
        past = [k for k in past if effects[k].exposed[inside].any()]
    if not past:
        return event
    return replace(
        event,
        uplift=_ratio([effects[k] for k in past], inside, event.kind),
        n=len({(events[k].start_on, events[k].end_on) for k in past}),
    )


def _is_like(past: Event, event: Event) -> bool:
    """Same kind and name, as far as its place is concerned for a holiday."""
    names = {one.name.removesuffix(_OBSERVED).casefold() for one in (past, event)}
    is_here = event.kind is not EventKind.HOLIDAY or past.location_id in (event.location_id, None)
    return past.kind is event.kind and len(names) == 1 and is_here


def _ratio(effects: Sequence[Effect], inside: BoolArray, kind: EventKind) -> float:
    exposed = sum(float(e.exposed[inside].sum()) for e in effects)
    sold = sum(float(e.sold[inside].sum()) for e in effects)
    excess = sold - sum(float(e.usual[inside].sum()) for e in effects)
    if kind is EventKind.HOLIDAY and sold == 0 and exposed >= CLOSED_NEEDS_UNITS:
        return 0.0
    ordinary = ORDINARY_DAYS * exposed / sum(e.days for e in effects)
    return max(0.0, (exposed + excess + ordinary) / (exposed + ordinary))


def without_events(
    panel: Panel,
    plain: FloatArray,
    events: Sequence[Event],
    effects: dict[int, Effect],
    series: Series,
) -> tuple[FloatArray, BoolArray]:
    """Take past events out of the history.

    A given uplift is divided out. Where it was learned, is unknown, or the door was closed, the
    days count as the days around them.

    Returns:
        Units and is_missing, both of shape (n, periods).
    """
    units, is_missing = panel.units.copy(), panel.is_missing.copy()
    for k, effect in effects.items():
        event = events[k]
        here = np.ix_(covered(event, series), effect.columns)
        known = np.isfinite(panel.units[here])
        if event.uplift is not None and event.uplift > 0 and event.n is None:
            divided = units[here] / (1 + (event.uplift - 1) * effect.share)
            units[here] = np.where(panel.is_missing[here], plain[here], divided)
        else:
            units[here] = np.where(known, plain[here], units[here])
            is_missing[here] |= known
    return units, is_missing
