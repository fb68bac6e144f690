"""Who may do what, and what an API key looks like."""

import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass

from db.types import Role
from tools.errors import NotAuthenticated

NEVER_APPROVE = frozenset({Role.VIEWER, Role.ADMIN, Role.SERVICE})
NEVER_DRAFT = frozenset({Role.VIEWER, Role.SERVICE})
APPROVING_ROLES = (Role.PLANNER, Role.APPROVER, Role.MANAGER)  # from least to most

_KEY = re.compile(r"qm_([a-z]{1,12})_([0-9a-f]{12})_([0-9a-f]{64})")


@dataclass(frozen=True)
class Scope:
    """Where a person works; an empty set is everywhere of its kind."""

    locations: frozenset[str] = frozenset()
    suppliers: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()

    def outside(
        self, *, location: str = "", supplier: str = "", categories: Collection[str] = ()
    ) -> str:
        """Return what of this lies outside, for a sentence; empty when all is inside.

        >>> Scope(locations=frozenset({"MAIN"})).outside(location="EAST", supplier="ACME")
        "location 'EAST'"
        """
        if location and self.locations and location not in self.locations:
            return f"location {location!r}"
        if supplier and self.suppliers and supplier not in self.suppliers:
            return f"supplier {supplier!r}"
        other = sorted(set(categories) - self.categories) if self.categories else []
        return f"category {other[0]!r}" if other else ""


@dataclass(frozen=True)
class KeyParts:
    """An API key taken apart."""

    environment: str
    key_id: str
    secret: str


def can_approve(role: Role) -> bool:
    """Whether a role ever decides about an order."""
    return role not in NEVER_APPROVE


def can_draft(role: Role) -> bool:
    """Whether a role may write drafts."""
    return role not in NEVER_DRAFT


def can_settle(role: Role) -> bool:
    """Whether a role may say what became of a delivery: who decides about orders, and admins."""
    return can_approve(role) or role is Role.ADMIN


def with_article(role: Role) -> str:
    """Name a role for a sentence.

    >>> with_article(Role.ADMIN), with_article(Role.PLANNER)
    ('an admin', 'a planner')
    """
    return f"{'an' if role.value[0] in 'aeiou' else 'a'} {role.value}"


def effective_limit(
    role: Role, *, role_limit_minor: int | None, own_limit_minor: int | None, has_role_limit: bool
) -> int | None:
    """Return what a person may approve alone, in minor units of company currency.

    A person's own limit goes before the role's. A role without a limit row may approve nothing.

    Returns:
        The limit; None means without limit, 0 means nothing.
    """
    if not can_approve(role):
        return 0
    if own_limit_minor is not None:
        return own_limit_minor
    return role_limit_minor if has_role_limit else 0


def is_within(limit_minor: int | None, amount_minor: int) -> bool:
    """Whether an amount is inside a limit; None has no limit.

    >>> is_within(None, 10**12), is_within(1000, 1000), is_within(1000, 1001)
    (True, True, False)
    """
    return limit_minor is None or amount_minor <= limit_minor


def rank(role: Role) -> int:
    """Return the order of the deciding roles; 0 for one that never decides."""
    return APPROVING_ROLES.index(role) + 1 if role in APPROVING_ROLES else 0


def write_key(parts: KeyParts) -> str:
    """Return the key as its owner keeps it: ``qm_<environment>_<id>_<secret>``."""
    return f"qm_{parts.environment}_{parts.key_id}_{parts.secret}"


def read_key(text: str) -> KeyParts:
    """Take a key apart.

    Raises:
        NotAuthenticated: It is not written like one of our keys. The text is not repeated.
    """
    found = _KEY.fullmatch(text)
    if found is None:
        raise NotAuthenticated("this is not an API key of this system")
    return KeyParts(found[1], found[2], found[3])


def secret_hash(secret: str) -> bytes:
    """Return what is stored instead of a secret; it has 256 random bits, so no salt is needed."""
    return hashlib.sha256(secret.encode()).digest()


def is_secret(secret: str, stored_hash: bytes) -> bool:
    """Whether a secret is the one behind a hash, in time that does not depend on the answer."""
    return hmac.compare_digest(secret_hash(secret), stored_hash)
