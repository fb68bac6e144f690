"""Who sits at the terminal."""

from typing import TYPE_CHECKING

from db.types import Permission, Role
from tools.errors import (
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    QuartermasterError,
)
from tools.identity.core import may, require_key

if TYPE_CHECKING:
    from sqlmodel import Session

    from api.bootstrap import System
    from api.settings import Settings
    from db.models.purchasing import Approval
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


def administrator(
    system: "System", settings: "Settings", as_login: str | None, *, about: str = ""
) -> "Actor | None":
    """Return who may change people, keys and rates here; None while the database is being set up.

    An administrator does. Until one can sign in (has a key or a password), whoever holds a local
    database file may, and on a shared database whoever opens it before there is any key.

    Args:
        system: The system.
        settings: Whose key and login count.
        as_login: What ``--as`` says.
        about: Login of the person whose role, limit or scope it is about: never one's own.

    Raises:
        Forbidden: Neither, or it is about oneself.
    """
    key = _api_key(settings)
    if not key and not _is_set_up(system):
        return None
    is_trusted = not key and system.database.is_sqlite and _may_set_up(system)
    find = _anybody if is_trusted and as_login is None else terminal_actor
    actor = find(system, settings, as_login)
    if actor is not None and actor.role is Role.ADMIN:
        require_key(actor, Permission.ADMIN)
        return actor
    who = settings.user if actor is None else actor.login
    if is_trusted and who != about:
        return None
    raise Forbidden(
        f"nobody changes their own role, limit, scope or account, so {who!r} does not"
        if is_trusted
        else f"{who!r} is no administrator; this takes one",
        next_step="An administrator does it with a key of their own, or here with --as LOGIN.",
    )


def key_maker(
    system: "System", settings: "Settings", as_login: str | None, owner: str | None
) -> "Actor | None":
    """Return who makes or revokes a key: its person, or whom ``administrator`` finds."""
    if _is_set_up(system) and (_api_key(settings) or system.database.is_sqlite):
        actor = _anybody(system, settings, as_login)
        if actor is not None and actor.login == owner:
            return actor
    return administrator(system, settings, as_login)


def key_owner(system: "System", key_id: str) -> str | None:
    """Return the login of a key's person."""
    from sqlmodel import col, select

    from db.models.identity import ApiKey, User

    owner = select(User.login).join(ApiKey, col(ApiKey.user_id) == col(User.id))
    with system.database.read() as session:
        return session.exec(owner.where(ApiKey.key_id == key_id)).first()


def known_here(system: "System", settings: "Settings", as_login: str | None) -> None:
    """Refuse somebody unknown on a shared database, or with a key that is not valid."""
    if _api_key(settings) or as_login or (not system.database.is_sqlite and _is_set_up(system)):
        terminal_actor(system, settings, as_login)


def loader(system: "System", settings: "Settings") -> "Actor | None":
    """Return who loads a file; the first files of a database come before the first people.

    Raises:
        NotAuthenticated: The database is shared and has people, and this is none of them.
        Forbidden: They may neither draft nor administer.
    """
    if not _api_key(settings) and not _is_set_up(system):
        return None
    actor = _anybody(system, settings, None)
    if actor is None or may(actor, Permission.DRAFT) or may(actor, Permission.ADMIN):
        return actor
    raise Forbidden(
        f"{actor.login!r} does not load files: that takes the right to draft or to administer",
        next_step="Ask a planner, or use a key that allows it.",
    )


def _anybody(system: "System", settings: "Settings", as_login: str | None) -> "Actor | None":
    try:
        return terminal_actor(system, settings, as_login)
    except NotFound:  # nobody has an account under the name of this terminal's user yet
        return None


def _may_set_up(system: "System") -> bool:
    from tools.identity import service as identity

    with system.database.read() as session:
        try:
            identity.require_admin(session, None)
        except Forbidden:
            return False
    return True


def approver_of(system: "System", settings: "Settings", number: str) -> str | None:
    """Return the login of somebody whose scope, limit and part in the order let them approve it.

    None where nobody may speak for another, or nobody may approve it.
    """
    from sqlmodel import col, select

    from db.models.identity import User
    from db.models.purchasing import Approval

    if _api_key(settings) or not system.database.is_sqlite:
        return None
    people = select(User.login).where(col(User.is_active).is_(True)).order_by(col(User.id))
    with system.database.read() as session:
        approval = session.exec(select(Approval).where(Approval.number == number)).one()
        logins = session.exec(people).all()
        able = (one for one in logins if _may_approve(session, system, approval, one))
        return next(able, None)


def _may_approve(session: "Session", system: "System", approval: "Approval", login: str) -> bool:
    from db.models.purchasing import PurchaseOrder
    from tools.identity.service import actor_by_login
    from tools.policy import service as policies
    from tools.purchasing.service.authority import check_authority
    from tools.purchasing.service.drafting import check_order_scope

    order = session.get_one(PurchaseOrder, approval.order_id)
    try:
        actor = actor_by_login(session, login)
        check_order_scope(session, actor, order)
        check_authority(
            session, order, approval, actor=actor, company=system.company,
            policy=policies.current(session), reason="whoever approves writes one",
        )  # fmt: skip
    except QuartermasterError:
        return False
    return True


def _api_key(settings: "Settings") -> str:
    return settings.api_key.get_secret_value()


def _is_set_up(system: "System") -> bool:
    from sqlmodel import select

    from db.models.identity import ApiKey, User

    first = select(User.id) if system.database.is_sqlite else select(ApiKey.id)
    with system.database.read() as session:
        return session.exec(first.limit(1)).first() is not None
