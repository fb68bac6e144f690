"""The trail: append in the transaction of the change, verify the whole of it."""

import functools
import gc
import hmac
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Insert,
    Select,
    Text,
    bindparam,
    cast,
    insert,
    text,
)
from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session, col, select

from db.models.audit import AuditEvent
from db.models.identity import User
from db.models.purchasing import Approval, Outbox, PurchaseOrder, SupplierAnswer
from db.once import once, remember
from db.types import Actor, ActorKind, Role
from tools import tracing
from tools.audit.core.anchors import (
    check_anchors,
)
from tools.audit.core.chain import (
    GENESIS,
    ROTATED,
    Entry,
    entry_mac,
)
from tools.audit.core.reading import Row, as_stored, document_seal, first_break
from tools.audit.core.records import Records
from tools.errors import Conflict, Forbidden, InvalidInput, NotFound
from tools.records.service.world import stored, table, world
from tools.text import plain_text

SYSTEM = Actor(
    user_id=0, login="system", name="Quartermaster", role=Role.SERVICE, kind=ActorKind.SYSTEM
)
_PAGE_ROWS = 5_000
_EVERYTHING = -(2**62)  # also rows with numbers that were never given
LOCK_ID = 0x51_4D_41_55  # "QMAU": one advisory lock for the trail
_HELD = "qm_audit_lock"  # in session.info: the (nested) transaction that took the lock


@dataclass(frozen=True)
class AuditReport:
    """Whether the trail holds; if not, the first row (or the order) that says otherwise.

    Attributes:
        ok: Nothing was found, and everything could be checked.
        rows: How many rows there are.
        first_bad_seq: The first row that does not hold.
        problem: What is wrong.
        is_checkable: False when a key is not here: then nobody can say.
        anchors: How many anchors were held against the rows.
        anchored_seq: The last row of which an anchor tells; what follows could be cut unseen.
    """

    ok: bool
    rows: int
    first_bad_seq: int | None = None
    problem: str = ""
    is_checkable: bool = True
    anchors: int = 0
    anchored_seq: int = 0


