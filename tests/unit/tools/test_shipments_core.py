"""Lateness and age of news."""

from datetime import UTC, date, datetime

import pytest

from tools.shipments.core import days_late, expected_on, hours_since

TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("due", "promise", "late"),
    [
        (date(2026, 3, 12), date(2026, 3, 6), 6),
        (date(2026, 3, 4), date(2026, 3, 6), 0),
        (None, date(2026, 3, 6), None),
        (date(2026, 3, 6), None, None),
    ],
)
def test_days_late(due: date | None, promise: date | None, late: int | None) -> None:
    assert days_late(due, promise) == late


def test_hours_since_an_event() -> None:
    now = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

    assert hours_since(datetime(2026, 3, 2, 3, 0, tzinfo=UTC), now) == 6
    assert hours_since(None, now) is None


def test_goods_still_out_are_never_expected_in_the_past() -> None:
    past = date(2026, 2, 20)

    assert expected_on(None, past, today=TODAY, is_delivered=False) == TODAY
    assert expected_on(past, None, today=TODAY, is_delivered=True) == past
    assert expected_on(None, None, today=TODAY, is_delivered=False) is None
