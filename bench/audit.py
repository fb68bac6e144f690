"""Verify a big audit trail, every row and every order, on SQLite and on PostgreSQL.

A year of a busy house: 20,000 orders, each drafted, asked for, signed, approved, sent and received;
120,000 rows. Written in bulk, sealed row by row. ``QM_TEST_POSTGRES_URL`` names the server.
"""

import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlmodel import Session, SQLModel

from db.bulk import bulk_insert
from db.migrate import upgrade
from db.models.catalog import Item, Location, Supplier
from db.models.identity import User
from db.models.purchasing import (
    Approval,
    ApprovalSignature,
    Outbox,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderRevision,
)
from db.session import Database
from db.types import Actor, ActorKind, Role
from tools.audit.core.chain import GENESIS, Entry, document_hash, entry_mac
from tools.audit.service import append, verify, write_rows

ORDERS = 20_000
LEAST_ROWS_PER_S = 40_000
APPENDS = 500
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY = b"b" * 32
INFO = {"audit_keys": {"bench": KEY}, "audit_key_id": "bench"}
_CHUNK = 2_000


def run() -> list[dict[str, Any]]:
    """Measure on SQLite, and on PostgreSQL when a server is named."""
    with tempfile.TemporaryDirectory() as folder:
        rows = _measure("SQLite", f"sqlite:///{folder}/bench.db")
    if server := os.environ.get("QM_TEST_POSTGRES_URL", ""):  # noqa: TID251
        with _postgres(server) as url:
            rows += _measure("PostgreSQL", url)
    return rows


def _measure(engine: str, url: str) -> list[dict[str, Any]]:
    database = Database(url, session_info=INFO)
    upgrade(database.engine)
    _fill(database)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        with database.read() as session:
            report = verify(session)
        seconds.append(time.perf_counter() - started)
        if not report.ok or report.rows != 6 * ORDERS:
            raise RuntimeError(f"the trail does not hold: {report}")
    per_s = report.rows / sorted(seconds)[1]
    appended_ms = _append(database)
    database.close()
    return [
        {"name": f"audit verify of {report.rows:,} rows and {ORDERS:,} orders, {engine}",
         "value": per_s, "unit": "rows/s", "goal": f">= {LEAST_ROWS_PER_S:,} /s",
         "holds": per_s >= LEAST_ROWS_PER_S},
        {"name": f"audit append, median, {engine}", "value": appended_ms, "unit": "ms",
         "goal": "<= 5 ms", "holds": appended_ms <= 5},
    ]  # fmt: skip


