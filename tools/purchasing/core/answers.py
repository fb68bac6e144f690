"""What a supplier says to an order, and what the order becomes when a person accepts it.

An answer speaks of lines in parts, as an X12 855 does in its ACK segments: 240 on one day, 60 on
another. A line that is not named stays as it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from tools.errors import InvalidInput
from tools.purchasing.core.quantities import MOST_UNITS, moved_bp


class AnswerCode(StrEnum):
    """What is said of (a part of) a line: the codes of X12 855 ACK01."""

    ACCEPTED = "IA"
    QUANTITY = "IQ"
    PRICE = "IP"
    DATE = "DR"
    BACKORDERED = "IB"
    SUBSTITUTED = "IS"
    REJECTED = "IR"


SPOKEN: Mapping[AnswerCode, str] = {
    AnswerCode.ACCEPTED: "accepted",
    AnswerCode.QUANTITY: "another quantity",
    AnswerCode.PRICE: "another price",
    AnswerCode.DATE: "another day",
    AnswerCode.BACKORDERED: "later",
    AnswerCode.SUBSTITUTED: "another item",
    AnswerCode.REJECTED: "not delivered",
}


@dataclass(frozen=True)
class Promise:
    """Units that are promised for a day; without a day nobody said when."""

    units: int
    promise_on: date | None


@dataclass(frozen=True)
class AnswerLine:
    """One part of an answer.

    Attributes:
        sku: The item of the line.
        code: What is said.
        units: How many of the open balance; None is all of it.
        promise_on: For which day.
        unit_price_minor: At which price, minor units of the order's currency.
        substitute: SKU of the item that comes instead.
    """

    sku: str
    code: AnswerCode
    units: int | None = None
    promise_on: date | None = None
    unit_price_minor: int | None = None
    substitute: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the part as it is stored."""
        return {
            "sku": self.sku,
            "code": self.code.value,
            "units": self.units,
            "promise": None if self.promise_on is None else self.promise_on.isoformat(),
            "unit_price_minor": self.unit_price_minor,
            "substitute": self.substitute,
        }


@dataclass(frozen=True)
class LineNow:
    """A line as it stands; ``promises`` are those of its open balance."""

    sku: str
    ordered_units: int
    received_units: int
    short_closed_units: int
    unit_price_minor: int
    promises: tuple[Promise, ...] = ()

    @property
    def open_units(self) -> int:
        """What is still to come."""
        return max(0, self.ordered_units - self.received_units - self.short_closed_units)


@dataclass(frozen=True)
class LineAfter:
    """What a line becomes: what is still to come of it, when, at what price, of which item."""

    sku: str
    promises: tuple[Promise, ...]
    unit_price_minor: int
    substitute: str = ""

    @property
    def open_units(self) -> int:
        """What is still to come."""
        return sum(part.units for part in self.promises)


def read_line(stored: Mapping[str, Any]) -> AnswerLine:
    """Return a part as it was stored."""
    promise = stored["promise"]
    return AnswerLine(
        sku=stored["sku"],
        code=AnswerCode(stored["code"]),
        units=stored["units"],
        promise_on=None if promise is None else date.fromisoformat(promise),
        unit_price_minor=stored["unit_price_minor"],
        substitute=stored["substitute"],
    )


def check_lines(lines: Sequence[AnswerLine], now: Mapping[str, LineNow]) -> None:
    """Refuse an answer that cannot be one to this order.

    Args:
        lines: The answer; SKUs as the order names them.
        now: The order's lines by SKU.

    Raises:
        InvalidInput: An item is not on the order, or a part contradicts itself or another.
    """
    for line in lines:
        if line.sku not in now:
            raise InvalidInput(
                f"{line.sku!r} is not on the order",
                next_step="An item that comes instead is named as the substitute of a line.",
            )
        _check_part(line)
    for sku, parts in _by_sku(lines).items():
        _check_parts(sku, parts)


def after(
    lines: Sequence[AnswerLine],
    now: Mapping[str, LineNow],
    *,
    came: Mapping[str, int] | None = None,
) -> list[LineAfter]:
    """Return what the named lines become, in the order in which they are named.

    Args:
        lines: The answer, checked.
        now: The order's lines by SKU.
        came: Units by SKU that arrived since the answer was written; they use up its earliest
            parts.

    >>> line = LineNow("W", 300, 0, 0, 800)
    >>> [one] = after([AnswerLine("W", AnswerCode.QUANTITY, 240)], {"W": line})
    >>> one.open_units, one.unit_price_minor
    (240, 800)
    """
    return [
        _after(now[sku], parts, (came or {}).get(sku, 0)) for sku, parts in _by_sku(lines).items()
    ]


def is_plain_yes(lines: Sequence[AnswerLine], now: Mapping[str, LineNow]) -> bool:
    """Whether an answer asks for nothing else than what was ordered.

    A first promise is no change; another day than the one promised before is.
    """
    if any(line.code is not AnswerCode.ACCEPTED for line in lines):
        return False
    return all(_is_as_ordered(now[one.sku], one) for one in after(lines, now))


def is_plain_no(lines: Sequence[AnswerLine], now: Mapping[str, LineNow]) -> bool:
    """Whether an answer refuses everything that is open."""
    named = _by_sku(lines)
    is_all = all(line.open_units == 0 or sku in named for sku, line in now.items())
    return bool(lines) and is_all and all(line.code is AnswerCode.REJECTED for line in lines)


