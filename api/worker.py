"""Background work: deliver what was approved, close requests that waited too long.

A delivery is claimed in one transaction, sent without one, and recorded in another. A worker that
dies in between leaves a lease that runs out; ``tools.outbox.service`` says what happens then.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from db.session import Database
from db.types import Actor, OutboxState
from tools.approvals import service as approvals
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import ExternalError
from tools.outbox import service as outbox
from tools.outbox.core import Settlement
from tools.outbox.gateway import Channel
from tools.purchasing.service.submitting import mark_sent, take_back

logger = logging.getLogger(__name__)


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
    release_expired(database, channels, clock=clock)
    done: list[Delivery] = []
    while len(done) < limit:
        with database.write() as session:
            audit.lock(session)
            claim = outbox.claim(session, holder=holder, at=clock.now())
        if claim is None:
            break
        done.append(_deliver(database, channels, claim, clock))
    return done


def release_expired(database: Database, channels: Mapping[str, Channel], *, clock: Clock) -> None:
    """Free the deliveries of workers that did not come back."""
    safe = {name for name, channel in channels.items() if channel.is_idempotent}
    with database.write() as session:
        audit.lock(session)
        outbox.release_expired(session, at=clock.now(), idempotent_channels=safe)


def expire_due(database: Database, *, clock: Clock) -> int:
    """Close the approval requests that waited too long; returns how many."""
    with database.write() as session:
        return approvals.expire_due(session, clock=clock)


def settle(
    database: Database,
    key: str,
    *,
    answer: Settlement,
    actor: Actor,
    reason: str,
    clock: Clock,
) -> None:
    """Record what a person found out about a delivery in doubt or dead, and what follows.

    Raises:
        Forbidden: The actor is neither an admin nor somebody who decides about orders.
        NotFound: There is no such delivery.
        Conflict: There is nothing to settle.
    """
    with database.write() as session:
        audit.lock(session)
        row = outbox.settle(session, key, answer=answer, actor=actor, reason=reason, at=clock.now())
        if answer is Settlement.DELIVERED:
            mark_sent(session, order_id=row.order_id, reference=reason, clock=clock)
        elif answer is Settlement.TAKE_BACK:
            take_back(session, order_id=row.order_id, actor=actor, reason=reason, clock=clock)


def work_once(
    database: Database, channels: Mapping[str, Channel], *, clock: Clock, holder: str
) -> list[Delivery]:
    """Close what waited too long, then send what is due, even where the first of them fails."""
    try:
        expire_due(database, clock=clock)
    finally:
        sent = deliver_due(database, channels, clock=clock, holder=holder)
    return sent


def _deliver(
    database: Database, channels: Mapping[str, Channel], claim: outbox.Claim, clock: Clock
) -> Delivery:
    """Try one delivery; whatever goes wrong with it, the next ones are tried as well."""
    channel = channels.get(claim.channel)
    is_safe = channel is None or channel.is_idempotent
    try:
        reference = _sent(channel, claim)
        return _delivered(database, claim, reference, clock)
    except ExternalError as error:
        logger.warning("delivery failed", extra={"key": claim.key, "error": error.message})
        failed = error
    except Exception as error:  # a bug in one delivery must not stop the others
        logger.exception("delivery failed unexpectedly", extra={"key": claim.key})
        failed = ExternalError(f"{type(error).__name__}: {error}")
    return _failed(database, claim, failed, clock, is_idempotent=is_safe)


def _sent(channel: Channel | None, claim: outbox.Claim) -> str:
    unsent = {"is_unsent": True}
    if claim.problem:
        raise ExternalError(claim.problem, details=unsent)
    if channel is None:
        raise ExternalError(f"no channel {claim.channel!r} is set up", details=unsent)
    return channel.deliver(claim.key, claim.payload)


def _delivered(database: Database, claim: outbox.Claim, reference: str, clock: Clock) -> Delivery:
    with database.write() as session:
        audit.lock(session)
        is_ours = outbox.record_delivered(session, claim, reference=reference, at=clock.now())
        if is_ours:
            mark_sent(session, order_id=claim.order_id, reference=reference, clock=clock)
    if not is_ours:
        logger.warning("claim lost while delivering", extra={"key": claim.key})
        return Delivery(claim.key, claim.number, None, reference)
    logger.info("order delivered", extra={"key": claim.key, "reference": reference})
    return Delivery(claim.key, claim.number, OutboxState.DELIVERED, reference)


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
    return Delivery(claim.key, claim.number, state, error=error.message)
