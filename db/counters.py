"""Public numbers of documents: PO-2001, a-31, s-7."""

from sqlalchemy import update
from sqlmodel import Session, col

from db.models.identity import Counter

PREFIXES = {"purchase_order": "PO-", "approval": "a-", "supplier_answer": "s-"}


def next_number(session: Session, name: str) -> str:
    """Return the next number of a kind of document; the row lock makes it unique.

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
    return f"{PREFIXES[name]}{value}"
