"""Approvals: what waits for a person, and what the person decides."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlmodel import Session

from api.auth import confirm_person
from api.background import Background
from api.bootstrap import System
from api.dependencies import ActorDep, BackgroundDep, DeciderDep, SystemDep
from api.idempotency import Answer, KeyedRequest, answer_once, parse_key
from api.problems import ProblemResponse, problem_of
from api.routes.examples import answers
from api.routes.orders import ORDER_EXAMPLE, OrderCheck, OrderShown, order_json
from db.types import Actor, ApprovalState, Decision, OrderState
from tools.approvals import service as approving
from tools.approvals.core import ApprovalView, SignatureView
from tools.errors import InvalidInput, QuartermasterError
from tools.purchasing.core.quantities import MOST_UNITS
from tools.purchasing.service.pending import tell_refusal
from tools.reach.service import look_as

router = APIRouter(tags=["approvals"])

CHANNEL = "rest"

_APPROVAL_EXAMPLE: dict[str, Any] = {
    "id": "a-31", "version": 1, "state": "pending", "order": ORDER_EXAMPLE, "revision": 1,
    "fingerprint": "9f2c...", "digest": "9f2c0a1b2c3d", "total": "14976.00", "currency": "USD",
    "approver_role": "manager", "rule": "above the planner's limit of 10,000.00 USD",
    "requested_by": "paul", "requested_at": "2026-03-02T09:00:00Z",
    "expires_at": "2026-03-03T09:00:00Z", "decision": None, "checks": [],
    "required_signatures": 1, "needs_reauthentication": False, "policy_version": 1,
    "signatures": [],
    "why": [{"sku": "WIDGET-A", "rec_id": "R-12", "quantity": 1920, "waterfall": []}],
}  # fmt: skip


class Edit(BaseModel):
    """Another quantity for a line."""

    model_config = ConfigDict(extra="forbid", strict=True)
    sku: str = Field(min_length=1, max_length=120)
    quantity: int = Field(ge=0, le=MOST_UNITS, description="Stock units; 0 removes the line.")


class DecisionMade(BaseModel):
    """What a person says to an approval they have read."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"decision": "approve", "version": 1}]},
    )
    decision: Decision
    version: int | None = Field(
        default=None, ge=1, le=2**31, strict=True,
        description="The version you read; or send it as If-Match.",
    )  # fmt: skip
    edits: list[Edit] | None = Field(
        default=None, max_length=200, description="New quantities, for the decision `edit`."
    )
    reason: str = Field(default="", max_length=500, pattern=r"^[^\x00]*$")
    fingerprint: str | None = Field(
        default=None, min_length=12, max_length=64,
        description="Fingerprint of what you read, or its first 12 digits; checked if given.",
    )  # fmt: skip
    password: SecretStr | None = Field(
        default=None, max_length=256,
        description="Your password, to approve what `needs_reauthentication`: a key does not sign.",
    )  # fmt: skip


class DecisionTaken(BaseModel):
    """Who said what."""

    decision: Decision
    by: str
    at: datetime
    reason: str
    channel: str


class Signature(BaseModel):
    """A person's name under the request: who, when, and what it means."""

    login: str
    name: str
    at: datetime
    meaning: str
    reason: str
    channel: str
    reauthenticated: bool


class Reason(BaseModel):
    """Where a line's quantity comes from; the waterfall's values add up to it."""

    sku: str
    rec_id: str
    quantity: int
    waterfall: list[dict[str, Any]]


class ApprovalShown(BaseModel):
    """A request with everything a person must see before deciding."""

    id: str
    version: int
    state: ApprovalState
    order: OrderShown
    revision: int
    fingerprint: str
    digest: str
    total: str
    currency: str
    approver_role: str
    rule: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    decision: DecisionTaken | None
    checks: list[OrderCheck]
    why: list[Reason]
    required_signatures: int = Field(description="How many different people must sign.")
    needs_reauthentication: bool = Field(description="Whether each must give the password.")
    policy_version: int | None = Field(description="The policy it was asked for under.")
    signatures: list[Signature]


class ApprovalsShown(BaseModel):
    """Requests for approval, newest first."""

    approvals: list[ApprovalShown]


class Outcome(BaseModel):
    """What a decision led to; after an edit ``approval`` is the new, open request."""

    approval: ApprovalShown
    order: str
    order_state: OrderState
    message: str


