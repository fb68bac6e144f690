"""What people know about demand that sales alone do not tell: dated, reasoned, and withdrawable."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from db.columns import choice, document, key, moment, one_of, ref, whole
from db.types import CorrectionKind, EventKind, ForecastBasis


class DemandEvent(SQLModel, table=True):
    """Something dated that moves demand or closes a door: a promotion, a holiday, a closure.

    An empty scope column means all: no item and no category is every item.
    """

    __tablename__ = "demand_event"
    __table_args__ = (
        one_of("kind", EventKind),
        CheckConstraint("end_on >= start_on", name="ends_after_start"),
        CheckConstraint("uplift IS NULL OR uplift >= 0", name="uplift_not_negative"),
    )
    id: int = key()
    kind: EventKind = choice(EventKind)
    name: str = Field(max_length=120)
    start_on: date
    end_on: date
    item_id: int | None = ref("item.id", nullable=True)
    location_id: int | None = ref("location.id", nullable=True)
    supplier_id: int | None = ref("supplier.id", nullable=True)  # of a closure
    category: str = Field(default="", max_length=80)
    uplift: float | None = None  # factor on demand: 1.4 is +40 %; None: learn it from past ones
    reason: str = Field(default="", max_length=500)
    created_by_id: int = ref("app_user.id")
    created_at: datetime = moment()
    withdrawn_by_id: int | None = ref("app_user.id", nullable=True)
    withdrawn_at: datetime | None = moment(nullable=True)


class DemandCorrection(SQLModel, table=True):
    """A day of demand that counts otherwise than it was sold; what was sold stays as it is."""

    __tablename__ = "demand_correction"
    __table_args__ = (
        one_of("kind", CorrectionKind),
        CheckConstraint("units IS NULL OR units >= 0", name="units_not_negative"),
    )
    id: int = key()
    item_id: int = ref("item.id")
    location_id: int = ref("location.id")
    on: date
    kind: CorrectionKind = choice(CorrectionKind)
    units: int | None = whole(nullable=True)  # what counts instead; None: as the days around it
    reason: str = Field(default="", max_length=500)
    created_by_id: int = ref("app_user.id")
    created_at: datetime = moment()
    undone_by_id: int | None = ref("app_user.id", nullable=True)
    undone_at: datetime | None = moment(nullable=True)


class ForecastOverride(SQLModel, table=True):
    """A planner's own figure in place of the forecast, for a time; scored when it is over."""

    __tablename__ = "forecast_override"
    __table_args__ = (
        one_of("basis", ForecastBasis),
        CheckConstraint("end_on >= start_on", name="ends_after_start"),
        CheckConstraint("units_per_day IS NULL OR units_per_day >= 0", name="units_not_negative"),
        CheckConstraint("analog_factor IS NULL OR analog_factor > 0", name="factor_positive"),
    )
    id: int = key()
    item_id: int = ref("item.id")
    location_id: int = ref("location.id")
    start_on: date
    end_on: date
    basis: ForecastBasis = choice(ForecastBasis, ForecastBasis.OWN)
    units_per_day: float | None = None  # with basis own: the planner's figure
    analog_item_id: int | None = ref("item.id", nullable=True)  # with basis analog: like this item
    analog_factor: float | None = None  # times so much
    reason: str = Field(default="", max_length=500)
    created_by_id: int = ref("app_user.id")
    created_at: datetime = moment()
    withdrawn_by_id: int | None = ref("app_user.id", nullable=True)
    withdrawn_at: datetime | None = moment(nullable=True)
    system_units_per_day: float | None = None  # what the forecast said when it was overridden
    score: dict[str, Any] = document()  # error of naive, of the system and of the override
