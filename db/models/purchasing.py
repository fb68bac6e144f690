"""Purchase orders, approvals, deliveries, receipts, shipments."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from db.columns import at_least, choice, currency_code, document, key, moment, one_of, ref, whole
from db.types import (
    AnswerState,
    ApprovalState,
    Decision,
    InboundState,
    OrderState,
    OutboxState,
    ReceiptKind,
    ShipmentStatus,
)


class PurchaseOrder(SQLModel, table=True):
    """An order to a supplier. Its content is the current revision; ``fingerprint`` is its hash."""

    __tablename__ = "purchase_order"
    __table_args__ = (
        one_of("state", OrderState),
        at_least("revision", 1),
        at_least("total_minor"),
        currency_code(),
    )
    id: int = key()
    number: str = Field(max_length=32, unique=True)
    revision: int = 1
    supplier_id: int = ref("supplier.id")
    location_id: int = ref("location.id")
    state: OrderState = choice(OrderState, OrderState.DRAFT, index=True)
    currency: str = Field(max_length=3)
    total_minor: int = whole(0)
    fingerprint: str = Field(max_length=64)
    need_by_on: date | None = None
    promise_on: date | None = None
    note: str = Field(default="", max_length=2000)
    thread_id: str | None = Field(default=None, max_length=64, index=True)
    requested_by_id: int | None = ref("app_user.id", nullable=True)
    idempotency_key: str | None = Field(default=None, max_length=120, unique=True)
    is_imported: bool = False
    detected_at: datetime | None = moment(nullable=True)  # when the need was first seen
    created_at: datetime = moment(index=True)
    approved_at: datetime | None = moment(nullable=True)
    sent_at: datetime | None = moment(nullable=True)
    confirmed_at: datetime | None = moment(nullable=True)
    closed_at: datetime | None = moment(nullable=True)


class PurchaseOrderLine(SQLModel, table=True):
    """One item of the current revision. Open balance = ordered - received - short-closed."""

    __tablename__ = "purchase_order_line"
    __table_args__ = (
        UniqueConstraint("order_id", "line_number"),
        at_least("ordered_units", 1),
        at_least("received_units"),
        at_least("short_closed_units"),
        at_least("unit_price_minor"),
        CheckConstraint(
            "amount_minor = ordered_units * unit_price_minor", name="amount_is_product"
        ),
    )
    id: int = key()
    order_id: int = ref("purchase_order.id")
    line_number: int
    item_id: int = ref("item.id")
    ordered_units: int = whole()
    unit_price_minor: int = whole()
    amount_minor: int = whole()
    received_units: int = whole(0)
    short_closed_units: int = whole(0)
    promise_on: date | None = None
    recommendation_id: int | None = ref("recommendation.id", nullable=True)


class PurchaseOrderRevision(SQLModel, table=True):
    """What the order said at each revision, as canonical content with its fingerprint."""

    __tablename__ = "purchase_order_revision"
    __table_args__ = (UniqueConstraint("order_id", "revision"),)
    id: int = key()
    order_id: int = ref("purchase_order.id")
    revision: int
    content: dict[str, Any] = document()
    fingerprint: str = Field(max_length=64)
    reason: str = Field(default="", max_length=500)
    checks: list[dict[str, Any]] = document(list)  # what was noticed while this was written
    created_by_id: int | None = ref("app_user.id", nullable=True)
    created_at: datetime = moment()


class Approval(SQLModel, table=True):
    """A request to a person, and the answer. Evidence for exactly one fingerprint."""

    __tablename__ = "approval"
    __table_args__ = (
        one_of("state", ApprovalState),
        CheckConstraint(
            "decision IS NULL OR decision IN ('approve', 'edit', 'reject', 'respond')",
            name="decision_known",
        ),
        at_least("version", 1),
        Index(
            "uq_approval_one_pending",
            "order_id",
            unique=True,
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
    )
    id: int = key()
    number: str = Field(max_length=32, unique=True)  # a-31
    order_id: int = ref("purchase_order.id")
    revision: int
    fingerprint: str = Field(max_length=64)
    action: str = Field(default="send", max_length=16)  # send, cancel
    version: int = 1  # grows with every change of this row; a decision names the one it saw
    state: ApprovalState = choice(ApprovalState, ApprovalState.PENDING, index=True)
    total_minor: int = whole()
    currency: str = Field(max_length=3)
    company_total_minor: int = whole()
    required_role: str = Field(max_length=16)
    rule: str = Field(default="", max_length=200)
    thread_id: str | None = Field(default=None, max_length=64)
    requested_by_id: int = ref("app_user.id")
    requested_at: datetime = moment()
    expires_at: datetime = moment()
    decision: Decision | None = choice(Decision, nullable=True)
    decided_by_id: int | None = ref("app_user.id", nullable=True)
    decided_at: datetime | None = moment(nullable=True)
    meaning: str = Field(default="", max_length=32)
    reason: str = Field(default="", max_length=500)
    channel: str = Field(default="", max_length=16)
    consumed_at: datetime | None = moment(nullable=True, index=True)
    required_signatures: int = 1  # distinct people
    needs_reauthentication: bool = False
    policy_version: int | None = whole(nullable=True)


class ApprovalSignature(SQLModel, table=True):
    """One person's name under a request: who, when, with what meaning, for exactly what."""

    __tablename__ = "approval_signature"
    __table_args__ = (UniqueConstraint("approval_id", "user_id"),)
    id: int = key()
    approval_id: int = ref("approval.id")
    user_id: int = ref("app_user.id")
    printed_name: str = Field(max_length=120)  # as it was then
    signed_at: datetime = moment()
    meaning: str = Field(max_length=32)
    reason: str = Field(default="", max_length=500)
    channel: str = Field(default="", max_length=16)
    fingerprint: str = Field(max_length=64)
    is_reauthenticated: bool = False


