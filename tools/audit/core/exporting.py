"""Rows of the trail as lines for machines and as blocks for people."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tools.audit.core.chain import Entry
from tools.money import amount_spoken

FORMAT = "quartermaster/audit-export/v1"


@dataclass(frozen=True)
class Extent:
    """Which rows are exported: from a number to a number, and the MAC before the first."""

    first_seq: int
    last_seq: int
    prev_mac: str


def row_line(entry: Entry, mac: str) -> str:
    """Return a row as one line of JSON: every field, in the order of the published format."""
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    return _spelled({**vars(entry), "at": at, "mac": mac})


def head_line(
    extent: Extent, *, count: int, sha256: str, since: datetime | None, until: datetime | None
) -> str:
    """Return the line before the rows: what follows, how many, and the hash of all their bytes."""
    return _spelled(
        {
            "format": FORMAT,
            "from": since and since.isoformat(),
            "to": until and until.isoformat(),
            "first_seq": extent.first_seq,
            "last_seq": extent.last_seq,
            "prev_mac": extent.prev_mac,
            "count": count,
            "sha256": sha256,
        }
    )


def signature_line(name: str, at: datetime, meaning: str) -> str:
    """Return a signature as every rendering shows it: printed name, time, meaning.

    >>> signature_line("Mona Manager", datetime(2026, 3, 2, 9, 5, tzinfo=UTC), "approval")
    'Signed by Mona Manager on 2026-03-02 09:05:00 UTC, meaning: approval'
    """
    return f"Signed by {name} on {time_text(at)}, meaning: {meaning}"


def time_text(at: datetime) -> str:
    """Return a time as people read it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def block(
    entry: Entry, names: Mapping[str, str], currencies: Mapping[str, str] | None = None
) -> list[str]:
    """Return a row as lines for people; a decision ends with its signature.

    Args:
        entry: The row.
        names: Printed names by login.
        currencies: By order and request; under the empty name that of limits and caps. An amount
            without a known currency stays in minor units.
    """
    known = currencies or {}
    own = _currency(entry) or known.get(entry.object_id, "")
    name = names.get(entry.actor, entry.actor)
    lines = [
        f"{entry.seq}  {time_text(entry.at)}  {entry.action}  {entry.object_id}  by {name} "
        f"({entry.actor}, {entry.actor_kind})"
    ]
    if entry.reason:
        lines.append(f"reason: {entry.reason}")
    lines += [
        f"{title}: {_phrase(_spoken(said, own, known.get('', '')))}"
        for title, said in (
            ("before", entry.before), ("after", entry.after), ("context", entry.context or {}),
        )
        if said
    ]  # fmt: skip
    if entry.meaning:
        lines.append(signature_line(name, entry.at, entry.meaning))
    return lines


def wrapped(text: str, width: int) -> Iterator[str]:
    """Break a text into lines of at most ``width`` letters, at blanks where there are some."""
    while len(text) > width:
        cut = text.rfind(" ", 1, width + 1)
        cut = cut if cut > width // 2 else width
        yield text[:cut].rstrip()
        text = text[cut:].lstrip()
    yield text


def _currency(entry: Entry) -> str:
    """The currency that a row itself names."""
    told = ((part or {}).get("currency") for part in (entry.after, entry.before))
    return next((one for one in told if isinstance(one, str)), "")


def _spoken(said: Any, own: str, company: str) -> Any:
    """Write amounts in minor units as decimals with their currency, however deep they are."""
    if isinstance(said, list):
        return [_spoken(one, own, company) for one in said]
    if not isinstance(said, Mapping):
        return said
    told = {}
    for name, value in said.items():
        is_house = name.startswith("company_") or any(w in name for w in ("limit", "cap", "above"))
        currency = company if is_house else own
        if name.endswith("_minor") and type(value) is int and currency:
            told[name.removesuffix("_minor")] = amount_spoken(value, currency)
        else:
            told[name] = _spoken(value, own, company)
    return told


def _phrase(said: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in sorted(said.items()))


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _spelled(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def closing(
    extent: Extent, *, rows: int, keys: Sequence[str], head_mac: str, verdict: str
) -> list[str]:
    """Return the statement at the end of an export for people."""
    return [
        f"Rows {extent.first_seq} to {extent.last_seq} of the audit trail, {rows:,} in all.",
        f"MAC of the last row: {head_mac}",
        f"Keys that sealed them: {', '.join(keys)}",
        verdict,
        "This document is a rendering. The record is the trail itself: `quartermaster audit "
        "export --format jsonl` gives it byte by byte, docs/verify_trail.py checks that file.",
    ]
