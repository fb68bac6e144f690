"""One item's demand as a person reads it: what was sold, what counts, and why they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from db.types import DemandClass
from tools.demand.core import Grain, demand_class, pattern, period_end, unusual
from tools.planning_inputs.core.cleaning import CleanPanel, correction_note
from tools.planning_inputs.core.events import covered, moves_demand
from tools.planning_inputs.core.values import Correction

LEAST_PERIODS = 14  # of history, before the class of a demand says anything


@dataclass(frozen=True)
class Period:
    """A day, week or month of demand.

    Attributes:
        start_on: First day.
        days: How many days of it are known.
        sold: Units as they were sold.
        returned: Units that came back; they do not reduce demand.
        demand: Units that count: corrected, re-estimated, without events.
        is_in_stock: False when it was out of stock on some day of it.
        flags: Why it counts otherwise than sold, or what was special.
    """

    start_on: date
    days: int
    sold: int
    returned: int
    demand: float
    is_in_stock: bool
    flags: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """Cleaned demand of one item at one location.

    Attributes:
        periods: Oldest first.
        observed_days: Since the first sale.
        sold_mean: Units a day as sold, out-of-stock days included.
        demand_mean: Units a day that count.
        out_of_stock_rate: Part of the periods that were out of stock.
        adi: Periods per period with demand; None without demand.
        cv2: Of the sizes that are not zero.
        demand_class: Its pattern; new while the history is too short for one.
        grain: Of the stored history.
    """

    periods: tuple[Period, ...]
    observed_days: int
    sold_mean: float
    demand_mean: float
    out_of_stock_rate: float
    adi: float | None
    cv2: float | None
    demand_class: DemandClass
    grain: Grain


def history_of(
    clean: CleanPanel, row: int, frame: pd.DataFrame, corrections: Sequence[Correction]
) -> History:
    """Lay out one series of a clean panel, period by period of its own grain.

    Args:
        clean: From ``cleaned_panel``.
        row: Which series.
        frame: What was sold of it: columns on, units, returned_units, is_in_stock, flag.
        corrections: Its corrections.
    """
    panel = clean.panel
    demand = panel.units[row]
    at = np.nonzero(np.isfinite(demand))[0]
    last = len(demand) - 1
    ends = [period_end(panel.until, last - int(k), panel.grain) for k in at]
    starts = [period_end(e, 1, panel.grain) + timedelta(days=1) for e in ends]
    rows = _rows_by_period(frame, starts, ends)
    notes = _flags(clean, row, rows, starts, ends, corrections)
    strange = unusual(demand[at][None, :])[0] if len(at) else np.zeros(0, dtype=np.bool_)
    periods = tuple(
        Period(
            start_on=starts[k],
            days=(ends[k] - starts[k]).days + 1,
            sold=int(rows["units"][k]),
            returned=int(rows["returned_units"][k]),
            demand=round(float(demand[place]), 2),
            is_in_stock=not rows["is_out"][k],
            flags=tuple(notes[k] + (["unusual, and counts"] if strange[k] else [])),
        )
        for k, place in enumerate(at.tolist())
    )
    return _summed(clean, row, periods, rows)


def _rows_by_period(
    frame: pd.DataFrame, starts: Sequence[date], ends: Sequence[date]
) -> pd.DataFrame:
    """Sum what was sold into the periods."""
    names = ["units", "returned_units", "is_out", "flag"]
    if not ends:
        return pd.DataFrame({name: [] for name in names})
    edges = pd.DatetimeIndex(pd.to_datetime(list(ends)))
    place = edges.searchsorted(pd.DatetimeIndex(frame["on"]))
    inside = (place < len(ends)) & (frame["on"] >= pd.Timestamp(starts[0])).to_numpy()
    part = frame[inside].assign(is_out=~frame.loc[inside, "is_in_stock"])
    summed = part.groupby(place[inside])[names].agg(
        {"units": "sum", "returned_units": "sum", "is_out": "max", "flag": "max"}
    )
    whole = summed.reindex(range(len(ends)))
    return pd.DataFrame(
        {
            "units": whole["units"].fillna(0),
            "returned_units": whole["returned_units"].fillna(0),
            "is_out": whole["is_out"].eq(True),
            "flag": whole["flag"].where(whole["flag"].notna(), ""),
        }
    )


def _flags(
    clean: CleanPanel,
    row: int,
    rows: pd.DataFrame,
    starts: Sequence[date],
    ends: Sequence[date],
    corrections: Sequence[Correction],
) -> list[list[str]]:
    """Say of each period what was special about it."""
    found: list[list[str]] = [[] for _ in starts]
    for k, (is_out, flag) in enumerate(zip(rows["is_out"], rows["flag"], strict=True)):
        if is_out:
            found[k].append("out of stock: at least what was sold")
        if flag:
            found[k].append(f"flagged {str(flag).replace('_', ' ')} by its file")
        if rows["returned_units"][k]:
            found[k].append(f"{int(rows['returned_units'][k])} returned, demand not reduced")
    dated = [
        (o.on, o.on, f"set aside: {o.reason}") for o in clean.panel.outliers if o.series == row
    ]
    dated += [(c.on, c.on, f"c-{c.correction_id}: {correction_note(c)}") for c in corrections]
    dated += [
        (e.start_on, e.end_on, f"{e.kind.value} {e.name}{_lift(e.uplift, e.n)}")
        for e in clean.events
        if moves_demand(e) and covered(e, clean.series)[row]
    ]
    for first, last, text in dated:
        for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
            if first <= end and last >= start:
                found[k].append(text)
    return found


def _lift(uplift: float | None, n: int | None) -> str:
    if uplift is None:
        return " (set aside)"
    if uplift == 0:
        return " (closed)"
    return f" ({uplift - 1:+.0%}{'' if n is None else f' learned, n={n}'})"


def _summed(
    clean: CleanPanel, row: int, periods: tuple[Period, ...], rows: pd.DataFrame
) -> History:
    panel = clean.panel
    plain = np.where(panel.is_missing[row], np.nan, panel.units[row])[None, :]
    adi, cv2 = (float(values[0]) for values in pattern(plain))
    days = sum(period.days for period in periods)
    is_short = len(periods) < LEAST_PERIODS
    name = demand_class(adi=adi, cv2=cv2)
    if is_short and name is not DemandClass.NO_DEMAND:
        name = DemandClass.NEW
    return History(
        periods=periods,
        observed_days=days,
        sold_mean=sum(period.sold for period in periods) / max(days, 1),
        demand_mean=sum(period.demand for period in periods) / max(days, 1),
        out_of_stock_rate=float(rows["is_out"].mean()) if len(rows) else 0.0,
        adi=adi if np.isfinite(adi) else None,
        cv2=cv2 if np.isfinite(cv2) else None,
        demand_class=name,
        grain=panel.grain,
    )


def gathered(periods: Sequence[Period], grain: Grain) -> list[Period]:
    """Sum days into weeks that start on Monday, or into months; flags are kept once each.

    Example:
        >>> days = [Period(date(2026, 3, 2) + timedelta(days=k), 1, 2, 0, 2.0, k != 3, ())
        ...         for k in range(9)]
        >>> [(p.start_on.day, p.days, p.sold, p.is_in_stock) for p in gathered(days, "W")]
        [(2, 7, 14, False), (9, 2, 4, True)]
    """
    if grain == "D":
        return list(periods)
    groups: dict[date, list[Period]] = {}
    for period in periods:
        back = timedelta(days=period.start_on.weekday())
        start = period.start_on - back if grain == "W" else period.start_on.replace(day=1)
        groups.setdefault(start, []).append(period)
    return [
        Period(
            start_on=min(p.start_on for p in group),
            days=sum(p.days for p in group),
            sold=sum(p.sold for p in group),
            returned=sum(p.returned for p in group),
            demand=round(sum(p.demand for p in group), 2),
            is_in_stock=all(p.is_in_stock for p in group),
            flags=tuple(dict.fromkeys(flag for p in group for flag in p.flags)),
        )
        for group in groups.values()
    ]
