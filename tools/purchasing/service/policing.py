"""The policy held against an order: what is blocked, what is unusual, what is too much at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, CompoundSelect, bindparam, exists, func, or_, true, union
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from db.models.catalog import Item, Supplier
from db.models.identity import User
from db.models.purchasing import (
    Approval,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderRevision,
    SupplierAnswer,
)
from db.once import once
from db.types import AnswerState, ApprovalState, OrderState
from tools.company import Company
from tools.errors import Forbidden
from tools.policy.core.policy import Policy
from tools.policy.core.rules import (
    WAIT,
    Breach,
    cap_breach,
    price_breach,
    quantity_breach,
    rate_breach,
)
from tools.purchasing.core.views import Check
from tools.purchasing.service.coverage import daily_demand

_NEVER_LEFT = (
    OrderState.DRAFT, OrderState.PENDING_APPROVAL, OrderState.APPROVED, OrderState.CANCELLED,
    OrderState.REJECTED,
)  # fmt: skip
_HALF = 2**32  # sums are taken in two halves: one of them alone cannot overflow


@dataclass(frozen=True)
class Ordered:
    """One line as the policy looks at it."""

    item: Item
    units: int
    unit_price_minor: int


_AUTHORS: CompoundSelect[tuple[int | None]] = union(
    select(PurchaseOrderRevision.created_by_id).where(
        col(PurchaseOrderRevision.order_id) == bindparam("order_id"),
        col(PurchaseOrderRevision.revision) <= bindparam("revision"),
    ),
    select(Approval.requested_by_id).where(col(Approval.order_id) == bindparam("order_id")),
)
_APPROVED_COUNT = (
    select(func.count()).select_from(Approval).where(col(Approval.consumed_at) > bindparam("since"))
)


def refuse_blocked(policy: Policy, supplier: Supplier, items: Sequence[Item]) -> None:
    """Refuse what the policy blocks.

    Raises:
        Forbidden: It does; ``details['rule']`` is ``blocked_supplier`` or ``blocked_item``.
    """
    next_step = "An admin can take it off the policy's list."
    if supplier.code_key in policy.blocked_suppliers:
        text = f"the policy blocks supplier {supplier.code!r}: nobody orders from it"
        raise broken("blocked_supplier", text, next_step)
    for item in items:
        if item.sku_key in policy.blocked_items:
            text = f"the policy blocks item {item.sku!r}: nobody orders it"
            raise broken("blocked_item", text, next_step)


def unusual(
    session: Session,
    policy: Policy,
    supplier: Supplier,
    lines: Sequence[Ordered],
    *,
    location_id: int,
    order_id: int | None = None,
) -> list[Breach]:
    """Return what is far from the last order or the forecast: it needs a reason, some a manager."""
    found: list[Breach | None] = []
    for line in lines:
        found.append(_price_breach(session, policy, supplier, line, order_id))
        found.append(_quantity_breach(session, policy, line, location_id, order_id))
    return [breach for breach in found if breach is not None]


def _price_breach(
    session: Session, policy: Policy, supplier: Supplier, line: Ordered, order_id: int | None
) -> Breach | None:
    tolerance_bp = policy.last_price_tolerance_bp
    if tolerance_bp is None:
        return None
    last = _last(session, line.item, order_id, col(PurchaseOrder.supplier_id) == supplier.id)
    if last is None or last.currency != supplier.currency:
        return None
    return price_breach(
        line.item.sku, last_minor=last.unit_price_minor, price_minor=line.unit_price_minor,
        tolerance_bp=tolerance_bp, currency=supplier.currency,
    )  # fmt: skip


def _quantity_breach(
    session: Session, policy: Policy, line: Ordered, location_id: int, order_id: int | None
) -> Breach | None:
    if policy.max_quantity_ratio is None and policy.max_cover_days is None:
        return None
    last = _last(session, line.item, order_id, col(PurchaseOrder.location_id) == location_id)
    return quantity_breach(
        line.item.sku, line.units, last_units=last.units if last else None,
        most_ratio=policy.max_quantity_ratio, most_days=policy.max_cover_days,
        daily_demand=daily_demand(session, line.item.id, location_id),
    )  # fmt: skip


def as_checks(breaches: Sequence[Breach]) -> list[Check]:
    """Return what is unusual as people see it before they decide."""
    return [
        Check(
            one.rule, "warning",
            f"{one.sentence}; it needs a reason" + (" and a manager" if one.needs_manager else ""),
        )
        for one in breaches
    ]  # fmt: skip


def refuse_too_much(
    session: Session,
    policy: Policy,
    order: PurchaseOrder,
    approval: Approval,
    *,
    total_minor: int,
    at: datetime,
    company: Company,
) -> None:
    """Refuse an order that would take supplier, requester or the hour over the policy's caps.

    Counted is everything that was approved in the window and still stands, in company currency at
    the rate of its own approval, however it was split into orders and currencies. The audit lock
    is held, so two approvals at once count each other.

    Raises:
        Forbidden: ``details['rule']`` is ``supplier_cap``, ``requester_cap`` or
            ``orders_per_hour``.
    """
    hour = None
    if policy.orders_per_hour is not None:
        count = _approved_count(session, at - timedelta(hours=1), approval)
        hour = rate_breach(count, policy.orders_per_hour)
    caps = _cap_breaches(session, policy, order, approval, total_minor, at, company)
    for breach in (hour, *caps):
        if breach is not None:
            raise broken(breach.rule, breach.sentence, WAIT)


def refuse_raise(
    session: Session,
    policy: Policy,
    order: PurchaseOrder,
    approval: Approval,
    *,
    total_minor: int,
    at: datetime,
    company: Company,
) -> None:
    """Refuse a supplier's dearer answer that would take the policy's caps over their limit.

    Args:
        session: The transaction, which holds the audit lock.
        policy: The policy in force.
        order: The order as the answer makes it.
        approval: With which it left.
        total_minor: Its new total, minor units of company currency.
        at: Now.
        company: Its currency is that of caps.

    Raises:
        Forbidden: As ``refuse_too_much``.
    """
    is_counted = approval.consumed_at is not None and approval.consumed_at > at - policy.cap_window
    counts_minor = total_minor if is_counted else total_minor - approval.company_total_minor
    refuse_too_much(
        session, policy, order, approval, total_minor=counts_minor, at=at, company=company
    )


def people_behind(session: Session, order: PurchaseOrder, approval: Approval) -> set[int]:
    """Return the ids of everybody behind an order: whoever changed it counts as its owner.

    That is who drafted it, wrote any of its revisions up to the approval's, or ever asked for an
    approval of it. Who accepted a supplier's answer later signed for that and is no author.
    """
    return authors_of(session, order, approval.revision) | {approval.requested_by_id}


def authors_of(session: Session, order: PurchaseOrder, revision: int) -> set[int]:
    """Return who drafted an order, asked for an approval, or wrote a revision up to this one."""
    asked = {"order_id": order.id, "revision": revision}
    written = once(
        session,
        ("authors", order.id, revision),
        lambda: set(session.execute(_AUTHORS, asked).scalars()),
        of=(PurchaseOrderRevision,),  # an asker never changes, and a new one is known to who asks
    )
    return {one for one in {order.requested_by_id, *written} if one is not None}


def broken(rule: str, text: str, next_step: str, **details: object) -> Forbidden:
    """Return the refusal that names a rule of the policy."""
    return Forbidden(text, next_step=next_step, details={"reason": rule, "rule": rule, **details})


def _cap_breaches(
    session: Session,
    policy: Policy,
    order: PurchaseOrder,
    approval: Approval,
    total_minor: int,
    at: datetime,
    company: Company,
) -> Iterator[Breach | None]:
    since = at - policy.cap_window
    asked: list[tuple[str, str, int | None, ColumnElement[bool]]] = []
    if policy.supplier_cap_minor is not None:
        code = session.get_one(Supplier, order.supplier_id).code
        by_supplier = col(PurchaseOrder.supplier_id) == order.supplier_id
        asked.append(("supplier_cap", f"supplier {code!r}", policy.supplier_cap_minor, by_supplier))
    if policy.requester_cap_minor is not None:
        for user_id in sorted(people_behind(session, order, approval)):
            what = f"orders of {session.get_one(User, user_id).login!r}"
            by_person = _is_behind(user_id)
            asked.append(("requester_cap", what, policy.requester_cap_minor, by_person))
    for rule, what, cap_minor, whose in asked:
        yield cap_breach(
            rule, what, before_minor=_approved_minor(session, since, approval, whose),
            order_minor=total_minor, cap_minor=cap_minor, window=policy.cap_window,
            currency=company.currency,
        )  # fmt: skip


def _is_behind(user_id: int) -> ColumnElement[bool]:
    """Whether a person is among ``people_behind`` an order and its approval, in SQL."""
    asked, wrote = aliased(Approval), aliased(PurchaseOrderRevision)
    return or_(
        col(PurchaseOrder.requested_by_id) == user_id,
        exists().where(
            col(asked.order_id) == col(Approval.order_id), col(asked.requested_by_id) == user_id
        ),
        exists().where(
            col(wrote.order_id) == col(Approval.order_id),
            col(wrote.revision) <= col(Approval.revision),
            col(wrote.created_by_id) == user_id,
        ),
    )


def _approved_minor(
    session: Session, since: datetime, but: Approval, whose: ColumnElement[bool]
) -> int:
    amount = col(Approval.company_total_minor)
    high, low = session.execute(
        select(
            func.coalesce(func.sum(amount // _HALF), 0), func.coalesce(func.sum(amount % _HALF), 0)
        )
        .join(PurchaseOrder, col(PurchaseOrder.id) == col(Approval.order_id))
        .where(
            col(Approval.consumed_at) > since,
            col(Approval.state) == ApprovalState.APPROVED,
            col(Approval.id) != but.id,
            whose,
        )
    ).one()
    return int(high) * _HALF + int(low) + sum(_raised(session, since, but, whose).values())


def _raised(
    session: Session, since: datetime, but: Approval, whose: ColumnElement[bool]
) -> dict[int, int]:
    """Return by how much suppliers' answers raised orders, at the rate of each approval.

    Minor units of company currency by order, for those accepted in the window: such an order
    counts for its new total.
    """
    accepted = select(SupplierAnswer.order_id).where(
        SupplierAnswer.state == AnswerState.ACCEPTED, col(SupplierAnswer.decided_at) > since
    )
    rows = session.execute(
        select(
            col(PurchaseOrder.id), col(Approval.company_total_minor), col(Approval.total_minor),
            col(PurchaseOrder.total_minor),
        )
        .join(Approval, col(Approval.order_id) == col(PurchaseOrder.id))
        .where(
            col(Approval.state) == ApprovalState.APPROVED,
            col(Approval.consumed_at).is_not(None),
            col(PurchaseOrder.total_minor) > col(Approval.total_minor),
            col(PurchaseOrder.id).in_(accepted),
            whose,
        )
        .order_by(col(Approval.id))
    )  # fmt: skip
    return {
        order_id: -(-company * (now - then) // then) if then else 0
        for order_id, company, then, now in rows
        if order_id != but.order_id
    }


def _approved_count(session: Session, since: datetime, but: Approval) -> int:
    """Return how many orders were approved since then, or raised: all but the one at hand."""
    raised = _raised(session, since, but, true())
    return session.exec(_APPROVED_COUNT, params={"since": since}).one() + len(raised)


@dataclass(frozen=True)
class _LastLine:
    units: int
    unit_price_minor: int
    currency: str


def _last(
    session: Session, item: Item, order_id: int | None, where: ColumnElement[bool]
) -> _LastLine | None:
    """Return the line of the newest order of an item that left the house."""
    statement = (
        select(
            PurchaseOrderLine.ordered_units,
            PurchaseOrderLine.unit_price_minor,
            PurchaseOrder.currency,
        )
        .join(PurchaseOrder, col(PurchaseOrder.id) == col(PurchaseOrderLine.order_id))
        .where(
            PurchaseOrderLine.item_id == item.id,
            col(PurchaseOrder.state).not_in(_NEVER_LEFT),
            where,
        )
        .order_by(col(PurchaseOrder.created_at).desc(), col(PurchaseOrder.id).desc())
        .limit(1)
    )
    if order_id is not None:
        statement = statement.where(PurchaseOrder.id != order_id)
    row = session.exec(statement).first()
    return None if row is None else _LastLine(*row)
