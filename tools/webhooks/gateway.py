"""Orders as signed HTTP messages to a supplier's own server."""

import json
import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import httpcore2

from tools.clock import Clock
from tools.documents.core.order import Buyer
from tools.documents.core.render import render
from tools.errors import ExternalError
from tools.outbox.core import failed
from tools.text import plain_line
from tools.webhooks.core import headers, pinned, retry_after_s, target

LONGEST_ANSWER = 65_536  # bytes of it that are read
_AGAIN = frozenset({408, 425, 429})  # refused for now
_WITH_DELAY = frozenset({429, 503})
Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the machine resolves it.

    Raises:
        OSError: It has none, or nobody answers.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class WebhookChannel:
    """Posts an order to its supplier's server, signed, under a key that the server recognises.

    The receiver must treat a key that it has seen as the same order: that is what
    ``Idempotency-Key`` asks of it, and what makes it safe to try again after silence. The name is
    resolved once and the connection goes to that very address, which must be public; TLS is
    verified against the name; a redirect is a refusal.
    """

    name: ClassVar[str] = "webhook"
    is_idempotent: ClassVar[bool] = True

    def __init__(
        self,
        secrets: Mapping[str, str],
        *,
        clock: Clock,
        open_to: Collection[str] = (),
        timeout_s: float = 10.0,
        buyer: Buyer | None = None,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take what a delivery needs.

        Args:
            secrets: What is shared with each supplier, by code.
            clock: Time, for the signature.
            open_to: Hosts and addresses inside the house that may be called.
            timeout_s: Longest a delivery takes in all, whatever the server does; seconds.
            buyer: Who we are, in documents.
            resolve: From a name to its addresses.
            tls: How a server's certificate is verified; default: the system's authorities.
        """
        self._secrets = {code.casefold(): secret.encode() for code, secret in secrets.items()}
        self._clock = clock
        self._open_to = frozenset(open_to)
        self._timeout_s = timeout_s
        self._buyer = buyer
        self._resolve = resolve
        self._tls = tls

    def has_secret(self, code: str) -> bool:
        """Whether messages to this supplier can be signed."""
        return code.casefold() in self._secrets

    def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
        """Post the order; returns the receiver's reference.

        Raises:
            ExternalError: It did not arrive, or may have; the same key may be sent again.
            InvalidInput: The address is none that orders may go to.
        """
        delivery, code = payload["delivery"], str(payload["supplier"]["code"])
        secret = self._secrets.get(code.casefold())
        if secret is None:
            raise failed(
                f"there is no webhook secret for supplier {code!r}",
                next_step="Add it to QM_WEBHOOK_SECRETS and let the delivery be sent again.",
                is_unsent=True, is_final=True,
            )  # fmt: skip
        url = str(delivery["address"])
        _, host, _ = target(url, open_to=self._open_to)
        document = render(str(delivery["format"]), payload, self._buyer)
        sent = {
            "Content-Type": document.media_type,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "Quartermaster",
            "Idempotency-Key": key,
            **headers(secret, at=self._clock.now(), body=document.content),
        }
        status, answer, said = self._post(url, host, sent, document.content)
        return self._understood(host, status, answer, said)

    def _post(
        self, url: str, host: str, sent: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and the beginning of the answer."""
        ends_s = time.monotonic() + self._timeout_s
        backend = _Pinned(self._resolve, self._open_to, lambda: ends_s - time.monotonic())
        pool = httpcore2.ConnectionPool(
            self._tls or ssl.create_default_context(), network_backend=backend, max_connections=1,
            max_keepalive_connections=0,
        )  # fmt: skip
        wait = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        try:
            with (
                pool,
                pool.stream(
                    "POST",
                    url,
                    headers=list(sent.items()),
                    content=body,
                    extensions={"timeout": wait},
                ) as response,
            ):
                answer = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in response.headers
                }
                return response.status, answer, _beginning(response)
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            text = f"{host!r} cannot be reached: {error!s}"
            raise failed(text, is_unsent=True) from error
        except (
            httpcore2.TimeoutException,
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
        ) as error:
            reason = str(error) or f"no answer within {self._timeout_s:g} s"
            raise failed(f"{host!r} did not answer: {reason}") from error

    def _understood(self, host: str, status: int, answer: Mapping[str, str], said: bytes) -> str:
        """Return the receiver's reference, or say what its answer means."""
        if 200 <= status < 300 or status == 409:
            return _reference(said) or f"{host} answered {status}"
        text = f"{host!r} answered {status}"
        if 300 <= status < 400:
            raise failed(f"{text}: redirects are not followed", is_final=True)
        if status in _AGAIN or status >= 500:
            wish = retry_after_s(answer, now=self._clock.now()) if status in _WITH_DELAY else None
            raise failed(text, retry_after_s=wish)
        raise _refused(text, said)


