"""The policy held against an order as a supplier's answer would make it."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from db.models.catalog import Supplier
from db.models.purchasing import Approval, PurchaseOrder
from db.types import Actor, ApprovalState, ItemStatus
from tools.catalog.service import resolve_item
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict
from tools.identity.core import is_within
from tools.money import amount_spoken
from tools.policy.core.policy import Policy
from tools.policy.service import approval_limit
from tools.purchasing.core.answers import LineAfter, LineNow
from tools.purchasing.service.authority import company_total
from tools.purchasing.service.policing import (
    broken,
    people_behind,
    refuse_blocked,
    refuse_raise,
)

_DECLINE = "Decline the answer; what is missing is ordered and approved anew."


def approved_last(session: Session, order: PurchaseOrder) -> Approval | None:
    """Return the approval with which an order left; None for one that was imported."""
    return session.exec(
        select(Approval)
        .where(Approval.order_id == order.id, Approval.state == ApprovalState.APPROVED)
        .order_by(col(Approval.id).desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).first()


def check_changes(
    session: Session,
    policy: Policy,
    order: PurchaseOrder,
    changed: Sequence[LineAfter],
    now: dict[str, LineNow],
) -> None:
    """Refuse changes that buy more of what the policy blocks, or reprice what came already.

    Less of it, or later, is accepted: that buys nothing.

    Raises:
        Forbidden: The policy blocks the supplier or an item of which more, a dearer one or a
            substitute would come.
        Conflict: A substitute is discontinued or on the order already, or the price of a line
            changes of which units have come.
    """
    bought = []
    for one in changed:
        was = now[one.sku]
        _check_price_of_what_came(order, was, one)
        if one.substitute:
            _check_substitute(session, one, now)
        is_more = one.open_units > was.open_units or one.unit_price_minor > was.unit_price_minor
        if one.substitute or is_more:
            bought.append(resolve_item(session, one.substitute or one.sku))
    if bought:
        supplier = session.get_one(Supplier, order.supplier_id, populate_existing=True)
        refuse_blocked(policy, supplier, bought)


def check_authority(
    session: Session,
    policy: Policy,
    order: PurchaseOrder,
    *,
    actor: Actor,
    company: Company,
    why: str,
) -> None:
    """Refuse who could not approve the order as it would be; two-person totals are ordered anew.

    Raises:
        Forbidden: They could not; ``details['rule']`` is the rule.
    """
    total = company_total(session, order, company)
    approval = approved_last(session, order)
    behind = (
        {order.requested_by_id} if approval is None else people_behind(session, order, approval)
    )
    spoken = amount_spoken(total, company.currency)
    text = f"accepting this needs somebody who could approve {spoken}, because {why}"
    if not is_within(approval_limit(session, actor), total):
        raise broken("limit", text, "Somebody else must decide; or decline.")
    if actor.user_id in behind and total > policy.self_approval_limit_minor:
        raise broken("separation_of_duties", text, "Somebody else must decide; or decline.")
    above = policy.two_person_above_minor
    if above is not None and total > above:
        limit = amount_spoken(above, company.currency)
        text = (
            f"above {limit} two people must sign (rule two_people), and an answer is accepted by "
            f"one: this would make the order {spoken}, because {why}"
        )
        raise broken("two_people", text, _DECLINE)


def check_caps(
    session: Session,
    policy: Policy,
    order: PurchaseOrder,
    *,
    clock: Clock,
    company: Company,
) -> None:
    """Refuse an order that would take a cap over its limit with its new total.

    What was imported was approved elsewhere and counts for nothing, before as after.

    Raises:
        Forbidden: It would; ``details['rule']`` is the cap.
    """
    approval = approved_last(session, order)
    if approval is None:
        return
    refuse_raise(
        session, policy, order, approval, total_minor=company_total(session, order, company),
        at=clock.now(), company=company,
    )  # fmt: skip


def _check_price_of_what_came(order: PurchaseOrder, was: LineNow, then: LineAfter) -> None:
    if then.substitute or then.unit_price_minor == was.unit_price_minor or not was.received_units:
        return
    raise Conflict(
        f"{was.received_units:,} of {was.sku!r} came with {order.number!r} at the old price, and a "
        "line has one price",
        next_step="Decline, short-close what is open, and order it anew at the new price.",
        details={"rule": "price_of_received", "received": was.received_units},
    )


def _check_substitute(session: Session, one: LineAfter, now: dict[str, LineNow]) -> None:
    item = resolve_item(session, one.substitute)
    if item.status is ItemStatus.DISCONTINUED:
        raise Conflict(f"{item.sku!r} is not ordered any more; decline the answer")
    if item.sku in now:
        raise Conflict(
            f"{item.sku!r} is on the order already; it cannot come instead of {one.sku!r}",
            next_step="Decline, and order the item separately.",
        )
