"""Purchase orders: the list and one order as it stands."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.dependencies import ActorDep, Answer, SystemDep, ask
from api.routes.examples import answers
from db.types import OrderState
from tools.money import amount_text
from tools.purchasing.core.views import LineView, OrderView
from tools.purchasing.service import reading
from tools.purchasing.tool import order_json as summary_json
from tools.reach.service import look_as

router = APIRouter(tags=["orders"])

_PAGE = 10

ORDER_EXAMPLE: dict[str, Any] = {
    "po_id": "PO-2001", "revision": 1, "state": "pending_approval", "supplier": "Acme",
    "supplier_code": "ACME", "ship_to": "MAIN",
    "lines": [
        {
            "line": 1, "sku": "WIDGET-A", "name": "Widget A", "quantity": 1920, "uom": "each",
            "packs": 16, "pack_uom": "case", "pack_units": 120, "unit_price": "7.80",
            "amount": "14976.00", "received": 0, "open": 1920, "promise": None,
            "short_closed": 0, "promises": [],
        }
    ],
    "total": "14976.00", "currency": "USD", "need_by": None, "promise": None, "note": "",
    "by": "paul", "received_pct": 0, "next_action": "a person decides",
    "checks": [],
    "approval": {
        "id": "a-31", "version": 1, "role": "manager", "expires_at": "2026-03-03T09:00:00Z"
    },
    "fingerprint": "9f2c...", "created_at": "2026-03-02T09:00:00+00:00", "sent_at": None,
}  # fmt: skip


class PromisedPart(BaseModel):
    """Units that are promised for a day."""

    units: int
    promise: date | None


class OrderLine(BaseModel):
    """A line; quantities are in the stock unit, money is decimal text."""

    line: int
    sku: str
    name: str
    quantity: int
    uom: str
    packs: int | None
    pack_uom: str
    pack_units: int
    unit_price: str
    amount: str
    received: int
    open: int
    promise: date | None
    short_closed: int = 0
    promises: list[PromisedPart] = Field(
        default_factory=list, description="The open balance by day, where it has several."
    )


class OrderCheck(BaseModel):
    """Something noticed about an order."""

    code: str
    level: str = Field(description="info, warning or block")
    message: str


class PendingRequest(BaseModel):
    """The open request for approval."""

    id: str
    version: int
    role: str
    expires_at: datetime


class OrderShown(BaseModel):
    """An order as it stands."""

    po_id: str
    revision: int
    state: OrderState
    supplier: str
    supplier_code: str
    ship_to: str
    lines: list[OrderLine]
    total: str
    currency: str
    need_by: date | None
    promise: date | None
    note: str = Field(description="Free text; may come from outside.")
    by: str
    received_pct: int
    next_action: str
    checks: list[OrderCheck]
    approval: PendingRequest | None
    fingerprint: str
    created_at: datetime
    sent_at: datetime | None


@router.get(
    "/orders",
    responses=answers(
        {
            "data": {"orders": [{"po_id": "PO-2001", "state": "sent", "total": "14976.00"}],
                     "total": 1, "next": None},
            "as_of": "2026-03-02T09:00:00+00:00", "data_age_s": 0, "warnings": [], "refs": [],
        },
        codes=("not_found",),
    ),
)  # fmt: skip
def list_orders(
    system: SystemDep,
    actor: ActorDep,
    status: Annotated[OrderState | None, Query()] = None,
    supplier: Annotated[str | None, Query(max_length=120)] = None,
    sku: Annotated[str | None, Query(max_length=120)] = None,
    limit: Annotated[int | None, Query(ge=1, le=50)] = None,
    after: Annotated[
        str | None, Query(max_length=32, description="`next` of the page before.")
    ] = None,
) -> Answer:
    """List purchase orders, the newest first, as the chat does; `next` leads to the next page."""
    if after is None:
        asked = {"supplier": supplier, "sku": sku, "limit": limit}
        state = None if status is None else status.value
        found = ask(system, actor, "list_orders", status=state, **asked)
        shown, total = found["data"]["orders"], found["data"]["total"]
        found["data"]["next"] = shown[-1]["po_id"] if len(shown) < total and shown else None
        return Answer(**found)
    most = limit or _PAGE
    with system.database.read() as session:
        look_as(session, actor)
        page = reading.list_orders(
            session, state=status, supplier=supplier, sku=sku, limit=most + 1, after=after
        )
    orders = [summary_json(order) for order in page.orders[:most]]
    is_more = len(page.orders) > most
    data = {"orders": orders, "total": page.total, "next": orders[-1]["po_id"] if is_more else None}
    refs = [f"order:{order['po_id']}" for order in orders]
    as_of = system.clock.now().isoformat(timespec="seconds")
    return Answer(data=data, as_of=as_of, data_age_s=0, refs=refs)


@router.get(
    "/orders/{number}",
    response_model=OrderShown,
    responses=answers(ORDER_EXAMPLE, codes=("not_found",)),
)
def get_order(system: SystemDep, actor: ActorDep, number: str) -> dict[str, Any]:
    """Show one order with its lines, checks and approval."""
    with system.database.read() as session:
        look_as(session, actor)
        return order_json(reading.get_order(session, number))


def order_json(order: OrderView) -> dict[str, Any]:
    """Return an order as JSON; money is decimal text, quantities are in the stock unit."""
    return {
        "po_id": order.number,
        "revision": order.revision,
        "state": order.state.value,
        "supplier": order.supplier_name,
        "supplier_code": order.supplier_code,
        "ship_to": order.ship_to,
        "lines": [_line_json(line, order.currency) for line in order.lines],
        "total": amount_text(order.total_minor, order.currency),
        "currency": order.currency,
        "need_by": order.need_by_on,
        "promise": order.promise_on,
        "note": order.note,
        "by": order.requested_by,
        "received_pct": order.received_percent,
        "next_action": order.next_action,
        "checks": [check.as_json() for check in order.checks],
        "approval": _pending_json(order),
        "fingerprint": order.fingerprint,
        "created_at": order.created_at,
        "sent_at": order.sent_at,
    }


def _line_json(line: LineView, currency: str) -> dict[str, Any]:
    arrived = {"received": line.received_units, "open": line.open_units}
    parts = [{"units": one.units, "promise": one.promise_on} for one in line.promises]
    return {
        **line.as_json(currency), **arrived, "promise": line.promise_on,
        "short_closed": line.short_closed_units, "promises": parts,
    }  # fmt: skip


def _pending_json(order: OrderView) -> dict[str, Any] | None:
    if order.approval is None:
        return None
    return {
        "id": order.approval.number,
        "version": order.approval.version,
        "role": order.approval.required_role,
        "expires_at": order.approval.expires_at,
    }
