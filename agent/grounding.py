"""Every figure in a reply comes from a tool result, a notice of a decision, or the user's words.

A figure may be shown rounded, as a percentage of a fraction, in thousands or millions, and without
its sign. The text of a failed call repeats what the model asked, so it is no source; only its
``details`` are, without what the call's own arguments say. Names of things, dates, times, ordinals
and list markers are not figures; the number of an order, recommendation or approval must be one
that occurs. Number words ("two") are not checked.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

NOTICE = "notice"  # ``name`` of an assistant message that states facts from the database
_SHOWN = 3  # items of a list in the safe reply
_SCALES = {"k": 3, "thousand": 3, "m": 6, "mn": 6, "million": 6, "bn": 9, "billion": 9}
_UNIT = r"units?|pcs|pieces|boxes|cases|each|items?|days|times"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_MASKS = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        r"https?://\S+",
        r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
        r"\b\d{1,2}[./]\d{1,2}[./](?:\d{4}|\d{2})\b",
        rf"\b{_DAY}(?:\s*(?:-|\u2013|to)\s*{_DAY})?\s+{_MONTH}(?:,?\s+\d{{4}})?\b",
        rf"\b{_MONTH}\s+{_DAY}(?:\s*(?:-|\u2013|to)\s*{_DAY})?\b(?:,?\s+\d{{4}}\b)?",
        rf"\b(?:in|since|until|{_MONTH})\s+20\d{{2}}\b(?![.,]?\d|\s+(?:{_UNIT})\b)",
        r"\b\d{1,2}:\d{2}(?::\d{2})?(?:\s*[ap]m)?\b",
        r"\b\d{1,2}\s*[ap]m\b",
        r"\b24/7\b|\b100\s*%\s+(?:sure|certain)\b",
        r"\btop\s+\d{1,2}\b",
        r"\b(?:week|cw|quarter|step|option|line|rev(?:ision)?\.?|version)\s+\d{1,2}\b|\bQ[1-4]\b",
        r"\bPO\s*(?:#|no\.?|number)?\s*\d+\b|\b(?:order|approval)\s+(?:#|no\.|number)\s*\d+\b",
        r"^\s*(?:[-*•]\s+)?\(?\d{1,2}[.)]\s|(?<=\s)[1-9]\)(?=\s)",
        r"\b\d+(?:st|nd|rd|th)\b",
        r"#\d+\b",
    )
)
_CURRENCY = re.compile(r"\b(?:USD|EUR|GBP|CHF)(?=\d)")
_DOCUMENT = re.compile(r"\b(?:[Pp][Oo]|R|a)-\d+\b")  # A-001 may well be a SKU
_IDENTIFIER = re.compile(r"\b(?=[\w/]*[A-Za-z])[A-Za-z0-9]+(?:[-_/][A-Za-z0-9]+)+\b")
_DIGIT = re.compile(r"\d")
_DECIMAL = re.compile(r"-?\d+(?:\.\d+)?")
_GLUED = re.compile(r"\b(?:[A-Za-z]+\d\w*|\d+[A-Za-z]+\d\w*)\b")
_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-\u2212+]?)"
    r"(?P<digits>\d{1,3}(?:[ ,.'\u00a0\u202f]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)?)"
    r"\s?(?P<unit>%|percent\b|k\b|thousand\b|mn?\b|million\b|bn\b|billion\b)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Figure:
    """A number as written: the values it may mean and the digits shown."""

    text: str
    readings: tuple[Decimal, ...]
    is_percent: bool
    scale: int


class Facts:
    """The numbers a reply may use."""

    def __init__(self) -> None:
        self.values: set[Decimal] = set()
        self.names: set[str] = set()

    def add_text(self, text: str) -> None:
        """Take the numbers and the names out of words."""
        if not _DIGIT.search(text):
            return
        self.names.update(found.casefold() for found in _IDENTIFIER.findall(text))
        for figure in figures(text):
            for reading in figure.readings:
                self.values.add(abs(reading).scaleb(figure.scale))
                self.values.add(abs(reading))
                if figure.is_percent:
                    self.values.add(abs(reading) / 100)

    def add_json(self, value: Any) -> None:
        """Take every number of a JSON value, and the numbers inside its texts."""
        if isinstance(value, bool) or value is None:
            return
        if isinstance(value, int | float):
            self.values.add(abs(Decimal(str(value))))
        elif isinstance(value, str):
            self._add_json_text(value)
        else:
            for item in value.values() if isinstance(value, dict) else value:
                self.add_json(item)

    def _add_json_text(self, text: str) -> None:
        if _DECIMAL.fullmatch(text):  # money comes as a decimal in a text
            self.values.add(abs(Decimal(text)))
        else:
            self.add_text(text)

    def allow(self, figure: Figure) -> bool:
        """Say whether a figure is one of the numbers, rounded to the digits it shows."""
        return any(
            _is_rounded(reading, value, figure)
            for reading in figure.readings
            for value in self.values
        )


def figures(text: str) -> list[Figure]:
    """Return the figures of a text, without names, dates, times and list markers."""
    if not _DIGIT.search(text):
        return []
    return [_figure(found) for found in _NUMBER.finditer(_masked(text))]


def facts_of(messages: Iterable[BaseMessage]) -> Facts:
    """Collect the numbers of tool results, notices and the user's words."""
    facts = Facts()
    asked: dict[str | None, Any] = {}
    for message in messages:
        if isinstance(message, AIMessage):
            asked.update((call["id"], call["args"]) for call in message.tool_calls)
        if isinstance(message, ToolMessage):
            _add_result(facts, _parsed(message.text), asked.get(message.tool_call_id))
        elif isinstance(message, HumanMessage) or message.name == NOTICE:
            facts.add_text(message.text)
    return facts


