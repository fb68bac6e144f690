"""What is where, how it changed, and what was sold."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.columns import BigKey, at_least, choice, key, moment, one_of, ref, whole
from db.types import MovementKind


class StockLevel(SQLModel, table=True):
    """Balance of an item at a location. A negative ``on_hand`` is possible and is not hidden."""

    __tablename__ = "stock_level"
    __table_args__ = (
        UniqueConstraint("item_id", "location_id"),
        at_least("quarantined_units"),
        at_least("expiring_units"),
        at_least("allocated_units"),
        at_least("backordered_units"),
        at_least("inbound_transfer_units"),
    )
    id: int = key()
    item_id: int = ref("item.id")
    location_id: int = ref("location.id")
    on_hand_units: int = whole(0)
    quarantined_units: int = whole(0)
    expiring_units: int = whole(0)
    allocated_units: int = whole(0)
    backordered_units: int = whole(0)
    inbound_transfer_units: int = whole(0)
    updated_at: datetime = moment()


class StockMovement(SQLModel, table=True):
    """One signed change of on-hand stock. ``reference`` makes re-sending harmless."""

    __tablename__ = "stock_movement"
    __table_args__ = (
        one_of("kind", MovementKind),
        CheckConstraint("units <> 0", name="units_not_zero"),
        UniqueConstraint("reference"),
        Index("ix_stock_movement_item_location_at", "item_id", "location_id", "occurred_at"),
    )
    id: int = key()
    item_id: int = ref("item.id", index=False)
    location_id: int = ref("location.id", index=False)
    kind: MovementKind = choice(MovementKind)
    units: int = whole()
    occurred_at: datetime = moment()
    reference: str = Field(max_length=120)


class Demand(SQLModel, table=True):
    """Units asked for on a day. A missing day between first sale and today is zero demand.

    Rows are versioned by import: a row counts when its load is published, and of several loads
    that cover the same day the newest counts (read through ``tools.demand.service`` only). No index
    on the load: a second order of the rows doubles what a big import writes, and nobody asks by it.
    """

    __tablename__ = "demand"
    __table_args__ = (
        at_least("returned_units"),
        {"sqlite_with_rowid": False},
    )
    item_id: int = Field(sa_column=Column(BigKey, ForeignKey("item.id"), primary_key=True))
    location_id: int = Field(sa_column=Column(BigKey, ForeignKey("location.id"), primary_key=True))
    on: date = Field(primary_key=True)
    load_id: int = Field(sa_column=Column(BigKey, ForeignKey("load.id"), primary_key=True))
    units: int = Field(
        sa_column=Column(
            BigInteger, CheckConstraint("units >= 0", name="units_not_negative"), nullable=False
        )
    )
    returned_units: int = whole(0)
    is_in_stock: bool = Field(default=True)
    flag: str = Field(default="", max_length=32)  # outlier, one_off, event; "" is plain demand
