"""What a document is made of: the approved payload, read once, with its figures checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from tools.errors import InvalidInput
from tools.text import plain_line

_DECIMAL = re.compile(r"-?\d{1,18}(\.\d{1,6})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Buyer:
    """Who orders, as documents name us; ``edi_id`` is at most 15 capital letters and digits."""

    name: str = "Our company"
    edi_id: str = "QUARTERMASTER"


@dataclass(frozen=True)
class Signature:
    """One person's name under the order: who, when, with what meaning."""

    name: str
    signed_at: datetime
    meaning: str


@dataclass(frozen=True)
class Line:
    """One line; ``unit_price`` and ``amount`` are plain decimals in the order's currency."""

    number: int
    sku: str
    supplier_sku: str
    name: str
    units: int
    uom: str
    packs: int | None
    pack_uom: str
    unit_price: str
    amount: str


@dataclass(frozen=True)
class Order:
    """An approved order. Texts are one line each without control characters, else untrusted."""

    key: str
    number: str
    revision: int
    fingerprint: str
    supplier_code: str
    supplier_name: str
    supplier_email: str
    ship_to: str
    currency: str
    need_by: date | None
    lines: tuple[Line, ...]
    total: str
    approval: str
    signatures: tuple[Signature, ...]

    @property
    def issued_at(self) -> datetime:
        """When the last person signed: the same in every copy."""
        return max((one.signed_at for one in self.signatures), default=_EPOCH)

    @property
    def units(self) -> int:
        """Sum of the quantities, for control totals."""
        return sum(line.units for line in self.lines)


def read_order(payload: Mapping[str, Any]) -> Order:
    """Read what an outbox row holds.

    Raises:
        InvalidInput: Something is missing, or a figure is none.
    """
    try:
        return _order(payload)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(
            f"the order cannot be written as a document: {type(error).__name__} {error}"
        ) from error


def _order(payload: Mapping[str, Any]) -> Order:
    supplier, need_by = payload["supplier"], payload.get("need_by")
    currency = str(payload["currency"])
    if not _CURRENCY.fullmatch(currency):
        raise ValueError(f"{currency!r} is not a currency")
    return Order(
        key=_text(payload["key"]),
        number=_text(payload["number"]),
        revision=int(payload["revision"]),
        fingerprint=_text(payload.get("fingerprint", "")),
        supplier_code=_text(supplier["code"]),
        supplier_name=_text(supplier["name"]),
        supplier_email=_text(supplier.get("email", "")),
        ship_to=_text(payload["ship_to"]),
        currency=currency,
        need_by=None if not need_by else date.fromisoformat(need_by),
        lines=tuple(_line(line) for line in payload["lines"]),
        total=_decimal(payload["total"]),
        approval=_text(payload["approval"]["number"]),
        signatures=_signatures(payload["approval"]),
    )


def _line(line: Mapping[str, Any]) -> Line:
    packs = line.get("packs")
    return Line(
        number=int(line["line"]),
        sku=_text(line["sku"]),
        supplier_sku=_text(line.get("supplier_sku") or ""),
        name=_text(line["name"]),
        units=int(line["units"]),
        uom=_text(line["uom"]),
        packs=None if packs is None else int(packs),
        pack_uom=_text(line.get("pack_uom") or ""),
        unit_price=_decimal(line["unit_price"]),
        amount=_decimal(line["amount"]),
    )


def _signatures(approval: Mapping[str, Any]) -> tuple[Signature, ...]:
    """Return every name under the order; a payload of one signer names them beside the number."""
    signed: Sequence[Mapping[str, Any]] = approval.get("signatures") or [
        {
            "name": approval["approved_by"],
            "at": approval["approved_at"],
            "meaning": approval.get("meaning", "approval"),
        }
    ]
    return tuple(
        Signature(_text(one["name"]), _moment(one["at"]), _text(one["meaning"])) for one in signed
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: Any) -> str:
    return plain_line(str(value), longest=2000)


def _decimal(value: Any) -> str:
    text = str(value)
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text!r} is not an amount")
    return text
