"""Write the measured figures into the page that answers "how good is it?"."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "how-good-is-it.md"
FIRST, LAST = "<!-- figures of `make bench` -->\n", "<!-- end of the figures -->\n"


def write(rows: Sequence[dict[str, Any]], page: Path = PAGE) -> None:
    """Replace the table of the page by these rows; the rest of it is people's.

    Raises:
        ValueError: The page has no place for them.
    """
    text = page.read_text(encoding="utf-8")
    before, mark, rest = text.partition(FIRST)
    _, end, after = rest.partition(LAST)
    if not (mark and end):
        raise ValueError(f"{page.name} holds no {FIRST.strip()} ... {LAST.strip()}")
    page.write_text(before + mark + table(rows) + end + after, encoding="utf-8")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a table, with the machine they were measured on.

    Example:
        >>> print(table([{"name": "a", "value": 2.0, "unit": "s", "goal": "<= 3", "holds": True}]))
        ... # doctest: +ELLIPSIS
        <BLANKLINE>
        On one machine (... cores, Python ...), one run:
        <BLANKLINE>
        | what | measured | goal | |
        |---|---|---|---|
        | a | 2 s | <= 3 | holds |
        <BLANKLINE>
    """
    cores, python = os.cpu_count(), platform.python_version()
    lines = [
        "", f"On one machine ({cores} cores, Python {python}), one run:", "",
        "| what | measured | goal | |", "|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        figure = f"{row['value']:,.4g} {row['unit']}".strip()
        verdict = "holds" if row["holds"] else "**short**"
        lines.append(f"| {row['name']} | {figure} | {row['goal']} | {verdict} |")
    return "\n".join([*lines, ""]) + "\n"
