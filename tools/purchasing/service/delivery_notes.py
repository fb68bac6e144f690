"""Delivery notes of orders and the receipts that they led to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from db.models.purchasing import PurchaseOrder, PurchaseOrderLine, Receipt
from db.types import Actor, ReceiptKind
from tools.errors import InvalidInput
from tools.purchasing.service.rows import stale
from tools.text import plain_line

REVERSED = ":reversed"  # ends the reference of a counter-entry
_LONGEST_REFERENCE = 60


@dataclass(frozen=True)
class DeliveryNote:
    """A delivery note of an order, and who books it when."""

    order: PurchaseOrder
    reference: str
    on: date
    at: datetime
    actor: Actor

    def name(self, line: str) -> str:
        """Return the reference of one receipt of it."""
        return f"{self.order.number}:{self.reference}:{line}"


def note_reference(text: str) -> str:
    """Return a delivery note's number as it is stored.

    Raises:
        InvalidInput: It is empty or too long.
    """
    reference = plain_line(text, longest=_LONGEST_REFERENCE + 1)
    if not 1 <= len(reference) <= _LONGEST_REFERENCE:
        raise InvalidInput(
            f"a delivery note's number has 1 to {_LONGEST_REFERENCE} characters, got {reference!r}"
        )
    return reference


def rows_of(session: Session, note: DeliveryNote) -> list[Receipt]:
    """The receipts that a delivery note led to; counter-entries and returns are not among them."""
    prefix = note.name("")
    rows = session.exec(
        select(Receipt)
        .where(col(Receipt.reference).startswith(prefix, autoescape=True))
        .order_by(col(Receipt.id))
    ).all()
    kinds = (ReceiptKind.RECEIPT, ReceiptKind.WRONG_ITEM)
    return [
        row for row in rows if row.kind in kinds and ":" not in row.reference.removeprefix(prefix)
    ]


def is_reversed(session: Session, rows: Sequence[Receipt]) -> bool:
    """Whether receipts of one note have their counter-entries."""
    names = [row.reference + REVERSED for row in rows]
    statement = select(Receipt.id).where(col(Receipt.reference).in_(names))
    return session.exec(statement).first() is not None


def set_received(
    session: Session, order: PurchaseOrder, line: PurchaseOrderLine, total_units: int
) -> None:
    """Compare-and-set what has come of a line.

    Raises:
        Stale: Somebody booked meanwhile.
    """
    statement = (
        update(PurchaseOrderLine)
        .where(
            col(PurchaseOrderLine.id) == line.id,
            col(PurchaseOrderLine.received_units) == line.received_units,
        )
        .values(received_units=total_units)
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        raise stale(order)
    session.refresh(line)
