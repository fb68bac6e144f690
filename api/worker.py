"""Background work: deliver what was approved, close requests that waited too long.

A delivery is claimed in one transaction, sent without one, and recorded in another. A worker that
dies in between leaves a lease that runs out; ``tools.outbox.service`` says what happens then.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Event

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from db.models.purchasing import PurchaseOrder
from db.session import Database
from db.types import Actor, OutboxState
from tools.approvals import service as approvals
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import ExternalError, InvalidInput, QuartermasterError
from tools.outbox import service as outbox
from tools.outbox.core import Breaker, Claim, Outcome, Settlement, Way, failed, outcome
from tools.outbox.gateway import Channel
from tools.purchasing.service.settling import check_settlement
from tools.purchasing.service.submitting import mark_sent, take_back
from tools.tracing import bound, span

logger = logging.getLogger(__name__)

ROUND_EVERY_S = 1.0


@dataclass(frozen=True)
class Delivery:
    """What came of one attempt; ``state`` is None when another worker has taken it over."""

    key: str
    order_number: str
    state: OutboxState | None
    reference: str = ""
    error: str = ""
    channel: str = ""


@dataclass
class Courier:
    """Sends what is due and remembers, while it lives, who failed and whose turn it was.

    Attributes:
        database: Where the outbox is.
        channels: The ways out, by name.
        clock: Time.
        holder: Name of this worker, unique among those alive.
        takes_all: Whether it also takes what none of its channels can send, and gives that up so
            that somebody hears of it. A terminal does not: the server may have the channel.
        is_stopping: Asked before each claim; what was claimed is finished.
    """

    database: Database
    channels: Mapping[str, Channel]
    clock: Clock
    holder: str
    takes_all: bool = True
    is_stopping: Callable[[], bool] = field(default=lambda: False)
    _breakers: dict[Way, Breaker] = field(default_factory=dict)
    _served: set[int] = field(default_factory=set)

    def round(self, limit: int = 50) -> list[Delivery]:
        """Send what is due; each delivery is recorded before the next one is tried.

        Suppliers take turns, so one with many deliveries does not keep the others waiting.
        """
        release_expired(self.database, self.channels, clock=self.clock)
        done: list[Delivery] = []
        while len(done) < limit and not self.is_stopping():
            claim = self._claim()
            if claim is None:
                break
            self._served = {claim.supplier_id} | (
                set() if claim.supplier_id in self._served else self._served
            )
            with bound(delivery_key=claim.key), span("delivery", claim.channel) as told:
                done.append(self._attempt(claim))
                told.result = str(done[-1].state or "lost")
        return done

    def resting(self) -> list[Way]:
        """Return the ways out that are given a rest after failures in a row."""
        now = self.clock.now()
        return [way for way, one in self._breakers.items() if not one.lets_through(now)]

    def _claim(self) -> Claim | None:
        with self.database.write() as session:
            audit.lock(session)
            return outbox.claim(
                session, holder=self.holder, at=self.clock.now(), closed=self.resting(),
                served=self._served, only=None if self.takes_all else self.channels.keys(),
            )  # fmt: skip

    def _attempt(self, claim: Claim) -> Delivery:
        """Try one delivery; whatever goes wrong with it, the next ones are tried as well."""
        channel = self.channels.get(claim.channel)
        is_safe = channel is None or channel.is_idempotent
        try:
            reference = _sent(channel, claim)
            delivered = _delivered(self.database, claim, reference, self.clock)
        except InvalidInput as error:  # found while writing the document: nothing was sent
            problem = failed(error.message, is_unsent=True, is_final=True)
        except ExternalError as error:
            logger.warning("delivery failed", extra={"key": claim.key, "error": error.message})
            problem = error
        except Exception as error:  # a bug in one delivery must not stop the others
            logger.exception("delivery failed unexpectedly", extra={"key": claim.key})
            problem = failed(f"{type(error).__name__}: {error}")
        else:
            self._note_success(claim)
            return delivered
        said = outcome(problem.details)
        self._note_failure(claim, said)
        return _failed(
            self.database, claim, problem.message, said, self.clock, is_idempotent=is_safe
        )

    def _note_success(self, claim: Claim) -> None:
        self._breakers.pop(claim.way, None)
        self._breakers.pop((claim.channel, None), None)

    def _note_failure(self, claim: Claim, said: Outcome) -> None:
        """Count towards a rest what another try might find mended."""
        if said.is_final:
            return
        way = (claim.channel, None) if said.is_channel else claim.way
        before = self._breakers.get(way, Breaker())
        breaker = before.after_failure(self.clock.now())
        self._breakers[way] = breaker
        if breaker.open_until is not None:
            logger.warning(
                "way out is given a rest",
                extra={"channel": way[0], "supplier_id": way[1], "failures": breaker.failures,
                       "until": breaker.open_until.isoformat()},
            )  # fmt: skip


def deliver_due(
    database: Database,
    channels: Mapping[str, Channel],
    *,
    clock: Clock,
    holder: str,
    limit: int = 50,
) -> list[Delivery]:
    """Send what is due, once; a worker that stays keeps a ``Courier``.

    Args:
        database: Where the outbox is.
        channels: The ways out, by name.
        clock: Time.
        holder: Name of this worker, unique among those alive.
        limit: How many at most.
    """
    return Courier(database, channels, clock=clock, holder=holder).round(limit)


def release_expired(database: Database, channels: Mapping[str, Channel], *, clock: Clock) -> None:
    """Free the deliveries of workers that did not come back."""
    safe = {name for name, channel in channels.items() if channel.is_idempotent}
    with database.read() as session:  # nearly always there is nothing to write
        if not outbox.has_expired(session, at=clock.now()):
            return
    with database.write() as session:
        audit.lock(session)
        outbox.release_expired(session, at=clock.now(), idempotent_channels=safe)


def expire_due(database: Database, *, clock: Clock) -> int:
    """Close the approval requests that waited too long, each for itself; returns how many."""
    with database.read() as session:
        due = approvals.list_due(session, clock=clock)
    closed = 0
    for number in due:
        with database.write() as session:
            closed += approvals.close_due(session, number, clock=clock)
    return closed


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
        settle_in(session, key, answer=answer, actor=actor, reason=reason, clock=clock)


def settle_in(
    session: Session, key: str, *, answer: Settlement, actor: Actor, reason: str, clock: Clock
) -> str:
    """Do what ``settle`` does inside a transaction; returns the order's number."""
    audit.lock(session)
    row = outbox.settle(session, key, answer=answer, actor=actor, reason=reason, at=clock.now())
    check_settlement(session, row, answer=answer, actor=actor, reason=reason)
    if answer is Settlement.DELIVERED:
        mark_sent(session, order_id=row.order_id, reference=reason, clock=clock)
    elif answer is Settlement.TAKE_BACK:
        take_back(session, order_id=row.order_id, actor=actor, reason=reason, clock=clock)
    return session.get_one(PurchaseOrder, row.order_id).number


