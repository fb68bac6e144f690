"""How people want an item kept: rule, service level, review and cover, checked together."""

from dataclasses import dataclass, fields
from typing import Any

from db.types import ReplenishmentRule, SafetyStockMethod, ServiceMeasure
from tools.errors import InvalidInput

LONGEST_REVIEW_DAYS = 90
LONGEST_COVER_DAYS = 730
_PERIODIC = (ReplenishmentRule.PERIODIC, ReplenishmentRule.PERIODIC_MIN_MAX)


@dataclass(frozen=True)
class StockingChange:
    """Fields of a policy to set; None leaves one as it is."""

    rule: ReplenishmentRule | None = None
    service_rate: float | None = None
    measure: ServiceMeasure | None = None
    method: SafetyStockMethod | None = None
    review_period_days: int | None = None
    cover_days: int | None = None
    is_service_rate_optimised: bool | None = None

    def given(self) -> dict[str, Any]:
        """Return the fields that are set, by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


def check_change(change: StockingChange, *, rule: ReplenishmentRule, review_days: int) -> None:
    """Refuse what cannot be kept.

    Args:
        change: What is asked for.
        rule: The rule as it would be then.
        review_days: The review interval as it would be then.

    Raises:
        InvalidInput: Nothing is given, a figure is out of range, or two do not go together.

    >>> check_change(StockingChange(service_rate=0.98), rule=ReplenishmentRule.MIN_MAX,
    ...              review_days=1)
    """
    if not change.given():
        raise InvalidInput(
            "nothing is to be changed", next_step="Name a rule, a service level or days."
        )
    level = change.service_rate
    if level is not None and not 0.5 <= level <= 0.999:
        raise InvalidInput(
            f"a service level lies between 0.5 and 0.999, got {level!r}",
            next_step="Give a fraction such as 0.95.",
        )
    if level is not None and change.is_service_rate_optimised:
        raise InvalidInput(
            f"a service level is either {level!r} or optimised",
            next_step="Give one of the two.",
        )
    _require_days("review", change.review_period_days, LONGEST_REVIEW_DAYS)
    _require_days("cover", change.cover_days, LONGEST_COVER_DAYS)
    if rule in _PERIODIC and review_days < 1:
        raise InvalidInput(
            f"the rule {rule.value} reviews at intervals and needs one, got {review_days!r} days",
            next_step="Give a review of 7 days, for example, or the rule s_S.",
        )


def _require_days(name: str, days: int | None, most: int) -> None:
    if days is not None and not 0 <= days <= most:
        raise InvalidInput(f"a {name} lies between 0 and {most:,} days, got {days!r}")
