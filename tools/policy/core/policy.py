"""The approval policy: what the house allows, as one value that people write and services read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from db.types import Role

# What a new company starts with, minor units of its currency; the other roles never approve.
STARTING_LIMITS: Mapping[Role, int | None] = MappingProxyType(
    {Role.PLANNER: 1_000_000, Role.APPROVER: 2_500_000, Role.MANAGER: 10_000_000}
)


@dataclass(frozen=True)
class Policy:
    """The rules in force. Amounts are minor units of company currency; None is no such rule.

    Attributes:
        version: Number of the version; 0 is what the program ships.
        dispatch_enabled: Whether approved orders leave the house: the kill switch.
        role_limits: What each role may approve alone; None is without limit, a missing role has 0.
        two_person_above_minor: Above this two different people must approve.
        self_approval_limit_minor: Above this nobody approves what they asked for or wrote.
        approval_ttl: How long a request waits before it expires.
        price_tolerance_bp: How far a price may move between writing and approval before the order
            must be asked for anew; hundredths of a percent.
        last_price_tolerance_bp: How far above the last order's price a price may be without a
            reason; hundredths of a percent.
        max_quantity_ratio: How many times the last order's quantity may be ordered without a reason
            and a manager.
        max_cover_days: For how many days of forecast demand may be ordered without a reason and a
            manager.
        supplier_cap_minor: Most that is approved for one supplier in ``cap_window``.
        requester_cap_minor: Most that is approved for one requester in ``cap_window``.
        cap_window: The rolling window of the caps.
        orders_per_hour: Most orders that are approved in an hour, whoever asks.
        blocked_items: SKU keys that nobody orders.
        blocked_suppliers: Keys of the codes of suppliers that nobody orders from.
        currency: ISO code of the amounts; empty is the company's.
    """

    version: int = 0
    dispatch_enabled: bool = True
    role_limits: Mapping[Role, int | None] = field(default_factory=lambda: dict(STARTING_LIMITS))
    two_person_above_minor: int | None = None
    self_approval_limit_minor: int = 1_000_000
    approval_ttl: timedelta = timedelta(hours=24)
    price_tolerance_bp: int = 200
    last_price_tolerance_bp: int | None = None
    max_quantity_ratio: int | None = None
    max_cover_days: int | None = None
    supplier_cap_minor: int | None = None
    requester_cap_minor: int | None = None
    cap_window: timedelta = timedelta(hours=24)
    orders_per_hour: int | None = None
    blocked_items: frozenset[str] = frozenset()
    blocked_suppliers: frozenset[str] = frozenset()
    currency: str = ""


@dataclass(frozen=True)
class Version:
    """A version of the policy as people look at it; version 0 is not written yet."""

    version: int
    text: str
    content: Mapping[str, Any]
    content_hash: str
    reason: str
    author: str
    at: datetime | None
