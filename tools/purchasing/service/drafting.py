"""Write a draft: validated lines, a price for each, and a look at what is already ordered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlmodel import Session, select

from db.counters import next_number
from db.models.catalog import Item, Location, Supplier
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from db.once import fresh
from db.types import Actor, OrderState, Permission
from tools.audit import service as audit
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, InvalidInput
from tools.identity.service import acting, require_scope
from tools.money import amount_spoken
from tools.policy.service import approval_limit, current
from tools.purchasing.core.authority import Rule
from tools.purchasing.core.content import fingerprint
from tools.purchasing.core.coverage import (
    Coverage,
    OtherOrder,
    duplicates,
    next_need_days,
    numbers,
)
from tools.purchasing.core.quantities import check_amount
from tools.purchasing.core.views import Check, OrderView
from tools.purchasing.service.authority import approval_rule
from tools.purchasing.service.coverage import coverage
from tools.purchasing.service.policing import Ordered, as_checks, refuse_blocked, unusual
from tools.purchasing.service.reading import views
from tools.purchasing.service.rows import content_of, lines_of, today, write_revision
from tools.purchasing.service.terms import (
    LineRequest,
    PricedLine,
    Wanted,
    choose_supplier,
    destination,
    detected_at,
    earliest_need,
    priced,
    terms_of,
    wanted,
)
from tools.text import plain_text


@dataclass(frozen=True)
class DraftOutcome:
    """A draft as it stands now, and what a person must know about it.

    Attributes:
        order: The draft; ``order.checks`` includes what speaks against an approval now.
        rule: Who must decide; None when nobody can, and a check of level ``block`` says why.
        your_limit_minor: What the actor may approve alone; None is without limit.
        duplicates: Orders that cover the need already; the draft was made all the same.
        voided: Numbers of approvals that this change voided.
    """

    order: OrderView
    rule: Rule | None
    your_limit_minor: int | None
    duplicates: tuple[OtherOrder, ...] = ()
    voided: tuple[str, ...] = ()


def draft(
    session: Session,
    *,
    lines: Sequence[LineRequest],
    actor: Actor,
    clock: Clock,
    company: Company,
    supplier: str | None = None,
    ship_to: str | None = None,
    need_by: date | None = None,
    note: str = "",
    duplicate_reason: str = "",
    thread_id: str | None = None,
    idempotency_key: str | None = None,
) -> DraftOutcome:
    """Write a draft; the same ``idempotency_key`` gives the same draft again.

    Without ``need_by`` and ``ship_to`` those of the lines' recommendations count.

    Raises:
        Forbidden: The actor's role may not draft, the order is outside their work, or the policy
            blocks the supplier or an item.
        InvalidInput: A line, the supplier or the date cannot be ordered; the message says why.
        Conflict: Open orders or drafts cover the need already and no ``duplicate_reason`` is given.
        NotFound: Item, supplier, place or recommendation is unknown.
        Ambiguous: A name fits several.
    """
    audit.lock(session)
    check_may_draft(session, actor)
    duplicate_reason = plain_text(duplicate_reason, longest=500)
    if idempotency_key and (made := _made_before(session, idempotency_key)):
        return outcome(session, made, actor=actor, company=company)
    asked = wanted(session, lines)
    need_by = _needed_by(need_by, asked, today(clock, company))
    seller, place = choose_supplier(session, asked, supplier), destination(session, asked, ship_to)
    check_scope(session, actor, seller, place, [line.item for line in asked])
    covers = [
        coverage(session, line.item.id, place.id, clock=clock, company=company) for line in asked
    ]
    priced_lines = _priced(session, seller, asked, covers)
    already, checks = _cover_checks(asked, covers, duplicate_reason)
    checks += order_checks(session, seller, place, priced_lines)
    order = _insert(
        session, seller, place, asked, actor=actor, clock=clock, need_by=need_by, note=note,
        thread_id=thread_id, idempotency_key=idempotency_key,
    )  # fmt: skip
    put_lines(session, order, priced_lines)
    record(
        session, order, actor=actor, clock=clock, action="order.drafted", checks=checks,
        reason=duplicate_reason,
    )  # fmt: skip
    return replace(outcome(session, order, actor=actor, company=company), duplicates=already)


def check_may_draft(session: Session, actor: Actor) -> None:
    """Refuse a role or key that may only look.

    Raises:
        Forbidden: It may only look, or the account was closed.
    """
    acting(session, actor, Permission.DRAFT)


def outcome(
    session: Session,
    order: PurchaseOrder,
    *,
    actor: Actor,
    company: Company,
    voided: Sequence[str] = (),
) -> DraftOutcome:
    """Return an order with who must decide about it, or the reason why nobody can."""
    view = views(session, [order])[0]
    rule = None
    try:
        rule = approval_rule(session, order, company, policy=current(session), asker=actor)
    except (Conflict, InvalidInput) as error:
        view = replace(view, checks=(*view.checks, Check("no_approver", "block", error.message)))
    return DraftOutcome(view, rule, approval_limit(session, actor), voided=tuple(voided))


def check_scope(
    session: Session, actor: Actor, seller: Supplier, place: Location, items: Sequence[Item]
) -> None:
    """Refuse an order outside the actor's work.

    Raises:
        Forbidden: Place, supplier or the category of an item is outside.
    """
    require_scope(
        session, actor, location=place.code, supplier=seller.code,
        categories={item.category for item in items},
    )  # fmt: skip


def check_order_scope(session: Session, actor: Actor, order: PurchaseOrder) -> None:
    """Refuse an order, as it stands, outside the actor's work.

    Raises:
        Forbidden: Place, supplier or the category of an item is outside.
    """
    seller = fresh(session, Supplier, order.supplier_id)
    place = fresh(session, Location, order.location_id)
    items = [item for _, item in lines_of(session, order.id)]
    check_scope(session, actor, seller, place, items)


def order_checks(
    session: Session,
    seller: Supplier,
    place: Location,
    lines: Sequence[PricedLine],
    *,
    order_id: int | None = None,
) -> list[Check]:
    """Return what is to be noticed about the lines and their supplier.

    Raises:
        Forbidden: The policy blocks the supplier or an item.
    """
    policy = current(session)
    refuse_blocked(policy, seller, [line.item for line in lines])
    ordered = [Ordered(line.item, line.units, line.unit_price_minor) for line in lines]
    checks = [check for line in lines for check in line.checks]
    total = sum(line.units * line.unit_price_minor for line in lines)
    if total < seller.min_order_value_minor:
        least = amount_spoken(seller.min_order_value_minor, seller.currency)
        text = f"{seller.name} accepts orders from {least}"
        checks.append(Check("below_min_order_value", "warning", text))
    if not seller.is_approved:
        text = f"{seller.name} is not an approved supplier: a manager must decide"
        checks.append(Check("supplier_not_approved", "warning", text))
    found = unusual(session, policy, seller, ordered, location_id=place.id, order_id=order_id)
    return checks + as_checks(found)


def put_lines(session: Session, order: PurchaseOrder, lines: Sequence[PricedLine]) -> None:
    """Write the lines of an order.

    Raises:
        InvalidInput: A line, or all of them, costs more than can be counted.
    """
    amounts = [line.units * line.unit_price_minor for line in lines]
    for line, amount in zip(lines, amounts, strict=True):
        check_amount(amount, f"{line.units:,} of {line.item.sku!r}", order.currency)
    check_amount(sum(amounts), f"order {order.number!r}", order.currency)
    for number, line in enumerate(lines, start=1):
        session.add(
            PurchaseOrderLine(
                order_id=order.id,
                line_number=number,
                item_id=line.item.id,
                ordered_units=line.units,
                unit_price_minor=line.unit_price_minor,
                amount_minor=line.units * line.unit_price_minor,
                recommendation_id=line.recommendation_id,
            )
        )
    session.flush()


def record(
    session: Session,
    order: PurchaseOrder,
    *,
    actor: Actor,
    clock: Clock,
    action: str,
    checks: Sequence[Check],
    reason: str,
    before: dict[str, Any] | None = None,
) -> None:
    """Keep the revision, set total and fingerprint, and tell the trail."""
    content = content_of(session, order)
    order.total_minor = content.total_minor
    order.fingerprint = fingerprint(content)
    session.flush()
    at = clock.now()
    write_revision(
        session, order, content=content, checks=checks, actor=actor, at=at, reason=reason
    )
    audit.append(
        session,
        at=at,
        actor=actor,
        action=action,
        object_id=order.number,
        before=before,
        after={
            "revision": order.revision,
            "state": order.state.value,
            "total_minor": order.total_minor,
            "currency": order.currency,
            "fingerprint": order.fingerprint,
        },
        reason=reason,
    )


def _needed_by(need_by: date | None, asked: Sequence[Wanted], today: date) -> date | None:
    if need_by is not None and need_by < today:
        raise InvalidInput(f"the need-by date {need_by.isoformat()!r} has passed")
    return need_by or earliest_need(asked, today)


def _made_before(session: Session, key: str) -> PurchaseOrder | None:
    return session.exec(
        select(PurchaseOrder)
        .where(PurchaseOrder.idempotency_key == key)
        .execution_options(populate_existing=True)
    ).one_or_none()


def _priced(
    session: Session, seller: Supplier, asked: Sequence[Wanted], covers: Sequence[Coverage]
) -> list[PricedLine]:
    return [
        priced(
            line.item,
            line.request,
            terms_of(session, seller, line.item),
            recommendation=line.recommendation,
            daily_demand=cover.daily_demand,
        )
        for line, cover in zip(asked, covers, strict=True)
    ]


def _cover_checks(
    asked: Sequence[Wanted], covers: Sequence[Coverage], reason: str
) -> tuple[tuple[OtherOrder, ...], list[Check]]:
    """Refuse what is covered already, unless there is a reason; note what nobody needs."""
    found: list[OtherOrder] = []
    checks: list[Check] = []
    for line, cover in zip(asked, covers, strict=True):
        already = duplicates(cover)
        if already and not reason.strip():
            raise _covered(line, cover, already)
        if already:
            text = f"{line.item.sku} is covered by {numbers(already)}; reason: {reason.strip()}"
            checks.append(Check("duplicate", "warning", text[:300]))
        elif (point := cover.reorder_point_units) is not None and cover.position_units > point:
            text = (
                f"{line.item.sku} needs nothing now: position {cover.position_units:,} is above "
                f"the reorder point {point:,}"
            )
            checks.append(Check("no_need", "warning", text))
        found += already
    return tuple(found), checks


def _covered(line: Wanted, cover: Coverage, already: Sequence[OtherOrder]) -> Conflict:
    item = line.item
    named = ", ".join(f"{o.number} ({o.units:,} {item.uom}, {o.state.value})" for o in already)
    point = cover.reorder_point_units
    reached = "" if point is None else f", above the reorder point {point:,}"
    return Conflict(
        f"{named} already covers {item.sku!r}: with it the position is "
        f"{cover.position_units:,}{reached}",
        next_step="Ask why another order is wanted (duplicate_reason), or revise the open draft.",
        details={
            "sku": item.sku,
            "duplicates": [
                {
                    "po_id": other.number,
                    "quantity": other.units,
                    "uom": item.uom,
                    "state": other.state.value,
                    "by": other.by,
                    "at": other.at.isoformat(timespec="seconds"),
                }
                for other in already
            ],
            "inventory_position": cover.position_units,
            "reorder_point": point,
            "next_need_in_days": next_need_days(cover),
        },
    )


def _insert(
    session: Session,
    seller: Supplier,
    place: Location,
    asked: Sequence[Wanted],
    *,
    actor: Actor,
    clock: Clock,
    need_by: date | None,
    note: str,
    thread_id: str | None,
    idempotency_key: str | None,
) -> PurchaseOrder:
    seen = detected_at(session, asked)
    order = PurchaseOrder(
        number=next_number(session, "purchase_order"),
        supplier_id=seller.id,
        location_id=place.id,
        state=OrderState.DRAFT,
        currency=seller.currency,
        fingerprint="",
        need_by_on=need_by,
        note=plain_text(note, longest=2000),
        thread_id=thread_id,
        requested_by_id=actor.user_id,
        idempotency_key=idempotency_key,
        detected_at=seen.as_of_at if seen else None,
        created_at=clock.now(),
    )
    session.add(order)
    session.flush()
    return order
