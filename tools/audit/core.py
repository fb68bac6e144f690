"""The chain: what a row says as bytes, its MAC, and where a chain breaks.

A row's MAC is HMAC-SHA256 over a domain tag and its fields, each preceded by its length, so that
no two different rows give the same bytes. Every row names the MAC of the row before it.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

DOMAIN = b"quartermaster/audit/v1"
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
    key_id: str
    prev_mac: str


@dataclass(frozen=True)
class Break:
    """The first place where a chain does not hold."""

    seq: int
    problem: str


def canonical_json(value: Any) -> str:
    r"""Return the one spelling of a JSON value: sorted keys, no spaces, ASCII, no fractions.

    Raises:
        TypeError: The value holds a float (two machines may write it differently) or another
            value that is not JSON.

    >>> canonical_json({"b": [1, "é"], "a": None})
    '{"a":null,"b":[1,"\\u00e9"]}'
    """
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def document_hash(value: Any) -> str:
    """Return the SHA-256 of a JSON value in its one spelling, 64 hex digits.

    Raises:
        TypeError: The value has no canonical spelling.
    """
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def entry_bytes(entry: Entry) -> bytes:
    """Return the bytes that a MAC covers: the domain tag, then every field after its length."""
    fields = (
        str(entry.seq),
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.actor,
        entry.actor_kind,
        entry.action,
        entry.object_id,
        canonical_json(dict(entry.before)),
        canonical_json(dict(entry.after)),
        entry.meaning,
        entry.reason,
        entry.key_id,
        entry.prev_mac,
    )
    encoded = [DOMAIN, *(field.encode("utf-8", "surrogatepass") for field in fields)]
    return b"".join(len(field).to_bytes(8, "big") + field for field in encoded)


def entry_mac(key: bytes, entry: Entry) -> str:
    """Return the MAC of a row, 64 hex digits."""
    return hmac.new(key, entry_bytes(entry), hashlib.sha256).hexdigest()


def first_break(rows: Iterable[tuple[Entry, str]], keys: Mapping[str, bytes]) -> Break | None:
    """Return where a chain breaks first, or None.

    Args:
        rows: Entries with their stored MACs, by ascending seq.
        keys: Every key that ever signed, by its id.
    """
    before = GENESIS
    for expected_seq, (entry, stored_mac) in enumerate(rows, start=1):
        if entry.seq != expected_seq:
            return Break(expected_seq, f"row {expected_seq} is missing")
        if entry.prev_mac != before:
            return Break(entry.seq, f"row {entry.seq} does not follow the row before it")
        key = keys.get(entry.key_id)
        if key is None:
            return Break(entry.seq, f"row {entry.seq} is signed with unknown key {entry.key_id!r}")
        if not hmac.compare_digest(entry_mac(key, entry), stored_mac):
            return Break(entry.seq, f"row {entry.seq} was changed after it was written")
        before = stored_mac
    return None


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"a canonical document holds no fractions, got {value!r}")
    if isinstance(value, Mapping):
        for part in value.values():
            _refuse_floats(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _refuse_floats(part)
