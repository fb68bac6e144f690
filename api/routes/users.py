"""People and keys: an administrator's work, and everybody's own keys."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from api.bootstrap import System
from api.dependencies import ActorDep, AdminDep, SystemDep
from api.routes.examples import answers
from db.types import Permission, Role, ScopeKind
from tools.identity import service as identity
from tools.identity.core import read_key, require
from tools.money import amount_text, read_amount
from tools.people.service import access, accounts
from tools.people.service.accounts import Person
from tools.people.service.keys import list_api_keys

router = APIRouter(tags=["identity"])

_PERSON: dict[str, Any] = {
    "login": "anna", "name": "Anna", "email": "anna@example.org", "role": "approver",
    "is_active": True, "own_limit": None, "limit": "25000.00", "currency": "USD",
    "scopes": {"location": ["MAIN"], "supplier": [], "category": []}, "has_password": True,
    "links": [],
}  # fmt: skip
_KEY: dict[str, Any] = {
    "key_id": "0123456789ab", "login": "anna", "label": "reports", "permissions": ["read"],
    "created_at": "2026-03-02T09:00:00Z", "expires_at": "2027-03-02T09:00:00Z",
    "last_used_at": None, "revoked_at": None,
}  # fmt: skip
Login = Annotated[str, Path(max_length=64, pattern=r"^[^\x00]+$")]
Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Amount = Annotated[str, Field(max_length=24, pattern=r"^\d{1,15}(\.\d{1,3})?$")]


class NewUser(BaseModel):
    """A person to add."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"login": "anna", "role": "approver", "name": "Anna"}]},
    )
    login: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    role: Role
    name: Text = ""
    email: Text = ""
    limit: Amount | None = Field(default=None, description="Instead of the role's, such as 2500.")


class UserChange(BaseModel):
    """What shall be different; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"role": "manager", "reason": "head of purchasing"}]},
    )
    role: Role | None = None
    limit: Amount | None = Field(default=None, description="Null, if sent: the role's again.")
    name: Text | None = None
    email: Text | None = None
    is_active: bool | None = Field(default=None, strict=True)
    reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""


class ScopeGiven(BaseModel):
    """A location, supplier or category in which a person works."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"kind": "location", "value": "MAIN"}]}
    )
    kind: ScopeKind
    value: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00]+$")


class PasswordGiven(BaseModel):
    """A first password, to be changed by its person."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"password": "four words for the start"}]}
    )
    password: Annotated[SecretStr, Field(max_length=1_000)]


class UserShown(BaseModel):
    """A person; amounts are decimal text in company currency."""

    login: str
    name: str
    email: str
    role: Role
    is_active: bool
    own_limit: str | None
    limit: str | None = Field(description="What counts; null is without limit.")
    currency: str
    scopes: dict[ScopeKind, list[str]] = Field(description="An empty list is everywhere.")
    has_password: bool
    links: list[dict[str, str]]


class UsersShown(BaseModel):
    """Everybody, by login."""

    users: list[UserShown]


class NewKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"label": "reports", "permissions": ["read"]}]},
    )
    login: str | None = Field(
        default=None, max_length=64, pattern=r"^[^\x00]+$", description="Default: oneself."
    )
    label: Annotated[str, Field(max_length=80, pattern=r"^[^\x00]*$")] = ""
    permissions: list[Permission] = Field(
        default=[], max_length=5, description="Empty: all that its person may."
    )
    days: int = Field(default=365, ge=1, le=3_650, strict=True, description="How long it works.")


class KeyMade(BaseModel):
    """The key; it is shown this once."""

    key: str
    key_id: str
    expires_at: datetime


class KeyShown(BaseModel):
    """A key without its secret."""

    key_id: str
    login: str
    label: str
    permissions: list[Permission]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeysShown(BaseModel):
    """Keys, newest first."""

    keys: list[KeyShown]


class KeyRevoked(BaseModel):
    """A key that works no more."""

    key_id: str
    revoked: bool = True


@router.get("/users", responses=answers({"users": [_PERSON]}, codes=("forbidden",)))
def list_users(system: SystemDep, actor: AdminDep) -> UsersShown:
    """List everybody. Takes an administrator, as all of this group but one's own keys."""
    require(actor, Permission.ADMIN)
    with system.database.read() as session:
        people = accounts.list_users(session)
    return UsersShown(users=[user_shown(one, system) for one in people])


@router.post(
    "/users", status_code=201,
    responses=answers(_PERSON, status=201, codes=("forbidden", "conflict")),
)  # fmt: skip
def add_user(system: SystemDep, actor: AdminDep, body: NewUser) -> UserShown:
    """Add a person."""
    with system.database.write() as session:
        accounts.add_user(
            session, body.login, role=body.role, name=body.name, email=body.email,
            limit_minor=_minor(body.limit, system), clock=system.clock, by=actor,
        )  # fmt: skip
        return user_shown(accounts.get_user(session, body.login), system)


@router.get("/users/{login}", responses=answers(_PERSON, codes=("forbidden", "not_found")))
def get_user(system: SystemDep, actor: AdminDep, login: Login) -> UserShown:
    """Show a person."""
    require(actor, Permission.ADMIN)
    with system.database.read() as session:
        return user_shown(accounts.get_user(session, login), system)


