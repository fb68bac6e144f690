"""Signatures under a request: who signed what, when, and whether that is enough to send it."""

from collections.abc import Sequence

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from db.models.purchasing import Approval, ApprovalSignature, PurchaseOrder
from db.once import once, remember
from tools.company import Company
from tools.errors import ApprovalRequired, Forbidden
from tools.identity.service import actor_by_id
from tools.policy.core.policy import Policy
from tools.purchasing.service.authority import (
    check_authority,
    company_total,
    needs_reauthentication,
    signatures_needed,
)
from tools.purchasing.service.policing import broken

_SIGNATURES = (
    select(ApprovalSignature)
    .where(col(ApprovalSignature.approval_id) == bindparam("approval_id"))
    .order_by(col(ApprovalSignature.id))
    .execution_options(populate_existing=True)
)


def signatures_of(session: Session, approval: Approval) -> list[ApprovalSignature]:
    """Return the signatures under a request, in the order in which they were given."""
    asked = {"approval_id": approval.id}
    return once(
        session,
        ("signatures", approval.id),
        lambda: list(session.exec(_SIGNATURES, params=asked).all()),
        of=(ApprovalSignature,),
    )


def add_signature(
    session: Session,
    approval: Approval,
    signed: Sequence[ApprovalSignature],
    mine: ApprovalSignature,
) -> None:
    """Store a signature under a request, after those that ``signatures_of`` gave."""
    session.add(mine)
    session.flush()
    remember(session, ("signatures", approval.id), [*signed, mine], of=(ApprovalSignature,))


def check_signatures(
    session: Session,
    order: PurchaseOrder,
    approval: Approval,
    *,
    policy: Policy,
    company: Company,
) -> list[ApprovalSignature]:
    """Return the signatures that release an order; every signer must still be allowed to.

    Raises:
        ApprovalRequired: There are fewer than the order needs, or one is for something else.
        Forbidden: A signer may not decide about this order, or did not give the password that one
            of its items asks for.
    """
    signed = signatures_of(session, approval)
    total = company_total(session, order, company)
    needed = signatures_needed(policy, approval, total)
    is_all_for_this = all(one.fingerprint == approval.fingerprint for one in signed)
    if len({one.user_id for one in signed}) < needed or not is_all_for_this:
        raise ApprovalRequired(
            f"approval {approval.number!r} has {len(signed)} of {needed} signatures",
            next_step="Another person must sign before the order can leave.",
            details={"reason": "two_person", "rule": "two_person"},
        )
    for one in signed:
        check_signer(
            session, order, approval, signature=one, policy=policy, company=company
        )  # fmt: skip
    return signed


def check_signer(
    session: Session,
    order: PurchaseOrder,
    approval: Approval,
    *,
    signature: ApprovalSignature,
    policy: Policy,
    company: Company,
) -> None:
    """Refuse a signature whose giver may not give it, or gave no password where one is needed.

    Raises:
        Forbidden: ``details['rule']`` says which rule.
    """
    check_authority(
        session, order, approval, actor=actor_by_id(session, signature.user_id), company=company,
        policy=policy, reason=signature.reason,
    )  # fmt: skip
    if signature.is_reauthenticated:
        return
    if approval.needs_reauthentication or needs_reauthentication(session, order):
        raise broken(
            "signature_required",
            f"an item of {order.number} needs a signature: whoever approves it enters their "
            "password with the decision",
            "Decide again with your password; an API key alone does not sign.",
        )


def refuse_a_second_time(signed: Sequence[ApprovalSignature], user_id: int, number: str) -> None:
    """Refuse a person who signed already: two signatures are two people.

    Raises:
        Forbidden: They did; ``details['rule']`` is ``two_person``.
    """
    if any(one.user_id == user_id for one in signed):
        raise Forbidden(
            f"you signed {number!r} already; the second signature is another person's",
            next_step="Somebody else whose limit covers it must sign.",
            details={"reason": "two_person", "rule": "two_person"},
        )
