"""Public numbers of documents: PO-2001, a-31, s-7."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from db.models.identity import Counter
from db.models.purchasing import Approval, PurchaseOrder, SupplierAnswer

PREFIXES = {"purchase_order": "PO-", "approval": "a-", "supplier_answer": "s-"}
_NUMBERS: Mapping[str, Any] = {
    "purchase_order": col(PurchaseOrder.number),
    "approval": col(Approval.number),
    "supplier_answer": col(SupplierAnswer.number),
}


def next_number(session: Session, name: str) -> str:
    """Return the next free number of a kind of document; the row lock makes it unique.

    Numbers that are taken, such as those of imported orders, are skipped.

    Raises:
        KeyError: The kind is not in ``PREFIXES``.
    """
    statement = (
        update(Counter)
        .where(col(Counter.name) == name)
        .values(value=Counter.value + 1)
        .returning(col(Counter.value))
    )
    value = session.execute(statement).scalar_one_or_none()
    if value is None:
        session.add(Counter(name=name, value=1))
        session.flush()
        value = 1
    return f"{PREFIXES[name]}{_free(session, name, value)}"


def _free(session: Session, name: str, value: int) -> int:
    """Return this value, or the next one whose number nobody has; the counter follows."""
    number, prefix = _NUMBERS[name], PREFIXES[name]
    if session.exec(select(number).where(number == f"{prefix}{value}")).first() is None:
        return value
    taken = set(session.exec(select(number).where(number.startswith(prefix, autoescape=True))))
    while f"{prefix}{value}" in taken:
        value += 1
    session.execute(update(Counter).where(col(Counter.name) == name).values(value=value))
    return value
