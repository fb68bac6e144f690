"""Who must decide about an order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from db.types import Role
from tools.errors import Conflict
from tools.identity.core import APPROVING_ROLES, is_within, with_article
from tools.money import amount_spoken


@dataclass(frozen=True)
class Rule:
    """The least role that may decide, its limit, and why; how many people must sign."""

    role: Role
    limit_minor: int | None
    sentence: str
    signatures: int = 1


def rule_for(
    company_total_minor: int,
    *,
    currency: str,
    limits: Mapping[Role, int | None],
    highest_minor: int | None,
    needs_manager: bool = False,
) -> Rule:
    """Return who must decide about an amount.

    Args:
        company_total_minor: The order's total in company currency.
        currency: Company currency.
        limits: Limit of each role; None is without limit; a role that is missing has none at all.
        highest_minor: The widest limit any person has.
        needs_manager: Whether something beside the amount, such as a supplier that is not
            approved, needs a manager.

    Raises:
        Conflict: Nobody may decide about this much.
    """
    total = amount_spoken(company_total_minor, currency)
    below: tuple[Role, int] | None = None
    for role in APPROVING_ROLES:
        limit = limits.get(role, 0)
        if is_within(limit, company_total_minor) and (not needs_manager or role == Role.MANAGER):
            return Rule(role, limit, _sentence(total, role, below, limit, currency))
        below = (role, limit) if limit is not None else below
    if is_within(highest_minor, company_total_minor):
        sentence = f"{total} is above every role's limit: someone with a higher own limit decides"
        return Rule(Role.MANAGER, highest_minor, sentence)
    highest = amount_spoken(highest_minor or 0, currency)
    raise Conflict(
        f"nobody may approve {total}; the highest limit is {highest}",
        next_step="Make the order smaller, or ask an admin about limits.",
        details={"reason": "limit", "rule": "limit"},
    )


def two_person_rule(
    rule: Rule, company_total_minor: int, *, above_minor: int | None, able: int, currency: str
) -> Rule:
    """Return a rule with two signatures where the amount needs them.

    Args:
        rule: Who may decide about the amount.
        company_total_minor: The order's total in company currency.
        above_minor: Above this two people sign; None is never.
        able: How many people could sign: their limit covers it and the order is not their own.
        currency: Company currency.

    Raises:
        Conflict: There are not two such people.
    """
    if above_minor is None or company_total_minor <= above_minor:
        return rule
    total = amount_spoken(company_total_minor, currency)
    above = f"{total} is above {amount_spoken(above_minor, currency)}: two people must sign"
    if able < 2:
        raise Conflict(
            f"{above}, and only {able} of those who did not ask for it may approve that much",
            next_step="Make the order smaller, or ask an admin about limits.",
            details={"reason": "two_person", "rule": "two_person"},
        )
    return replace(rule, sentence=f"{above}, each with a limit that covers it", signatures=2)


def _sentence(
    total: str, role: Role, below: tuple[Role, int] | None, limit: int | None, currency: str
) -> str:
    has = "no limit" if limit is None else f"limit {amount_spoken(limit, currency)}"
    if below is None:
        return f"{total} is within what {with_article(role)} may approve ({has})"
    lower = f"the {below[0].value} limit of {amount_spoken(below[1], currency)}"
    return f"{total} is above {lower}: it needs the {role.value} ({has})"
