"""The chain: what a row says as bytes, its MAC, how a stored row is read, where a chain breaks.

A row's MAC is HMAC-SHA256 over a domain tag and its fields, each preceded by its length, so that
no two different rows give the same bytes. Every row names the MAC of the row before it. The bytes
are published in ``docs/audit-trail.md``.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
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


@dataclass(frozen=True)
class Break:
    """The first place where a chain does not hold, or cannot be checked for want of a key."""

    seq: int
    problem: str
    lacks_key: bool = False


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


def read_entry(values: Sequence[Any]) -> tuple[Entry, str]:
    """Read a row as it is stored: the fields of ``Entry`` and the MAC, texts as text or UTF-8.

    Raises:
        Unreadable: A field is not what it should be.
    """
    seq, at, actor, kind, action, object_id, before, after, *rest = values
    meaning, reason, context, key_id, prev_mac, mac = rest
    try:
        entry = Entry(
            seq, _as_written_at(at), read_text(actor), read_text(kind), read_text(action),
            read_text(object_id), _as_written(before), _as_written(after), read_text(meaning),
            read_text(reason), None if context is None else _as_written(context),
            read_text(key_id), read_text(prev_mac),
        )  # fmt: skip
        return entry, read_text(mac)
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


def _as_written(stored: Any) -> dict[str, Any]:
    """Return a stored document that is spelled as we write them: not one blank may be moved."""
    text = read_text(stored)
    if text == "{}":
        return {}
    value = read_object(text)
    if json.dumps(value) != text:
        raise ValueError(f"{text[:40]!r} is not spelled as it was written")
    return value


def _as_written_at(stored: Any) -> datetime:
    at = read_time(stored)
    if not isinstance(stored, datetime):
        text = at.replace(tzinfo=None).isoformat(" ", "microseconds")
        if text != read_text(stored):
            raise ValueError(f"{stored!r} is not spelled as it was written")
    return at


def _refuse(number: str) -> None:
    raise ValueError(f"{number} is not a whole number")


# Built once: a trail is hundreds of thousands of documents.
_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
_READER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
_LEAVES = frozenset({str, int, bool, type(None)})


def first_break(
    rows: Iterable[tuple[Entry, str]],
    keys: Mapping[str, bytes],
    *,
    moored: Mapping[int, str] = MappingProxyType({}),
) -> Break | None:
    """Return where a chain breaks first, or None.

    Args:
        rows: Entries with their stored MACs, by ascending seq.
        keys: Every key that ever signed, by its id.
        moored: MACs of rows that are known from outside, by seq.
    """
    walk = _Walk(keys, moored)
    try:
        for entry, stored_mac in rows:
            if broken := walk.step(entry, stored_mac):
                return broken
    except Unreadable as error:
        if error.seq == walk.seq:
            return Break(walk.seq, f"row {walk.seq} cannot be read: {error}")
        return Break(walk.seq, f"row {walk.seq} is missing")
    return walk.end()


@dataclass
class _Walk:
    """Where a check of the chain has come to: which row must be next, after what, by which key."""

    keys: Mapping[str, bytes]
    moored: Mapping[int, str]
    seq: int = 1
    before: str = GENESIS
    signer: str | None = None  # id; the first row's key is the root

    def step(self, entry: Entry, stored_mac: str) -> Break | None:
        """Check the next row."""
        if entry.seq != self.seq:
            return Break(self.seq, f"row {self.seq} is missing")
        if entry.prev_mac != self.before:
            return Break(self.seq, f"row {self.seq} does not follow the row before it")
        if broken := self._signature(entry, stored_mac):
            return broken
        if self.signer != entry.key_id:
            text = f"row {self.seq} is signed with key {entry.key_id!r}, which no row introduced"
            return Break(self.seq, text)
        if self.moored.get(self.seq, stored_mac) != stored_mac:
            text = f"row {self.seq} is not the one that was anchored: the trail was written anew"
            return Break(self.seq, text)
        if entry.action == ROTATED:
            self.signer = entry.after.get("new_key_id")
        self.before = stored_mac
        self.seq += 1
        return None

    def end(self) -> Break | None:
        """Say what is missing when no more rows come."""
        last = max(self.moored, default=0)
        if last < self.seq:
            return None
        text = f"the trail ends with row {self.seq - 1}, but row {last} was anchored: it was cut"
        return Break(self.seq, text)

    def _signature(self, entry: Entry, stored_mac: str) -> Break | None:
        if self.signer is None:
            self.signer = entry.key_id
        key = self.keys.get(entry.key_id)
        if key is None:
            return self._unknown(entry, stored_mac)
        return None if _holds(key, entry, stored_mac) else self._changed()

    def _unknown(self, entry: Entry, stored_mac: str) -> Break:
        """Tell a missing key from a row that was made to name another than the one it has."""
        renamed = (
            _holds(key, replace(entry, key_id=key_id), stored_mac)
            for key_id, key in self.keys.items()
        )
        if any(renamed):
            return self._changed()
        text = f"row {self.seq} is signed with unknown key {entry.key_id!r}"
        return Break(self.seq, text, lacks_key=self.signer == entry.key_id)

    def _changed(self) -> Break:
        return Break(self.seq, f"row {self.seq} was changed after it was written")


def _holds(key: bytes, entry: Entry, stored_mac: str) -> bool:
    # Bytes, because two texts are only compared when they are ASCII.
    stored = stored_mac.encode("utf-8", "surrogatepass")
    return hmac.compare_digest(entry_mac(key, entry).encode(), stored)


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"a canonical document holds no fractions, got {value!r}")
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list | tuple):
        for part in parts:
            if type(part) not in _LEAVES:
                _refuse_floats(part)
