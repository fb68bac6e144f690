"""One request that changes something, once: the way through ``api.idempotency`` for routes."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlmodel import Session

from api.bootstrap import System
from api.idempotency import KeyedRequest, answer_once, parse_key
from api.problems import ProblemResponse, problem_of
from db.types import Actor

IdempotencyKey = Annotated[
    str, Header(description="A fresh random key for each request; the same one to repeat it.")
]


def answered_once(
    request: Request,
    system: System,
    actor: Actor,
    *,
    key: str,
    body: BaseModel,
    effect: Callable[[Session], dict[str, Any]],
    status: int = 200,
) -> Response:
    """Run an effect unless this key was answered before, and return the answer as it was given.

    Args:
        request: The request; its path is part of its identity.
        system: The running system.
        actor: Who asks.
        key: The ``Idempotency-Key`` header.
        body: What was sent.
        effect: Does the work in the transaction and returns the body of the answer.
        status: HTTP status of a good answer.

    Raises:
        InvalidInput: The key is missing or was used for another request.
    """
    keyed = KeyedRequest(
        actor=actor, key=parse_key(key), target=f"POST {request.url.path}"[:200],
        body=body.model_dump(mode="json", exclude={"password"}),
    )  # fmt: skip
    with system.database.write() as session:
        answer = answer_once(
            session, keyed, lambda inner: jsonable_encoder(effect(inner)),
            refusal=lambda error: problem_of(error, request), now=system.clock.now(),
            status_code=status,
        )  # fmt: skip
    headers = {"Idempotency-Replayed": "true"} if answer.is_repeat else None
    kind = JSONResponse if answer.status_code < 400 else ProblemResponse
    return kind(answer.body, answer.status_code, headers)
