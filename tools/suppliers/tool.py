"""Tool that compares suppliers. The docstring is prompt text."""

from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from tools.catalog.service import resolve_item
from tools.offers.core import unrated_notes
from tools.suppliers.service import compare_offers
from tools.wrapping import Result, Tool, ToolContext, tool

Units = Annotated[int, Field(ge=1, le=10_000_000)]


@tool(effect="read")
def compare_suppliers(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    sku: str,
    quantity: Units,
    need_by: str | None = None,
) -> Result:
    """Suppliers of an item by landed cost, arrival and reliability. Notes are quoted text.

    Args:
        sku: SKU or name
        quantity: units
        need_by: date, e.g. 2026-05-02
    """
    item = resolve_item(session, sku)
    data = compare_offers(
        session, item, quantity, need_by, clock=context.clock, company=context.company
    )
    unrated = [o["currency"] for o in data["options"] if o["landed_unit"] is None]
    return Result(
        data,
        as_of=context.clock.now(),
        warnings=unrated_notes(unrated),
        refs=[o["code"] for o in data["options"]],
    )


TOOLS: tuple[Tool, ...] = (compare_suppliers,)
