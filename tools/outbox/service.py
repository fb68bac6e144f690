"""Effects that must leave the house: enqueue with the change, claim, record.

A claim is a lease: a worker that dies leaves a row whose lease runs out. On a channel that
recognises the key the row is then sent again; on any other channel nobody can know whether it
arrived, so it becomes ``in_doubt`` and a person decides.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from db.models.purchasing import Outbox
from db.types import Actor, OutboxState
from tools.audit import service as audit
from tools.errors import Conflict, NotFound, Stale
from tools.outbox.core import LEASE, Failure, after_failure, retry_delay


@dataclass(frozen=True)
class Claim:
    """A delivery that this holder may attempt now."""

    id: int
    key: str
    kind: str
    order_id: int
    channel: str
    payload: Mapping[str, Any]
    attempts: int
    holder: str


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
        select(Outbox)
        .where(Outbox.order_id == order_id, Outbox.state != OutboxState.CANCELLED)
        .execution_options(populate_existing=True)
    ).all()
    for row in rows:
        if row.state is not OutboxState.PENDING or row.attempts:
            raise Conflict(
                f"delivery {row.key!r} is {row.state.value!r} after {row.attempts} attempts and "
                "may have arrived: it cannot be taken back",
                next_step="Wait until it is delivered or settled, then ask the supplier.",
                details={"outbox_state": row.state.value, "attempts": row.attempts},
            )
        _change(session, row.id, OutboxState.PENDING, state=OutboxState.CANCELLED)
    return [row.key for row in rows]


def claim(session: Session, *, holder: str, at: datetime, limit: int = 50) -> list[Claim]:
    """Lease due deliveries to this holder, oldest first; nobody else gets them meanwhile."""
    due = session.exec(
        select(Outbox)
        .where(Outbox.state == OutboxState.PENDING, col(Outbox.next_attempt_at) <= at)
        .order_by(col(Outbox.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    claims = []
    for row in due:
        _change(
            session,
            row.id,
            OutboxState.PENDING,
            state=OutboxState.CLAIMED,
            lease_holder=holder,
            lease_until=at + LEASE,
            attempts=row.attempts + 1,
        )
        claims.append(
            Claim(
                row.id, row.key, row.kind, row.order_id, row.channel, row.payload,
                row.attempts + 1, holder,
            )
        )  # fmt: skip
    return claims


def release_expired(
    session: Session, *, at: datetime, idempotent_channels: Collection[str]
) -> list[str]:
    """Free the deliveries whose holder did not come back; returns the keys now in doubt."""
    rows = session.exec(
        select(Outbox)
        .where(Outbox.state == OutboxState.CLAIMED, col(Outbox.lease_until) <= at)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    in_doubt = []
    for row in rows:
        is_safe = row.channel in idempotent_channels
        state = OutboxState.PENDING if is_safe else OutboxState.IN_DOUBT
        note = "the sender stopped before it could say what happened"
        _change(
            session, row.id, OutboxState.CLAIMED, state=state, next_attempt_at=at,
            lease_until=None, lease_holder="", last_error=note,
        )  # fmt: skip
        if not is_safe:
            in_doubt.append(row.key)
            _tell(session, row, audit.SYSTEM, at, "delivery.in_doubt", note)
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
) -> OutboxState | None:
    """Record a failed attempt; returns the new state, None when the claim was lost."""
    failure = after_failure(
        attempts=claim.attempts, is_idempotent=is_idempotent, is_surely_unsent=is_surely_unsent
    )
    state = {
        Failure.RETRY: OutboxState.PENDING,
        Failure.GIVE_UP: OutboxState.DEAD,
        Failure.IN_DOUBT: OutboxState.IN_DOUBT,
    }[failure]
    statement = (
        update(Outbox)
        .where(*_held(claim))
        .values(
            state=state,
            next_attempt_at=at + retry_delay(claim.key, attempts=claim.attempts),
            lease_until=None,
            lease_holder="",
            last_error=error[:500],
        )
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        return None
    if state is not OutboxState.PENDING:
        row = session.get_one(Outbox, claim.id, populate_existing=True)
        _tell(session, row, audit.SYSTEM, at, f"delivery.{state.value}", error)
    return state


def settle(
    session: Session, key: str, *, was_delivered: bool, actor: Actor, reason: str, at: datetime
) -> Outbox:
    """Record what a person found out about a delivery that is in doubt or dead.

    Args:
        session: The transaction.
        key: The delivery's key.
        was_delivered: True closes it as delivered, False sends it again.
        actor: Who found out.
        reason: How they know.
        at: When.

    Raises:
        NotFound: There is no such delivery.
        Conflict: It is neither in doubt nor dead.
    """
    row = session.exec(
        select(Outbox).where(Outbox.key == key).execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no delivery {key!r}")
    if row.state not in (OutboxState.IN_DOUBT, OutboxState.DEAD):
        raise Conflict(f"delivery {key!r} is {row.state.value!r}: there is nothing to settle")
    if was_delivered:
        _change(
            session, row.id, row.state, state=OutboxState.DELIVERED, delivered_at=at,
            delivery_reference=f"settled by {actor.login}",
        )  # fmt: skip
    else:
        _change(
            session, row.id, row.state, state=OutboxState.PENDING, next_attempt_at=at, attempts=0
        )
    action = "delivery.settled" if was_delivered else "delivery.requeued"
    _tell(session, row, actor, at, action, reason)
    session.refresh(row)
    return row


def count_by_state(session: Session) -> dict[str, int]:
    """Return how many deliveries are in each state."""
    rows = session.exec(select(Outbox.state, func.count()).group_by(col(Outbox.state))).all()
    return {OutboxState(state).value: count for state, count in rows}


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