def needs_approver(
    changed: Iterable[LineAfter],
    now: Mapping[str, LineNow],
    *,
    approved: Mapping[str, tuple[int, int]],
    raises_total: bool,
    price_tolerance_bp: int,
) -> str:
    """Return why somebody who could approve the order must accept a change; empty when not.

    Args:
        changed: What lines would become.
        now: The order's lines by SKU.
        approved: Units and unit price, minor units, that people approved, by SKU; a line that is
            not in it is compared with what it is now.
        raises_total: Whether the total grows beyond what was approved.
        price_tolerance_bp: How far a price may move from what was approved, basis points.
    """
    if raises_total:
        return "it raises the total beyond what was approved"
    for line in changed:
        if line.substitute:
            return f"it sends {line.substitute!r} instead of {line.sku!r}"
        was = now[line.sku]
        units, price_minor = approved.get(line.sku, (was.ordered_units, was.unit_price_minor))
        is_moved = line.unit_price_minor != was.unit_price_minor
        if is_moved and moved_bp(price_minor, line.unit_price_minor) > price_tolerance_bp:
            more = f"more than {price_tolerance_bp / 100:g} %"
            return f"it moves the price of {line.sku!r} by {more} from what was approved"
        ordered_units = was.received_units + was.short_closed_units + line.open_units
        if ordered_units > max(was.ordered_units, units):
            return f"it orders more of {line.sku!r} than was approved"
    return ""


def spread(promises: Sequence[Promise], open_units: int) -> list[Promise]:
    """Return the promises of an open balance: what arrived used up the earliest ones.

    What no promise covers has no day.

    >>> early, late = Promise(240, date(2026, 3, 8)), Promise(60, date(2026, 3, 14))
    >>> [part.units for part in spread([early, late], 200)]
    [140, 60]
    """
    left, kept = open_units, []
    for part in sorted(promises, key=_day_of, reverse=True):
        units = min(left, part.units)
        if units:
            kept.append(Promise(units, part.promise_on))
        left -= units
    return ([Promise(left, None)] if left else []) + kept[::-1]


def _by_sku(lines: Iterable[AnswerLine]) -> dict[str, list[AnswerLine]]:
    found: dict[str, list[AnswerLine]] = {}
    for line in lines:
        found.setdefault(line.sku, []).append(line)
    return found


def _check_part(line: AnswerLine) -> None:
    lacks = {
        AnswerCode.QUANTITY: line.units is None and "how many",
        AnswerCode.PRICE: line.unit_price_minor is None and "at which price",
        AnswerCode.DATE: line.promise_on is None and "for which day",
        AnswerCode.SUBSTITUTED: not line.substitute and "which item comes instead",
    }.get(line.code)
    if lacks:
        raise InvalidInput(f"{line.code.value} for {line.sku!r} does not say {lacks}")
    if line.units is not None and not 1 <= line.units <= MOST_UNITS:
        raise InvalidInput(f"{line.sku!r}: {line.units!r} units cannot come")
    if line.unit_price_minor is not None and line.unit_price_minor < 0:
        raise InvalidInput(f"{line.sku!r}: a price is not below zero")
    if line.substitute and line.code is not AnswerCode.SUBSTITUTED:
        raise InvalidInput(f"{line.code.value} for {line.sku!r} names a substitute: that is IS")


def _check_parts(sku: str, parts: Sequence[AnswerLine]) -> None:
    codes = {part.code for part in parts}
    if AnswerCode.SUBSTITUTED in codes and len(parts) > 1:
        raise InvalidInput(f"{sku!r} is substituted and answered otherwise at the same time")
    if len(parts) > 1 and any(part.units is None for part in parts):
        raise InvalidInput(f"{sku!r} is answered in parts, and one does not say how many")
    prices = {part.unit_price_minor for part in parts if part.unit_price_minor is not None}
    if len(prices) > 1:
        raise InvalidInput(f"{sku!r} is answered with two prices")


def _after(now: LineNow, parts: Sequence[AnswerLine], came: int) -> LineAfter:
    seen_open = now.open_units + came
    promises = [
        Promise(
            seen_open if part.units is None else part.units,
            part.promise_on or _known_day(now, part.code),
        )
        for part in parts
        if part.code is not AnswerCode.REJECTED
    ]
    told = sum(part.units for part in promises)
    kept = spread(_one_a_day(promises), max(0, told - came))
    prices = [part.unit_price_minor for part in parts if part.unit_price_minor is not None]
    return LineAfter(
        now.sku,
        tuple(kept),
        prices[0] if prices else now.unit_price_minor,
        parts[0].substitute,
    )


def _known_day(now: LineNow, code: AnswerCode) -> date | None:
    """The day that stays where an answer names none; what comes later needs a new one."""
    if code in (AnswerCode.BACKORDERED, AnswerCode.SUBSTITUTED):
        return None
    return min((part.promise_on for part in now.promises if part.promise_on), default=None)


def _one_a_day(promises: Iterable[Promise]) -> list[Promise]:
    units: dict[date | None, int] = {}
    for part in promises:
        units[part.promise_on] = units.get(part.promise_on, 0) + part.units
    return [Promise(count, day) for day, count in units.items()]


def _is_as_ordered(now: LineNow, then: LineAfter) -> bool:
    if (then.open_units, then.unit_price_minor) != (now.open_units, now.unit_price_minor):
        return False
    known = [part for part in now.promises if part.promise_on is not None]
    return not known or sorted(known, key=_day_of) == sorted(then.promises, key=_day_of)


def _day_of(part: Promise) -> date:
    return part.promise_on or date.max
