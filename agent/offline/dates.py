"""Read dates in a planner's words. Nothing is guessed: text without a date gives none.

Relative words need the day on which the planner speaks. A day without a year is the next such day;
a date in digits is read day first unless that is impossible.
"""

import calendar
import re
from collections.abc import Callable
from datetime import date, timedelta

from agent.offline.reading import Canvas, Period

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b"
)
_WEEKDAYS = {name.lower(): number for number, name in enumerate(calendar.day_abbr)}
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_ISO = re.compile(r"\b(?P<year>\d{4})-(?P<number>\d{1,2})-(?P<day>\d{1,2})\b")
_SLASHED = re.compile(r"\b(?P<a>\d{1,2})/(?P<b>\d{1,2})(?:/(?P<year>\d{2,4}))?\b")
_DAY_MONTH = re.compile(rf"\b{_DAY}(?: of)? {_MONTH}(?:\.? (?P<year>20\d\d))?")
_MONTH_DAY = re.compile(rf"\b{_MONTH}\.? {_DAY}(?!\d)(?:,? (?P<year>20\d\d))?")
_SHARED_MONTH = re.compile(
    rf"\b(?P<first>\d{{1,2}})(?:st|nd|rd|th)?\s?(?:-|to|until|till|and)\s?{_DAY}(?: of)? {_MONTH}"
    r"(?:\.? (?P<year>20\d\d))?"
)
_END_OF_MONTH = re.compile(rf"\b(?:end of|through|by the end of) {_MONTH}")
_WORDED = re.compile(
    r"\b(?:(?P<near>today|tomorrow|tonight)|(?:next |this |on )?(?P<weekday>mon(?:day)?|"
    r"tue(?:s|sday)?|wed(?:nesday)?|thu(?:rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)|"
    r"(?P<far>month end|end of (?:the )?month|eom|year end|end of (?:the )?year|eoy|"
    r"(?<=by )(?:christmas|xmas)|(?<=until )(?:christmas|xmas)|(?<=before )(?:christmas|xmas)|"
    r"(?<=over )(?:christmas|xmas)|(?<=to )(?:christmas|xmas)))\b"
)
_BETWEEN = re.compile(r"^\s*(?:-|to|until|till|through|and)\s*$")


def take_periods(canvas: Canvas, today: date | None) -> list[Period]:
    """Take days and ranges of days out of the text.

    Args:
        canvas: The text.
        today: The day on which it was said; without it only dates with a year are read.
    """
    days: list[Period] = []
    for pattern, read in _READERS:
        for match in pattern.finditer(canvas.left):
            period = _read(read, match, today)
            if period is not None:
                canvas.take(*match.span(), "xdate")
                days.append(period)
    return _join(canvas, sorted(days, key=lambda found: found.start))


def _read(
    read: Callable[[re.Match[str], date | None], tuple[date, date]],
    match: re.Match[str],
    today: date | None,
) -> Period | None:
    try:
        first, last = read(match, today)
    except (ValueError, TypeError):  # no such day, or a relative word without today
        return None
    return Period(first, last, *match.span())


def _join(canvas: Canvas, days: list[Period]) -> list[Period]:
    """Two neighbouring days with "to" between them are one period."""
    joined: list[Period] = []
    for found in days:
        before = joined[-1] if joined else None
        if before and _BETWEEN.match(canvas.text[before.end : found.start].lower()):
            last = found.last
            if before.first and last and last < before.first:
                last = _same_day(last, before.first.year + 1)
            joined[-1] = Period(before.first, last, before.start, found.end)
        else:
            joined.append(found)
    return joined


def _same_day(day: date, year: int) -> date:
    return day.replace(year=year, day=min(day.day, calendar.monthrange(year, day.month)[1]))


def _dated(year: str | None, month: int, day: int, today: date | None) -> date:
    if year:
        number = int(year)
        return date(number + 2000 if number < 100 else number, month, day)
    if today is None:
        raise ValueError("a day without a year needs today")
    found = date(today.year, month, day)
    return found if found >= today else date(today.year + 1, month, day)


def _iso(match: re.Match[str], _today: date | None) -> tuple[date, date]:
    found = date(int(match["year"]), int(match["number"]), int(match["day"]))
    return found, found


def _slashed(match: re.Match[str], today: date | None) -> tuple[date, date]:
    day, month = int(match["a"]), int(match["b"])
    if month > 12:
        day, month = month, day
    found = _dated(match["year"], month, day, today)
    return found, found


def _named(match: re.Match[str], today: date | None) -> tuple[date, date]:
    found = _dated(match["year"], _MONTHS[match["month"][:3]], int(match["day"]), today)
    return found, found


def _shared(match: re.Match[str], today: date | None) -> tuple[date, date]:
    last, _ = _named(match, today)
    return last.replace(day=int(match["first"])), last


def _month_end(match: re.Match[str], today: date | None) -> tuple[date, date]:
    first = _dated(None, _MONTHS[match["month"][:3]], 28, today)
    found = first.replace(day=calendar.monthrange(first.year, first.month)[1])
    return found, found


def _worded(match: re.Match[str], today: date | None) -> tuple[date, date]:
    if today is None:
        raise ValueError("a relative day needs today")
    if match["near"]:
        found = today + timedelta(days=1 if match["near"] == "tomorrow" else 0)
    elif match["weekday"]:
        ahead = (_WEEKDAYS[match["weekday"][:3]] - today.weekday()) % 7 or 7
        found = today + timedelta(days=ahead)
    elif "mas" in match["far"]:
        found = _dated(None, 12, 25, today)
    elif "y" in match["far"]:
        found = date(today.year, 12, 31)
    else:
        found = today.replace(day=calendar.monthrange(today.year, today.month)[1])
    return found, found


_READERS = (
    (_ISO, _iso),
    (_SLASHED, _slashed),
    (_SHARED_MONTH, _shared),
    (_DAY_MONTH, _named),
    (_MONTH_DAY, _named),
    (_END_OF_MONTH, _month_end),
    (_WORDED, _worded),
)
