"""A person accepts or declines what a supplier proposed. Doors only: the agent cannot come here.

Accepting makes the next revision of an order that the supplier has already, so nothing is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from db.models.purchasing import PurchaseOrder, PurchaseOrderLine, SupplierAnswer
from db.types import (
    Actor,
    ActorKind,
    AnswerState,
    OrderState,
    Permission,
)
from tools.audit import service as audit
from tools.catalog.service import resolve_item
from tools.clock import Clock
from tools.company import Company
from tools.errors import Forbidden, InvalidInput, Stale
from tools.identity.service import acting
from tools.policy.core.policy import Policy
from tools.policy.service import current as current_policy
from tools.purchasing.core.answers import (
    LineAfter,
    LineNow,
    Promise,
    after,
    needs_approver,
    read_line,
    spread,
)
from tools.purchasing.core.content import fingerprint
from tools.purchasing.core.quantities import check_amount
from tools.purchasing.core.states import AWAITED
from tools.purchasing.core.views import OrderView
from tools.purchasing.service.answer_policy import (
    approved_last,
    approved_lines,
    check_authority,
    check_caps,
    check_changes,
    check_rules,
)
from tools.purchasing.service.answering import (
    AnswerView,
    answer_view,
    check_scope,
    load_answer,
)
from tools.purchasing.service.authority import needs_reauthentication
from tools.purchasing.service.promises import lines_now, put_promises
from tools.purchasing.service.reading import views
from tools.purchasing.service.rows import content_of, lines_of, load, stale, step, write_revision
from tools.text import plain_text


@dataclass(frozen=True)
class AnswerOutcome:
    """What a person's word about an answer led to."""

    order: OrderView
    answer: AnswerView


def decide_answer(
    session: Session,
    *,
    number: str,
    version: int,
    accept: bool,
    actor: Actor,
    clock: Clock,
    company: Company,
    reason: str = "",
    keep_balance: bool = False,
    reauthenticated: bool = False,
) -> AnswerOutcome:
    """Accept a supplier's proposal as the order's next revision, or decline it.

    Args:
        session: The transaction.
        number: Number of the answer, such as s-7.
        version: The version that was read; another current one refuses the decision.
        accept: Yes, or no.
        actor: A person who decides about orders. A change that raises the total beyond what was
            approved, moves a price beyond the policy's tolerance or sends another item needs
            somebody who could approve the new total.
        clock: Time.
        company: The rules of the house.
        reason: Why; needed to decline.
        keep_balance: What the supplier leaves out of a line stays open, with the day it had,
            instead of leaving the order.
        reauthenticated: The door has just checked the person's password.

    Raises:
        NotFound: There is no such answer.
        Forbidden: The actor is no person, or may not accept this much.
        Stale: Somebody decided before, or the order moved on.
        InvalidInput: A reason is missing.
    """
    audit.lock(session)
    person = _person(session, actor)
    row = load_answer(session, number)
    order = load(session, session.get_one(PurchaseOrder, row.order_id).number)
    check_scope(session, order, person)
    reason = plain_text(reason, longest=500)
    if not accept and not reason:
        raise InvalidInput("a declined answer needs a reason", next_step="Say why.")
    _claim(session, row, version, accept=accept, actor=person, clock=clock, reason=reason)
    if order.state not in AWAITED or order.revision != row.revision:
        raise stale(order)
    if accept:
        _accept(
            session, order, row, actor=person, clock=clock, company=company, reason=reason,
            keep_balance=keep_balance, reauthenticated=reauthenticated,
        )  # fmt: skip
    else:
        step(
            session, order, _state_without(session, order), actor=person,
            action="order.answer_declined", at=clock.now(), reason=reason,
            told={"answer": row.number},
        )  # fmt: skip
    return AnswerOutcome(views(session, [order])[0], answer_view(session, row))


def asks_for_signature(session: Session, seen: AnswerView) -> bool:
    """Whether whoever accepts an answer may have to give their password: an item asks for it."""
    order = load(session, seen.order_number)
    named = [line.substitute for line in seen.lines if line.substitute]
    return needs_reauthentication(session, order) or any(
        resolve_item(session, sku).signature_required for sku in named
    )


