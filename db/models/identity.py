"""People, roles, keys, and requests that must not run twice."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.columns import EnumText, at_least, choice, document, key, moment, one_of, ref, whole
from db.types import Role, ScopeKind


class RoleLimit(SQLModel, table=True):
    """What a role may approve alone, in minor units of company currency; null is without limit."""

    __tablename__ = "role_limit"
    __table_args__ = (
        one_of("role", Role),
        CheckConstraint(
            "approval_limit_minor IS NULL OR approval_limit_minor >= 0", name="limit_not_negative"
        ),
    )
    role: Role = Field(sa_column=Column(EnumText(Role), primary_key=True))
    approval_limit_minor: int | None = whole(nullable=True)


class User(SQLModel, table=True):
    """A person or a machine."""

    __tablename__ = "app_user"  # "user" is a reserved word in PostgreSQL
    __table_args__ = (one_of("role", Role),)
    id: int = key()
    login: str = Field(max_length=64, unique=True)
    name: str = Field(max_length=120)
    email: str = Field(default="", max_length=200)
    role: Role = choice(Role, Role.VIEWER)
    approval_limit_minor: int | None = whole(nullable=True)  # overrides the role's limit
    is_active: bool = True
    created_at: datetime = moment()
    password_hash: str = Field(default="", max_length=200)  # empty: cannot sign in with a password
    password_set_at: datetime | None = moment(nullable=True)
    failed_logins: int = 0  # in a row
    locked_until: datetime | None = moment(nullable=True)


class UserScope(SQLModel, table=True):
    """Where a person works: without a row of a kind, everywhere of that kind."""

    __tablename__ = "user_scope"
    __table_args__ = (one_of("kind", ScopeKind), UniqueConstraint("user_id", "kind", "value"))
    id: int = key()
    user_id: int = ref("app_user.id")
    kind: ScopeKind = choice(ScopeKind)
    value: str = Field(max_length=64)  # code of the location or supplier, name of the category


class ExternalIdentity(SQLModel, table=True):
    """Who a person is at an identity provider: the ``iss`` and ``sub`` of its tokens."""

    __tablename__ = "external_identity"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: int = key()
    user_id: int = ref("app_user.id")
    issuer: str = Field(max_length=200)
    subject: str = Field(max_length=200)
    created_at: datetime = moment()
    confirmed_at: datetime | None = moment(nullable=True)  # by the person; before, no decisions


class UserSession(SQLModel, table=True):
    """A signed-in browser. Only a hash of its token is kept."""

    __tablename__ = "user_session"
    id: int = key()
    token_hash: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False, unique=True))
    user_id: int = ref("app_user.id")
    agent: str = Field(default="", max_length=200)  # the browser, as it names itself
    created_at: datetime = moment()
    last_seen_at: datetime = moment()
    expires_at: datetime = moment(index=True)
    reauthenticated_at: datetime | None = moment(nullable=True)
    revoked_at: datetime | None = moment(nullable=True)


class ApiKey(SQLModel, table=True):
    """A key ``qm_<env>_<id>_<secret>``: only a hash of the secret is kept."""

    __tablename__ = "api_key"
    id: int = key()
    key_id: str = Field(max_length=16, unique=True)
    secret_hash: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))  # SHA-256
    user_id: int = ref("app_user.id")
    label: str = Field(default="", max_length=80)
    scopes: list[str] = document(list)  # what the key may do; empty: all that its person may
    created_at: datetime = moment()
    expires_at: datetime | None = moment(nullable=True)
    revoked_at: datetime | None = moment(nullable=True)
    last_used_at: datetime | None = moment(nullable=True)


class IdempotentRequest(SQLModel, table=True):
    """An answered request: the same key gets the same answer, another body is refused."""

    __tablename__ = "idempotent_request"
    __table_args__ = (UniqueConstraint("principal_id", "key"),)
    id: int = key()
    principal_id: int = ref("app_user.id")
    key: str = Field(max_length=120)
    request: str = Field(max_length=200)  # method and path
    body_hash: str = Field(max_length=64)
    status_code: int | None = None  # null while the first one runs
    response: dict[str, Any] = document()
    created_at: datetime = moment()


class Counter(SQLModel, table=True):
    """Next public number of a kind of document."""

    __tablename__ = "counter"
    __table_args__ = (at_least("value"),)
    name: str = Field(primary_key=True, max_length=32)
    value: int = whole(0)
