"""Read a thing once in a transaction, until the transaction itself changes it.

The checks of a decision look at the same order, people and policy from several sides, and each
look asks the database, because what an earlier transaction found may be old. ``once`` remembers
what was read until this transaction writes to one of the tables that it came from, takes a lock, or
ends. Under the lock of the trail nobody else changes what is audited, so that what was read after
the lock still stands.
"""

import functools
import re
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, bindparam, event, update
from sqlalchemy.engine import Engine
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

Read = TypeVar("Read")
Row = TypeVar("Row", bound=SQLModel)

_MEMO = "qm_once"
_WRITES = "qm_writes"  # of a connection, ever, by table
_ANY = ""  # a statement that may have changed anything, such as a lock that was waited for
_WRITE = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)')


def count_writes(engine: Engine) -> None:
    """Count the statements of each connection that may change what a later one reads."""

    @event.listens_for(engine, "before_cursor_execute")
    def _count(connection: Connection, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith("SELECT") and "pg_advisory" not in statement:
            return
        found = _WRITE.match(statement)
        writes: Counter[str] = connection.info.setdefault(_WRITES, Counter())
        writes[found[1] if found else _ANY] += 1


def once(
    session: Session,
    key: Hashable,
    read: Callable[[], Read],
    *,
    of: Collection[type[SQLModel]],
) -> Read:
    """Return what ``read`` gives, or gave earlier in this transaction if that still stands.

    Args:
        session: The transaction.
        key: What is read.
        read: Reads it.
        of: The models whose tables it reads.
    """
    if session.new or session.dirty or session.deleted:
        return read()  # the read flushes: nothing before it counts
    stands = _stands(session, of)  # first: it begins the transaction that the memo belongs to
    memo = _memo(session)
    _, at, found = memo.get(key, (of, None, None))
    if at != stands:
        found = read()
        memo[key] = (of, stands, found)
    value: Read = found
    return value


def remember(
    session: Session, key: Hashable, value: object, *, of: Collection[type[SQLModel]]
) -> None:
    """Say what ``once`` would read now: the caller has just written it."""
    _memo(session)[key] = (of, _stands(session, of), value)


def _memo(session: Session) -> dict[Hashable, Any]:
    """Return what was read in this transaction: models, when, and what."""
    transaction = session.get_transaction()
    seen, memo = session.info.get(_MEMO, (None, {}))
    if seen is None or seen is not transaction:
        memo = {}
        session.info[_MEMO] = (transaction, memo)
    found: dict[Hashable, Any] = memo
    return found


def _stands(session: Session, of: Collection[type[SQLModel]]) -> tuple[int, ...]:
    """Return how often this connection has written to the tables, ever."""
    writes: Counter[str] = session.connection().info.setdefault(_WRITES, Counter())
    return (writes[_ANY], *(writes[str(model.__tablename__)] for model in of))


def fresh(session: Session, kind: type[Row], row_id: Any) -> Row:
    """Return a row as this transaction found it in the database, never as an earlier one did.

    Raises:
        NoResultFound: (SQLAlchemy's) There is no such row.
    """
    row: Row = once(
        session,
        (kind, row_id),
        lambda: session.exec(_by_id(kind), params={"row_id": row_id}).one(),
        of=(kind,),
    )
    return row


@functools.cache
def _by_id(kind: type[SQLModel]) -> SelectOfScalar[Any]:
    """Return the statement that reads a row anew: built once, it costs two thirds of ``get``."""
    it = col(kind.id)  # type: ignore[attr-defined]
    return select(kind).where(it == bindparam("row_id")).execution_options(populate_existing=True)


def loaded(session: Session, kind: type[Row], ids: Collection[int]) -> dict[int, Row]:
    """Return rows by id: those that this session holds already, the others with one query."""
    here = {row_id: session.identity_map.get(session.identity_key(kind, row_id)) for row_id in ids}
    found = {row_id: row for row_id, row in here.items() if row is not None}
    missing = here.keys() - found.keys()
    if missing:
        it = col(kind.id)  # type: ignore[attr-defined]
        rows = session.exec(select(kind).where(it.in_(missing)))
        found |= {row.id: row for row in rows}  # type: ignore[attr-defined]
    return found


def compare_and_set(session: Session, row: SQLModel, *seen: Any, **values: Any) -> bool:
    """Change a row if it still is as it was seen; the object then says what the database says.

    Args:
        session: The transaction.
        row: The row, as an object of this session.
        seen: Conditions beside the row's identity.
        values: The new values, as plain values.

    Returns:
        Whether it was; if not, nothing changed and the object holds what it held.
    """
    table: Table = type(row).__table__  # type: ignore[attr-defined]
    known = [
        (key, of)
        for key, (of, at, found) in _memo(session).items()
        if found is row and at == _stands(session, of)
    ]
    statement = (
        update(type(row))
        .where(table.c.id == row.id, *seen)  # type: ignore[attr-defined]
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        return False
    for name, value in values.items():
        set_committed_value(row, name, value)
    for key, of in known:
        remember(session, key, row, of=of)
    return True
