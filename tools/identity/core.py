"""Who may do what, and what passwords and API keys look like."""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from db.types import Actor, Permission, Role
from tools.errors import Forbidden, InvalidInput, NotAuthenticated

NEVER_APPROVE = frozenset({Role.VIEWER, Role.ADMIN, Role.SERVICE})
NEVER_DRAFT = frozenset({Role.VIEWER, Role.SERVICE})
APPROVING_ROLES = (Role.PLANNER, Role.APPROVER, Role.MANAGER)  # from least to most

# Who may what; a key may narrow it, nothing widens it.
ROLES: Mapping[Permission, frozenset[Role]] = MappingProxyType(
    {
        Permission.READ: frozenset(Role),
        Permission.DRAFT: frozenset(Role) - NEVER_DRAFT,
        Permission.DECIDE: frozenset(Role) - NEVER_APPROVE,
        Permission.RECEIVE: frozenset(Role) - {Role.VIEWER},
        Permission.ADMIN: frozenset({Role.ADMIN}),
    }
)
_REFUSALS = {
    Permission.READ: "does not look at this",
    Permission.DRAFT: "may look but not draft",
    Permission.DECIDE: "does not decide about orders",
    Permission.RECEIVE: "does not book what suppliers answer and deliver",
    Permission.ADMIN: "does not administer; this takes an admin",
}

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
FREE_FAILURES = 5
_LONGEST_WAIT = timedelta(hours=1)
_COST = (14, 8, 5)  # log2(N), r, p: 16 MiB, one of the settings that OWASP recommends for scrypt
_MEMORY = 64 * 1024 * 1024
# Words that open lists of leaked passwords; with digits around them they are no better.
_WEAK = frozenset(
    {
        "password", "passwort", "passphrase", "letmein", "welcome", "iloveyou", "sunshine",
        "princess", "football", "baseball", "superman", "batman", "dragon", "monkey", "master",
        "shadow", "michael", "jordan", "trustno", "administrator", "admin", "root", "login",
        "secret", "changeme", "default", "qwerty", "qwertyuiop", "azerty", "asdfgh", "asdfghjkl",
        "zxcvbnm", "quartermaster", "inventory", "warehouse", "company", "test", "testing", "guest",
        "user", "hello",
    }
)  # fmt: skip
_ROWS = (
    "01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujmikolp",
)  # fmt: skip
_LEET = str.maketrans("013457@$!", "oieastasi")

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


def from_an_admin(owner: Actor, asked: frozenset[Permission]) -> frozenset[Permission]:
    """Return what an administrator's key for somebody may do: said in full, never to decide.

    Else who administers could approve in another's name, now or once they may more.

    Raises:
        Forbidden: It was asked to decide.
    """
    if Permission.DECIDE in asked:
        raise Forbidden(
            f"a key that decides for {owner.login!r} is made by {owner.login!r} alone",
            next_step=f"{owner.login!r} signs in with a password and makes it.",
            details={"reason": "role"},
        )
    has = frozenset(one for one, roles in ROLES.items() if owner.role in roles)
    return asked or has - {Permission.DECIDE}


def can_approve(role: Role) -> bool:
    """Whether a role ever decides about an order."""
    return role not in NEVER_APPROVE


def can_draft(role: Role) -> bool:
    """Whether a role may write drafts."""
    return role not in NEVER_DRAFT


def can_settle(role: Role) -> bool:
    """Whether a role may say what became of a delivery: who decides about orders, and admins."""
    return can_approve(role) or role is Role.ADMIN


def may(actor: Actor, permission: Permission) -> bool:
    """Whether role and key allow this.

    >>> may(Actor(1, "mona", "Mona", Role.MANAGER), Permission.DECIDE)
    True
    """
    return actor.role in ROLES[permission] and _key_allows(actor, permission)


def require(actor: Actor, permission: Permission) -> None:
    """Refuse what role or key do not allow.

    Raises:
        Forbidden: They do not; ``details['reason']`` is ``role`` or ``key``.
    """
    if actor.role not in ROLES[permission]:
        raise Forbidden(
            f"{with_article(actor.role)} {_REFUSALS[permission]}", details={"reason": "role"}
        )
    require_key(actor, permission)


