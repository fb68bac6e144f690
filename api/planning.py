"""Forecast and plan every item: the nightly job, and `quartermaster plan`."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlmodel import col, func, select

from db.models.ingestion import Load
from db.models.planning import ForecastRun, Recommendation
from db.types import Action, LoadState
from tools.errors import Conflict, NotEnoughData
from tools.forecasting.service.records import latest_run
from tools.forecasting.service.runs import run_forecasts
from tools.planning_inputs.service.classes import classify_items
from tools.planning_inputs.service.scoring import score_overrides
from tools.replenishment.service import plan_all

if TYPE_CHECKING:
    from api.bootstrap import System

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PlanSummary:
    """What a planning run did."""

    items: int
    seconds: float
    recommendations: int
    forecast_run_id: int


def run_plan(system: "System", progress: Progress | None = None) -> PlanSummary:
    """Forecast all items, then compute every policy and recommendation from the forecasts."""
    started = perf_counter()
    forecast_run_id = run_forecasts(
        system.database,
        clock=system.clock,
        company=system.company,
        progress=progress,
        engine=system.settings.engine,
    )
    _take_stock_of_demand(system, forecast_run_id)
    items, recommendations = replan(system)
    return PlanSummary(
        items=items,
        seconds=perf_counter() - started,
        recommendations=recommendations,
        forecast_run_id=forecast_run_id,
    )


def _take_stock_of_demand(system: "System", forecast_run_id: int) -> None:
    """Class items anew, and score the overrides that are over, on the demand just forecast from."""
    with system.database.write() as session:
        until = session.get_one(ForecastRun, forecast_run_id).as_of_on
        classify_items(session, until=until, company=system.company)
        score_overrides(session, clock=system.clock, company=system.company)


def plan_if_due(system: "System") -> bool:
    """Forecast and plan once a day from the hour that is set on; again after new sales.

    Returns:
        Whether a plan was made. Without sales, or while another process computes the run, none is.
    """
    hour = system.settings.forecast_hour
    here = system.clock.now().astimezone(ZoneInfo(system.company.timezone))
    if hour < 0 or here.hour < hour or not _is_stale(system, since=here.replace(hour=hour)):
        return False
    try:
        run_plan(system)
    except NotEnoughData:
        return False
    except Conflict as error:
        logger.info("plan left to another process", extra={"why": error.message})
        return False
    return True


def _is_stale(system: "System", *, since: datetime) -> bool:
    """Whether no run in use began today, or sales were loaded after it began."""
    sales = select(Load.id).where(Load.kind == "sales", Load.state == LoadState.PUBLISHED)
    with system.database.read() as session:
        run = latest_run(session)
        if run is None or run.started_at < since.replace(minute=0, second=0, microsecond=0):
            return True
        return session.exec(sales.where(col(Load.finished_at) > run.started_at)).first() is not None


def replan(system: "System") -> tuple[int, int]:
    """Plan from the stored forecasts; returns the items planned and those that need action."""
    with system.database.write() as session:
        run = plan_all(session, clock=system.clock, company=system.company)
        wanted = select(func.count()).where(
            col(Recommendation.run_id) == run.id, col(Recommendation.action) != Action.NONE
        )
        return run.item_count, session.exec(wanted).one()
