"""Signing in with a browser, and out; showing again who one is."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from api import auth
from api.bootstrap import System
from api.dependencies import ActorDep, SystemDep
from api.routes.examples import answers
from db.types import Actor, Permission, Role
from tools.errors import NotAuthenticated
from tools.passwords import service as passwords
from tools.people.service import access
from tools.signin import service as sessions
from tools.signin.service import SignedIn

router = APIRouter(tags=["identity"])

_WHO: dict[str, Any] = {
    "login": "mona", "name": "Mona", "role": "manager", "permissions": None, "session": {
        "id": 7, "created_at": "2026-03-02T09:00:00Z", "expires_at": "2026-03-02T21:00:00Z",
        "last_seen_at": "2026-03-02T09:00:00Z", "is_confirmed": False,
        "must_change_password": False,
    },
}  # fmt: skip
_Password = Annotated[SecretStr, Field(max_length=1_000)]


def browser_session(
    request: Request, _in_cookie: Annotated[str | None, Depends(auth.browser_cookie)]
) -> SignedIn:
    """Return the session of the browser that asks; a key or token does not do here."""
    return auth.signed_in(request)


BrowserDep = Annotated[SignedIn, Depends(browser_session)]


class SignIn(BaseModel):
    """Login and password."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"login": "mona", "password": "four words of your own"}]},
    )
    login: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")
    password: _Password


class Confirmation(BaseModel):
    """The password, once more."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"password": "four words of your own"}]}
    )
    password: _Password


class NewPassword(BaseModel):
    """The password that counts now, and the one that shall."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"current": "what it is now", "new": "four words of your own"}]
        },
    )
    current: _Password
    new: _Password


class LinkConfirmation(BaseModel):
    """Which identity is one's own, and the password that shows it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"issuer": "https://id.example", "subject": "mona-17", "password": "four words"}
            ]
        },
    )
    issuer: str = Field(min_length=1, max_length=200)
    subject: str = Field(min_length=1, max_length=200)
    password: _Password


class Confirmed(BaseModel):
    """It is."""

    confirmed: Literal[True] = True


class SessionShown(BaseModel):
    """A signed-in browser."""

    id: int
    created_at: datetime
    expires_at: datetime
    last_seen_at: datetime
    is_confirmed: bool = Field(description="The password was given again a moment ago.")
    must_change_password: bool


class Ended(BaseModel):
    """The session, or each of them, is over."""

    ended: Literal[True] = True


class Who(BaseModel):
    """Who asks, and how they came in."""

    login: str
    name: str
    role: Role
    permissions: list[Permission] | None = Field(
        description="What the key or session allows; null is all that the role may."
    )
    session: SessionShown | None


class OwnSession(BaseModel):
    """One of a person's sessions."""

    id: int
    agent: str = Field(description="The browser, as it names itself.")
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


class OwnSessions(BaseModel):
    """A person's sessions that have not ended."""

    sessions: list[OwnSession]


@router.post(
    "/session",
    status_code=201,
    responses=answers(_WHO, status=201, codes=("forbidden", "too_many_requests")),
)
def sign_in(system: SystemDep, request: Request, response: Response, body: SignIn) -> Who:
    """Sign a browser in; the answer sets a cookie. The session that the browser had ends."""
    auth.check_same_origin(request, is_required=False)
    keeper = auth.doorkeeper(request)
    keeper.count_attempt(body.login)
    with system.database.read() as session:
        question = passwords.ask_password(session, system.clock, login=body.login)
    is_right = question.fits(body.password.get_secret_value())  # slow: not in a transaction
    with system.database.write() as session:
        passwords.note_password(session, question, is_right=is_right, clock=system.clock)
        if is_right and question.user_id is not None:
            token, found = sessions.open_session(
                session, question.user_id, agent=request.headers.get("user-agent", ""),
                clock=system.clock, lifetimes=keeper.lifetimes,
                replaces=auth.session_token(request),
            )  # fmt: skip
            _set_cookie(request, response, token)
            return _who(found.actor, found, system)
    raise NotAuthenticated(
        "login or password is not right",
        next_step="After several wrong passwords an account waits, each time longer.",
    )


@router.get("/session", responses=answers(_WHO))
def show_session(system: SystemDep, request: Request, actor: ActorDep) -> Who:
    """Say who is asking, and until when the browser is signed in."""
    is_browser = "authorization" not in request.headers
    return _who(actor, auth.signed_in(request) if is_browser else None, system)


