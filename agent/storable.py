"""What of a model's words can be kept: in JSON, in both databases, in the model's memory.

A call that cannot be kept is refused before it runs; otherwise its turn could never be closed and
would be repeated.
"""

import math
import unicodedata
from typing import Any

LONGEST_NAME = 64
DEEPEST = 20  # levels of arguments
_LARGEST = 2**63 - 1
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: str) -> str:
    """Return the text without half characters, control characters and marks that reorder it."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign for sign in text if sign in "\n\t" or not _is_unfit(sign))


def problem_of(name: str | None, arguments: Any) -> str | None:
    """Return what is wrong with a call, to follow "The arguments were"; None when it can be kept.

    >>> problem_of("find_item", {"query": "widget"}), problem_of("find_item", {"limit": 2**70})
    (None, 'out of range')
    """
    if not name or len(name) > LONGEST_NAME or clean(name) != name:
        return "for a tool that does not exist"
    level = [arguments]
    for _ in range(DEEPEST):
        if not level:
            return None
        found = next((problem for problem in map(_problem, level) if problem), None)
        if found is not None:
            return found
        level = [part for value in level for part in _parts(value)]
    return "nested too deeply"


def _is_unfit(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs") or sign in _REORDERING


def _problem(value: Any) -> str | None:
    if isinstance(value, str):
        is_whole = "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)
        return None if is_whole else "not plain text"
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, int):
        return None if abs(value) <= _LARGEST else "out of range"
    if isinstance(value, float):
        return None if math.isfinite(value) else "out of range"
    return "not valid JSON"


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []
