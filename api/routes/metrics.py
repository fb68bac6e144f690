"""Numbers for Prometheus; for this machine, or for who knows the token."""

import hmac
import ipaddress

from fastapi import APIRouter, Request, Response

from api.dependencies import SystemDep
from api.metrics import MEDIA_TYPE, Metrics
from tools.errors import NotAuthenticated

router = APIRouter()

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request, system: SystemDep) -> Response:
    """Show the numbers.

    Raises:
        NotAuthenticated: The token is not the one of the settings; or there is none and the
            request does not come from this machine itself.
    """
    token = system.settings.metrics_token.get_secret_value()
    if not (_knows(request, token) if token else _is_local(request)):
        raise NotAuthenticated(
            "these numbers are for this machine or for who knows the token",
            next_step="Set QM_METRICS_TOKEN and send it as 'Authorization: Bearer ...'.",
        )
    counted: Metrics = request.app.state.metrics
    return Response(counted.render(), media_type=MEDIA_TYPE)


def _knows(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def _is_local(request: Request) -> bool:
    """Whether the sender sits on this machine and is no proxy that speaks for somebody else."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
