"""Every failure as ``application/problem+json`` (RFC 9457), without echoing what was sent."""

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from tools.errors import NotAuthenticated, QuartermasterError, TooManyRequests

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:quartermaster:problem:"
MAX_ERRORS = 20
RETRY_AFTER_S = "2"
_PASSING_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)
_PASSING_STATES = ("08", "40", "53", "55", "57")  # connection, deadlock, resources, lock, shutdown
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}  # older Pythons say otherwise


class Problem(BaseModel):
    """A failure (RFC 9457); members without content are left out."""

    type: str = Field(description="URN that ends with the code.")
    title: str
    status: int
    code: str = Field(description="Stable name of the kind of problem.")
    detail: str = Field(description="A sentence for a person.")
    next: str | None = Field(default=None, description="What to do now.")
    details: dict[str, Any] | None = Field(
        default=None, description="Values for machines: candidates of a name, current version."
    )
    errors: list[dict[str, str]] | None = Field(
        default=None, description="Each invalid part of the request: in, pointer, detail."
    )
    incident: str | None = Field(default=None, description="Number under which a bug was logged.")
    instance: str | None = None
    request_id: str | None = None


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = MEDIA_TYPE


def problem(
    status: int,
    *,
    code: str,
    detail: str,
    instance: str = "",
    request_id: str = "",
    **extra: Any,
) -> dict[str, Any]:
    """Return a problem document; empty members are left out.

    Args:
        status: HTTP status.
        code: Stable name of the kind of problem, the end of ``type``.
        detail: A sentence for a person.
        instance: Path of the request.
        request_id: Id under which the log knows the request.
        extra: Further members: ``next``, ``details``, ``errors``, ``incident``.
    """
    document = {
        "type": TYPE_PREFIX + code,
        "title": _title(status),
        "status": status,
        "code": code,
        "detail": detail,
        "instance": instance,
        "request_id": request_id,
        **extra,
    }
    return {name: value for name, value in document.items() if value not in ("", None, {}, [])}


def problem_of(error: QuartermasterError, request: Request) -> dict[str, Any]:
    """Return the problem document of an expected error."""
    return problem(
        error.status_code,
        code=error.code,
        detail=error.message,
        next=error.next_step,
        details=jsonable_encoder(error.details),
        **place(request),
    )


def place(request: Request) -> dict[str, str]:
    """Return where the problem happened: path and request id."""
    return {
        "instance": request.url.path,
        "request_id": getattr(request.state, "request_id", ""),
    }


def status_of(code: str) -> int:
    """Return the HTTP status of an error code of the tree; 500 for one that is not in it."""
    return _STATUS.get(code, 500)


def error_of(envelope: Mapping[str, Any]) -> QuartermasterError:
    """Turn a tool's failure envelope back into the error that it came from."""
    kind = _KINDS.get(str(envelope["error"]), QuartermasterError)
    return kind(
        str(envelope["message"]),
        next_step=str(envelope.get("next", "")),
        details=envelope.get("details"),
    )


def install(app: FastAPI) -> None:
    """Register the handlers of expected errors; bugs are caught by the gate."""
    app.add_exception_handler(QuartermasterError, _on_expected)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(OperationalError, _on_database)
    app.add_exception_handler(PoolTimeout, _on_database)


async def _on_expected(request: Request, error: Exception) -> ProblemResponse:
    expected = cast(QuartermasterError, error)
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, NotAuthenticated) else {}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.details["retry_after_s"])
        request.state.refused = error.details  # the gate refuses the next ones by itself
    return ProblemResponse(problem_of(expected, request), expected.status_code, headers)


async def _on_invalid_request(request: Request, error: Exception) -> ProblemResponse:
    invalid = cast(RequestValidationError, error)
    errors = [_located(item) for item in invalid.errors()[:MAX_ERRORS]]
    first = errors[0]
    where = f"{first['in']} {first['pointer']}".strip()
    body = problem(
        422, code="invalid_input", detail=f"{where}: {first['detail']}", errors=errors,
        **place(request),
    )  # fmt: skip
    return ProblemResponse(body, 422)


async def _on_http(request: Request, error: Exception) -> ProblemResponse:
    refused = cast(HTTPException, error)
    phrase = _title(refused.status_code)
    body = problem(
        refused.status_code,
        code=phrase.lower().replace(" ", "_"),
        detail=str(refused.detail or phrase),
        **place(request),
    )
    return ProblemResponse(body, refused.status_code, refused.headers)


async def _on_database(request: Request, error: Exception) -> ProblemResponse:
    """A busy or absent database is nobody's bug; what else it says is one, and goes to the gate."""
    if not is_passing(error):
        raise error
    logger.warning("database unavailable", extra={"why": type(error).__name__})
    if metrics := getattr(request.app.state, "metrics", None):
        metrics.database_errors.labels(type(error).__name__).inc()
    body = problem(
        503,
        code="unavailable",
        detail="the database is busy, its disk is full, or it cannot be reached",
        next="Send the same request again in a moment.",
        **place(request),
    )
    return ProblemResponse(body, 503, {"Retry-After": RETRY_AFTER_S})


def is_passing(error: Exception) -> bool:
    """Whether a database error goes away by itself: a lock, a lost connection, a full pool."""
    if isinstance(error, PoolTimeout):
        return True
    cause = error.orig if isinstance(error, OperationalError) else None
    if isinstance(cause, sqlite3.OperationalError):
        return cause.sqlite_errorcode & 0xFF in _PASSING_CODES
    state = getattr(cause, "sqlstate", None)  # None: the server did not get to say anything
    return cause is not None and (state is None or state[:2] in _PASSING_STATES)


def _title(status: int) -> str:
    return _TITLES.get(status, HTTPStatus(status).phrase)


def _located(item: Mapping[str, Any]) -> dict[str, str]:
    """Say where and what, never the value: it may be secret, huge or not even JSON."""
    location: Sequence[str | int] = item["loc"]
    is_malformed = item["type"] == "json_invalid"
    path = "" if is_malformed else "".join(f"/{part}" for part in location[1:])
    message = "is not valid JSON" if is_malformed else str(item["msg"])
    return {"in": str(location[0]), "pointer": path, "detail": message[:200]}


def _tree(root: type[QuartermasterError]) -> Iterator[type[QuartermasterError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


_KINDS = {kind.code: kind for kind in _tree(QuartermasterError)}
_STATUS = {code: kind.status_code for code, kind in _KINDS.items()}
