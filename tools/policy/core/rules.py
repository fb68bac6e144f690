"""Rules of the policy that are about figures: each says how it is broken, in a sentence."""

from dataclasses import dataclass
from datetime import timedelta

from tools.money import amount_spoken, amount_text

WITH_REASON = "Say why (reason) and decide again, or change the order."
WAIT = "Wait until older orders leave the window, or ask an admin about the policy."


@dataclass(frozen=True)
class Breach:
    """A rule that an order breaks.

    Attributes:
        rule: Code of the rule, as docs/policy.md lists it.
        sentence: What is broken, with the figures.
        needs_manager: A manager may let it pass, and nobody below.
    """

    rule: str
    sentence: str
    needs_manager: bool = False


def cap_breach(
    rule: str,
    what: str,
    *,
    before_minor: int,
    order_minor: int,
    cap_minor: int | None,
    window: timedelta,
    currency: str,
) -> Breach | None:
    """Return how an order would break a rolling cap, or None.

    Args:
        rule: supplier_cap or requester_cap.
        what: For whom, such as "supplier 'ACME'".
        before_minor: What was approved in the window already, minor units of company currency.
        order_minor: What this order adds.
        cap_minor: The most in the window; None is without a cap.
        window: Its length.
        currency: Company currency.

    >>> cap_breach("supplier_cap", "'ACME'", before_minor=900, order_minor=100, cap_minor=1000,
    ...            window=timedelta(hours=24), currency="USD") is None
    True
    """
    total = before_minor + order_minor
    if cap_minor is None or total <= cap_minor:
        return None
    hours = int(window.total_seconds()) // 3600
    return Breach(
        rule,
        f"{amount_spoken(before_minor, currency)} was approved for {what} in the last {hours} "
        f"hours; with {amount_spoken(order_minor, currency)} it would be "
        f"{amount_spoken(total, currency)}, above the cap of {amount_spoken(cap_minor, currency)}",
    )


def rate_breach(approved: int, most: int | None) -> Breach | None:
    """Return how one more order would be too many in an hour, or None.

    >>> rate_breach(19, 20) is None, rate_breach(20, 20).rule
    (True, 'orders_per_hour')
    """
    if most is None or approved < most:
        return None
    text = f"{approved:,} orders were approved in the last hour; the policy allows {most:,}"
    return Breach("orders_per_hour", text)


def price_breach(
    sku: str, *, last_minor: int, price_minor: int, tolerance_bp: int | None, currency: str
) -> Breach | None:
    """Return how a price is too far above that of the last order, or None; exact, in integers.

    >>> price_breach("A", last_minor=1000, price_minor=1100, tolerance_bp=1000, currency="USD")
    >>> price_breach("A", last_minor=1000, price_minor=1101, tolerance_bp=1000, currency="USD").rule
    'price_tolerance'
    """
    if tolerance_bp is None:
        return None
    if price_minor * 10_000 <= last_minor * (10_000 + tolerance_bp):
        return None
    was, now = amount_text(last_minor, currency), amount_text(price_minor, currency)
    return Breach(
        "price_tolerance",
        f"{sku} costs {now} {currency}, the last order paid {was}: more than "
        f"{tolerance_bp / 100:g} % above",
    )


def quantity_breach(
    sku: str,
    units: int,
    *,
    last_units: int | None,
    most_ratio: int | None,
    daily_demand: float | None,
    most_days: int | None,
) -> Breach | None:
    """Return how a quantity is far above the last order's or the forecast, or None.

    Args:
        sku: The item.
        units: What is ordered.
        last_units: What the last order had; None without one.
        most_ratio: How many times that is usual.
        daily_demand: Mean demand of a day by forecast, units; None without one.
        most_days: For how many days of it may be ordered.

    >>> quantity_breach("A", 500, last_units=100, most_ratio=5, daily_demand=2.0, most_days=250)
    >>> quantity_breach("A", 501, last_units=100, most_ratio=5, daily_demand=2.0,
    ...                 most_days=None).sentence
    'A: 501 is more than 5 times the last order of 100'
    """
    if last_units and most_ratio is not None and units > last_units * most_ratio:
        text = f"{sku}: {units:,} is more than {most_ratio} times the last order of {last_units:,}"
        return Breach("quantity_tolerance", text, needs_manager=True)
    if daily_demand and most_days is not None and units > daily_demand * most_days:
        text = (
            f"{sku}: {units:,} is more than {most_days} days of forecast demand "
            f"({daily_demand:,.1f} a day)"
        )
        return Breach("quantity_tolerance", text, needs_manager=True)
    return None