def _person(session: Session, actor: Actor) -> Actor:
    """Return the actor as the database knows them now, if that is a person who decides."""
    if actor.kind is not ActorKind.HUMAN:
        raise Forbidden("only a person accepts what a supplier changed")
    return acting(session, actor, Permission.DECIDE)


def _claim(
    session: Session,
    row: SupplierAnswer,
    version: int,
    *,
    accept: bool,
    actor: Actor,
    clock: Clock,
    reason: str,
) -> None:
    """Compare-and-set the decision: of two people one wins."""
    statement = (
        update(SupplierAnswer)
        .where(
            col(SupplierAnswer.id) == row.id,
            col(SupplierAnswer.state) == AnswerState.PROPOSED,
            col(SupplierAnswer.version) == version,
        )
        .values(
            state=AnswerState.ACCEPTED if accept else AnswerState.DECLINED,
            version=version + 1,
            decided_by_id=actor.user_id,
            decided_at=clock.now(),
            reason=reason,
        )
        .execution_options(synchronize_session=False)
    )
    is_ours = session.execute(statement).rowcount == 1  # type: ignore[attr-defined]
    session.refresh(row)
    if not is_ours:
        raise Stale(
            f"answer {row.number!r} is {row.state.value!r}, version {row.version}",
            next_step="Look at it again.",
            details={"current_version": row.version, "state": row.state.value},
        )


def _accept(
    session: Session,
    order: PurchaseOrder,
    row: SupplierAnswer,
    *,
    actor: Actor,
    clock: Clock,
    company: Company,
    reason: str,
    keep_balance: bool,
    reauthenticated: bool,
) -> None:
    now = lines_now(session, order)
    changed = _changed(row, now, keep_balance=keep_balance)
    policy = current_policy(session)
    total = _change_lines(session, policy, order, changed, now)
    approval = approved_last(session, order)
    raises = total > max(order.total_minor, approval.total_minor if approval else 0)
    why = needs_approver(
        changed, now,
        approved=approved_lines(session, order, approval),
        raises_total=raises,
        price_tolerance_bp=policy.price_tolerance_bp,
    )  # fmt: skip
    before_minor, order.total_minor = order.total_minor, total
    session.flush()
    check_scope(session, order, actor)  # of what comes instead, too
    if why:
        check_authority(
            session, policy, order, actor=actor, company=company, why=why,
            recorded_by_id=row.recorded_by_id,
        )  # fmt: skip
        check_rules(
            session, policy, order, actor=actor, reason=reason, reauthenticated=reauthenticated
        )
    if raises:
        check_caps(session, policy, order, clock=clock, company=company)
    _write(session, order, row, actor=actor, clock=clock, reason=reason, before_minor=before_minor)


def _change_lines(
    session: Session,
    policy: Policy,
    order: PurchaseOrder,
    changed: Sequence[LineAfter],
    now: dict[str, LineNow],
) -> int:
    """Write what becomes of the lines; returns the new total."""
    check_changes(session, policy, order, changed, now)
    for one in changed:
        _apply(session, order, now[one.sku], one)
    total = sum(line.amount_minor for line, _ in lines_of(session, order.id))
    check_amount(total, f"order {order.number!r}", order.currency)
    return total


def _changed(
    row: SupplierAnswer, now: dict[str, LineNow], *, keep_balance: bool
) -> list[LineAfter]:
    seen = row.content["seen"]
    came = {sku: max(0, line.received_units - seen.get(sku, 0)) for sku, line in now.items()}
    changed = after([read_line(line) for line in row.content["lines"]], now, came=came)
    return [_with_balance(now[one.sku], one) for one in changed] if keep_balance else changed


def _with_balance(now: LineNow, then: LineAfter) -> LineAfter:
    """Keep what the supplier leaves out, for the day it was promised before."""
    left = now.open_units - then.open_units
    if left <= 0:
        return then
    kept = [*then.promises]
    for part in spread(now.promises, left):
        same = [index for index, one in enumerate(kept) if one.promise_on == part.promise_on]
        if same:
            kept[same[0]] = Promise(kept[same[0]].units + part.units, part.promise_on)
        else:
            kept.append(part)
    return replace(then, promises=tuple(kept))


