"""The whole schema in one place: importing this module registers every table."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, MetaData, event, text
from sqlmodel import SQLModel

from db.models import (
    audit,
    catalog,
    conversation,
    demand,
    identity,
    ingestion,
    planning,
    policy,
    purchasing,
    stock,
)

_MODULES = (
    audit, catalog, conversation, demand, identity, ingestion, planning, policy, purchasing, stock,
)  # fmt: skip

FIRST_APPEND_ONLY = ("audit_event", "purchase_order_revision", "stock_movement")  # migration 0001
SECOND_APPEND_ONLY = ("approval_signature", "policy_version")  # migration 0002
APPEND_ONLY = (*FIRST_APPEND_ONLY, *SECOND_APPEND_ONLY)


def metadata() -> MetaData:
    """Return the metadata with every table registered."""
    return SQLModel.metadata


def append_only_statements(dialect: str, tables: Sequence[str] = APPEND_ONLY) -> list[str]:
    """Return the statements that make the history tables refuse UPDATE and DELETE."""
    statements = []
    for table in tables:
        if dialect == "sqlite":
            statements += [
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                for verb in ("UPDATE", "DELETE")
            ]
        else:
            statements += [
                f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
                f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {table}_append_only()",
                f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()",
            ]
    return statements


def guards(dialect: str, tables: Collection[str]) -> set[str]:
    """Return the names of the triggers that must stand when these tables exist."""
    endings = ("no_update", "no_delete") if dialect == "sqlite" else ("no_change", "no_truncate")
    guarded = (table for table in APPEND_ONLY if table in tables)
    return {f"{table}_{ending}" for table in guarded for ending in endings}


@event.listens_for(SQLModel.metadata, "after_create")
def _create_triggers(_target: MetaData, connection: Connection, **_options: object) -> None:
    for statement in append_only_statements(connection.dialect.name):
        connection.execute(text(statement))
