"""Insert many rows at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Date, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def bulk_insert(session: Session, table: type[SQLModel], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows that name some columns; a bulk insert skips the model's defaults: we add them."""
    known = _defaults(table)
    complete = [known | dict(row) for row in rows]
    if complete:
        session.execute(insert(table), complete)


def bulk_add(
    session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]], *,
    key: Sequence[str], amounts: Sequence[str],
) -> None:  # fmt: skip
    """Insert rows; where the key exists already, add the amounts to the stored ones.

    The rows all name the same columns and hold plain values. They go to the driver as they are,
    since converting them one by one costs more than SQLite needs to store them, and others wait
    for the lock meanwhile.
    """
    if not rows:
        return
    connection = session.connection()
    dialect = connection.dialect
    columns = SQLModel.metadata.tables[str(table.__tablename__)].columns
    known = _defaults(table)
    names = [*rows[0], *(known.keys() - rows[0].keys())]
    insert_rows = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    statement = insert_rows(table)
    statement = statement.on_conflict_do_update(
        index_elements=list(key),
        set_={name: columns[name] + statement.excluded[name] for name in amounts},
    )
    compiled = statement.compile(dialect=dialect, column_keys=names)
    if dialect.name == "postgresql":
        connection.exec_driver_sql(str(compiled), [known | dict(row) for row in rows])
        return
    order = [str(name) for name in compiled.positiontup or ()]
    dates = {name for name in order if isinstance(columns[name].type, Date)}
    series = (_series(rows, name, known, is_date=name in dates) for name in order)
    connection.exec_driver_sql(str(compiled), list(zip(*series, strict=True)))


def _series(
    rows: Sequence[Mapping[str, Any]], name: str, known: Mapping[str, Any], *, is_date: bool
) -> list[Any]:
    """Values of one column, dates as the text that SQLite holds."""
    if name not in rows[0]:
        return [known[name]] * len(rows)
    values = [row[name] for row in rows]
    return [value.isoformat() for value in values] if is_date else values


def tune_for_bulk(session: Session) -> None:
    """Let SQLite keep 64 MB of pages: a big import comes back to pages all over a table.

    With the default of 2 MB they would be read again for each batch. The log keeps its default
    size: a longer one is moved into the database by whoever commits next, who then has to wait.
    """
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA cache_size=-65536")


def _defaults(table: type[SQLModel]) -> dict[str, Any]:
    return {
        name: field.default
        for name, field in table.model_fields.items()
        if not field.is_required() and field.default is not None and not field.default_factory
    }
