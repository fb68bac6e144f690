"""Who is asking: an API key in the ``Authorization`` header, nothing else."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.bootstrap import System
from db.types import Actor
from tools.errors import NotAuthenticated
from tools.identity.service import authenticate

_bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="qm_<environment>_<id>_<secret>",
    description="An API key that belongs to a person; `quartermaster` creates it.",
)


def current_actor(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Actor:
    """Return the person behind the key.

    Raises:
        NotAuthenticated: There is no key, or not one of ours, or it expired.
    """
    system: System = request.app.state.system
    if credentials is None:
        raise NotAuthenticated(
            "this needs an API key", next_step="Send 'Authorization: Bearer qm_...'."
        )
    with system.database.write() as session:
        return authenticate(session, credentials.credentials, clock=system.clock)
