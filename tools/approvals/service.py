"""A person's decision, in one transaction with everything that follows from it.

Only doors import this module. A refusal is raised, and what the refused decision did is rolled back
with it: the request stays as it was. The door then calls ``tell_refusal`` in the transaction around
it, so that the trail tells who tried what and which rule stopped them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from db.models.catalog import Item
from db.models.identity import User
from db.models.planning import Recommendation
from db.models.purchasing import (
    Approval,
    ApprovalSignature,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderRevision,
)
from db.once import fresh
from db.types import Actor, ApprovalState, Decision, OrderState, Permission
from tools.approvals.core import (
    MEANINGS,
    ApprovalView,
    DecisionOutcome,
    SignatureView,
    Why,
    answered,
    read_edits,
)
from tools.audit import service as audit
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, Forbidden, InvalidInput
from tools.identity.service import acting
from tools.policy import service as policies
from tools.purchasing.core.views import Check
from tools.purchasing.service.authority import company_total, signatures_needed
from tools.purchasing.service.drafting import check_order_scope
from tools.purchasing.service.pending import change_pending, check_open, load_approval
from tools.purchasing.service.reading import views
from tools.purchasing.service.requesting import expire, request_approval
from tools.purchasing.service.revising import Change, revise
from tools.purchasing.service.rows import lines_of, revision_of, step
from tools.purchasing.service.signing import (
    add_signature,
    check_signer,
    refuse_a_second_time,
    signatures_of,
)
from tools.purchasing.service.submitting import check_content, check_releasable, submit
from tools.purchasing.service.timing import has_run_out, steady
from tools.reach.service import orders_here
from tools.text import plain_text


def list_approvals(
    session: Session, *, state: ApprovalState | None = None, limit: int = 50
) -> list[ApprovalView]:
    """Return the approval requests that this session may see, newest first."""
    statement = (
        select(Approval)
        .join(PurchaseOrder, col(PurchaseOrder.id) == col(Approval.order_id))
        .where(*orders_here(session))
        .order_by(col(Approval.id).desc())
        .limit(limit)
    )
    if state is not None:
        statement = statement.where(Approval.state == state)
    return [_view(session, row) for row in session.exec(statement).all()]


def get_approval(session: Session, number: str) -> ApprovalView:
    """Return a request with everything a person must see before deciding.

    Raises:
        NotFound: There is no such request.
    """
    return _view(session, load_approval(session, number))


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
    reauthenticated: bool = False,
) -> DecisionOutcome:
    """Record what a person decided about a pending request, and do what follows from it.

    ``approve`` signs. With the last signature that is needed the order goes into the outbox; before
    that the request stays open at its next version. ``edit`` makes a new revision with a new
    request in the editor's name, who then approves it alone only within the limit for own orders.
    ``reject`` makes the order a draft again. ``respond`` leaves the request open and keeps
    ``reason`` as the answer. An order is judged by the policy in force now, not when it was asked
    for.

    Args:
        session: The transaction; everything happens in it or nothing.
        number: Public number of the request.
        version: The version that the person saw.
        decision: What they said.
        actor: Who they are.
        clock: Time; a machine's clock gives way to the database's.
        company: The rules of the house.
        channel: The door: rest, cli, slack, web.
        reason: In their words; needed to respond, and for what the policy calls unusual.
        edits: For ``edit``: a list of ``{"sku", "quantity"}``.
        fingerprint: What they saw, at least 12 digits of it, if the door knows.
        reauthenticated: Whether they entered their password with this decision.

    Raises:
        NotFound: There is no such request.
        Stale: It is not what the person saw; ``details`` holds what is current.
        Conflict: It was decided already, ran out, or the world changed.
        Forbidden: Role, limit, scope, separation of duties or another rule of the policy do not
            allow it; ``details['rule']`` names the rule.
        InvalidInput: The answer or the edits are missing or wrong.
    """
    audit.lock(session)
    clock = steady(session, clock)
    approval = load_approval(session, number)
    order = fresh(session, PurchaseOrder, approval.order_id)
    check_open(session, approval, order, version=version, fingerprint=fingerprint)
    said = _Said(
        decision, _decider(session, actor, approval), plain_text(reason, longest=500), channel,
        clock, company, is_reauthenticated=reauthenticated,
    )  # fmt: skip
    _check_said(session, approval, order, said)
    wanted = read_edits(edits) if decision is Decision.EDIT else ()
    changes = [Change(edit.sku, edit.quantity) for edit in wanted]
    missing = _sign(session, approval, order, said) if decision is Decision.APPROVE else 0
    if not missing:
        _record(session, approval, said)
        approval = _follow(session, approval, order, said, changes)
    message = answered(
        decision, actor_name=said.actor.name, order=order.number, reason=said.reason,
        missing=missing, is_stopped=not policies.current(session).dispatch_enabled,
    )  # fmt: skip
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
    is_reauthenticated: bool


def _decider(session: Session, actor: Actor, approval: Approval) -> Actor:
    """Return the person as they are now; a role or key that does not decide is refused."""
    try:
        return acting(session, actor, Permission.DECIDE)
    except Forbidden as error:
        error.details |= {
            "rule": error.details.get("reason", "role"),
            "required_role": approval.required_role,
        }
        raise


def _check_said(session: Session, approval: Approval, order: PurchaseOrder, said: _Said) -> None:
    """Refuse a decision outside the person's work, or too late; signatures are checked further."""
    check_order_scope(session, said.actor, order)
    ran_out = has_run_out(session, approval.expires_at, said.clock)
    if ran_out and said.decision is not Decision.REJECT:
        raise Conflict(
            f"approval {approval.number!r} ran out",
            next_step="Ask for a new one.",
            details={"reason": "expired", "rule": "expired"},
        )
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


