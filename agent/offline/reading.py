"""What one message says, piece by piece: the value types between the readers and the planner."""

import unicodedata
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Kind = Literal["item", "supplier", "location", "order", "recommendation", "tracking"]

_PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "×": "x"})  # noqa: RUF001
_PLAIN[0x2212] = "-"  # the minus sign


def plain(text: str) -> str:
    """Return the text with compatible letters, straight quotes and hyphens, single spaces."""
    folded = unicodedata.normalize("NFKC", text).translate(_PLAIN)
    return " ".join("".join(c for c in folded if unicodedata.category(c) != "Cf").split())


@dataclass(frozen=True)
class Mention:
    """A record named in the text; several values mean that the name fits several records."""

    kind: Kind
    values: tuple[str, ...]
    start: int
    end: int
    text: str
    is_exact: bool = True
    is_known: bool = True

    @property
    def value(self) -> str:
        """The record, or the first candidate."""
        return self.values[0]

    @property
    def is_ambiguous(self) -> bool:
        """Several records fit."""
        return len(self.values) > 1


@dataclass(frozen=True)
class Quantity:
    """A number of units, packs or anything else that is not a percentage, time span or date."""

    value: float
    unit: str | None
    start: int
    end: int


@dataclass(frozen=True)
class Span:
    """A percentage, a number of days or a period, with its place in the text."""

    value: float
    start: int
    end: int


@dataclass(frozen=True)
class Period:
    """A day, or two days and all between."""

    first: date | None
    last: date | None
    start: int
    end: int


@dataclass(frozen=True)
class Reading:
    """Everything that was found in one message.

    ``delexical`` is the text in lower case with each piece replaced by its kind ("xitem",
    "xqty"), which is what intents are recognised from.
    """

    text: str
    delexical: str
    mentions: tuple[Mention, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    percents: tuple[Span, ...] = ()
    durations: tuple[Span, ...] = ()
    periods: tuple[Period, ...] = field(default=())

    def of_kind(self, kind: Kind) -> list[Mention]:
        """Mentions of one kind in the order of the text."""
        return [mention for mention in self.mentions if mention.kind == kind]

    def first(self, kind: Kind) -> str | None:
        """The first unambiguous record of a kind."""
        return next((m.value for m in self.of_kind(kind) if not m.is_ambiguous), None)


class Canvas:
    """A text from which pieces are taken; taken pieces are invisible to later readers."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.left = text.lower() if len(text.lower()) == len(text) else text
        self.taken: list[tuple[int, int, str]] = []

    def take(self, start: int, end: int, placeholder: str) -> None:
        """Take a piece out; it will read as the placeholder."""
        self.taken.append((start, end, placeholder))
        self.left = self.left[:start] + "\x00" * (end - start) + self.left[end:]

    def is_free(self, start: int, end: int) -> bool:
        """No piece of this range has been taken."""
        return "\x00" not in self.left[start:end]

    def delexical(self) -> str:
        """Text in lower case with placeholders for everything that was taken."""
        parts: list[str] = []
        at = 0
        for start, end, placeholder in sorted(self.taken):
            parts += [self.text[at:start].lower(), f" {placeholder} "]
            at = end
        parts.append(self.text[at:].lower())
        return " ".join("".join(parts).split())
