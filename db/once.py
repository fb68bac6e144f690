"""Read a thing once between two writes of a transaction.

The checks of a decision look at the same order, people and policy from several sides, and each
look asks the database, because what an earlier look found may be old. Between two statements of
one transaction that write nothing it is not: ``once`` remembers what was read until the
transaction's next statement that is no plain ``SELECT``, and forgets it with the transaction.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine
from sqlmodel import Session, SQLModel

Read = TypeVar("Read")
Row = TypeVar("Row", bound=SQLModel)

_MEMO = "qm_once"
_COUNT = "qm_writes"  # of a connection, ever


def count_writes(engine: Engine) -> None:
    """Count the statements of each connection that may change what a later one reads."""

    @event.listens_for(engine, "before_cursor_execute")
    def _count(connection: Connection, _cursor: Any, statement: str, *_more: Any) -> None:
        if not statement.startswith("SELECT") or "pg_advisory" in statement:
            connection.info[_COUNT] = connection.info.get(_COUNT, 0) + 1


def once(session: Session, key: Hashable, read: Callable[[], Read]) -> Read:
    """Return what ``read`` gives, or gave since the last write of this transaction.

    Args:
        session: The transaction.
        key: What is read.
        read: Reads it.
    """
    if session.new or session.dirty or session.deleted:
        return read()  # the read flushes: nothing before it counts
    connection = session.connection()
    stands = (session.get_transaction(), connection.info.get(_COUNT, 0))
    seen, memo = session.info.get(_MEMO, (None, {}))
    if seen != stands:
        memo = {}
        session.info[_MEMO] = (stands, memo)
    if key not in memo:
        memo[key] = read()
    found: Read = memo[key]
    return found


def fresh(session: Session, kind: type[Row], row_id: Any) -> Row:
    """Return a row as the database has it, read once between two writes.

    Raises:
        NoResultFound: (SQLAlchemy's) There is no such row.
    """
    return once(
        session,
        (kind, row_id),
        lambda: session.get_one(kind, row_id, populate_existing=True),
    )
