"""Who is asking: an API key in the ``Authorization`` header, nothing else."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from api.bootstrap import System
from api.logging import bind
from db.types import Actor
from tools.errors import NotAuthenticated
from tools.identity.service import authenticate

_bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="qm_<environment>_<id>_<secret>",
    description="An API key that belongs to a person; `quartermaster` creates it.",
)


async def current_actor(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Actor:
    """Return the person behind the key; the log of this request names them from here on.

    Raises:
        NotAuthenticated: There is no key, or not one of ours, or it expired.
    """
    system: System = request.app.state.system
    if credentials is None:
        raise NotAuthenticated(
            "this needs an API key", next_step="Send 'Authorization: Bearer qm_...'."
        )
    actor = await run_in_threadpool(_authenticated, system, credentials.credentials)
    bind(actor=actor.login)
    return actor


def _authenticated(system: System, key: str) -> Actor:
    with system.database.write() as session:
        return authenticate(session, key, clock=system.clock)
