"""What a planner may say about demand: checked values, and what clashes with what."""

from dataclasses import dataclass
from datetime import date, timedelta

from db.types import CorrectionKind, EventKind, ForecastBasis
from tools.errors import InvalidInput
from tools.planning_inputs.core.values import Event
from tools.text import plain_line, plain_text

MOST_UPLIFT = 20.0
MOST_UNITS = 1_000_000_000
MOST_FACTOR = 100.0
LONGEST_DAYS = 400
FURTHEST = timedelta(days=3 * 365)
OLDEST = timedelta(days=10 * 365)


@dataclass(frozen=True)
class NewCorrection:
    """A day of demand that should count otherwise. ``units`` None: as the days around it."""

    sku: str
    on: date
    kind: CorrectionKind
    units: int | None = None
    location: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class NewEvent:
    """Something dated that moves demand, or closes a door. ``uplift`` None: learn it."""

    kind: EventKind
    name: str
    start_on: date
    end_on: date
    sku: str | None = None
    category: str = ""
    location: str | None = None
    supplier: str | None = None
    uplift: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class NewOverride:
    """A planner's figure in place of the forecast, until it expires."""

    sku: str
    start_on: date
    end_on: date
    basis: ForecastBasis = ForecastBasis.OWN
    units_per_day: float | None = None
    analog_sku: str | None = None
    factor: float | None = None
    location: str | None = None
    reason: str = ""


Change = NewCorrection | NewEvent | NewOverride


def checked_reason(text: str) -> str:
    """Return a reason as it is kept.

    Raises:
        InvalidInput: There is none.
    """
    reason = plain_text(text, longest=500)
    if not reason:
        raise InvalidInput(
            "a change of what demand counts as needs a reason",
            next_step="Say why, such as: tender of the city, does not come again.",
        )
    return reason


def check_correction(new: NewCorrection, *, today: date) -> None:
    """Refuse a correction that cannot be.

    Raises:
        InvalidInput: The day is not over or too old, or the quantity is absurd.
    """
    checked_reason(new.reason)
    if new.on >= today:
        raise InvalidInput(
            f"{new.on.isoformat()} is not over, so nothing of it can be corrected",
            next_step="To say what will be sold, record an event or an override.",
        )
    _not_too_old(new.on, today)
    if new.units is not None and not 0 <= new.units <= MOST_UNITS:
        raise InvalidInput(f"a day counts with 0 to {MOST_UNITS:,} units, got {new.units!r}")


def check_event(new: NewEvent, *, today: date) -> str:
    """Refuse an event that cannot be, and return its name as it is kept.

    Raises:
        InvalidInput: Dates, name, uplift or scope cannot be.
    """
    checked_reason(new.reason)
    name = plain_line(new.name, longest=120).lstrip("- ")  # no option of a command
    if not name:
        raise InvalidInput("an event needs a name", next_step="Such as: spring fair.")
    check_days(new.start_on, new.end_on, today=today)
    if new.uplift is not None and not 0 <= new.uplift <= MOST_UPLIFT:
        raise InvalidInput(
            f"an uplift is a factor from 0 to {MOST_UPLIFT:g}, got {new.uplift!r}",
            next_step="+40 % is written 1.4, -20 % is 0.8.",
        )
    if new.sku and new.category:
        raise InvalidInput(
            f"an event is about an item or a category, got {new.sku!r} and {new.category!r}"
        )
    if new.supplier and (new.sku or new.category or new.location or new.uplift is not None):
        raise InvalidInput(
            f"the closure of supplier {new.supplier!r} has no item, place or uplift",
            next_step="Leave them out; demand does not change while a supplier is closed.",
        )
    if new.supplier and new.kind is not EventKind.CLOSURE:
        raise InvalidInput(f"a supplier has closures, no {new.kind.value}")
    return name


def check_override(new: NewOverride, *, today: date) -> None:
    """Refuse an override that cannot be.

    Raises:
        InvalidInput: Dates are over, or what its basis needs is missing or absurd.
    """
    checked_reason(new.reason)
    check_days(new.start_on, new.end_on, today=today)
    if new.end_on < today:
        raise InvalidInput(
            f"the override would end on {new.end_on.isoformat()}, before today",
            next_step="Give a last day from today on.",
        )
    if new.basis is ForecastBasis.OWN:
        _needs_units(new)
        return
    if new.units_per_day is not None:
        raise InvalidInput(
            f"units a day are not given together with the basis {new.basis.value!r}",
            next_step="Give a factor, such as 0.6, or leave the basis out.",
        )
    if new.basis is ForecastBasis.ANALOG and not new.analog_sku:
        raise InvalidInput("an analog forecast needs the item that it is like")
    if new.factor is not None and not 0 < new.factor <= MOST_FACTOR:
        raise InvalidInput(
            f"a factor lies above 0 and up to {MOST_FACTOR:g}, got {new.factor!r}",
            next_step="60 % is written 0.6.",
        )


def _needs_units(new: NewOverride) -> None:
    if new.units_per_day is None:
        raise InvalidInput(
            "an override needs its figure", next_step="Give units a day, or a similar item."
        )
    if not 0 <= new.units_per_day <= MOST_UNITS:
        raise InvalidInput(
            f"units a day lie between 0 and {MOST_UNITS:,}, got {new.units_per_day!r}"
        )


def check_days(start_on: date, end_on: date, *, today: date) -> None:
    """Refuse days in the wrong order, too many, or too far away.

    Raises:
        InvalidInput: They are.
    """
    if end_on < start_on:
        raise InvalidInput(
            f"it would end on {end_on.isoformat()}, before it starts on {start_on.isoformat()}"
        )
    if (end_on - start_on).days >= LONGEST_DAYS:
        raise InvalidInput(
            f"it would last {(end_on - start_on).days + 1:,} days, more than {LONGEST_DAYS}",
            next_step="Record it in parts, or change the item's policy.",
        )
    if end_on > today + FURTHEST:
        raise InvalidInput(f"{end_on.isoformat()} is more than three years ahead")
    _not_too_old(start_on, today)


def _not_too_old(on: date, today: date) -> None:
    if on < today - OLDEST:
        raise InvalidInput(
            f"{on.isoformat()} is more than ten years ago and counts no more",
            next_step="Check the year.",
        )


def clashes(new: Event, other: Event, *, item_category: str = "", other_category: str = "") -> bool:
    """Tell whether two promotions would lift the same item on the same day.

    Args:
        new: The one that is to be recorded.
        other: One that stands.
        item_category: Category of the new one's item.
        other_category: Category of the other one's item.
    """
    if new.kind is not EventKind.PROMOTION or other.kind is not EventKind.PROMOTION:
        return False
    if new.start_on > other.end_on or other.start_on > new.end_on:
        return False
    places = {new.location_id, other.location_id}
    if None not in places and len(places) > 1:
        return False
    if new.item_id is not None and other.item_id is not None:
        return new.item_id == other.item_id
    category = new.category or item_category
    others = other.category or other_category
    return not category or not others or category == others
