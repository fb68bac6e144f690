"""Stored rows: how they are read, and where a chain of them breaks."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from tools.audit.core.chain import (
    DOMAIN,
    GENESIS,
    ROTATED,
    Entry,
    canonical_json,
    entry_mac,
    framed,
)

Row = Sequence[Any]
"""The fields of ``Entry`` and the MAC as the database keeps them: texts as text or UTF-8."""


@dataclass(frozen=True)
class Break:
    """The first place where a chain does not hold, or cannot be checked for want of a key."""

    seq: int
    problem: str
    lacks_key: bool = False


class Unreadable(ValueError):
    """A stored row is not what was ever written."""


def as_stored(entry: Entry, mac: str) -> dict[str, Any]:
    """Return a row's columns as they are stored: documents in their one spelling."""
    documents = {"before": entry.before, "after": entry.after, "context": entry.context}
    spelled = {
        name: None if document is None else canonical_json(document)
        for name, document in documents.items()
    }
    return {**vars(entry), **spelled, "mac": mac}


def stored_bytes(row: Row) -> bytes | None:
    """Return the bytes a MAC covers, straight from a row as ``as_stored`` spells it.

    None when the row is of version 1 or spelled otherwise: then it must be read first. Equal bytes
    mean an equal row, so a MAC that holds over them leaves nothing to check.
    """
    at = row[1]
    if row[10] is None:
        return None
    if isinstance(at, datetime):
        time = at.astimezone(UTC).isoformat(timespec="microseconds").encode()
    elif isinstance(at, bytes) and len(at) == 26 and at[10:11] == b" ":
        time = at[:10] + b"T" + at[11:] + b"+00:00"
    else:
        return None
    texts = row[2:-1]
    if isinstance(row[2], str):
        texts = [text.encode("utf-8", "surrogatepass") for text in texts]
    fields = (DOMAIN, str(row[0]).encode(), time, *texts)
    try:  # what ``framed`` does, for lengths that were written out before
        return b"".join([part for field in fields for part in (_LENGTHS[len(field)], field)])
    except IndexError:
        return framed(*fields)


def read_entry(values: Row) -> tuple[Entry, str]:
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
        raise Unreadable(str(error)) from error


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
    value = read_object(text)
    if text not in (canonical_json(value), json.dumps(value)):  # the second: before version 2
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


def object_told(stored: str | bytes) -> dict[str, Any]:
    """Return a document of a row that holds: it needs no second look."""
    text = stored.decode() if isinstance(stored, bytes) else stored
    value: dict[str, Any] = _READER.raw_decode(text)[0]
    return value


def document_seal(stored: Any) -> tuple[dict[str, Any] | None, str]:
    """Return a stored JSON object and its hash; nothing and an empty one when it is none."""
    try:
        value = read_object(read_text(stored))
        return value, hashlib.sha256(_WRITER.encode(value).encode("ascii")).hexdigest()
    except (ValueError, TypeError, RecursionError):
        return None, ""


# Built once: a trail is hundreds of thousands of documents.
_READER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
_ROTATED = (ROTATED, ROTATED.encode())
_LENGTHS = [length.to_bytes(8, "big") for length in range(1024)]


def first_break(
    rows: Iterable[Row],
    keys: Mapping[str, bytes],
    *,
    moored: Mapping[int, str] = MappingProxyType({}),
    hear: Callable[[Row], None] = lambda _row: None,
) -> Break | None:
    """Return where a chain breaks first, or None.

    Args:
        rows: Stored rows by ascending seq.
        keys: Every key that ever signed, by its id.
        moored: MACs of rows that are known from outside, by seq.
        hear: Gets every row that holds.
    """
    walk = _Walk(keys, moored)
    for row in rows:
        if not walk.passes(row) and (broken := walk.step(row)):
            return broken
        hear(row)
    return walk.end()


@dataclass
class _Walk:
    """Where a check of the chain has come to: which row must be next, after what, by which key."""

    keys: Mapping[str, bytes]
    moored: Mapping[int, str]
    seq: int = 1
    before: str = GENESIS
    signer: str | None = None  # id; the first row's key is the root
    _expected: tuple[Any, ...] | None = None  # key id and MAC as the next row must store them
    _key: bytes = b""

    def passes(self, row: Row) -> bool:
        """Let an ordinary row pass without reading it; what does not pass must be looked at."""
        if row[0] != self.seq or row[-3:-1] != self._expected or self.seq in self.moored:
            return False
        try:
            covered = stored_bytes(row)
        except (TypeError, AttributeError):  # a column holds what it never should
            return False
        if covered is None or row[4] in _ROTATED:
            return False
        mac = hmac.digest(self._key, covered, "sha256").hex().encode()
        stored = row[-1] if isinstance(row[-1], bytes) else row[-1].encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(mac, stored):
            return False
        self._expected = (row[-3], row[-1])
        self.before = mac.decode()
        self.seq += 1
        return True

    def step(self, row: Row) -> Break | None:
        """Check the next row, and say what is wrong with it."""
        if row[0] != self.seq:
            return Break(self.seq, f"row {self.seq} is missing")
        try:
            entry, stored_mac = read_entry(row)
        except Unreadable as error:
            return Break(self.seq, f"row {self.seq} cannot be read: {error}")
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
        self._expected, self._key = (row[-3], row[-1]), self.keys[entry.key_id]
        if entry.action == ROTATED:
            self.signer = entry.after.get("new_key_id")
            self._expected = None
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
