"""Orders by webhook to a real server that behaves and misbehaves."""

import hashlib
import hmac
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOW
from tests.factories_documents import (
    KEY,
    make_certificate,
    make_payload,
    ubl_problems,
    x12_problems,
)
from tests.fault.supplier_stub import SupplierStub
from tools.clock import FixedClock
from tools.errors import ExternalError, InvalidInput
from tools.outbox.core import Outcome, outcome
from tools.webhooks.gateway import WebhookChannel

SECRET = "sixteen characters"


@pytest.fixture
def stub() -> Iterator[SupplierStub]:
    with SupplierStub("dedupe") as started:
        yield started


def _channel(**options: Any) -> WebhookChannel:
    given: dict[str, Any] = {"clock": FixedClock(NOW), "open_to": ["127.0.0.1"], **options}
    return WebhookChannel({"acme": SECRET}, **given)


def _payload(url: str, form: str = "json", **changes: Any) -> dict[str, Any]:
    delivery = {"channel": "webhook", "address": url, "format": form}
    return make_payload(delivery=delivery, **changes)


def _failure(channel: WebhookChannel, url: str) -> tuple[str, Outcome]:
    with pytest.raises(ExternalError) as raised:
        channel.deliver(KEY, _payload(url))
    return raised.value.message, outcome(raised.value.details)


class TestDelivered:
    def test_the_order_is_signed_and_keyed(self, stub: SupplierStub) -> None:
        assert _channel().deliver(KEY, _payload(stub.url)) == "SO-1"

        (call,) = stub.calls
        signed = b"1772442000." + call.body
        by_hand = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert call.headers["x-quartermaster-signature"] == f"v1={by_hand}"
        assert call.headers["x-quartermaster-timestamp"] == "1772442000"
        assert call.key == KEY
        assert json.loads(call.body)["total"] == "15069.60"

    def test_a_second_time_is_the_same_order(self, stub: SupplierStub) -> None:
        references = [_channel().deliver(KEY, _payload(stub.url)) for _ in range(3)]

        assert references == ["SO-1"] * 3
        assert [call.status for call in stub.calls] == [201, 409, 409]
        assert stub.orders == {KEY: ["SO-1"]}

    @pytest.mark.parametrize(
        ("form", "media_type"), [("x12", "application/edi-x12"), ("ubl", "application/xml")]
    )
    def test_in_the_suppliers_format(self, stub: SupplierStub, form: str, media_type: str) -> None:
        _channel().deliver(KEY, _payload(stub.url, form))

        (call,) = stub.calls
        problems = x12_problems if form == "x12" else ubl_problems
        assert call.headers["content-type"] == media_type
        assert problems(call.body.decode()) == []

    @pytest.mark.parametrize("mode", ["wrong-json", "huge"])
    def test_what_it_says_beside_yes_does_not_matter(self, stub: SupplierStub, mode: str) -> None:
        stub.mode = mode

        assert _channel().deliver(KEY, _payload(stub.url)) == "127.0.0.1 answered 200"


