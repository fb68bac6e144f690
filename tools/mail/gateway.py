"""Orders by e-mail, through the house's own mail server.

A mail server recognises nothing it has seen, so this channel never tries again when it does not
know. What it does know: until the single dot that ends a message is on its way, a server must
throw away what it has (RFC 5321, 4.1.1.4), so a failure before it is surely unsent. After the dot,
silence is doubt, and a person asks the supplier.
"""

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, ClassVar, Literal

from tools.clock import Clock
from tools.documents.core.order import Buyer
from tools.errors import ExternalError
from tools.mail.core import order_mail
from tools.outbox.core import failed
from tools.text import plain_line

Tls = Literal["starttls", "tls", "none"]


@dataclass(frozen=True)
class MailServer:
    """Where mail goes out. ``user`` empty: no login. ``tls`` none: only on this machine."""

    host: str
    sender: str
    port: int = 587
    user: str = ""
    password: str = ""
    tls: Tls = "starttls"


class MailChannel:
    """Sends each order as one e-mail with PDF and CSV to the address that was approved."""

    name: ClassVar[str] = "email"
    is_idempotent: ClassVar[bool] = False

    def __init__(
        self,
        server: MailServer,
        *,
        clock: Clock,
        buyer: Buyer,
        timeout_s: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take what a delivery needs.

        Args:
            server: Where mail goes out.
            clock: Time, for the Date header.
            buyer: Who we are.
            timeout_s: Longest a delivery takes in all, whatever the server does; seconds.
            tls: How the server's certificate is verified; default: the system's authorities.
        """
        self._server = server
        self._clock = clock
        self._buyer = buyer
        self._timeout_s = timeout_s
        self._tls = tls

    def deliver(self, key: str, payload: Mapping[str, Any]) -> str:
        """Send the order; returns its Message-ID.

        Raises:
            ExternalError: The server did not take it; ``is_unsent`` says whether that is sure.
            InvalidInput: The approved address is none, or the order cannot be written.
        """
        message = order_mail(
            key, payload, sender=self._server.sender, buyer=self._buyer, at=self._clock.now()
        )
        with self._connected() as smtp:
            _send(smtp, message)
        return str(message["Message-ID"])

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """Yield a session that is encrypted, logged in and over in time."""
        server = self._server
        context = self._tls or ssl.create_default_context()
        smtp = (
            smtplib.SMTP_SSL(timeout=self._timeout_s, context=context)
            if server.tls == "tls"
            else smtplib.SMTP(timeout=self._timeout_s)
        )
        smtp._host = server.host  # type: ignore[attr-defined]  # the name to verify
        try:
            with _bounded(smtp, self._timeout_s):
                with _early_failures(server.host):
                    self._greet(smtp, context)
                yield smtp
                with suppress(smtplib.SMTPException, OSError):
                    smtp.quit()
        finally:
            smtp.close()

    def _greet(self, smtp: smtplib.SMTP, context: ssl.SSLContext) -> None:
        server = self._server
        _expect(smtp.connect(server.host, server.port), 220)
        if server.tls == "starttls":
            smtp.starttls(context=context)
        smtp.ehlo_or_helo_if_needed()
        if server.user:
            smtp.login(server.user, server.password)


def _send(smtp: smtplib.SMTP, message: EmailMessage) -> None:
    """Hand the message over, step by step: what a failure means depends on the step."""
    with _unsent_failures():
        _expect(smtp.mail(str(message["From"])), 250)
        _expect(smtp.rcpt(str(message["To"])), 250, 251)
        _expect(smtp.docmd("DATA"), 354)
        smtp.send(_dotted(message))
    try:
        smtp.send(b".\r\n")
        code, said = smtp.getreply()
    except (smtplib.SMTPException, OSError) as error:
        raise failed(
            f"the mail server said nothing after it had the whole order: {_why(error)}",
            next_step="Ask the supplier whether the order arrived, then settle the delivery.",
        ) from error
    if code != 250:
        raise _refused(code, said)


def _dotted(message: EmailMessage) -> bytes:
    """Return the message as lines that end in CR LF, dots doubled, without the last dot."""
    lines = message.as_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines)


def _expect(reply: tuple[int, bytes], *codes: int) -> None:
    code, said = reply
    if code not in codes:
        raise _refused(code, said)


def _refused(code: int, said: bytes) -> ExternalError:
    """Return the failure that the server's answer stands for: 4xx is for now, 5xx for good."""
    text = plain_line(said.decode("utf-8", "replace"), longest=200)
    return failed(
        f"the mail server answered {code} {text}", is_unsent=True, is_final=500 <= code < 600
    )


@contextmanager
def _unsent_failures() -> Iterator[None]:
    try:
        yield
    except (smtplib.SMTPException, OSError) as error:
        raise failed(f"the mail server broke off: {_why(error)}", is_unsent=True) from error


@contextmanager
def _early_failures(host: str) -> Iterator[None]:
    """Say that nobody's mail goes out: the server is away, not encrypted or does not know us."""
    try:
        yield
    except (smtplib.SMTPException, OSError, ExternalError) as error:
        raise failed(
            f"the mail server {host!r} cannot be used: {_why(error)}",
            next_step="Check the QM_SMTP_... settings.",
            is_unsent=True, is_channel=True,
        ) from error  # fmt: skip


def _why(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        return plain_line(f"{error.smtp_code} {text}", longest=200)
    return plain_line(str(error) or type(error).__name__, longest=200)


@contextmanager
def _bounded(smtp: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """Cut the connection when the time is over: a server may drip a byte a minute for hours."""

    def cut() -> None:
        sock = smtp.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
