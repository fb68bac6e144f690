"""Orders by e-mail to a real mail server (aiosmtpd) that accepts, refuses, breaks off and hangs."""

import asyncio
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from tests.conftest import NOW
from tests.factories_documents import KEY, make_certificate, make_payload, x12_problems
from tools.clock import FixedClock
from tools.documents.core.order import Buyer
from tools.errors import ExternalError, InvalidInput
from tools.mail.core import check_address, message_id, order_mail
from tools.mail.gateway import MailChannel, MailServer
from tools.outbox.core import Outcome, outcome

BUYER = Buyer("Northwind Trading", "NORTHWIND")
SENDER = "buying@northwind.example"
Reply = Callable[["Inbox", Any], str]


class Inbox:
    """What the server was given, and how it answers: a reply for RCPT and one for the message."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.rcpt = "250 OK"
        self.data = "250 OK queued as 1"
        self.on_data: Callable[[SMTP], Any] = lambda _server: None

    async def handle_RCPT(
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:  # fmt: skip
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        self.recipients.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        waited = self.on_data(server)
        if waited is not None:
            await waited
        return self.data


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def server(inbox: Inbox) -> Iterator[MailServer]:
    controller = Controller(inbox, hostname="127.0.0.1", port=_free_port(), server_hostname="mx")
    controller.start()
    yield MailServer("127.0.0.1", SENDER, port=controller.port, tls="none")
    controller.stop()


def _abort(server: Any) -> None:
    server.transport.abort()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _channel(server: MailServer, **options: Any) -> MailChannel:
    return MailChannel(server, clock=FixedClock(NOW), buyer=BUYER, **options)


def _failure(channel: MailChannel) -> tuple[str, Outcome]:
    with pytest.raises(ExternalError) as raised:
        channel.deliver(KEY, make_payload())
    return raised.value.message, outcome(raised.value.details)


class TestDelivered:
    def test_pdf_and_csv_reach_the_address_that_was_approved(
        self, server: MailServer, inbox: Inbox
    ) -> None:
        reference = _channel(server).deliver(KEY, make_payload())

        (message,) = inbox.messages
        assert inbox.recipients == ["orders@acme.example"]
        assert message["Message-ID"] == reference == message_id(KEY, SENDER)
        assert (message["From"], message["Subject"]) == (SENDER, "Purchase order PO-2001")
        pdf, table = message.iter_attachments()
        assert (pdf.get_filename(), table.get_filename()) == ("PO-2001-r1.pdf", "PO-2001-r1.csv")
        page = PdfReader(io.BytesIO(pdf.get_content())).pages[0].extract_text()
        assert "15,069.60" in page
        assert "WIDGET-A" in table.get_content()
        body = message.get_body(("plain",))
        assert body is not None
        assert KEY in body.get_content()
        assert "Mona Meyer, 2026-03-02 09:00:00 UTC, meaning: approval" in body.get_content()

    def test_the_suppliers_format_is_attached_as_well(
        self, server: MailServer, inbox: Inbox
    ) -> None:
        delivery = {"channel": "email", "address": "orders@acme.example", "format": "x12"}

        _channel(server).deliver(KEY, make_payload(delivery=delivery))

        attached = list(inbox.messages[0].iter_attachments())
        assert [one.get_filename() for one in attached][2] == "PO-2001-r1.x12"
        assert x12_problems(attached[2].get_content().decode()) == []

    def test_a_server_that_breaks_off_after_its_yes_has_the_order(
        self, inbox: Inbox, server: MailServer
    ) -> None:
        inbox.data = "250 OK\r\n421 bye"

        assert _channel(server).deliver(KEY, make_payload()) == message_id(KEY, SENDER)


class TestSurelyUnsent:
    """Tried again, or given up; nobody has to ask the supplier."""

    def test_nobody_listens(self) -> None:
        message, found = _failure(_channel(MailServer("127.0.0.1", SENDER, port=_free_port(),
                                                      tls="none")))  # fmt: skip

        assert "cannot be used" in message
        assert found == Outcome(is_unsent=True, is_channel=True)

    @pytest.mark.parametrize(
        ("reply", "is_final"), [("550 no such user", True), ("451 greylisted", False)]
    )
    def test_the_recipient_is_refused(
        self, server: MailServer, inbox: Inbox, reply: str, is_final: bool
    ) -> None:
        inbox.rcpt = reply

        message, found = _failure(_channel(server))

        assert reply in message
        assert found == Outcome(is_unsent=True, is_final=is_final)
        assert inbox.messages == []

    @pytest.mark.parametrize(
        ("reply", "is_final"), [("554 looks like spam", True), ("452 disk full", False)]
    )
    def test_the_message_is_refused(
        self, server: MailServer, inbox: Inbox, reply: str, is_final: bool
    ) -> None:
        inbox.data = reply

        message, found = _failure(_channel(server))

        assert reply in message
        assert found == Outcome(is_unsent=True, is_final=is_final)

    def test_it_breaks_off_before_the_last_dot(self) -> None:
        with _raw_server(lambda line: None if line.startswith(b"DATA") else b"250 OK") as server:
            message, found = _failure(_channel(server))

        assert "broke off" in message
        assert found == Outcome(is_unsent=True)

    def test_it_hangs_before_the_last_dot(self) -> None:
        with _raw_server(
            lambda line: b"" if line.upper().startswith(b"RCPT") else b"250 OK"
        ) as server:
            began_s = time.monotonic()
            message, found = _failure(_channel(server, timeout_s=0.4))

        assert time.monotonic() - began_s < 2
        assert "broke off" in message
        assert found == Outcome(is_unsent=True)

    def test_a_server_that_drips_is_cut_off(self) -> None:
        with _raw_server(lambda _line: b"250 OK", drip_s=0.05) as server:
            began_s = time.monotonic()
            _, found = _failure(_channel(server, timeout_s=0.4))

        assert time.monotonic() - began_s < 2
        assert found == Outcome(is_unsent=True, is_channel=True)

    def test_without_encryption_nothing_is_said(self, inbox: Inbox, server: MailServer) -> None:
        demanding = MailServer(server.host, SENDER, port=server.port, user="u", password="geheim")

        message, found = _failure(_channel(demanding))

        assert "STARTTLS" in message
        assert "geheim" not in message
        assert found == Outcome(is_unsent=True, is_channel=True)
        assert inbox.recipients == []


class TestInDoubt:
    """After the last dot nobody knows: a person asks."""

    def test_it_drops_the_line_after_the_message(self, server: MailServer, inbox: Inbox) -> None:
        inbox.on_data = _abort

        message, found = _failure(_channel(server))

        assert "said nothing after it had the whole order" in message
        assert found == Outcome()
        assert len(inbox.messages) == 1

    def test_it_hangs_after_the_message(self, server: MailServer, inbox: Inbox) -> None:
        inbox.on_data = lambda _smtp: asyncio.sleep(1.5)
        began_s = time.monotonic()

        message, found = _failure(_channel(server, timeout_s=0.4))

        assert time.monotonic() - began_s < 1.2
        assert found == Outcome()
        assert "said nothing" in message


class TestLogin:
    def test_over_tls_with_a_password(self, inbox: Inbox, tmp_path: Path) -> None:
        path = make_certificate(tmp_path, "localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        logins: list[bytes] = []

        def check(_server: Any, _session: Any, _envelope: Any, _how: str, given: Any) -> AuthResult:
            logins.append(given.login)
            is_right = given.password == b"geheim"
            return AuthResult(success=is_right, handled=is_right)

        controller = Controller(
            inbox, hostname="127.0.0.1", port=_free_port(), tls_context=context,
            require_starttls=True, authenticator=check, auth_required=True,
        )  # fmt: skip
        controller.start()
        try:
            trusting = ssl.create_default_context(cafile=str(path))
            good = MailServer("localhost", SENDER, controller.port, "buyer", "geheim")
            bad = MailServer("localhost", SENDER, controller.port, "buyer", "falsch")
            assert _channel(good, tls=trusting).deliver(KEY, make_payload())
            message, found = _failure(_channel(bad, tls=trusting))
            untrusting, _ = _failure(_channel(good))
        finally:
            controller.stop()

        assert logins[0] == b"buyer"
        assert found == Outcome(is_unsent=True, is_channel=True)
        assert "535" in message
        assert "falsch" not in message
        assert "certificate verify failed" in untrusting
        assert len(inbox.messages) == 1


class TestMessage:
    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(name=st.text(max_size=80), number=st.text(min_size=1, max_size=40))
    def test_no_text_makes_a_header_or_ends_the_message(self, name: str, number: str) -> None:
        hostile = name + "\r\nBcc: thief@evil.example\r\n.\r\nMAIL FROM:<x@y.example>"
        supplier = {"code": "ACME", "name": hostile, "email": ""}
        payload = make_payload(supplier=supplier, number=number + "\r\nX-Evil: 1", ship_to=hostile)

        sent = order_mail(KEY, payload, sender=SENDER, buyer=BUYER, at=NOW).as_bytes()

        read = message_from_bytes(sent, policy=policy.default)
        assert set(read.keys()) == {
            "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Quartermaster-Key",
            "MIME-Version", "Content-Type",
        }  # fmt: skip
        assert read["To"] == "orders@acme.example"
        assert b"\r\n.\r\n" not in sent

    @pytest.mark.parametrize(
        "address",
        ["", "a", "a@b", "@b.example", "a@b.example,c@d.example", "a@b.example\r\nBcc: x@y.example",
         "A <a@b.example>", "a b@c.example", "a@b..example", "ä@b.example", "a@-b.example",
         "a@b.example>", "<a@b.example", ".a@b.example", "a..b@c.example", "a@b.1", "a@[127.0.0.1]",
         "a" * 65 + "@b.example", "a@" + "b" * 64 + ".example"],
    )  # fmt: skip
    def test_an_address_is_one_plain_address(self, address: str) -> None:
        with pytest.raises(InvalidInput, match="not an e-mail address"):
            check_address(address)
        delivery = {"channel": "email", "address": address, "format": "pdf"}
        with pytest.raises(InvalidInput):
            order_mail(KEY, make_payload(delivery=delivery), sender=SENDER, buyer=BUYER, at=NOW)

    def test_the_same_delivery_is_the_same_bytes(self) -> None:
        first, second = (
            order_mail(KEY, make_payload(), sender=SENDER, buyer=BUYER, at=NOW).as_bytes()
            for _ in range(2)
        )

        assert first == second

    def test_another_key_is_another_message(self) -> None:
        ids = {message_id(key, SENDER) for key in ("po:1:v1:a", "po:1:v2:a", "po.1.v1.a", KEY)}

        assert len(ids) == 4


class _raw_server:
    """A server that answers each line as told: bytes, nothing, or the end of the line."""

    def __init__(self, answer: Callable[[bytes], bytes | None], *, drip_s: float = 0) -> None:
        self._answer, self._drip_s = answer, drip_s
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> MailServer:
        self._thread.start()
        return MailServer("127.0.0.1", SENDER, port=self._socket.getsockname()[1], tls="none")

    def __exit__(self, *_error: object) -> None:
        self._thread.join(timeout=5)
        self._socket.close()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            self._say(connection, b"220 mx")
            for line in connection.makefile("rb"):
                said = self._answer(line)
                if said is None:
                    return
                self._say(connection, said)

    def _say(self, connection: socket.socket, said: bytes) -> None:
        try:
            for sign in said + b"\r\n" * bool(said):
                connection.sendall(bytes([sign]))
                time.sleep(self._drip_s)
        except OSError:
            return
