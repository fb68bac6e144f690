"""Tool that lists exceptions. The docstring is prompt text."""

from typing import Annotated, Literal

from pydantic import Field
from sqlmodel import Session

from tools.alerts.core import counts
from tools.alerts.service import exceptions
from tools.catalog.service import resolve_supplier
from tools.money import amount_text
from tools.wrapping import Result, Tool, ToolContext, tool

ExceptionType = Literal[
    "stuck_delivery",
    "below_rop",
    "projected_stockout",
    "late_po",
    "unconfirmed_po",
    "excess",
    "forecast_drift",
]
Count = Annotated[int, Field(ge=1, le=50)]
Days = Annotated[int, Field(ge=1, le=180)]


@tool(effect="read")
def list_exceptions(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    types: list[ExceptionType] | None = None,
    supplier: str | None = None,
    horizon_days: Days = 30,
    limit: Count = 10,
) -> Result:
    """What needs attention, most urgent first.

    Args:
        types: all by default
        supplier: e.g. Acme
        horizon_days: how far ahead
        limit: rows shown
    """
    seller = None if supplier is None else resolve_supplier(session, supplier)
    found = exceptions(
        session, clock=context.clock, company=context.company, types=types, supplier=seller,
        horizon_days=horizon_days,
    )  # fmt: skip
    rows = [
        {
            "type": e.type,
            "sku": e.sku,
            "name": e.name,
            "location": e.location,
            "severity": e.severity,
            "value_at_risk": None
            if e.value_at_risk_minor is None
            else amount_text(e.value_at_risk_minor, context.company.currency),
            "currency": context.company.currency,
            "due": None if e.due_on is None else e.due_on.isoformat(),
            "why": e.why,
            "po": e.po,
        }
        for e in found.exceptions[:limit]
    ]
    total = len(found.exceptions)
    data = {"exceptions": rows, "total": total, "counts": counts(found.exceptions)}
    refs = sorted({e.po for e in found.exceptions[:limit] if e.po})
    return Result(data, as_of=found.as_of, warnings=found.warnings, refs=refs)


TOOLS: tuple[Tool, ...] = (list_exceptions,)
