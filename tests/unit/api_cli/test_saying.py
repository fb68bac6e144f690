"""Sentences of the terminal: ids and commands stay as they are, a second signature is told."""

from datetime import UTC, datetime

import pytest

from api.cli.screens import a_role
from api.rendering import plain_sentence
from tools.audit.core.chain import Entry
from tools.audit.core.exporting import block
from tools.purchasing.core.views import needs_spoken


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a-35 is at version 2", "a-35 is at version 2."),
        ("chmod 600 /etc/inbound.yaml", "chmod 600 /etc/inbound.yaml"),
        ("quartermaster approve a-35", "quartermaster approve a-35"),
        ("/etc/inbound.yaml is open", "/etc/inbound.yaml is open."),
        ("mona_lisa is not known", "mona_lisa is not known."),
        ("nobody's order", "Nobody's order."),
        ("", ""),
    ],
)
def test_only_words_get_a_capital_letter(text: str, shown: str) -> None:
    assert plain_sentence(text) == shown


def test_two_signatures_are_told_with_who_signed() -> None:
    assert needs_spoken("manager", 1, ()) == "manager"
    told = needs_spoken("manager", 2, ["Mona"])
    assert told == "2 signatures (manager), 1 of 2 signed: Mona"
    assert a_role(told) == told
    assert a_role("approver") == "an approver"


def test_the_trail_prints_amounts_with_their_currency() -> None:
    entry = Entry(
        seq=1, at=datetime(2026, 3, 2, tzinfo=UTC), actor="adam", actor_kind="person",
        action="user.changed", object_id="mona", before={"approval_limit_minor": 100},
        after={"approval_limit_minor": 250_000, "total_minor": 7, "currency": "JPY"},
        meaning="", reason="", prev_mac="", key_id="k", context=None,
    )  # fmt: skip
    told = block(entry, {}, {"": "USD"})
    assert told[1] == "before: approval_limit 1.00 USD"
    assert "approval_limit 2,500.00 USD" in told[2]
    assert "total 7 JPY" in told[2]
