"""The schema and the shared worlds."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, select

from db import migrate, schema
from db.models.audit import AuditEvent
from db.models.purchasing import PurchaseOrderLine
from db.session import Database
from db.types import ActorKind
from tests.conftest import NOW
from tests.factories import make_world_p


def test_world_p_fits_the_schema(session: Session) -> None:
    world = make_world_p(session)

    lines = session.exec(select(PurchaseOrderLine)).all()

    assert [line.ordered_units for line in lines] == [300]
    assert world.widget.created_at == NOW


def test_migrations_build_the_same_schema_as_the_models(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/migrated.db")

    migrate.upgrade(database.engine)

    assert migrate.current_revision(database.engine) == migrate.head_revision()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata()) == []
    database.close()


def test_the_audit_trail_refuses_changes(database: Database) -> None:
    with database.write() as session:
        session.add(
            AuditEvent(
                seq=1, at=NOW, actor="paul", actor_kind=ActorKind.HUMAN, action="order.drafted",
                object_id="PO-1", key_id="test", prev_mac="", mac="x",
            )
        )  # fmt: skip

    with pytest.raises(DBAPIError, match="append-only"), database.write() as session:
        session.exec(update(AuditEvent).values(actor="eve"))
