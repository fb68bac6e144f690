"""Tools of stock and replenishment. Docstrings are prompt text."""

from typing import Annotated, Literal

from pydantic import Field
from sqlmodel import Session

from db.types import SafetyStockMethod, ServiceMeasure
from tools.catalog.service import resolve_item, resolve_location
from tools.replenishment.core import views
from tools.replenishment.service import (
    advise_pair,
    known_policy,
    stock_as_of,
)
from tools.wrapping import Result, Tool, ToolContext, tool


@tool(effect="read")
def get_stock_position(
    session: Session, context: ToolContext, *, sku: str, location: str | None = None
) -> Result:
    """Stock on hand, open orders, cover and projected stock-out of an item.

    Args:
        sku: SKU or name, e.g. WIDGET-A
        location: code, e.g. MAIN
    """
    item, place = resolve_item(session, sku), resolve_location(session, location)
    clock, company = context.clock, context.company
    advice = advise_pair(session, item.id, place.id, clock=clock, company=company)
    refs = [receipt.number for receipt in advice.case.position.receipts]
    return Result(
        views.position_view(advice),
        as_of=stock_as_of(session, item.id, place.id),
        warnings=views.position_warnings(advice),
        refs=refs,
    )


@tool(effect="read")
def compute_reorder_point(
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
    warnings = views.missing_notes(advice)
    return Result(views.policy_view(advice), as_of=context.clock.now(), warnings=warnings)


TOOLS: tuple[Tool, ...] = (
    get_stock_position,
    compute_reorder_point,
)
