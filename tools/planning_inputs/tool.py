"""What the model may ask about demand, and how it proposes what a person then records."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlmodel import Session

from db.types import CorrectionKind, EventKind, ForecastBasis
from tools.catalog.service import resolve_item, resolve_location
from tools.clock import noon
from tools.errors import InvalidInput
from tools.planning_inputs.core.changes import Change, NewCorrection, NewEvent, NewOverride
from tools.planning_inputs.core.history import Period, gathered
from tools.planning_inputs.service.history import ItemHistory, demand_history
from tools.planning_inputs.service.proposing import propose
from tools.planning_inputs.service.reading import today_in
from tools.planning_inputs.service.scoring import track_record_of
from tools.wrapping import Result, Tool, ToolContext, tool

GRAINS: dict[str, Literal["D", "W", "M"]] = {"day": "D", "week": "W", "month": "M"}
MOST_PERIODS = 400
USUAL_DAYS = {"day": 28, "week": 182, "month": 730}
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


@tool(effect="read", core=False)
def get_demand_history(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    sku: Annotated[str, Field(min_length=1, max_length=200)],
    location: str | None = None,
    start: Day | None = None,
    end: Day | None = None,
    grain: Literal["day", "week", "month"] = "week",
) -> Result:
    """Say what was sold of an item, what counts as demand, and why the two differ.

    Days out of stock are re-estimated, outliers and one-off orders set aside, promotions taken out;
    each is named. Use it when a forecast looks wrong.

    Args:
        sku: SKU or name of the item, e.g. "GLOVE-M".
        location: Code of the warehouse, e.g. "MAIN"; leave out for the usual one.
        start: First day, e.g. "2026-01-01"; the last half year if left out.
        end: Last day, e.g. "2026-03-01".
        grain: "day", "week" or "month".
    """
    item, place = resolve_item(session, sku), resolve_location(session, location)
    found = demand_history(session, item, place, clock=context.clock, company=context.company)
    last = found.until if end is None else read_day(end, "end")
    first = last - timedelta(days=USUAL_DAYS[grain] - 1) if start is None else read_day(start)
    if first > last:
        raise InvalidInput(f"{first.isoformat()} lies behind {last.isoformat()}")
    inside = [
        p for p in found.history.periods
        if p.start_on <= last and p.start_on + timedelta(days=p.days - 1) >= first
    ]  # fmt: skip
    periods = gathered(inside, GRAINS[grain])
    record = track_record_of(session, item.id, place.id)
    data = {
        "sku": item.sku, "name": item.name, "uom": item.uom, "location": place.code,
        "grain": grain, **history_json(found),
        "series": [period_json(period) for period in periods[-MOST_PERIODS:]],
        "past_overrides": record or None,
    }  # fmt: skip
    return Result(
        data,
        as_of=noon(found.until) + timedelta(hours=12),
        warnings=list(found.notes),
        refs=[f"item:{item.sku}"],
    )


def history_json(found: ItemHistory) -> dict[str, Any]:
    """Return the figures of a whole history."""
    history = found.history
    return {
        "until": found.until.isoformat(),
        "adi": None if history.adi is None else round(history.adi, 2),
        "cv2": None if history.cv2 is None else round(history.cv2, 3),
        "class": history.demand_class.value,
        "coverage_days": history.observed_days,
        "sold_per_day": round(history.sold_mean, 1),
        "demand_per_day": round(history.demand_mean, 1),
        "out_of_stock_share": round(history.out_of_stock_rate, 3),
    }


def period_json(period: Period) -> dict[str, Any]:
    """Return one period."""
    events = [f for f in period.flags if f.split(" ")[0] in {kind.value for kind in EventKind}]
    strange = [f for f in period.flags if f.startswith(("set aside", "unusual", "c-", "flagged"))]
    return {
        "date": period.start_on.isoformat(), "days": period.days, "qty": period.sold,
        "demand": period.demand, "returned": period.returned, "in_stock": period.is_in_stock,
        "outlier": "; ".join(strange) or None, "event": "; ".join(events) or None,
    }  # fmt: skip


@tool(effect="read", core=False)
def propose_plan_change(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    kind: Literal["forecast_override", "event", "demand_correction", "note"],
    target: Annotated[str, Field(min_length=1, max_length=200)],
    start: Day,
    reason: Annotated[str, Field(min_length=1, max_length=500)],
    end: Day | None = None,
    value: float | None = None,
    name: Annotated[str, Field(max_length=120)] = "",
    location: str | None = None,
) -> Result:
    """Propose what should count as demand; a person records it, nothing changes before.

    Returns before, after and the command with which a planner records exactly this. Say that it is
    not recorded yet.

    Args:
        kind: forecast_override (value is units a day), event (a promotion; value is a factor, 1.4
          for +40 %), demand_correction (value is what counts on the day; leave it out to count it
          as the days around it), note.
        target: SKU or name of the item, e.g. "GLOVE-M".
        start: First day, e.g. "2026-02-12".
        reason: Why, in the planner's words, e.g. "tender, does not come again".
        end: Last day, e.g. "2026-06-30"; the first day if left out.
        value: See kind, e.g. 22.
        name: Name of an event or text of a note, e.g. "spring fair".
        location: Code of the warehouse, e.g. "MAIN"; leave out for the usual one.
    """
    last = start if end is None else end
    change = _change(
        kind, target, read_day(start), read_day(last, "end"), value=value, name=name,
        location=location, reason=reason,
    )  # fmt: skip
    found = propose(
        session, change, actor=context.actor, clock=context.clock, company=context.company
    )
    data = {
        "kind": kind, "recorded": False, "before": dict(found.before), "after": dict(found.after),
        "digest": found.digest, "approval_required": "a planner records it",
        "command": found.command, "rest": {"post": found.path, "body": dict(found.body)},
        "today": today_in(context.clock, context.company).isoformat(),
    }  # fmt: skip
    return Result(data, as_of=context.clock.now(), warnings=list(found.notes))


def _change(
    kind: str,
    target: str,
    first: date,
    last: date,
    *,
    value: float | None,
    name: str,
    location: str | None,
    reason: str,
) -> Change:
    if kind == "demand_correction":
        if last != first:
            raise InvalidInput(
                "a correction is about one day", next_step="Propose one for each day."
            )
        if value is not None and value != int(value):
            raise InvalidInput(f"a day counts with whole units, got {value!r}")
        units = None if value is None else int(value)
        what = CorrectionKind.ONE_OFF if units is None else CorrectionKind.MANUAL
        return NewCorrection(target, first, what, units, location=location, reason=reason)
    if kind == "forecast_override":
        return NewOverride(
            target, first, last, ForecastBasis.OWN, units_per_day=value, location=location,
            reason=reason,
        )  # fmt: skip
    is_note = kind == "note"
    return NewEvent(
        EventKind.OTHER if is_note else EventKind.PROMOTION, name or reason[:120], first, last,
        sku=target, location=location, uplift=1.0 if is_note else value, reason=reason,
    )  # fmt: skip


def read_day(text: str, what: str = "start") -> date:
    """Read a date.

    Raises:
        InvalidInput: There is no such day.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{what}: there is no day {text!r}, write 2026-03-06") from None


TOOLS: tuple[Tool, ...] = (get_demand_history, propose_plan_change)
