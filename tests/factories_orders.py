"""A desk at which a test drafts, asks, decides and delivers in a few words."""

import atexit
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlmodel import col, select

from api.worker import Delivery, deliver_due
from db.models.audit import AuditEvent
from db.models.purchasing import Approval, Outbox
from db.session import Database
from db.types import Decision
from tests.conftest import NOW
from tests.factories import WorldP, make_policy, make_world_p
from tools.approvals.core import DecisionOutcome
from tools.approvals.service import decide, get_approval
from tools.audit.service import AuditReport, verify
from tools.clock import FixedClock
from tools.company import Company
from tools.outbox.gateway import DropFolder
from tools.policy.service import current
from tools.purchasing.core.views import OrderView
from tools.purchasing.service.drafting import DraftOutcome, draft
from tools.purchasing.service.reading import get_order
from tools.purchasing.service.requesting import request_approval
from tools.purchasing.service.revising import Change, revise
from tools.purchasing.service.terms import LineRequest

_built: list[tuple[sqlite3.Connection, WorldP]] = []


def _world_in(database: Database) -> WorldP:
    """Build the world in an empty database; on SQLite it is built once and copied from then on."""
    if database.is_sqlite and _built:
        copy, world = _built[0]
        copy.backup(_connection(database))
        return world
    with database.write() as session:
        world = make_world_p(session)
    if database.is_sqlite:
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        _connection(database).backup(copy)
        _built.append((copy, world))
        atexit.register(copy.close)
    return world


def _connection(database: Database) -> sqlite3.Connection:
    raw = database.engine.raw_connection()
    connection = raw.driver_connection
    raw.close()
    assert isinstance(connection, sqlite3.Connection)
    return connection


@dataclass
class Desk:
    """Fixture P in a database, with a clock; each call is one transaction."""

    database: Database
    folder: Path
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))
    company: Company = field(default_factory=lambda: Company(currency="USD"))
    world: WorldP = field(init=False)

    def __post_init__(self) -> None:
        self.world = _world_in(self.database)

    def draft(
        self, units: float = 1920, by: str = "paul", sku: str = "WIDGET-A", **options: object
    ) -> DraftOutcome:
        with self.database.write() as session:
            return draft(
                session, lines=[LineRequest(units, sku)], actor=self.world.actors[by],
                clock=self.clock, company=self.company, **options,  # type: ignore[arg-type]
            )  # fmt: skip

    def revise(
        self, number: str = "PO-2001", units: float = 1560, by: str = "paul"
    ) -> DraftOutcome:
        with self.database.write() as session:
            return revise(
                session, number=number, changes=[Change("WIDGET-A", units)],
                actor=self.world.actors[by], clock=self.clock, company=self.company,
            )  # fmt: skip

    def ask(self, number: str = "PO-2001", by: str = "paul") -> Approval:
        with self.database.write() as session:
            return request_approval(
                session, number=number, actor=self.world.actors[by], clock=self.clock,
                company=self.company,
            )  # fmt: skip

    def decide(
        self,
        decision: Decision = Decision.APPROVE,
        *,
        by: str = "mona",
        number: str = "a-31",
        version: int = 1,
        reason: str = "",
        edits: Sequence[dict[str, object]] | None = None,
        fingerprint: str | None = None,
        reauthenticated: bool = False,
    ) -> DecisionOutcome:
        with self.database.write() as session:
            return decide(
                session, number=number, version=version, decision=decision,
                actor=self.world.actors[by], clock=self.clock, company=self.company,
                channel="test", reason=reason, edits=edits, fingerprint=fingerprint,
                reauthenticated=reauthenticated,
            )  # fmt: skip

    def policy(self, **values: str) -> int:
        """Put the world's policy with other YAML values in force; returns its version."""
        with self.database.write() as session:
            version = current(session).version + 1
            make_policy(session, version=version, **values)
        return version

    def deliver(self, holder: str = "worker") -> list[Delivery]:
        return deliver_due(
            self.database, {"file": DropFolder(self.folder)}, clock=self.clock, holder=holder
        )

    def pending(self, units: float = 1920, by: str = "paul") -> Approval:
        """Draft and ask."""
        return self.ask(self.draft(units, by).order.number, by)

    def approved(self) -> str:
        """Draft, ask and approve; returns the order's number."""
        return self.decide(number=self.pending().number).order_number

    def sent(self) -> str:
        """Draft, ask, approve and deliver; returns the order's number."""
        number = self.approved()
        self.deliver()
        return number

    def order(self, number: str = "PO-2001") -> OrderView:
        with self.database.read() as session:
            return get_order(session, number)

    def approval_state(self, number: str = "a-31") -> str:
        with self.database.read() as session:
            return get_approval(session, number).state.value

    def outbox(self) -> list[Outbox]:
        with self.database.read() as session:
            rows = list(session.exec(select(Outbox).order_by(col(Outbox.id))).all())
            session.expunge_all()
            return rows

    def files(self) -> list[str]:
        """Return what the reader of the outgoing folder sees."""
        found = self.folder.iterdir() if self.folder.exists() else ()
        return sorted(path.name for path in found if not path.name.startswith("."))

    def trail(self) -> list[tuple[str, str, str]]:
        """(action, object, actor) of every audit row."""
        with self.database.read() as session:
            rows = session.exec(select(AuditEvent).order_by(col(AuditEvent.seq))).all()
            return [(row.action, row.object_id, row.actor) for row in rows]

    def audit(self) -> AuditReport:
        with self.database.read() as session:
            return verify(session)
