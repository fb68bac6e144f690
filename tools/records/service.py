"""Read everything that an audit trail tells of, in columns: a handful of queries in all."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, Integer, LargeBinary, Table, Text, cast, select
from sqlmodel import Session, SQLModel

from db.columns import UtcDateTime
from db.models.catalog import Item, Location, Supplier
from db.models.identity import User
from db.models.ingestion import Load
from db.models.policy import PolicyVersion
from db.models.purchasing import (
    Approval,
    ApprovalSignature,
    Outbox,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderRevision,
    Receipt,
)
from tools.records.core import (
    ApprovalRow,
    DeliveryRow,
    LoadRow,
    OrderRow,
    PolicyRow,
    RevisionRow,
    SignatureRow,
    UserRow,
    World,
)

Hash = Callable[[Any], str]  # of a JSON value; raises TypeError when it has none

_ORDER_COLUMNS = (
    "number", "revision", "state", "currency", "total_minor", "fingerprint", "need_by_on",
    "is_imported", "sent_at",
)  # fmt: skip
_APPROVAL_COLUMNS = (
    "id", "number", "order_id", "revision", "fingerprint", "state", "total_minor", "decision",
    "requested_by_id", "decided_by_id", "reason", "consumed_at", "required_signatures",
    "needs_reauthentication", "policy_version",
)  # fmt: skip
_LOAD_COLUMNS = ("id", "kind", "content_hash", "state", "rows_good", "rows_bad")


def table(model: type[SQLModel]) -> Table:
    """Return the table of a model."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


def stored(session: Session, column: Column[Any]) -> ColumnElement[Any]:
    """Return a column as the database keeps it; SQLite takes any bytes for a text or a time."""
    if isinstance(column.type, Integer):
        return column
    if session.get_bind().dialect.name == "sqlite":
        return cast(column, LargeBinary)
    return column if isinstance(column.type, UtcDateTime) else cast(column, Text)


def world(session: Session, *, hash_of: Hash) -> World:
    """Return what stands in this transaction.

    Args:
        session: The transaction.
        hash_of: Gives the hash of a document; what has none gets an empty seal.
    """
    orders = _orders(session)
    numbers = {row_id: order.number for row_id, order in orders}
    logins = {row.id: row.login for row in session.execute(select(*_columns(User, "id", "login")))}
    approvals = _approvals(session, numbers, logins)
    named = {row_id: approval.number for row_id, approval in approvals}
    deliveries = _deliveries(session, numbers, named, hash_of)
    current = {order.number: order.revision for _, order in orders}
    revisions = _revisions(session, numbers, current, hash_of)
    return World(
        orders={order.number: order for _, order in orders},
        approvals={approval.number: approval for _, approval in approvals},
        deliveries={(row.order, row.revision): row for row in deliveries},
        revisions={(row.order, row.revision): row for row in revisions},
        receipts=_receipts(session),
        loads=_loads(session),
        policies=_policies(session, hash_of),
        users=_users(session),
    )


def _columns(model: type[SQLModel], *names: str) -> list[Column[Any]]:
    columns = table(model).c
    return [columns[name] for name in names]


def _orders(session: Session) -> list[tuple[int, OrderRow]]:
    order, supplier, place = (table(model) for model in (PurchaseOrder, Supplier, Location))
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
    line, item = table(PurchaseOrderLine), table(Item)
    rows = session.execute(
        select(line.c.order_id, item.c.sku, line.c.ordered_units, line.c.unit_price_minor)
        .join(item, item.c.id == line.c.item_id)
        .order_by(line.c.order_id, line.c.line_number)
    )
    found: dict[int, list[tuple[str, int, int]]] = {}
    for order_id, sku, units, price in rows:
        found.setdefault(order_id, []).append((sku, units, price))
    return found


