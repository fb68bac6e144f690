"""Change or cancel an order that has not left the house; both void its approvals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import delete, update
from sqlmodel import Session, col

from db.models.catalog import Location, Supplier
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from db.types import Actor, OrderState
from tools.audit import service as audit
from tools.catalog.service import resolve_item
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, InvalidInput
from tools.outbox import service as outbox
from tools.purchasing.core.content import fingerprint
from tools.purchasing.core.quantities import price_for
from tools.purchasing.core.states import UNSENT
from tools.purchasing.core.views import OrderView
from tools.purchasing.service.coverage import daily_demand
from tools.purchasing.service.drafting import (
    DraftOutcome,
    check_may_draft,
    check_order_scope,
    check_scope,
    order_checks,
    outcome,
    put_lines,
    record,
)
from tools.purchasing.service.reading import views
from tools.purchasing.service.rows import (
    OrderLine,
    content_of,
    lines_of,
    load,
    stale,
    step,
    void_approvals,
    was_restored,
)
from tools.purchasing.service.terms import LineRequest, PricedLine, priced, terms_of
from tools.text import plain_text


@dataclass(frozen=True)
class Change:
    """A new quantity for an item; zero takes its line away, a new item adds one."""

    sku: str
    quantity: float
    unit: str | None = None


@dataclass(frozen=True)
class CancelOutcome:
    """What came of a request to cancel."""

    order: OrderView
    is_cancelled: bool
    was_sent: bool
    message: str
    voided: tuple[str, ...] = ()


def revise(
    session: Session,
    *,
    number: str,
    changes: Sequence[Change],
    actor: Actor,
    clock: Clock,
    company: Company,
    revision: int | None = None,
    reason: str = "",
) -> DraftOutcome:
    """Make the next revision of an order, at today's prices; older approvals become void.

    Without changes the revision takes over new prices and supplier data, or replaces one whose
    delivery was taken back.

    Args:
        session: The transaction.
        number: Public number of the order.
        changes: New quantities.
        actor: Who changes it.
        clock: Time.
        company: The rules of the house.
        revision: The revision the actor saw; another current one refuses the change.
        reason: Why.

    Raises:
        Forbidden: The order is outside the actor's work, or the policy blocks what it orders.
        Stale: The order is at another revision.
        Conflict: The order was sent or is being sent.
        InvalidInput: A change cannot be ordered, changes nothing, or takes the last line away.
    """
    audit.lock(session)
    check_may_draft(session, actor)
    reason = plain_text(reason, longest=500)
    order = _unsent(session, number, "revised")
    check_order_scope(session, actor, order)
    if revision is not None and revision != order.revision:
        raise stale(order)
    before = {"revision": order.revision, "fingerprint": order.fingerprint}
    seller = session.get_one(Supplier, order.supplier_id, populate_existing=True)
    place = session.get_one(Location, order.location_id)
    lines = _changed_lines(session, order, seller, changes)
    check_scope(session, actor, seller, place, [line.item for line in lines])
    checks = order_checks(session, seller, place, lines, order_id=order.id)
    _refuse_no_change(session, order, lines, changes)
    _take_over(session, order)
    voided = void_approvals(session, order)
    session.execute(delete(PurchaseOrderLine).where(col(PurchaseOrderLine.order_id) == order.id))
    session.expire_all()
    put_lines(session, order, lines)
    record(
        session, order, actor=actor, clock=clock, action="order.revised", checks=checks,
        reason=reason, before=before,
    )  # fmt: skip
    return outcome(session, order, actor=actor, company=company, voided=voided)


def cancel(
    session: Session, *, number: str, actor: Actor, clock: Clock, reason: str
) -> CancelOutcome:
    """Cancel an order that has not left the house; one that was sent stays as it is.

    Raises:
        Forbidden: The order is outside the actor's work.
        InvalidInput: No reason is given.
        Conflict: The order is being sent right now.
    """
    audit.lock(session)
    check_may_draft(session, actor)
    reason = plain_text(reason, longest=500)
    if not reason:
        raise InvalidInput("a cancellation needs a reason", next_step="Ask why.")
    order = load(session, number)
    check_order_scope(session, actor, order)
    if order.state is OrderState.CANCELLED:
        view = views(session, [order])[0]
        return CancelOutcome(view, True, False, f"{order.number} was cancelled already")
    if order.state not in UNSENT:
        text = (
            f"{order.number} is {order.state.value} and was sent: a person must ask "
            f"the supplier to cancel it. Nothing was changed."
        )
        return CancelOutcome(views(session, [order])[0], False, True, text)
    outbox.cancel_unsent(session, order.id)
    voided = void_approvals(session, order)
    now = clock.now()
    step(
        session, order, OrderState.CANCELLED, actor=actor, action="order.cancelled", at=now,
        reason=reason, told={"voided": voided}, closed_at=now,
    )  # fmt: skip
    text = f"{order.number} is cancelled; it was never sent"
    return CancelOutcome(views(session, [order])[0], True, False, text, tuple(voided))


def _unsent(session: Session, number: str, verb: str) -> PurchaseOrder:
    order = load(session, number)
    if order.state not in UNSENT:
        raise Conflict(
            f"order {order.number!r} is {order.state.value!r} and cannot be {verb}",
            next_step="Draft another order, or ask the supplier to change this one.",
            details={"state": order.state.value, "current_revision": order.revision},
        )
    return order


def _changed_lines(
    session: Session, order: PurchaseOrder, seller: Supplier, changes: Sequence[Change]
) -> list[PricedLine]:
    """Return the lines of the next revision, every one at the price of today."""
    by_item = {resolve_item(session, change.sku).id: change for change in changes}
    if len(by_item) < len(changes):
        raise InvalidInput("an item is changed twice", next_step="Give one quantity an item.")
    kept = []
    for line, item in lines_of(session, order.id):
        change = by_item.pop(item.id, None)
        if change is None:
            kept.append(_repriced(session, seller, (line, item)))
        elif change.quantity != 0:
            new = _asked(session, order, seller, change)
            kept.append(replace(new, recommendation_id=line.recommendation_id))
    for change in by_item.values():
        if change.quantity == 0:
            raise InvalidInput(f"order {order.number!r} has no line for {change.sku!r}")
        kept.append(_asked(session, order, seller, change))
    if not kept:
        raise InvalidInput(
            f"this would take the last line of {order.number!r} away",
            next_step="Cancel the order instead.",
        )
    return kept


def _asked(session: Session, order: PurchaseOrder, seller: Supplier, change: Change) -> PricedLine:
    item = resolve_item(session, change.sku)
    return priced(
        item,
        LineRequest(quantity=change.quantity, sku=change.sku, unit=change.unit),
        terms_of(session, seller, item),
        recommendation=None,
        daily_demand=daily_demand(session, item.id, order.location_id),
    )


def _repriced(session: Session, seller: Supplier, old: OrderLine) -> PricedLine:
    line, item = old
    terms = terms_of(session, seller, item)
    price = price_for(terms, line.ordered_units)
    return PricedLine(item, line.ordered_units, price, line.recommendation_id)


def _refuse_no_change(
    session: Session,
    order: PurchaseOrder,
    lines: Sequence[PricedLine],
    changes: Sequence[Change],
) -> None:
    same_lines = [(line.item.id, line.units, line.unit_price_minor) for line in lines] == [
        (line.item_id, line.ordered_units, line.unit_price_minor)
        for line, _ in lines_of(session, order.id)
    ]
    was_queued = outbox.was_queued(session, order_id=order.id, revision=order.revision)
    is_spent = was_queued or was_restored(session, order)
    is_same = same_lines and fingerprint(content_of(session, order)) == order.fingerprint
    if is_same and not is_spent:
        asked = ", ".join(f"{change.sku} {change.quantity:g}" for change in changes)
        raise InvalidInput(
            f"this changes nothing in {order.number!r}" + (f": {asked}" if asked else ""),
            next_step="Give another quantity.",
            details={"current_revision": order.revision},
        )


def _take_over(session: Session, order: PurchaseOrder) -> None:
    """Compare-and-set the next revision; a delivery that still waits is taken back."""
    outbox.cancel_unsent(session, order.id)
    statement = (
        update(PurchaseOrder)
        .where(
            col(PurchaseOrder.id) == order.id,
            col(PurchaseOrder.revision) == order.revision,
            col(PurchaseOrder.state) == order.state,
        )
        .values(revision=order.revision + 1, state=OrderState.DRAFT, approved_at=None)
        .execution_options(synchronize_session=False)
    )
    is_ours = session.execute(statement).rowcount == 1  # type: ignore[attr-defined]
    session.refresh(order)
    if not is_ours:
        raise stale(order)
