"""Write figures the way planners read them. Nothing here calculates; it only rounds for display."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from tools.catalog.core import squeezed, text_key

_ISO = re.compile(r"(?<![\w/-])\d{4}-\d{2}-\d{2}(?![\w/-])")
_PLURALS = {"box": "boxes", "each": "", "ea": "", "unit": "units", "kg": "kg"}
_COUNTS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ROLES = {
    "planner": "a planner",
    "approver": "an approver",
    "manager": "a manager",
    "admin": "an administrator",
}


def number(value: Any, digits: int = 1) -> str:
    """A number with thousands separators, rounded half up, without trailing zeros.

    Example:
        >>> number(1920), number(5.40), number(1243.461, 0)
        ('1,920', '5.4', '1,243')
    """
    amount = _decimal(value)
    if amount is None:
        return ""
    step = Decimal(1).scaleb(-digits)
    text = f"{amount.quantize(step, rounding=ROUND_HALF_UP):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def units(value: Any, uom: Any = None) -> str:
    """A quantity with its unit; counted pieces have none.

    Example:
        >>> units(120, "box"), units(1920, "each"), units(1, "case")
        ('120 boxes', '1,920', '1 case')
    """
    text = number(value)
    unit = str(uom or "each")
    if unit in ("each", "ea"):
        return text
    plural = _PLURALS.get(unit, unit if unit.endswith("s") else f"{unit}s")
    return f"{text} {unit if text == '1' else plural}".strip()


def money(value: Any, currency: Any = None) -> str:
    """An amount with two decimals and its currency.

    Example:
        >>> money("14976.00", "USD"), money(None)
        ('14,976.00 USD', '')
    """
    amount = _decimal(value)
    return "" if amount is None else f"{amount:,.2f} {currency or ''}".strip()


def price(value: Any) -> str:
    """A unit price with at least two decimals and no needless ones.

    Example:
        >>> price("7.80"), price("8.0487")
        ('7.80', '8.0487')
    """
    amount = _decimal(value)
    if amount is None:
        return ""
    exponent = amount.as_tuple().exponent
    return f"{amount:,.2f}" if int(exponent) > -2 else f"{amount:,f}"


def percent(rate: Any, digits: int = 1) -> str:
    """A fraction as a percentage.

    Example:
        >>> percent(0.95), percent("0.975")
        ('95 %', '97.5 %')
    """
    amount = _decimal(rate)
    return "" if amount is None else f"{number(amount * 100, digits)} %"


def signed(value: Any) -> str:
    """A change with its sign.

    Example:
        >>> signed(40), signed(-15), signed(0)
        ('+40', '-15', '0')
    """
    text = number(value)
    return f"+{text}" if text and (_decimal(value) or 0) > 0 else text


def day(value: Any) -> str:
    """A date as "6 Mar"; anything else as it is.

    Example:
        >>> day("2026-03-06"), day(None)
        ('6 Mar', '')
    """
    try:
        found = date.fromisoformat(str(value)[:10])
    except ValueError:
        return str(value or "")
    return f"{found.day} {found:%b}"


def dated(text: str) -> str:
    """A text with its ISO dates written as days; parts of longer numbers are left alone.

    Example:
        >>> dated("promised 2011-12-02, now 2011-12-15")
        'promised 2 Dec, now 15 Dec'
    """
    return _ISO.sub(lambda found: day(found[0]), text)


def moment(value: Any) -> str:
    """A time as "2 Mar 09:00".

    Example:
        >>> moment("2026-03-02T09:00:00+00:00")
        '2 Mar 09:00'
    """
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return day(value)
    return f"{found.day} {found:%b %H:%M}"


def title(row: Mapping[str, Any]) -> str:
    """An item as planners know it: SKU and name, or the SKU if the name says the same.

    Example:
        >>> title({"sku": "22423", "name": "Cakestand"}), title({"sku": "A-1", "name": "A 1"})
        ('22423 (Cakestand)', 'A-1')
    """
    sku, name = str(row.get("sku")), str(row.get("name") or "")
    is_same = squeezed(text_key(name)) in ("", squeezed(text_key(sku)))
    return sku if is_same else f"{sku} ({name})"


def shown_of(shown: Sequence[object], count: int) -> str:
    """How much of a list is here, when it is not all; in words, for no result gives this number.

    Example:
        >>> shown_of([1, 2], 24), shown_of([1, 2], 2)
        (', the first two here', '')
    """
    if count <= len(shown):
        return ""
    few = _COUNTS[len(shown)] if len(shown) < len(_COUNTS) else ""
    return f", the first {few} here" if few else ", as many as fit here"


def role_name(role: Any) -> str:
    """A role with its article."""
    return _ROLES.get(str(role or ""), "the right approver" if not role else f"the {role}")


def joined(parts: Sequence[str], last: str = "and") -> str:
    """Words in a row: "a, b and c"."""
    kept = [part for part in parts if part]
    if len(kept) < 2:
        return "".join(kept)
    return f"{', '.join(kept[:-1])} {last} {kept[-1]}"


def _decimal(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool) or value == "":
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
