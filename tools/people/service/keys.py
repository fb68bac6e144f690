"""API keys as their people and administrators see them."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from db.models.identity import ApiKey, User
from db.types import Actor, Permission, Role
from tools.identity.core import require
from tools.identity.service import acting


@dataclass(frozen=True)
class KeyView:
    """A key without its secret."""

    key_id: str
    login: str
    label: str
    permissions: tuple[Permission, ...]  # empty: all that its person may
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


def list_api_keys(session: Session, actor: Actor, *, login: str | None = None) -> list[KeyView]:
    """Return keys, newest first; never a secret.

    Args:
        session: The transaction.
        actor: Who looks: their own keys; an admin sees all.
        login: Only this person's.

    Raises:
        Forbidden: Another person's keys, and the actor is no admin.
    """
    statement = select(ApiKey, User.login).join(User, col(User.id) == col(ApiKey.user_id))
    if login not in (None, actor.login):
        acting(session, actor, Permission.ADMIN)
    elif login is None and actor.role is Role.ADMIN:
        require(actor, Permission.ADMIN)
    else:
        login = actor.login
    if login is not None:
        statement = statement.where(User.login == login)
    return [
        KeyView(
            row.key_id, owner, row.label, tuple(map(Permission, row.scopes)), row.created_at,
            row.expires_at, row.last_used_at, row.revoked_at,
        )
        for row, owner in session.exec(statement.order_by(col(ApiKey.id).desc()))
    ]  # fmt: skip
