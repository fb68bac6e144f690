"""Read everything that an audit trail tells of, in columns: a handful of queries in all."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    cast,
    select,
    type_coerce,
)
from sqlmodel import Session, SQLModel

from db.columns import EnumText, UtcDateTime
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
from db.types import ReceiptKind
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
    leaves_as,
)
from tools.records.service.bookings import answers, bookings, stock_differences
from tools.records.service.grants import line_differences, set_by_administrators

Seal = Callable[[Any], tuple[dict[str, Any] | None, str]]


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


def moment_text(stored_moment: Any) -> str:
    """Return a moment as the trail writes it, whichever way the database keeps it."""
    if isinstance(stored_moment, datetime):
        return stored_moment.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(stored_moment, bytes):
        return stored_moment.decode(errors="replace").replace(" ", "T", 1) + "+00:00"
    return ""


def world(session: Session, *, seal: Seal) -> World:
    """Return what stands in this transaction.

    Args:
        session: The transaction.
        seal: Reads a stored document and gives its hash, an empty one when it has none.
    """
    orders = _orders(session)
    numbers = {row_id: order.number for row_id, order in orders.items()}
    logins = _named(session, User, "login")
    approvals = _approvals(session, numbers, logins)
    named = {row_id: approval.number for row_id, approval in approvals.items()}
    deliveries = _deliveries(session, numbers, named, seal)
    revisions = _revisions(session, orders, seal)
    return World(
        orders={order.number: order for order in orders.values()},
        approvals={approval.number: approval for approval in approvals.values()},
        deliveries={(row.order, row.revision): row for row in deliveries},
        revisions={(row.order, row.revision): row for row in revisions},
        receipts=_receipts(session),
        loads={row[0]: LoadRow(*row) for row in _plain(session, Load, *LoadRow._fields)},
        policies=_policies(session, seal),
        bookings=bookings(session),
        answers=answers(session, numbers, logins),
        stock_differences=stock_differences(session),
        grants=set_by_administrators(session),
        line_differences=line_differences(session),
        users={row[0]: UserRow(*row) for row in _plain(session, User, *UserRow._fields)},
    )


def _raw(column: Column[Any]) -> ColumnElement[Any]:
    """Return a column without what turns its text into a member of an enum: that takes time."""
    return type_coerce(column, String) if isinstance(column.type, EnumText) else column


def _named(session: Session, model: type[SQLModel], name: str) -> dict[int, str]:
    """Return the public name of every row, by id."""
    return dict(_plain(session, model, "id", name))


def _plain(session: Session, model: type[SQLModel], *names: str) -> Iterator[Any]:
    columns = table(model).c
    yield from session.execute(select(*(_raw(columns[name]) for name in names)))


def _orders(session: Session) -> dict[int, OrderRow]:
    order, supplier, place = (table(model).c for model in (PurchaseOrder, Supplier, Location))
    lines = _lines(session)
    rows = session.execute(
        select(
            order.id, order.number, order.revision, _raw(order.state), supplier.code,
            place.code, order.currency, order.total_minor, order.fingerprint, order.need_by_on,
            order.is_imported, order.sent_at.is_not(None),
        )
        .join_from(table(PurchaseOrder), table(Supplier), supplier.id == order.supplier_id)
        .join(table(Location), place.id == order.location_id)
        .order_by(order.id)
    )  # fmt: skip
    return {row_id: OrderRow._make((*rest, tuple(lines.get(row_id, ())))) for row_id, *rest in rows}


def _lines(session: Session) -> dict[int, list[tuple[str, int, int]]]:
    """Return SKU, units and price of every line, by order."""
    line = table(PurchaseOrderLine).c
    skus = _named(session, Item, "sku")
    rows = session.execute(
        select(line.order_id, line.item_id, line.ordered_units, line.unit_price_minor).order_by(
            line.order_id, line.line_number
        )
    )
    found: dict[int, list[tuple[str, int, int]]] = {}
    for order_id, item_id, units, price in rows:
        found.setdefault(order_id, []).append((skus[item_id], units, price))
    return found


def _approvals(
    session: Session, numbers: Mapping[int, str], logins: Mapping[int, str]
) -> dict[int, ApprovalRow]:
    signatures = _signatures(session, logins)
    it = table(Approval).c
    rows = session.execute(
        select(
            it.id, it.number, it.order_id, it.revision, it.fingerprint, _raw(it.state),
            it.total_minor, _raw(it.decision), it.requested_by_id, it.decided_by_id, it.reason,
            it.consumed_at.is_not(None), it.required_signatures, it.needs_reauthentication,
            it.company_total_minor, stored(session, it.expires_at),
            stored(session, it.consumed_at),
        )
    )  # fmt: skip
    found: dict[int, ApprovalRow] = {}
    for row_id, number, order_id, *middle in rows:
        *seen, asked, decided, reason, is_spent, least, again, total, until, spent = middle
        values = (
            number, numbers[order_id], *seen, logins.get(asked), logins.get(decided), reason,
            is_spent, least, again, tuple(signatures.get(row_id, ())), total,
            moment_text(until), moment_text(spent),
        )  # fmt: skip
        found[row_id] = ApprovalRow._make(values)
    return found


def _signatures(session: Session, logins: Mapping[int, str]) -> dict[int, list[SignatureRow]]:
    it = table(ApprovalSignature).c
    rows = session.execute(
        select(
            it.approval_id, it.user_id, it.printed_name, it.meaning, it.fingerprint,
            it.is_reauthenticated,
        ).order_by(it.id)
    )  # fmt: skip
    found: dict[int, list[SignatureRow]] = {}
    for approval_id, user_id, *rest in rows:
        found.setdefault(approval_id, []).append(SignatureRow(logins.get(user_id), *rest))
    return found


def _deliveries(
    session: Session, numbers: Mapping[int, str], approvals: Mapping[int, str], seal: Seal
) -> list[DeliveryRow]:
    it = table(Outbox).c
    payload = stored(session, it.payload)
    rows = session.execute(
        select(
            it.key, it.order_id, it.revision, it.approval_id, _raw(it.state), it.channel, payload
        )
    )
    return [
        DeliveryRow(
            key, numbers[order], revision, approvals[approval], state,
            _way_sealed(key, channel, *seal(said)),
        )
        for key, order, revision, approval, state, channel, said in rows
    ]  # fmt: skip


def _way_sealed(key: str, channel: str, said: Mapping[str, Any] | None, hashed: str) -> str:
    """Return the hash of a payload that stands under its own key and channel, else an empty one."""
    try:
        is_own = said is not None and leaves_as(said) == (key, channel)
    except (KeyError, AttributeError):
        is_own = False
    return hashed if is_own else ""


def _revisions(
    session: Session, orders: Mapping[int, OrderRow], seal: Seal
) -> Iterator[RevisionRow]:
    it = table(PurchaseOrderRevision).c
    content = stored(session, it.content)
    rows = session.execute(select(it.order_id, it.revision, it.fingerprint, content))
    for order_id, revision, fingerprint, text in rows:
        order = orders[order_id]
        said, hashed = seal(text)
        is_current = order.revision == revision
        yield RevisionRow(order.number, revision, fingerprint, hashed, said if is_current else None)


def _receipts(session: Session) -> dict[str, dict[str, int]]:
    receipt = table(Receipt).c
    skus = _named(session, Item, "sku")
    rows = session.execute(
        select(receipt.reference, receipt.item_id, receipt.received_units).where(
            receipt.order_line_id.is_not(None), receipt.kind == ReceiptKind.RECEIPT
        )
    )
    found: dict[str, dict[str, int]] = {}
    for reference, item_id, units in rows:
        note = found.setdefault(reference.rpartition(":")[0], {})
        sku = skus.get(item_id, "")
        note[sku] = note.get(sku, 0) + units
    return found


def _policies(session: Session, seal: Seal) -> dict[int, PolicyRow]:
    it = table(PolicyVersion).c
    rows = session.execute(select(it.version, it.content_hash, stored(session, it.content)))
    return {version: PolicyRow(version, said, seal(text)[1]) for version, said, text in rows}
