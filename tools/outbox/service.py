"""Effects that must leave the house: enqueue with the change, claim, record.

A claim is a lease: a worker that dies leaves a row whose lease runs out. On a channel that
recognises the key the row is then sent again; on any other channel nobody can know whether it
arrived, so it becomes ``in_doubt`` and a person decides.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, update
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from db.models.purchasing import Outbox, PurchaseOrder
from db.types import Actor, OutboxState, Permission
from tools.audit import service as audit
from tools.audit.core.chain import document_hash
from tools.errors import Conflict, Forbidden, NotFound, Stale
from tools.identity.core import can_settle, require_key, with_article
from tools.identity.service import actor_by_id
from tools.outbox.core import (
    LEASE,
    Claim,
    Failure,
    Settlement,
    Way,
    after_failure,
    retry_delay,
)
from tools.policy import service as policy
from tools.records.core import leaves_as
from tools.text import plain_text

_STUCK = (OutboxState.IN_DOUBT, OutboxState.DEAD)  # waits for a person
_STATE_AFTER: Mapping[Failure, OutboxState] = {
    Failure.RETRY: OutboxState.PENDING,
    Failure.GIVE_UP: OutboxState.DEAD,
    Failure.IN_DOUBT: OutboxState.IN_DOUBT,
}

_SETTLED: Mapping[Settlement, str] = {
    Settlement.DELIVERED: "delivery.settled",
    Settlement.SEND_AGAIN: "delivery.requeued",
    Settlement.TAKE_BACK: "delivery.cancelled",
}


def enqueue(
    session: Session,
    *,
    order_id: int,
    revision: int,
    approval_id: int,
    channel: str,
    payload: Mapping[str, Any],
    at: datetime,
) -> Outbox:
    """Put an approved order into the outbox; the payload's key makes a second one impossible."""
    row = Outbox(
        key=payload["key"],
        kind="purchase_order",
        order_id=order_id,
        revision=revision,
        approval_id=approval_id,
        channel=channel,
        payload=dict(payload),
        next_attempt_at=at,
        created_at=at,
    )
    session.add(row)
    session.flush()
    return row


def cancel_unsent(session: Session, order_id: int) -> list[str]:
    """Take an order's waiting deliveries back; returns their keys.

    After an attempt nobody knows for sure that nothing arrived, so only a delivery that was never
    tried (or that a person settled as not delivered) can be taken back.

    Raises:
        Conflict: One is being sent, may have been sent, or was sent.
    """
    rows = session.exec(
        _select().where(Outbox.order_id == order_id, Outbox.state != OutboxState.CANCELLED)
    ).all()
    for row in rows:
        if row.state is not OutboxState.PENDING or row.attempts:
            raise Conflict(
                f"delivery {row.key!r} is {row.state.value!r} after {row.attempts} attempts and "
                "may have arrived: it cannot be taken back",
                next_step="Wait until it is delivered; one that is dead or in doubt is settled by "
                "a person, who can take it back.",
                details={"outbox_state": row.state.value, "attempts": row.attempts},
            )
        _change(session, row.id, OutboxState.PENDING, state=OutboxState.CANCELLED)
    return [row.key for row in rows]


def was_queued(session: Session, *, order_id: int, revision: int) -> bool:
    """Whether this revision was in the outbox before; it never gets there again."""
    statement = select(Outbox.id).where(Outbox.order_id == order_id, Outbox.revision == revision)
    return session.exec(statement).first() is not None


def claim(
    session: Session,
    *,
    holder: str,
    at: datetime,
    closed: Collection[Way] = (),
    served: Collection[int] = (),
    only: Collection[str] | None = None,
) -> Claim | None:
    """Lease a due delivery to this holder; nobody else gets it meanwhile.

    One at a time, just before it is sent: what nobody tried is never in doubt. Nothing is claimed
    while the policy has dispatch stopped, which is read in this same transaction.

    Args:
        session: The transaction.
        holder: Name of the worker.
        at: Now.
        closed: Ways out that are given a rest.
        served: Suppliers that had their turn: others come first, then the oldest delivery.
        only: The channels that this holder has; None takes every delivery, also those that nobody
            can send, so that somebody hears of them.
    """
    if not policy.current(session).dispatch_enabled:
        return None
    due = (
        _select()
        .add_columns(col(PurchaseOrder.number), col(PurchaseOrder.supplier_id))
        .join(PurchaseOrder, col(PurchaseOrder.id) == col(Outbox.order_id))
        .where(col(Outbox.state) == OutboxState.PENDING, col(Outbox.next_attempt_at) <= at)
        .where(*(~_goes(way) for way in closed))
        .order_by(col(PurchaseOrder.supplier_id).in_(served), col(Outbox.id))
        .limit(1)
        .with_for_update(skip_locked=True, of=Outbox)
    )
    if only is not None:
        due = due.where(col(Outbox.channel).in_(only))
    found = session.execute(due).one_or_none()
    if found is None:
        return None
    row, number, supplier_id = found
    return _lease(session, row, number, supplier_id, holder=holder, at=at)


