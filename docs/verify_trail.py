#!/usr/bin/env python3
"""Verify an audit trail of Quartermaster without Quartermaster: standard library only.

    python verify_trail.py TRAIL --key audit.key [--key audit.key.<id> ...] [--anchors FILE]

TRAIL is a JSONL export (`quartermaster audit export`) or a SQLite database. The byte format is in
audit-trail.md beside this file. Exit codes: 0 the trail is whole, 1 it is broken (the first bad row
is named), 2 it cannot be checked: a file cannot be read or a key is missing.
"""

import argparse
import hashlib
import hmac
import json
import sqlite3
import sys
from datetime import datetime, timezone

ZEROS = "0" * 64
FIELDS = (
    "seq", "at", "actor", "actor_kind", "action", "object_id", "before", "after", "meaning",
    "reason", "context", "key_id", "prev_mac", "mac",
)  # fmt: skip
DOCUMENTS = ("before", "after", "context")


class Broken(Exception):
    """The trail does not hold."""


class Unchecked(Exception):
    """Nobody can say whether the trail holds."""


def canonical(value):
    """Return the one spelling of a JSON value: sorted keys, no blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def framed(parts):
    """Return parts as bytes, each after its length in eight bytes, the biggest first."""
    out = b""
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        out += len(data).to_bytes(8, "big") + data
    return out


def row_bytes(row):
    """Return the bytes that a row's MAC covers."""
    at = row["at"].astimezone(timezone.utc).isoformat(timespec="microseconds")
    parts = [str(row["seq"]), at, row["actor"], row["actor_kind"], row["action"], row["object_id"]]
    parts += [canonical(row["before"]), canonical(row["after"]), row["meaning"], row["reason"]]
    if row["context"] is None:
        tag = "quartermaster/audit/v1"
    else:
        tag = "quartermaster/audit/v2"
        parts.append(canonical(row["context"]))
    return framed([tag, *parts, row["key_id"], row["prev_mac"]])


def anchor_bytes(anchor):
    """Return the bytes that an anchor's seal covers."""
    names = ("seq", "mac", "rows", "at", "key_id", "previous")
    return framed(["quartermaster/anchor/v1", *(str(anchor[name]) for name in names)])


def mac_of(key, data):
    """Return HMAC-SHA256 as 64 hex digits."""
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def no_fraction(text):
    """Refuse what is no whole number."""
    raise ValueError(f"{text} is not a whole number")


def read_json(text):
    """Return a JSON object."""
    value = json.loads(text, parse_float=no_fraction, parse_constant=no_fraction)
    if not isinstance(value, dict):
        raise ValueError(f"{text[:40]!r} is not an object")
    return value


def read_keys(paths):
    """Return the keys by id: 16 hex digits of the SHA-256."""
    keys = {}
    for path in paths:
        try:
            with open(path, "rb") as file:
                key = file.read()
        except OSError as error:
            raise Unchecked(f"the key {path} cannot be read: {error.strerror}") from None
        if len(key) != 32:
            raise Unchecked(f"the key {path} holds {len(key)} bytes, not 32")
        keys[hashlib.sha256(key).hexdigest()[:16]] = key
    return keys


def read_export(path):
    """Yield the rows of a JSONL export after holding its head against them."""
    with open(path, "rb") as file:
        try:
            head = read_json(file.readline())
            wanted, count = head["sha256"], head["count"]
        except (ValueError, KeyError, TypeError) as error:
            raise Unchecked(f"{path} does not begin with the head of an export: {error}") from None
        digest, lines = hashlib.sha256(), 0
        for line in file:
            digest.update(line)
            lines += 1
        if (lines, digest.hexdigest()) != (count, wanted):
            print(f"note: {path} is not the file that was exported", file=sys.stderr)
        file.seek(0)
        file.readline()
        seq, before = head["first_seq"], head["prev_mac"]
        yield seq, before
        for line in file:
            try:
                row = read_json(line)
                if set(row) != set(FIELDS):
                    raise ValueError("it does not have the fields of a row")
                row["at"] = datetime.fromisoformat(row["at"])
            except (ValueError, TypeError) as error:
                raise Broken(f"row {seq} cannot be read: {error}") from None
            yield row
            seq += 1
        if lines != count:
            raise Broken(f"the export ends with row {seq - 1}: it had {count} rows, not {lines}")


