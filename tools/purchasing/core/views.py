"""Orders as doors and tools show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from db.types import OrderState
from tools.money import amount_text
from tools.purchasing.core.answers import Promise
from tools.purchasing.core.content import digest
from tools.purchasing.core.states import NEXT_ACTION


@dataclass(frozen=True)
class Check:
    """Something noticed about an order: ``info``, ``warning`` or ``block``."""

    code: str
    level: str
    message: str

    def as_json(self) -> dict[str, str]:
        """Return the check as JSON."""
        return {"code": self.code, "level": self.level, "message": self.message}


@dataclass(frozen=True)
class LineView:
    """A line with everything a reader needs."""

    line: int
    sku: str
    name: str
    supplier_sku: str
    uom: str
    units: int
    received_units: int
    open_units: int
    pack_uom: str
    pack_units: int
    unit_price_minor: int
    amount_minor: int
    promise_on: date | None
    recommendation_id: int | None
    short_closed_units: int = 0
    promises: tuple[Promise, ...] = ()  # of the open balance, where it has several days

    @property
    def packs(self) -> int | None:
        """Whole purchase units, or None when the quantity does not fill them."""
        return self.units // self.pack_units if self.units % self.pack_units == 0 else None

    def as_json(self, currency: str) -> dict[str, Any]:
        """Return the line as JSON, money as decimals."""
        return {
            "line": self.line,
            "sku": self.sku,
            "name": self.name,
            "quantity": self.units,
            "uom": self.uom,
            "packs": self.packs,
            "pack_uom": self.pack_uom,
            "pack_units": self.pack_units,
            "unit_price": amount_text(self.unit_price_minor, currency),
            "amount": amount_text(self.amount_minor, currency),
        }


@dataclass(frozen=True)
class PendingApproval:
    """The open request of an order."""

    number: str
    version: int
    required_role: str
    expires_at: datetime


@dataclass(frozen=True)
class OrderView:
    """An order as it stands."""

    number: str
    revision: int
    state: OrderState
    supplier_code: str
    supplier_name: str
    supplier_email: str
    ship_to: str
    currency: str
    total_minor: int
    fingerprint: str
    need_by_on: date | None
    promise_on: date | None
    note: str
    thread_id: str | None
    requested_by: str
    created_at: datetime
    approved_at: datetime | None
    sent_at: datetime | None
    confirmed_at: datetime | None
    closed_at: datetime | None
    is_imported: bool
    lines: tuple[LineView, ...]
    checks: tuple[Check, ...]
    approval: PendingApproval | None

    @property
    def digest(self) -> str:
        """Short form of the fingerprint."""
        return digest(self.fingerprint)

    @property
    def total(self) -> str:
        """Total as a decimal."""
        return amount_text(self.total_minor, self.currency)

    @property
    def units(self) -> int:
        """Units of all lines."""
        return sum(line.units for line in self.lines)

    @property
    def received_percent(self) -> int:
        """Share of the units that arrived, in whole percent, at most 100."""
        arrived = sum(min(line.received_units, line.units) for line in self.lines)
        return 100 * arrived // self.units if self.units else 0

    @property
    def next_action(self) -> str:
        """What happens next."""
        return NEXT_ACTION[self.state]


def needs_spoken(role: str, signatures: int, signed: Sequence[str]) -> str:
    """Say whose decision is missing.

    Args:
        role: The least role.
        signatures: How many people must sign.
        signed: Names of who signed.

    Example:
        >>> needs_spoken("manager", 1, []), needs_spoken("manager", 2, ["Mona"])
        ('manager', '2 signatures (manager), 1 of 2 signed: Mona')
    """
    if signatures < 2:
        return role
    names = f": {', '.join(signed)}" if signed else ""
    return f"{signatures} signatures ({role}), {len(signed)} of {signatures} signed{names}"


@dataclass(frozen=True)
class OrderPage:
    """Some orders, newest first; ``total`` counts all that fit the question."""

    orders: tuple[OrderView, ...]
    total: int

    @property
    def after(self) -> str | None:
        """Number to continue after, or None at the end."""
        return self.orders[-1].number if len(self.orders) < self.total and self.orders else None