@router.delete("/session", responses=answers({"ended": True}, codes=("forbidden",)))
def sign_out(system: SystemDep, request: Request, response: Response, _who: BrowserDep) -> Ended:
    """Sign this browser out."""
    with system.database.write() as session:
        sessions.end_session(session, auth.session_token(request), clock=system.clock)
    response.delete_cookie(
        auth.cookie_name(request), path="/", secure=auth.is_secure(request), httponly=True,
        samesite="strict",
    )  # fmt: skip
    return Ended()


@router.post(
    "/session/reauthenticate",
    responses=answers(_WHO, codes=("forbidden", "too_many_requests")),
)
def confirm_session(
    system: SystemDep, request: Request, response: Response, here: BrowserDep, body: Confirmation
) -> Who:
    """Show again, with the password, who one is: for some minutes this browser may sign."""
    auth.confirm_person(request, here.actor, body.password.get_secret_value())
    with system.database.write() as session:
        token = sessions.confirm_session(session, here.session_id, clock=system.clock)
        found = sessions.find_session(
            session, token, clock=system.clock, lifetimes=auth.doorkeeper(request).lifetimes
        )
    _set_cookie(request, response, token)
    return _who(found.actor, found, system)


@router.post(
    "/session/password",
    responses=answers({"ended": True}, codes=("forbidden", "too_many_requests")),
)
def change_password(
    system: SystemDep, request: Request, here: BrowserDep, body: NewPassword
) -> Ended:
    """Choose another password; all of the person's sessions end."""
    auth.confirm_person(request, here.actor, body.current.get_secret_value(), is_to_sign=False)
    with system.database.write() as session:
        access.set_password(
            session, here.actor.login, body.new.get_secret_value(), clock=system.clock,
            by=here.actor, is_confirmed=True,
        )  # fmt: skip
    return Ended()


@router.get(
    "/sessions",
    responses=answers(
        {
            "sessions": [
                {
                    "id": 7, "agent": "Mozilla/5.0", "created_at": "2026-03-02T09:00:00Z",
                    "last_seen_at": "2026-03-02T09:05:00Z", "expires_at": "2026-03-02T21:00:00Z",
                }
            ]
        }
    ),
)  # fmt: skip
def list_sessions(system: SystemDep, actor: ActorDep) -> OwnSessions:
    """List the browsers in which the person is signed in."""
    with system.database.read() as session:
        found = sessions.list_sessions(session, actor, clock=system.clock)
        shown = [OwnSession.model_validate(row, from_attributes=True) for row in found]
    return OwnSessions(sessions=shown)


@router.delete(
    "/sessions/{session_id}",
    responses=answers({"ended": True}, codes=("not_found", "forbidden")),
)
def revoke_session(
    system: SystemDep, actor: ActorDep, session_id: Annotated[int, Path(ge=1, lt=2**63)]
) -> Ended:
    """Sign another of the person's browsers out."""
    with system.database.write() as session:
        sessions.revoke_session(session, actor, session_id, clock=system.clock)
    return Ended()


@router.post(
    "/session/confirm-link",
    responses=answers({"confirmed": True}, codes=("forbidden", "not_found", "too_many_requests")),
)
def confirm_link(
    system: SystemDep, request: Request, here: BrowserDep, body: LinkConfirmation
) -> Confirmed:
    """Say, with the password, that an identity which an administrator linked is one's own."""
    auth.confirm_person(request, here.actor, body.password.get_secret_value())
    with system.database.write() as session:
        sessions.confirm_link(
            session, here.actor, issuer=body.issuer, subject=body.subject, clock=system.clock
        )
    return Confirmed()


def _set_cookie(request: Request, response: Response, token: str) -> None:
    response.set_cookie(
        auth.cookie_name(request), token, path="/", secure=auth.is_secure(request), httponly=True,
        samesite="strict",
    )  # fmt: skip


def _who(actor: Actor, here: SignedIn | None, system: System) -> Who:
    shown = None
    if here is not None:
        shown = SessionShown(
            id=here.session_id,
            created_at=here.created_at,
            expires_at=here.expires_at,
            last_seen_at=here.last_seen_at,
            is_confirmed=here.is_confirmed(system.clock.now()),
            must_change_password=here.must_change_password,
        )
    allowed = None if actor.permissions is None else sorted(actor.permissions)
    return Who(
        login=actor.login, name=actor.name, role=actor.role, permissions=allowed, session=shown
    )