def read_database(path):
    """Yield the rows of a SQLite database, byte by byte as they are stored."""
    columns = ", ".join(name if name == "seq" else f'CAST("{name}" AS BLOB)' for name in FIELDS)
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        stored = database.execute(f"SELECT {columns} FROM audit_event ORDER BY seq")  # noqa: S608
    except sqlite3.Error as error:
        raise Unchecked(f"{path} cannot be read: {error}") from None
    yield 1, ZEROS
    seq = 1
    for values in stored:
        row = dict(zip(FIELDS, values))
        if row["seq"] != seq:
            raise Broken(f"row {seq} is missing")
        try:
            for name in FIELDS[1:]:
                row[name] = None if row[name] is None else row[name].decode()
            for name in DOCUMENTS:
                text = row[name]
                if text is not None:
                    row[name] = read_json(text)
                    if text not in (canonical(row[name]), json.dumps(row[name])):
                        raise ValueError(f"{text[:40]!r} is not spelled as it was written")
            at = datetime.fromisoformat(row["at"])
            if at.isoformat(" ", "microseconds") != row["at"]:
                raise ValueError(f"{row['at']!r} is not spelled as it was written")
            row["at"] = at.replace(tzinfo=timezone.utc)
        except (ValueError, TypeError, AttributeError) as error:
            raise Broken(f"row {seq} cannot be read: {error}") from None
        yield row
        seq += 1


def read_anchors(path, keys):
    """Return the MACs that anchors tell of, by row."""
    found, previous = {}, ZEROS
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\n")[:-1]  # a line without an end was never finished
    except OSError as error:
        raise Unchecked(f"the anchors {path} cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, start=1):
        try:
            anchor = read_json(line)
            key = keys.get(anchor["key_id"])
            if key is None:
                raise Unchecked(f"anchor {number} is sealed with a key that was not given")
            seal = mac_of(key, anchor_bytes(anchor))
            expected = canonical({**anchor, "seal": seal, "version": 1})
            if anchor["previous"] != previous or expected != line or len(anchor) != 8:
                raise Broken(f"anchor {number} was changed after it was written")
        except (ValueError, KeyError, TypeError) as error:
            raise Broken(f"anchor {number} cannot be read: {error}") from None
        found[anchor["seq"]] = anchor["mac"]
        previous = hashlib.sha256(line.encode()).hexdigest()
    return found


def verify(source, keys, anchors):
    """Check every row; returns the first and the last number."""
    seq, before = next(source)
    first, signer = seq, None
    for row in source:
        if row["seq"] != seq:
            raise Broken(f"row {seq} is missing")
        if row["prev_mac"] != before:
            raise Broken(f"row {seq} does not follow the row before it")
        key = keys.get(row["key_id"])
        if key is None:
            for key_id, other in keys.items():
                if mac_of(other, row_bytes({**row, "key_id": key_id})) == row["mac"]:
                    raise Broken(f"row {seq} was changed after it was written")
            if signer in (None, row["key_id"]):
                raise Unchecked(f"row {seq} is signed with key {row['key_id']}, not given")
            raise Broken(f"row {seq} is signed with unknown key {row['key_id']!r}")
        if not hmac.compare_digest(mac_of(key, row_bytes(row)), row["mac"]):
            raise Broken(f"row {seq} was changed after it was written")
        if signer not in (None, row["key_id"]):
            raise Broken(f"row {seq} is signed with a key that no row introduced")
        if anchors.get(seq, row["mac"]) != row["mac"]:
            raise Broken(f"row {seq} is not the one that was anchored: the trail was written anew")
        signer, before = row["key_id"], row["mac"]
        if row["action"] == "audit.key_rotated":
            signer = row["after"].get("new_key_id")
        seq += 1
    return first, seq - 1


def check(path, key_paths, anchor_path):
    """Verify a file; returns a sentence."""
    keys = read_keys(key_paths)
    anchors = read_anchors(anchor_path, keys) if anchor_path else {}
    try:
        with open(path, "rb") as file:
            is_database = file.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise Unchecked(f"{path} cannot be read: {error.strerror}") from None
    source = read_database(path) if is_database else read_export(path)
    first, last = verify(source, keys, anchors)
    newest = max(anchors, default=0)
    if is_database and newest > last:
        raise Broken(f"the trail ends with row {last}, but row {newest} was anchored: it was cut")
    held = sum(first <= seq <= last for seq in anchors)
    return f"rows {first} to {last} hold; {held} of them were anchored"


def main(arguments=None):
    """Read the command line, verify, print a sentence and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("trail")
    parser.add_argument("--key", action="append", default=[], required=True)
    parser.add_argument("--anchors")
    given = parser.parse_args(arguments)
    try:
        print(check(given.trail, given.key, given.anchors))
    except Broken as error:
        print(f"BROKEN: {error}")
        return 1
    except Unchecked as error:
        print(f"CANNOT CHECK: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