def _approvals(
    session: Session, numbers: Mapping[int, str], logins: Mapping[int, str]
) -> list[tuple[int, ApprovalRow]]:
    signatures = _signatures(session, logins)
    rows = session.execute(select(*_columns(Approval, *_APPROVAL_COLUMNS)))
    return [
        (
            row.id,
            ApprovalRow(
                row.number, numbers[row.order_id], row.revision, row.fingerprint, row.state,
                row.total_minor, row.decision, logins.get(row.requested_by_id),
                logins.get(row.decided_by_id), row.reason, is_spent=row.consumed_at is not None,
                required_signatures=row.required_signatures,
                needs_reauthentication=row.needs_reauthentication,
                policy_version=row.policy_version, signatures=tuple(signatures.get(row.id, ())),
            ),
        )
        for row in rows
    ]  # fmt: skip


def _signatures(session: Session, logins: Mapping[int, str]) -> dict[int, list[SignatureRow]]:
    names = ("approval_id", "user_id", "printed_name", "meaning", "fingerprint")
    rows = session.execute(
        select(*_columns(ApprovalSignature, *names, "is_reauthenticated")).order_by(
            table(ApprovalSignature).c.id
        )
    )
    found: dict[int, list[SignatureRow]] = {}
    for approval_id, user_id, *rest in rows:
        found.setdefault(approval_id, []).append(SignatureRow(logins.get(user_id), *rest))
    return found


def _deliveries(
    session: Session, numbers: Mapping[int, str], approvals: Mapping[int, str], hash_of: Hash
) -> list[DeliveryRow]:
    it = table(Outbox).c
    payload = stored(session, it.payload).label("payload")
    rows = session.execute(
        select(it.key, it.order_id, it.revision, it.approval_id, it.state, payload)
    )
    return [
        DeliveryRow(
            row.key, numbers[row.order_id], row.revision, approvals[row.approval_id], row.state,
            seal=_read(row.payload, hash_of)[1],
        )
        for row in rows
    ]  # fmt: skip


def _revisions(
    session: Session, numbers: Mapping[int, str], current: Mapping[str, int], hash_of: Hash
) -> list[RevisionRow]:
    it = table(PurchaseOrderRevision).c
    content = stored(session, it.content).label("content")
    found = []
    for row in session.execute(select(it.order_id, it.revision, it.fingerprint, content)):
        number = numbers[row.order_id]
        said, seal = _read(row.content, hash_of)
        is_current = current[number] == row.revision
        found.append(
            RevisionRow(number, row.revision, row.fingerprint, seal, said if is_current else None)
        )
    return found


def _receipts(session: Session) -> dict[str, tuple[str, int, int]]:
    """Return SKU, units received and units rejected of our own receipts, by reference."""
    receipt, item = table(Receipt), table(Item)
    rows = session.execute(
        select(receipt.c.reference, item.c.sku, receipt.c.received_units, receipt.c.rejected_units)
        .join(item, item.c.id == receipt.c.item_id)
        .where(receipt.c.order_line_id.is_not(None))
    )
    return {row.reference: (row.sku, row.received_units, row.rejected_units) for row in rows}


def _loads(session: Session) -> dict[int, LoadRow]:
    rows = session.execute(select(*_columns(Load, *_LOAD_COLUMNS)))
    return {row.id: LoadRow(*row) for row in rows}


def _policies(session: Session, hash_of: Hash) -> dict[int, PolicyRow]:
    it = table(PolicyVersion).c
    content = stored(session, it.content).label("content")
    rows = session.execute(select(it.version, it.content_hash, content))
    return {
        row.version: PolicyRow(row.version, row.content_hash, _read(row.content, hash_of)[1])
        for row in rows
    }


def _users(session: Session) -> dict[str, UserRow]:
    names = ("login", "role", "approval_limit_minor", "is_active")
    rows = session.execute(select(*_columns(User, *names)))
    return {row.login: UserRow(row.login, row.role.value, *row[2:]) for row in rows}


def _read(document: Any, hash_of: Hash) -> tuple[dict[str, Any] | None, str]:
    """Return a stored JSON object and its seal; nothing and an empty one when it is none."""
    try:
        value = json.loads(document)
        return (value, hash_of(value)) if isinstance(value, dict) else (None, "")
    except (ValueError, TypeError, RecursionError):
        return None, ""
