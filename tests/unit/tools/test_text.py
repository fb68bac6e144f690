"""Free text made harmless."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.text import plain_line, plain_text


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("x\x1b[2J\x1b[1;1Hy", "x[2J[1;1Hy"),
        ("a\u202eb\u2066c", "abc"),
        ("a\0b\x9bc\ud800d", "abcd"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("  für 5\u00a0€ \U0001f600 ", "für 5\u00a0€ \U0001f600"),
        ("a\tb", "a b"),
    ],
)
def test_what_stays_and_what_goes(given_text: str, expected: str) -> None:
    assert plain_text(given_text, longest=100) == expected


def test_a_line_has_no_breaks() -> None:
    assert plain_line(" DN\n\n17 ", longest=10) == "DN 17"


@given(st.text(), st.integers(0, 20))
def test_the_result_is_short_plain_and_storable(text: str, longest: int) -> None:
    plain = plain_text(text, longest=longest)

    assert len(plain) <= longest
    assert {unicodedata.category(sign) for sign in plain if sign != "\n"} & {"Cc", "Cs"} == set()
    assert plain_text(plain, longest=longest) == plain
    plain.encode()
