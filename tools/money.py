"""Money as people read it, and in company currency."""

from decimal import Decimal, InvalidOperation

from tools.errors import InvalidInput

_DIGITS = {
    "BIF": 0, "CLP": 0, "ISK": 0, "JPY": 0, "KRW": 0, "PYG": 0, "UGX": 0, "VND": 0, "XAF": 0,
    "XOF": 0, "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}  # fmt: skip
_MICRO = 1_000_000


def minor_digits(currency: str) -> int:
    """Return how many decimals a currency has (ISO 4217)."""
    return _DIGITS.get(currency, 2)


def amount_text(minor: int, currency: str) -> str:
    """Return an amount as a plain decimal.

    >>> amount_text(1497600, "USD"), amount_text(-5, "USD"), amount_text(1500, "JPY")
    ('14976.00', '-0.05', '1500')
    """
    digits = minor_digits(currency)
    sign = "-" if minor < 0 else ""
    whole, rest = divmod(abs(minor), 10**digits)
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"


def amount_spoken(minor: int, currency: str) -> str:
    """Return an amount with thousands separators and its currency, for sentences.

    >>> amount_spoken(1497600, "USD")
    '14,976.00 USD'
    """
    whole, dot, rest = amount_text(minor, currency).partition(".")
    return f"{int(whole):,}{dot}{rest} {currency}"


def read_amount(text: str, currency: str) -> int:
    """Return an amount that a person wrote, in minor units.

    Raises:
        InvalidInput: It is not an amount, negative, too large, or finer than the currency is.

    >>> read_amount("2500", "USD"), read_amount("7.50", "USD"), read_amount("1500", "JPY")
    (250000, 750, 1500)
    """
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    scaled = amount.scaleb(minor_digits(currency)) if amount.is_finite() else amount
    if not scaled.is_finite() or not 0 <= scaled <= 10**15 or scaled != int(scaled):
        raise InvalidInput(f"an amount of {currency} is written like 2500.00, got {text[:40]!r}")
    return int(scaled)


def company_minor(
    minor: int, *, currency: str, rate_micro: int | None, company_currency: str
) -> int:
    """Return an amount in minor units of company currency, rounded up.

    Rounding up never moves an amount below a limit that it exceeds.

    Args:
        minor: The amount in minor units of ``currency``.
        currency: ISO code.
        rate_micro: Company currency for one unit of ``currency``, in millionths.
        company_currency: ISO code.

    Raises:
        InvalidInput: The currencies differ and no rate is known.

    >>> company_minor(10_000, currency="EUR", rate_micro=1_100_000, company_currency="USD")
    11000
    """
    if currency == company_currency:
        return minor
    if rate_micro is None:
        raise InvalidInput(
            f"there is no exchange rate from {currency!r} to {company_currency!r}, so nobody can "
            "tell whose limit this order is within",
            next_step="Ask an admin to record the exchange rate.",
        )
    numerator: int = minor * rate_micro * 10 ** minor_digits(company_currency)
    denominator: int = _MICRO * 10 ** minor_digits(currency)
    return -(-numerator // denominator)


def minor_rate(rate_micro: int, *, currency: str, company_currency: str) -> int:
    """Company minor units for one minor unit of a currency, in millionths.

    >>> minor_rate(6_700, currency="JPY", company_currency="USD")  # a yen is 0.67 cents
    670000
    """
    worth: int = rate_micro * 10 ** minor_digits(company_currency)
    each: int = 10 ** minor_digits(currency)
    return worth // each


def in_company_minor(minor: int, minor_rate_micro: int) -> int:
    """Return an amount in company minor units, half up: for totals and ranking, not for limits."""
    return (minor * minor_rate_micro + _MICRO // 2) // _MICRO
