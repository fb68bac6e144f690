"""From an approval to the outbox: the last check of everything before an order leaves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col

from db.models.catalog import Item, Supplier
from db.models.purchasing import (
    Approval,
    ApprovalSignature,
    Outbox,
    PurchaseOrder,
    PurchaseOrderLine,
)
from db.once import compare_and_set, fresh
from db.types import Actor, ApprovalState, ItemStatus, OrderState
from tools.audit import service as audit
from tools.audit.core.chain import document_hash
from tools.clock import Clock
from tools.company import Company
from tools.errors import ApprovalRequired, Conflict
from tools.identity.service import actor_by_id
from tools.money import amount_text
from tools.outbox import service as outbox
from tools.outbox.core import delivery_key
from tools.policy import service as policies
from tools.policy.core.policy import Policy
from tools.purchasing.core.content import fingerprint
from tools.purchasing.core.coverage import numbers, sent_meanwhile
from tools.purchasing.core.quantities import Terms, moved_bp, price_for
from tools.purchasing.core.states import AWAITED
from tools.purchasing.service.authority import company_total
from tools.purchasing.service.coverage import coverage, items_sent_since
from tools.purchasing.service.policing import refuse_blocked, refuse_too_much
from tools.purchasing.service.rows import (
    content_of,
    find_approval,
    lines_of,
    load,
    revision_of,
    step,
    void_approvals,
)
from tools.purchasing.service.signing import check_signatures
from tools.purchasing.service.terms import not_sold, terms_of_lines
from tools.purchasing.service.timing import has_run_out
from tools.records.core import leaves_as


def submit(
    session: Session,
    *,
    number: str,
    approval_number: str,
    clock: Clock,
    company: Company,
) -> Outbox:
    """Put an approved order into the outbox, once; whatever anybody said before, this decides.

    Raises:
        ApprovalRequired: No unspent approval with enough signatures exists for this content.
        Forbidden: A signer's role, limit or part in the request does not allow it, or the policy
            does not; ``details['rule']`` says which rule.
        Conflict: The approval ran out, or price, item, supplier or need changed meanwhile.
    """
    audit.lock(session)
    approval = find_approval(session, approval_number)
    order = load(session, number) if approval is None else _order_of(session, approval, number)
    approval = _check_approval(session, order, approval)
    policy = policies.in_force(session, clock=clock, company=company)
    signed = check_signatures(session, order, approval, policy=policy, company=company)
    check_releasable(session, order, approval, policy=policy, clock=clock, company=company)
    approver = actor_by_id(session, approval.decided_by_id or 0)
    now = clock.now()
    key = delivery_key(order.number, revision=order.revision, fingerprint=approval.fingerprint)
    payload = _payload(revision_of(session, order).content, approval, signed, key=key)
    _consume(session, approval, company_total(session, order, company), clock=clock)
    step(
        session, order, OrderState.APPROVED, actor=approver, action="order.approved", at=now,
        reason=approval.reason, meaning="approval", approved_at=now,
        told={
            "approval": approval.number, "fingerprint": approval.fingerprint,
            "total_minor": approval.total_minor, "payload": document_hash(payload),
            "company_total_minor": approval.company_total_minor,
            "consumed_at": approval.consumed_at
            and approval.consumed_at.isoformat(timespec="microseconds"),
            "policy_version": policy.version, "signatures": len(signed),
        },
    )  # fmt: skip
    return outbox.enqueue(
        session, order_id=order.id, revision=order.revision, approval_id=approval.id,
        channel=leaves_as(payload)[1], payload=payload, at=now,
    )  # fmt: skip


def _order_of(session: Session, approval: Approval, number: str) -> PurchaseOrder:
    """Return the order of this number; one that the approval is not about is looked up."""
    order = fresh(session, PurchaseOrder, approval.order_id)
    return order if order.number == number else load(session, number)


def check_releasable(
    session: Session,
    order: PurchaseOrder,
    approval: Approval,
    *,
    policy: Policy,
    clock: Clock,
    company: Company,
) -> None:
    """Refuse an order that is stale, blocked, or too much for the policy's caps.

    Raises:
        Conflict: The world changed since the approval was asked for.
        Forbidden: The policy does not let it go; ``details['rule']`` says which rule.
    """
    check_fresh(session, order, approval, policy=policy, clock=clock, company=company)
    supplier = fresh(session, Supplier, order.supplier_id)
    refuse_blocked(policy, supplier, [item for _, item in lines_of(session, order.id)])
    refuse_too_much(
        session, policy, order, approval, at=clock.now(), company=company,
        total_minor=company_total(session, order, company),
    )  # fmt: skip


def check_content(session: Session, order: PurchaseOrder, approval: Approval) -> None:
    """Refuse an order that is not, to the letter, what the approval is about.

    Raises:
        ApprovalRequired: The order, its supplier or an item changed.
    """
    stands = fingerprint(content_of(session, order))
    written = document_hash(revision_of(session, order).content)
    if not stands == written == approval.fingerprint:
        raise ApprovalRequired(
            f"order {order.number!r} is not what approval {approval.number!r} was given for: "
            "the order, its supplier or an item changed",
            next_step="Revise the order, without changes to take these over, and ask again.",
            details={"current_revision": order.revision, "approved_revision": approval.revision},
        )


def check_fresh(
    session: Session,
    order: PurchaseOrder,
    approval: Approval,
    *,
    policy: Policy,
    clock: Clock,
    company: Company,
) -> None:
    """Refuse an order whose world changed since the approval was asked for.

    Raises:
        Conflict: ``details['reason']`` is ``expired``, ``supplier_inactive``,
            ``item_discontinued``, ``price_moved`` or ``covered_meanwhile``.
    """
    if has_run_out(session, approval.expires_at, clock):
        at = approval.expires_at.isoformat(timespec="minutes")
        raise _not_fresh("expired", f"approval {approval.number!r} ran out at {at}", order)
    supplier = fresh(session, Supplier, order.supplier_id)
    if not supplier.is_active:
        raise _not_fresh(
            "supplier_inactive", f"supplier {supplier.code!r} is not active any more", order
        )
    lines = lines_of(session, order.id)
    terms = terms_of_lines(session, order)
    for line, item in lines:
        _check_offer(order, supplier, line, item, terms.get(item.id), policy=policy)
    since = approval.requested_at
    sent = items_sent_since(session, [item.id for _, item in lines], order.location_id, since)
    for line, item in lines:
        if item.id in sent:
            _check_need(session, order, line, item, since=since, clock=clock, company=company)


def mark_sent(session: Session, *, order_id: int, reference: str, clock: Clock) -> None:
    """Record that the supplier has the order; a second time changes nothing.

    Raises:
        Conflict: The order was never approved, or was cancelled.
    """
    audit.lock(session)
    order = session.get_one(PurchaseOrder, order_id, populate_existing=True)
    if order.state in AWAITED:
        return
    step(
        session, order, OrderState.SENT, actor=audit.SYSTEM, action="order.sent", at=clock.now(),
        told={"reference": reference[:300]}, sent_at=clock.now(),
    )  # fmt: skip


def take_back(session: Session, *, order_id: int, actor: Actor, reason: str, clock: Clock) -> None:
    """Make an approved order whose delivery was cancelled a draft again; its approvals are void.

    It needs a new revision before it can be asked for again: the old one was approved once.

    Raises:
        Conflict: The order is not waiting to be sent.
    """
    audit.lock(session)
    order = session.get_one(PurchaseOrder, order_id, populate_existing=True)
    voided = void_approvals(session, order)
    step(
        session, order, OrderState.DRAFT, actor=actor, action="order.taken_back", at=clock.now(),
        reason=reason, told={"voided": voided}, approved_at=None,
    )  # fmt: skip


def _check_approval(session: Session, order: PurchaseOrder, approval: Approval | None) -> Approval:
    next_step = "Request an approval and wait for a person to decide."
    if approval is None or approval.order_id != order.id:
        raise ApprovalRequired(f"nobody approved order {order.number!r}", next_step=next_step)
    if approval.state is not ApprovalState.APPROVED or approval.decided_by_id is None:
        raise ApprovalRequired(
            f"approval {approval.number!r} is {approval.state.value!r}, not approved",
            next_step=next_step,
        )
    if approval.consumed_at is not None:
        raise ApprovalRequired(
            f"approval {approval.number!r} was used already", next_step=next_step
        )
    check_content(session, order, approval)
    return approval


def _consume(session: Session, approval: Approval, total_minor: int, *, clock: Clock) -> None:
    """Spend an approval, once; the caps of later orders count what it is worth now."""
    is_unspent = (
        col(Approval.consumed_at).is_(None),
        col(Approval.state) == ApprovalState.APPROVED,
    )
    spent = {"consumed_at": clock.now(), "company_total_minor": total_minor}
    if not compare_and_set(session, approval, *is_unspent, **spent):
        raise ApprovalRequired(f"approval {approval.number!r} was used already")


def _check_offer(
    order: PurchaseOrder,
    supplier: Supplier,
    line: PurchaseOrderLine,
    item: Item,
    terms: Terms | None,
    *,
    policy: Policy,
) -> None:
    """Refuse a line that the supplier would not sell at this price any more."""
    if item.status is ItemStatus.DISCONTINUED:
        raise _not_fresh("item_discontinued", f"{item.sku!r} is discontinued", order)
    if terms is None:
        raise not_sold(supplier, item)
    price = price_for(terms, line.ordered_units)
    if moved_bp(line.unit_price_minor, price) > policy.price_tolerance_bp:
        was = amount_text(line.unit_price_minor, order.currency)
        now = amount_text(price, order.currency)
        raise _not_fresh(
            "price_moved",
            f"the price of {item.sku!r} moved from {was} to {now} {order.currency}",
            order,
        )


def _check_need(
    session: Session,
    order: PurchaseOrder,
    line: PurchaseOrderLine,
    item: Item,
    *,
    since: datetime,
    clock: Clock,
    company: Company,
) -> None:
    """Refuse a line whose need is covered by what was sent since the approval was asked for."""
    cover = coverage(
        session, item.id, order.location_id, clock=clock, company=company,
        without_order_id=order.id,
    )  # fmt: skip
    if took := sent_meanwhile(cover, units=line.ordered_units, since=since):
        raise _not_fresh(
            "covered_meanwhile",
            f"{numbers(took)} was sent meanwhile and covers {item.sku!r}: its position is "
            f"{cover.position_units:,}",
            order,
        )


def _not_fresh(reason: str, text: str, order: PurchaseOrder) -> Conflict:
    return Conflict(
        text,
        next_step="Revise the order and ask again, or reject it.",
        details={
            "reason": reason,
            "rule": reason,
            "current_revision": order.revision,
            "state": order.state.value,
        },
    )


def _payload(
    content: Mapping[str, Any],
    approval: Approval,
    signed: Sequence[ApprovalSignature],
    *,
    key: str,
) -> dict[str, Any]:
    """Return what the supplier gets: what was approved, nothing else, and who signed it."""
    decided_at = approval.decided_at
    currency = str(content["currency"])
    return {
        "kind": "purchase_order",
        "key": key,
        "repeats": "The same key is the same order: book it once.",
        "number": content["number"],
        "revision": content["revision"],
        "fingerprint": approval.fingerprint,
        "supplier": dict(content["supplier"]),
        **({"delivery": dict(content["delivery"])} if "delivery" in content else {}),
        "ship_to": content["ship_to"],
        "currency": currency,
        "need_by": content["need_by"],
        "lines": [
            _line_payload(number, line, currency)
            for number, line in enumerate(content["lines"], start=1)
        ],
        "total": amount_text(content["total_minor"], currency),
        "approval": {
            "number": approval.number,
            "approved_by": " and ".join(one.printed_name for one in signed),
            "approved_at": decided_at.isoformat(timespec="seconds") if decided_at else None,
            "meaning": "approval",
            "signatures": [_signature_payload(one) for one in signed],
        },
    }


def _signature_payload(one: ApprovalSignature) -> dict[str, Any]:
    at = one.signed_at.isoformat(timespec="seconds")
    return {"name": one.printed_name, "at": at, "meaning": one.meaning}


def _line_payload(number: int, line: Mapping[str, Any], currency: str) -> dict[str, Any]:
    names = ("sku", "supplier_sku", "name", "units", "uom", "packs", "pack_uom")
    price = line["unit_price_minor"]
    return {
        "line": number,
        **{name: line[name] for name in names},
        "unit_price": amount_text(price, currency),
        "amount": amount_text(line["units"] * price, currency),
    }
