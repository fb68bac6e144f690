"""Orders, requests, signatures, deliveries, receipts, loads and policies as they stand, as values.

For whoever holds them against something else: the audit trail above all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

Revision = tuple[str, int]  # an order's number and the revision


class OrderRow(NamedTuple):
    """An order as it stands; ``lines`` are SKU, units and price in minor units."""

    number: str
    revision: int
    state: str
    supplier: str
    ship_to: str
    currency: str
    total_minor: int
    fingerprint: str
    need_by: date | None
    is_imported: bool
    is_sent: bool
    lines: tuple[tuple[str, int, int], ...] = ()


class SignatureRow(NamedTuple):
    """One person's name under a request; ``login`` is None when that person is not there."""

    login: str | None
    printed_name: str
    meaning: str
    fingerprint: str
    is_reauthenticated: bool


class ApprovalRow(NamedTuple):
    """A request as it stands."""

    number: str
    order: str
    revision: int
    fingerprint: str
    state: str
    total_minor: int
    decision: str | None
    requested_by: str | None
    decided_by: str | None
    reason: str
    is_spent: bool
    required_signatures: int = 1
    needs_reauthentication: bool = False
    signatures: tuple[SignatureRow, ...] = ()
    company_total_minor: int | None = None
    expires_at: str = ""  # as the trail writes moments
    consumed_at: str = ""


class DeliveryRow(NamedTuple):
    """A row of the outbox; ``seal`` is its payload's hash, empty when it has none."""

    key: str
    order: str
    revision: int
    approval: str
    state: str
    seal: str


class RevisionRow(NamedTuple):
    """What an order said once; ``seal`` is the hash of its content, empty when unreadable.

    ``content`` is there for the revision that is in force only.
    """

    order: str
    revision: int
    fingerprint: str
    seal: str
    content: Mapping[str, Any] | None = None


class LoadRow(NamedTuple):
    """An import of a file."""

    id: int
    kind: str
    content_hash: str
    state: str
    rows_good: int
    rows_bad: int


class PolicyRow(NamedTuple):
    """A version of the approval policy; ``seal`` is the hash of its content."""

    version: int
    content_hash: str
    seal: str


class UserRow(NamedTuple):
    """A person or a machine, and what they may."""

    login: str
    role: str
    approval_limit_minor: int | None
    is_active: bool


class BookingRow(NamedTuple):
    """Wrong goods, a return or a counter-entry; ``of_units`` is what a counter-entry reverses."""

    reference: str
    kind: str
    units: int
    rejected_units: int
    of_units: int | None = None


class AnswerRow(NamedTuple):
    """A supplier's answer that was proposed to a person."""

    number: str
    order: str
    state: str
    decided_by: str | None
    result_revision: int | None


class StockDifference(NamedTuple):
    """Stock of an item at a place that is not the sum of its movements, in stock units."""

    sku: str
    place: str
    held_units: int
    moved_units: int


@dataclass(frozen=True)
class World:
    """Everything the trail may tell of, by its public name.

    ``receipts`` are the units received by SKU, by order and delivery note (``PO-2001:LS-1``).
    """

    orders: Mapping[str, OrderRow] = field(default_factory=dict)
    approvals: Mapping[str, ApprovalRow] = field(default_factory=dict)
    deliveries: Mapping[Revision, DeliveryRow] = field(default_factory=dict)
    revisions: Mapping[Revision, RevisionRow] = field(default_factory=dict)
    receipts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    loads: Mapping[int, LoadRow] = field(default_factory=dict)
    policies: Mapping[int, PolicyRow] = field(default_factory=dict)
    users: Mapping[str, UserRow] = field(default_factory=dict)
    bookings: Mapping[str, BookingRow] = field(default_factory=dict)
    answers: Mapping[str, AnswerRow] = field(default_factory=dict)
    stock_differences: Sequence[StockDifference] = ()
    grants: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    line_differences: Sequence[str] = ()  # sentences


FILE_DROP = "file"  # the channel of an order whose content names none


def leaves_as(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Return the key and the channel under which a payload was approved to leave.

    >>> leaves_as({"key": "po:PO-7:v1:aa", "lines": []})
    ('po:PO-7:v1:aa', 'file')
    """
    return str(payload["key"]), str(payload.get("delivery", {}).get("channel", FILE_DROP))
