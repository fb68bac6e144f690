"""Who is asking: people, where they work and their keys."""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import Session, col, or_, select

from db.models.identity import ApiKey, User, UserScope, UserSession
from db.once import once
from db.session import IS_READING
from db.types import Actor, Permission, Role, ScopeKind
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import Forbidden, InvalidInput, NotAuthenticated, NotFound
from tools.identity.core import (
    ROLES,
    KeyParts,
    Scope,
    from_an_admin,
    is_secret,
    read_key,
    require,
    secret_hash,
    with_article,
)
from tools.identity.core import write_key as written_key

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


_USER = (
    select(User)
    .where(col(User.id) == bindparam("user_id"))
    .execution_options(populate_existing=True)
)


def actor_by_id(session: Session, user_id: int) -> Actor:
    """Return the active person with this id.

    Raises:
        NotFound: Nobody has it.
        Forbidden: The person was deactivated.
    """
    user = once(
        session,
        (User, user_id),
        lambda: session.exec(_USER, params={"user_id": user_id}).one_or_none(),
        of=(User,),
    )
    if user is None:
        raise NotFound(f"nobody has the user id {user_id!r}")
    return _actor(user)


def acting(session: Session, actor: Actor, permission: Permission) -> Actor:
    """Return the actor as the database knows them now, if role and key allow this.

    Every service that changes something asks here first: a role that was taken away, and an account
    that was closed, count at once, and so does a key that was revoked and a session that ended
    while the request waited. What the key allows stays as it came.

    Raises:
        NotFound: There is nobody with this id.
        Forbidden: Role, key or account do not allow it.
        NotAuthenticated: Key or session ended meanwhile.
    """
    _refuse_ended(session, actor)
    now = replace(
        actor_by_id(session, actor.user_id), permissions=actor.permissions,
        key_id=actor.key_id, session_id=actor.session_id,
    )  # fmt: skip
    require(now, permission)
    return now


def _refuse_ended(session: Session, actor: Actor) -> None:
    """Read again, once under a lock, that what the actor came with was not taken away meanwhile."""
    asked: dict[str, Any] = {}
    if actor.key_id:
        asked["API key"] = select(ApiKey.revoked_at).where(ApiKey.key_id == actor.key_id)
    if actor.session_id:
        asked["session"] = select(UserSession.revoked_at).where(UserSession.id == actor.session_id)
    for what, statement in asked.items():
        key, of = (what, actor.key_id, actor.session_id), (ApiKey, UserSession)
        if once(session, key, lambda: session.exec(statement).first(), of=of) is not None:  # noqa: B023 - called here
            raise NotAuthenticated(f"your {what} was revoked while this waited")


def require_admin(session: Session, by: Actor | None) -> Actor:
    """Return who administers here, as the database knows them now.

    Args:
        session: The transaction.
        by: Who wants to; None for whoever sets a database up, before an administrator can sign in.

    Raises:
        Forbidden: They may not; or an administrator can sign in, and must.
    """
    if by is not None:
        return acting(session, by, Permission.ADMIN)
    able = or_(User.password_hash != "", col(ApiKey.revoked_at).is_(None) & (col(ApiKey.id) > 0))
    admin = session.exec(
        select(User.login)
        .outerjoin(ApiKey, col(ApiKey.user_id) == col(User.id))
        .where(User.role == Role.ADMIN, col(User.is_active).is_(True), able)
    ).first()
    if admin is not None:
        raise Forbidden(
            "people, keys and limits are an administrator's to change here",
            next_step=f"Do it as {admin!r}, for example.",
            details={"reason": "role"},
        )
    return audit.SYSTEM


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


def create_api_key(
    session: Session,
    login: str,
    *,
    label: str,
    clock: Clock,
    environment: str = "live",
    permissions: Collection[Permission] = (),
    expires_at: datetime | None = None,
    by: Actor | None = None,
) -> str:
    """Make a key for a person; it is shown once and only its hash is kept.

    Args:
        session: A write transaction.
        login: Whose key it is.
        label: What it is for.
        clock: Time.
        environment: Part of the key, so that a test key is seen to be one.
        permissions: What it may do; empty is all that its person may, now and later.
        expires_at: Until when it works.
        by: Who makes it: the person, or an admin, whose key for another never decides. None is the
            person.

    Raises:
        NotFound: Nobody has the login.
        InvalidInput: The environment is not 1 to 12 small letters, or the key would end before now.
        Forbidden: The maker may not make it, or the person may not do that.
    """
    if re.fullmatch(r"[a-z]{1,12}", environment) is None:
        raise InvalidInput(f"an environment is 1 to 12 small letters, got {environment!r}")
    if expires_at is not None and expires_at <= clock.now():
        raise InvalidInput(f"a key must end in the future, not at {expires_at.isoformat()}")
    actor = actor_by_login(session, login)
    allowed = _granted(session, actor, frozenset(permissions), by)
    parts = KeyParts(environment, secrets.token_hex(6), secrets.token_hex(32))
    session.add(
        ApiKey(
            key_id=parts.key_id,
            secret_hash=secret_hash(parts.secret),
            user_id=actor.user_id,
            label=label[:80],
            scopes=sorted(allowed),
            created_at=clock.now(),
            expires_at=expires_at,
        )
    )
    told = {
        "login": login, "label": label[:80], "permissions": sorted(allowed),
        "seal": hashlib.sha256(secret_hash(parts.secret)).hexdigest(),
    }  # fmt: skip
    until = None if expires_at is None else expires_at.isoformat()
    audit.append(
        session, at=clock.now(), actor=by or actor, action="api_key.created",
        object_id=parts.key_id, after={**told, "expires_at": until},
    )  # fmt: skip
    return written_key(parts)


