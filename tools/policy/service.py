"""The policy in force, and its versions."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from sqlalchemy import Text, cast
from sqlmodel import Session, col, select

from db.models.identity import RoleLimit, User
from db.models.policy import PolicyVersion
from db.types import Actor, Role
from tools.identity.core import effective_limit
from tools.policy.core.document import PolicyDocument, policy_of
from tools.policy.core.policy import Policy


def current(session: Session) -> Policy:
    """Return the policy in force, as this transaction sees it.

    Before the first version is written, what the program ships counts, with the limits of the
    roles as an older database has them.
    """
    found = session.execute(
        select(
            col(PolicyVersion.version),
            col(PolicyVersion.content_hash),
            cast(col(PolicyVersion.content), Text),
        )
        .order_by(col(PolicyVersion.version).desc())
        .limit(1)
    ).first()
    return _shipped(session) if found is None else _read(found[0], found[1], found[2])


def role_limits(session: Session) -> Mapping[Role, int | None]:
    """Return the limit of every role that has one, in minor units of company currency."""
    return current(session).role_limits


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
    return _own_limit(user.role, user.approval_limit_minor, role_limits(session))


def highest_limit(session: Session) -> int | None:
    """Return the widest limit that any active person has; None means without limit."""
    by_role = role_limits(session)
    people = session.exec(
        select(col(User.role), col(User.approval_limit_minor)).where(col(User.is_active).is_(True))
    )
    limits = [_own_limit(role, own, by_role) for role, own in people]
    known = [limit for limit in limits if limit is not None]
    return None if len(known) < len(limits) else max(known, default=0)


def _own_limit(role: Role, own: int | None, by_role: Mapping[Role, int | None]) -> int | None:
    return effective_limit(
        role,
        role_limit_minor=by_role.get(role),
        own_limit_minor=own,
        has_role_limit=role in by_role,
    )


@lru_cache(maxsize=16)
def _read(version: int, content_hash: str, content: str) -> Policy:  # noqa: ARG001
    """Read a stored version once; nobody changes it afterwards."""
    return policy_of(PolicyDocument.model_validate_json(content), version=version)


def _shipped(session: Session) -> Policy:
    limits: Mapping[Role, int | None] = {
        row.role: row.approval_limit_minor for row in session.exec(select(RoleLimit))
    }
    return replace(Policy(), role_limits=limits) if limits else Policy()
