"""Stored runs of forecasts: which one counts, what they were, and how one is taken back."""

from sqlalchemy import select
from sqlmodel import Session, col

from db.models.planning import Forecast, ForecastRun
from db.types import Actor, Permission
from tools.audit import service as audit
from tools.cases.service import is_in_use
from tools.clock import Clock
from tools.errors import Conflict, InvalidInput, NotFound
from tools.identity.service import acting
from tools.text import plain_text


def latest_run(session: Session) -> ForecastRun | None:
    """Return the newest finished run that was not rolled back."""
    query = select(ForecastRun).where(*is_in_use())
    return session.scalars(query.order_by(col(ForecastRun.id).desc()).limit(1)).first()


def latest_forecast(session: Session, item_id: int, location_id: int) -> Forecast | None:
    """Return the forecast of an item at a location from the newest run in use."""
    found = newest(session, item_id, location_id)
    return None if found is None else found[0]


def newest(session: Session, item_id: int, location_id: int) -> tuple[Forecast, ForecastRun] | None:
    """Return the newest forecast in use of an item at a location, and its run."""
    query = (
        select(Forecast, ForecastRun)
        .join(ForecastRun, col(ForecastRun.id) == col(Forecast.run_id))
        .where(
            col(Forecast.item_id) == item_id, col(Forecast.location_id) == location_id,
            *is_in_use(),
        )
        .order_by(col(Forecast.run_id).desc())
        .limit(1)
    )  # fmt: skip
    row = session.execute(query).first()
    return None if row is None else (row[0], row[1])


def runs(session: Session, *, limit: int = 20) -> list[ForecastRun]:
    """Return the runs, newest first, also those that are not finished or were rolled back."""
    query = select(ForecastRun).order_by(col(ForecastRun.id).desc()).limit(limit)
    return list(session.scalars(query))


def roll_back(
    session: Session, run_id: int, *, reason: str, actor: Actor, clock: Clock
) -> ForecastRun:
    """Take a run back: from now on everybody reads the run before it.

    Args:
        session: A write transaction.
        run_id: The run; of those in use any one, best the newest.
        reason: Why, in the actor's words.
        actor: Who takes it back.
        clock: Time.

    Returns:
        The run that is read now.

    Raises:
        Forbidden: The actor may not.
        NotFound: There is no such run.
        Conflict: It is not finished, was rolled back already, or is the only one.
        InvalidInput: No reason is given.
    """
    audit.lock(session)
    by = acting(session, actor, Permission.DECIDE)
    why = reason_of(reason)
    run = session.get(ForecastRun, run_id, populate_existing=True)
    if run is None:
        raise NotFound(
            f"there is no forecast run {run_id!r}", next_step="quartermaster forecast runs"
        )
    if run.finished_at is None or run.rolled_back_at is not None:
        state = "is not finished" if run.finished_at is None else "was rolled back already"
        raise Conflict(f"forecast run {run_id!r} {state}", next_step="quartermaster forecast runs")
    run.rolled_back_at = clock.now()
    session.add(run)
    session.flush()
    stands = latest_run(session)
    if stands is None:
        raise Conflict(
            f"forecast run {run_id!r} is the only one: without it nothing could be planned",
            next_step="Run the forecasts again first: quartermaster forecast run.",
        )
    audit.append(
        session, at=clock.now(), actor=by, action="forecast_run.rolled_back",
        object_id=f"forecast-run-{run_id}", before={"in_use": run_id},
        after={"in_use": stands.id}, reason=why,
    )  # fmt: skip
    return stands


def reason_of(text: str) -> str:
    """Return a reason in one line.

    Raises:
        InvalidInput: There is none.
    """
    reason = plain_text(text, longest=500)
    if not reason:
        raise InvalidInput("say why", next_step="Give a reason; it goes into the record.")
    return reason
