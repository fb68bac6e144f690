"""Tools for reorder points, what to order and why. Docstrings are prompt text."""

from typing import Annotated, Literal

from pydantic import Field
from sqlmodel import Session

from db.types import SafetyStockMethod, ServiceMeasure
from tools.catalog.service import resolve_item, resolve_location, resolve_supplier
from tools.money import minor_digits
from tools.planning.core.views import missing_notes
from tools.planning.service import known_policy
from tools.replenishment.core import explanation_view, policy_view
from tools.replenishment.service import explain, order_list
from tools.wrapping import Result, Tool, ToolContext, tool

Count = Annotated[int, Field(ge=1, le=50)]
Money = Annotated[float, Field(ge=0, le=1e12)]
Units = Annotated[int, Field(ge=1, le=10_000_000)]


@tool(effect="read")
def compute_reorder_point(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    sku: str,
    location: str | None = None,
    service_level: float | None = None,
    measure: Literal["cycle", "fill_rate"] | None = None,
    review_days: Annotated[int, Field(ge=0, le=90)] | None = None,
    method: Literal["combined", "additive", "demand_only", "empirical"] | None = None,
) -> Result:
    """Reorder point, safety stock and order-up-to level of an item.

    Args:
        sku: SKU or name
        location: code
        service_level: fraction, e.g. 0.98
        measure: cycle or fill_rate
        review_days: 0 is continuous
        method: combined unless asked otherwise
    """
    item, place = resolve_item(session, sku), resolve_location(session, location)
    advice = known_policy(
        session, item, place, clock=context.clock, company=context.company,
        service_rate=service_level, review_days=review_days,
        measure=None if measure is None else ServiceMeasure(measure),
        method=None if method is None else SafetyStockMethod(method),
    )  # fmt: skip
    warnings = missing_notes(advice)
    return Result(policy_view(advice), as_of=context.clock.now(), warnings=warnings)


@tool(effect="read")
def recommend_orders(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    sku: str | None = None,
    supplier: str | None = None,
    budget: Money | None = None,
    limit: Count = 10,
) -> Result:
    """What to order now, netted and rounded, largest value at risk first.

    Args:
        sku: one item only
        supplier: one supplier only, e.g. Acme
        budget: most to spend in company currency, e.g. 20000
        limit: lines shown
    """
    item = None if sku is None else resolve_item(session, sku)
    seller = None if supplier is None else resolve_supplier(session, supplier)
    company = context.company
    minor = None if budget is None else round(budget * 10 ** minor_digits(company.currency))
    listed = order_list(
        session, clock=context.clock, company=company, item=item, supplier=seller,
        budget_minor=minor,
    )  # fmt: skip
    return Result(
        listed.data(limit),
        as_of=listed.as_of,
        warnings=listed.notes(limit),
        refs=listed.refs(limit),
    )


@tool(effect="read")
def explain_recommendation(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    rec_id: str | None = None,
    sku: str | None = None,
    location: str | None = None,
    alternative_quantity: Units | None = None,
) -> Result:
    """Why that order quantity, term by term, and what another quantity would mean.

    Args:
        rec_id: e.g. R-12
        sku: instead of rec_id
        location: code, with sku
        alternative_quantity: e.g. 1500
    """
    found = explain(
        session, rec_id, sku, clock=context.clock, company=context.company, location=location
    )
    data = explanation_view(
        found.recommendation, found.item, found.public_id, asked=alternative_quantity
    )
    data["covered_by"] = found.covered_by
    refs = [found.public_id] if found.public_id else []
    return Result(data, as_of=found.as_of, warnings=found.warnings, refs=refs)


TOOLS: tuple[Tool, ...] = (compute_reorder_point, recommend_orders, explain_recommendation)
