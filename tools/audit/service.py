"""The trail: append in the transaction of the change, verify the whole of it."""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    Table,
    Text,
    bindparam,
    cast,
    select,
    text,
)
from sqlmodel import Session, SQLModel, col

from db.columns import UtcDateTime
from db.models.audit import AuditEvent
from db.models.catalog import Item, Location, Supplier
from db.models.identity import User
from db.models.purchasing import (
    Approval,
    Outbox,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderRevision,
)
from db.types import Actor, ActorKind, Role
from tools import tracing
from tools.audit.core.chain import (
    GENESIS,
    ROTATED,
    Entry,
    document_hash,
    entry_mac,
    first_break,
    read_entry,
    read_object,
    read_text,
)
from tools.audit.core.witness import (
    ApprovalRow,
    DeliveryRow,
    OrderRow,
    RevisionRow,
    Witness,
    World,
)
from tools.errors import Conflict

SYSTEM = Actor(
    user_id=0, login="system", name="Quartermaster", role=Role.SERVICE, kind=ActorKind.SYSTEM
)
_ORDER_COLUMNS = (
    "number", "revision", "state", "currency", "total_minor", "fingerprint", "need_by_on",
    "is_imported", "sent_at",
)  # fmt: skip
_APPROVAL_COLUMNS = (
    "id", "number", "order_id", "revision", "fingerprint", "state", "total_minor", "decision",
    "requested_by_id", "decided_by_id", "reason", "consumed_at",
)  # fmt: skip
_PAGE_ROWS = 2_000
_LOCK_ID = 0x51_4D_41_55  # "QMAU": one advisory lock for the trail


@dataclass(frozen=True)
class AuditReport:
    """Whether the trail holds; if not, the first row (or the order) that says otherwise."""

    ok: bool
    rows: int
    first_bad_seq: int | None = None
    problem: str = ""


def lock(session: Session) -> None:
    """Take the trail's lock until the transaction ends.

    A transaction that changes rows which others change too takes it first: then two of them
    can never wait for each other crosswise. SQLite has one writer at a time already.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK_ID})


def append(
    session: Session,
    *,
    at: datetime,
    actor: Actor,
    action: str,
    object_id: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    meaning: str = "",
    reason: str = "",
    context: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Add a row to the trail, in the transaction of the change it tells of.

    Args:
        session: The transaction; its ``info`` holds the keys.
        at: When it happened.
        actor: Who did it.
        action: What was done, such as ``order.sent``.
        object_id: Public number of the object, such as ``PO-2001``.
        before: What changed, as it was: JSON values without fractions.
        after: What changed, as it is now.
        meaning: What a signature means: approval, rejection.
        reason: In the actor's words.
        context: More about how it came to this, such as the rule of a refusal; ids of request,
            turn and delivery (``tools.tracing``) and the policy's version are there anyway.

    Raises:
        Conflict: The key that must sign is not here.
    """
    lock(session)
    session.flush()
    head = _head(session)
    entry = Entry(
        seq=head.seq + 1,
        at=at,
        actor=actor.login,
        actor_kind=actor.kind.value,
        action=action,
        object_id=object_id,
        before=dict(before or {}),
        after=dict(after or {}),
        meaning=meaning,
        reason=reason[:500],
        context={**_circumstances(session, actor), **(context or {})},
        key_id=head.signer,
        prev_mac=head.mac,
    )
    mac = entry_mac(_key(session, head.signer), entry)
    event = AuditEvent(**{**vars(entry), "actor_kind": actor.kind}, mac=mac)
    session.add(event)
    session.flush()
    return event


@dataclass(frozen=True)
class Head:
    """Where the trail ends, and the key that signs what comes next."""

    seq: int
    mac: str
    signer: str


def _head(session: Session) -> Head:
    it = _table(AuditEvent).c
    newest = select(it.seq, it.mac, it.key_id, it.action).order_by(it.seq.desc()).limit(1)
    last = session.execute(newest).first()
    if last is None:
        return Head(0, GENESIS, session.info["audit_key_id"])
    seq, mac, signer, action = last
    if action == ROTATED:
        signer = session.execute(select(it.after).where(it.seq == seq)).scalar_one()["new_key_id"]
    return Head(seq, mac, signer)


