"""Tokens of an identity provider, checked with the keys that it publishes.

PyJWT comes with the extra ``[oidc]`` and is imported when the first token is checked.
"""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx2

from tools.clock import Clock
from tools.errors import ExternalError, InvalidInput, NotAuthenticated
from tools.signin.core import (
    LONGEST_TOKEN,
    Issuer,
    check_times,
    checked_header,
    fits_key,
    usable_keys,
)

logger = logging.getLogger(__name__)

FETCH_TIMEOUT_S = 5.0
FETCH_TOTAL_S = 10.0  # also of a server that sends a byte at a time
MOST_BYTES = 512_000
FRESH = timedelta(minutes=15)
REFETCH = timedelta(minutes=1)  # at most this often, whatever key ids tokens name
DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Claims:
    """What a checked token says about a person."""

    issuer: str
    subject: str
    email: str  # only if the provider verified it


class KeySet:
    """The provider's keys, fetched when needed and kept for a while.

    A key id that is not known fetches the set anew, once a minute at most. When the provider does
    not answer, the keys that were fetched before stay good: signing people in goes on.
    """

    def __init__(self, issuer: Issuer, *, clock: Clock, url: str = "") -> None:
        self._issuer = issuer
        self._clock = clock
        self._url = url
        self._lock = threading.Lock()
        self._keys: dict[str, Mapping[str, Any]] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None

    def find(self, key_id: str) -> Mapping[str, Any]:
        """Return a key.

        Raises:
            NotAuthenticated: The provider has no such key.
            ExternalError: There are no keys yet, and the provider does not answer.
        """
        with self._lock:
            now = self._clock.now()
            is_old = self._fetched_at is None or now - self._fetched_at >= FRESH
            if (is_old or self._pick(key_id) is None) and self._may_try(now):
                self._fetch(now)
            if self._fetched_at is None:
                raise ExternalError("the identity provider's keys cannot be fetched")
            found = self._pick(key_id)
        if found is None:
            raise NotAuthenticated("this token is signed with a key that is not known here")
        return found

    def _pick(self, key_id: str) -> Mapping[str, Any] | None:
        if not key_id and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _may_try(self, now: datetime) -> bool:
        return self._tried_at is None or now - self._tried_at >= REFETCH

    def _fetch(self, now: datetime) -> None:
        self._tried_at = now
        try:
            with httpx2.Client(
                timeout=FETCH_TIMEOUT_S, follow_redirects=False, trust_env=False
            ) as client:
                url = self._url or self._discovered(client)
                keys = usable_keys(_read_json(client, url), self._issuer.algorithms)
        except (httpx2.HTTPError, httpx2.InvalidURL, ExternalError) as error:
            logger.warning("identity provider's keys not fetched", extra={"why": str(error)[:200]})
            return
        if not keys:
            logger.warning("identity provider published no usable key", extra={"url": url})
            return
        self._keys, self._fetched_at = keys, now

    def _discovered(self, client: httpx2.Client) -> str:
        """Ask the issuer where its keys are; what it says must be about itself."""
        told = _read_json(client, self._issuer.issuer.rstrip("/") + DISCOVERY)
        url = told.get("jwks_uri") if isinstance(told, Mapping) else None
        if not isinstance(url, str) or told.get("issuer") != self._issuer.issuer:
            raise ExternalError("the identity provider's description is not about this issuer")
        if self._issuer.issuer.startswith("https:") and not url.startswith("https:"):
            raise ExternalError("the identity provider's keys are not behind https")
        return url


class TokenReader:
    """Checks the bearer tokens of one identity provider."""

    def __init__(self, issuer: Issuer, keys: KeySet, *, clock: Clock) -> None:
        self.issuer = issuer
        self._keys = keys
        self._clock = clock

    def read(self, token: str) -> Claims:
        """Return what a token says, if the provider signed it for us and it is valid now.

        Raises:
            NotAuthenticated: It is not; the token is not repeated.
            ExternalError: The provider's keys cannot be fetched.
            InvalidInput: The extra ``[oidc]`` is not installed.
        """
        jwt = _pyjwt()
        if len(token) > LONGEST_TOKEN:
            raise NotAuthenticated("this token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise NotAuthenticated("this is neither an API key nor a token") from None
        algorithm, key_id = checked_header(header, self.issuer.algorithms)
        key = self._keys.find(key_id)
        if not fits_key(algorithm, key):
            raise NotAuthenticated("this token's signature does not fit the key that it names")
        claims = self._verified(jwt, token, algorithm, key)
        check_times(claims, now=self._clock.now(), leeway=self.issuer.leeway)
        return _claims(claims)

    def _verified(
        self, jwt: Any, token: str, algorithm: str, key: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                jwt.PyJWK.from_dict(dict(key), algorithm=algorithm).key,
                algorithms=[algorithm],
                audience=self.issuer.audience,
                issuer=self.issuer.issuer,
                options={
                    "require": ["iss", "aud", "exp", "iat", "sub"],
                    # the times are checked against our clock
                    "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                },
            )  # fmt: skip
        except jwt.InvalidIssuerError:
            raise NotAuthenticated("this token is from another issuer") from None
        except jwt.InvalidAudienceError:
            raise NotAuthenticated("this token is meant for somebody else") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise NotAuthenticated("this token's signature or content is not right") from None
        return claims


def _claims(claims: Mapping[str, Any]) -> Claims:
    subject, email = claims["sub"], claims.get("email")
    if not isinstance(subject, str) or not 0 < len(subject) <= 200:
        raise NotAuthenticated("this token does not say who it is about")
    is_verified = claims.get("email_verified") is True and isinstance(email, str)
    return Claims(str(claims["iss"]), subject, str(email) if is_verified else "")


def _read_json(client: httpx2.Client, url: str) -> Any:
    """Fetch a small JSON document.

    Raises:
        ExternalError: The answer is not 200, too large, too slow or not JSON.
    """
    end_s = time.monotonic() + FETCH_TOTAL_S
    with client.stream("GET", url) as answer:
        if answer.status_code != 200:
            raise ExternalError(f"{url} answered {answer.status_code}")
        body = b""
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > MOST_BYTES or time.monotonic() > end_s:
                raise ExternalError(f"{url} answered too much or too slowly")
    try:
        return httpx2.Response(200, content=body).json()
    except ValueError:
        raise ExternalError(f"{url} did not answer with JSON") from None


def _pyjwt() -> Any:
    try:
        import cryptography  # noqa: F401  (PyJWT alone verifies no signature of ours)
        import jwt
    except ImportError:
        raise InvalidInput(
            "tokens of an identity provider need the extra [oidc]",
            next_step="Install quartermaster[oidc], or unset QM_OIDC_ISSUER.",
        ) from None
    return jwt