def list_due(session: Session, *, clock: Clock, most: int = 100) -> list[str]:
    """Return the numbers of requests that waited too long, oldest first."""
    now = steady(session, clock).now()
    statement = (
        select(Approval.number)
        .where(Approval.state == ApprovalState.PENDING, col(Approval.expires_at) <= now)
        .order_by(col(Approval.id))
        .limit(most)
    )
    return list(session.exec(statement))


def close_due(session: Session, number: str, *, clock: Clock) -> bool:
    """Close one request that waited too long, in a transaction of its own; False if it did not."""
    audit.lock(session)
    approval = load_approval(session, number)
    order = session.get_one(PurchaseOrder, approval.order_id, populate_existing=True)
    return expire(session, order, approval, clock=steady(session, clock))


_STATE_AFTER: Mapping[Decision, ApprovalState] = {
    Decision.APPROVE: ApprovalState.APPROVED,
    Decision.EDIT: ApprovalState.VOID,
    Decision.REJECT: ApprovalState.REJECTED,
    Decision.RESPOND: ApprovalState.PENDING,
}


def _record(session: Session, approval: Approval, said: _Said) -> None:
    """Compare-and-set the decision on the version that was seen, and tell the trail."""
    before = approval.version
    change_pending(
        session, approval, state=_STATE_AFTER[said.decision], decision=said.decision,
        decided_by_id=said.actor.user_id, decided_at=said.clock.now(),
        meaning=MEANINGS[said.decision], reason=said.reason, channel=said.channel,
    )  # fmt: skip
    _tell(session, approval, said, before, f"approval.{said.decision.value}")


def _sign(session: Session, approval: Approval, order: PurchaseOrder, said: _Said) -> int:
    """Put the person's name under the request; returns how many names are still missing.

    Everything that would stop the order is checked now, and again with the last name.
    """
    signed = signatures_of(session, approval)
    refuse_a_second_time(signed, said.actor.user_id, approval.number)
    mine = _signature(approval, said)
    company = said.company
    policy = policies.in_force(session, clock=said.clock, company=company)
    total = company_total(session, order, company)
    needed = signatures_needed(policy, approval, total)
    missing = needed - len(signed) - 1
    if missing > 0:
        check_content(session, order, approval)
        check_signer(session, order, approval, signature=mine, policy=policy, company=company)
        check_releasable(
            session, order, approval, policy=policy, clock=said.clock, company=company
        )  # fmt: skip
        before = approval.version
        change_pending(session, approval, required_signatures=needed)
        _tell(session, approval, said, before, "approval.signed")
    add_signature(session, approval, signed, mine)
    return max(missing, 0)


def _signature(approval: Approval, said: _Said) -> ApprovalSignature:
    return ApprovalSignature(
        approval_id=approval.id,
        user_id=said.actor.user_id,
        printed_name=said.actor.name,
        signed_at=said.clock.now(),
        meaning=MEANINGS[Decision.APPROVE],
        reason=said.reason,
        channel=said.channel,
        fingerprint=approval.fingerprint,
        is_reauthenticated=said.is_reauthenticated,
    )


def _tell(session: Session, approval: Approval, said: _Said, version: int, action: str) -> None:
    signed = {"printed_name": said.actor.name, "is_reauthenticated": said.is_reauthenticated}
    audit.append(
        session, at=said.clock.now(), actor=said.actor, action=action, object_id=approval.number,
        before={"state": ApprovalState.PENDING.value, "version": version},
        after={
            "state": approval.state.value,
            "version": approval.version,
            "order_id": approval.order_id,
            "revision": approval.revision,
            "fingerprint": approval.fingerprint,
            "channel": said.channel,
            **(signed if said.decision is Decision.APPROVE else {}),
        },
        meaning=MEANINGS[said.decision], reason=said.reason,
    )  # fmt: skip


def _view(session: Session, approval: Approval) -> ApprovalView:
    order = fresh(session, PurchaseOrder, approval.order_id)
    written = _written(session, approval, order)
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
        required_signatures=approval.required_signatures,
        needs_reauthentication=approval.needs_reauthentication,
        policy_version=approval.policy_version,
        signatures=_signatures(session, approval),
    )


def _written(session: Session, approval: Approval, order: PurchaseOrder) -> PurchaseOrderRevision:
    """Return the revision that the request is about."""
    if approval.revision == order.revision:
        return revision_of(session, order)
    return session.exec(
        select(PurchaseOrderRevision).where(
            PurchaseOrderRevision.order_id == approval.order_id,
            PurchaseOrderRevision.revision == approval.revision,
        )
    ).one()


def _signatures(session: Session, approval: Approval) -> tuple[SignatureView, ...]:
    found = []
    for one in signatures_of(session, approval):
        signer = session.get(User, one.user_id)
        found.append(
            SignatureView(
                signer.login if signer else "", one.printed_name, one.signed_at, one.meaning,
                one.reason, one.channel, one.is_reauthenticated,
            )
        )  # fmt: skip
    return tuple(found)


def _why(session: Session, order: PurchaseOrder) -> tuple[Why, ...]:
    if all(line.recommendation_id is None for line, _ in lines_of(session, order.id)):
        return ()
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
