"""Who may decide about an order: limits, separation of duties, scope, two people."""

from sqlmodel import Session

from db.models.catalog import ExchangeRate, Supplier
from db.models.identity import User
from db.models.purchasing import Approval, PurchaseOrder
from db.once import fresh
from db.types import Actor, Role
from tools.company import Company
from tools.errors import Forbidden
from tools.identity.core import can_approve, is_within, rank, with_article
from tools.money import amount_spoken, company_minor
from tools.policy import service as policies
from tools.policy.core.policy import Policy
from tools.policy.core.rules import WITH_REASON, Breach
from tools.purchasing.core.authority import Rule, rule_for, two_person_rule
from tools.purchasing.core.quantities import check_amount
from tools.purchasing.service.policing import (
    Ordered,
    authors_of,
    broken,
    people_behind,
    unusual,
)
from tools.purchasing.service.rows import lines_of

_SOMEBODY_ELSE = "Somebody else must decide; the request stays open."


def company_total(session: Session, order: PurchaseOrder, company: Company) -> int:
    """Return an order's total in minor units of company currency.

    Raises:
        InvalidInput: The order's currency has no exchange rate, or the total cannot be counted.
    """
    is_own = order.currency == company.currency  # counts as it is
    rate = None if is_own else session.get(ExchangeRate, order.currency, populate_existing=True)
    total = company_minor(
        order.total_minor,
        currency=order.currency,
        rate_micro=rate.rate_micro if rate else None,
        company_currency=company.currency,
    )
    check_amount(total, f"order {order.number!r}", company.currency)
    return total


def approval_rule(
    session: Session,
    order: PurchaseOrder,
    company: Company,
    *,
    policy: Policy,
    asker: Actor,
) -> Rule:
    """Return who must decide about an order as it stands, and how many people.

    Args:
        session: The transaction.
        order: The order.
        company: Its currency is that of limits.
        policy: The policy in force.
        asker: Who asks: like whoever changed the order, they do not count among the two people of
            an order that needs two.

    Raises:
        InvalidInput: The order's currency has no exchange rate.
        Conflict: Nobody may decide about this much, or there are not two people who may.
    """
    supplier = fresh(session, Supplier, order.supplier_id)
    total = company_total(session, order, company)
    breaches = unusual_lines(session, policy, order, supplier)
    rule = rule_for(
        total,
        currency=company.currency,
        limits=policy.role_limits,
        highest_minor=policies.highest_limit(session),
        needs_manager=not supplier.is_approved or any(one.needs_manager for one in breaches),
    )
    able = policies.able_to_approve(session, total)
    return two_person_rule(
        rule,
        total,
        above_minor=policy.two_person_above_minor,
        able=len(able - {asker.user_id} - authors_of(session, order, order.revision)),
        currency=company.currency,
    )


def unusual_lines(
    session: Session, policy: Policy, order: PurchaseOrder, supplier: Supplier
) -> list[Breach]:
    """Return what is unusual about the lines of an order as it stands."""
    lines = [
        Ordered(item, line.ordered_units, line.unit_price_minor)
        for line, item in lines_of(session, order.id)
    ]
    return unusual(
        session, policy, supplier, lines, location_id=order.location_id, order_id=order.id
    )


def needs_reauthentication(session: Session, order: PurchaseOrder) -> bool:
    """Whether an order has an item whose approval must be signed with a password."""
    return any(item.signature_required for _, item in lines_of(session, order.id))


def signatures_needed(policy: Policy, approval: Approval, total_minor: int) -> int:
    """Return how many people must sign: as asked for, or as the policy says now, if that is more.

    Args:
        policy: The policy in force.
        approval: The request.
        total_minor: The order's total now, minor units of company currency.
    """
    above = policy.two_person_above_minor
    now = 2 if above is not None and total_minor > above else 1
    return max(now, approval.required_signatures)


def check_authority(
    session: Session,
    order: PurchaseOrder,
    approval: Approval,
    *,
    actor: Actor,
    company: Company,
    policy: Policy,
    reason: str = "",
) -> None:
    """Refuse an approver whose role, limit or part in the order does not allow the decision.

    An order is its approver's own when they drafted it, ever asked for it, or ever changed it.

    Raises:
        Forbidden: It does not; the message says why, ``details['rule']`` which rule.
    """
    user = fresh(session, User, actor.user_id)
    if not can_approve(user.role):
        text = f"{with_article(user.role)} does not decide about orders"
        raise _forbidden("role", text, approval.required_role)
    total = company_total(session, order, company)
    spoken = amount_spoken(total, company.currency)
    limit = policies.approval_limit(session, actor)
    if not is_within(limit, total):
        own = amount_spoken(limit or 0, company.currency)
        text = f"your limit is {own} and this order is {spoken}; it needs {_who(approval)}"
        raise _forbidden("limit", text, approval.required_role)
    is_own = user.id in people_behind(session, order, approval)
    if is_own and signatures_needed(policy, approval, total) > 1:
        text = f"two people must sign {spoken}, neither of whom asked for it or wrote it"
        raise _forbidden("separation_of_duties", text, approval.required_role)
    if is_own and total > policy.self_approval_limit_minor:
        own = amount_spoken(policy.self_approval_limit_minor, company.currency)
        text = f"nobody approves what they asked for or wrote above {own}; this is {spoken}"
        raise _forbidden("separation_of_duties", text, approval.required_role)
    check_exceptions(
        session, order, user=user, policy=policy, reason=reason,
        required_role=approval.required_role,
    )  # fmt: skip


def check_exceptions(
    session: Session,
    order: PurchaseOrder,
    *,
    user: User,
    policy: Policy,
    reason: str,
    required_role: str,
) -> None:
    """Refuse what needs a manager from anybody below, and what needs a reason without one.

    Raises:
        Forbidden: ``details['rule']`` says which rule.
    """
    supplier = fresh(session, Supplier, order.supplier_id)
    is_manager = rank(user.role) >= rank(Role.MANAGER)
    if not supplier.is_approved and not is_manager:
        text = f"{supplier.name!r} is not an approved supplier; a manager must decide"
        raise _forbidden("supplier", text, required_role)
    for breach in unusual_lines(session, policy, order, supplier):
        if breach.needs_manager and not is_manager:
            text = f"{breach.sentence}; a manager must decide"
            raise _forbidden(breach.rule, text, required_role)
        if not reason:
            raise broken(breach.rule, f"{breach.sentence}; it needs a reason", WITH_REASON)


def _forbidden(rule: str, text: str, required_role: str) -> Forbidden:
    return broken(rule, text, _SOMEBODY_ELSE, required_role=required_role)


def _who(approval: Approval) -> str:
    return f"{with_article(Role(approval.required_role))} or somebody with a higher limit"
