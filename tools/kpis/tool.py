"""Tool that shows key figures. The docstring is prompt text."""

from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from tools.kpis.service import key_figures, unrated_currencies
from tools.offers.core import unrated_notes
from tools.wrapping import Result, Tool, ToolContext, tool

Days = Annotated[int, Field(ge=7, le=730)]


@tool(effect="read")
def get_kpis(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    names: list[str] | None = None,
    window_days: Days = 90,
) -> Result:
    """Key figures against targets: stock-outs, accuracy, order cycle time, inventory cost.

    Args:
        names: all by default, e.g. stockout_rate
        window_days: past days counted
    """
    figures = key_figures(
        session, clock=context.clock, company=context.company, names=names,
        window_days=window_days,
    )  # fmt: skip
    warnings = [f"{kpi.label}: {kpi.reason}" for kpi in figures if kpi.reason]
    warnings += unrated_notes(unrated_currencies(session, context.company))
    data = {"kpis": [kpi.row() for kpi in figures], "window_days": window_days}
    return Result(data, as_of=context.clock.now(), warnings=warnings)


TOOLS: tuple[Tool, ...] = (get_kpis,)
