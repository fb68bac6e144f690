"""Tokens of an identity provider: a real server publishes real keys."""

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.conftest import NOW
from tools.clock import FixedClock
from tools.errors import ExternalError, NotAuthenticated
from tools.signin.core import Issuer
from tools.signin.gateway import DISCOVERY, KeySet, TokenReader

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
CODECS: dict[str, Any] = {
    "RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}  # fmt: skip


def published(algorithm: str, key: Any, key_id: str, **more: Any) -> dict[str, Any]:
    shown: dict[str, Any] = CODECS[algorithm].to_jwk(key.public_key(), as_dict=True)
    return {**shown, "kid": key_id, "use": "sig", **more}


@dataclass
class Provider:
    """An identity provider on this machine."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    location: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> Any:
        self.asked.append(path)
        if path == DISCOVERY:
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return {"keys": self.keys}


@pytest.fixture
def provider() -> Iterator[Provider]:
    state = Provider()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(state.answer(self.path)).encode()
            self.send_response(state.status)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    state.keys = [
        published("RS256", RSA, "rsa-1"), published("ES256", EC, "ec-1"),
        published("EdDSA", ED, "ed-1"),
    ]  # fmt: skip
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def reader(provider: Provider, clock: FixedClock) -> TokenReader:
    issuer = Issuer(provider.url, "quartermaster")
    return TokenReader(issuer, KeySet(issuer, clock=clock), clock=clock)


def claims(provider: Provider, **other: Any) -> dict[str, Any]:
    now = int(NOW.timestamp())
    usual = {
        "iss": provider.url, "aud": "quartermaster", "sub": "mona-1", "iat": now, "exp": now + 300,
    }  # fmt: skip
    return {k: v for k, v in {**usual, **other}.items() if v is not None}


def token(provider: Provider, *, key: Any = RSA, algorithm: str = "RS256", kid: str = "rsa-1",
          **other: Any) -> str:  # fmt: skip
    return jwt.encode(claims(provider, **other), key, algorithm=algorithm, headers={"kid": kid})


def forged(header: dict[str, Any], body: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(body).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class TestGoodTokens:
    @pytest.mark.parametrize(
        ("algorithm", "key", "kid"),
        [("RS256", RSA, "rsa-1"), ("ES256", EC, "ec-1"), ("EdDSA", ED, "ed-1")],
    )
    def test_each_pinned_algorithm(
        self, provider: Provider, reader: TokenReader, algorithm: str, key: Any, kid: str
    ) -> None:
        said = reader.read(token(provider, key=key, algorithm=algorithm, kid=kid))

        assert (said.issuer, said.subject) == (provider.url, "mona-1")

    def test_one_of_several_audiences(self, provider: Provider, reader: TokenReader) -> None:
        assert reader.read(token(provider, aud=["else", "quartermaster"])).subject == "mona-1"

    @pytest.mark.parametrize(("verified", "seen"), [(True, "m@x.org"), (False, ""), ("true", "")])
    def test_only_a_verified_address_counts(
        self, provider: Provider, reader: TokenReader, verified: Any, seen: str
    ) -> None:
        said = reader.read(token(provider, email="m@x.org", email_verified=verified))

        assert said.email == seen

    def test_clocks_may_differ_by_half_a_minute(
        self, provider: Provider, reader: TokenReader, clock: FixedClock
    ) -> None:
        text = token(provider)

        for seconds, holds in ((-30, True), (-31, False), (329, True), (330, False)):
            clock.at = NOW + timedelta(seconds=seconds)
            if holds:
                reader.read(text)
            else:
                with pytest.raises(NotAuthenticated, match=r"expired|future"):
                    reader.read(text)


class TestForgedTokens:
    @pytest.mark.parametrize("name", ["none", "None", "nOnE", "HS256", "RS512", "PS256", "", None])
    def test_other_ways_to_sign_are_refused(
        self, provider: Provider, reader: TokenReader, name: str | None
    ) -> None:
        with pytest.raises(NotAuthenticated):
            reader.read(forged({"alg": name, "kid": "rsa-1", "typ": "JWT"}, claims(provider)))

    def test_the_public_key_is_no_shared_secret(
        self, provider: Provider, reader: TokenReader
    ) -> None:
        """The classic confusion: HS256 with the published RSA key as its secret."""
        import hashlib
        import hmac

        public = RSA.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        unsigned = forged({"alg": "HS256", "kid": "rsa-1"}, claims(provider)).rpartition(".")[0]
        mac = hmac.new(public, unsigned.encode(), hashlib.sha256).digest()
        signed = unsigned + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

        with pytest.raises(NotAuthenticated, match="not accepted here"):
            reader.read(signed)

    def test_a_symmetric_key_in_the_set_never_counts(
        self, provider: Provider, reader: TokenReader
    ) -> None:
        secret = base64.urlsafe_b64encode(b"s" * 32).rstrip(b"=").decode()
        provider.keys.append({"kty": "oct", "k": secret, "kid": "oct-1", "alg": "HS256"})

        with pytest.raises(NotAuthenticated):
            reader.read(token(provider, key="s" * 32, algorithm="HS256", kid="oct-1"))

    def test_an_algorithm_that_does_not_fit_the_named_key(
        self, provider: Provider, reader: TokenReader
    ) -> None:
        with pytest.raises(NotAuthenticated, match="does not fit the key"):
            reader.read(token(provider, key=EC, algorithm="ES256", kid="rsa-1"))

    @pytest.mark.parametrize(
        ("other", "says"),
        [
            ({"iss": "https://evil.example"}, "another issuer"),
            ({"aud": "somebody-else"}, "meant for somebody else"),
            ({"exp": int(NOW.timestamp()) - 31}, "expired"),
            ({"iat": int(NOW.timestamp()) + 31}, "future"),
            ({"nbf": int(NOW.timestamp()) + 31}, "future"),
            ({"exp": None}, "not right"), ({"iat": None}, "not right"),
            ({"sub": None}, "not right"),
            ({"aud": None}, "somebody else|not right"), ({"iss": None}, "issuer|not right"),
            ({"sub": ""}, "who it is about"), ({"exp": 10**18}, "no usable 'exp'"),
        ],
    )  # fmt: skip
    def test_wrong_claims(
        self, provider: Provider, reader: TokenReader, other: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(NotAuthenticated, match=says):
            reader.read(token(provider, **other))

    def test_another_key_under_a_known_name(self, provider: Provider, reader: TokenReader) -> None:
        with pytest.raises(NotAuthenticated, match="signature or content"):
            reader.read(token(provider, key=OTHER_RSA))

    @pytest.mark.parametrize("text", ["", "x", "a.b.c", "..", "é.ü.ß", "x" * 9_000])
    def test_what_is_no_token_at_all(self, reader: TokenReader, text: str) -> None:
        with pytest.raises(NotAuthenticated):
            reader.read(text)

    def test_a_changed_letter(self, provider: Provider, reader: TokenReader) -> None:
        head, body, signature = token(provider).split(".")
        other = json.loads(base64.urlsafe_b64decode(body + "=="))
        changed = json.dumps({**other, "sub": "adam-1"}).encode()
        fake = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()

        with pytest.raises(NotAuthenticated):
            reader.read(f"{head}.{fake}.{signature}")


class TestKeySet:
    def test_is_found_by_discovery_and_fetched_once(
        self, provider: Provider, reader: TokenReader
    ) -> None:
        for _ in range(5):
            reader.read(token(provider))

        assert provider.asked == [DISCOVERY, "/keys"]

    def test_a_new_key_is_found_but_unknown_names_ask_once_a_minute(
        self, provider: Provider, reader: TokenReader, clock: FixedClock
    ) -> None:
        reader.read(token(provider))
        provider.keys = [published("RS256", OTHER_RSA, "rsa-2")]
        for number in range(20):  # within the minute nothing is asked
            with pytest.raises(NotAuthenticated, match="not known here"):
                reader.read(token(provider, key=OTHER_RSA, kid=f"rsa-{number + 2}"))
        assert provider.asked.count("/keys") == 1

        clock.at = NOW + timedelta(minutes=1)

        assert reader.read(token(provider, key=OTHER_RSA, kid="rsa-2")).subject == "mona-1"
        with pytest.raises(NotAuthenticated):  # the old key is gone with the rotation
            reader.read(token(provider))
        assert provider.asked.count("/keys") == 2

    def test_keys_are_fetched_anew_after_a_quarter_of_an_hour(
        self, provider: Provider, reader: TokenReader, clock: FixedClock
    ) -> None:
        reader.read(token(provider))
        clock.at = NOW + timedelta(minutes=15)

        reader.read(token(provider, exp=int(NOW.timestamp()) + 3600))

        assert provider.asked.count("/keys") == 2

    def test_a_provider_that_is_down_stops_nobody_who_was_let_in_before(
        self, provider: Provider, reader: TokenReader, clock: FixedClock
    ) -> None:
        late: dict[str, Any] = {"exp": int(NOW.timestamp()) + 9_000}
        reader.read(token(provider, **late))
        provider.status = 503
        clock.at = NOW + timedelta(hours=2)

        assert reader.read(token(provider, **late)).subject == "mona-1"

    @pytest.mark.parametrize("status", [302, 404, 500])
    def test_without_any_keys_it_is_the_providers_failure(
        self, provider: Provider, reader: TokenReader, status: int
    ) -> None:
        provider.status, provider.location = status, f"{provider.url}/elsewhere"

        with pytest.raises(ExternalError):
            reader.read(token(provider))

        assert "/elsewhere" not in provider.asked  # redirects are not followed

    def test_a_description_of_somebody_else_is_not_believed(
        self, provider: Provider, clock: FixedClock
    ) -> None:
        issuer = Issuer(provider.url + "/tenant", "quartermaster")
        keys = KeySet(issuer, clock=clock)

        with pytest.raises(ExternalError):
            keys.find("rsa-1")

    def test_a_stated_address_needs_no_discovery(
        self, provider: Provider, clock: FixedClock
    ) -> None:
        issuer = Issuer(provider.url, "quartermaster")
        keys = KeySet(issuer, clock=clock, url=f"{provider.url}/keys")

        assert keys.find("rsa-1")["kty"] == "RSA"
        assert provider.asked == ["/keys"]
