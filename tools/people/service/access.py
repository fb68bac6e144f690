"""What lets a person in and where they work: passwords, scopes, links to identity providers."""

import secrets

from sqlmodel import Session, col, select

from db.models.catalog import Item, Location, Supplier
from db.models.identity import ExternalIdentity, User, UserScope
from db.types import Actor, ScopeKind
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import Conflict, Forbidden, InvalidInput, NotFound
from tools.identity.core import check_password, password_hash
from tools.identity.service import require_admin
from tools.people.service.accounts import (
    Person,
    end_access,
    end_sessions,
    load_user,
    person_of,
    refuse_oneself,
)


def set_password(
    session: Session,
    login: str,
    password: str,
    *,
    clock: Clock,
    by: Actor | None,
    is_confirmed: bool = False,
) -> None:
    """Give a person a password; all their sessions end, and with one that an admin gave their keys.

    A password that an admin gave lets the person in to choose their own, and to look, nothing more.

    Args:
        session: A write transaction.
        login: Whose password.
        password: Checked against length and the first guesses.
        clock: Time.
        by: The person or an admin; None while a database is set up.
        is_confirmed: Whether the person showed with their password that it is them. A key alone
            does not do: who found one could sign in with it, and sign, for good.

    Raises:
        NotFound: Nobody has the login.
        InvalidInput: It is too short or too well known.
        Forbidden: ``by`` is neither, or their own is not confirmed.
    """
    audit.lock(session)
    user = load_user(session, login)
    is_own = by is None or by.user_id == user.id
    if by is not None and is_own and not is_confirmed:
        raise Forbidden(
            "your own password is changed with the one that counts now",
            next_step="Sign in and change it, or ask another administrator for a first one.",
            details={"reason": "own_account"},
        )
    who = by if by is not None and is_own else require_admin(session, by)
    normal = check_password(password, login=user.login, name=user.name)
    user.password_hash = password_hash(normal, secrets.token_bytes(16))
    user.password_set_at = clock.now() if is_own else None
    user.failed_logins, user.locked_until = 0, None
    session.flush()
    ended = (
        {"sessions_ended": end_sessions(session, user, clock)}
        if is_own
        else end_access(session, user, clock)
    )
    audit.append(
        session, at=clock.now(), actor=who, action="user.password_set", object_id=login,
        after={"must_change": not is_own, **ended},
    )  # fmt: skip


def add_scope(
    session: Session, login: str, kind: ScopeKind, value: str, *, clock: Clock, by: Actor | None
) -> Person:
    """Narrow a person's work to a location, supplier or category, or add another one.

    Raises:
        NotFound: Nobody has the login, or there is no such location, supplier or category.
        Forbidden: ``by`` is no admin, or it is their own scope.
    """
    return _change_scope(session, login, kind, value, is_added=True, clock=clock, by=by)


def remove_scope(
    session: Session, login: str, kind: ScopeKind, value: str, *, clock: Clock, by: Actor | None
) -> Person:
    """Take a location, supplier or category out; without any of a kind the person works everywhere.

    Raises:
        NotFound: Nobody has the login, or the person does not have this scope.
        Forbidden: ``by`` is no admin, or it is their own scope.
    """
    return _change_scope(session, login, kind, value, is_added=False, clock=clock, by=by)


def link(
    session: Session, login: str, *, issuer: str, subject: str, clock: Clock, by: Actor | None
) -> None:
    """Say who a person is at an identity provider.

    Raises:
        NotFound: Nobody has the login.
        Conflict: That identity is somebody's already.
        InvalidInput: Issuer or subject is empty or too long.
        Forbidden: ``by`` is no admin, or it is their own account.
    """
    audit.lock(session)
    who = require_admin(session, by)
    user = load_user(session, login)
    refuse_oneself(who, user)
    issuer, subject = issuer.strip(), subject.strip()
    if not (0 < len(issuer) <= 200 and 0 < len(subject) <= 200):
        raise InvalidInput("an identity is an issuer and a subject of 1 to 200 characters each")
    taken = session.exec(
        select(User.login)
        .join(ExternalIdentity, col(ExternalIdentity.user_id) == col(User.id))
        .where(ExternalIdentity.issuer == issuer, ExternalIdentity.subject == subject)
    ).first()
    if taken is not None:
        raise Conflict(f"{subject!r} of {issuer!r} is {taken!r} already")
    session.add(
        ExternalIdentity(user_id=user.id, issuer=issuer, subject=subject, created_at=clock.now())
    )
    audit.append(
        session, at=clock.now(), actor=who, action="user.linked", object_id=login,
        after={"issuer": issuer, "subject": subject},
    )  # fmt: skip


def unlink(
    session: Session, login: str, *, issuer: str, subject: str, clock: Clock, by: Actor | None
) -> None:
    """Take a link away; the person's sessions and keys end, for they may come from it.

    Raises:
        NotFound: There is no such person or link.
        Forbidden: ``by`` is no admin, or it is their own account.
    """
    audit.lock(session)
    who = require_admin(session, by)
    user = load_user(session, login)
    refuse_oneself(who, user)
    row = session.exec(
        select(ExternalIdentity).where(
            ExternalIdentity.user_id == user.id,
            ExternalIdentity.issuer == issuer,
            ExternalIdentity.subject == subject,
        )
    ).first()
    if row is None:
        raise NotFound(f"{login!r} is not linked to {subject!r} of {issuer!r}")
    session.delete(row)
    ended = end_access(session, user, clock)
    audit.append(
        session, at=clock.now(), actor=who, action="user.unlinked", object_id=login,
        before={"issuer": issuer, "subject": subject}, after=ended,
    )  # fmt: skip


def _change_scope(
    session: Session, login: str, kind: ScopeKind, value: str, *, is_added: bool, clock: Clock,
    by: Actor | None,
) -> Person:  # fmt: skip
    audit.lock(session)
    who = require_admin(session, by)
    user = load_user(session, login)
    refuse_oneself(who, user)
    here = (UserScope.user_id == user.id, UserScope.kind == kind)
    before = sorted(session.exec(select(UserScope.value).where(*here)).all())
    if is_added:
        _refuse_unknown(session, kind, value)
        if value not in before:
            session.add(UserScope(user_id=user.id, kind=kind, value=value))
    else:
        row = session.exec(select(UserScope).where(*here, UserScope.value == value)).first()
        if row is None:
            raise NotFound(f"{login!r} does not have the {kind.value} {value!r}")
        session.delete(row)
    session.flush()
    after = sorted(session.exec(select(UserScope.value).where(*here)).all())
    if after != before:
        audit.append(
            session, at=clock.now(), actor=who, action="user.scope_changed", object_id=login,
            before={kind.value: before}, after={kind.value: after},
        )  # fmt: skip
    return person_of(session, user)


def _refuse_unknown(session: Session, kind: ScopeKind, value: str) -> None:
    column = {
        ScopeKind.LOCATION: Location.code,
        ScopeKind.SUPPLIER: Supplier.code,
        ScopeKind.CATEGORY: Item.category,
    }[kind]
    known = sorted(set(session.exec(select(column).distinct())) - {""})
    if value not in known:
        some = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise NotFound(
            f"there is no {kind.value} {value!r}", next_step=f"Known are: {some or 'none yet'}."
        )
