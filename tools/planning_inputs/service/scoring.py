"""Score overrides that are over, and say how those of an item did."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from sqlmodel import Session, col, select

from db.models.demand import ForecastOverride
from db.models.planning import Forecast, ForecastRun
from db.types import ForecastBasis
from tools.clock import Clock
from tools.company import Company
from tools.demand.service import demand_frame
from tools.planning_inputs.core.cleaning import CleanPanel, cleaned_panel
from tools.planning_inputs.core.scoring import Score, score, track_record
from tools.planning_inputs.core.values import Inputs
from tools.planning_inputs.service.reading import read_inputs, today_in

NAIVE_DAYS = 28
LEAST_DAYS = 7  # in force, before a figure can be judged
_BATCH = 500


def score_overrides(session: Session, *, clock: Clock, company: Company) -> int:
    """Score every override that is over or was withdrawn and has no score yet.

    The mean demand of its days, corrected and with days out of stock re-estimated, is held against
    the planner's figure, against the forecast that it replaced, and against the mean of the
    ``NAIVE_DAYS`` before it. Events are not taken out: the planner's figure was for those days.

    Args:
        session: A write transaction.
        clock: Time.
        company: Its time zone says which day it is.

    Returns:
        How many were scored.
    """
    today = today_in(clock, company)
    asked = select(ForecastOverride).order_by(col(ForecastOverride.id))
    open_rows = [row for row in session.exec(asked) if not row.score]
    due = [(row, _days_of(row, today)) for row in open_rows]
    ready = [(row, days) for row, days in due if days is not None]
    if not ready:
        return 0
    items = sorted({row.item_id for row, _ in ready})
    frame = demand_frame(session, item_ids=items, end=today - timedelta(days=1))
    read = read_inputs(session, item_ids=items)
    plain = Inputs(corrections=read.corrections, categories=read.categories)
    if frame.empty:
        return 0
    clean = cleaned_panel(frame, plain, until=frame["on"].max().date())
    return sum(_scored(session, row, days, clean) for row, days in ready)


def past_scores(session: Session, item_id: int, location_id: int) -> list[dict[str, object]]:
    """Return the scores of an item's past overrides, oldest first."""
    asked = select(ForecastOverride).where(
        ForecastOverride.item_id == item_id, ForecastOverride.location_id == location_id
    )
    rows = session.exec(asked.order_by(col(ForecastOverride.id)))
    return [dict(row.score) for row in rows if row.score]


def track_record_of(session: Session, item_id: int, location_id: int) -> str:
    """Say how past overrides of an item did; empty when none is over."""
    return track_record(past_scores(session, item_id, location_id))


def _days_of(row: ForecastOverride, today: date) -> tuple[date, date] | None:
    """Return first and last day in force, once these are over and enough."""
    last = row.end_on
    if row.withdrawn_at is not None:
        last = min(last, row.withdrawn_at.date() - timedelta(days=1))
    is_over = last < today and (last - row.start_on).days + 1 >= LEAST_DAYS
    return (row.start_on, last) if is_over else None


def _scored(
    session: Session, row: ForecastOverride, days: tuple[date, date], clean: CleanPanel
) -> int:
    actual = _mean_of(clean, row, *days)
    before = (days[0] - timedelta(days=NAIVE_DAYS), days[0] - timedelta(days=1))
    naive = _mean_of(clean, row, *before)
    said = row.units_per_day if row.basis is ForecastBasis.OWN else _taken(session, row, days)
    if actual is None or said is None:
        return 0
    found: Score = score(
        days=(days[1] - days[0]).days + 1, actual=actual, naive=naive or 0.0,
        system=row.system_units_per_day, override=said,
    )  # fmt: skip
    row.score = found.as_json()
    session.add(row)
    session.flush()
    return 1


def _mean_of(clean: CleanPanel, row: ForecastOverride, first: date, last: date) -> float | None:
    """Mean demand of some days, units a day; None when they are not all in the history."""
    panel = clean.panel
    at = np.nonzero((panel.item_ids == row.item_id) & (panel.location_ids == row.location_id))[0]
    if not len(at) or last > panel.until:
        return None
    step, periods = panel.period_days, panel.units.shape[1]
    behind = periods - (panel.until - last).days // step
    start = max(0, periods - ((panel.until - first).days // step + 1))
    part = panel.units[at[0], start:behind]
    known: Sequence[float] = part[np.isfinite(part)].tolist()
    return sum(known) / len(known) / step if known else None


def _taken(session: Session, row: ForecastOverride, days: tuple[date, date]) -> float | None:
    """What the similar item's forecast said when the override began, times the factor."""
    if row.analog_item_id is None:
        return None
    found = session.exec(
        select(Forecast)
        .join(ForecastRun, col(ForecastRun.id) == col(Forecast.run_id))
        .where(
            Forecast.item_id == row.analog_item_id, Forecast.location_id == row.location_id,
            col(ForecastRun.finished_at) <= row.created_at,
        )
        .order_by(col(Forecast.run_id).desc())
        .limit(1)
    ).first()  # fmt: skip
    if found is None or not found.mean:
        return None
    length = (days[1] - days[0]).days + 1
    return float(np.mean(found.mean[:length])) * (row.analog_factor or 1.0)
