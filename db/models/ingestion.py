"""Imports and the rows they set aside."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.columns import at_least, choice, document, key, moment, one_of, ref, whole
from db.types import LoadState


class Load(SQLModel, table=True):
    """One import of one file. ``content_hash`` makes sending the same file again a no-op."""

    __tablename__ = "load"
    __table_args__ = (
        one_of("state", LoadState),
        UniqueConstraint("kind", "content_hash"),
        at_least("rows_read"),
        at_least("rows_good"),
        at_least("rows_bad"),
    )
    id: int = key()
    kind: str = Field(max_length=16)  # sales, items, stock, suppliers, orders, demo
    file_name: str = Field(max_length=200)
    content_hash: str = Field(max_length=64)  # SHA-256 over file bytes and column mapping
    state: LoadState = choice(LoadState, LoadState.STAGING, index=True)
    rows_read: int = whole(0)  # also the watermark from which a killed import goes on
    rows_good: int = whole(0)
    rows_bad: int = whole(0)
    report: dict[str, Any] = document()
    started_at: datetime = moment()
    finished_at: datetime | None = moment(nullable=True)


class StagedRow(SQLModel, table=True):
    """A validated row of a master-data import that waits for its load to be published."""

    __tablename__ = "staged_row"
    __table_args__ = (Index("ix_staged_row_load_row", "load_id", "row_number"),)
    id: int = key()
    load_id: int = ref("load.id", index=False)
    row_number: int = whole()
    content: dict[str, Any] = document()


class QuarantinedRow(SQLModel, table=True):
    """A row that was set aside: where, which field, why."""

    __tablename__ = "quarantined_row"
    __table_args__ = (Index("ix_quarantined_row_load_row", "load_id", "row_number"),)
    id: int = key()
    load_id: int = ref("load.id", index=False)
    row_number: int = whole()
    field: str = Field(max_length=64)
    reason: str = Field(max_length=200)
    value: str = Field(default="", max_length=200)
