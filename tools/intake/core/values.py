"""Text of one cell to one value, or the reason why not.

Every parser returns ``(value, "")`` or ``(None, reason)``; it never raises on what a file may
hold. Equal cells are common, so the parsers run behind a ``Memo``.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from tools.catalog.core import seen, sku_key, text_key
from tools.errors import InvalidInput
from tools.money import minor_digits

MOST_UNITS = 10_000_000
MOST_MINOR = 10**12
MOST_DAYS = 1_000
EARLIEST = date(1990, 1, 1)
LATEST = date(2099, 12, 31)
_EXCEL_EPOCH = date(1899, 12, 30)
_MEMO_SIZE = 200_000
_ENOUGH_EVIDENCE = 2_000

Parsed = tuple[Any, str]
Parser = Callable[[str], Parsed]

_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_YEAR_FIRST = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?:[T ].*)?")
_YEAR_LAST = re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4}|[0-9]{2})(?:[T ].*)?")
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_SERIAL = re.compile(r"([0-9]{5})(?:\.[0-9]*)?")
_NAMED = re.compile(r"([0-9]{1,2})[ -]([A-Za-z]{3})[a-z]*[ -]([0-9]{4}|[0-9]{2})(?: .*)?")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


class Memo(dict[str, Parsed]):
    """A parser that remembers; forgets all when it grew large, for time stamps rarely repeat."""

    def __init__(self, parser: Parser) -> None:
        super().__init__()
        self.parser = parser

    def __missing__(self, text: str) -> Parsed:
        if len(self) >= _MEMO_SIZE:
            self.clear()
        self[text] = result = self.parser(text)
        return result


class DateOrder(StrEnum):
    """Which part of 03/04/2011 is the day."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


@dataclass(frozen=True)
class DateEvidence:
    """What the dates of a file say about their order.

    Attributes:
        order: The order, or None when no date shows it.
        example: A date that can be read two ways; "" when there is none.
        conflict: A date that contradicts the order, when too many do; "" otherwise.
    """

    order: DateOrder | None
    example: str = ""
    conflict: str = ""


def date_evidence(texts: Iterable[str]) -> DateEvidence:
    """Find the order of day and month from dates whose day is above 12.

    Reads until 2,000 dates were seen and one of them decides, or to the end. One date in twenty may
    contradict (it is then a bad date); more make the order unclear.

    Example:
        >>> date_evidence(["03/04/2011", "23/04/2011"]).order
        <DateOrder.DAY_FIRST: 'dmy'>
    """
    first: list[str] = []
    second: list[str] = []
    example = ""
    for count, text in enumerate(texts):
        found = _YEAR_LAST.fullmatch(text.strip())
        if found is not None:
            a, b = int(found[1]), int(found[2])
            if a > 12 >= b:
                first.append(text)
            elif b > 12 >= a:
                second.append(text)
            elif a != b and a <= 12:
                example = example or text
        if count >= _ENOUGH_EVIDENCE and (first or second or not example):
            break
    if not first and not second:
        return DateEvidence(None, example)
    order = DateOrder.DAY_FIRST if len(first) >= len(second) else DateOrder.MONTH_FIRST
    few, many = sorted((first, second), key=len)
    return DateEvidence(order, example, few[0] if len(few) * 20 > len(many) else "")


def date_parser(*, order: DateOrder | None, today: date) -> Parser:
    """Parser of ISO, D/M/Y, M/D/Y, 20260302, 2 Mar 2026 and Excel serial dates up to today.

    A time after the date is ignored. Years of two digits are of this century.
    """

    def parse(text: str) -> Parsed:
        found, reason = _date(text.strip(), order)
        if found is None:
            return None, reason
        if found > today:
            return None, f"lies in the future (today is {today.isoformat()})"
        if found < EARLIEST:
            return None, f"lies before {EARLIEST.year}"
        return found, ""

    return parse