def lock(session: Session) -> None:
    """Take the trail's lock until the transaction ends.

    A transaction that changes rows which others change too takes it first: then two of them
    can never wait for each other crosswise. SQLite has one writer at a time already.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    held: SessionTransaction | None = session.info.get(_HELD)
    if held is not None and held.is_active:  # a savepoint that was rolled back gave it back
        return
    session.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK_ID})
    session.info[_HELD] = session.get_nested_transaction() or session.get_transaction()


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
) -> Entry:
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
    end = head(session)
    entry = Entry(
        seq=end.seq + 1,
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
        key_id=end.signer,
        prev_mac=end.mac,
    )
    mac = entry_mac(key_of(session, end.signer), entry)
    write_rows(session, [(entry, mac)])
    if action != ROTATED:
        remember(session, Head, Head(entry.seq, mac, end.signer), of=(AuditEvent,))
    return entry


def write_rows(session: Session, rows: Sequence[tuple[Entry, str]]) -> None:
    """Store rows with their MACs, documents in their one spelling: what is sealed is what is kept.

    Args:
        session: The transaction, which holds the trail's lock.
        rows: What follows the trail's last row.
    """
    dialect = session.get_bind().dialect.name
    session.connection().execute(
        _insertion(is_sqlite=dialect == "sqlite"),
        [
            {f"the_{name}": value for name, value in as_stored(entry, mac).items()}
            for entry, mac in rows
        ],
    )


@functools.cache
def _insertion(*, is_sqlite: bool) -> Insert:
    """Return the statement that stores a document as the text it is."""
    values: dict[str, ColumnElement[Any]] = {}
    for column in table(AuditEvent).c:
        is_document = isinstance(column.type, JSON)
        it = bindparam(f"the_{column.name}", type_=Text() if is_document else column.type)
        values[column.name] = cast(it, JSON) if is_document and not is_sqlite else it
    return insert(table(AuditEvent)).values(values)


@dataclass(frozen=True)
class Head:
    """Where the trail ends, and the key that signs what comes next."""

    seq: int
    mac: str
    signer: str


def head(session: Session) -> Head:
    """Return where the trail ends now."""
    return once(session, Head, lambda: _read_head(session), of=(AuditEvent,))


@functools.cache
def _newest() -> Select[tuple[int, str, str, str]]:
    it = table(AuditEvent).c
    return select(it.seq, it.mac, it.key_id, it.action).order_by(it.seq.desc()).limit(1)


def _read_head(session: Session) -> Head:
    it = table(AuditEvent).c
    last = session.execute(_newest()).first()
    if last is None:
        return Head(0, GENESIS, session.info["audit_key_id"])
    seq, mac, signer, action = last
    if action == ROTATED:
        signer = session.execute(select(it.after).where(it.seq == seq)).scalar_one()["new_key_id"]
    return Head(seq, mac, signer)


def key_of(session: Session, key_id: str) -> bytes:
    """Return a key of the trail.

    Raises:
        Conflict: It is not here.
    """
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
        known["model"] = session.info.get("model", "")
        if actor.kind is not ActorKind.SYSTEM:
            known["on_behalf_of"] = actor.login
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
    entry = entry_of(event)
    key = session.info["audit_keys"].get(event.key_id)
    is_ours = key is not None and hmac.compare_digest(entry_mac(key, entry), event.mac)
    return event.after if is_ours else None


def entry_of(event: AuditEvent) -> Entry:
    """Return what a row says."""
    values = {name: getattr(event, name) for name in Entry.__dataclass_fields__}
    return Entry(**{**values, "actor_kind": event.actor_kind.value})


def verify(session: Session, anchors: Sequence[str] = ()) -> AuditReport:
    """Check every row of the trail, and that everything else says the same.

    It starts from the trail: what the trail tells must still stand. Then what stands must have
    been told. Everything is read in columns, a handful of queries in all, as of one moment.

    Args:
        session: The transaction; best a fresh one, then nobody waits.
        anchors: Lines of the anchor file: without them a cut end goes unnoticed.
    """
    stand_still(session)
    keys: Mapping[str, bytes] = session.info["audit_keys"]
    moored, bad_anchor = check_anchors(anchors, keys)
    count = session.execute(text("SELECT count(*) FROM audit_event")).scalar_one()
    macs = {seq: anchor.mac for seq, anchor in moored.items()}
    with _without_collector():
        heard = Records(lambda: world(session, seal=document_seal))
        rows = read_rows(session, _EVERYTHING)
        broken = first_break(rows, keys, moored=macs, hear=heard.hear) or bad_anchor
    known = len(moored), max(moored, default=0)
    if broken is not None:
        seq, is_checkable = broken.seq or None, not broken.lacks_key
        return AuditReport(False, count, seq, broken.problem, is_checkable, *known)
    findings = heard.conclude()
    problem = findings[0] if findings else ""
    if len(findings) > 1:
        problem += f" (and {len(findings) - 1:,} more)"
    return AuditReport(not findings, count, None, problem, True, *known)


def rotate(
    session: Session, *, by: Actor | None, new_key_id: str, reason: str, at: datetime
) -> str:
    """Let another key sign from the next row on; the old one signs that this is so.

    Args:
        session: The transaction.
        by: The administrator; None: the operator of a database without administrators.
        new_key_id: The key, which must be here already.
        reason: Why.
        at: When.

    Returns:
        The old key's id.

    Raises:
        Forbidden: The actor is no administrator.
        InvalidInput: No reason is given.
        Conflict: The new key is not here.
    """
    user = None if by is None else session.get(User, by.user_id, populate_existing=True)
    if by is not None and (user is None or user.role is not Role.ADMIN or not user.is_active):
        raise Forbidden(
            f"{by.login!r} may not change the key of the audit trail",
            next_step="An administrator can.",
        )
    reason = plain_text(reason, longest=500)
    if not reason:
        raise InvalidInput("a key is not changed without a reason", next_step="Give --reason.")
    lock(session)
    old = head(session).signer
    key_of(session, new_key_id)
    append(
        session, at=at, actor=by or SYSTEM, action=ROTATED, object_id=new_key_id, reason=reason,
        before={"key_id": old}, after={"new_key_id": new_key_id},
    )  # fmt: skip
    return old


def signer(session: Session) -> str:
    """Return the id of the key that signs the next row."""
    return head(session).signer


def about(session: Session, name: str) -> list[Entry]:
    """Return what the trail tells of an object, oldest first.

    Of an order also what it tells of its requests for approval, its deliveries and what its
    supplier answered.

    Raises:
        NotFound: It tells nothing.
    """
    order = session.exec(select(PurchaseOrder.id).where(PurchaseOrder.number == name)).first()
    names = {name}
    if order is not None:
        for column, its_order in (
            (Approval.number, Approval.order_id),
            (Outbox.key, Outbox.order_id),
            (SupplierAnswer.number, SupplierAnswer.order_id),
        ):
            names.update(
                text[:64] for text in session.exec(select(column).where(its_order == order))
            )
    events = session.exec(
        select(AuditEvent).where(col(AuditEvent.object_id).in_(names)).order_by(col(AuditEvent.seq))
    ).all()
    if not events:
        raise NotFound(
            f"the audit trail tells nothing of {name!r}",
            next_step="Give the number of an order (PO-2001), a request (a-31), a key or a login.",
        )
    return [entry_of(event) for event in events]


@contextmanager
def _without_collector() -> Iterator[None]:
    """Let nobody search all these rows for cycles: there are none, and it takes half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def stand_still(session: Session) -> None:
    """Make everything that is read from here on be of one moment, also while others write."""
    if session.get_bind().dialect.name != "postgresql":
        return  # on SQLite every transaction is
    if session.in_transaction():
        lock(session)
    else:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def read_rows(session: Session, first: int = 1) -> Iterator[Row]:
    """Read the trail page by page, as it is stored: a broken row must not break the reader.

    Args:
        session: The transaction.
        first: Number of the row to start with; below 1: whatever is there.
    """
    rows = table(AuditEvent)
    columns: list[ColumnElement[Any]] = [
        stored(session, rows.c[name]) for name in (*Entry.__dataclass_fields__, "mac")
    ]
    statement = select(*columns).where(rows.c.seq >= first).order_by(rows.c.seq)
    with session.execute(statement, execution_options={"yield_per": _PAGE_ROWS}) as found:
        for page in found.partitions():
            yield from page
