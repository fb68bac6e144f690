"""Numbers for Prometheus: what this process did, and how the database stands at this moment.

Labels come from closed sets (routes, tools, states), never from what somebody sent, and name no
person.
"""

import threading
import time
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlmodel import Session, col, func, select

from db.models.audit import AuditEvent
from db.models.purchasing import Approval, Outbox
from db.session import Database
from db.types import ApprovalState, Decision, OutboxState
from tools.clock import Clock
from tools.tracing import Ended, Kind, Outcome

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
HASTY_S = 3.0  # who approves faster than this has hardly read
_OVERLAP = timedelta(minutes=1)  # a decision may be stored a moment after the time it carries
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TURN = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_DECIDE = (HASTY_S, 10, 30, 60, 300, 1_800, 3_600, 14_400, 86_400)


class Metrics:
    """Counts spans as they end and reads the rest when it is asked; a listener of ``tracing``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._reading = threading.Lock()
        self._since = clock.now()
        self._counted: set[int] = set()
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry, "namespace": "quartermaster"}
        self._requests = Counter(
            "http_requests", "Answered requests.", ["method", "route", "status"], **own
        )
        self._request_s = Histogram(
            "http_request_seconds", "Time to answer.", ["method", "route"], buckets=_SHORT, **own
        )
        self._turns = Counter("turns", "Chat turns.", ["result"], **own)
        self._turn_s = Histogram("turn_seconds", "Time of a chat turn.", buckets=_TURN, **own)
        self._tools = Counter("tool_calls", "Calls of tools.", ["tool", "result"], **own)
        self._attempts = Counter(
            "delivery_attempts", "Tries to deliver.", ["channel", "result"], **own
        )
        self.database_errors = Counter(
            "database_errors", "Requests that the database could not serve.", ["kind"], **own
        )
        self._decided = Counter("approvals_decided", "Decisions.", ["decision"], **own)
        self._decide_s = Histogram(
            "approval_decision_seconds", "From request to decision.", buckets=_DECIDE, **own
        )
        self._hasty = Counter(
            "approvals_hasty", f"Approved within {HASTY_S:.0f} s of the request.", **own
        )
        self._deliveries = Gauge("deliveries", "Deliveries.", ["state"], **own)
        self._oldest_s = Gauge("outbox_oldest_seconds", "Age of the oldest unsent order.", **own)
        self._waiting = Gauge("approvals_pending", "Requests that wait for a person.", **own)
        self._trail = Gauge("audit_rows", "Rows of the audit trail.", **own)

    def begin(self, kind: Kind, _name: str) -> Ended:
        """Start a clock; its end is counted by kind."""
        started = time.perf_counter()
        ended = {
            "request": self._request_ended, "turn": self._turn_ended,
            "tool": self._tool_ended, "delivery": self._delivery_ended,
        }[kind]  # fmt: skip
        return lambda outcome, _ids: ended(outcome, time.perf_counter() - started)

    def hand_over(self, run_id: str) -> None:
        """Nothing to count."""

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        with self._reading, self._database.read() as session:
            self._read_states(session)
            self._read_decisions(session)
        return generate_latest(self.registry)

    def _request_ended(self, outcome: Outcome, lasted_s: float) -> None:
        method, _, route = outcome.name.partition(" ")
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, outcome.result).inc()
        self._request_s.labels(method, route).observe(lasted_s)

    def _turn_ended(self, outcome: Outcome, lasted_s: float) -> None:
        self._turns.labels(outcome.result).inc()
        self._turn_s.observe(lasted_s)

    def _tool_ended(self, outcome: Outcome, _lasted_s: float) -> None:
        self._tools.labels(outcome.name, outcome.result).inc()

    def _delivery_ended(self, outcome: Outcome, _lasted_s: float) -> None:
        self._attempts.labels(outcome.name, outcome.result).inc()

    def _read_states(self, session: Session) -> None:
        counted = dict(
            session.exec(select(Outbox.state, func.count()).group_by(col(Outbox.state))).all()
        )
        for state in OutboxState:
            self._deliveries.labels(state.value).set(counted.get(state, 0))
        unsent = col(Outbox.state).in_((OutboxState.PENDING, OutboxState.CLAIMED))
        oldest = session.exec(select(func.min(Outbox.created_at)).where(unsent)).one()
        age = timedelta(0) if oldest is None else self._clock.now() - oldest
        self._oldest_s.set(max(0.0, age.total_seconds()))
        pending = select(func.count()).where(col(Approval.state) == ApprovalState.PENDING)
        self._waiting.set(session.exec(pending).one())
        self._trail.set(session.exec(select(func.max(AuditEvent.seq))).one() or 0)

    def _read_decisions(self, session: Session) -> None:
        """Count what was decided since the last look, through whatever door."""
        now = self._clock.now()
        rows = session.exec(
            select(Approval.id, Approval.decision, Approval.requested_at, Approval.decided_at)
            .where(col(Approval.decision).is_not(None))
            .where(col(Approval.decided_at) >= self._since - _OVERLAP)
        ).all()
        for key, decision, requested_at, decided_at in rows:
            if key in self._counted or decision is None or decided_at is None:
                continue
            lasted_s = (decided_at - requested_at).total_seconds()
            self._decided.labels(decision).inc()
            self._decide_s.observe(lasted_s)
            self._hasty.inc(decision == Decision.APPROVE and lasted_s < HASTY_S)
        self._counted = {row[0] for row in rows}
        self._since = now
