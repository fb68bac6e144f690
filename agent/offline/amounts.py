"""Which number belongs to which item, and what a bare number means."""

import re

from agent.offline.reading import Mention, Quantity, Reading, Span

_INSTEAD = re.compile(
    r"\b(?:and not|not|instead of|rather than|over|versus|vs\.?|or)(?: just| only)?\s*$"
)


_EACH = re.compile(r"\b(?:each|apiece|per item)\b")
MOST_UNITS = 10_000_000  # more than this is a slip of the keyboard, and no tool takes it


def quantities(reading: Reading) -> list[Quantity]:
    """Numbers that may be quantities: prices such as 7.35 without a unit are not."""
    found = [q for q in reading.quantities if q.value > 0]
    return [q for q in found if q.unit is not None or _is_count(reading, q)]


def impossible(reading: Reading) -> Quantity | None:
    """The first number that no order can have: zero or less, or far too many and no other."""
    wrong = [q for q in reading.quantities if not 0 < q.value <= MOST_UNITS]
    is_other = any(0 < q.value <= MOST_UNITS for q in quantities(reading))
    return next((q for q in wrong if q.value <= 0 or not is_other), None)


def without(reading: Reading, piece: Quantity | Span) -> str:
    """The text without a number, so that an answer can give another one."""
    before = re.sub(r"(?:-|\bminus|\bat|@)\s*$", "", reading.text[: piece.start])
    return " ".join(f"{before} {reading.text[piece.end :]}".split())


def _is_count(reading: Reading, quantity: Quantity) -> bool:
    written = reading.text[quantity.start : quantity.end]
    return not re.search(r"\d\.\d\d\b", written)


def is_each(reading: Reading) -> bool:
    """One quantity is meant for each item."""
    return _EACH.search(reading.text.lower()) is not None


def paired(reading: Reading, items: list[Mention]) -> list[tuple[Mention, Quantity | None]]:
    """Each item with its quantity: the number before it, else the one after it.

    One number "each" is the quantity of every item.

    Example: "order 100 A and 20 B" and "A 100, B 20" both give A 100 and B 20.
    """
    left = quantities(reading)
    if len(left) == 1 and len(items) > 1 and is_each(reading):
        return [(item, left[0]) for item in items]
    pairs: list[tuple[Mention, Quantity | None]] = []
    at = 0
    for index, item in enumerate(items):
        end = items[index + 1].start if index + 1 < len(items) else len(reading.text)
        before = [q for q in left if at <= q.start < item.start]
        after = [q for q in left if item.end <= q.start < end]
        chosen = before[-1] if before else (after[0] if after else None)
        if chosen is not None:
            left.remove(chosen)
        at = max(item.end, chosen.end if chosen else 0)
        pairs.append((item, chosen))
    return pairs


def number_argument(value: float) -> int | float:
    """A whole number as an integer.

    Example:
        >>> number_argument(10.0), number_argument(2.5)
        (10, 2.5)
    """
    return int(value) if float(value).is_integer() else value


def alternative(reading: Reading, recommended: int | None) -> int | None:
    """The other quantity of "why 1,920 and not 1,500?"."""
    found = quantities(reading)
    for quantity in found:
        if _INSTEAD.search(reading.text[: quantity.start].lower()):
            return int(quantity.value)
    others = [q for q in found if recommended is not None and int(q.value) != recommended]
    is_asked = re.search(r"\b(?:would|is|isn't|be|do|what about)\b", reading.text.lower())
    return int(others[0].value) if len(others) == 1 and is_asked else None
