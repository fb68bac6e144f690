"""Ask a person to decide about an order as it stands."""

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from db.counters import next_number
from db.models.catalog import Supplier
from db.models.purchasing import Approval, PurchaseOrder
from db.once import compare_and_set
from db.types import Actor, ApprovalState, OrderState
from tools.audit import service as audit
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, InvalidInput, Stale
from tools.outbox import service as outbox
from tools.policy import service as policies
from tools.purchasing.core.content import digest as short
from tools.purchasing.core.content import fingerprint, is_same
from tools.purchasing.service.authority import (
    approval_rule,
    company_total,
    needs_reauthentication,
)
from tools.purchasing.service.drafting import check_may_draft, check_order_scope
from tools.purchasing.service.policing import refuse_blocked
from tools.purchasing.service.rows import (
    content_of,
    lines_of,
    load,
    pending_approval,
    step,
    was_restored,
)
from tools.purchasing.service.timing import has_run_out, steady


def request_approval(
    session: Session,
    *,
    number: str,
    actor: Actor,
    clock: Clock,
    company: Company,
    digest: str | None = None,
) -> Approval:
    """Open an approval request for an order; asking again returns the open one.

    It is judged by the policy in force now, and again by the one in force when a person decides.

    Args:
        session: The transaction.
        number: Public number of the order.
        actor: Who asks.
        clock: Time.
        company: The rules of the house.
        digest: At least 12 digits of the fingerprint of what the actor saw, if known.

    Raises:
        Forbidden: The order is outside the actor's work, or the policy blocks what it orders.
        Stale: The order is not what the digest stands for, or supplier data changed since.
        Conflict: The order is neither draft nor pending, or nobody may approve this much.
        InvalidInput: The digest is too short, or the currency has no exchange rate.
    """
    audit.lock(session)
    check_may_draft(session, actor)
    clock = steady(session, clock)
    order = load(session, number)
    check_order_scope(session, actor, order)
    _check_content(session, order, digest)
    open_one = pending_approval(session, order.id)
    if open_one is not None and not has_run_out(session, open_one.expires_at, clock):
        return open_one
    if open_one is not None:
        expire(session, order, open_one, clock=clock)
    if order.state is not OrderState.DRAFT:
        raise Conflict(
            f"order {order.number!r} is {order.state.value!r}: there is nothing to ask for",
            details={"state": order.state.value, "current_revision": order.revision},
        )
    _refuse_spent(session, order)
    return _open(session, order, actor=actor, clock=clock, company=company)


def _refuse_spent(session: Session, order: PurchaseOrder) -> None:
    """Refuse a revision that left once, or may have left: it would go under the same key."""
    if outbox.was_queued(session, order_id=order.id, revision=order.revision):
        raise Conflict(
            f"revision {order.revision} of {order.number!r} was approved before and taken back",
            next_step="Revise the order first, without changes if it shall stay as it is.",
            details={"state": order.state.value, "current_revision": order.revision},
        )
    if was_restored(session, order):
        raise Conflict(
            f"revision {order.revision} of {order.number!r} may have been approved and sent after "
            "the backup from which the database was restored",
            next_step=f"Ask the supplier whether they have {order.number}. If not, revise it, "
            "without changes if it shall stay as it is, and ask again; if they have, cancel it.",
            details={"state": order.state.value, "current_revision": order.revision},
        )


def expire(session: Session, order: PurchaseOrder, approval: Approval, *, clock: Clock) -> bool:
    """Close a request that waited too long; its order is a draft again.

    Signatures that it has count for nothing any more. False if it was decided, or has time left.
    """
    if not has_run_out(session, approval.expires_at, clock):
        return False
    as_seen = (
        col(Approval.state) == ApprovalState.PENDING,
        col(Approval.version) == approval.version,
    )
    version = approval.version + 1
    if not compare_and_set(
        session, approval, *as_seen, state=ApprovalState.EXPIRED, version=version
    ):
        return False
    step(
        session, order, OrderState.DRAFT, actor=audit.SYSTEM, action="approval.expired",
        at=clock.now(), told={"approval": approval.number},
    )  # fmt: skip
    return True


def outdated(session: Session, *where: ColumnElement[bool]) -> list[str]:
    """Return the numbers of drafts and waiting orders whose supplier or item data changed since.

    Args:
        session: The transaction.
        where: Which of them to look at.
    """
    waiting = (OrderState.DRAFT, OrderState.PENDING_APPROVAL)
    chosen = select(PurchaseOrder).where(col(PurchaseOrder.state).in_(waiting), *where)
    orders = session.exec(chosen.order_by(col(PurchaseOrder.id))).all()
    return [
        one.number for one in orders if fingerprint(content_of(session, one)) != one.fingerprint
    ]


def _check_content(session: Session, order: PurchaseOrder, digest: str | None) -> None:
    stands = fingerprint(content_of(session, order))
    if stands != order.fingerprint:
        raise Stale(
            f"data of the supplier or an item changed since {order.number!r} was written",
            next_step=f"Say 'refresh {order.number}' in the chat, or revise the order without "
            "changes, to take them over; then ask again.",
            details={"current_revision": order.revision, "state": order.state.value},
        )
    if digest is None:
        return
    if len(digest) < len(short(stands)):
        raise InvalidInput(f"a digest has at least {len(short(stands))} digits, got {digest!r}")
    if not is_same(digest, stands):
        raise Stale(
            f"order {order.number!r} is not what digest {digest!r} stands for: it is revision "
            f"{order.revision} with digest {short(stands)!r}",
            next_step="Show the current revision and ask again.",
            details={
                "current_revision": order.revision,
                "state": order.state.value,
                "digest": short(stands),
            },
        )


def _open(
    session: Session, order: PurchaseOrder, *, actor: Actor, clock: Clock, company: Company
) -> Approval:
    policy = policies.in_force(session, clock=clock, company=company)
    supplier = session.get_one(Supplier, order.supplier_id, populate_existing=True)
    refuse_blocked(policy, supplier, [item for _, item in lines_of(session, order.id)])
    rule = approval_rule(session, order, company, policy=policy, asker=actor)
    now = clock.now()
    approval = Approval(
        number=next_number(session, "approval"),
        order_id=order.id,
        revision=order.revision,
        fingerprint=order.fingerprint,
        total_minor=order.total_minor,
        currency=order.currency,
        company_total_minor=company_total(session, order, company),
        required_role=rule.role.value,
        rule=rule.sentence[:200],
        thread_id=order.thread_id,
        requested_by_id=actor.user_id,
        requested_at=now,
        expires_at=now + policy.approval_ttl,
        required_signatures=rule.signatures,
        needs_reauthentication=needs_reauthentication(session, order),
        policy_version=policy.version,
    )
    session.add(approval)
    session.flush()
    step(
        session, order, OrderState.PENDING_APPROVAL, actor=actor, action="approval.requested",
        at=now, told={
            "approval": approval.number, "fingerprint": approval.fingerprint,
            "total_minor": approval.total_minor,
            "expires_at": approval.expires_at.isoformat(timespec="microseconds"),
        },
    )  # fmt: skip
    return approval