class Outbox(SQLModel, table=True):
    """An effect that must leave the house, written in the transaction that caused it."""

    __tablename__ = "outbox"
    __table_args__ = (
        one_of("state", OutboxState),
        at_least("attempts"),
        UniqueConstraint("order_id", "kind", "revision"),
    )
    id: int = key()
    key: str = Field(max_length=120, unique=True)  # po:{id}:v{n}:{hash16}; the Idempotency-Key
    kind: str = Field(max_length=32)  # purchase_order
    order_id: int = ref("purchase_order.id")
    revision: int
    approval_id: int = ref("approval.id")
    channel: str = Field(max_length=32)
    payload: dict[str, Any] = document()
    state: OutboxState = choice(OutboxState, OutboxState.PENDING, index=True)
    attempts: int = 0
    next_attempt_at: datetime = moment(index=True)
    lease_until: datetime | None = moment(nullable=True)
    lease_holder: str = Field(default="", max_length=64)
    last_error: str = Field(default="", max_length=500)
    delivery_reference: str = Field(default="", max_length=300)
    created_at: datetime = moment()
    delivered_at: datetime | None = moment(nullable=True)


class Receipt(SQLModel, table=True):
    """A physical delivery line: ours (with its order line) or imported history (dates only)."""

    __tablename__ = "receipt"
    __table_args__ = (
        UniqueConstraint("reference"),
        at_least("received_units"),
        at_least("rejected_units"),
        at_least("ordered_units"),
    )
    id: int = key()
    reference: str = Field(max_length=120)
    supplier_id: int = ref("supplier.id")
    order_line_id: int | None = ref("purchase_order_line.id", nullable=True)
    item_id: int | None = ref("item.id", nullable=True)
    ordered_on: date  # day the order was sent
    promised_on: date | None = None
    received_on: date
    ordered_units: int = whole()
    received_units: int = whole()
    rejected_units: int = whole(0)
    recorded_at: datetime = moment()
    kind: ReceiptKind = choice(ReceiptKind, ReceiptKind.RECEIPT)
    reason: str = Field(default="", max_length=500)
    recorded_by: str = Field(default="", max_length=64)  # login


class LinePromise(SQLModel, table=True):
    """Part of a line's open balance with a date of its own."""

    __tablename__ = "line_promise"
    __table_args__ = (UniqueConstraint("order_line_id", "promise_on"), at_least("units", 1))
    id: int = key()
    order_line_id: int = ref("purchase_order_line.id")
    units: int = whole()
    promise_on: date


class SupplierAnswer(SQLModel, table=True):
    """What a supplier wants otherwise than ordered; a person accepts it or not."""

    __tablename__ = "supplier_answer"
    __table_args__ = (one_of("state", AnswerState), at_least("version", 1))
    id: int = key()
    number: str = Field(max_length=32, unique=True)  # s-7
    order_id: int = ref("purchase_order.id")
    revision: int  # the one it answers
    version: int = 1  # grows with every change of this row
    state: AnswerState = choice(AnswerState, AnswerState.PROPOSED, index=True)
    content: dict[str, Any] = document()  # line by line: quantity, price, date, substitute
    source: str = Field(default="", max_length=120)  # which message, which person
    recorded_by_id: int | None = ref("app_user.id", nullable=True)  # who says so
    received_at: datetime = moment()
    decided_by_id: int | None = ref("app_user.id", nullable=True)
    decided_at: datetime | None = moment(nullable=True)
    reason: str = Field(default="", max_length=500)
    result_revision: int | None = whole(nullable=True)


class InboundEvent(SQLModel, table=True):
    """A message from outside, kept as it came before it was answered. Untrusted."""

    __tablename__ = "inbound_event"
    __table_args__ = (
        one_of("state", InboundState),
        UniqueConstraint("source", "event_id"),
        at_least("attempts"),
    )
    id: int = key()
    source: str = Field(max_length=64)  # the configured sender
    event_id: str = Field(max_length=120)
    kind: str = Field(max_length=32)
    body_hash: str = Field(max_length=64)
    payload: dict[str, Any] = document()
    state: InboundState = choice(InboundState, InboundState.RECEIVED, index=True)
    attempts: int = 0
    next_attempt_at: datetime = moment(index=True)
    error: str = Field(default="", max_length=500)
    received_at: datetime = moment()
    applied_at: datetime | None = moment(nullable=True)


class Shipment(SQLModel, table=True):
    """Goods on their way for an order."""

    __tablename__ = "shipment"
    __table_args__ = (one_of("status", ShipmentStatus),)
    id: int = key()
    number: str = Field(max_length=64, unique=True)
    order_id: int = ref("purchase_order.id")
    carrier: str = Field(default="", max_length=64)
    tracking: str = Field(default="", max_length=64, index=True)
    status: ShipmentStatus = choice(ShipmentStatus, ShipmentStatus.UNKNOWN)
    eta_on: date | None = None
    eta_source: str = Field(default="", max_length=32)  # carrier, supplier, statistics
    shipped_units: int = whole(0)
    updated_at: datetime = moment()


class ShipmentEvent(SQLModel, table=True):
    """One report of the carrier. ``description`` is untrusted text."""

    __tablename__ = "shipment_event"
    __table_args__ = (one_of("status", ShipmentStatus), UniqueConstraint("source_event_id"))
    id: int = key()
    shipment_id: int = ref("shipment.id")
    source_event_id: str = Field(max_length=120)
    status: ShipmentStatus = choice(ShipmentStatus)
    occurred_at: datetime = moment()
    description: str = Field(default="", max_length=500)
    place: str = Field(default="", max_length=120)
