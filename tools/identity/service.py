"""People, limits and API keys."""

import re
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from db.models.identity import ApiKey, RoleLimit, User, UserScope
from db.types import Actor, Role, ScopeKind
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound
from tools.identity.core import KeyParts, Scope, effective_limit, is_secret, read_key, secret_hash
from tools.identity.core import write_key as written_key

# What a new company starts with, minor units of its currency; the other roles never approve.
STARTING_LIMITS = {Role.PLANNER: 1_000_000, Role.APPROVER: 2_500_000, Role.MANAGER: 10_000_000}
_NOBODY = bytes(32)
_USE_NOTED_EVERY = timedelta(minutes=1)


def actor_by_login(session: Session, login: str) -> Actor:
    """Return the active person with this login.

    Raises:
        NotFound: Nobody has it.
        Forbidden: The person was deactivated.
    """
    user = session.exec(select(User).where(User.login == login)).one_or_none()
    if user is None:
        raise NotFound(f"nobody has the login {login!r}", next_step="Ask an admin to add them.")
    return _actor(user)


def actor_by_id(session: Session, user_id: int) -> Actor:
    """Return the active person with this id.

    Raises:
        NotFound: Nobody has it.
        Forbidden: The person was deactivated.
    """
    user = session.get(User, user_id, populate_existing=True)
    if user is None:
        raise NotFound(f"nobody has the user id {user_id!r}")
    return _actor(user)


def approval_limit(session: Session, actor: Actor) -> int | None:
    """Return what the actor may approve alone, in minor units of company currency.

    Role and limit are read from the database, not from the actor: they may have changed since the
    actor signed in.

    Returns:
        The limit; None means without limit, 0 means nothing.
    """
    user = session.get(User, actor.user_id, populate_existing=True)
    if user is None or not user.is_active:
        return 0
    row = session.get(RoleLimit, user.role, populate_existing=True)
    return effective_limit(
        user.role,
        role_limit_minor=row.approval_limit_minor if row else None,
        own_limit_minor=user.approval_limit_minor,
        has_role_limit=row is not None,
    )


def scope_of(session: Session, actor: Actor) -> Scope:
    """Return where the actor works."""
    rows = session.exec(
        select(UserScope.kind, UserScope.value).where(UserScope.user_id == actor.user_id)
    ).all()
    by_kind = {kind: frozenset(value for k, value in rows if k is kind) for kind in ScopeKind}
    return Scope(
        locations=by_kind[ScopeKind.LOCATION],
        suppliers=by_kind[ScopeKind.SUPPLIER],
        categories=by_kind[ScopeKind.CATEGORY],
    )


def require_scope(
    session: Session,
    actor: Actor,
    *,
    location: str = "",
    supplier: str = "",
    categories: Collection[str] = (),
) -> None:
    """Refuse what lies outside the actor's work.

    Raises:
        Forbidden: It does; ``details['reason']`` is ``scope``.
    """
    outside = scope_of(session, actor).outside(
        location=location, supplier=supplier, categories=categories
    )
    if outside:
        raise Forbidden(
            f"{outside} is outside the work of {actor.login!r}",
            next_step="Somebody who works there must do it; an admin sets scopes.",
            details={"reason": "scope"},
        )


def role_limits(session: Session) -> dict[Role, int | None]:
    """Return the limit of every role that has one, in minor units of company currency."""
    rows = session.exec(select(RoleLimit))
    return {row.role: row.approval_limit_minor for row in rows}


def highest_limit(session: Session) -> int | None:
    """Return the widest limit that any active person has; None means without limit."""
    by_role = role_limits(session)
    people = session.exec(
        select(col(User.role), col(User.approval_limit_minor)).where(col(User.is_active).is_(True))
    )
    limits = [
        effective_limit(
            role,
            role_limit_minor=by_role.get(role),
            own_limit_minor=own,
            has_role_limit=role in by_role,
        )
        for role, own in people
    ]
    known = [limit for limit in limits if limit is not None]
    return None if len(known) < len(limits) else max(known, default=0)


