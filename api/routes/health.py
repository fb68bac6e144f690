"""Is the process alive, and is it ready to work."""

import http.client
import logging
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.bootstrap import System, shipped_revision, stored_revision
from api.dependencies import BackgroundDep, SystemDep
from api.problems import ProblemResponse, place, problem
from api.routes.examples import problem_answer

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

MODEL_TIMEOUT_S = 2.0
OK = "ok"


class Health(BaseModel):
    """The process answers."""

    status: str = OK


class Readiness(BaseModel):
    """Each part and how it is."""

    status: str
    checks: dict[str, str]


@router.get(
    "/healthz",
    responses={200: {"content": {"application/json": {"example": {"status": "ok"}}}}},
)
def healthz() -> Health:
    """Tell that the process is alive."""
    return Health()


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "status": "ok",
                        "checks": {"database": "ok", "migrations": "ok", "worker": "ok"},
                    }
                }
            }
        },
        503: problem_answer("unavailable", 503),
    },
)
def readyz(
    request: Request, system: SystemDep, background: BackgroundDep
) -> JSONResponse | Readiness:
    """Tell whether the database, the worker and the model server are ready."""
    checks = database_checks(system)
    checks["worker"] = background.health()
    if system.settings.model_url:
        checks["model"] = model_check(system.settings.model_url)
    if set(checks.values()) == {OK}:
        return Readiness(status=OK, checks=checks)
    body = problem(
        503, code="unavailable", detail="the server is not ready", details=checks, **place(request)
    )
    return ProblemResponse(body, 503)


def database_checks(system: System) -> dict[str, str]:
    """Say whether the database answers and is at this version's revision."""
    try:
        with system.database.read() as session:
            session.execute(text("SELECT 1"))
        revision = stored_revision(system.database)
    except SQLAlchemyError:
        logger.exception("database does not answer")
        return {"database": "does not answer", "migrations": "unknown"}
    expected = shipped_revision()
    migrations = OK if revision == expected else f"at {revision!r}, not {expected!r}"
    return {"database": OK, "migrations": migrations}


def model_check(url: str) -> str:
    """Say whether a model server answers at all."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=MODEL_TIMEOUT_S)
    try:
        connection.request("GET", parts.path.rstrip("/") + "/models")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return "does not answer"
    finally:
        connection.close()
    return OK if status < 500 else f"answers {status}"
