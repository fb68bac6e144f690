"""The figures of a run stand in the page, and nothing else of it changes."""

from pathlib import Path

import pytest

from bench.page import FIRST, LAST, write

ROWS = [
    {"name": "planning", "value": 4.864, "unit": "s", "goal": "<= 5 s", "holds": True},
    {"name": "season", "value": 76_879.0, "unit": "", "goal": "<= 70,000", "holds": False},
]


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{FIRST}{LAST}after\n")

    write(ROWS[:1], page)
    write(ROWS, page)

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert text.count("| planning | 4.864 s | <= 5 s | holds |") == 1
    assert "**short**" in text


def test_a_page_without_a_place_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("words\n")

    with pytest.raises(ValueError, match="holds no"):
        write(ROWS, page)

    assert page.read_text() == "words\n"