def _append(database: Database) -> float:
    """Return how long one row takes inside a transaction, median, milliseconds."""
    actor = Actor(1, "paul", "Paul Planner", Role.PLANNER)
    taken = []
    with database.write() as session:
        for number in range(APPENDS):
            started = time.perf_counter()
            append(
                session, at=AT, actor=actor, action="bench.done", object_id=f"B-{number}",
                before={"state": "draft"}, after={"state": "sent", "revision": 1},
            )  # fmt: skip
            taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken)[APPENDS // 2]


def _fill(database: Database) -> None:
    with database.write() as session:
        session.add(Location(id=1, code="MAIN", name="Main warehouse"))
        session.add(Supplier(id=1, code="ACME", code_key="acme", name="Acme", currency="GBP"))
        session.add(Item(id=1, sku="WIDGET", sku_key="widget", name="Widget", uom="each",
                         currency="GBP", created_at=AT))  # fmt: skip
        session.add(User(id=1, login="paul", name="Paul", role=Role.PLANNER, created_at=AT))
        session.add(User(id=2, login="mona", name="Mona", role=Role.MANAGER, created_at=AT))
    trail = _Trail()
    for first in range(1, ORDERS + 1, _CHUNK):
        with database.write() as session:
            _orders(session, range(first, min(first + _CHUNK, ORDERS + 1)), trail)


class _Trail:
    """Seals rows one after the other."""

    def __init__(self) -> None:
        self.seq, self.mac = 0, GENESIS
        self.rows: list[tuple[Entry, str]] = []

    def tell(self, actor: str, action: str, object_id: str, **told: Any) -> None:
        """Add a row; ``told`` is what it says after."""
        self.seq += 1
        kind = ActorKind.SYSTEM if actor == "system" else ActorKind.HUMAN
        entry = Entry(
            seq=self.seq, at=AT + timedelta(seconds=self.seq), actor=actor, actor_kind=kind.value,
            action=action, object_id=object_id, before={"state": "draft", "revision": 1},
            after=told, meaning="", reason="", context={"request_id": uuid.uuid4().hex},
            key_id="bench", prev_mac=self.mac,
        )  # fmt: skip
        self.mac = entry_mac(KEY, entry)
        self.rows.append((entry, self.mac))


def _orders(session: Session, ids: range, trail: _Trail) -> None:
    tables: dict[type[SQLModel], list[dict[str, Any]]] = {
        model: []
        for model in (
            PurchaseOrder, PurchaseOrderLine, PurchaseOrderRevision, Approval, ApprovalSignature,
            Outbox,
        )
    }  # fmt: skip
    for number in ids:
        for model, row in _order(number, trail):
            tables[model].append(row)
    for model, rows in tables.items():
        bulk_insert(session, model, rows)
    write_rows(session, trail.rows)
    trail.rows = []


def _order(number: int, trail: _Trail) -> Iterator[tuple[type[SQLModel], dict[str, Any]]]:
    name, request = f"PO-{number}", f"a-{number}"
    content = {
        "number": name, "revision": 1, "supplier": {"code": "ACME", "name": "Acme"},
        "ship_to": "MAIN", "currency": "GBP", "need_by": None, "total_minor": 1200,
        "lines": [{"sku": "WIDGET", "units": 12, "unit_price_minor": 100, "name": "Widget"}],
    }  # fmt: skip
    seal = document_hash(content)
    payload = {"kind": "purchase_order", "number": name, "fingerprint": seal, "total": "12.00",
               "key": f"po:{name}:v1:{seal[:16]}"}  # fmt: skip
    seen = {"revision": 1, "fingerprint": seal, "total_minor": 1200}
    trail.tell("paul", "order.drafted", name, state="draft", currency="GBP", **seen)
    trail.tell("paul", "approval.requested", name, state="pending_approval", approval=request,
               **seen)  # fmt: skip
    trail.tell("mona", "approval.approve", request, state="approved", version=2, revision=1,
               fingerprint=seal, channel="bench")  # fmt: skip
    trail.tell("mona", "order.approved", name, state="approved", approval=request,
               payload=document_hash(payload), **seen)  # fmt: skip
    trail.tell("system", "order.sent", name, state="sent", revision=1, reference=f"{name}.json")
    trail.tell("paul", "bench.received", name, state="received", revision=1)
    yield PurchaseOrder, {
        "id": number, "number": name, "revision": 1, "supplier_id": 1, "location_id": 1,
        "state": "received", "currency": "GBP", "total_minor": 1200, "fingerprint": seal,
        "note": "", "is_imported": False, "created_at": AT, "approved_at": AT, "sent_at": AT,
    }  # fmt: skip
    yield PurchaseOrderLine, {
        "id": number, "order_id": number, "line_number": 1, "item_id": 1, "ordered_units": 12,
        "unit_price_minor": 100, "amount_minor": 1200, "received_units": 12,
        "short_closed_units": 0,
    }  # fmt: skip
    yield PurchaseOrderRevision, {
        "id": number, "order_id": number, "revision": 1, "content": content, "fingerprint": seal,
        "reason": "", "checks": [], "created_by_id": 1, "created_at": AT,
    }  # fmt: skip
    yield Approval, {
        "id": number, "number": request, "order_id": number, "revision": 1, "fingerprint": seal,
        "action": "send", "version": 2, "state": "approved", "total_minor": 1200,
        "currency": "GBP", "company_total_minor": 1200, "required_role": "manager", "rule": "",
        "requested_by_id": 1, "requested_at": AT, "expires_at": AT, "decision": "approve",
        "decided_by_id": 2, "decided_at": AT, "meaning": "approval", "reason": "",
        "channel": "bench", "consumed_at": AT, "required_signatures": 1,
        "needs_reauthentication": False,
    }  # fmt: skip
    yield ApprovalSignature, {
        "id": number, "approval_id": number, "user_id": 2, "printed_name": "Mona",
        "signed_at": AT, "meaning": "approval", "reason": "", "channel": "bench",
        "fingerprint": seal, "is_reauthenticated": False,
    }  # fmt: skip
    yield Outbox, {
        "id": number, "key": f"po:{name}:v1:{seal[:16]}", "kind": "purchase_order",
        "order_id": number, "revision": 1, "approval_id": number, "channel": "file",
        "payload": payload, "state": "delivered", "attempts": 1, "next_attempt_at": AT,
        "lease_holder": "", "last_error": "", "delivery_reference": "", "created_at": AT,
        "delivered_at": AT,
    }  # fmt: skip


@contextmanager
def _postgres(server: str) -> Iterator[str]:
    name = f"qm_bench_audit_{uuid.uuid4().hex[:8]}"
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    _administer(server, f'CREATE DATABASE "{name}"')
    try:
        yield url
    finally:
        _administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _administer(server: str, statement: str) -> None:
    engine = Database(server).engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
