"""What people know about demand, as plain values that the pure functions work with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

from db.types import CorrectionKind, EventKind, ForecastBasis

IntArray = npt.NDArray[np.int64]
TextArray = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Series:
    """Which item at which location each row of a panel or forecast is.

    Attributes:
        item_ids: Shape (n,).
        location_ids: Shape (n,).
        categories: Shape (n,), text; "" is none.
    """

    item_ids: IntArray
    location_ids: IntArray
    categories: TextArray

    def __len__(self) -> int:
        """How many."""
        return len(self.item_ids)


@dataclass(frozen=True)
class Event:
    """Something dated that moves demand, both days included. None and "" mean all.

    Attributes:
        event_id: Row of the table; 0 for a public holiday.
        uplift: Factor on demand, 1.4 for +40 %, 0 for a closed door. None: not known.
        n: Past events that the uplift was learned from; None when a person gave it.
    """

    event_id: int
    kind: EventKind
    name: str
    start_on: date
    end_on: date
    item_id: int | None = None
    location_id: int | None = None
    category: str = ""
    supplier_id: int | None = None
    uplift: float | None = None
    n: int | None = None

    @property
    def days(self) -> int:
        """How many days it lasts."""
        return (self.end_on - self.start_on).days + 1


@dataclass(frozen=True)
class Correction:
    """A day that counts otherwise than it was sold. ``units`` None: as the days around it."""

    correction_id: int
    item_id: int
    location_id: int
    on: date
    kind: CorrectionKind
    units: int | None
    reason: str


@dataclass(frozen=True)
class Override:
    """A planner's figure for a time: so many units a day, or like another item or category."""

    override_id: int
    item_id: int
    location_id: int
    start_on: date
    end_on: date
    basis: ForecastBasis
    units_per_day: float | None = None
    analog_item_id: int | None = None
    factor: float = 1.0


@dataclass(frozen=True)
class Inputs:
    """All that people and the calendar say, read with a fixed number of queries.

    Attributes:
        events: Dated events that were not withdrawn.
        corrections: Corrections that were not undone.
        overrides: Overrides that were not withdrawn, oldest first: a newer one wins.
        heirs: Id of the item that took over, by the id of the item that it replaced.
        skus: SKU of each item that was replaced, by id.
        categories: Category by item id.
        countries: ISO 3166 code by location id, only where one is set.
    """

    events: tuple[Event, ...] = ()
    corrections: tuple[Correction, ...] = ()
    overrides: tuple[Override, ...] = ()
    heirs: Mapping[int, int] = field(default_factory=dict)
    skus: Mapping[int, str] = field(default_factory=dict)
    categories: Mapping[int, str] = field(default_factory=dict)
    countries: Mapping[int, str] = field(default_factory=dict)
