"""Anchors: what the trail's end was at a time, kept outside the database.

A chain shows every change inside it. That its end was cut off, or that somebody with the key wrote
it anew, only shows against something the database's owner cannot change: a line in a file on
another volume. The lines are chained and sealed as well; ``docs/audit-trail.md`` has the bytes.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tools.audit.core.chain import GENESIS, canonical_json, framed
from tools.audit.core.reading import Break, read_time

ANCHOR_DOMAIN = b"quartermaster/anchor/v1"
_VERSION = 1


@dataclass(frozen=True)
class Anchor:
    """The trail's last row at a time.

    Attributes:
        seq: Its number.
        mac: Its MAC.
        rows: How many rows there were.
        at: When, ISO 8601 in UTC.
        key_id: The key that sealed this anchor.
        previous: SHA-256 of the line before this one, 64 zeros for the first.
    """

    seq: int
    mac: str
    rows: int
    at: str
    key_id: str
    previous: str


def anchor_line(key: bytes, anchor: Anchor) -> str:
    """Return an anchor as its line, without the line's end."""
    return canonical_json({**vars(anchor), "seal": _seal(key, anchor), "version": _VERSION})


def line_hash(line: str | None) -> str:
    """Return what the next line says about this one."""
    return GENESIS if line is None else hashlib.sha256(line.encode()).hexdigest()


def read_anchor(line: str) -> Anchor:
    """Return what a line says, without checking its seal.

    Raises:
        ValueError: It is no anchor.
    """
    try:
        value = json.loads(line)
        anchor = Anchor(**{name: value[name] for name in Anchor.__dataclass_fields__})
        read_time(anchor.at)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{line[:40]!r} is not an anchor") from error
    return anchor


def check_anchors(
    lines: Iterable[str], keys: Mapping[str, bytes]
) -> tuple[dict[int, Anchor], Break | None]:
    """Return the anchors by row, and what is wrong with the file itself.

    A problem of the file names no row: its ``seq`` is 0.
    """
    found: dict[int, Anchor] = {}
    before: str | None = None
    for number, line in enumerate(lines, start=1):
        try:
            anchor = read_anchor(line)
        except ValueError as error:
            return found, Break(0, f"anchor {number} cannot be read: {error}")
        key = keys.get(anchor.key_id)
        if key is None:
            text = f"anchor {number} is sealed with unknown key {anchor.key_id!r}"
            return found, Break(0, text, lacks_key=True)
        if anchor.previous != line_hash(before):
            return found, Break(0, f"anchor {number} does not follow the one before it")
        if not hmac.compare_digest(anchor_line(key, anchor).encode(), line.encode()):
            return found, Break(0, f"anchor {number} was changed after it was written")
        found[anchor.seq] = anchor
        before = line
    return found, None


def is_due(
    last: Anchor | None, *, rows: int, at: datetime, every_rows: int, every: timedelta
) -> bool:
    """Tell whether it is time for the next anchor: many new rows, or some and a while ago.

    Args:
        last: The newest anchor.
        rows: How many rows the trail has.
        at: Now.
        every_rows: How many rows may come unanchored.
        every: How long a row may stay unanchored.
    """
    if last is None:
        return rows > 0
    new = rows - last.rows
    return new > 0 and (new >= every_rows or at - read_time(last.at) >= every)


def _seal(key: bytes, anchor: Anchor) -> str:
    fields = (
        str(anchor.seq), anchor.mac, str(anchor.rows), anchor.at, anchor.key_id, anchor.previous,
    )  # fmt: skip
    encoded = (field.encode("utf-8", "surrogatepass") for field in fields)
    return hmac.digest(key, framed(ANCHOR_DOMAIN, *encoded), "sha256").hex()
