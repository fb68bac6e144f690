"""Signed-in browsers and tokens of identity providers: what counts, as pure rules."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.errors import NotAuthenticated

LONGEST_TOKEN = 8_192  # characters of a bearer token
ALGORITHMS = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}  # and the kind of key that each takes


@dataclass(frozen=True)
class Lifetimes:
    """How long a session lives: without use, and at most."""

    idle: timedelta = timedelta(minutes=30)
    absolute: timedelta = timedelta(hours=12)


@dataclass(frozen=True)
class Issuer:
    """An identity provider whose tokens are believed.

    Attributes:
        issuer: The ``iss`` of its tokens.
        audience: The ``aud`` that names us.
        algorithms: Names of signatures that are accepted; part of ``ALGORITHMS``.
        leeway: How far its clock may be off.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = tuple(ALGORITHMS)
    leeway: timedelta = timedelta(seconds=30)


def token_hash(token: str) -> bytes:
    """Return what is stored of a session's token, which has 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def checked_header(header: Mapping[str, Any], algorithms: Collection[str]) -> tuple[str, str]:
    """Return algorithm and key id of a token, if the algorithm is one that we pinned.

    Raises:
        NotAuthenticated: It is another one, or none at all.
    """
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in ALGORITHMS:
        raise NotAuthenticated("this token is signed in a way that is not accepted here")
    key_id = header.get("kid", "")
    if not isinstance(key_id, str) or len(key_id) > 200 or "crit" in header:
        raise NotAuthenticated("this token has a header that is not understood here")
    return algorithm, key_id


def check_times(claims: Mapping[str, Any], *, now: datetime, leeway: timedelta) -> None:
    """Refuse a token that is not valid yet or any more.

    Args:
        claims: With ``exp`` and ``iat``, perhaps ``nbf``: seconds since 1970.
        now: Aware.
        leeway: How far the clocks may differ.

    Raises:
        NotAuthenticated: It has ended, or lies in the future, or a time is not a number.
    """
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is None and name == "nbf":
            continue
        if not is_number or not 0 <= value < 2**40:  # type: ignore[operator]
            raise NotAuthenticated(f"this token has no usable {name!r}")
        at = datetime.fromtimestamp(float(value), UTC)  # type: ignore[arg-type]
        if name == "exp" and at + leeway <= now:
            raise NotAuthenticated("this token has expired", next_step="Get a fresh one.")
        if name != "exp" and at - leeway > now:
            raise NotAuthenticated("this token is from the future; a clock is wrong")


def usable_keys(document: Any, algorithms: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Return the signing keys of a JWKS by key id; what we cannot use is left out.

    A symmetric key never counts: it would let anybody who can read the set sign.
    """
    listed = document.get("keys") if isinstance(document, Mapping) else None
    kinds = {ALGORITHMS[name] for name in algorithms}
    found = {}
    for key in listed if isinstance(listed, list) else ():
        if not isinstance(key, Mapping) or key.get("kty") not in kinds or "d" in key:
            continue
        if key.get("use", "sig") == "sig":
            found[str(key.get("kid", ""))] = key
    return found


def fits_key(algorithm: str, key: Mapping[str, Any]) -> bool:
    """Whether a key is of the kind that the algorithm takes, and says nothing else.

    >>> fits_key("ES256", {"kty": "RSA"}), fits_key("ES256", {"kty": "EC", "crv": "P-256"})
    (False, True)
    """
    curves = {"ES256": {"P-256"}, "EdDSA": {"Ed25519", "Ed448"}}.get(algorithm)
    is_kind = key.get("kty") == ALGORITHMS[algorithm] and key.get("alg", algorithm) == algorithm
    return is_kind and (curves is None or key.get("crv") in curves)