def future_date_parser(*, order: DateOrder | None) -> Parser:
    """Parser of dates that may lie ahead, or be missing."""

    def parse(text: str) -> Parsed:
        if not text.strip():
            return None, ""
        found, reason = _date(text.strip(), order)
        if found is not None and not EARLIEST <= found <= LATEST:
            return None, f"lies outside {EARLIEST.year} to {LATEST.year}"
        return found, reason

    return parse


def _date(text: str, order: DateOrder | None) -> tuple[date | None, str]:
    if not text:
        return None, "is empty"
    if found := _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text):
        return _day(int(found[1]), int(found[2]), int(found[3]))
    if found := _YEAR_LAST.fullmatch(text):
        return _slashed(int(found[1]), int(found[2]), _year(found[3]), order)
    if (found := _NAMED.fullmatch(text)) and found[2].lower() in _MONTHS:
        return _day(_year(found[3]), _MONTHS.index(found[2].lower()) + 1, int(found[1]))
    if found := _SERIAL.fullmatch(text):
        return _EXCEL_EPOCH + timedelta(days=int(found[1])), ""
    return None, "is not a date"


def _slashed(a: int, b: int, year: int, order: DateOrder | None) -> tuple[date | None, str]:
    if order is DateOrder.MONTH_FIRST or (order is None and b > 12):
        return _day(year, a, b)
    if order is DateOrder.DAY_FIRST or a > 12 or a == b:
        return _day(year, b, a)
    return None, "can be read two ways (day first or month first)"


def _year(text: str) -> int:
    return int(text) + 2000 if len(text) == 2 else int(text)


def _day(year: int, month: int, day: int) -> tuple[date | None, str]:
    try:
        return date(year, month, day), ""
    except ValueError:
        return None, "is no day of the calendar"


def parse_units(text: str) -> Parsed:
    """Whole number of units, of either sign, up to ten million.

    Example:
        >>> parse_units("1,200"), parse_units("2.0"), parse_units("2.5")
        ((1200, ''), (2, ''), (None, 'is a fraction; units are whole'))
    """
    text = text.strip()
    if not text:
        return None, "is empty"
    if _WHOLE.fullmatch(text):
        value = int(text)
    else:
        number, reason = _decimal(text)
        if number is None:
            return None, reason
        if number != number.to_integral_value():
            return None, "is a fraction; units are whole"
        value = int(number)
    if abs(value) > MOST_UNITS:
        return None, f"is larger than {MOST_UNITS:,}"
    return value, ""


def parse_count(text: str) -> Parsed:
    """Units that cannot be negative."""
    value, reason = parse_units(text)
    return (None, "is negative") if value is not None and value < 0 else (value, reason)


def parse_positive(text: str) -> Parsed:
    """Units of at least one."""
    value, reason = parse_count(text)
    return (None, "must be at least 1") if value == 0 else (value, reason)


def parse_days(text: str) -> Parsed:
    """Days of a lead time, up to a thousand.

    Example:
        >>> parse_days("14"), parse_days("100000")
        ((14, ''), (None, 'is longer than 1,000 days'))
    """
    value, reason = parse_count(text)
    if value is not None and value > MOST_DAYS:
        return None, f"is longer than {MOST_DAYS:,} days"
    return value, reason


def parse_weekdays(text: str) -> Parsed:
    """Working days as digits, 1 = Monday.

    Example:
        >>> parse_weekdays("12345"), parse_weekdays("Mon")
        (('12345', ''), (None, 'is not a list of days such as 12345 (1 = Monday)'))
    """
    days = sorted(set(text.strip()))
    if not days or not set(days) <= set("1234567"):
        return None, "is not a list of days such as 12345 (1 = Monday)"
    return "".join(days), ""