def work_once(
    database: Database, channels: Mapping[str, Channel], *, clock: Clock, holder: str
) -> list[Delivery]:
    """Close what waited too long, then send what is due, even where the first of them fails."""
    return work(Courier(database, channels, clock=clock, holder=holder))


def work(courier: Courier) -> list[Delivery]:
    """Close what waited too long, then send what is due, even where the first of them fails."""
    try:
        expire_due(courier.database, clock=courier.clock)
    finally:
        sent = courier.round()
    return sent


def run(courier: Courier, stopping: Event, *, also: Callable[[], object] = lambda: None) -> None:
    """Work until told to stop; a round that fails is logged and the next one tried.

    Args:
        courier: Delivers.
        stopping: Set when it is time to stop.
        also: What is done in each round besides, also when deliveries fail.

    What dead workers left behind is freed first. What is being sent when the stop comes is
    finished and recorded.
    """
    while not stopping.is_set():
        for step in (partial(work, courier), also):
            try:
                step()
            except (SQLAlchemyError, QuartermasterError):  # the database may be back next time
                logger.exception("round of work failed")
        stopping.wait(ROUND_EVERY_S)


def _sent(channel: Channel | None, claim: Claim) -> str:
    if claim.problem:
        raise failed(claim.problem, is_unsent=True, is_final=True)
    if channel is None:
        raise failed(
            f"no channel {claim.channel!r} is set up; `quartermaster doctor` says what is missing",
            is_unsent=True, is_final=True,
        )  # fmt: skip
    return channel.deliver(claim.key, claim.payload)


def _delivered(database: Database, claim: Claim, reference: str, clock: Clock) -> Delivery:
    with database.write() as session:
        audit.lock(session)
        is_ours = outbox.record_delivered(session, claim, reference=reference, at=clock.now())
        if is_ours:
            mark_sent(session, order_id=claim.order_id, reference=reference, clock=clock)
    if not is_ours:
        logger.warning("claim lost while delivering", extra={"key": claim.key})
        return Delivery(claim.key, claim.number, None, reference, channel=claim.channel)
    logger.info("order delivered", extra={"key": claim.key, "reference": reference})
    return Delivery(
        claim.key, claim.number, OutboxState.DELIVERED, reference, channel=claim.channel
    )


def _failed(
    database: Database,
    claim: Claim,
    message: str,
    said: Outcome,
    clock: Clock,
    *,
    is_idempotent: bool,
) -> Delivery:
    with database.write() as session:
        audit.lock(session)
        state = outbox.record_failed(
            session,
            claim,
            error=message,
            at=clock.now(),
            is_idempotent=is_idempotent,
            is_surely_unsent=said.is_unsent,
            is_final=said.is_final,
            retry_after_s=said.retry_after_s,
        )
    if state in (OutboxState.DEAD, OutboxState.IN_DOUBT):
        logger.error(
            "delivery waits for a person",
            extra={"key": claim.key, "order": claim.number, "state": state.value,
                   "error": message},
        )  # fmt: skip
    return Delivery(claim.key, claim.number, state, error=message, channel=claim.channel)
