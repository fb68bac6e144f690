"""Is the process alive, and is it ready to work."""

import http.client
import logging
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as WaitedTooLong

from api.background import Background
from api.bootstrap import System, shipped_revision, stored_revision
from api.dependencies import BackgroundDep, SystemDep
from api.problems import ProblemResponse, place, problem
from api.routes.examples import problem_answer

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

MODEL_TIMEOUT_S = 2.0
WRITE_PATIENCE_S = 2.0  # several batches of an import
LEAST_FREE_BYTES = 50_000_000
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
async def healthz() -> Health:
    """Tell that the process is alive, however busy it is."""
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
                        "checks": {
                            "database": "ok",
                            "migrations": "ok",
                            "disk": "ok",
                            "worker": "ok",
                        },
                    }
                }
            }
        },
        503: problem_answer("unavailable", 503),
    },
)
async def readyz(
    request: Request, system: SystemDep, background: BackgroundDep
) -> JSONResponse | Readiness:
    """Tell whether the database, the worker and the model server are ready."""
    # A thread of its own: the usual ones may all wait for the very lock that this tells of.
    checks = await run_sync(_checks, system, background, limiter=CapacityLimiter(1))
    if set(checks.values()) == {OK}:
        return Readiness(status=OK, checks=checks)
    body = problem(
        503, code="unavailable", detail="the server is not ready", details=checks, **place(request)
    )
    return ProblemResponse(body, 503)


def _checks(system: System, background: Background) -> dict[str, str]:
    checks = database_checks(system)
    checks["disk"] = disk_check(system.settings.data_dir)
    checks["worker"] = background.health()
    if system.settings.model_url:
        checks["model"] = model_check(system.settings.model_url)
    return checks


def database_checks(system: System) -> dict[str, str]:
    """Say whether the database answers, takes writes and is at this version's revision."""
    try:
        revision = stored_revision(system.database)
        with system.database.write(patience_s=WRITE_PATIENCE_S) as session:
            session.execute(text("SELECT 1"))
    except (OperationalError, WaitedTooLong) as error:
        logger.warning("database does not answer", extra={"why": type(error).__name__})
        return {"database": "does not answer or takes no writes", "migrations": "unknown"}
    except SQLAlchemyError:
        logger.exception("database does not answer")
        return {"database": "does not answer", "migrations": "unknown"}
    expected = shipped_revision()
    migrations = OK if revision == expected else f"at {revision!r}, not {expected!r}"
    return {"database": OK, "migrations": migrations}


def disk_check(folder: Path) -> str:
    """Say whether there is room for what is written next."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"cannot be seen: {error.strerror}"
    return OK if free >= LEAST_FREE_BYTES else f"{free / 1e6:.0f} MB left"


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