def _goes(way: Way) -> ColumnElement[bool]:
    """The deliveries that leave this way."""
    channel, supplier_id = way
    if supplier_id is None:
        return col(Outbox.channel) == channel
    return and_(col(Outbox.channel) == channel, col(PurchaseOrder.supplier_id) == supplier_id)


def _lease(
    session: Session, row: Outbox, number: str, supplier_id: int, *, holder: str, at: datetime
) -> Claim:
    attempts = row.attempts + 1
    _change(
        session, row.id, OutboxState.PENDING, state=OutboxState.CLAIMED, lease_holder=holder,
        lease_until=at + LEASE, attempts=attempts,
    )  # fmt: skip
    payload, problem = _sealed(session, row, number)
    return Claim(
        id=row.id, key=row.key, order_id=row.order_id, number=number, channel=row.channel,
        payload=payload, attempts=attempts, holder=holder, supplier_id=supplier_id,
        problem=problem,
    )  # fmt: skip


def _sealed(session: Session, row: Outbox, number: str) -> tuple[Mapping[str, Any], str]:
    """Return a payload, and what is wrong when it is not the one sealed with the approval."""
    told = audit.told(session, action="order.approved", object_id=number)
    if told is None:
        return {}, f"the trail does not tell that {number} was approved"
    try:
        payload = session.exec(select(Outbox.payload).where(Outbox.id == row.id)).one()
        is_same = told.get("payload") == document_hash(payload)
        is_same &= (row.key, row.channel) == leaves_as(payload)
    except (ValueError, TypeError, KeyError, AttributeError):  # not JSON, or not of ours
        is_same = False
    if not is_same:
        return {}, f"what waits to be sent is not what was approved as {number}"
    return payload, ""


def has_expired(session: Session, *, at: datetime) -> bool:
    """Whether a holder did not come back."""
    statement = select(Outbox.id).where(*_expired(at)).limit(1)
    return session.exec(statement).first() is not None


def _expired(at: datetime) -> tuple[Any, ...]:
    return (col(Outbox.state) == OutboxState.CLAIMED, col(Outbox.lease_until) <= at)


def release_expired(
    session: Session, *, at: datetime, idempotent_channels: Collection[str]
) -> list[str]:
    """Free the deliveries whose holder did not come back; returns the keys now in doubt.

    One whose holders never come back counts its attempts and is given up like any other failure.
    """
    rows = session.exec(_select().where(*_expired(at)).with_for_update(skip_locked=True)).all()
    in_doubt = []
    for row in rows:
        failure = after_failure(
            attempts=row.attempts,
            is_idempotent=row.channel in idempotent_channels,
            is_surely_unsent=False,
        )
        state = _STATE_AFTER[failure]
        note = "the sender stopped before it could say what happened"
        _change(
            session, row.id, OutboxState.CLAIMED, state=state, next_attempt_at=at,
            lease_until=None, lease_holder="", last_error=note,
        )  # fmt: skip
        if state is not OutboxState.PENDING:
            _tell(session, row, audit.SYSTEM, at, f"delivery.{state.value}", note)
        if state is OutboxState.IN_DOUBT:
            in_doubt.append(row.key)
    return in_doubt


def record_delivered(session: Session, claim: Claim, *, reference: str, at: datetime) -> bool:
    """Record that the receiver has it; False when the claim was lost to another holder."""
    statement = (
        update(Outbox)
        .where(*_held(claim))
        .values(
            state=OutboxState.DELIVERED,
            delivered_at=at,
            delivery_reference=reference[:300],
            lease_until=None,
            last_error="",
        )
        .execution_options(synchronize_session=False)
    )
    return bool(session.execute(statement).rowcount == 1)  # type: ignore[attr-defined]