class TestFailed:
    @pytest.mark.parametrize(
        ("mode", "text", "said"),
        [
            ("500", "answered 500", Outcome()),
            ("503-retry-after:30", "answered 503", Outcome(retry_after_s=30)),
            ("429-retry-after", "answered 429", Outcome(retry_after_s=7)),
            ("408", "answered 408", Outcome()),
            ("400", "answered 400: .*stub says 400", Outcome(is_final=True)),
            ("401", "answered 401", Outcome(is_final=True)),
            ("redirect", "redirects are not followed", Outcome(is_final=True)),
            ("redirect-to-metadata", "redirects are not followed", Outcome(is_final=True)),
            ("drop-after-read", "did not answer", Outcome()),
        ],
    )
    def test_what_a_failure_means(
        self, stub: SupplierStub, mode: str, text: str, said: Outcome
    ) -> None:
        stub.mode = mode

        message, found = _failure(_channel(), stub.url)

        assert re.search(text, message), message
        assert found == said
        assert stub.paths == ["/orders"]

    @pytest.mark.parametrize("mode", ["hang", "slow-drip"])
    def test_it_ends_in_time_whatever_the_server_does(self, stub: SupplierStub, mode: str) -> None:
        stub.mode = mode
        began_s = time.monotonic()

        message, found = _failure(_channel(timeout_s=0.5), stub.url)

        assert time.monotonic() - began_s < 1.5
        assert "did not answer" in message
        assert found == Outcome()

    def test_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

        message, found = _failure(_channel(), f"http://127.0.0.1:{port}/")

        assert "cannot be reached" in message
        assert found == Outcome(is_unsent=True)

    def test_a_supplier_without_a_secret(self, stub: SupplierStub) -> None:
        channel = WebhookChannel({"other": SECRET}, clock=FixedClock(NOW), open_to=["127.0.0.1"])

        message, found = _failure(channel, stub.url)

        assert "no webhook secret for supplier 'ACME'" in message
        assert found == Outcome(is_unsent=True, is_final=True)
        assert stub.accepted == 0


class TestAddress:
    """No order, and no probe, goes into the house."""

    @pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://acme.example/"])
    def test_without_tls_only_where_it_is_allowed(self, url: str) -> None:
        with pytest.raises(InvalidInput, match="https"):
            _channel(open_to=[]).deliver(KEY, _payload(url))

    @pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "10.0.0.8"])
    def test_a_name_that_leads_into_the_house(self, stub: SupplierStub, address: str) -> None:
        channel = _channel(open_to=[], resolve=lambda _host, _port: [address])

        with pytest.raises(InvalidInput, match=f"leads to {address}"):
            channel.deliver(KEY, _payload(f"https://acme.example:{stub.port}/orders"))

        assert stub.accepted == 0

    def test_a_name_is_resolved_once_and_that_address_is_called(self, stub: SupplierStub) -> None:
        answers = [["127.0.0.1"], ["127.0.0.2"]]  # what a rebinding server would say
        channel = _channel(
            open_to=["acme.example"], resolve=lambda _host, _port: answers.pop(0)
        )  # fmt: skip

        channel.deliver(KEY, _payload(f"http://acme.example:{stub.port}/orders"))

        assert answers == [["127.0.0.2"]]
        assert stub.calls[0].headers["host"] == f"acme.example:{stub.port}"

    def test_a_proxy_of_the_environment_is_not_used(
        self, stub: SupplierStub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

        assert _channel().deliver(KEY, _payload(stub.url)) == "SO-1"


class TestTls:
    def test_the_certificate_is_verified_against_the_name(self, tmp_path: Path) -> None:
        right, wrong = (
            make_certificate(tmp_path, name) for name in ("acme.example", "evil.example")
        )

        assert _over_tls(right, trusted=right) == "SO-1"
        with pytest.raises(ExternalError, match=r"cannot be reached.*certificate verify"):
            _over_tls(wrong, trusted=wrong)
        with pytest.raises(ExternalError, match="certificate verify failed"):
            _over_tls(right, trusted=wrong)


def _over_tls(shown: Path, *, trusted: Path) -> str:
    """Deliver to a server that shows one certificate, trusting another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown)
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_answer_once, args=(server, context), daemon=True)
        answering.start()
        channel = _channel(
            open_to=["acme.example"], resolve=lambda _host, _port: ["127.0.0.1"],
            tls=ssl.create_default_context(cafile=str(trusted)), timeout_s=5.0,
        )  # fmt: skip
        port = server.getsockname()[1]
        try:
            return channel.deliver(KEY, _payload(f"https://acme.example:{port}/"))
        finally:
            answering.join(timeout=5)


def _answer_once(server: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = server.accept()
    try:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65_536)
            body = b'{"reference": "SO-1"}'
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    except (ssl.SSLError, OSError):
        connection.close()