def _add_result(facts: Facts, envelope: Any, arguments: Any) -> None:
    if not isinstance(envelope, dict):
        return
    if envelope.get("ok"):
        facts.add_json(envelope)
        return
    given, own = Facts(), Facts()
    given.add_json(envelope.get("details"))
    own.add_json(arguments)
    facts.values |= given.values - own.values
    facts.names |= given.names - own.names


def strays(reply: str, messages: Sequence[BaseMessage]) -> list[str]:
    """Return the figures and document numbers of a reply that nothing in the conversation gives."""
    written = figures(reply)
    documents = _DOCUMENT.findall(reply)
    if not written and not documents:
        return []
    facts = facts_of(messages)
    unknown = [name for name in documents if name.casefold() not in facts.names]
    return [figure.text for figure in written if not facts.allow(figure)] + unknown


def correction(found: Sequence[str]) -> str:
    """Return what to tell the model about its reply."""
    return (
        f"Your reply has figures that no tool result gives: {', '.join(found[:8])}. Write it again "
        "with figures from the tool results only, or call a tool. Do not calculate."
    )


def safe_reply(messages: Sequence[BaseMessage]) -> str:
    """Return a reply made of this turn's tool results alone."""
    lines = [
        line
        for message in _this_turn(messages)
        if isinstance(message, ToolMessage)
        for line in _listed(message)
    ]
    if not lines:
        return (
            "I have no figures from a tool for that, so I would rather not answer with numbers. "
            "Please name the item, supplier or order you mean."
        )
    return "\n".join(["I can only confirm what the tools returned:", *lines])


def _this_turn(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    starts = [index for index, said in enumerate(messages) if isinstance(said, HumanMessage)]
    return messages[starts[-1] :] if starts else messages


def _listed(message: ToolMessage) -> Iterator[str]:
    envelope = _parsed(message.text)
    if not isinstance(envelope, dict):
        return
    name = (message.name or "tool").replace("_", " ")
    if not envelope.get("ok"):
        yield f"- {name}: {envelope.get('message', 'no result')}"
        return
    data = envelope.get("data") or {}
    yield f"- {name}: {_flat(data) or 'see below'}"
    for value in data.values():
        for item in value[:_SHOWN] if isinstance(value, list) else ():
            if isinstance(item, dict):
                yield f"  - {_flat(item)}"


def _flat(data: dict[str, Any], limit: int = 12) -> str:
    simple = [
        f"{key.replace('_', ' ')} {value}"
        for key, value in data.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
    ]
    return ", ".join(simple[:limit])


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _masked(text: str) -> str:
    text = _CURRENCY.sub(_blank, text)
    for pattern in (*_MASKS, _IDENTIFIER, _GLUED):
        text = pattern.sub(_blank, text)
    return text


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _figure(found: re.Match[str]) -> Figure:
    unit = (found["unit"] or "").casefold()
    return Figure(
        text=found[0].strip(),
        readings=tuple(_readings(found["digits"])),
        is_percent=unit in ("%", "percent"),
        scale=_SCALES.get(unit, 0),
    )


def _readings(digits: str) -> Iterator[Decimal]:
    """Give what the digits may mean: "1,234" is 1234 here and 1.234 elsewhere."""
    plain = re.sub(r"[ '\u00a0\u202f]", "", digits)
    marks = re.findall(r"[.,]", plain)
    whole = re.sub(r"[.,]", "", plain)
    if not marks or len(marks) > len(set(marks)) == 1:
        yield Decimal(whole)
        return
    head, tail = re.split(rf"\{marks[-1]}", plain)[-2:]
    if len(marks) == 1 and len(tail) == 3 and len(head) <= 3:
        yield Decimal(whole)
    yield Decimal(f"{re.sub(r'[.,]', '', plain[: -len(tail) - 1])}.{tail}")


def _is_rounded(reading: Decimal, value: Decimal, figure: Figure) -> bool:
    if figure.scale:
        value = value.scaleb(-figure.scale)
    candidates = (value, value * 100) if figure.is_percent else (value,)
    exponent = reading.as_tuple().exponent
    step = Decimal(1).scaleb(int(exponent))
    return any(abs(candidate - reading) <= step / 2 for candidate in candidates)
