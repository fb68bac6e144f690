"""Tool for what-if questions. The docstring is prompt text."""

from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from tools.catalog.service import resolve_item, resolve_location
from tools.simulation.core.scenario import ScenarioRequest
from tools.simulation.service import run_scenario
from tools.wrapping import Result, Tool, ToolContext, tool

Horizon = Annotated[int, Field(ge=1, le=180)]


@tool(effect="read", core=False)
def simulate_scenario(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    sku: str,
    location: str | None = None,
    demand_change_pct: float = 0,
    lead_time_change_days: float = 0,
    service_level: float | None = None,
    start: str | None = None,
    end: str | None = None,
    horizon_days: Horizon = 60,
) -> Result:
    """What if demand, lead time or service level changed: baseline and scenario. Saves nothing.

    Args:
        sku: SKU or name
        location: code
        demand_change_pct: e.g. 40 for +40 %
        lead_time_change_days: e.g. 7
        service_level: fraction, e.g. 0.98
        start: first day of the change, e.g. 2026-05-03
        end: last day
        horizon_days: how far to look
    """
    item, place = resolve_item(session, sku), resolve_location(session, location)
    request = ScenarioRequest(
        demand_change_pct, lead_time_change_days, service_level, start, end, horizon_days
    )
    data = run_scenario(session, item, place, request, clock=context.clock, company=context.company)
    return Result(data, as_of=context.clock.now(), warnings=["nothing was changed"])


TOOLS: tuple[Tool, ...] = (simulate_scenario,)
