"""Signed-in browsers: opened with a password, rotated, timed out, revoked; linked identities."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from db.models.identity import ExternalIdentity, User, UserSession
from db.session import IS_READING
from db.types import Actor, Permission
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import Forbidden, NotAuthenticated, NotFound
from tools.identity.service import actor_by_id
from tools.signin.core import Lifetimes, token_hash
from tools.text import plain_line

SEEN_EVERY = timedelta(minutes=1)
MOST_SESSIONS = 20  # of one person; the oldest ends when another begins
CONFIRMED_FOR = timedelta(minutes=5)


@dataclass(frozen=True)
class SignedIn:
    """A session, and the person as the database knows them now."""

    session_id: int
    actor: Actor
    created_at: datetime
    expires_at: datetime
    last_seen_at: datetime
    reauthenticated_at: datetime | None
    must_change_password: bool

    def is_confirmed(self, now: datetime) -> bool:
        """Whether the person showed a moment ago, with their password, that it is them."""
        at = self.reauthenticated_at
        return at is not None and now - at < CONFIRMED_FOR


def open_session(
    session: Session,
    user_id: int,
    *,
    agent: str,
    clock: Clock,
    lifetimes: Lifetimes,
    replaces: str = "",
) -> tuple[str, SignedIn]:
    """Sign a person in who has shown who they are; a session that the browser had before ends.

    Args:
        session: A write transaction.
        user_id: Who.
        agent: The browser, as it names itself.
        clock: Time.
        lifetimes: How long it lives.
        replaces: Token of the session that the browser had, if any.

    Returns:
        The token, which is kept nowhere else, and the session.

    Raises:
        Forbidden: The account is not active.
    """
    audit.lock(session)
    actor, now = actor_by_id(session, user_id), clock.now()
    if replaces:
        end_session(session, replaces, clock=clock)
    token = secrets.token_urlsafe(32)
    row = UserSession(
        token_hash=token_hash(token),
        user_id=user_id,
        agent=plain_line(agent, longest=200),
        created_at=now,
        last_seen_at=now,
        expires_at=now + lifetimes.absolute,
    )
    session.add(row)
    session.flush()
    _end_oldest(session, user_id, now)
    audit.append(
        session, at=now, actor=actor, action="session.opened", object_id=f"session:{row.id}"
    )
    return token, _signed_in(session, row)


def find_session(session: Session, token: str, *, clock: Clock, lifetimes: Lifetimes) -> SignedIn:
    """Return the session of a token; in a write transaction its use is noted once a minute.

    Raises:
        NotAuthenticated: There is none, it ended, or the account is not active.
    """
    row, now = _by_token(session, token), clock.now()
    if row is None or row.revoked_at is not None:
        raise _signed_out()
    if row.expires_at <= now or row.last_seen_at + lifetimes.idle <= now:
        raise _signed_out("your session has ended")
    try:
        found = _signed_in(session, row)
    except (Forbidden, NotFound):
        raise _signed_out() from None
    if now - row.last_seen_at >= SEEN_EVERY and not session.info.get(IS_READING):
        row.last_seen_at = now
        session.flush()
    return found


def confirm_session(session: Session, session_id: int, *, clock: Clock) -> str:
    """Note that the person showed again who they are; returns the new token, the old one is dead.

    Raises:
        NotAuthenticated: The session ended meanwhile.
    """
    token = secrets.token_urlsafe(32)
    changed = session.execute(
        update(UserSession)
        .where(col(UserSession.id) == session_id, col(UserSession.revoked_at).is_(None))
        .values(token_hash=token_hash(token), reauthenticated_at=clock.now())
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if changed != 1:
        raise _signed_out()
    return token


def end_session(session: Session, token: str, *, clock: Clock) -> None:
    """Sign a browser out; a token that nobody has changes nothing."""
    row = _by_token(session, token)
    if row is not None:
        _revoke(session, row, clock, by=None)


def list_sessions(session: Session, actor: Actor, *, clock: Clock) -> list[UserSession]:
    """Return the person's sessions that have not ended, the newest first."""
    alive = (
        UserSession.user_id == actor.user_id,
        col(UserSession.revoked_at).is_(None),
        col(UserSession.expires_at) > clock.now(),
    )
    statement = select(UserSession).where(*alive).order_by(col(UserSession.id).desc())
    return list(session.exec(statement).all())


def revoke_session(session: Session, actor: Actor, session_id: int, *, clock: Clock) -> None:
    """End one of the person's sessions.

    Raises:
        NotFound: They have no such session.
    """
    row = session.get(UserSession, session_id) if 0 < session_id < 2**63 else None
    if row is None or row.user_id != actor.user_id:
        raise NotFound(f"you have no session {session_id!r}")
    _revoke(session, row, clock, by=actor)


