"""The chain of the trail."""

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.audit.core.chain import (
    GENESIS,
    Entry,
    canonical_json,
    entry_bytes,
    entry_mac,
)
from tools.audit.core.reading import Break, Row, as_stored, first_break

KEY = b"k" * 32
KEYS = {"one": KEY}
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def _entry(seq: int = 1, prev_mac: str = GENESIS, **changes: Any) -> Entry:
    entry = Entry(
        seq=seq, at=AT, actor="paul", actor_kind="human", action="order.drafted",
        object_id="PO-1", before={}, after={"total_minor": 5}, meaning="", reason="",
        context={"request_id": "7f"}, key_id="one", prev_mac=prev_mac,
    )  # fmt: skip
    return replace(entry, **changes)


def _chain(length: int) -> list[tuple[Entry, str]]:
    rows: list[tuple[Entry, str]] = []
    before = GENESIS
    for seq in range(1, length + 1):
        entry = _entry(seq, before, object_id=f"PO-{seq}")
        before = entry_mac(KEY, entry)
        rows.append((entry, before))
    return rows


def _breaks(rows: list[tuple[Entry, str]], keys: dict[str, bytes] = KEYS) -> Break | None:
    return first_break([_stored(*row) for row in rows], keys)


def _stored(entry: Entry, mac: str) -> Row:
    """The columns in the table's order, as SQLite gives them."""
    stored = as_stored(entry, mac)
    stored["at"] = entry.at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return tuple(value.encode() if isinstance(value, str) else value for value in stored.values())


class TestCanonicalJson:
    def test_order_of_keys_does_not_matter(self) -> None:
        assert canonical_json({"b": 1, "a": [True, None]}) == '{"a":[true,null],"b":1}'

    @pytest.mark.parametrize("value", [0.1, {"a": [1, {"b": 2.0}]}, float("nan")])
    def test_refuses_fractions(self, value: Any) -> None:
        with pytest.raises(TypeError, match="no fractions"):
            canonical_json(value)

    def test_a_lone_surrogate_is_written_as_an_escape(self) -> None:
        assert canonical_json("\ud800") == '"\\ud800"'


class TestEntryBytes:
    def test_fields_carry_their_lengths(self) -> None:
        # Domain tag of 22 bytes, then seq "1": one byte long.
        assert entry_bytes(_entry()).startswith(
            b"\0\0\0\0\0\0\0\x16quartermaster/audit/v2\0\0\0\0\0\0\0\x011"
        )

    def test_moving_a_letter_between_fields_changes_the_bytes(self) -> None:
        assert entry_bytes(_entry(actor="ab", action="c")) != entry_bytes(
            _entry(actor="a", action="bc")
        )

    def test_the_zone_in_which_a_time_is_written_does_not_matter(self) -> None:
        berlin = AT.astimezone(timezone(timedelta(hours=1)))

        assert entry_bytes(_entry(at=berlin)) == entry_bytes(_entry())

    def test_the_mac_is_hmac_sha256(self) -> None:
        expected = hmac.new(KEY, entry_bytes(_entry()), hashlib.sha256).hexdigest()

        assert entry_mac(KEY, _entry()) == expected


class TestFirstBreak:
    def test_a_whole_chain_holds(self) -> None:
        assert _breaks(_chain(5)) is None

    def test_an_edit_is_found(self) -> None:
        rows = _chain(5)
        rows[2] = (replace(rows[2][0], reason="so it was"), rows[2][1])

        broken = _breaks(rows)

        assert broken is not None
        assert (broken.seq, broken.problem) == (3, "row 3 was changed after it was written")

    def test_a_deletion_in_the_middle_is_found(self) -> None:
        rows = _chain(5)
        del rows[2]

        broken = _breaks(rows)

        assert broken is not None
        assert (broken.seq, broken.problem) == (3, "row 3 is missing")

    def test_a_swap_is_found(self) -> None:
        rows = _chain(5)
        second, third = rows[1], rows[2]
        rows[1] = (replace(third[0], seq=2), third[1])
        rows[2] = (replace(second[0], seq=3), second[1])

        broken = _breaks(rows)

        assert broken is not None
        assert broken.seq == 2

    def test_an_unknown_key_is_named(self) -> None:
        entry = _entry(key_id="forged")

        broken = _breaks([(entry, entry_mac(b"x" * 32, entry))])

        assert broken is not None
        assert "unknown key 'forged'" in broken.problem

    def test_a_chain_signed_with_another_key_is_found(self) -> None:
        assert _breaks(_chain(2), {"one": b"z" * 32}) is not None

    @given(
        st.integers(0, 6),
        st.sampled_from(["actor", "action", "object_id", "meaning", "reason"]),
        st.text(min_size=1, max_size=5),
    )
    def test_no_edit_of_any_field_goes_unseen(self, row: int, name: str, value: str) -> None:
        rows = _chain(7)
        entry, mac = rows[row]
        edited = replace(entry, **{name: getattr(entry, name) + value})
        rows[row] = (edited, mac)

        broken = _breaks(rows)

        assert broken is not None
        assert broken.seq == row + 1
