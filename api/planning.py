"""Forecast and plan every item: the nightly job, and `quartermaster plan`."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from sqlmodel import col, func, select

from db.models.planning import Recommendation
from db.types import Action
from tools.forecasting.service.runs import run_forecasts
from tools.replenishment.service import plan_all

if TYPE_CHECKING:
    from api.bootstrap import System

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
    items, recommendations = replan(system)
    return PlanSummary(
        items=items,
        seconds=perf_counter() - started,
        recommendations=recommendations,
        forecast_run_id=forecast_run_id,
    )


def replan(system: "System") -> tuple[int, int]:
    """Plan from the stored forecasts; returns the items planned and those that need action."""
    with system.database.write() as session:
        run = plan_all(session, clock=system.clock, company=system.company)
        wanted = select(func.count()).where(
            col(Recommendation.run_id) == run.id, col(Recommendation.action) != Action.NONE
        )
        return run.item_count, session.exec(wanted).one()