def _granted(
    session: Session, owner: Actor, asked: frozenset[Permission], by: Actor | None
) -> frozenset[Permission]:
    """Return what a new key may do: never more than its owner or its maker; empty is all."""
    never = {one.value for one in asked if owner.role not in ROLES[one]}
    if never:
        raise Forbidden(
            f"{with_article(owner.role)} may not {' or '.join(sorted(never))}, nor may the key",
            details={"reason": "role"},
        )
    if by is None:
        return asked
    if by.user_id != owner.user_id:
        acting(session, by, Permission.ADMIN)
        return from_an_admin(owner, asked)
    maker = by.permissions
    beyond = () if maker is None else asked - maker
    if beyond:
        raise Forbidden(
            f"your key does not allow {', '.join(sorted(beyond))}, so it cannot give that away",
            details={"reason": "key"},
        )
    return asked or (maker or frozenset())


def revoke_api_key(session: Session, key_id: str, *, clock: Clock, by: Actor | None) -> None:
    """Make a key useless from now on; a second time changes nothing.

    Args:
        session: A write transaction.
        key_id: Its public part.
        clock: Time.
        by: Its person or an admin; None as in ``require_admin``.

    Raises:
        NotFound: There is no such key, or it is somebody else's and the actor is no admin.
    """
    row = session.exec(select(ApiKey).where(ApiKey.key_id == key_id)).one_or_none()
    is_own = row is not None and by is not None and row.user_id == by.user_id
    if not is_own and by is not None and actor_by_id(session, by.user_id).role is not Role.ADMIN:
        row = None  # a stranger's key is not shown to exist
    if row is None:
        raise NotFound(f"there is no API key {key_id!r}")
    who = by if is_own and by is not None else require_admin(session, by)
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        audit.append(session, at=clock.now(), actor=who, action="api_key.revoked", object_id=key_id)


_KEY = select(ApiKey).where(col(ApiKey.key_id) == bindparam("key_id"))


def _key_row(session: Session, key_id: str) -> ApiKey | None:
    asked = {"key_id": key_id}
    return once(
        session,
        (ApiKey, key_id),
        lambda: session.exec(_KEY, params=asked).one_or_none(),
        of=(ApiKey,),
    )


def last_use(session: Session, key: str) -> datetime | None:
    """Return when the use of an API key was last noted."""
    row = _key_row(session, read_key(key).key_id)
    return None if row is None else row.last_used_at


def authenticate(session: Session, key: str, *, clock: Clock) -> Actor:
    """Return the person behind an API key; in a write transaction its last use is noted.

    Raises:
        NotAuthenticated: The key is unknown, wrong, revoked or expired.
        Forbidden: The person was deactivated.
    """
    parts = read_key(key)
    row = _key_row(session, parts.key_id)
    is_right = is_secret(parts.secret, _NOBODY if row is None else row.secret_hash)
    if row is None or not is_right:
        raise NotAuthenticated("this API key is not known here")
    now = clock.now()
    if row.revoked_at is not None:
        raise NotAuthenticated(f"API key {row.key_id!r} was revoked")
    if row.expires_at is not None and row.expires_at <= now:
        raise NotAuthenticated(f"API key {row.key_id!r} has expired")
    actor = actor_by_id(session, row.user_id)
    is_old = row.last_used_at is None or now - row.last_used_at >= _USE_NOTED_EVERY
    if is_old and not session.info.get(IS_READING):
        row.last_used_at = now
        session.flush()
    allowed = frozenset(Permission(name) for name in row.scopes)
    return replace(actor, permissions=allowed or None, key_id=row.key_id)


def _actor(user: User) -> Actor:
    if not user.is_active:
        raise Forbidden(f"the account of {user.login!r} is not active")
    return Actor(user_id=user.id, login=user.login, name=user.name, role=user.role)
