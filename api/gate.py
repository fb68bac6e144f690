"""The outermost layer of the HTTP door: request ids, host names, limits, headers, incidents.

Plain ASGI, because it must also cover what fails before a route is found, and must not buffer
event streams.
"""

import asyncio
import hashlib
import ipaddress
import logging
import re
import secrets
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.limits import ADDRESS, MESSAGES, PERSON, SIGN_IN, Allowance, Lanes, Meter, Place, refusal
from api.patience import BodyTooSlow, PatientBody
from api.problems import ProblemResponse, problem
from api.settings import Settings
from tools import tracing

logger = logging.getLogger(__name__)

VERSION = "/v1"  # a route does not know the prefix under which it was included
SIGN_IN_PATH = f"{VERSION}/session"
TARPIT_S = 0.25  # a refused client waits: who asks in a loop asks four times a second
MOST_TARPITTED = 100
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS = "max-age=63072000"


class Gate:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, *, settings: Settings, meter: Meter) -> None:
        # FastAPI's own limit sits outside of us and answers a large body in plain text.
        self.app = RequestBodyLimitMiddleware(app, max_body_size=settings.max_body_bytes)
        self.allowed_hosts = {name.lower() for name in settings.allowed_hosts}
        self.max_body_bytes = settings.max_body_bytes
        self.body_timeout_s = settings.body_timeout_s
        self.headers = dict(SECURITY_HEADERS)
        if settings.behind_tls:
            self.headers["Strict-Transport-Security"] = HSTS
        self._meter = meter
        self._lanes = Lanes(settings.parallel_requests)
        self._tarpitted = 0

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
        answer = _Answer(send, scope, self.headers)
        with tracing.bound(request_id=request_id), tracing.span("request", "") as outcome:
            started_s = time.monotonic()
            await self._pass(scope, headers, receive, answer)
            outcome.of(f"{scope['method']} {_template(scope)}", str(answer.status))
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
        refused = self._refusal(scope, headers) or await self._over_limit(scope, headers)
        if refused is not None:
            await refused(scope, receive, answer.send)
            return
        caller = _caller(scope, headers)
        async with self._lanes.turn(caller) as place:
            answer.place = place
            await self._answered(scope, receive, answer)
        over = scope["state"].get("refused")
        if over is not None and over["limit"] in (PERSON, MESSAGES):
            self._meter.close(over["limit"], caller, for_s=over["retry_after_s"])

    async def _answered(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        body = _Body(scope, receive, answer, within_s=self.body_timeout_s)
        try:
            await self.app(scope, body.receive, answer.send)
        except Exception:  # the one handler of bugs: log once, show a number
            incident = secrets.token_hex(4)
            logger.exception("request failed", extra={"incident": incident})
            if answer.status is None:
                await self._incident(scope, incident)(scope, receive, answer.send)

    async def _over_limit(self, scope: Scope, headers: Headers) -> ProblemResponse | None:
        """Count the request of this address; who is over a limit waits a moment for its refusal."""
        caller = _caller(scope, headers)
        is_post, address = scope["method"] == "POST", _address(scope)
        over = self._meter.take(ADDRESS, address)
        known: Allowance | None = None if over.is_open else over
        if is_post and scope["path"] == SIGN_IN_PATH:
            tried = self._meter.take(SIGN_IN, address)
            known = known or (None if tried.is_open else tried)
        known = known or self._meter.closed(PERSON, caller)
        if is_post and scope["path"].endswith("/messages"):
            known = known or self._meter.closed(MESSAGES, caller)
        if known is None:
            return None
        if self._tarpitted < MOST_TARPITTED:
            self._tarpitted += 1
            try:
                await asyncio.sleep(TARPIT_S)
            finally:
                self._tarpitted -= 1
        return _too_many(scope, known)

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
        if scope["method"] not in _SAFE_METHODS and _is_from_another_site(headers):
            return _problem(scope, 403, "cross_site", "a page of another site sent this request")
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

    def __init__(self, send: Send, scope: Scope, headers: dict[str, str]) -> None:
        self._send = send
        self._scope = scope
        self._headers = headers
        self.status: int | None = None
        self.is_over = False
        self.place: Place | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers."""
        if self.is_over:  # it was answered for the application
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._scope["state"]["request_id"]
            headers.setdefault("Cache-Control", "no-store")
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            allowance: Allowance | None = self._scope["state"].get("allowance")
            for name, value in ({} if allowance is None else allowance.headers()).items():
                headers.setdefault(name, value)
            if self.place and headers.get("content-type", "").startswith("text/event-stream"):
                self.place.leave()  # a stream waits most of its time
        await self._send(message)


class _Body:
    """Reads the body; one that does not come in time is answered and cut off."""

    def __init__(self, scope: Scope, receive: Receive, answer: _Answer, *, within_s: float) -> None:
        self._scope, self._answer = scope, answer
        self._body = PatientBody(receive, within_s=within_s)

    async def receive(self) -> Message:
        """Wait for the next piece, or say that the client is gone."""
        try:
            return await self._body.receive()
        except BodyTooSlow:
            if self._answer.status is None:
                late = _problem(self._scope, 408, "request_timeout", "the body took too long")
                late.headers["Connection"] = "close"
                await late(self._scope, self._body.receive, self._answer.send)
            self._answer.is_over = True
            return {"type": "http.disconnect"}


def _template(scope: Scope) -> str:
    """Return the route's path as it was written, never what was sent."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return "unmatched"
    is_nested = scope["path"].startswith(VERSION) and not path.startswith(VERSION)
    return VERSION + str(path) if is_nested else str(path)


def _caller(scope: Scope, headers: Headers) -> str:
    """Name the sender without knowing yet whether the key is one of ours."""
    sign = headers.get("authorization") or headers.get("cookie")
    if sign is None:
        return _address(scope)
    return hashlib.sha256(sign.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "local"


def _is_from_another_site(headers: Headers) -> bool:
    """Whether a browser says that the page that sends this is not ours."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _too_many(scope: Scope, allowance: Allowance) -> ProblemResponse:
    error = refusal(allowance)
    scope["state"]["allowance"] = allowance
    return _problem(
        scope, error.status_code, error.code, error.message,
        next=error.next_step, details=error.details,
    )  # fmt: skip


def _problem(scope: Scope, status: int, code: str, detail: str, **extra: object) -> ProblemResponse:
    return ProblemResponse(
        problem(
            status, code=code, detail=detail, instance=scope["path"],
            request_id=scope["state"]["request_id"], **extra,
        ),
        status,
    )  # fmt: skip
