"""Tool for what-if questions. The docstring is prompt text."""

from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from tools.simulation.core.scenario import ScenarioRequest
from tools.simulation.service.running import DEFAULT_SEED
from tools.simulation.service.whatif import answer, wanted_of, warnings_of
from tools.wrapping import Result, Tool, ToolContext, tool

MOST_ITEMS = 2000  # some four seconds
Horizon = Annotated[int, Field(ge=1, le=180)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


@tool(effect="read", core=False)
def simulate_scenario(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    sku: str | None = None,
    location: str | None = None,
    demand_change_pct: float = 0,
    lead_time_change_days: float = 0,
    service_level: float | None = None,
    start: str | None = None,
    end: str | None = None,
    horizon_days: Horizon = 60,
    price_change_pct: float = 0,
    supply_delay_days: int = 0,
    moq: int | None = None,
    category: str | None = None,
    supplier: str | None = None,
    everything: bool = False,
    seed: Seed = DEFAULT_SEED,
) -> Result:
    """What if demand, lead time, price, service level changed: baseline, scenario. Saves nothing.

    Args:
        sku: SKU or name; else category, supplier or everything
        location: code
        demand_change_pct: e.g. 40 for +40 %
        lead_time_change_days: e.g. 7
        service_level: fraction, e.g. 0.98
        start: first day of the demand change, e.g. 2026-05-03
        end: last day
        horizon_days: how far to look
        price_change_pct: purchase price, e.g. 5
        supply_delay_days: open orders later by, e.g. 7
        moq: minimum order, units
        category: all its items, e.g. toys
        supplier: all bought from it; only its terms change
        everything: all items
        seed: same number, same chances
    """
    request = ScenarioRequest(
        demand_change_pct=demand_change_pct,
        lead_time_change_days=lead_time_change_days,
        service_level=service_level,
        start=start,
        end=end,
        horizon_days=horizon_days,
        price_change_pct=price_change_pct,
        supply_delay_days=supply_delay_days,
        moq_units=moq,
    )
    wanted = wanted_of(
        session, sku=sku, category=category, supplier=supplier, everything=everything,
        location=location,
    )  # fmt: skip
    data = answer(session, wanted, request, clock=context.clock, company=context.company, seed=seed)
    return Result(data, as_of=context.clock.now(), warnings=warnings_of(data))


TOOLS: tuple[Tool, ...] = (simulate_scenario,)
