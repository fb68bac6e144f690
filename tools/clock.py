"""Time as a parameter: services take a ``Clock`` and never read the machine's clock themselves."""

from datetime import UTC, date, datetime
from typing import Protocol


class Clock(Protocol):
    """Gives the current instant in UTC."""

    def now(self) -> datetime:
        """Return an aware UTC datetime."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant, UTC."""
        return datetime.now(UTC)  # noqa: TID251  (the one place that may ask)


class FixedClock:
    """A clock that stands still until it is set: tests, demo and evals."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError(f"a clock needs an aware time, got {at!r}")
        self.at = at.astimezone(UTC)

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self.at


def noon(on: date) -> datetime:
    """Return 12:00 UTC of a day: a planning instant for day-grained work."""
    return datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
