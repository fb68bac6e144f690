"""Passwords: asked for, counted when wrong, and whether one is good enough to sign with."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from db.models.identity import User
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import NotAuthenticated
from tools.identity.core import is_password, wait_after


@dataclass(frozen=True)
class PasswordQuestion:
    """Whose password is asked for. ``fits`` is slow on purpose and needs no transaction."""

    user_id: int | None
    login: str
    stored: str
    locked_until: datetime | None
    is_given: bool = False  # by an administrator, who knows it too: good for choosing another

    def fits(self, password: str) -> bool:
        """Whether this is the password, and the account takes one now; the work is the same."""
        return is_password(password, self.stored) and self.locked_until is None


def ask_password(
    session: Session, clock: Clock, *, login: str = "", user_id: int = 0
) -> PasswordQuestion:
    """Return what is needed to check a password; also for a login that nobody has."""
    is_meant = User.id == user_id if user_id else User.login == login
    found = select(User).where(is_meant).execution_options(populate_existing=True)
    user = session.exec(found).one_or_none()
    if user is None:
        return PasswordQuestion(None, login, "", None)
    is_locked = user.locked_until is not None and user.locked_until > clock.now()
    stored = user.password_hash if user.is_active else ""
    return PasswordQuestion(
        user.id, user.login, stored, user.locked_until if is_locked else None,
        is_given=bool(stored) and user.password_set_at is None,
    )  # fmt: skip


def note_password(
    session: Session, question: PasswordQuestion, *, is_right: bool, clock: Clock
) -> None:
    """Count a wrong password, or forget the wrong ones after a right one.

    From the fifth wrong one in a row the account waits, each time twice as long, an hour at most.
    """
    if question.user_id is None or question.locked_until is not None:
        return
    audit.lock(session)  # before the person's row, as everybody who changes a person takes them
    failures = 0 if is_right else col(User.failed_logins) + 1
    session.execute(
        update(User)
        .where(col(User.id) == question.user_id)
        .values(failed_logins=failures, **({"locked_until": None} if is_right else {}))
        .execution_options(synchronize_session=False)
    )
    user = session.get_one(User, question.user_id, populate_existing=True)
    wait = wait_after(user.failed_logins)
    if wait:
        user.locked_until = clock.now() + wait
        audit.append(
            session, at=clock.now(), actor=audit.SYSTEM, action="user.locked",
            object_id=user.login, after={"failed_logins": user.failed_logins},
            reason=f"{user.failed_logins} wrong passwords in a row",
        )  # fmt: skip
    session.flush()


def wrong_password(question: PasswordQuestion) -> NotAuthenticated:
    """Return the refusal of a person who said who they are again."""
    if question.locked_until is not None:
        return NotAuthenticated(
            f"too many wrong passwords; the account waits until {question.locked_until:%H:%M} UTC",
            details={"reason": "locked"},
        )
    return NotAuthenticated("this is not your password", details={"reason": "password"})


def refuse_given(question: PasswordQuestion) -> None:
    """Refuse to take a password that an administrator gave as a sign of its person.

    Raises:
        NotAuthenticated: It is one.
    """
    if question.is_given:
        raise NotAuthenticated(
            "an administrator gave this password and knows it, so it does not sign",
            next_step="Sign in and choose your own first.",
            details={"reason": "given_password"},
        )


def reauthenticate(session: Session, user_id: int, password: str, clock: Clock) -> None:
    """Let a person show again that it is them, before they sign.

    Catch the refusal inside the transaction and raise it behind it, else the wrong password is not
    counted; doors call ``api.auth.confirm_person``, which does.

    Raises:
        NotAuthenticated: It is not their password, an administrator gave it, or the account waits
            after wrong ones.
    """
    question = ask_password(session, clock, user_id=user_id)
    refuse_given(question)
    is_right = question.fits(password)
    note_password(session, question, is_right=is_right, clock=clock)
    if not is_right:
        raise wrong_password(question)
