"""The rules of the house that services need: currency, limits, times. Built once from settings."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Company:
    """Company-wide rules.

    Attributes:
        currency: ISO code in which approval limits are stated.
        timezone: IANA name; "today" is a day of this zone.
        approval_ttl: How long an approval request waits before it expires.
        self_approval_limit_minor: Above this a requester cannot approve the own request, whatever
            the role (minor units of ``currency``).
        price_tolerance_bp: A price that moved more than this since drafting voids the approval.
        carrying_rate: Cost of holding inventory, fraction of its value a year.
    """

    currency: str = "GBP"
    timezone: str = "UTC"
    approval_ttl: timedelta = timedelta(hours=24)
    self_approval_limit_minor: int = 1_000_000
    price_tolerance_bp: int = 200
    carrying_rate: float = 0.25
