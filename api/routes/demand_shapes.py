"""Bodies and answers of the routes about demand."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from db.types import CorrectionKind, EventKind, ForecastBasis

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Code = Annotated[str | None, Field(max_length=120, pattern=r"^[^\x00]*$")]
Number = Annotated[float | None, Field(ge=0, le=1e9, allow_inf_nan=False)]

_WHO: dict[str, Any] = {
    "reason": "tender of the city", "by": "paul", "at": "2026-03-02T09:00:00+00:00",
    "is_active": True, "ended_by": None,
}  # fmt: skip
CORRECTION_EXAMPLE: dict[str, Any] = {
    "id": "c-3", "sku": "WIDGET-A", "location": "MAIN", "date": "2026-02-12", "kind": "one_off",
    "units": None, **_WHO,
}  # fmt: skip
EVENT_EXAMPLE: dict[str, Any] = {
    "id": "e-12", "kind": "promotion", "name": "spring fair", "start": "2026-05-03",
    "end": "2026-05-16", "sku": "WIDGET-A", "category": None, "location": None, "supplier": None,
    "uplift": 1.4, **_WHO,
}  # fmt: skip
OVERRIDE_EXAMPLE: dict[str, Any] = {
    "id": "o-5", "sku": "WIDGET-A", "location": "MAIN", "start": "2026-03-02",
    "end": "2026-06-30", "basis": "own", "units_per_day": 22.0, "analog": None, "factor": None,
    "system_units_per_day": 19.7, "score": None, **_WHO,
}  # fmt: skip


class _Body(BaseModel):
    """A body with known fields only."""

    model_config = ConfigDict(extra="forbid")


def _examples(*bodies: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(bodies)})


class CorrectionGiven(_Body):
    """A day that should count otherwise than it was sold."""

    model_config = _examples(
        {"sku": "WIDGET-A", "date": "2026-02-12", "kind": "one_off", "reason": "tender"}
    )
    sku: Name
    on: date = Field(alias="date")
    kind: CorrectionKind
    units: Annotated[int | None, Field(ge=0, le=10**9)] = Field(
        default=None, description="What counts; as the days around it if not given."
    )
    location: Code = None
    reason: Text


class EventGiven(_Body):
    """A promotion, a holiday or a closure; without item and category it is about everything."""

    model_config = _examples(
        {
            "kind": "promotion", "name": "spring fair", "start": "2026-05-03", "end": "2026-05-16",
            "sku": "WIDGET-A", "uplift": 1.4, "reason": "as every year",
        }
    )  # fmt: skip
    kind: EventKind
    name: Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00]*$")]
    start: date
    end: date
    sku: Code = None
    category: Code = None
    location: Code = None
    supplier: Code = None
    uplift: Number = Field(default=None, description="1.4 is +40 %; learned if not given.")
    reason: Text


class OverrideGiven(_Body):
    """A planner's figure, or a share of a similar item, until it expires."""

    model_config = _examples(
        {
            "sku": "WIDGET-A", "start": "2026-03-02", "end": "2026-06-30", "units_per_day": 22,
            "reason": "the customer said so",
        }
    )  # fmt: skip
    sku: Name
    start: date
    end: date
    basis: ForecastBasis = ForecastBasis.OWN
    units_per_day: Number = None
    analog: Code = Field(default=None, description="The item that it is like.")
    factor: Number = Field(default=None, description="Times so much: 0.6 is 60 %.")
    location: Code = None
    reason: Text


class TakenBack(_Body):
    """Why something is taken back."""

    model_config = _examples({"reason": "it came again"})
    reason: Text


class _Recorded(BaseModel):
    """Who said so and whether it stands."""

    reason: str
    by: str
    at: datetime
    is_active: bool
    ended_by: str | None


class CorrectionShown(_Recorded):
    """A day that counts otherwise; ``units`` null is as the days around it."""

    id: str
    sku: str
    location: str
    date: str
    kind: CorrectionKind
    units: int | None


class CorrectionsShown(BaseModel):
    """Corrections, newest first."""

    corrections: list[CorrectionShown]


class EventShown(_Recorded):
    """A dated event; ``uplift`` null is learned from past ones."""

    id: str
    kind: EventKind
    name: str
    start: str
    end: str
    sku: str | None
    category: str | None
    location: str | None
    supplier: str | None
    uplift: float | None


class EventsShown(BaseModel):
    """Events, newest first."""

    events: list[EventShown]


class OverrideShown(_Recorded):
    """A planner's figure; ``score`` says what it added, once it is over."""

    id: str
    sku: str
    location: str
    start: str
    end: str
    basis: ForecastBasis
    units_per_day: float | None
    analog: str | None
    factor: float | None
    system_units_per_day: float | None
    score: dict[str, Any] | None


class OverridesShown(BaseModel):
    """Overrides, newest first."""

    overrides: list[OverrideShown]
