"""Background work: deliver what was approved, close requests that waited too long.

A delivery is claimed in one transaction, sent without one, and recorded in another. A worker that
dies in between leaves a lease that runs out; ``tools.outbox.service`` says what happens then.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from db.session import Database
from db.types import Actor, OutboxState, Role
from tools.approvals import service as approvals
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import ExternalError, Forbidden
from tools.identity.core import can_approve
from tools.outbox import service as outbox
from tools.outbox.gateway import Channel
from tools.purchasing.service.submitting import mark_sent

logger = logging.getLogger(__name__)
_PAUSE_S = 1.0


@dataclass(frozen=True)
class Delivery:
    """What came of one attempt; ``state`` is None when another worker has taken it over."""

    key: str
    order_number: str
    state: OutboxState | None
    reference: str = ""
    error: str = ""


def deliver_due(
    database: Database,
    channels: Mapping[str, Channel],
    *,
    clock: Clock,
    holder: str,
    limit: int = 50,
) -> list[Delivery]:
    """Send what is due; each delivery is recorded before the next one is tried.

    Args:
        database: Where the outbox is.
        channels: The ways out, by name.
        clock: Time.
        holder: Name of this worker, unique among those alive.
        limit: How many at most.
    """
    safe = {name for name, channel in channels.items() if channel.is_idempotent}
    with database.write() as session:
        audit.lock(session)
        outbox.release_expired(session, at=clock.now(), idempotent_channels=safe)
        claims = outbox.claim(session, holder=holder, at=clock.now(), limit=limit)
    return [_deliver(database, channels, claim, clock) for claim in claims]


def expire_due(database: Database, *, clock: Clock) -> int:
    """Close the approval requests that waited too long; returns how many."""
    with database.write() as session:
        return approvals.expire_due(session, clock=clock)


def settle(
    database: Database,
    key: str,
    *,
    was_delivered: bool,
    actor: Actor,
    reason: str,
    clock: Clock,
) -> None:
    """Record what a person found out about a delivery in doubt: it arrived, or send it again.

    Raises:
        Forbidden: The actor is neither an admin nor somebody who decides about orders.
    """
    if not can_approve(actor.role) and actor.role is not Role.ADMIN:
        raise Forbidden(f"a {actor.role.value} does not settle deliveries")
    with database.write() as session:
        audit.lock(session)
        row = outbox.settle(
            session, key, was_delivered=was_delivered, actor=actor, reason=reason, at=clock.now()
        )
        if was_delivered:
            mark_sent(session, order_id=row.order_id, reference=reason, clock=clock)


def run_forever(
    database: Database,
    channels: Mapping[str, Channel],
    *,
    clock: Clock,
    holder: str,
    stop: threading.Event,
    pause_s: float = _PAUSE_S,
) -> None:
    """Work until ``stop`` is set; what was begun is finished first."""
    while not stop.is_set():
        expire_due(database, clock=clock)
        deliver_due(database, channels, clock=clock, holder=holder)
        stop.wait(pause_s)


def _deliver(
    database: Database, channels: Mapping[str, Channel], claim: outbox.Claim, clock: Clock
) -> Delivery:
    number = str(claim.payload.get("number", ""))
    channel = channels.get(claim.channel)
    try:
        if channel is None:
            raise ExternalError(
                f"no channel {claim.channel!r} is set up", details={"is_unsent": True}
            )
        reference = channel.deliver(claim.key, claim.payload)
    except ExternalError as error:
        return _failed(database, claim, error, clock, is_idempotent=_is_safe(channel))
    with database.write() as session:
        audit.lock(session)
        is_ours = outbox.record_delivered(session, claim, reference=reference, at=clock.now())
        if is_ours:
            mark_sent(session, order_id=claim.order_id, reference=reference, clock=clock)
    state = OutboxState.DELIVERED if is_ours else None
    logger.info("order delivered", extra={"key": claim.key, "reference": reference})
    return Delivery(claim.key, number, state, reference)


def _failed(
    database: Database,
    claim: outbox.Claim,
    error: ExternalError,
    clock: Clock,
    *,
    is_idempotent: bool,
) -> Delivery:
    with database.write() as session:
        audit.lock(session)
        state = outbox.record_failed(
            session,
            claim,
            error=error.message,
            at=clock.now(),
            is_idempotent=is_idempotent,
            is_surely_unsent=bool(error.details.get("is_unsent")),
        )
    logger.warning("delivery failed", extra={"key": claim.key, "error": error.message})
    return Delivery(claim.key, str(claim.payload.get("number", "")), state, error=error.message)


def _is_safe(channel: Channel | None) -> bool:
    return channel is None or channel.is_idempotent
