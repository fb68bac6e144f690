"""The policy held against an order as a supplier's answer would make it."""

from collections.abc import Sequence, Set

from sqlmodel import Session, col, select

from db.models.catalog import Supplier
from db.models.identity import User
from db.models.purchasing import Approval, PurchaseOrder, PurchaseOrderRevision
from db.once import fresh
from db.types import Actor, ApprovalState, ItemStatus, Role
from tools.catalog.service import resolve_item
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict
from tools.identity.core import is_within
from tools.money import amount_spoken
from tools.policy.core.policy import Policy
from tools.policy.service import approval_limit
from tools.purchasing.core.answers import LineAfter, LineNow
from tools.purchasing.service.authority import (
    check_exceptions,
    company_total,
    needs_reauthentication,
)
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


def approved_lines(
    session: Session, order: PurchaseOrder, approval: Approval | None
) -> dict[str, tuple[int, int]]:
    """Return units and unit price of each item as people first agreed to them, by SKU.

    That is the approved revision; for an item that came instead later, or an order that was
    imported, the first revision that has it. Small steps add up against it.
    """
    revisions = session.exec(
        select(PurchaseOrderRevision.content)
        .where(
            PurchaseOrderRevision.order_id == order.id,
            PurchaseOrderRevision.revision >= (approval.revision if approval else 0),
        )
        .order_by(col(PurchaseOrderRevision.revision))
    )
    found: dict[str, tuple[int, int]] = {}
    for content in revisions:
        for line in content["lines"]:
            found.setdefault(line["sku"], (line["units"], line["unit_price_minor"]))
    return found


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
    coming: set[str] = set()
    for one in changed:
        was = now[one.sku]
        _check_price_of_what_came(order, was, one)
        if one.substitute:
            _check_substitute(session, one, now, came_before=coming)
            coming.add(resolve_item(session, one.substitute).sku)
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
    recorded_by_id: int | None,
) -> None:
    """Refuse who could not approve the order as it would be; two-person totals are ordered anew.

    The answer is its accepter's own when they are behind the order, or recorded it.

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
    if actor.user_id in {*behind, recorded_by_id} and total > policy.self_approval_limit_minor:
        raise broken("separation_of_duties", text, "Somebody else must decide; or decline.")
    above = policy.two_person_above_minor
    if above is not None and total > above:
        limit = amount_spoken(above, company.currency)
        text = (
            f"above {limit} two people must sign (rule two_people), and an answer is accepted by "
            f"one: this would make the order {spoken}, because {why}"
        )
        raise broken("two_people", text, _DECLINE)


def check_rules(
    session: Session,
    policy: Policy,
    order: PurchaseOrder,
    *,
    actor: Actor,
    reason: str,
    reauthenticated: bool,
) -> None:
    """Refuse what an approval of the order, as it would be, needs: manager, reason, password.

    Raises:
        Forbidden: Something of it is missing; ``details['rule']`` is the rule.
    """
    user = fresh(session, User, actor.user_id)
    check_exceptions(
        session, order, user=user, policy=policy, reason=reason, required_role=Role.MANAGER.value
    )
    if needs_reauthentication(session, order) and not reauthenticated:
        raise broken(
            "signature_required",
            f"an item of {order.number} needs a signature: whoever accepts this enters their "
            "password with the decision",
            "Decide again with your password; an API key alone does not sign.",
        )


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


def _check_substitute(
    session: Session, one: LineAfter, now: dict[str, LineNow], *, came_before: Set[str]
) -> None:
    item = resolve_item(session, one.substitute)
    if item.status is ItemStatus.DISCONTINUED:
        raise Conflict(f"{item.sku!r} is not ordered any more; decline the answer")
    if item.sku in came_before:
        raise Conflict(
            f"{item.sku!r} would come instead of two lines; goods are booked by item, and an item "
            "is on an order once",
            next_step="Decline, and ask the supplier for one line of it.",
        )
    if item.sku in now:
        raise Conflict(
            f"{item.sku!r} is on the order already; it cannot come instead of {one.sku!r}",
            next_step="Decline, and order the item separately.",
        )