def parse_currency(text: str) -> Parsed:
    """Currency code of three letters, one with two decimals.

    Example:
        >>> parse_currency("usd"), parse_currency("JPY")
        (('USD', ''), (None, 'has not two decimals; its prices cannot be imported yet'))
    """
    code = text.strip().upper()
    if not re.fullmatch(r"[A-Z]{3}", code):
        return None, "is not a currency code of three letters"
    if minor_digits(code) != 2:
        return None, "has not two decimals; its prices cannot be imported yet"
    return code, ""


def parse_breaks(text: str) -> Parsed:
    """Price breaks as ``units:price`` pairs, lowest first.

    Example:
        >>> parse_breaks("5000:7.60; 1000:7.80")
        ([[1000, 780], [5000, 760]], '')
        >>> parse_breaks("1000=7.80")
        (None, 'is not written like 1000:7.80;5000:7.60')
    """
    breaks: dict[int, int] = {}
    for pair in filter(str.strip, text.split(";")):
        units_text, colon, price_text = pair.partition(":")
        units, _ = parse_positive(units_text)
        price, _ = parse_money(price_text)
        if not colon or units is None or price is None:
            return None, "is not written like 1000:7.80;5000:7.60"
        if units in breaks:
            return None, f"names {units:,} units twice"
        breaks[units] = price
    return [list(pair) for pair in sorted(breaks.items())], ""


def parse_money(text: str) -> Parsed:
    """Amount in major units (7.80, £7.80, 1,234.50, 7,80) to minor units, rounded half up.

    Example:
        >>> parse_money("£1,234.50")
        (123450, '')
    """
    text = re.sub(r"^[^0-9.,+-]{1,4}|\s*[A-Z]{3}$|[€£$]$", "", text.strip()).strip()
    if not text:
        return None, "is empty"
    if re.fullmatch(r"[0-9]+,[0-9]{1,2}", text):  # a decimal comma
        text = text.replace(",", ".")
    number, reason = _decimal(text)
    if number is None:
        return None, reason
    if number < 0:
        return None, "is negative"
    minor = int((number * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    return (minor, "") if minor <= MOST_MINOR else (None, f"is larger than {MOST_MINOR // 100:,}")


def _decimal(text: str) -> tuple[Decimal | None, str]:
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if not _NUMBER.fullmatch(text):
        return None, "is not a number"
    number = Decimal(text)
    return (None, "is too large") if number.adjusted() > 15 else (number, "")


def sku_parser(longest: int) -> Parser:
    """Parser of a SKU or code as (as written, canonical key)."""

    def parse(text: str) -> Parsed:
        written = seen(text).strip()  # what is kept is what a reader sees
        if not written:
            return None, "is empty"
        if len(written) > longest:
            return None, f"is longer than {longest} characters"
        try:
            return (written, sku_key(text)), ""
        except InvalidInput as error:
            return None, error.message[:200]

    return parse


parse_sku = sku_parser(64)


def number_parser(longest: int) -> Parser:
    """Parser of a document's number: cut off it could be another document's."""
    parser = text_parser(longest + 1, is_required=True)

    def parse(text: str) -> Parsed:
        value, reason = parser(text)
        if value is not None and len(value) > longest:
            return None, f"is longer than {longest} characters"
        return value, reason

    return parse


def text_parser(longest: int, *, is_required: bool = False) -> Parser:
    """Parser of plain text: control characters become spaces, too much is cut off."""

    def parse(text: str) -> Parsed:
        clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if is_required and not clean:
            return None, "is empty"
        return clean[:longest], ""

    return parse


def choice_parser(known: Iterable[str]) -> Parser:
    """Parser of one of a few words; "" when the cell is empty."""
    words = sorted(known)

    def parse(text: str) -> Parsed:
        key = text_key(text).replace(" ", "_").replace("-", "_")
        return (key, "") if not key or key in words else (None, f"is none of {', '.join(words)}")

    return parse


def optional(parser: Parser, default: Any = None) -> Parser:
    """Make a parser that takes an empty cell for the default."""

    def parse(text: str) -> Parsed:
        return parser(text) if text.strip() else (default, "")

    return parse
