"""What an administrator does about people: add, change, close; each with its row in the trail.

Nobody changes their own role, limit or scope, whichever key or session they come with. The last
administrator stays one. A change counts at once: services read the person anew each time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from db.models.identity import ApiKey, ExternalIdentity, User, UserSession
from db.types import Actor, Role
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import Conflict, Forbidden, InvalidInput, NotFound
from tools.identity.core import Scope
from tools.identity.service import require_admin, scope_of
from tools.policy.service import approval_limit
from tools.text import plain_line

MOST_MINOR = 10**15


@dataclass(frozen=True)
class Person:
    """A person as administrators see them; amounts are minor units of company currency."""

    login: str
    name: str
    email: str
    role: Role
    is_active: bool
    own_limit_minor: int | None
    limit_minor: int | None  # what counts; None is without limit
    scope: Scope
    has_password: bool
    links: tuple[tuple[str, str], ...]  # (issuer, subject) at identity providers


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
    """Add a person.

    Args:
        session: A write transaction.
        login: 1 to 64 small letters, digits, dots, dashes or underscores.
        role: What the person may do.
        clock: Time of the audit row.
        name: How the person is called; the login when empty.
        email: Where the person is reached.
        limit_minor: What this person may approve alone instead of the role's limit, minor units.
        by: The admin; None while a database is set up.

    Raises:
        InvalidInput: The login has other characters, or the limit is negative.
        Conflict: The login is taken.
        Forbidden: ``by`` is no admin.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", login) is None:
        raise InvalidInput(
            f"a login is made of small letters, digits, dots, dashes and underscores, got {login!r}"
        )
    _check_limit(limit_minor)
    audit.lock(session)
    who = require_admin(session, by)
    if session.exec(select(User.id).where(User.login == login)).first() is not None:
        raise Conflict(f"the login {login!r} is taken", next_step="Choose another login.")
    user = User(
        login=login,
        name=plain_line(name, longest=120) or login,
        email=plain_line(email, longest=200),
        role=role,
        approval_limit_minor=limit_minor,
        created_at=clock.now(),
    )
    session.add(user)
    session.flush()
    audit.append(
        session, at=clock.now(), actor=who, action="user.added", object_id=login,
        after={"role": role.value, "approval_limit_minor": limit_minor},
    )  # fmt: skip
    return Actor(user_id=user.id, login=login, name=user.name, role=role)


def list_users(session: Session) -> list[Person]:
    """Return everybody, by login."""
    users = session.exec(select(User).order_by(User.login)).all()
    return [person_of(session, user) for user in users]


def get_user(session: Session, login: str) -> Person:
    """Return one person.

    Raises:
        NotFound: Nobody has the login.
    """
    return person_of(session, load_user(session, login))


def change_user(
    session: Session,
    login: str,
    changes: Mapping[str, Any],
    *,
    clock: Clock,
    by: Actor | None,
    reason: str = "",
) -> Person:
    """Change role, limit, name, e-mail or whether the account is open.

    Closing an account ends its sessions and revokes its keys; opening it again brings none back.

    Args:
        session: A write transaction.
        login: Whose account.
        changes: Any of ``role``, ``approval_limit_minor`` (None: the role's), ``name``, ``email``,
            ``is_active``.
        clock: Time.
        by: The admin; None while a database is set up.
        reason: Why, in the admin's words.

    Raises:
        NotFound: Nobody has the login.
        InvalidInput: The limit is negative or not an amount.
        Forbidden: ``by`` is no admin, or it is their own role, limit or account.
        Conflict: It is the last admin.
    """
    audit.lock(session)
    who = require_admin(session, by)
    user = load_user(session, login)
    wanted = _cleaned(user, changes)
    before = {name: getattr(user, name) for name in wanted}
    changed = {name: value for name, value in wanted.items() if value != before[name]}
    if changed.keys() - {"name", "email"}:
        refuse_oneself(who, user)
    if _stops_administering(user, changed):
        _refuse_the_last_admin(session, user)
    if changed:
        for name, value in changed.items():
            setattr(user, name, value)
        session.flush()
        ended = end_access(session, user, clock) if changed.get("is_active") is False else {}
        audit.append(
            session, at=clock.now(), actor=who, action="user.changed", object_id=login,
            before={name: before[name] for name in changed}, after={**changed, **ended},
            reason=plain_line(reason, longest=500),
        )  # fmt: skip
    return person_of(session, user)


