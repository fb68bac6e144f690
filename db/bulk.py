"""Insert many rows at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import insert
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
    """Insert rows; where the key exists already, add the amounts to the stored ones."""
    if not rows:
        return
    is_postgres = session.get_bind().dialect.name == "postgresql"
    statement = (postgresql if is_postgres else sqlite).insert(table)
    columns = SQLModel.metadata.tables[str(table.__tablename__)].columns
    statement = statement.on_conflict_do_update(
        index_elements=list(key),
        set_={name: columns[name] + statement.excluded[name] for name in amounts},
    )
    known = _defaults(table)
    session.connection().execute(statement, [known | dict(row) for row in rows])


def _defaults(table: type[SQLModel]) -> dict[str, Any]:
    return {
        name: field.default
        for name, field in table.model_fields.items()
        if not field.is_required() and field.default is not None and not field.default_factory
    }
