"""Messages from outside: kept before they are answered, applied once, refused with a reason.

A claim is one transaction and the effect another, so that a message on which we fail counts its
attempt all the same and cannot hold up the others.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from db.models.catalog import Supplier
from db.models.purchasing import InboundEvent, PurchaseOrder
from db.types import Actor, InboundState, Permission, Role
from tools.audit import service as audit
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, Forbidden, InvalidInput, NotFound, QuartermasterError
from tools.identity.core import require_key
from tools.identity.service import acting, actor_by_login
from tools.inbound.core.messages import (
    Acknowledgement,
    GoodsReceipt,
    SaidLine,
    ShipmentNews,
    parsed,
    read_envelope,
)
from tools.inbound.core.sources import Source, Sources
from tools.money import minor_digits
from tools.purchasing.core.answers import AnswerCode, AnswerLine
from tools.purchasing.service.answering import record_answer
from tools.purchasing.service.receiving import Arrival, Disposition, WrongArrival, receive
from tools.purchasing.service.rows import load
from tools.shipments.service import Step, record_shipment

MOST_ATTEMPTS = 6
_FIRST_WAIT = timedelta(seconds=30)
_OPEN = (InboundState.RECEIVED, InboundState.FAILED)


@dataclass(frozen=True)
class Kept:
    """A message that is ours now; ``is_repeat`` when it came before."""

    source: str
    event_id: str
    kind: str
    is_repeat: bool


@dataclass(frozen=True)
class InboundClaim:
    """A message that is being applied, and which attempt this is."""

    row_id: int
    source: str
    event_id: str
    attempt: int


def keep(session: Session, source: Source, body: bytes, *, clock: Clock) -> Kept:
    """Keep a message of an authentic sender; the same one again changes nothing.

    Raises:
        InvalidInput: It is not a message.
        Forbidden: This sender does not say such things.
        Conflict: The id came before with another body.
    """
    audit.lock(session)
    envelope = read_envelope(body)
    if envelope.kind not in source.kinds:
        raise Forbidden(f"{source.name!r} does not send {envelope.kind!r}")
    body_hash = hashlib.sha256(body).hexdigest()
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    insert = sqlite.insert if is_sqlite else postgresql.insert
    statement = (
        insert(InboundEvent)
        .values(
            source=source.name,
            event_id=envelope.id,
            kind=envelope.kind,
            body_hash=body_hash,
            payload=envelope.data,
            state=InboundState.RECEIVED,
            attempts=0,
            next_attempt_at=clock.now(),
            error="",
            received_at=clock.now(),
        )
        .on_conflict_do_nothing(index_elements=["source", "event_id"])
        .returning(InboundEvent.__table__.c.id)  # type: ignore[attr-defined]
    )
    if session.execute(statement).scalar_one_or_none() is None:
        if _stored(session, source.name, envelope.id).body_hash != body_hash:
            raise Conflict(
                f"{envelope.id!r} came before with other content",
                next_step="Give every message an id of its own.",
            )
        return Kept(source.name, envelope.id, envelope.kind, is_repeat=True)
    audit.append(
        session, at=clock.now(), actor=_actor(session, source), action="inbound.kept",
        object_id=_name(source.name, envelope.id),
        after={"kind": envelope.kind, "body": body_hash},
    )  # fmt: skip
    return Kept(source.name, envelope.id, envelope.kind, is_repeat=False)


def claim_due(session: Session, *, clock: Clock) -> InboundClaim | None:
    """Take the oldest message that is due; its attempt counts whatever happens to it.

    One that was tried too often is refused here, so that a person looks at it.
    """
    audit.lock(session)
    now = clock.now()
    row = _next(session, now)
    while row is not None and row.attempts >= MOST_ATTEMPTS:
        text = f"we failed on it {row.attempts} times; the log says why"
        _refuse(session, row, text, at=now)
        row = _next(session, now)
    if row is None:
        return None
    row.attempts += 1
    row.next_attempt_at = now + _FIRST_WAIT * 2 ** (row.attempts - 1)
    session.flush()
    return InboundClaim(row.id, row.source, row.event_id, row.attempts)


def apply_claimed(
    session: Session, claim: InboundClaim, sources: Sources, *, clock: Clock, company: Company
) -> None:
    """Do what a message says, in the name of its sender; once.

    Raises:
        QuartermasterError: It cannot be done; nothing of it was.
    """
    audit.lock(session)
    row = session.get_one(InboundEvent, claim.row_id, populate_existing=True)
    source = sources.get(row.source)
    if source is None or row.kind not in source.kinds:
        raise Forbidden(f"{row.source!r} does not send {row.kind!r} any more")
    _finish(session, row, InboundState.APPLIED, "", at=clock.now())
    handlers = {
        "acknowledgement": _acknowledge,
        "shipment": _follow,
        "receipt": _receive,
    }
    handlers[row.kind](session, row, source, clock, company)
    audit.append(
        session, at=clock.now(), actor=_actor(session, source), action="inbound.applied",
        object_id=_name(row.source, row.event_id), after={"kind": row.kind},
    )  # fmt: skip


def record_failed(
    session: Session, claim: InboundClaim, error: QuartermasterError, *, clock: Clock
) -> InboundState:
    """Note why a message could not be applied; what cannot become right is refused at once."""
    audit.lock(session)
    row = session.get_one(InboundEvent, claim.row_id, populate_existing=True)
    is_over = isinstance(error, InvalidInput | Forbidden) or claim.attempt >= MOST_ATTEMPTS
    state = InboundState.REFUSED if is_over else InboundState.FAILED
    if is_over:
        _refuse(session, row, error.message, at=clock.now())
    else:
        _finish(session, row, state, error.message[:500], at=clock.now())
    return state


def troubled(session: Session) -> list[InboundEvent]:
    """Return the messages that a person should look at: refused, or failing."""
    states = (InboundState.REFUSED, InboundState.FAILED)
    statement = select(InboundEvent).where(col(InboundEvent.state).in_(states))
    return list(session.exec(statement.order_by(col(InboundEvent.id))).all())


def list_events(session: Session, *, limit: int = 50) -> list[InboundEvent]:
    """Return what came in, newest first."""
    statement = select(InboundEvent).order_by(col(InboundEvent.id).desc()).limit(limit)
    return list(session.exec(statement).all())


def retry(session: Session, source: str, event_id: str, *, actor: Actor, clock: Clock) -> None:
    """Try a refused message again, after what was wrong here was put right.

    Raises:
        Forbidden: The actor is neither a manager nor an admin.
        NotFound: There is no such message.
        Conflict: It is not refused.
    """
    audit.lock(session)
    role = acting(session, actor, Permission.READ).role
    if role not in (Role.MANAGER, Role.ADMIN):
        raise Forbidden("a manager or an admin tries refused messages again")
    require_key(actor, Permission.ADMIN if role is Role.ADMIN else Permission.DECIDE)
    row = _stored(session, source, event_id)
    if row.state is not InboundState.REFUSED:
        raise Conflict(f"{event_id!r} of {source!r} is {row.state.value!r}, not refused")
    row.state, row.attempts, row.next_attempt_at = InboundState.RECEIVED, 0, clock.now()
    audit.append(
        session, at=clock.now(), actor=actor, action="inbound.retried",
        object_id=_name(source, event_id), after={"kind": row.kind},
    )  # fmt: skip


def _next(session: Session, now: datetime) -> InboundEvent | None:
    return session.exec(
        select(InboundEvent)
        .where(col(InboundEvent.state).in_(_OPEN), col(InboundEvent.next_attempt_at) <= now)
        .order_by(col(InboundEvent.id))
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).first()


def _refuse(session: Session, row: InboundEvent, text: str, *, at: datetime) -> None:
    _finish(session, row, InboundState.REFUSED, text[:500], at=at)
    audit.append(
        session, at=at, actor=audit.SYSTEM, action="inbound.refused",
        object_id=_name(row.source, row.event_id), after={"kind": row.kind}, reason=text,
    )  # fmt: skip


def _stored(session: Session, source: str, event_id: str) -> InboundEvent:
    row = session.exec(
        select(InboundEvent)
        .where(InboundEvent.source == source, InboundEvent.event_id == event_id)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound(f"{source!r} sent no message {event_id!r}")
    return row


def _finish(
    session: Session, row: InboundEvent, state: InboundState, error: str, *, at: datetime
) -> None:
    """Compare-and-set where a message stands.

    Raises:
        Conflict: Somebody else finished it.
    """
    statement = (
        update(InboundEvent)
        .where(col(InboundEvent.id) == row.id, col(InboundEvent.state).in_(_OPEN))
        .values(state=state, error=error, applied_at=at if state is InboundState.APPLIED else None)
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict(f"{row.event_id!r} of {row.source!r} was finished meanwhile")
    session.refresh(row)


def _name(source: str, event_id: str) -> str:
    return f"{source}:{event_id}"[:64]


def _actor(session: Session, source: Source) -> Actor:
    """Return in whose name a sender is booked: a service account, which never approves.

    Raises:
        Forbidden: The account is another kind of user.
    """
    if not source.login:
        return audit.SYSTEM
    actor = actor_by_login(session, source.login)
    if actor.role is not Role.SERVICE:
        raise Forbidden(f"{source.login!r} is no service account: {source.name!r} needs one")
    return actor


def _order(session: Session, source: Source, number: str) -> PurchaseOrder:
    """Return an order of a supplier that the sender may speak for.

    Raises:
        NotFound: There is no such order.
        Forbidden: It may not.
    """
    order = load(session, number)
    code = session.get_one(Supplier, order.supplier_id).code
    if not source.speaks_for(code):
        raise Forbidden(f"{source.name!r} does not speak for {code!r}, whose order {number!r} is")
    return order


def _acknowledge(
    session: Session, row: InboundEvent, source: Source, clock: Clock, _company: Company
) -> None:
    said = parsed(Acknowledgement, row.payload)
    order = _order(session, source, said.order)
    record_answer(
        session, number=order.number,
        lines=[_answer_line(line, order.currency) for line in said.lines],
        actor=_actor(session, source), clock=clock, source=f"{row.source}:{row.event_id}"[:120],
        note=said.note, promise_on=said.promise,
    )  # fmt: skip


def _answer_line(line: SaidLine, currency: str) -> AnswerLine:
    price = None
    if line.unit_price is not None:
        minor = line.unit_price.scaleb(minor_digits(currency))
        if minor != minor.to_integral_value():
            raise InvalidInput(f"{line.sku!r}: {line.unit_price} has too many decimals")
        price = int(minor)
    return AnswerLine(
        line.sku, AnswerCode(line.code), line.quantity, line.promise, price, line.substitute
    )


def _follow(
    session: Session, row: InboundEvent, source: Source, clock: Clock, _company: Company
) -> None:
    news = parsed(ShipmentNews, row.payload)
    order = _order(session, source, news.order)
    steps = [
        Step(f"{row.source}:{one.id}"[:120], one.status, one.at, one.description, one.place)
        for one in news.events
    ]
    record_shipment(
        session, order, number=news.shipment, steps=steps, carrier=news.carrier,
        tracking=news.tracking, eta_on=news.eta, shipped_units=news.quantity,
        actor=_actor(session, source), clock=clock,
    )  # fmt: skip


def _receive(
    session: Session, row: InboundEvent, source: Source, clock: Clock, company: Company
) -> None:
    came = parsed(GoodsReceipt, row.payload)
    order = _order(session, source, came.order)
    wrong = [
        WrongArrival(one.sku, one.quantity, Disposition(one.disposition)) for one in came.wrong
    ]
    receive(
        session, number=order.number,
        arrivals=[Arrival(one.sku, one.quantity, one.rejected) for one in came.lines],
        reference=came.delivery_note, actor=_actor(session, source), clock=clock, company=company,
        received_on=came.received_on, wrong=wrong,
    )  # fmt: skip
