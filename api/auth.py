"""Who is asking: an API key or a token in the ``Authorization`` header, or a signed-in browser.

The one place where the HTTP door checks what a key allows: a route names the permission that it
needs (``ActorDep`` of the module ``dependencies`` reads; the others say theirs); a route that
changes something and names none is closed to restricted keys.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as WaitedTooLong
from starlette.concurrency import run_in_threadpool

from api.bootstrap import System
from api.problems import is_passing
from api.signin import Doorkeeper
from db.types import Actor, Permission
from tools.errors import Forbidden, NotAuthenticated
from tools.identity import service as identity
from tools.identity.core import require_key
from tools.passwords import service as passwords
from tools.signin import service as sessions
from tools.signin.service import SEEN_EVERY, SignedIn
from tools.tracing import bind

logger = logging.getLogger(__name__)

COOKIE = "__Host-qm_session"  # only over https; the prefix ties it to this host alone
PLAIN_COOKIE = "qm_session"  # on a loopback address without TLS
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
NOTING_PATIENCE_S = 0.2  # a request that only reads does not wait for writers
_NOTED_LATELY = timedelta(seconds=50)  # inside the minute in which the service notes nothing anew

_bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="qm_<environment>_<id>_<secret>",
    description="An API key that belongs to a person (`quartermaster keys create`), or a JWT of "
    "the configured identity provider.",
)
browser_cookie = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    description="A signed-in browser (`POST /v1/session`); a request that changes something must "
    "come from our own pages (`Sec-Fetch-Site` or `Origin`).",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def doorkeeper(request: Request) -> Doorkeeper:
    """Return the door's keeper."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    return keeper


async def current_actor(
    request: Request,
    needs: SecurityScopes,
    credentials: Credentials,
    _in_cookie: Annotated[str | None, Depends(browser_cookie)],
) -> Actor:
    """Return the person who asks; the log of this request names them from here on.

    Raises:
        NotAuthenticated: There is no key, token or session, or it is not valid.
        Forbidden: The key does not allow what the route needs, or another site sent the request.
    """
    actor = await run_in_threadpool(_actor, request, credentials)
    _check_permission(actor, needs.scopes, is_safe=request.method in SAFE)
    bind(actor=actor.login)
    return actor


def _actor(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Actor:
    system: System = request.app.state.system
    if credentials is None:
        return signed_in(request).actor
    token = credentials.credentials
    if token.startswith("qm_"):
        return _by_key(system, token)
    keeper = doorkeeper(request)
    claims = keeper.read_token(token)
    with system.database.read() as session:
        return sessions.linked_actor(
            session, issuer=claims.issuer, subject=claims.subject,
            verified_email=claims.email if keeper.by_email else "",
        )  # fmt: skip


def _check_permission(actor: Actor, needs: list[str], *, is_safe: bool) -> None:
    wanted = [Permission(name) for name in needs] or ([Permission.READ] if is_safe else [])
    for permission in wanted:
        require_key(actor, permission)
    if not wanted and actor.permissions is not None:
        raise Forbidden(
            "this takes a key without restrictions, or a sign-in", details={"reason": "key"}
        )


def signed_in(request: Request) -> SignedIn:
    """Return the browser's session; its use is noted once a minute.

    Raises:
        NotAuthenticated: There is none, or it ended.
        Forbidden: The request changes something and comes from another site.
    """
    token = session_token(request)
    if not token:
        raise NotAuthenticated(
            "this needs an API key or a session", next_step="Send 'Authorization: Bearer qm_...'."
        )
    check_same_origin(request, is_required=True)
    system: System = request.app.state.system
    lifetimes = doorkeeper(request).lifetimes
    with system.database.read() as session:
        found = sessions.find_session(session, token, clock=system.clock, lifetimes=lifetimes)
    if system.clock.now() - found.last_seen_at >= SEEN_EVERY:
        with _in_passing(), system.database.write(patience_s=NOTING_PATIENCE_S) as session:
            found = sessions.find_session(session, token, clock=system.clock, lifetimes=lifetimes)
    return found


def session_token(request: Request) -> str:
    """Return the token in the cookie, empty without one; over https only the prefixed name."""
    return request.cookies.get(cookie_name(request), "")


def cookie_name(request: Request) -> str:
    """Return the name of the cookie, which depends on whether it can be marked secure."""
    return COOKIE if is_secure(request) else PLAIN_COOKIE


def is_secure(request: Request) -> bool:
    """Whether the browser talks to us over TLS: itself, or with a proxy of ours before us."""
    system: System = request.app.state.system
    return system.settings.behind_tls or request.url.scheme == "https"


def check_same_origin(request: Request, *, is_required: bool) -> None:
    """Refuse a request that changes something unless it comes from our own pages.

    Browsers say so in ``Sec-Fetch-Site``; older ones in ``Origin``.

    Args:
        request: The request.
        is_required: Whether it must say at all: with a cookie, yes.

    Raises:
        Forbidden: It comes from elsewhere, or does not say.
    """
    if request.method in SAFE:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_ours = site == "same-origin"
    elif origin is not None:
        is_ours = origin.partition("://")[2] == request.headers.get("host")
    else:
        is_ours = not is_required
    if not is_ours:
        raise Forbidden(
            "this request does not come from our own pages",
            next_step="Programs use an API key instead of a cookie.",
            details={"reason": "cross_site"},
        )


def confirm_person(
    request: Request, actor: Actor, password: str, *, is_to_sign: bool = True
) -> None:
    """Let a person show with their password that it is them; a wrong one is counted.

    To sign it must be one that they chose: who gave them theirs could sign with it, too.

    Raises:
        NotAuthenticated: It is not their password, or the account waits after wrong ones.
        TooManyRequests: Too many attempts in a minute.
    """
    system: System = request.app.state.system
    doorkeeper(request).count_attempt(actor.login)
    with system.database.read() as session:
        question = passwords.ask_password(session, system.clock, user_id=actor.user_id)
    if is_to_sign:
        passwords.refuse_given(question)
    is_right = question.fits(password)  # slow: not in a transaction
    with system.database.write() as session:
        passwords.note_password(session, question, is_right=is_right, clock=system.clock)
    if not is_right:
        raise passwords.wrong_password(question)


def _by_key(system: System, key: str) -> Actor:
    """Authenticate without the write lock; once a minute the key's use is noted in passing."""
    with system.database.read() as session:
        actor = identity.authenticate(session, key, clock=system.clock)
        used_at = identity.last_use(session, key)
    is_noted = used_at is not None and system.clock.now() - used_at < _NOTED_LATELY
    if not is_noted:
        with _in_passing(), system.database.write(patience_s=NOTING_PATIENCE_S) as session:
            identity.authenticate(session, key, clock=system.clock)
    return actor


@contextmanager
def _in_passing() -> Iterator[None]:
    """Let a busy or absent database cost the note and not the request that it is about."""
    try:
        yield
    except (OperationalError, WaitedTooLong) as error:
        if not is_passing(error):
            raise
        logger.info("a use was not noted", extra={"why": type(error).__name__})
