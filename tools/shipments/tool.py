"""Tool that follows shipments. The docstring is prompt text."""

from sqlmodel import Session

from tools.shipments.service import shipment_view
from tools.wrapping import Result, Tool, ToolContext, tool


@tool(effect="read")
def check_shipment(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    po_id: str | None = None,
    tracking: str | None = None,
) -> Result:
    """Where the goods of an order are: status, expected day, days late, events.

    Args:
        po_id: e.g. PO-1042
        tracking: number of the carrier, instead of po_id
    """
    data, heard_at = shipment_view(
        session, po_id, tracking, clock=context.clock, company=context.company
    )
    return Result(data, as_of=heard_at, refs=[data["po_id"]])


TOOLS: tuple[Tool, ...] = (check_shipment,)
