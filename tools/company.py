"""What services know of the house: currency, zone, rates. Built once from settings.

What may be approved is not here: it is the policy, which changes while the program runs
(``tools.policy``).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Company:
    """Company-wide rules.

    Attributes:
        currency: ISO code in which approval limits are stated.
        timezone: IANA name; "today" is a day of this zone.
        carrying_rate: Cost of holding inventory, fraction of its value a year.
    """

    currency: str = "GBP"
    timezone: str = "UTC"
    carrying_rate: float = 0.25
