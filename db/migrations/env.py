"""Alembic environment: runs on the engine that the caller hands over."""

from typing import Any

from alembic import context
from sqlalchemy import Engine

from db.schema import metadata


def _run() -> None:
    engine: Engine = context.config.attributes["engine"]
    with engine.connect() as connection:
        options: dict[str, Any] = {"render_as_batch": connection.dialect.name == "sqlite"}
        context.configure(connection=connection, target_metadata=metadata(), **options)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


_run()