def require_key(actor: Actor, permission: Permission) -> None:
    """Refuse what the key does not allow, whatever the role.

    Raises:
        Forbidden: It does not; ``details['reason']`` is ``key``.
    """
    if not _key_allows(actor, permission):
        has = ", ".join(sorted(actor.permissions or ())) or "nothing"
        raise Forbidden(
            f"this key of {actor.login!r} allows {has}, not {permission.value}",
            next_step="Use a key that allows it, or sign in.",
            details={"reason": "key"},
        )


def _key_allows(actor: Actor, permission: Permission) -> bool:
    return actor.permissions is None or permission in actor.permissions


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


def check_password(password: str, *, login: str, name: str = "") -> str:
    """Return the password as it is hashed (NFKC), if it is fit to be one.

    Raises:
        InvalidInput: It is short, long, or among the first that anybody would try. It is not
            repeated.
    """
    normal = _normal(password)
    if not SHORTEST_PASSWORD <= len(normal) <= LONGEST_PASSWORD:
        raise InvalidInput(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, "
            f"this one has {len(normal)}",
            next_step="Four or five words that do not belong together are good and easy to keep.",
        )
    if _is_weak(normal.casefold(), login.casefold(), name.casefold()):
        raise InvalidInput(
            "this password is among the first that anybody would try",
            next_step="Four or five words that do not belong together are good and easy to keep.",
        )
    return normal


def _is_weak(password: str, login: str, name: str) -> bool:
    if len(set(password)) < 5:
        return True
    words = {part for part in (login, *name.split()) if len(part) > 2}
    left = re.sub(r"[\W\d_]+", "", password)
    plain = re.sub(r"[\W\d_]+", "", password.translate(_LEET))
    for word in sorted(_WEAK | words, key=lambda one: (-len(one), one)):  # the longest first
        left, plain = left.replace(word, ""), plain.replace(word, "")
    if min(len(left), len(plain)) < 4 and not _is_numeral_rich(password):
        return True
    rows = [row * 3 for row in _ROWS]
    return any(password in row for row in rows)


def _is_numeral_rich(password: str) -> bool:
    """Whether digits and signs alone are many and different enough to count as random."""
    others = re.sub(r"[^\W\d_]+", "", password)
    return len(others) >= 12 and len(set(others)) >= 8 and not any(others in 3 * r for r in _ROWS)


def password_hash(password: str, salt: bytes) -> str:
    """Return what is stored instead of a password: ``scrypt$n$r$p$salt$hash``, hex.

    Args:
        password: As ``check_password`` returned it.
        salt: 16 random bytes.
    """
    log2_n, r, p = _COST
    return f"scrypt${log2_n}${r}${p}${salt.hex()}${_scrypt(password, salt, _COST).hex()}"


def is_password(password: str, stored: str) -> bool:
    """Whether a password is the one behind a stored hash.

    Without a stored hash the same work is done, so that the time does not tell who has one.
    """
    _, log2_n, r, p, salt, expected = (stored or _NO_PASSWORD).split("$")
    cost = (int(log2_n), int(r), int(p))
    found = _scrypt(_normal(password)[: LONGEST_PASSWORD + 1], bytes.fromhex(salt), cost)
    return hmac.compare_digest(found, bytes.fromhex(expected)) and bool(stored)


def wait_after(failures: int) -> timedelta:
    """Return how long an account waits after so many wrong passwords in a row.

    >>> [int(wait_after(n).total_seconds()) for n in (4, 5, 6, 8, 40)]
    [0, 30, 60, 240, 3600]
    """
    if failures < FREE_FAILURES:
        return timedelta()
    doubled: int = 2 ** min(failures - FREE_FAILURES, 20)
    return min(timedelta(seconds=30) * doubled, _LONGEST_WAIT)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    log2_n, r, p = cost
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=2**log2_n, r=r, p=p, maxmem=_MEMORY, dklen=32)


_NO_PASSWORD = "$".join(("scrypt", *map(str, _COST), "00" * 16, "00" * 32))
