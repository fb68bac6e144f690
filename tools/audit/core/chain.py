"""The chain: what a row says as bytes, its MAC, how a stored row is read, where a chain breaks.

A row's MAC is HMAC-SHA256 over a domain tag and its fields, each preceded by its length, so that
no two different rows give the same bytes. Every row names the MAC of the row before it. The bytes
are published in ``docs/audit-trail.md``.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

DOMAIN = b"quartermaster/audit/v2"
DOMAIN_WITHOUT_CONTEXT = b"quartermaster/audit/v1"  # rows from before there was a context
ROTATED = "audit.key_rotated"  # the row after which another key signs
GENESIS = "0" * 64  # what the first row names as the MAC before it


@dataclass(frozen=True)
class Entry:
    """One row of the trail, without its own MAC."""

    seq: int
    at: datetime
    actor: str
    actor_kind: str
    action: str
    object_id: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    meaning: str
    reason: str
    context: Mapping[str, Any] | None  # None: a row of version 1, whose MAC covers no context
    key_id: str
    prev_mac: str


def canonical_json(value: Any) -> str:
    r"""Return the one spelling of a JSON value: sorted keys, no spaces, ASCII, no fractions.

    Raises:
        TypeError: The value holds a float (two machines may write it differently) or another
            value that is not JSON.

    >>> canonical_json({"b": [1, "é"], "a": None})
    '{"a":null,"b":[1,"\\u00e9"]}'
    """
    _refuse_floats(value)
    return _WRITER.encode(value)


def document_hash(value: Any) -> str:
    """Return the SHA-256 of a JSON value in its one spelling, 64 hex digits.

    Raises:
        TypeError: The value has no canonical spelling.
    """
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def entry_bytes(entry: Entry) -> bytes:
    """Return the bytes that a MAC covers: the domain tag, then every field after its length."""
    has_context = entry.context is not None
    fields = (
        str(entry.seq),
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.actor,
        entry.actor_kind,
        entry.action,
        entry.object_id,
        canonical_json(entry.before),
        canonical_json(entry.after),
        entry.meaning,
        entry.reason,
        *((canonical_json(entry.context),) if has_context else ()),
        entry.key_id,
        entry.prev_mac,
    )
    tag = DOMAIN if has_context else DOMAIN_WITHOUT_CONTEXT
    return framed(tag, *(field.encode("utf-8", "surrogatepass") for field in fields))


def framed(*fields: bytes) -> bytes:
    r"""Return fields so that no two lists of them give the same bytes: each after its length.

    >>> framed(b"ab", b"")
    b'\x00\x00\x00\x00\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x00'
    """
    return b"".join([len(field).to_bytes(8, "big") + field for field in fields])


def entry_mac(key: bytes, entry: Entry) -> str:
    """Return the MAC of a row, 64 hex digits."""
    return hmac.digest(key, entry_bytes(entry), "sha256").hex()


_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
_LEAVES = frozenset({str, int, bool, type(None)})


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"a canonical document holds no fractions, got {value!r}")
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list | tuple):
        for part in parts:
            if type(part) not in _LEAVES:
                _refuse_floats(part)