def _cleaned(user: User, changes: Mapping[str, Any]) -> dict[str, Any]:
    wanted = dict(changes)
    if "name" in wanted:
        wanted["name"] = plain_line(str(wanted["name"]), longest=120) or user.login
    if "email" in wanted:
        wanted["email"] = plain_line(str(wanted["email"]), longest=200)
    if "approval_limit_minor" in wanted:
        _check_limit(wanted["approval_limit_minor"])
    return wanted


def _check_limit(limit_minor: int | None) -> None:
    if limit_minor is not None and limit_minor < 0:
        raise InvalidInput(f"an approval limit cannot be negative, got {limit_minor!r}")
    if limit_minor is not None and limit_minor > MOST_MINOR:
        raise InvalidInput(f"an approval limit is at most {MOST_MINOR}, got {limit_minor!r}")


def refuse_oneself(who: Actor, user: User) -> None:
    """Refuse a change of one's own account.

    Raises:
        Forbidden: It is.
    """
    if who.user_id == user.id:
        raise Forbidden(
            "nobody changes their own role, limit, scope or account",
            next_step="Another administrator must do it.",
            details={"reason": "own_account"},
        )


def _stops_administering(user: User, changed: Mapping[str, Any]) -> bool:
    is_admin = user.is_active and user.role is Role.ADMIN
    return is_admin and (
        changed.get("is_active") is False or changed.get("role", Role.ADMIN) is not Role.ADMIN
    )


def _refuse_the_last_admin(session: Session, user: User) -> None:
    others = select(func.count()).where(
        User.role == Role.ADMIN, col(User.is_active).is_(True), col(User.id) != user.id
    )
    if session.exec(others).one() == 0:
        raise Conflict(
            f"{user.login!r} is the last administrator",
            next_step="Make somebody else an administrator first.",
        )


def end_access(session: Session, user: User, clock: Clock) -> dict[str, int]:
    """End a person's keys and sessions; returns how many, for the trail."""
    keys = session.execute(
        update(ApiKey)
        .where(col(ApiKey.user_id) == user.id, col(ApiKey.revoked_at).is_(None))
        .values(revoked_at=clock.now())
    ).rowcount  # type: ignore[attr-defined]
    return {"keys_revoked": keys, "sessions_ended": end_sessions(session, user, clock)}


def end_sessions(session: Session, user: User, clock: Clock) -> int:
    """Sign a person out everywhere; returns how many sessions that were."""
    ended: int = session.execute(
        update(UserSession)
        .where(col(UserSession.user_id) == user.id, col(UserSession.revoked_at).is_(None))
        .values(revoked_at=clock.now())
    ).rowcount  # type: ignore[attr-defined]
    return ended


def person_of(session: Session, user: User) -> Person:
    """Return a person with limit, scope and links."""
    actor = Actor(user.id, user.login, user.name, user.role)
    links = session.exec(
        select(ExternalIdentity.issuer, ExternalIdentity.subject)
        .where(ExternalIdentity.user_id == user.id)
        .order_by(col(ExternalIdentity.id))
    ).all()
    return Person(
        login=user.login,
        name=user.name,
        email=user.email,
        role=user.role,
        is_active=user.is_active,
        own_limit_minor=user.approval_limit_minor,
        limit_minor=approval_limit(session, actor),
        scope=scope_of(session, actor),
        has_password=bool(user.password_hash),
        links=tuple((issuer, subject) for issuer, subject in links),
    )


def load_user(session: Session, login: str) -> User:
    """Return the row of a person.

    Raises:
        NotFound: Nobody has the login.
    """
    found = select(User).where(User.login == login).execution_options(populate_existing=True)
    user = session.exec(found).one_or_none()
    if user is None:
        raise NotFound(
            f"nobody has the login {login[:80]!r}", next_step="`quartermaster users list`."
        )
    return user
