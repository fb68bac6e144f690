"""Tool that shows stock. The docstring is prompt text."""

from sqlmodel import Session

from tools.catalog.service import resolve_item, resolve_location
from tools.planning.service import advise_pair
from tools.stock.core import position_view, position_warnings
from tools.stock.service import stock_as_of
from tools.wrapping import Result, Tool, ToolContext, tool


@tool(effect="read")
def get_stock_position(  # noqa: D417  (session and context are not arguments for the model)
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
        position_view(advice),
        as_of=stock_as_of(session, item.id, place.id),
        warnings=position_warnings(advice),
        refs=refs,
    )


TOOLS: tuple[Tool, ...] = (get_stock_position,)
