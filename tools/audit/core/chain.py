"""The chain: what a row says as bytes, its MAC, how a stored row is read, where a chain breaks.

A row's MAC is HMAC-SHA256 over a domain tag and its fields, each preceded by its length, so that
no two different rows give the same bytes. Every row names the MAC of the row before it.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
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


class Unreadable(ValueError):
    """A stored row is not what was ever written."""

    def __init__(self, seq: int, problem: str) -> None:
        super().__init__(problem)
        self.seq = seq


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
    return hmac.digest(key, entry_bytes(entry), "sha256").hex()


def read_entry(values: Sequence[Any]) -> tuple[Entry, str]:
    """Read a row as it is stored: the fields of ``Entry`` and the MAC, texts as text or UTF-8.

    Raises:
        Unreadable: A field is not what it should be.
    """
    seq, at, *rest = values
    try:
        actor, kind, action, object_id, before, after, meaning, reason, key_id, prev_mac, mac = (
            read_text(value) for value in rest
        )
        entry = Entry(
            seq, read_time(at), actor, kind, action, object_id, read_object(before),
            read_object(after), meaning, reason, key_id, prev_mac,
        )  # fmt: skip
        return entry, mac
    except (ValueError, TypeError, RecursionError) as error:
        raise Unreadable(seq, str(error)) from error


def read_text(value: Any) -> str:
    """Return a stored text.

    Raises:
        TypeError: It is no text.
        ValueError: It is not UTF-8.
    """
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def read_time(value: Any) -> datetime:
    """Return a stored time; one without a zone is in UTC.

    Raises:
        TypeError: It is neither time nor text.
        ValueError: The text is no time.
    """
    at = value if isinstance(value, datetime) else datetime.fromisoformat(read_text(value))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def read_object(text: str) -> dict[str, Any]:
    """Return a stored JSON object.

    Raises:
        TypeError: It is another JSON value.
        ValueError: It is not JSON, or holds a fraction.
    """
    value = _READER.decode(text)
    if not isinstance(value, dict):
        raise TypeError(f"{text[:40]!r} is not an object")
    return value


def _refuse(number: str) -> None:
    raise ValueError(f"{number} is not a whole number")


# Built once: a trail is hundreds of thousands of documents.
_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
_READER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
_LEAVES = frozenset({str, int, bool, type(None)})


def first_break(rows: Iterable[tuple[Entry, str]], keys: Mapping[str, bytes]) -> Break | None:
    """Return where a chain breaks first, or None.

    Args:
        rows: Entries with their stored MACs, by ascending seq.
        keys: Every key that ever signed, by its id.
    """
    before, expected_seq = GENESIS, 1
    try:
        for entry, stored_mac in rows:
            if problem := _problem(entry, stored_mac, keys, before=before, expected=expected_seq):
                return Break(expected_seq, problem)
            before = stored_mac
            expected_seq += 1
    except Unreadable as error:
        if error.seq == expected_seq:
            return Break(expected_seq, f"row {expected_seq} cannot be read: {error}")
        return Break(expected_seq, f"row {expected_seq} is missing")
    return None


def _problem(
    entry: Entry, stored_mac: str, keys: Mapping[str, bytes], *, before: str, expected: int
) -> str:
    if entry.seq != expected:
        return f"row {expected} is missing"
    if entry.prev_mac != before:
        return f"row {entry.seq} does not follow the row before it"
    key = keys.get(entry.key_id)
    if key is None:
        return f"row {entry.seq} is signed with unknown key {entry.key_id!r}"
    # Bytes, because two texts are only compared when they are ASCII.
    stored = stored_mac.encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(entry_mac(key, entry).encode(), stored):
        return f"row {entry.seq} was changed after it was written"
    return ""


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"a canonical document holds no fractions, got {value!r}")
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list | tuple):
        for part in parts:
            if type(part) not in _LEAVES:
                _refuse_floats(part)
