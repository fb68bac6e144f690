"""Lateness of shipments: pure functions over dates."""

from datetime import date, datetime


def days_late(expected_on: date | None, promise_on: date | None) -> int | None:
    """Days by which the expected day misses the promise; 0 when early, None when unknown.

    Example:
        >>> days_late(date(2026, 3, 12), date(2026, 3, 6))
        6
    """
    if expected_on is None or promise_on is None:
        return None
    return max(0, (expected_on - promise_on).days)


def hours_since(at: datetime | None, now: datetime) -> int | None:
    """Whole hours that have passed since an event; None without one."""
    return None if at is None else max(0, int((now - at).total_seconds() // 3600))


def expected_on(
    eta_on: date | None, promise_on: date | None, *, today: date, is_delivered: bool
) -> date | None:
    """The day on which goods are expected: the carrier's, else the promise, never a past day."""
    if is_delivered:
        return eta_on or promise_on
    day = eta_on or promise_on
    return None if day is None else max(day, today)
