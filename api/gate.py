"""The outermost layer of the HTTP door: request ids, host names, sizes, headers, incidents.

Plain ASGI, because it must also cover what fails before a route is found, and must not buffer
event streams.
"""

import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ProblemResponse, problem
from tools.tracing import bound

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Gate:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Collection[str], max_body_bytes: int):
        # FastAPI's own limit sits outside of us and answers a large body in plain text.
        self.app = RequestBodyLimitMiddleware(app, max_body_size=max_body_bytes)
        self.allowed_hosts = {name.lower() for name in allowed_hosts}
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = headers.get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        with bound(request_id=request_id):
            started_s = time.monotonic()
            await self._pass(scope, headers, receive, answer)
            logger.info(
                "request answered",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": answer.status,
                    "duration_ms": round((time.monotonic() - started_s) * 1000),
                },
            )

    async def _pass(
        self, scope: Scope, headers: Headers, receive: Receive, answer: "_Answer"
    ) -> None:
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, answer.send)
            return
        try:
            await self.app(scope, receive, answer.send)
        except Exception:  # the one handler of bugs: log once, show a number
            incident = secrets.token_hex(4)
            logger.exception("request failed", extra={"incident": incident})
            if answer.status is None:
                await self._incident(scope, incident)(scope, receive, answer.send)

    def _refusal(self, scope: Scope, headers: Headers) -> ProblemResponse | None:
        if not self._is_our_host(headers.get("host", "")):
            return _problem(
                scope, 400, "unknown_host", "the Host header does not name this server",
                next="Add the name to QM_ALLOWED_HOSTS.",
            )  # fmt: skip
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return _problem(scope, 400, "bad_request", "an address holds no NUL characters")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.max_body_bytes:
            return _problem(
                scope, 413, "content_too_large",
                f"the body is larger than {self.max_body_bytes} bytes",
            )  # fmt: skip
        return None

    def _is_our_host(self, host: str) -> bool:
        name = re.sub(r":\d*$", "", host).strip("[]").lower()
        if name == "localhost" or name in self.allowed_hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    @staticmethod
    def _incident(scope: Scope, incident: str) -> ProblemResponse:
        return _problem(
            scope, 500, "internal_error", f"something went wrong; incident {incident}",
            incident=incident, next="Give the incident number to whoever runs the server.",
        )  # fmt: skip


class _Answer:
    """Sends a response with our headers and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            headers.setdefault("Cache-Control", "no-store")
            for name, value in _SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _problem(scope: Scope, status: int, code: str, detail: str, **extra: str) -> ProblemResponse:
    return ProblemResponse(
        problem(
            status, code=code, detail=detail, instance=scope["path"],
            request_id=scope["state"]["request_id"], **extra,
        ),
        status,
    )  # fmt: skip
