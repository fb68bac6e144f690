"""Who is asking: an API key in the ``Authorization`` header, nothing else."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Session, select
from starlette.concurrency import run_in_threadpool

from api.bootstrap import System
from db.models.identity import ApiKey
from db.types import Actor
from tools.errors import NotAuthenticated
from tools.identity.core import read_key
from tools.identity.service import authenticate
from tools.tracing import bind

_NOTED_LATELY = timedelta(seconds=50)  # inside the minute in which the service notes nothing anew

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
    """Authenticate without the write lock, except once a minute to note the key's use."""
    with system.database.read() as session:
        if _was_noted_lately(session, key, system.clock.now()):
            return authenticate(session, key, clock=system.clock)
    with system.database.write() as session:
        return authenticate(session, key, clock=system.clock)


def _was_noted_lately(session: Session, key: str, now: datetime) -> bool:
    noted = session.exec(
        select(ApiKey.last_used_at).where(ApiKey.key_id == read_key(key).key_id)
    ).first()
    return noted is not None and now - noted < _NOTED_LATELY
