"""The approval policy: everybody may read it, an admin puts the next version in force."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.dependencies import ActorDep, AdminDep, SystemDep
from api.routes.approvals import agreed_version
from api.routes.examples import answers
from tools.policy import service as policies
from tools.policy.core.policy import Version
from tools.policy.core.reading import MOST_BYTES

router = APIRouter(tags=["policy"])

_EXAMPLE: dict[str, Any] = {
    "version": 3,
    "content": {"format": "quartermaster/policy/v1", "dispatch_enabled": True},
    "content_hash": "9f2c...", "text": "format: quartermaster/policy/v1\n...",
    "reason": "two people from 20,000", "author": "adam", "at": "2026-03-02T09:00:00Z",
}  # fmt: skip


class PolicyShown(BaseModel):
    """A version of the policy; ``text`` is the YAML as a person wrote it."""

    version: int = Field(description="0: the one that the program ships, not written yet.")
    content: dict[str, Any]
    content_hash: str
    text: str
    reason: str
    author: str
    at: datetime | None


class PolicyChange(BaseModel):
    """The policy that shall be in force."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"text": "format: ...", "reason": "two people from 20,000", "version": 3}]
        },
    )
    text: str = Field(max_length=MOST_BYTES, description="YAML, whole.")
    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")
    version: int | None = Field(
        default=None, ge=1, le=2**31, strict=True,
        description="The version you read; or send its ETag as If-Match.",
    )  # fmt: skip


class DispatchChange(BaseModel):
    """Whether approved orders leave the house."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"enabled": False, "reason": "wrong prices imported"}]},
    )
    enabled: bool = Field(strict=True)
    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")


@router.get(
    "/policy", response_model=PolicyShown, responses=answers(_EXAMPLE, codes=("not_found",))
)
def get_policy(
    system: SystemDep,
    _actor: ActorDep,
    response: Response,
    version: Annotated[int | None, Query(ge=0, le=2**31, description="Default: in force.")] = None,
) -> dict[str, Any]:
    """Show the approval policy in force, or an older version of it; the ETag is the version."""
    with system.database.read() as session:
        found = policies.shown(session, company=system.company, version=version)
    response.headers["ETag"] = f'"{found.version}"'
    return policy_json(found)


@router.put(
    "/policy",
    response_model=PolicyShown,
    responses=answers(_EXAMPLE, codes=("forbidden", "stale")),
)
def put_policy(
    system: SystemDep,
    actor: AdminDep,
    body: PolicyChange,
    if_match: Annotated[str | None, Header(description="The policy's ETag.")] = None,
) -> dict[str, Any]:
    """Put a policy in force as the next version; only an admin, and only over the version read."""
    version = agreed_version(body.version, if_match)
    with system.database.write() as session:
        written = policies.change(
            session, body.text, reason=body.reason, actor=actor, clock=system.clock,
            company=system.company, expected_version=version,
        )  # fmt: skip
    return policy_json(written)


@router.put(
    "/policy/dispatch",
    response_model=PolicyShown,
    responses=answers(_EXAMPLE, codes=("forbidden",)),
)
def put_dispatch(system: SystemDep, actor: ActorDep, body: DispatchChange) -> dict[str, Any]:
    """Stop or start the departure of approved orders; a manager may stop, an admin both."""
    with system.database.write() as session:
        written = policies.set_dispatch(
            session, body.enabled, reason=body.reason, actor=actor, clock=system.clock,
            company=system.company,
        )  # fmt: skip
    return policy_json(written)


def policy_json(version: Version) -> dict[str, Any]:
    """Return a version as JSON."""
    return {
        "version": version.version,
        "content": dict(version.content),
        "content_hash": version.content_hash,
        "text": version.text,
        "reason": version.reason,
        "author": version.author,
        "at": version.at,
    }