@router.patch(
    "/users/{login}", responses=answers(_PERSON, codes=("forbidden", "not_found", "conflict"))
)
def change_user(system: SystemDep, actor: AdminDep, login: Login, body: UserChange) -> UserShown:
    """Change role, limit, name or e-mail, close the account or open it. Nobody changes their own.

    Closing it ends the person's sessions and revokes their keys.
    """
    sent = body.model_dump(exclude_unset=True, exclude={"reason", "limit"})
    changes = {name: value for name, value in sent.items() if value is not None}
    if "limit" in body.model_fields_set:
        changes["approval_limit_minor"] = _minor(body.limit, system)
    with system.database.write() as session:
        person = accounts.change_user(
            session, login, changes, clock=system.clock, by=actor, reason=body.reason
        )
    return user_shown(person, system)


@router.post("/users/{login}/scopes", responses=answers(_PERSON, codes=("forbidden", "not_found")))
def add_scope(system: SystemDep, actor: AdminDep, login: Login, body: ScopeGiven) -> UserShown:
    """Let a person work in this location, supplier or category, and not everywhere any more."""
    with system.database.write() as session:
        person = access.add_scope(
            session, login, body.kind, body.value, clock=system.clock, by=actor
        )
    return user_shown(person, system)


@router.delete(
    "/users/{login}/scopes", responses=answers(_PERSON, codes=("forbidden", "not_found"))
)
def remove_scope(
    system: SystemDep,
    actor: AdminDep,
    login: Login,
    kind: ScopeKind,
    value: Annotated[str, Query(min_length=1, max_length=64)],
) -> UserShown:
    """Take a location, supplier or category away; without any of a kind it is everywhere again."""
    with system.database.write() as session:
        person = access.remove_scope(session, login, kind, value, clock=system.clock, by=actor)
    return user_shown(person, system)


@router.put("/users/{login}/password", responses=answers(_PERSON, codes=("forbidden", "not_found")))
def give_password(
    system: SystemDep, actor: AdminDep, login: Login, body: PasswordGiven
) -> UserShown:
    """Give a person a first password: good for looking, and for choosing another one."""
    with system.database.write() as session:
        access.set_password(
            session, login, body.password.get_secret_value(), clock=system.clock, by=actor
        )
        return user_shown(accounts.get_user(session, login), system)


@router.get("/keys", responses=answers({"keys": [_KEY]}, codes=("forbidden",)))
def list_keys(
    system: SystemDep, actor: ActorDep, login: Annotated[str | None, Query(max_length=64)] = None
) -> KeysShown:
    """List one's own keys; an administrator sees everybody's."""
    with system.database.read() as session:
        found = list_api_keys(session, actor, login=login)
    return KeysShown(keys=[KeyShown.model_validate(key, from_attributes=True) for key in found])


@router.post(
    "/keys", status_code=201,
    responses=answers(
        {"key": "qm_live_0123456789ab_...", "key_id": "0123456789ab",
         "expires_at": "2027-03-02T09:00:00Z"},
        status=201, codes=("forbidden", "not_found"),
    ),
)  # fmt: skip
def create_key(system: SystemDep, actor: ActorDep, body: NewKey) -> KeyMade:
    """Make a key for oneself, or as an administrator for others; it is shown this once."""
    expires_at = system.clock.now() + timedelta(days=body.days)
    with system.database.write() as session:
        key = identity.create_api_key(
            session, body.login or actor.login, label=body.label, clock=system.clock,
            permissions=body.permissions, expires_at=expires_at, by=actor,
        )  # fmt: skip
    return KeyMade(key=key, key_id=read_key(key).key_id, expires_at=expires_at)


@router.delete(
    "/keys/{key_id}",
    responses=answers(
        {"key_id": "0123456789ab", "revoked": True}, codes=("forbidden", "not_found")
    ),
)
def revoke_key(
    system: SystemDep, actor: ActorDep, key_id: Annotated[str, Path(max_length=16)]
) -> KeyRevoked:
    """Make a key useless, at once."""
    with system.database.write() as session:
        identity.revoke_api_key(session, key_id, clock=system.clock, by=actor)
    return KeyRevoked(key_id=key_id)


def user_shown(person: Person, system: System) -> UserShown:
    """Return a person as JSON shows them."""
    currency = system.company.currency

    def amount(minor: int | None) -> str | None:
        return None if minor is None else amount_text(minor, currency)

    return UserShown(
        login=person.login,
        name=person.name,
        email=person.email,
        role=person.role,
        is_active=person.is_active,
        own_limit=amount(person.own_limit_minor),
        limit=amount(person.limit_minor),
        currency=currency,
        scopes={
            ScopeKind.LOCATION: sorted(person.scope.locations),
            ScopeKind.SUPPLIER: sorted(person.scope.suppliers),
            ScopeKind.CATEGORY: sorted(person.scope.categories),
        },
        has_password=person.has_password,
        links=[{"issuer": issuer, "subject": subject} for issuer, subject in person.links],
    )


def _minor(amount: str | None, system: System) -> int | None:
    return None if amount is None else read_amount(amount, system.company.currency)
