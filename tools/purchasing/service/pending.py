"""An open request as a row: is it still what a person saw, and the one change that may win."""

from typing import Any

from sqlmodel import Session, col, select

from db.models.identity import User
from db.models.purchasing import Approval, PurchaseOrder
from db.once import compare_and_set
from db.types import Actor, ApprovalState, Decision
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import Conflict, Forbidden, NotFound, QuartermasterError, Stale
from tools.purchasing.core.content import is_same
from tools.purchasing.service.rows import find_approval
from tools.purchasing.service.signing import signatures_of
from tools.purchasing.service.timing import steady
from tools.reach.service import orders_here


def load_approval(session: Session, number: str) -> Approval:
    """Return a request by its public number, as the database has it now.

    Raises:
        NotFound: There is none that this session may see.
    """
    wanted = number.strip().lower()
    wanted = f"a-{wanted}" if wanted.isdigit() else wanted
    approval = find_approval(session, wanted)
    if approval is None or not _is_here(session, approval):
        raise NotFound(
            f"there is no approval request {number!r}", next_step="List the open requests."
        )
    return approval


def _is_here(session: Session, approval: Approval) -> bool:
    """Whether this session may see the order that a request is about."""
    conditions = orders_here(session)
    if not conditions:
        return True
    statement = select(PurchaseOrder.id).where(PurchaseOrder.id == approval.order_id, *conditions)
    return session.exec(statement).first() is not None


def check_open(
    session: Session,
    approval: Approval,
    order: PurchaseOrder,
    *,
    version: int,
    fingerprint: str | None,
) -> None:
    """Refuse a decision about something that is decided, void or not what the person saw.

    Raises:
        Conflict: It is decided, or ran out.
        Stale: It is void, or another version than the one that was seen.
    """
    if approval.state is not ApprovalState.PENDING:
        raise closed(session, approval, order)
    seen_other = fingerprint is not None and not is_same(fingerprint, approval.fingerprint)
    if approval.version == version and approval.revision == order.revision and not seen_other:
        return
    if approval.revision == order.revision and not seen_other and version < approval.version:
        raise _signed_meanwhile(session, approval, order)
    raise Stale(
        f"approval {approval.number!r} changed since you saw it: it is about revision "
        f"{approval.revision} of {order.number!r} now",
        next_step="Look at it again before you decide.",
        details=_current(approval, order),
    )


def _signed_meanwhile(session: Session, approval: Approval, order: PurchaseOrder) -> Stale:
    """Return the refusal of who saw an open request before somebody signed it.

    Nothing else moves the version of an open request.
    """
    names = " and ".join(one.printed_name for one in signatures_of(session, approval))
    return Stale(
        f"{names or 'somebody'} signed approval {approval.number!r} meanwhile",
        next_step="Look at it again before you decide.",
        details=_current(approval, order),
    )


def change_pending(session: Session, approval: Approval, **values: Any) -> None:
    """Change an open request if it still is at the version that was seen; the version grows.

    Raises:
        Conflict: Somebody else changed it first.
    """
    as_seen = (
        col(Approval.version) == approval.version,
        col(Approval.state) == ApprovalState.PENDING,
    )
    version = approval.version + 1
    if not compare_and_set(session, approval, *as_seen, version=version, **values):
        session.refresh(approval)
        order = session.get_one(PurchaseOrder, approval.order_id, populate_existing=True)
        raise closed(session, approval, order)


def closed(session: Session, approval: Approval, order: PurchaseOrder) -> Conflict:
    """Return the refusal that a request is not open, or not as it was seen."""
    details = _current(approval, order)
    if approval.state is ApprovalState.VOID:
        newer = session.exec(
            select(Approval.number).where(
                Approval.order_id == order.id, Approval.state == ApprovalState.PENDING
            )
        ).one_or_none()
        return Stale(
            f"approval {approval.number!r} was for revision {approval.revision} of "
            f"{order.number!r}; current is revision {order.revision}",
            next_step="Look at the current revision.",
            details={**details, "current_approval": newer},
        )
    if approval.state is ApprovalState.EXPIRED:
        text = f"approval {approval.number!r} ran out; ask for a new one"
        return Conflict(text, details={**details, "reason": "expired", "rule": "expired"})
    decider = session.get(User, approval.decided_by_id)
    at = f" {approval.decided_at:%H:%M}" if approval.decided_at else ""
    details |= {
        "reason": "already_decided",
        "decided_by": decider.login if decider else "",
        "decided_at": approval.decided_at.isoformat() if approval.decided_at else None,
    }
    by = decider.login if decider else "somebody"
    return Conflict(f"already {approval.state.value} by {by}{at}", details=details)


def tell_refusal(
    session: Session,
    error: QuartermasterError,
    *,
    number: str,
    decision: Decision,
    version: int,
    actor: Actor,
    clock: Clock,
    channel: str,
) -> None:
    """Tell the trail of a decision that was refused, once the refused transaction is undone.

    A decision about a request that does not exist, or one that cannot be read, is no decision.
    """
    if not isinstance(error, Forbidden | Conflict):
        return
    audit.lock(session)
    approval = load_approval(session, number)
    details = error.details
    audit.append(
        session,
        at=steady(session, clock).now(),
        actor=actor,
        action="approval.refused",
        object_id=approval.number,
        after={
            "decision": decision.value,
            "version": version,
            "rule": str(details.get("rule") or details.get("reason") or error.code),
            "why": error.message[:500],
            "order_id": approval.order_id,
            "channel": channel,
        },
    )


def _current(approval: Approval, order: PurchaseOrder) -> dict[str, Any]:
    return {
        "current_version": approval.version,
        "current_revision": order.revision,
        "state": approval.state.value,
    }