def _key(session: Session, key_id: str) -> bytes:
    key: bytes | None = session.info["audit_keys"].get(key_id)
    if key is None:
        raise Conflict(
            f"the audit trail is sealed with key {key_id!r}, and that key is not here",
            next_step="Put its file beside the other audit keys; nothing is written without it.",
        )
    return key


def _circumstances(session: Session, actor: Actor) -> dict[str, Any]:
    """Return how it comes to this: ids of request, turn, delivery; policy; in a turn, the model."""
    known: dict[str, Any] = dict(tracing.ids())
    if "policy_version" in session.info:
        known["policy_version"] = session.info["policy_version"]
    if "run_id" in known:  # the agent's hand, a person's authority
        known |= {"on_behalf_of": actor.login, "model": session.info.get("model", "")}
    return known


def told(session: Session, *, action: str, object_id: str) -> Mapping[str, Any] | None:
    """Return what the newest row of this action says about an object, if its MAC holds."""
    event = session.scalars(
        select(AuditEvent)
        .where(col(AuditEvent.object_id) == object_id, col(AuditEvent.action) == action)
        .order_by(col(AuditEvent.seq).desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).first()
    if event is None:
        return None
    values = {name: getattr(event, name) for name in Entry.__dataclass_fields__}
    entry = Entry(**{**values, "actor_kind": event.actor_kind.value})
    key = session.info["audit_keys"].get(event.key_id)
    is_ours = key is not None and hmac.compare_digest(entry_mac(key, entry), event.mac)
    return event.after if is_ours else None


def verify(session: Session) -> AuditReport:
    """Check every row of the trail, and that orders, approvals and deliveries say the same.

    It starts from the trail: what the trail tells must still stand. Then what stands must have
    been told. Everything is read in columns, a handful of queries in all.
    """
    count = session.execute(text("SELECT count(*) FROM audit_event")).scalar_one()
    witness = Witness(_world(session))
    broken = first_break(_heard(_rows(session), witness), session.info["audit_keys"])
    if broken is not None:
        return AuditReport(False, count, broken.seq, broken.problem)
    findings = witness.conclude()
    problem = findings[0] if findings else ""
    if len(findings) > 1:
        problem += f" (and {len(findings) - 1:,} more)"
    return AuditReport(not findings, count, None, problem)


def _heard(rows: Iterator[tuple[Entry, str]], witness: Witness) -> Iterator[tuple[Entry, str]]:
    """Pass rows on; the witness hears a row once the next one is wanted, so after its check."""
    for row in rows:
        yield row
        witness.hear(row[0])


def _rows(session: Session) -> Iterator[tuple[Entry, str]]:
    """Read the trail page by page, as it is stored: a broken row must not break the reader."""
    table = _table(AuditEvent)
    columns: list[ColumnElement[Any]] = [
        _stored(session, table.c[name]) for name in (*Entry.__dataclass_fields__, "mac")
    ]
    statement = (
        select(*columns)
        .where(table.c.seq > bindparam("after"))
        .order_by(table.c.seq)
        .limit(_PAGE_ROWS)
    )
    after = -(2**62)
    while page := session.execute(statement, {"after": after}).all():
        for row in page:
            yield read_entry(row)
        after = page[-1][0]


def _stored(session: Session, column: Column[Any]) -> ColumnElement[Any]:
    """Return a column as the database keeps it; SQLite takes any bytes for a text or a time."""
    if isinstance(column.type, Integer):
        return column
    if session.get_bind().dialect.name == "sqlite":
        return cast(column, LargeBinary)
    return column if isinstance(column.type, UtcDateTime) else cast(column, Text)


def _table(model: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(model.__tablename__)]


def _world(session: Session) -> World:
    orders = _orders(session)
    numbers = {row_id: order.number for row_id, order in orders}
    approvals = _approvals(session, numbers)
    named = {row_id: approval.number for row_id, approval in approvals}
    deliveries = _deliveries(session, numbers, named)
    revisions = _revisions(session, numbers)
    return World(
        orders={order.number: order for _, order in orders},
        approvals={approval.number: approval for _, approval in approvals},
        deliveries={(row.order, row.revision): row for row in deliveries},
        revisions={(row.order, row.revision): row for row in revisions},
    )


def _orders(session: Session) -> list[tuple[int, OrderRow]]:
    order, supplier, place = (_table(model) for model in (PurchaseOrder, Supplier, Location))
    lines = _lines(session)
    columns = [order.c[name] for name in _ORDER_COLUMNS]
    rows = session.execute(
        select(order.c.id, supplier.c.code, place.c.code.label("ship_to"), *columns)
        .join(supplier, supplier.c.id == order.c.supplier_id)
        .join(place, place.c.id == order.c.location_id)
        .order_by(order.c.id)
    )
    return [
        (
            row.id,
            OrderRow(
                row.number, row.revision, row.state, row.code, row.ship_to, row.currency,
                row.total_minor, row.fingerprint, row.need_by_on, row.is_imported,
                is_sent=row.sent_at is not None, lines=tuple(lines.get(row.id, ())),
            ),
        )
        for row in rows
    ]  # fmt: skip


def _lines(session: Session) -> dict[int, list[tuple[str, int, int]]]:
    """Return SKU, units and price of every line, by order."""
    line, item = _table(PurchaseOrderLine), _table(Item)
    rows = session.execute(
        select(line.c.order_id, item.c.sku, line.c.ordered_units, line.c.unit_price_minor)
        .join(item, item.c.id == line.c.item_id)
        .order_by(line.c.order_id, line.c.line_number)
    )
    found: dict[int, list[tuple[str, int, int]]] = {}
    for order_id, sku, units, price in rows:
        found.setdefault(order_id, []).append((sku, units, price))
    return found


def _approvals(session: Session, numbers: Mapping[int, str]) -> list[tuple[int, ApprovalRow]]:
    user, approval = _table(User), _table(Approval)
    logins = {row.id: row.login for row in session.execute(select(user.c.id, user.c.login))}
    rows = session.execute(select(*(approval.c[name] for name in _APPROVAL_COLUMNS)))
    return [
        (
            row.id,
            ApprovalRow(
                row.number, numbers[row.order_id], row.revision, row.fingerprint, row.state,
                row.total_minor, row.decision, logins.get(row.requested_by_id),
                logins.get(row.decided_by_id), row.reason, is_spent=row.consumed_at is not None,
            ),
        )
        for row in rows
    ]  # fmt: skip


def _deliveries(
    session: Session, numbers: Mapping[int, str], approvals: Mapping[int, str]
) -> list[DeliveryRow]:
    it = _table(Outbox).c
    payload = _stored(session, it.payload).label("payload")
    rows = session.execute(
        select(it.key, it.order_id, it.revision, it.approval_id, it.state, payload)
    )
    return [
        DeliveryRow(
            row.key, numbers[row.order_id], row.revision, approvals[row.approval_id], row.state,
            seal="" if (said := _object(row.payload)) is None else document_hash(said),
        )
        for row in rows
    ]  # fmt: skip


def _revisions(session: Session, numbers: Mapping[int, str]) -> list[RevisionRow]:
    it = _table(PurchaseOrderRevision).c
    content = _stored(session, it.content).label("content")
    rows = session.execute(select(it.order_id, it.revision, it.fingerprint, content))
    return [
        RevisionRow(numbers[row.order_id], row.revision, row.fingerprint, _object(row.content))
        for row in rows
    ]


def _object(stored: Any) -> dict[str, Any] | None:
    """Return a stored JSON object, None when it cannot be read."""
    try:
        return read_object(read_text(stored))
    except (ValueError, TypeError, RecursionError):
        return None
