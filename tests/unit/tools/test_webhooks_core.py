"""Signatures and addresses of webhooks."""

import hashlib
import hmac
from datetime import UTC, datetime

import pytest

from tools.errors import InvalidInput
from tools.webhooks.core import headers, is_public, pinned, retry_after_s, signature, target

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class TestSignature:
    def test_it_is_the_hmac_of_time_and_body(self) -> None:
        by_hand = hmac.new(b"s" * 16, b"1772442000.{}", hashlib.sha256).hexdigest()

        sent = headers(b"s" * 16, at=NOW, body=b"{}")

        assert sent == {
            "X-Quartermaster-Timestamp": "1772442000",
            "X-Quartermaster-Signature": f"v1={by_hand}",
        }

    def test_time_body_and_secret_all_count(self) -> None:
        signed = {
            signature(secret, timestamp=timestamp, body=body)
            for secret in (b"a", b"b")
            for timestamp in (1, 2)
            for body in (b"x", b"y")
        }

        assert len(signed) == 8


class TestTarget:
    def test_an_https_address_is_one(self) -> None:
        assert target("https://acme.example/orders?x=1") == ("https", "acme.example", 443)
        assert target("https://acme.example:8443/") == ("https", "acme.example", 8443)

    @pytest.mark.parametrize(
        "url",
        ["http://acme.example/", "ftp://acme.example/", "acme.example", "", "https://",
         "https://user:pass@acme.example/", "https://acme.example/#x", "file:///etc/passwd",
         "https://acme.example:99999/", "https://acme.example/\r\nHost: x", "https://[::1",
         "https://\u0430cme.example/", "javascript:alert(1)", "https://a b/"],
    )  # fmt: skip
    def test_anything_else_is_refused(self, url: str) -> None:
        with pytest.raises(InvalidInput):
            target(url)

    def test_a_host_in_the_house_needs_no_tls(self) -> None:
        assert target("http://erp.internal/x", open_to=["erp.internal"])[1] == "erp.internal"


class TestPinned:
    @pytest.mark.parametrize(
        "address",
        ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
         "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0",
         "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
         "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:7f00:1::", "198.18.0.1", "not an address"],
    )  # fmt: skip
    def test_no_address_inside_the_house(self, address: str) -> None:
        assert not is_public(address)
        with pytest.raises(InvalidInput, match="not a public address"):
            pinned("acme.example", [address])

    @pytest.mark.parametrize(
        "address",
        ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"],
    )  # fmt: skip
    def test_public_addresses_are_called(self, address: str) -> None:
        assert pinned("acme.example", [address]) == address

    def test_one_private_address_among_public_ones_is_enough(self) -> None:
        with pytest.raises(InvalidInput, match=r"leads to 10\.0\.0\.1"):
            pinned("acme.example", ["93.184.216.34", "10.0.0.1"])

    def test_what_is_allowed_by_name_or_address(self) -> None:
        assert pinned("erp.internal", ["10.0.0.1"], open_to=["erp.internal"]) == "10.0.0.1"
        assert pinned("erp.internal", ["10.0.0.1"], open_to=["10.0.0.1"]) == "10.0.0.1"

    def test_a_name_without_address(self) -> None:
        with pytest.raises(InvalidInput, match="no address"):
            pinned("acme.example", [])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("Mon, 02 Mar 2026 09:01:00 GMT", 60), ("soon", None), ("", None),
     ("Mon, 02 Mar 2026 08:00:00 GMT", 0), ("-5", None), ("1e9", None), ("²", None),
     ("9" * 5000, 999_999_999)],
)  # fmt: skip
def test_a_receiver_says_how_long_to_wait(header: str, seconds: int | None) -> None:
    assert retry_after_s({"retry-after": header}, now=NOW) == seconds
