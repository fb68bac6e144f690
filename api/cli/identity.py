"""Who sits at the terminal."""

from typing import TYPE_CHECKING

from db.types import Role
from tools.errors import Forbidden, InvalidInput, NotAuthenticated, NotFound

if TYPE_CHECKING:
    from api.bootstrap import System
    from api.settings import Settings
    from db.types import Actor


def terminal_actor(system: "System", settings: "Settings", as_login: str | None) -> "Actor":
    """Return the person at this terminal.

    Whoever can open the database file is trusted as the local operator and may say who they are
    (``--as``, ``QM_USER``). A server database is open to many: there, and wherever ``QM_API_KEY``
    is set, the key says who it is and a claim to be somebody else is refused.
    """
    from tools.identity import service as identity

    key = _api_key(settings)
    if not key and not system.database.is_sqlite:
        raise NotAuthenticated(
            "this database is shared: the terminal needs to know who you are",
            next_step="Set QM_API_KEY to your key; an administrator makes one with "
            "`quartermaster keys create LOGIN`.",
        )
    if not key:
        login = as_login or settings.user
        with system.database.read() as session:
            try:
                return identity.actor_by_login(session, login)
            except NotFound as error:
                raise NotFound(
                    error.message,
                    next_step=f"`quartermaster users add {login}` adds them; --as LOGIN or QM_USER "
                    "says who you are.",
                ) from None
    with system.database.write() as session:
        actor = identity.authenticate(session, key, clock=system.clock)
    if as_login not in (None, actor.login):
        raise InvalidInput(
            f"--as {as_login!r} was given, but QM_API_KEY belongs to {actor.login!r}",
            next_step="Leave out --as, or unset QM_API_KEY.",
        )
    return actor


def administrator(system: "System", settings: "Settings", as_login: str | None) -> "Actor | None":
    """Return who may add people and make keys here; None while the database is being set up.

    The local operator may: the database file is theirs. On a shared database and with a key it
    takes an administrator. Before there is a person (on a shared database: a key), anybody who can
    open the database sets it up.
    """
    key = _api_key(settings)
    if not key and not _is_set_up(system):
        return None
    if not key and system.database.is_sqlite and as_login is None:
        return _operator(system, settings.user)
    actor = terminal_actor(system, settings, as_login)
    if key and actor.role is not Role.ADMIN:
        raise Forbidden(f"{actor.login!r} is {actor.role.value}; this takes an administrator")
    return actor


def _operator(system: "System", login: str) -> "Actor | None":
    """Return the person at a local database, or None when they have no account in it yet."""
    from tools.identity import service as identity

    with system.database.read() as session:
        try:
            return identity.actor_by_login(session, login)
        except NotFound:
            return None


def somebody(system: "System", settings: "Settings", role: str) -> str | None:
    """Return the login of a person with this role; None where nobody may speak for another."""
    from sqlmodel import col, select

    from db.models.identity import User

    if _api_key(settings) or not system.database.is_sqlite:
        return None
    people = select(User.login).where(User.role == Role(role), col(User.is_active).is_(True))
    with system.database.read() as session:
        return session.exec(people.order_by(col(User.id)).limit(1)).first()


def _api_key(settings: "Settings") -> str:
    return settings.api_key.get_secret_value()


def _is_set_up(system: "System") -> bool:
    from sqlmodel import select

    from db.models.identity import ApiKey, User

    first = select(User.id) if system.database.is_sqlite else select(ApiKey.id)
    with system.database.read() as session:
        return session.exec(first.limit(1)).first() is not None