def _refused(text: str, said: bytes) -> ExternalError:
    quoted = plain_line(said[:400].decode("utf-8", "replace"), longest=200)
    return failed(f"{text}: {quoted}" if quoted else text, is_final=True)


def _reference(said: bytes) -> str:
    """Return what the receiver calls the order; empty when it does not say so in JSON."""
    try:
        reference = json.loads(said)["reference"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return plain_line(str(reference), longest=200) if isinstance(reference, str | int) else ""


def _beginning(response: httpcore2.Response) -> bytes:
    """Read an answer up to a bound; what lies behind it is not read.

    An answer that breaks off after its status is an answer: the order is booked.
    """
    read = bytearray()
    try:
        for chunk in response.iter_stream():
            read += chunk
            if len(read) > LONGEST_ANSWER:
                return b""
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        return b""
    return bytes(read)


class _Pinned(httpcore2.NetworkBackend):
    """Connects to the address that was looked at, and nowhere else."""

    def __init__(
        self, resolve: Resolve, open_to: Collection[str], left_s: Callable[[], float]
    ) -> None:
        self._resolve = resolve
        self._open_to = open_to
        self._left_s = left_s
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *given: Any, **named: Any
    ) -> httpcore2.NetworkStream:
        """Resolve, look, connect.

        Raises:
            ConnectError: The name has no address now.
            InvalidInput: It leads into the house.
        """
        try:
            addresses = self._resolve(host, port)
        except OSError as error:
            raise httpcore2.ConnectError(f"the name cannot be resolved: {error!s}") from error
        address = pinned(host, addresses, open_to=self._open_to)
        stream = self._sockets.connect_tcp(
            address, port, _within(timeout, self._left_s, httpcore2.ConnectTimeout), *given, **named
        )
        return _Timed(stream, self._left_s)


class _Timed(httpcore2.NetworkStream):
    """A stream whose every wait ends when the whole delivery must."""

    def __init__(self, stream: httpcore2.NetworkStream, left_s: Callable[[], float]) -> None:
        self._stream = stream
        self._left_s = left_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read within the time that is left."""
        return self._stream.read(max_bytes, _within(timeout, self._left_s, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write within the time that is left."""
        self._stream.write(buffer, _within(timeout, self._left_s, httpcore2.WriteTimeout))

    def close(self) -> None:
        """Close."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:  # fmt: skip
        """Verify the server against its name, within the time that is left."""
        secured = self._stream.start_tls(
            ssl_context, server_hostname,
            _within(timeout, self._left_s, httpcore2.ConnectTimeout),
        )  # fmt: skip
        return _Timed(secured, self._left_s)

    def get_extra_info(self, info: str) -> Any:
        """Return what the socket knows."""
        return self._stream.get_extra_info(info)


def _within(timeout: float | None, left_s: Callable[[], float], late: type[Exception]) -> float:
    """Return how long a wait may be.

    Raises:
        Exception: ``late``, when no time is left.
    """
    left = left_s()
    if left <= 0:
        raise late("the time for this delivery is over")
    return left if timeout is None else min(timeout, left)
