"""What a supplier answered: a plain yes or no is booked, everything else is proposed to a person.

``tools.purchasing.service.accepting.decide_answer`` is the person's part; only doors import it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from db.counters import next_number
from db.models.catalog import Item, Location, Supplier
from db.models.identity import User
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine, SupplierAnswer
from db.types import Actor, ActorKind, AnswerState, OrderState, Permission
from tools.audit import service as audit
from tools.catalog.service import resolve_item
from tools.clock import Clock
from tools.errors import Conflict, NotFound
from tools.identity.service import acting, require_scope
from tools.purchasing.core.answers import (
    AnswerCode,
    AnswerLine,
    Promise,
    after,
    check_lines,
    is_plain_no,
    is_plain_yes,
    read_line,
)
from tools.purchasing.core.states import AWAITED
from tools.purchasing.core.views import OrderView
from tools.purchasing.service.promises import lines_now, put_promises
from tools.purchasing.service.reading import views
from tools.purchasing.service.rows import lines_of, load, step
from tools.reach.service import orders_here
from tools.text import plain_line, plain_text

_LONGEST_SOURCE = 120


@dataclass(frozen=True)
class AnswerView:
    """An answer as a person sees it before deciding."""

    number: str
    version: int
    state: AnswerState
    order_number: str
    revision: int
    lines: tuple[AnswerLine, ...]
    note: str
    source: str
    received_at: datetime
    decided_by: str
    decided_at: datetime | None
    reason: str
    result_revision: int | None


@dataclass(frozen=True)
class AnswerRecorded:
    """What came of an answer; ``answer`` is None when it changes nothing that was ordered."""

    order: OrderView
    answer: AnswerView | None


def record_answer(
    session: Session,
    *,
    number: str,
    lines: Sequence[AnswerLine] = (),
    actor: Actor,
    clock: Clock,
    source: str = "",
    note: str = "",
    promise_on: date | None = None,
) -> AnswerRecorded:
    """Record what a supplier said to a sent order.

    A yes to what was ordered confirms it, a no to all of it rejects it. Anything else becomes a
    proposal that waits for a person; a newer proposal takes the place of an older one.

    Args:
        session: The transaction.
        number: Public number of the order.
        lines: What is said of the lines; nothing is a yes to all of them.
        actor: Who heard it: a person, the system or a service account.
        clock: Time.
        source: Which message it was; the same message again changes nothing.
        note: The supplier's words. Untrusted.
        promise_on: The day for every part that names none.

    Raises:
        Forbidden: The actor may only look, or the order is outside their work.
        Conflict: The order is not on its way, or the message came before with other content.
        InvalidInput: The answer does not fit the order.
    """
    audit.lock(session)
    check_may_record(session, actor)
    order = load(session, number)
    check_scope(session, order, actor)
    said = _resolved(session, order, lines, promise_on)
    source, note = plain_line(source, longest=_LONGEST_SOURCE), plain_text(note, longest=500)
    if order.state in AWAITED:
        check_lines(said, lines_now(session, order))
    if (before := _heard(session, order, source, said)) is not None:
        return AnswerRecorded(views(session, [order])[0], answer_view(session, before))
    if order.state not in AWAITED:
        raise Conflict(
            f"order {order.number!r} is {order.state.value!r}: no answer is expected to it",
            details={"state": order.state.value},
        )
    row = _take(session, order, said, actor=actor, clock=clock, source=source, note=note)
    view = None if row is None else answer_view(session, row)
    return AnswerRecorded(views(session, [order])[0], view)


def check_may_record(session: Session, actor: Actor) -> None:
    """Refuse who may neither work on orders nor report from outside.

    Raises:
        Forbidden: Role or key do not allow it, or the account was closed.
    """
    if actor.kind is not ActorKind.SYSTEM:
        acting(session, actor, Permission.RECEIVE)


def check_scope(session: Session, order: PurchaseOrder, actor: Actor) -> None:
    """Refuse an order outside the actor's work.

    Raises:
        Forbidden: It is; ``details['reason']`` is ``scope``.
    """
    if actor.kind is ActorKind.SYSTEM:
        return
    categories = {item.category for _, item in lines_of(session, order.id)}
    require_scope(
        session, actor, supplier=session.get_one(Supplier, order.supplier_id).code,
        location=session.get_one(Location, order.location_id).code, categories=categories,
    )  # fmt: skip


def get_answer(session: Session, number: str) -> AnswerView:
    """Return an answer by its number, such as s-7.

    Raises:
        NotFound: There is none.
    """
    return answer_view(session, load_answer(session, number))


def list_answers(
    session: Session, *, order: str | None = None, state: AnswerState | None = None, limit: int = 50
) -> list[AnswerView]:
    """Return answers, newest first; of one order or of all."""
    statement = select(SupplierAnswer).order_by(col(SupplierAnswer.id).desc()).limit(limit)
    if seen := orders_here(session):
        statement = statement.where(
            col(SupplierAnswer.order_id).in_(select(PurchaseOrder.id).where(*seen))
        )
    if order is not None:
        statement = statement.where(SupplierAnswer.order_id == load(session, order).id)
    if state is not None:
        statement = statement.where(SupplierAnswer.state == state)
    return [answer_view(session, row) for row in session.exec(statement).all()]


def load_answer(session: Session, number: str) -> SupplierAnswer:
    """Return the row of an answer, as the database has it now.

    Raises:
        NotFound: There is none.
    """
    row = session.exec(
        select(SupplierAnswer)
        .where(SupplierAnswer.number == number.strip().lower())
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no answer {number!r}", next_step="`quartermaster answers` lists.")
    return row


def answer_view(session: Session, row: SupplierAnswer) -> AnswerView:
    """Return a row as people see it."""
    person = None if row.decided_by_id is None else session.get(User, row.decided_by_id)
    return AnswerView(
        number=row.number,
        version=row.version,
        state=row.state,
        order_number=session.get_one(PurchaseOrder, row.order_id).number,
        revision=row.revision,
        lines=tuple(read_line(line) for line in row.content["lines"]),
        note=row.content["note"],
        source=row.source,
        received_at=row.received_at,
        decided_by="" if person is None else person.login,
        decided_at=row.decided_at,
        reason=row.reason,
        result_revision=row.result_revision,
    )


def open_answer(session: Session, order: PurchaseOrder) -> SupplierAnswer | None:
    """Return the proposal of an order that waits for a person."""
    return session.exec(
        select(SupplierAnswer)
        .where(SupplierAnswer.order_id == order.id, SupplierAnswer.state == AnswerState.PROPOSED)
        .execution_options(populate_existing=True)
    ).first()


def refuse_open_answer(session: Session, order: PurchaseOrder) -> None:
    """Refuse to change an order under a proposal that a person has not decided about.

    Raises:
        Conflict: There is one; it is named.
    """
    if (row := open_answer(session, order)) is not None:
        raise Conflict(
            f"the supplier's answer {row.number!r} to {order.number!r} waits for a decision",
            next_step="Accept or decline it first.",
            details={"answer": row.number},
        )


def void_answers(session: Session, order: PurchaseOrder) -> list[str]:
    """Take the open proposal of an order away; returns the numbers."""
    statement = (
        update(SupplierAnswer)
        .where(
            col(SupplierAnswer.order_id) == order.id,
            col(SupplierAnswer.state) == AnswerState.PROPOSED,
        )
        .values(state=AnswerState.VOID, version=SupplierAnswer.version + 1)
        .returning(col(SupplierAnswer.number))
        .execution_options(synchronize_session=False)
    )
    return sorted(session.execute(statement).scalars())


def _resolved(
    session: Session, order: PurchaseOrder, lines: Sequence[AnswerLine], promise_on: date | None
) -> list[AnswerLine]:
    """Name items as the order does, clean what is free text, and fill in the common day."""
    if not lines:
        everything = [item.sku for line, item in lines_of(session, order.id) if _is_open(line)]
        lines = [AnswerLine(sku, AnswerCode.ACCEPTED) for sku in everything]
    return [
        replace(
            line,
            sku=resolve_item(session, line.sku).sku,
            substitute=resolve_item(session, line.substitute).sku if line.substitute else "",
            promise_on=line.promise_on or promise_on,
        )
        for line in lines
    ]


def _is_open(line: PurchaseOrderLine) -> bool:
    return line.ordered_units > line.received_units + line.short_closed_units


def _heard(
    session: Session, order: PurchaseOrder, source: str, said: Sequence[AnswerLine]
) -> SupplierAnswer | None:
    """Return the answer that this message led to before.

    Raises:
        Conflict: It said something else then.
    """
    if not source:
        return None
    row = session.exec(
        select(SupplierAnswer).where(
            SupplierAnswer.order_id == order.id, SupplierAnswer.source == source
        )
    ).first()
    if row is not None and row.content["lines"] != [line.as_json() for line in said]:
        raise Conflict(
            f"{source!r} answered {order.number!r} before, with other content",
            next_step="Give the new answer another reference.",
        )
    return row


def _take(
    session: Session,
    order: PurchaseOrder,
    said: Sequence[AnswerLine],
    *,
    actor: Actor,
    clock: Clock,
    source: str,
    note: str,
) -> SupplierAnswer | None:
    now = lines_now(session, order)
    told = {"source": source, "lines": [line.as_json() for line in said]}
    if is_plain_yes(said, now):
        _confirm(session, order, said, actor=actor, clock=clock, note=note, told=told)
        return None
    is_untouched = order.state in (OrderState.SENT, OrderState.CHANGED)
    if is_untouched and is_plain_no(said, now) and not any(x.received_units for x in now.values()):
        told["voided"] = void_answers(session, order)
        step(
            session, order, OrderState.REJECTED, actor=actor, action="order.rejected",
            at=clock.now(), reason=note, told=told,
        )  # fmt: skip
        return None
    told["voided"] = void_answers(session, order)
    content = {
        "lines": told["lines"],
        "note": note,
        "seen": {sku: line.received_units for sku, line in now.items()},
    }
    row = _propose(session, order, content, source=source, actor=actor, at=clock.now())
    step(
        session, order, OrderState.CHANGED, actor=actor, action="order.changed", at=clock.now(),
        reason=note, told={**told, "answer": row.number},
    )  # fmt: skip
    return row


def _propose(
    session: Session,
    order: PurchaseOrder,
    content: dict[str, Any],
    *,
    source: str,
    actor: Actor,
    at: datetime,
) -> SupplierAnswer:
    row = SupplierAnswer(
        number=next_number(session, "supplier_answer"),
        order_id=order.id,
        revision=order.revision,
        content=content,
        source=source,
        recorded_by_id=actor.user_id or None,  # the system is nobody
        received_at=at,
    )
    session.add(row)
    session.flush()
    return row


def _confirm(
    session: Session,
    order: PurchaseOrder,
    said: Sequence[AnswerLine],
    *,
    actor: Actor,
    clock: Clock,
    note: str,
    told: dict[str, Any],
) -> None:
    """Take the promised days over; a proposal that was open is answered by this yes."""
    told["voided"] = void_answers(session, order)
    now = lines_now(session, order)
    rows: dict[str, tuple[PurchaseOrderLine, Item]] = {
        item.sku: (line, item) for line, item in lines_of(session, order.id)
    }
    for one in after(said, now):
        if any(part.promise_on for part in one.promises):
            put_promises(session, rows[one.sku][0], one.promises)
    promised = lines_now(session, order)
    if promised == now and order.confirmed_at is not None and not told["voided"]:
        return  # heard before
    days = [day for line in promised.values() if (day := _last_day(line.promises))]
    has_come = any(line.received_units for line in now.values())
    step(
        session, order,
        OrderState.PARTIALLY_RECEIVED if has_come else OrderState.CONFIRMED,
        actor=actor, action="order.confirmed", at=clock.now(), reason=note,
        told={**told, "promise": max(days).isoformat() if days else None},
        confirmed_at=order.confirmed_at or clock.now(),
        promise_on=max(days) if days else order.promise_on,
    )  # fmt: skip


def _last_day(promises: Sequence[Promise]) -> date | None:
    return max((part.promise_on for part in promises if part.promise_on), default=None)
