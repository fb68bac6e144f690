"""Databases on the test server: made, copied, dropped, and one that many tests share in turn.

Dropping a database makes the server write everything to disk, which costs seconds; emptying the
tables costs milliseconds. So a test gets the database of the test before it, emptied, unless that
test changed more than rows.
"""

import os
import uuid

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from db import schema

POSTGRES_URL = os.environ.get("QM_TEST_POSTGRES_URL", "")  # noqa: TID251

_STAMP = """
    SELECT md5(string_agg(what, ',' ORDER BY what)) FROM (
        SELECT concat('column ', attrelid::regclass, attname, atttypid, attnotnull, attisdropped)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname !~ '^pg_|^information_schema$'
        UNION ALL SELECT concat('trigger ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger
        UNION ALL SELECT concat('constraint ', conrelid::regclass, conname) FROM pg_constraint
        UNION ALL SELECT concat('function ', proname, md5(prosrc)) FROM pg_proc
        JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname !~ '^pg_'
        UNION ALL SELECT concat('schema ', nspname) FROM pg_namespace WHERE nspname !~ '^pg_'
        UNION ALL SELECT concat('setting ', array_to_string(setconfig, ','))
        FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
        WHERE datname = current_database()
    ) AS everything (what)
"""
_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_USED = """
    SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences WHERE last_value IS NOT NULL
"""


class SharedDatabase:
    """A copy of a template that one test after another uses."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._stamp = ""
        self.url = ""

    def take(self) -> str:
        """Return the address of an empty database with the template's schema."""
        if not self.url:
            self.url = new_postgres(template=self._template)
            with _engine(self.url).connect() as connection:
                self._stamp = connection.execute(text(_STAMP)).scalar_one()
        return self.url

    def give_back(self) -> None:
        """Empty it for the next test; one whose schema was changed is dropped."""
        with _engine(self.url).connect() as connection:
            connection.execute(text(_OTHERS))
            is_as_made = connection.execute(text(_STAMP)).scalar_one() == self._stamp
            if is_as_made:
                _empty(connection)
        if not is_as_made:
            self.close()

    def close(self) -> None:
        """Drop it."""
        if self.url:
            drop_postgres(self.url)
            self.url = ""


def new_postgres(*, template: str = "") -> str:
    """Make a database on the test server, empty or as a copy; return its address."""
    name = f"qm_{uuid.uuid4().hex[:12]}"
    copied = f' TEMPLATE "{make_url(template).database}"' if template else ""
    administer(f'CREATE DATABASE "{name}"{copied}')
    return postgres_url(name)


def drop_postgres(url: str) -> None:
    """Drop a database of the test server."""
    administer(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')


def postgres_url(name: str) -> str:
    """Return the address of a database on the test server."""
    return make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False)


def administer(statement: str) -> None:
    """Run a statement on the server itself."""
    with _engine(POSTGRES_URL).connect() as connection:
        connection.execute(text(statement))


def _engine(url: str) -> Engine:
    return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)


def _empty(connection: Connection) -> None:
    """Delete every row past triggers and foreign keys, and count from one again."""
    used = connection.execute(text(_USED)).scalars().all()
    statements = ["SET session_replication_role = replica"]
    statements += [f'DELETE FROM "{table.name}"' for table in schema.metadata().sorted_tables]
    statements += [f"ALTER SEQUENCE {name} RESTART" for name in used]
    statements.append("RESET session_replication_role")
    connection.execute(text("; ".join(statements)))
