"""Databases as older versions of the program wrote them.

``tests/data/revision_<number>.json`` holds every row of a shop that worked with that version:
orders in five states with their approvals, revisions, deliveries and receipts, a sealed trail,
imported demand, a conversation. It was written by the code of that version, and never changes.
"""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, MetaData, insert, text
from sqlalchemy.types import Date, DateTime, LargeBinary

from db import migrate
from db.session import Database

DATA = Path(__file__).parent / "data"
REVISIONS = sorted(path.stem.removeprefix("revision_") for path in DATA.glob("revision_*.json"))


def rows_of(revision: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table."""
    rows: dict[str, list[dict[str, Any]]] = json.loads(
        (DATA / f"revision_{revision}.json").read_text()
    )
    return rows


def populate(database: Database, revision: str) -> None:
    """Build the schema of a revision in an empty database and fill it with that shop."""
    migrate.upgrade(database.engine, revision)
    known = MetaData()
    known.reflect(database.engine)
    with database.write() as session:
        for name, rows in rows_of(revision).items():
            table = known.tables[name]
            for column in table.columns:
                if isinstance(column.type, JSON):
                    column.type.none_as_null = True  # nothing is NULL, not the document null
            values = [
                {key: _value(table.columns[key], value) for key, value in row.items()}
                for row in rows
            ]
            session.execute(insert(table), values)
            if (
                not database.is_sqlite
                and "id" in table.columns
                and isinstance(values[0]["id"], int)
            ):
                _count_on(session, name)


def _count_on(session: Any, name: str) -> None:
    """Let the server's counter go on behind the rows."""
    session.execute(
        text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
    )


def _value(column: Column[Any], value: Any) -> Any:
    if value is None or isinstance(column.type, JSON):
        return value
    if isinstance(column.type, DateTime):
        moment = datetime.fromisoformat(value)
        return moment if column.type.timezone else moment.replace(tzinfo=None)
    if isinstance(column.type, Date):
        return date.fromisoformat(value)
    if isinstance(column.type, LargeBinary):
        return bytes.fromhex(value)
    return value
