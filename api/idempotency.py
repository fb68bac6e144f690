"""A request with an ``Idempotency-Key`` takes effect once; a repeat gets the same answer.

The row is written in the transaction of the effect: either both exist or neither. A second request
that comes while the first runs waits for that transaction and then finds the answer.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from db.models.identity import IdempotentRequest
from db.types import Actor
from tools.errors import Conflict, InvalidInput, QuartermasterError

MAX_KEY = 120


@dataclass(frozen=True)
class Answer:
    """What a request was answered, now or the first time."""

    status_code: int
    body: dict[str, Any]
    is_repeat: bool = False


@dataclass(frozen=True)
class KeyedRequest:
    """Identity of a request: who sent which key with what to where."""

    actor: Actor
    key: str
    target: str
    body: dict[str, Any]

    @property
    def body_hash(self) -> str:
        """SHA-256 over the canonical body."""
        canonical = json.dumps(self.body, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(canonical.encode()).hexdigest()


def answer_once(
    session: Session,
    request: KeyedRequest,
    effect: Callable[[Session], dict[str, Any]],
    *,
    refusal: Callable[[QuartermasterError], dict[str, Any]],
    now: datetime,
    status_code: int = 200,
) -> Answer:
    """Run ``effect`` unless this key was answered before; remember the answer with it.

    An expected refusal is remembered too (its own changes are undone), so that a repeat hears the
    same; a bug is not.

    Args:
        session: A write transaction.
        request: Identity of the request.
        effect: Does the work and returns the body of the answer.
        refusal: Makes the body of an expected error.
        now: Time of the request.
        status_code: HTTP status of a good answer.

    Raises:
        InvalidInput: The key was used for another request.
        Conflict: The first request with this key has no answer yet.
    """
    row_id = _claim(session, request, now)
    if row_id is None:
        return _remembered(session, request)
    try:
        with session.begin_nested():
            answer = Answer(status_code, effect(session))
    except QuartermasterError as error:
        if error.status_code >= 500:  # somebody else failed; a repeat may fare better
            raise
        answer = Answer(error.status_code, refusal(error))
    session.execute(
        update(IdempotentRequest)
        .where(col(IdempotentRequest.id) == row_id)
        .values(status_code=answer.status_code, response=answer.body)
        .execution_options(synchronize_session=False)
    )
    return answer


def parse_key(header: str | None) -> str:
    """Check an ``Idempotency-Key`` header; the quotes of a structured field are optional.

    Raises:
        InvalidInput: It is missing, empty, too long or not printable ASCII.
    """
    key = (header or "").strip().removeprefix('"').removesuffix('"')
    if not key:
        raise InvalidInput(
            "this request needs an Idempotency-Key header",
            next_step="Send a fresh random key with each decision, and the same one when you "
            "repeat it.",
        )
    if len(key) > MAX_KEY or not (key.isascii() and key.isprintable()):
        raise InvalidInput(
            f"the Idempotency-Key must be 1 to {MAX_KEY} printable ASCII characters",
            next_step="A UUID is a good key.",
        )
    return key


def _claim(session: Session, request: KeyedRequest, now: datetime) -> int | None:
    """Insert the row, or return None when the key is taken (on PostgreSQL: after waiting)."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    insert = sqlite.insert if is_sqlite else postgresql.insert
    statement = (
        insert(IdempotentRequest)
        .values(
            principal_id=request.actor.user_id,
            key=request.key,
            request=request.target,
            body_hash=request.body_hash,
            response={},
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["principal_id", "key"])
        .returning(IdempotentRequest.__table__.c.id)  # type: ignore[attr-defined]
    )
    return session.execute(statement).scalar_one_or_none()


def _remembered(session: Session, request: KeyedRequest) -> Answer:
    row = session.exec(
        select(IdempotentRequest).where(
            IdempotentRequest.principal_id == request.actor.user_id,
            IdempotentRequest.key == request.key,
        )
    ).one()
    if (row.request, row.body_hash) != (request.target, request.body_hash):
        raise InvalidInput(
            f"the Idempotency-Key {request.key!r} was used for another request",
            next_step="Use a fresh key for each decision.",
        )
    if row.status_code is None:
        raise Conflict(
            "the first request with this Idempotency-Key is still running",
            next_step="Repeat it in a second.",
        )
    return Answer(row.status_code, row.response, is_repeat=True)
