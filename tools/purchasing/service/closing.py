"""A person ends what is over: an order that is done, or a balance that will not come."""

from collections.abc import Mapping

from sqlalchemy import update
from sqlmodel import Session, col

from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from db.types import Actor, ActorKind, OrderState, Permission
from tools.audit import service as audit
from tools.catalog.service import resolve_item
from tools.clock import Clock
from tools.errors import Conflict, Forbidden, InvalidInput
from tools.identity.service import acting
from tools.purchasing.core.answers import Promise
from tools.purchasing.core.states import AWAITED
from tools.purchasing.core.views import OrderView
from tools.purchasing.service.answering import check_scope, refuse_open_answer, void_answers
from tools.purchasing.service.promises import lines_now, put_promises
from tools.purchasing.service.reading import views
from tools.purchasing.service.rows import lines_of, load, stale, step
from tools.text import plain_text


def close_order(
    session: Session, *, number: str, actor: Actor, clock: Clock, reason: str = ""
) -> OrderView:
    """Close an order that was received, rejected or short-closed; closed again, nothing changes.

    Raises:
        Forbidden: The actor is no person who works on this order.
        Conflict: Something is still awaited.
    """
    audit.lock(session)
    order = _order(session, number, actor)
    if order.state is OrderState.CLOSED:
        return views(session, [order])[0]
    now = clock.now()
    step(
        session, order, OrderState.CLOSED, actor=actor, action="order.closed", at=now,
        reason=plain_text(reason, longest=500), closed_at=order.closed_at or now,
    )  # fmt: skip
    return views(session, [order])[0]


def short_close(
    session: Session,
    *,
    number: str,
    actor: Actor,
    clock: Clock,
    reason: str,
    units_by_sku: Mapping[str, int | None] | None = None,
) -> OrderView:
    """Stop waiting for what is open of an order, or of some of its lines.

    The parts that are promised last go first. When nothing is open any more the order is
    short-closed.

    Args:
        session: The transaction.
        number: Public number of the order.
        actor: A person who works on it.
        clock: Time.
        reason: Why it will not come.
        units_by_sku: How much of which lines, None is all of a line; without it, all that is open.

    Raises:
        Forbidden: The actor is no person who works on this order.
        Conflict: Nothing is awaited, or a supplier's proposal about it is open.
        InvalidInput: No reason, or a line has no such open balance.
    """
    audit.lock(session)
    order = _order(session, number, actor)
    reason = plain_text(reason, longest=500)
    if not reason:
        raise InvalidInput(
            "a balance is closed for a reason", next_step="Say why it will not come."
        )
    if order.state not in AWAITED:
        raise Conflict(
            f"order {order.number!r} is {order.state.value!r}: nothing is expected from it",
            details={"state": order.state.value},
        )
    wanted = _wanted(session, order, units_by_sku)
    voided = void_answers(session, order) if units_by_sku is None else []
    refuse_open_answer(session, order)
    for sku, units in wanted.items():
        _close_line(session, order, sku, units)
    told = {"short_closed": wanted, **({"voided": voided} if voided else {})}
    if any(line.open_units for line in lines_now(session, order).values()):
        audit.append(
            session, at=clock.now(), actor=actor, action="order.line_short_closed",
            object_id=order.number, after={"revision": order.revision, **told}, reason=reason,
        )  # fmt: skip
    else:
        step(
            session, order, OrderState.SHORT_CLOSED, actor=actor, action="order.short_closed",
            at=clock.now(), reason=reason, told=told, closed_at=clock.now(),
        )  # fmt: skip
    return views(session, [order])[0]


def _order(session: Session, number: str, actor: Actor) -> PurchaseOrder:
    if actor.kind is not ActorKind.HUMAN:
        raise Forbidden("only a person closes orders")
    acting(session, actor, Permission.DRAFT)
    order = load(session, number)
    check_scope(session, order, actor)
    return order


def _wanted(
    session: Session, order: PurchaseOrder, asked: Mapping[str, int | None] | None
) -> dict[str, int]:
    open_units = {sku: line.open_units for sku, line in lines_now(session, order).items()}
    if asked is None:
        return {sku: units for sku, units in open_units.items() if units}
    found = {}
    for name, units in asked.items():
        sku = resolve_item(session, name).sku
        most = open_units.get(sku, 0)
        count = most if units is None else units
        if not 1 <= count <= most:
            raise InvalidInput(
                f"{most:,} of {sku!r} are open on {order.number!r}, {count:,} cannot be closed"
            )
        found[sku] = count
    if not found:
        raise InvalidInput("no line was named")
    return found


def _close_line(session: Session, order: PurchaseOrder, sku: str, units: int) -> None:
    """Compare-and-set the closed part of a line; the earliest promises stay."""
    line = next(line for line, item in lines_of(session, order.id) if item.sku == sku)
    promises = lines_now(session, order)[sku].promises
    statement = (
        update(PurchaseOrderLine)
        .where(
            col(PurchaseOrderLine.id) == line.id,
            col(PurchaseOrderLine.received_units) == line.received_units,
            col(PurchaseOrderLine.short_closed_units) == line.short_closed_units,
        )
        .values(short_closed_units=line.short_closed_units + units)
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        raise stale(order)
    session.refresh(line)
    put_promises(session, line, _earliest(promises, sum(one.units for one in promises) - units))


def _earliest(promises: tuple[Promise, ...], units: int) -> list[Promise]:
    kept, left = [], units
    for part in sorted(promises, key=lambda one: (one.promise_on is None, one.promise_on)):
        if take := min(left, part.units):
            kept.append(Promise(take, part.promise_on))
        left -= take
    return kept