@router.get(
    "/approvals",
    response_model=ApprovalsShown,
    responses=answers({"approvals": [_APPROVAL_EXAMPLE]}),
)
def list_approvals(
    system: SystemDep,
    actor: ActorDep,
    state: Annotated[ApprovalState | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """List the requests for approval, newest first."""
    with system.database.read() as session:
        look_as(session, actor)
        found = approving.list_approvals(session, state=state, limit=limit)
        return {"approvals": [approval_json(view) for view in found]}


@router.get(
    "/approvals/{number}",
    response_model=ApprovalShown,
    responses=answers(_APPROVAL_EXAMPLE, codes=("not_found",)),
)
def get_approval(
    system: SystemDep, actor: ActorDep, response: Response, number: str
) -> dict[str, Any]:
    """Show everything a person must see before deciding; the ETag is the version."""
    with system.database.read() as session:
        look_as(session, actor)
        view = approving.get_approval(session, number)
    response.headers["ETag"] = f'"{view.version}"'
    return approval_json(view)


@router.post(
    "/approvals/{number}/decisions",
    response_model=Outcome,
    responses=answers(
        {
            "approval": _APPROVAL_EXAMPLE, "order": "PO-2001", "order_state": "approved",
            "message": "Mona approved PO-2001; it is on its way to the supplier",
        },
        codes=("not_found", "forbidden", "stale"),
    ),
)  # fmt: skip
def decide(
    system: SystemDep,
    actor: DeciderDep,
    background: BackgroundDep,
    request: Request,
    number: Annotated[str, Path(pattern=r"^[aA]-\d{1,18}$")],
    body: DecisionMade,
    idempotency_key: Annotated[
        str, Header(description="A fresh random key for each decision; the same one to repeat it.")
    ] = "",
    if_match: Annotated[str | None, Header(description="The approval's ETag.")] = None,
) -> Response:
    """Decide. The order leaves the house only after an ``approve`` of exactly what was read."""
    version = agreed_version(body.version, if_match)
    keyed = KeyedRequest(
        actor=actor,
        key=parse_key(idempotency_key),
        target=f"POST {request.url.path}"[:200],
        body={**body.model_dump(mode="json", exclude={"password"}), "version": version},
    )
    if body.password is not None:
        confirm_person(request, actor, body.password.get_secret_value())

    threads: list[str | None] = []
    with system.database.write() as session:

        def refused(error: QuartermasterError) -> dict[str, Any]:
            tell_refusal(
                session, error, number=number, decision=body.decision, version=version,
                actor=actor, clock=system.clock, channel=CHANNEL,
            )  # fmt: skip
            return problem_of(error, request)

        answer = answer_once(
            session, keyed,
            lambda inner: _decide(inner, system, actor, number, version, body, threads),
            now=system.clock.now(), refusal=refused,
        )  # fmt: skip
    _follow(background, number, threads)
    return _response(answer)


def _follow(background: Background, number: str, threads: Sequence[str | None]) -> None:
    """Send what is due, and tell the order's thread if it has one; nothing after a repeat."""
    if any(threads):
        background.tell_decision(number.strip().lower())
    elif threads:
        background.wake()


def _decide(
    session: Session,
    system: System,
    actor: Actor,
    number: str,
    version: int,
    body: DecisionMade,
    threads: list[str | None],
) -> dict[str, Any]:
    """Decide, and return the outcome as plain JSON values; notes whom to tell in ``threads``."""
    outcome = approving.decide(
        session,
        number=number,
        version=version,
        decision=body.decision,
        actor=actor,
        clock=system.clock,
        company=system.company,
        channel=CHANNEL,
        reason=body.reason,
        edits=None if body.edits is None else [edit.model_dump() for edit in body.edits],
        fingerprint=body.fingerprint,
        reauthenticated=body.password is not None,
    )
    threads.append(outcome.approval.thread_id or outcome.approval.order.thread_id)
    told: dict[str, Any] = jsonable_encoder(
        {
            "approval": approval_json(outcome.approval),
            "order": outcome.order_number,
            "order_state": outcome.order_state,
            "message": outcome.message,
        }
    )
    return told


def agreed_version(in_body: int | None, if_match: str | None) -> int:
    """Return the version that the person read, from the body or the ``If-Match`` header.

    Raises:
        InvalidInput: It is missing, not a version, or the two differ.
    """
    if if_match is None:
        if in_body is None:
            raise InvalidInput(
                "a decision names the version that was read",
                next_step="Send the approval's version in the body, or its ETag as If-Match.",
            )
        return in_body
    found = re.fullmatch(r'(?:W/)?"?([1-9]\d{0,8})"?', if_match.strip())
    if found is None:
        raise InvalidInput('If-Match must be the ETag of the approval, such as "1"')
    if in_body is not None and in_body != int(found[1]):
        raise InvalidInput(f"the body says version {in_body}, If-Match says {found[1]}")
    return int(found[1])


def approval_json(view: ApprovalView) -> dict[str, Any]:
    """Return an approval as JSON; money is decimal text."""
    return {
        "id": view.number,
        "version": view.version,
        "state": view.state.value,
        "order": order_json(view.order),
        "revision": view.revision,
        "fingerprint": view.fingerprint,
        "digest": view.digest,
        "total": view.total,
        "currency": view.currency,
        "approver_role": view.required_role,
        "rule": view.rule,
        "requested_by": view.requested_by,
        "requested_at": view.requested_at,
        "expires_at": view.expires_at,
        "decision": _decision_json(view),
        "checks": [check.as_json() for check in view.checks],
        "why": [
            {
                "sku": why.sku,
                "rec_id": why.recommendation,
                "quantity": why.quantity,
                "waterfall": list(why.terms),
            }
            for why in view.why
        ],
        "required_signatures": view.required_signatures,
        "needs_reauthentication": view.needs_reauthentication,
        "policy_version": view.policy_version,
        "signatures": [_signature_json(one) for one in view.signatures],
    }


def _signature_json(one: SignatureView) -> dict[str, Any]:
    return {
        "login": one.login,
        "name": one.name,
        "at": one.at,
        "meaning": one.meaning,
        "reason": one.reason,
        "channel": one.channel,
        "reauthenticated": one.is_reauthenticated,
    }


def _decision_json(view: ApprovalView) -> dict[str, Any] | None:
    if view.decision is None:
        return None
    return {
        "decision": view.decision.value,
        "by": view.decided_by,
        "at": view.decided_at,
        "reason": view.reason,
        "channel": view.channel,
    }


def _response(answer: Answer) -> Response:
    headers = {"Idempotency-Replayed": "true"} if answer.is_repeat else None
    kind = JSONResponse if answer.status_code < 400 else ProblemResponse
    return kind(answer.body, answer.status_code, headers)