def add_user(
    session: Session,
    login: str,
    *,
    role: Role,
    clock: Clock,
    name: str = "",
    email: str = "",
    limit_minor: int | None = None,
    by: Actor | None = None,
) -> Actor:
    """Add a person; the first one brings the starting limits of the roles along.

    Args:
        session: A write transaction.
        login: 1 to 64 small letters, digits, dots, dashes or underscores.
        role: What the person may do.
        clock: Time of the audit row.
        name: How the person is called; the login when empty.
        email: Where the person is reached.
        limit_minor: What this person may approve alone instead of the role's limit, minor units.
        by: Who adds; None for the very first person of a database.

    Raises:
        InvalidInput: The login has other characters, or the limit is negative.
        Conflict: The login is taken.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", login) is None:
        raise InvalidInput(
            f"a login is made of small letters, digits, dots, dashes and underscores, got {login!r}"
        )
    if limit_minor is not None and limit_minor < 0:
        raise InvalidInput(f"an approval limit cannot be negative, got {limit_minor!r}")
    audit.lock(session)
    if session.exec(select(User.id).where(User.login == login)).first() is not None:
        raise Conflict(f"the login {login!r} is taken", next_step="Choose another login.")
    _set_starting_limits(session)
    user = User(
        login=login,
        name=(name or login)[:120],
        email=email[:200],
        role=role,
        approval_limit_minor=limit_minor,
        created_at=clock.now(),
    )
    session.add(user)
    session.flush()
    audit.append(
        session,
        at=clock.now(),
        actor=by or audit.SYSTEM,
        action="user.added",
        object_id=login,
        after={"role": role.value, "approval_limit_minor": limit_minor},
    )
    return _actor(user)


def _set_starting_limits(session: Session) -> None:
    if session.exec(select(RoleLimit)).first() is None:
        limits = {role: STARTING_LIMITS.get(role, 0) for role in Role}
        session.add_all(RoleLimit(role=r, approval_limit_minor=m) for r, m in limits.items())


def list_users(session: Session) -> list[User]:
    """Return everybody, by login."""
    return list(session.exec(select(User).order_by(User.login)))


def create_api_key(
    session: Session,
    login: str,
    *,
    label: str,
    clock: Clock,
    environment: str = "live",
    expires_at: datetime | None = None,
    by: Actor | None = None,
) -> str:
    """Make a key for a person; it is shown once and only its hash is kept.

    Raises:
        NotFound: Nobody has the login.
        InvalidInput: The environment is not 1 to 12 small letters.
    """
    if re.fullmatch(r"[a-z]{1,12}", environment) is None:
        raise InvalidInput(f"an environment is 1 to 12 small letters, got {environment!r}")
    actor = actor_by_login(session, login)
    parts = KeyParts(environment, secrets.token_hex(6), secrets.token_hex(32))
    session.add(
        ApiKey(
            key_id=parts.key_id,
            secret_hash=secret_hash(parts.secret),
            user_id=actor.user_id,
            label=label[:80],
            created_at=clock.now(),
            expires_at=expires_at,
        )
    )
    audit.append(
        session,
        at=clock.now(),
        actor=by or actor,
        action="api_key.created",
        object_id=parts.key_id,
        after={"login": login, "label": label[:80]},
    )
    return written_key(parts)


def revoke_api_key(session: Session, key_id: str, *, clock: Clock, by: Actor) -> None:
    """Make a key useless from now on; a second time changes nothing.

    Raises:
        NotFound: There is no such key.
    """
    row = session.exec(select(ApiKey).where(ApiKey.key_id == key_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no API key {key_id!r}")
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        audit.append(session, at=clock.now(), actor=by, action="api_key.revoked", object_id=key_id)


def authenticate(session: Session, key: str, *, clock: Clock) -> Actor:
    """Return the person behind an API key; use a write transaction, its last use is noted.

    Raises:
        NotAuthenticated: The key is unknown, wrong, revoked or expired.
        Forbidden: The person was deactivated.
    """
    parts = read_key(key)
    row = session.exec(select(ApiKey).where(ApiKey.key_id == parts.key_id)).one_or_none()
    is_right = is_secret(parts.secret, _NOBODY if row is None else row.secret_hash)
    if row is None or not is_right:
        raise NotAuthenticated("this API key is not known here")
    now = clock.now()
    if row.revoked_at is not None:
        raise NotAuthenticated(f"API key {row.key_id!r} was revoked")
    if row.expires_at is not None and row.expires_at <= now:
        raise NotAuthenticated(f"API key {row.key_id!r} has expired")
    actor = actor_by_id(session, row.user_id)
    if row.last_used_at is None or now - row.last_used_at >= _USE_NOTED_EVERY:
        row.last_used_at = now
        session.flush()
    return actor


def _actor(user: User) -> Actor:
    if not user.is_active:
        raise Forbidden(f"the account of {user.login!r} is not active")
    return Actor(user_id=user.id, login=user.login, name=user.name, role=user.role)
