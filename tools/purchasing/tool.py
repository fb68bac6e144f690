"""What the model may do about orders: write drafts and ask for decisions, never decide."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from db.models.purchasing import Approval
from db.types import OrderState, Role
from tools.clock import Clock
from tools.company import Company
from tools.errors import InvalidInput
from tools.money import amount_text
from tools.policy.service import role_limits
from tools.purchasing.core.content import digest as short
from tools.purchasing.core.views import OrderView
from tools.purchasing.service import drafting, reading, requesting, revising
from tools.purchasing.service.drafting import DraftOutcome
from tools.purchasing.service.terms import LineRequest
from tools.wrapping import Result, Tool, ToolContext, idempotency_key, tool

_PoId = Annotated[str, Field(min_length=1, max_length=32)]


class DraftLine(BaseModel):
    """One line to order: a sku or a rec_id, and how many."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    sku: str | None = Field(None, max_length=200, description='SKU or name, e.g. "WIDGET-A"')
    rec_id: str | None = Field(None, max_length=24, description='recommendation, e.g. "R-12"')
    quantity: float | None = Field(
        None, gt=0, le=10_000_000, description="how many, e.g. 1920; a rec_id has its own"
    )
    unit: str | None = Field(
        None, max_length=16, description='unit of the quantity if it is a pack, e.g. "case"'
    )


