"""Alembic environment: runs on the connection that ``db.migrate`` hands over, which commits it.

Nothing is committed here: an upgrade is one transaction, also where Alembic would not make one.
"""

from typing import Any

from alembic import context
from sqlalchemy import Connection

from db.schema import metadata


def _run() -> None:
    connection: Connection = context.config.attributes["connection"]
    options: dict[str, Any] = {"render_as_batch": connection.dialect.name == "sqlite"}
    context.configure(
        connection=connection, target_metadata=metadata(), transactional_ddl=True, **options
    )
    context.run_migrations()


_run()