def record_failed(
    session: Session,
    claim: Claim,
    *,
    error: str,
    at: datetime,
    is_idempotent: bool,
    is_surely_unsent: bool = False,
    is_final: bool = False,
    retry_after_s: int | None = None,
) -> OutboxState | None:
    """Record a failed attempt; returns the new state, None when the claim was lost.

    A claim with a problem was never tried and is given up: trying again does not help. The next
    attempt comes no sooner than the receiver asked for (``retry_after_s``).
    """
    failure = after_failure(
        attempts=claim.attempts, is_idempotent=is_idempotent,
        is_surely_unsent=is_surely_unsent, is_final=is_final,
    )  # fmt: skip
    wish = timedelta(seconds=retry_after_s or 0)
    delay = max(retry_delay(claim.key, attempts=claim.attempts), wish)
    state = OutboxState.DEAD if claim.problem else _STATE_AFTER[failure]
    statement = (
        update(Outbox)
        .where(*_held(claim))
        .values(
            state=state,
            next_attempt_at=at + delay,
            lease_until=None,
            lease_holder="",
            last_error=error[:500],
        )
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        return None
    if state is not OutboxState.PENDING:
        row = session.exec(_select().where(Outbox.id == claim.id)).one()
        _tell(session, row, audit.SYSTEM, at, f"delivery.{state.value}", error)
    return state


def stuck_keys(session: Session) -> dict[str, str]:
    """Return the keys of deliveries that wait for a person, by order number, oldest first."""
    keys = (
        select(PurchaseOrder.number, Outbox.key)
        .join(Outbox, col(Outbox.order_id) == col(PurchaseOrder.id))
        .where(col(Outbox.state).in_(_STUCK))
    )
    return dict(session.exec(keys.order_by(col(Outbox.id))).all())


def stuck_key(session: Session, order_number: str) -> str:
    """Return the key of an order's delivery that waits for a person.

    Raises:
        Conflict: None does.
    """
    key = stuck_keys(session).get(order_number)
    if key is None:
        raise Conflict(f"no delivery of {order_number!r} is dead or in doubt")
    return key


def settle(
    session: Session, key: str, *, answer: Settlement, actor: Actor, reason: str, at: datetime
) -> Outbox:
    """Record what a person found out about a delivery that is in doubt or dead.

    Args:
        session: The transaction.
        key: The delivery's key.
        answer: What the person says about it.
        actor: Who found out.
        reason: How they know.
        at: When.

    Raises:
        Forbidden: The actor is neither an admin nor somebody who decides about orders.
        NotFound: There is no such delivery.
        Conflict: It is neither in doubt nor dead.
    """
    role = actor_by_id(session, actor.user_id).role
    if not can_settle(role):
        raise Forbidden(f"{with_article(role)} does not settle deliveries")
    require_key(actor, Permission.DECIDE)
    row = session.exec(_select().where(Outbox.key == key)).one_or_none()
    if row is None:
        raise NotFound(f"there is no delivery {key!r}")
    if row.state not in _STUCK:
        raise Conflict(f"delivery {key!r} is {row.state.value!r}: there is nothing to settle")
    reason = plain_text(reason, longest=500)
    settled: Mapping[Settlement, dict[str, Any]] = {
        Settlement.DELIVERED: {
            "state": OutboxState.DELIVERED, "delivered_at": at,
            "delivery_reference": f"settled by {actor.login}",
        },
        Settlement.SEND_AGAIN: {
            # One try counts: it cannot be cancelled as if it had never been sent.
            "state": OutboxState.PENDING, "next_attempt_at": at, "attempts": 1,
        },
        Settlement.TAKE_BACK: {"state": OutboxState.CANCELLED},
    }  # fmt: skip
    _change(session, row.id, row.state, **settled[answer])
    _tell(session, row, actor, at, _SETTLED[answer], reason)
    session.refresh(row, ["state", "attempts", "next_attempt_at", "delivered_at"])
    return row


def _select() -> SelectOfScalar[Outbox]:
    """Select deliveries as the database has them now, without what they hold."""
    payload = defer(Outbox.payload)  # type: ignore[arg-type]
    return select(Outbox).options(payload).execution_options(populate_existing=True)


def _held(claim: Claim) -> tuple[Any, ...]:
    return (
        Outbox.id == claim.id,
        Outbox.state == OutboxState.CLAIMED,
        Outbox.lease_holder == claim.holder,
        Outbox.attempts == claim.attempts,
    )


def _change(session: Session, row_id: int, seen: OutboxState, **values: Any) -> None:
    """Compare-and-set on the state that was seen."""
    statement = (
        update(Outbox)
        .where(col(Outbox.id) == row_id, col(Outbox.state) == seen)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        raise Stale(f"delivery {row_id} changed meanwhile", next_step="Look again.")


def _tell(
    session: Session, row: Outbox, actor: Actor, at: datetime, action: str, reason: str
) -> None:
    audit.append(
        session,
        at=at,
        actor=actor,
        action=action,
        object_id=row.key[:64],
        after={"channel": row.channel, "attempts": row.attempts},
        reason=reason,
    )
