"""What an order says, and the fingerprint of that: what you see is what you sign."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from tools.audit.core.chain import document_hash

FORMAT = "quartermaster/purchase-order/v2"
DIGEST_LENGTH = 12  # shortest prefix of a fingerprint that may stand for it


@dataclass(frozen=True)
class ContentLine:
    """One line: what, how many, in which packs, at what price."""

    sku: str
    name: str
    supplier_sku: str
    uom: str
    units: int
    pack_uom: str
    pack_units: int
    unit_price_minor: int

    @property
    def packs(self) -> int | None:
        """Whole packs, or None when the quantity does not fill them."""
        return self.units // self.pack_units if self.units % self.pack_units == 0 else None

    @property
    def amount_minor(self) -> int:
        """Units times price."""
        return self.units * self.unit_price_minor


@dataclass(frozen=True)
class Delivery:
    """How the order reaches its supplier: part of what is approved."""

    channel: str = "file"
    address: str = ""
    format: str = "json"


@dataclass(frozen=True)
class Content:
    """Everything that the supplier will read, including where it goes; a decision is about it."""

    number: str
    revision: int
    supplier_code: str
    supplier_name: str
    supplier_email: str
    ship_to: str
    currency: str
    need_by: date | None
    lines: tuple[ContentLine, ...]
    delivery: Delivery = Delivery()

    @property
    def total_minor(self) -> int:
        """Sum of the lines."""
        return sum(line.amount_minor for line in self.lines)


def document(content: Content) -> dict[str, Any]:
    """Return the content as JSON of whole numbers and texts.

    The usual delivery, files in our folder, is not named: it says nothing about the supplier.
    """
    way = content.delivery
    named = {"channel": way.channel, "address": way.address, "format": way.format}
    return {
        **({} if way == Delivery() else {"delivery": named}),
        "format": FORMAT,
        "number": content.number,
        "revision": content.revision,
        "supplier": {
            "code": content.supplier_code,
            "name": content.supplier_name,
            "email": content.supplier_email,
        },
        "ship_to": content.ship_to,
        "currency": content.currency,
        "need_by": None if content.need_by is None else content.need_by.isoformat(),
        "lines": [
            {
                "sku": line.sku,
                "name": line.name,
                "supplier_sku": line.supplier_sku,
                "uom": line.uom,
                "units": line.units,
                "packs": line.packs,
                "pack_uom": line.pack_uom,
                "pack_units": line.pack_units,
                "unit_price_minor": line.unit_price_minor,
            }
            for line in content.lines
        ],
        "total_minor": content.total_minor,
    }


def fingerprint(content: Content) -> str:
    """Return the SHA-256 of the canonical document, 64 hex digits."""
    return document_hash(document(content))


def digest(print_: str) -> str:
    """Return the short form of a fingerprint, for people and models."""
    return print_[:DIGEST_LENGTH]


def is_same(given: str, print_: str) -> bool:
    """Whether a full fingerprint, or a prefix of at least 12 digits, stands for this one.

    >>> is_same("a" * 12, "a" * 64), is_same("a" * 11, "a" * 64)
    (True, False)
    """
    return len(given) >= DIGEST_LENGTH and print_.startswith(given.casefold())