class LineChange(BaseModel):
    """A new quantity for one item of the order."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    sku: str = Field(max_length=200, description='SKU or name, e.g. "WIDGET-A"')
    quantity: float = Field(ge=0, le=10_000_000, description="new quantity, 0 removes the line")
    unit: str | None = Field(None, max_length=16, description='pack unit if not stock unit: "case"')


@tool(effect="draft")
def draft_purchase_order(  # noqa: D417  (session and context are not arguments for the model)
    session: Session,
    context: ToolContext,
    *,
    lines: Annotated[list[DraftLine], Field(min_length=1, max_length=50)],
    supplier: Annotated[str | None, Field(max_length=120)] = None,
    ship_to: Annotated[str | None, Field(max_length=32)] = None,
    need_by: Annotated[str | None, Field(max_length=10)] = None,
    note: str | None = None,
    duplicate_reason: str | None = None,
) -> Result:
    """Write a draft order to one supplier. Nothing is sent; a person must approve it later.

    Prices, minimum and pack sizes are applied. If open orders already cover the need it answers
    "conflict": ask the planner for a reason and repeat with duplicate_reason.

    Args:
        lines: What to order, e.g. [{"sku": "WIDGET-A", "quantity": 1920}] or [{"rec_id": "R-12"}].
        supplier: Code or name; without it the recommended or preferred one, e.g. "ACME".
        ship_to: Location code, e.g. "MAIN".
        need_by: Latest day of arrival, e.g. "2026-03-20".
        note: Note for our own people, e.g. "for the spring fair".
        duplicate_reason: The planner's reason for another order, e.g. "extra promotion".
    """
    asked = {
        "lines": [line.model_dump() for line in lines], "supplier": supplier, "ship_to": ship_to,
        "need_by": need_by, "duplicate_reason": duplicate_reason,
    }  # fmt: skip
    made = drafting.draft(
        session,
        lines=[LineRequest(**line.model_dump()) for line in lines],
        actor=context.actor,
        clock=context.clock,
        company=context.company,
        supplier=supplier,
        ship_to=ship_to,
        need_by=_day(need_by),
        note=note or "",
        duplicate_reason=duplicate_reason or "",
        thread_id=context.thread_id,
        idempotency_key=idempotency_key(context, "draft_purchase_order", asked),
    )
    return _result(draft_json(made, context.company), made.order, context.clock)


@tool(effect="draft", core=False)
def revise_purchase_order(  # noqa: D417
    session: Session,
    context: ToolContext,
    *,
    po_id: _PoId,
    changes: Annotated[list[LineChange], Field(max_length=50)],
    revision: Annotated[int | None, Field(ge=1)] = None,
    reason: str | None = None,
) -> Result:
    """Change quantities of an order that was not sent. Earlier approvals become void.

    Args:
        po_id: Number of the order, e.g. "PO-2001".
        changes: New quantities, 0 removes the line, e.g. [{"sku": "WIDGET-A", "quantity": 1560}].
        revision: The revision that was shown, e.g. 1.
        reason: Why, e.g. "planner wants 13 cases".
    """
    made = revising.revise(
        session,
        number=po_id,
        changes=[revising.Change(**change.model_dump()) for change in changes],
        actor=context.actor,
        clock=context.clock,
        company=context.company,
        revision=revision,
        reason=reason or "",
    )
    data = draft_json(made, context.company) | {"voided_approvals": list(made.voided)}
    return _result(data, made.order, context.clock)


@tool(effect="draft")
def request_approval(  # noqa: D417
    session: Session,
    context: ToolContext,
    *,
    po_id: _PoId,
    digest: Annotated[str | None, Field(max_length=64)] = None,
) -> Result:
    """Ask a person to approve a draft. You cannot approve; wait until somebody decides.

    Args:
        po_id: Number of the draft, e.g. "PO-2001".
        digest: Digest of the draft that the planner saw, e.g. "3fa94c01be77".
    """
    approval = requesting.request_approval(
        session,
        number=po_id,
        actor=context.actor,
        clock=context.clock,
        company=context.company,
        digest=digest,
    )
    order = reading.get_order(session, po_id)
    data = request_json(session, approval, order, context.company)
    result = _result(data, order, context.clock)
    return Result(data, as_of=result.as_of, refs=[*result.refs, f"approval:{approval.number}"])


@tool(effect="read")
def list_orders(  # noqa: D417
    session: Session,
    context: ToolContext,
    *,
    status: Annotated[OrderState, Field(strict=False)] | None = None,
    supplier: Annotated[str | None, Field(max_length=120)] = None,
    sku: Annotated[str | None, Field(max_length=200)] = None,
    limit: Annotated[int, Field(ge=1, le=50)] = 10,
) -> Result:
    """List purchase orders, newest first: state, amount, who decides, what arrived.

    Args:
        status: Only this state, e.g. "pending_approval".
        supplier: Only this supplier, e.g. "ACME".
        sku: Only orders with this item, e.g. "WIDGET-A".
        limit: How many to return, e.g. 10.
    """
    page = reading.list_orders(session, state=status, supplier=supplier, sku=sku, limit=limit)
    data = {"orders": [order_json(order) for order in page.orders], "total": page.total}
    refs = [f"order:{order.number}" for order in page.orders]
    return Result(data, as_of=context.clock.now(), refs=refs)


@tool(effect="draft")
def cancel_order(  # noqa: D417
    session: Session,
    context: ToolContext,
    *,
    po_id: _PoId,
    reason: Annotated[str, Field(min_length=1, max_length=300)],
) -> Result:
    """Cancel an order that was not sent. One that was sent stays: a person asks the supplier.

    Args:
        po_id: Number of the order, e.g. "PO-2001".
        reason: Why, in the planner's words, e.g. "demand fell away".
    """
    came = revising.cancel(
        session, number=po_id, actor=context.actor, clock=context.clock, reason=reason
    )
    data = {
        "po_id": came.order.number,
        "state": came.order.state.value,
        "cancelled": came.is_cancelled,
        "sent": came.was_sent,
        "approval_required": came.was_sent,
        "message": came.message,
        "voided_approvals": list(came.voided),
    }
    return _result(data, came.order, context.clock)


TOOLS: tuple[Tool, ...] = (
    draft_purchase_order,
    revise_purchase_order,
    request_approval,
    list_orders,
    cancel_order,
)


def draft_json(made: DraftOutcome, company: Company) -> dict[str, Any]:
    """Return a draft as the model reads it."""
    order = made.order
    blocked = next((check.message for check in order.checks if check.level == "block"), "")
    limit = made.your_limit_minor
    return {
        "po_id": order.number,
        "revision": order.revision,
        "state": order.state.value,
        "supplier": order.supplier_name,
        "ship_to": order.ship_to,
        "lines": [line.as_json(order.currency) for line in order.lines],
        "total": order.total,
        "currency": order.currency,
        "need_by": order.need_by_on.isoformat() if order.need_by_on else None,
        "checks": [check.as_json() for check in order.checks],
        "duplicates": [
            {"po_id": other.number, "quantity": other.units, "state": other.state.value}
            for other in made.duplicates
        ],
        "approval": {
            "required": True,
            "rule": made.rule.sentence if made.rule else blocked,
            "approver_role": made.rule.role.value if made.rule else None,
            "signatures": made.rule.signatures if made.rule else None,
            "your_limit": None if limit is None else amount_text(limit, company.currency),
        },
        "digest": order.digest,
    }


def request_json(
    session: Session, approval: Approval, order: OrderView, company: Company
) -> dict[str, Any]:
    """Return an approval request as the model reads it."""
    limit = role_limits(session).get(Role(approval.required_role), 0)
    return {
        "approval_id": approval.number,
        "po_id": order.number,
        "revision": approval.revision,
        "status": approval.state.value,
        "approver_role": approval.required_role,
        "signatures": approval.required_signatures,
        "rule": approval.rule,
        "limit": None if limit is None else amount_text(limit, company.currency),
        "total": amount_text(approval.total_minor, approval.currency),
        "currency": approval.currency,
        "expires_at": approval.expires_at.isoformat(timespec="seconds"),
        "version": approval.version,
        "digest": short(approval.fingerprint),
    }


def order_json(order: OrderView) -> dict[str, Any]:
    """Return one order of a list as the model reads it."""
    approval = order.approval
    return {
        "po_id": order.number,
        "state": order.state.value,
        "revision": order.revision,
        "supplier": order.supplier_name,
        "total": order.total,
        "currency": order.currency,
        "lines": len(order.lines),
        "skus": [line.sku for line in order.lines[:10]],
        "quantity": order.units,
        "promise": order.promise_on.isoformat() if order.promise_on else None,
        "received_pct": order.received_percent,
        "next_action": order.next_action,
        "approval": None
        if approval is None
        else {
            "id": approval.number,
            "role": approval.required_role,
            "expires_at": approval.expires_at.isoformat(timespec="seconds"),
        },
        "by": order.requested_by,
        "created_at": order.created_at.isoformat(timespec="seconds"),
        "sent_at": order.sent_at.isoformat(timespec="seconds") if order.sent_at else None,
    }


def _result(data: dict[str, Any], order: OrderView, clock: Clock) -> Result:
    warnings = [check.message for check in order.checks if check.level != "info"]
    return Result(data, as_of=clock.now(), warnings=warnings, refs=[f"order:{order.number}"])


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"a date is written like 2026-03-20, got {text!r}", next_step="Ask for the date."
        ) from error
