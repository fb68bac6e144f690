"""Tools for what to order and why. Docstrings are prompt text."""

from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from tools.catalog.service import resolve_item, resolve_supplier
from tools.recommendations.service import explain, order_list
from tools.replenishment.core import views
from tools.wrapping import Result, Tool, ToolContext, tool

Count = Annotated[int, Field(ge=1, le=50)]
Units = Annotated[int, Field(ge=1, le=10_000_000)]


@tool(effect="read")
def recommend_orders(
    session: Session,
    context: ToolContext,
    *,
    sku: str | None = None,
    supplier: str | None = None,
    limit: Count = 10,
) -> Result:
    """What to order now, netted and rounded, largest value at risk first.

    Args:
        sku: one item only
        supplier: one supplier only, e.g. Acme
        limit: lines shown
    """
    item = None if sku is None else resolve_item(session, sku)
    seller = None if supplier is None else resolve_supplier(session, supplier)
    listed = order_list(
        session, clock=context.clock, company=context.company, item=item, supplier=seller
    )
    return Result(
        listed.data(limit), as_of=listed.as_of, warnings=listed.warnings, refs=listed.refs(limit)
    )


@tool(effect="read")
def explain_recommendation(
    session: Session,
    context: ToolContext,
    *,
    rec_id: str | None = None,
    sku: str | None = None,
    alternative_quantity: Units | None = None,
) -> Result:
    """Why that order quantity, term by term, and what another quantity would mean.

    Args:
        rec_id: e.g. R-12
        sku: instead of rec_id
        alternative_quantity: e.g. 1500
    """
    found = explain(session, rec_id, sku, clock=context.clock, company=context.company)
    data = views.explanation_view(
        found.recommendation, found.item, found.public_id, asked=alternative_quantity
    )
    data["covered_by"] = found.covered_by
    refs = [found.public_id] if found.public_id else []
    return Result(data, as_of=found.as_of, warnings=found.warnings, refs=refs)


TOOLS: tuple[Tool, ...] = (recommend_orders, explain_recommendation)
