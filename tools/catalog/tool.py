"""What the model may ask the catalogue."""

from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from tools.catalog.service import find_items
from tools.wrapping import Result, Tool, ToolContext, tool


@tool(effect="read")
def find_item(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    query: Annotated[str, Field(min_length=1, max_length=200)],
    limit: Annotated[int, Field(ge=1, le=20)] = 5,
) -> Result:
    """Find items by SKU, other name, or words of the name; typing errors are allowed.

    Use it when it is unclear which item is meant. Equal scores mean that the planner must choose.

    Args:
        query: SKU or words of the name, e.g. "blue widget".
        limit: How many matches to return, e.g. 5.
    """
    matches = [
        {
            "sku": match.sku,
            "name": match.name,
            "uom": match.uom,
            "status": match.status.value,
            "score": match.score,
        }
        for match in find_items(session, query, limit=limit)
    ]
    refs = [f"item:{match['sku']}" for match in matches]
    return Result({"matches": matches}, as_of=context.clock.now(), refs=refs)


TOOLS: tuple[Tool, ...] = (find_item,)
