"""A person's decision, in one transaction with everything that follows from it.

Only doors import this module. A refusal is raised, and the transaction of a refused decision is
rolled back with it: the request stays pending, and the door's log, not the trail, tells of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from db.models.catalog import Item
from db.models.identity import User
from db.models.planning import Recommendation
from db.models.purchasing import (
    Approval,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderRevision,
)
from db.types import Actor, ApprovalState, Decision, OrderState
from tools.approvals.core import (
    MEANINGS,
    ApprovalView,
    DecisionOutcome,
    Edit,
    Why,
    answered,
    read_edits,
)
from tools.audit import service as audit
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, Forbidden, InvalidInput, NotFound, Stale
from tools.identity.core import can_approve, with_article
from tools.identity.service import actor_by_id
from tools.purchasing.core.content import is_same
from tools.purchasing.core.views import Check
from tools.purchasing.service.reading import views
from tools.purchasing.service.requesting import expire, request_approval
from tools.purchasing.service.revising import Change, revise
from tools.purchasing.service.rows import step
from tools.purchasing.service.submitting import submit
from tools.text import plain_text


def list_approvals(
    session: Session, *, state: ApprovalState | None = None, limit: int = 50
) -> list[ApprovalView]:
    """Return approval requests, newest first."""
    statement = select(Approval).order_by(col(Approval.id).desc()).limit(limit)
    if state is not None:
        statement = statement.where(Approval.state == state)
    return [_view(session, row) for row in session.exec(statement).all()]


def get_approval(session: Session, number: str) -> ApprovalView:
    """Return a request with everything a person must see before deciding.

    Raises:
        NotFound: There is no such request.
    """
    return _view(session, _load(session, number))


def decide(
    session: Session,
    *,
    number: str,
    version: int,
    decision: Decision,
    actor: Actor,
    clock: Clock,
    company: Company,
    channel: str,
    reason: str = "",
    edits: Sequence[Mapping[str, Any]] | None = None,
    fingerprint: str | None = None,
) -> DecisionOutcome:
    """Record what a person decided about a pending request, and do what follows from it.

    ``approve`` puts the order into the outbox. ``edit`` makes a new revision with a new request in
    the editor's name, who then approves it alone only within the limit for own orders.
    ``reject`` makes the order a draft again. ``respond`` leaves the request open and keeps
    ``reason`` as the answer.

    Args:
        session: The transaction; everything happens in it or nothing.
        number: Public number of the request.
        version: The version that the person saw.
        decision: What they said.
        actor: Who they are.
        clock: Time.
        company: The rules of the house.
        channel: The door: rest, cli, slack, web.
        reason: In their words; needed to respond.
        edits: For ``edit``: a list of ``{"sku", "quantity"}``.
        fingerprint: What they saw, at least 12 digits of it, if the door knows.

    Raises:
        NotFound: There is no such request.
        Stale: It is not what the person saw; ``details`` holds what is current.
        Conflict: It was decided already, ran out, or the world changed.
        Forbidden: Role, limit or separation of duties do not allow it.
        InvalidInput: The answer or the edits are missing or wrong.
    """
    audit.lock(session)
    approval = _load(session, number)
    order = session.get_one(PurchaseOrder, approval.order_id, populate_existing=True)
    _check_open(session, approval, order, version=version, fingerprint=fingerprint)
    said = _Said(
        decision, actor_by_id(session, actor.user_id), plain_text(reason, longest=500), channel,
        clock, company,
    )  # fmt: skip
    _check_said(approval, said)
    changes = [Change(edit.sku, edit.quantity) for edit in _edits(decision, edits)]
    _record(session, approval, said)
    approval = _follow(session, approval, order, said, changes)
    session.refresh(approval)
    session.refresh(order)
    message = answered(decision, actor_name=said.actor.name, order=order.number, reason=said.reason)
    return DecisionOutcome(_view(session, approval), order.number, order.state.value, message)


@dataclass(frozen=True)
class _Said:
    """What was said, by whom, through which door."""

    decision: Decision
    actor: Actor
    reason: str
    channel: str
    clock: Clock
    company: Company


def _edits(decision: Decision, edits: Sequence[Mapping[str, Any]] | None) -> tuple[Edit, ...]:
    return read_edits(edits) if decision is Decision.EDIT else ()


def _check_said(approval: Approval, said: _Said) -> None:
    """Refuse a decision that this person may not make, or not any more.

    Limit, separation of duties and freshness of an approval are ``submit``'s to check; its refusal
    takes the whole transaction back.
    """
    if not can_approve(said.actor.role):
        raise Forbidden(
            f"{with_article(said.actor.role)} does not decide about orders",
            details={"reason": "role", "required_role": approval.required_role},
        )
    if approval.expires_at <= said.clock.now() and said.decision is not Decision.REJECT:
        raise Conflict(f"approval {approval.number!r} ran out", details={"reason": "expired"})
    if said.decision is Decision.RESPOND and not said.reason:
        raise InvalidInput("an answer needs its text", next_step="Say what to answer.")


def _follow(
    session: Session,
    approval: Approval,
    order: PurchaseOrder,
    said: _Said,
    changes: Sequence[Change],
) -> Approval:
    """Do what follows from a decision; returns the request that is current now."""
    clock, company = said.clock, said.company
    if said.decision is Decision.APPROVE:
        submit(
            session, number=order.number, approval_number=approval.number, clock=clock,
            company=company,
        )  # fmt: skip
    elif said.decision is Decision.REJECT:
        step(
            session, order, OrderState.DRAFT, actor=said.actor, action="order.returned",
            at=clock.now(), reason=said.reason, told={"approval": approval.number},
        )  # fmt: skip
    elif said.decision is Decision.EDIT:
        revise(
            session, number=order.number, changes=changes, actor=said.actor, clock=clock,
            company=company, revision=approval.revision, reason=said.reason,
        )  # fmt: skip
        return request_approval(
            session, number=order.number, actor=said.actor, clock=clock, company=company
        )
    return approval


def expire_due(session: Session, *, clock: Clock) -> int:
    """Close the requests that waited too long; returns how many."""
    audit.lock(session)
    due = session.exec(
        select(Approval, PurchaseOrder)
        .join(PurchaseOrder, col(PurchaseOrder.id) == col(Approval.order_id))
        .where(Approval.state == ApprovalState.PENDING, col(Approval.expires_at) <= clock.now())
        .order_by(col(Approval.id))
        .execution_options(populate_existing=True)
    ).all()
    return sum(expire(session, order, approval, clock=clock) for approval, order in due)


def _load(session: Session, number: str) -> Approval:
    wanted = number.strip().lower()
    wanted = f"a-{wanted}" if wanted.isdigit() else wanted
    approval = session.exec(
        select(Approval).where(Approval.number == wanted).execution_options(populate_existing=True)
    ).one_or_none()
    if approval is None:
        raise NotFound(
            f"there is no approval request {number!r}", next_step="List the open requests."
        )
    return approval


def _check_open(
    session: Session,
    approval: Approval,
    order: PurchaseOrder,
    *,
    version: int,
    fingerprint: str | None,
) -> None:
    """Refuse a decision about something that is decided, void or not what the person saw."""
    if approval.state is not ApprovalState.PENDING:
        raise _closed(session, approval, order)
    seen_other = fingerprint is not None and not is_same(fingerprint, approval.fingerprint)
    if approval.version == version and approval.revision == order.revision and not seen_other:
        return
    raise Stale(
        f"approval {approval.number!r} changed since you saw it: it is about revision "
        f"{approval.revision} of {order.number!r} now",
        next_step="Look at it again before you decide.",
        details=_current(approval, order),
    )


def _closed(session: Session, approval: Approval, order: PurchaseOrder) -> Conflict:
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
        return Conflict(text, details={**details, "reason": "expired"})
    decider = session.get(User, approval.decided_by_id)
    at = f" {approval.decided_at:%H:%M}" if approval.decided_at else ""
    details |= {
        "reason": "already_decided",
        "decided_by": decider.login if decider else "",
        "decided_at": approval.decided_at.isoformat() if approval.decided_at else None,
    }
    by = decider.login if decider else "somebody"
    return Conflict(f"already {approval.state.value} by {by}{at}", details=details)


def _current(approval: Approval, order: PurchaseOrder) -> dict[str, Any]:
    return {
        "current_version": approval.version,
        "current_revision": order.revision,
        "state": approval.state.value,
    }


_STATE_AFTER: Mapping[Decision, ApprovalState] = {
    Decision.APPROVE: ApprovalState.APPROVED,
    Decision.EDIT: ApprovalState.VOID,
    Decision.REJECT: ApprovalState.REJECTED,
    Decision.RESPOND: ApprovalState.PENDING,
}


def _record(session: Session, approval: Approval, said: _Said) -> None:
    """Compare-and-set the decision on the version that was seen, and tell the trail."""
    before = approval.version
    statement = (
        update(Approval)
        .where(
            col(Approval.number) == approval.number,
            col(Approval.version) == before,
            col(Approval.state) == ApprovalState.PENDING,
        )
        .values(
            state=_STATE_AFTER[said.decision],
            version=before + 1,
            decision=said.decision,
            decided_by_id=said.actor.user_id,
            decided_at=said.clock.now(),
            meaning=MEANINGS[said.decision],
            reason=said.reason,
            channel=said.channel,
        )
        .execution_options(synchronize_session=False)
    )
    is_ours = session.execute(statement).rowcount == 1  # type: ignore[attr-defined]
    session.refresh(approval)
    if not is_ours:
        order = session.get_one(PurchaseOrder, approval.order_id, populate_existing=True)
        raise _closed(session, approval, order)
    _tell(session, approval, said, before)


def _tell(session: Session, approval: Approval, said: _Said, version: int) -> None:
    audit.append(
        session,
        at=said.clock.now(),
        actor=said.actor,
        action=f"approval.{said.decision.value}",
        object_id=approval.number,
        before={"state": ApprovalState.PENDING.value, "version": version},
        after={
            "state": approval.state.value,
            "version": approval.version,
            "order_id": approval.order_id,
            "revision": approval.revision,
            "fingerprint": approval.fingerprint,
            "channel": said.channel,
        },
        meaning=MEANINGS[said.decision],
        reason=said.reason,
    )


def _view(session: Session, approval: Approval) -> ApprovalView:
    order = session.get_one(PurchaseOrder, approval.order_id, populate_existing=True)
    written = session.exec(
        select(PurchaseOrderRevision).where(
            PurchaseOrderRevision.order_id == order.id,
            PurchaseOrderRevision.revision == approval.revision,
        )
    ).one()
    requester = session.get(User, approval.requested_by_id)
    decider = session.get(User, approval.decided_by_id) if approval.decided_by_id else None
    return ApprovalView(
        number=approval.number,
        version=approval.version,
        state=approval.state,
        order=views(session, [order])[0],
        revision=approval.revision,
        fingerprint=approval.fingerprint,
        content=written.content,
        total_minor=approval.total_minor,
        currency=approval.currency,
        company_total_minor=approval.company_total_minor,
        required_role=approval.required_role,
        rule=approval.rule,
        requested_by=requester.login if requester else "",
        requested_by_name=requester.name if requester else "",
        requested_at=approval.requested_at,
        expires_at=approval.expires_at,
        decision=approval.decision,
        decided_by=decider.login if decider else "",
        decided_by_name=decider.name if decider else "",
        decided_at=approval.decided_at,
        meaning=approval.meaning,
        reason=approval.reason,
        channel=approval.channel,
        thread_id=approval.thread_id,
        checks=tuple(Check(**check) for check in written.checks),
        why=_why(session, order),
    )


def _why(session: Session, order: PurchaseOrder) -> tuple[Why, ...]:
    rows = session.exec(
        select(Recommendation, Item.sku)
        .join(
            PurchaseOrderLine,
            col(PurchaseOrderLine.recommendation_id) == col(Recommendation.id),
        )
        .join(Item, col(Item.id) == col(Recommendation.item_id))
        .where(PurchaseOrderLine.order_id == order.id)
        .order_by(col(PurchaseOrderLine.line_number))
    )
    return tuple(
        Why(sku, f"R-{row.id}", row.order_units, tuple(row.waterfall)) for row, sku in rows
    )
