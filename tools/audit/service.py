"""The trail: append in the transaction of the change, verify the whole of it."""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from db.models.audit import AuditEvent
from db.models.purchasing import Approval, Outbox, PurchaseOrder
from db.types import Actor, ActorKind, ApprovalState, OutboxState, Role
from tools.audit.core import GENESIS, Entry, entry_mac, first_break

SYSTEM = Actor(
    user_id=0, login="system", name="Quartermaster", role=Role.SERVICE, kind=ActorKind.SYSTEM
)
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
    """
    lock(session)
    session.flush()
    last = session.exec(
        select(AuditEvent.seq, AuditEvent.mac).order_by(col(AuditEvent.seq).desc()).limit(1)
    ).first()
    seq, prev_mac = (last[0] + 1, last[1]) if last else (1, GENESIS)
    key_id: str = session.info["audit_key_id"]
    entry = Entry(
        seq=seq,
        at=at,
        actor=actor.login,
        actor_kind=actor.kind.value,
        action=action,
        object_id=object_id,
        before=dict(before or {}),
        after=dict(after or {}),
        meaning=meaning,
        reason=reason[:500],
        key_id=key_id,
        prev_mac=prev_mac,
    )
    mac = entry_mac(session.info["audit_keys"][key_id], entry)
    event = AuditEvent(**{**entry.__dict__, "actor_kind": actor.kind}, mac=mac)
    session.add(event)
    session.flush()
    return event


def told(session: Session, *, action: str, object_id: str) -> Mapping[str, Any] | None:
    """Return what the newest row of this action says about an object, if its MAC holds."""
    event = session.exec(
        select(AuditEvent)
        .where(AuditEvent.object_id == object_id, AuditEvent.action == action)
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
    """Check every row of the trail, and that no order was sent past it."""
    last = session.exec(
        select(AuditEvent.seq).order_by(col(AuditEvent.seq).desc()).limit(1)
    ).first()
    count = session.execute(text("SELECT count(*) FROM audit_event")).scalar_one()
    broken = first_break(_rows(session), session.info["audit_keys"])
    if broken is not None:
        return AuditReport(False, count, broken.seq, broken.problem)
    if (last or 0) != count:
        return AuditReport(False, count, count + 1, "the rows are not numbered without gaps")
    problem = _unproven_order(session)
    return AuditReport(not problem, count, None, problem)


def _rows(session: Session) -> Iterator[tuple[Entry, str]]:
    """Read the trail page by page, as plain columns."""
    table = AuditEvent.__table__  # type: ignore[attr-defined]
    names = list(Entry.__dataclass_fields__)
    columns = [table.c[name] for name in names] + [table.c.mac]
    after = -(2**62)
    while True:
        statement = (
            select(*columns).where(table.c.seq > after).order_by(table.c.seq).limit(_PAGE_ROWS)
        )
        page = session.execute(statement).all()
        for row in page:
            *values, mac = row
            fields = dict(zip(names, values, strict=True))
            yield Entry(**{**fields, "actor_kind": fields["actor_kind"].value}), mac
        if len(page) < _PAGE_ROWS:
            return
        after = page[-1][0]


def _unproven_order(session: Session) -> str:
    """Name the first sent order of ours without approval, delivery or trail; else empty."""
    approvals = {
        (row.order_id, row.fingerprint)
        for row in session.exec(select(Approval).where(Approval.state == ApprovalState.APPROVED))
    }
    deliveries = set(
        session.exec(select(Outbox.order_id).where(Outbox.state == OutboxState.DELIVERED))
    )
    told = set(
        session.exec(
            select(AuditEvent.object_id, AuditEvent.action).where(
                col(AuditEvent.action).in_(("order.approved", "order.sent"))
            )
        ).all()
    )
    orders = session.exec(
        select(PurchaseOrder)
        .where(col(PurchaseOrder.sent_at).is_not(None), col(PurchaseOrder.is_imported).is_(False))
        .order_by(col(PurchaseOrder.id))
    )
    for order in orders:
        if (order.id, order.fingerprint) not in approvals:
            return f"order {order.number} was sent without an approval of its content"
        if order.id not in deliveries:
            return f"order {order.number} was sent without a delivered outbox row"
        for action in ("order.approved", "order.sent"):
            if (order.number, action) not in told:
                return f"order {order.number} was sent but the trail lacks {action!r}"
    unsent = session.exec(
        select(PurchaseOrder.number)
        .join(Outbox, col(Outbox.order_id) == col(PurchaseOrder.id))
        .where(Outbox.state == OutboxState.DELIVERED, col(PurchaseOrder.sent_at).is_(None))
        .limit(1)
    ).first()
    return f"order {unsent} was delivered but does not say so" if unsent else ""
