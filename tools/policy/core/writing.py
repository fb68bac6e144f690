"""What changed between two policies, and how a small change is made in the text of one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class FieldChange:
    """A field that is not what it was, as JSON values."""

    field: str
    before: Any
    after: Any


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """Return every field that differs between what two documents say, by name.

    >>> changes({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    [FieldChange(field='a.c', before=2, after=3)]
    """
    was, becomes = _flat(before), _flat(after)
    return [
        FieldChange(field, was.get(field), becomes.get(field))
        for field in sorted(was.keys() | becomes.keys())
        if was.get(field) != becomes.get(field)
    ]


def with_values(text: str, values: Mapping[str, str]) -> str:
    r"""Return a policy's text with other values behind some names; its comments stay.

    Args:
        text: YAML in which each of the names stands once, on a line of its own.
        values: Name to YAML value.

    >>> with_values("a:\n  b: 1  # why\n", {"b": "2"})
    'a:\n  b: 2  # why\n'
    """
    for name, value in values.items():
        pattern = rf"^(\s*{re.escape(name)}:[ \t]+)[^\s#]+"
        safe = value.replace("\\", "\\\\")  # a backslash would mean something to re
        text = re.sub(pattern, rf"\g<1>{safe}", text, flags=re.MULTILINE)
    return text


def as_yaml(content: Mapping[str, Any]) -> str:
    """Return what a document says as YAML without comments."""
    return str(yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True))


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
