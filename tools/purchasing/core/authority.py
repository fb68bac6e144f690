"""Who must decide about an order."""

from collections.abc import Mapping
from dataclasses import dataclass

from db.types import Role
from tools.errors import Conflict
from tools.identity.core import APPROVING_ROLES, is_within, with_article
from tools.money import amount_spoken


@dataclass(frozen=True)
class Rule:
    """The least role that may decide, its limit, and why."""

    role: Role
    limit_minor: int | None
    sentence: str


def rule_for(
    company_total_minor: int,
    *,
    currency: str,
    limits: Mapping[Role, int | None],
    highest_minor: int | None,
    is_supplier_approved: bool,
) -> Rule:
    """Return who must decide about an amount.

    Args:
        company_total_minor: The order's total in company currency.
        currency: Company currency.
        limits: Limit of each role; None is without limit; a role that is missing has none at all.
        highest_minor: The widest limit any person has.
        is_supplier_approved: An order to a supplier that is not approved needs a manager.

    Raises:
        Conflict: Nobody may decide about this much.
    """
    total = amount_spoken(company_total_minor, currency)
    below: tuple[Role, int] | None = None
    for role in APPROVING_ROLES:
        limit = limits.get(role, 0)
        if is_within(limit, company_total_minor) and (is_supplier_approved or role == Role.MANAGER):
            return Rule(role, limit, _sentence(total, role, below, limit, currency))
        below = (role, limit) if limit is not None else below
    if is_within(highest_minor, company_total_minor):
        sentence = f"{total} is above every role's limit: someone with a higher own limit decides"
        return Rule(Role.MANAGER, highest_minor, sentence)
    highest = amount_spoken(highest_minor or 0, currency)
    raise Conflict(
        f"nobody may approve {total}; the highest limit is {highest}",
        next_step="Make the order smaller, split it, or ask an admin about limits.",
    )


def _sentence(
    total: str, role: Role, below: tuple[Role, int] | None, limit: int | None, currency: str
) -> str:
    has = "no limit" if limit is None else f"limit {amount_spoken(limit, currency)}"
    if below is None:
        return f"{total} is within what {with_article(role)} may approve ({has})"
    lower = f"the {below[0].value} limit of {amount_spoken(below[1], currency)}"
    return f"{total} is above {lower}: it needs the {role.value} ({has})"
