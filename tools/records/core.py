"""Orders, requests, signatures, deliveries, receipts, loads and policies as they stand, as values.

For whoever holds them against something else: the audit trail above all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from db.types import ApprovalState, LoadState, OrderState, OutboxState

Revision = tuple[str, int]  # an order's number and the revision


@dataclass(frozen=True)
class OrderRow:
    """An order as it stands; ``lines`` are SKU, units and price in minor units."""

    number: str
    revision: int
    state: OrderState
    supplier: str
    ship_to: str
    currency: str
    total_minor: int
    fingerprint: str
    need_by: date | None
    is_imported: bool
    is_sent: bool
    lines: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True)
class SignatureRow:
    """One person's name under a request; ``login`` is None when that person is not there."""

    login: str | None
    printed_name: str
    meaning: str
    fingerprint: str
    is_reauthenticated: bool


@dataclass(frozen=True)
class ApprovalRow:
    """A request as it stands."""

    number: str
    order: str
    revision: int
    fingerprint: str
    state: ApprovalState
    total_minor: int
    decision: str | None
    requested_by: str | None
    decided_by: str | None
    reason: str
    is_spent: bool
    required_signatures: int = 1
    needs_reauthentication: bool = False
    policy_version: int | None = None
    signatures: tuple[SignatureRow, ...] = ()


@dataclass(frozen=True)
class DeliveryRow:
    """A row of the outbox; ``seal`` is its payload's hash, empty when it has none."""

    key: str
    order: str
    revision: int
    approval: str
    state: OutboxState
    seal: str


@dataclass(frozen=True)
class RevisionRow:
    """What an order said once; ``seal`` is the hash of its content, empty when unreadable.

    ``content`` is there for the revision that is in force only.
    """

    order: str
    revision: int
    fingerprint: str
    seal: str
    content: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class LoadRow:
    """An import of a file."""

    id: int
    kind: str
    content_hash: str
    state: LoadState
    rows_good: int
    rows_bad: int


@dataclass(frozen=True)
class PolicyRow:
    """A version of the approval policy; ``seal`` is the hash of its content."""

    version: int
    content_hash: str
    seal: str


@dataclass(frozen=True)
class UserRow:
    """A person or a machine, and what they may."""

    login: str
    role: str
    approval_limit_minor: int | None
    is_active: bool


@dataclass(frozen=True)
class World:
    """Everything the trail may tell of, by its public name.

    ``receipts`` are units by order line reference (``PO-2001:LS-1:1``) and SKU as booked;
    ``movements`` are the units that became stock under the same references.
    """

    orders: Mapping[str, OrderRow]
    approvals: Mapping[str, ApprovalRow]
    deliveries: Mapping[Revision, DeliveryRow]
    revisions: Mapping[Revision, RevisionRow]
    receipts: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    loads: Mapping[int, LoadRow] = field(default_factory=dict)
    policies: Mapping[int, PolicyRow] = field(default_factory=dict)
    users: Mapping[str, UserRow] = field(default_factory=dict)