def _apply(session: Session, order: PurchaseOrder, now: LineNow, then: LineAfter) -> None:
    """Make a line what was accepted; nothing that came or was closed is touched."""
    line = _line(session, order, now)
    settled = now.received_units + now.short_closed_units
    line.unit_price_minor = then.unit_price_minor
    if settled + then.open_units == 0:  # nothing of it comes: the line stays, closed
        line.short_closed_units = line.ordered_units
    elif then.substitute and settled:
        line.ordered_units = settled
        line.unit_price_minor = now.unit_price_minor
        _add_line(session, order, then)
    else:
        line.ordered_units = settled + then.open_units
        if then.substitute:
            line.item_id = resolve_item(session, then.substitute).id
            line.recommendation_id = None
    line.amount_minor = line.ordered_units * line.unit_price_minor
    is_split = bool(then.substitute and settled)
    put_promises(session, line, () if is_split else then.promises)


def _line(session: Session, order: PurchaseOrder, now: LineNow) -> PurchaseOrderLine:
    for line, item in lines_of(session, order.id):
        if item.sku == now.sku:
            return line
    raise stale(order)


def _add_line(session: Session, order: PurchaseOrder, then: LineAfter) -> None:
    last = select(func.max(PurchaseOrderLine.line_number)).where(
        PurchaseOrderLine.order_id == order.id
    )
    line = PurchaseOrderLine(
        order_id=order.id,
        line_number=session.exec(last).one() + 1,
        item_id=resolve_item(session, then.substitute).id,
        ordered_units=then.open_units,
        unit_price_minor=then.unit_price_minor,
        amount_minor=then.open_units * then.unit_price_minor,
    )
    session.add(line)
    session.flush()
    put_promises(session, line, then.promises)


def _write(
    session: Session,
    order: PurchaseOrder,
    row: SupplierAnswer,
    *,
    actor: Actor,
    clock: Clock,
    reason: str,
    before_minor: int,
) -> None:
    """Keep the new revision, move the order on and tell the trail."""
    content = replace(content_of(session, order), revision=order.revision + 1)
    checks = views(session, [order])[0].checks
    open_now = lines_now(session, order)
    days = [part.promise_on for line in open_now.values() for part in line.promises]
    last = max((day for day in days if day is not None), default=order.promise_on)
    step(
        session, order, _state_with(open_now), actor=actor, action="order.answer_accepted",
        at=clock.now(), reason=reason, meaning="acceptance",
        told={
            "answer": row.number, "from_revision": order.revision,
            "fingerprint": fingerprint(content),
            "total_minor": content.total_minor, "total_before_minor": before_minor,
            "currency": order.currency,
            "lines": [[line.sku, line.units, line.unit_price_minor] for line in content.lines],
        },
        revision=content.revision, fingerprint=fingerprint(content), promise_on=last,
        confirmed_at=order.confirmed_at or clock.now(),
    )  # fmt: skip
    write_revision(
        session, order, content=content, checks=checks, actor=actor, at=clock.now(),
        reason=reason or f"the supplier's answer {row.number}",
    )  # fmt: skip
    row.result_revision = order.revision
    session.flush()


def _state_with(lines: dict[str, LineNow]) -> OrderState:
    has_come = any(line.received_units for line in lines.values())
    if any(line.open_units for line in lines.values()):
        return OrderState.PARTIALLY_RECEIVED if has_come else OrderState.CONFIRMED
    return OrderState.RECEIVED if has_come else OrderState.REJECTED


def _state_without(session: Session, order: PurchaseOrder) -> OrderState:
    """Where a declined order goes on: what came and what was confirmed before still stand."""
    if any(line.received_units for line, _ in lines_of(session, order.id)):
        return OrderState.PARTIALLY_RECEIVED
    return OrderState.SENT if order.confirmed_at is None else OrderState.CONFIRMED
