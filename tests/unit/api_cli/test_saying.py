"""Sentences of the terminal: ids and commands stay as they are, a second signature is told."""

import pytest

from api.cli.screens import a_role
from api.rendering import plain_sentence
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