def linked_actor(session: Session, *, issuer: str, subject: str, verified_email: str = "") -> Actor:
    """Return the person that an administrator linked to an identity.

    Until the person confirmed the link, and without one, they do not decide: an administrator who
    links their own identity, or gives a person their own address, would approve in that name.

    Args:
        session: The transaction.
        issuer: ``iss`` of the checked token.
        subject: Its ``sub``.
        verified_email: Finds a person without a link; empty: only links count.

    Raises:
        NotAuthenticated: Nobody is linked to it, or several people have the address.
        Forbidden: The account is not active.
    """
    row = _identity(session, issuer, subject)
    user_id = None if row is None else row.user_id
    if user_id is None and verified_email:
        same = func.lower(col(User.email)) == verified_email.lower()
        ids = session.exec(select(User.id).where(same).limit(2)).all()
        user_id = ids[0] if len(ids) == 1 else None
    if user_id is None:
        raise NotAuthenticated(
            "nobody here is linked to this identity",
            next_step=f"An administrator links it: `quartermaster users link LOGIN --issuer "
            f"{issuer} --subject {subject}`.",
        )
    actor = actor_by_id(session, user_id)
    if row is not None and row.confirmed_at is not None:
        return actor
    return replace(actor, permissions=frozenset(Permission) - {Permission.DECIDE})


def confirm_link(
    session: Session, actor: Actor, *, issuer: str, subject: str, clock: Clock
) -> None:
    """Say that an identity is one's own: from now on who comes with it may decide, too.

    Args:
        session: A write transaction.
        actor: The person, who has just shown with a password of their own that it is them.
        issuer: As it was linked.
        subject: As it was linked.
        clock: Time.

    Raises:
        NotFound: It is not linked to this person.
    """
    audit.lock(session)
    row = _identity(session, issuer, subject)
    if row is None or row.user_id != actor.user_id:
        raise NotFound(f"{subject!r} of {issuer!r} is not linked to you")
    if row.confirmed_at is None:
        row.confirmed_at = clock.now()
        session.flush()
        audit.append(
            session, at=clock.now(), actor=actor, action="user.link_confirmed",
            object_id=actor.login, after={"issuer": issuer, "subject": subject},
        )  # fmt: skip


def _identity(session: Session, issuer: str, subject: str) -> ExternalIdentity | None:
    found = select(ExternalIdentity).where(
        ExternalIdentity.issuer == issuer, ExternalIdentity.subject == subject
    )
    return session.exec(found.execution_options(populate_existing=True)).first()


def _by_token(session: Session, token: str) -> UserSession | None:
    found = select(UserSession).where(UserSession.token_hash == token_hash(token))
    return session.exec(found.execution_options(populate_existing=True)).one_or_none()


def _signed_in(session: Session, row: UserSession) -> SignedIn:
    actor = replace(actor_by_id(session, row.user_id), session_id=row.id)
    must_change = session.get_one(User, row.user_id).password_set_at is None
    if must_change:  # an administrator knows the password, too: good for looking only
        actor = replace(actor, permissions=frozenset({Permission.READ}))
    return SignedIn(
        session_id=row.id,
        actor=actor,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_seen_at=row.last_seen_at,
        reauthenticated_at=row.reauthenticated_at,
        must_change_password=must_change,
    )


def _end_oldest(session: Session, user_id: int, now: datetime) -> None:
    """Keep the newest sessions only: nobody fills the table by signing in."""
    kept = (
        select(UserSession.id)
        .where(UserSession.user_id == user_id, col(UserSession.revoked_at).is_(None))
        .order_by(col(UserSession.id).desc())
        .limit(MOST_SESSIONS)
    )
    session.execute(
        update(UserSession)
        .where(
            col(UserSession.user_id) == user_id,
            col(UserSession.revoked_at).is_(None),
            col(UserSession.id).not_in(kept.scalar_subquery()),
        )
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
    )


def _revoke(session: Session, row: UserSession, clock: Clock, *, by: Actor | None) -> None:
    if row.revoked_at is not None:
        return
    row.revoked_at = clock.now()
    user = session.get_one(User, row.user_id)
    who = by or Actor(user.id, user.login, user.name, user.role)
    audit.append(
        session, at=clock.now(), actor=who, action="session.ended", object_id=f"session:{row.id}"
    )


def _signed_out(why: str = "you are not signed in") -> NotAuthenticated:
    return NotAuthenticated(why, next_step="Sign in: POST /v1/session.")
