"""Find the records a planner names: items, suppliers, locations, order numbers.

Letters decide, never likeness alone: an exact SKU, alias or full name is taken silently; words that
several names share give all of them; a slip of the pen gives its neighbours marked as inexact, so
that nothing is written on a guess. Words of the trade ("lead", "order", "status") are protected
from being taken for the name of an item or of a supplier.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from rapidfuzz import fuzz, process
from rapidfuzz.distance import DamerauLevenshtein

from agent.offline.reading import Canvas, Kind, Mention
from tools.catalog.core import (
    CatalogueSnapshot,
    SearchIndex,
    covered_owners,
    exact_owners,
    index_of,
    spaced,
    squeezed,
    text_key,
    words,
)

MOST_CANDIDATES = 12
_LONGEST_NAME = 7
_ORDER = re.compile(
    r"\bpo[-#](?P<short>\d+)\b|\bpo\s?[-#:]?\s?(?P<digits>\d{4,})\b|#(?P<hash>\d{4,})\b"
)
_RECOMMENDATION = re.compile(r"\b(?:r-|rec(?:ommendation)?\s)(?P<digits>\d+)\b")
_TRACKING = re.compile(r"\btracking (?:number |no\.? |code )?(?P<code>(?=\w*\d)\w{6,})\b")
_TOKEN = re.compile(r"[^\s\x00]+")
_EDGES = ".,;:!?()[]\"'"
_SKU_LIKE = re.compile(r"(?=.*\d)(?=.*[a-z])[a-z0-9][a-z0-9._/-]{2,}|[a-z]{2,}-[a-z0-9-]{1,}")
_NUMBER_LIKE = re.compile(
    r"x?[\d.,/%+-]+(?:e\+?\d+|k|x|d|w|st|nd|rd|th|days?|weeks?|pcs|units?|kg|ml|%)?"
)
_PREPOSITIONS = frozenset({"at", "in", "from", "to", "for", "@", "location", "site", "warehouse"})


@dataclass(frozen=True)
class Token:
    """A word of the text without the punctuation around it."""

    text: str
    start: int
    end: int


class Linker:
    """Links words of a message to the records of one catalogue."""

    def __init__(self, catalogue: CatalogueSnapshot, protected: frozenset[str]) -> None:
        self.index: SearchIndex = index_of(catalogue.items)
        self.protected = protected
        self.suppliers = _names_of(catalogue.suppliers)
        self.locations = {code.casefold(): code for code in catalogue.locations}
        keys = {squeezed(text_key(item.sku)): item.sku for item in catalogue.items}
        self.sku_keys = dict(sorted(keys.items()))
        self.supplier_names = sorted(self.suppliers)

    def take(self, canvas: Canvas, documents: Collection[str] = ()) -> list[Mention]:
        """Take every named record out of the text.

        Args:
            canvas: The text.
            documents: Numbers of orders that the conversation spoke of, such as "X-1".
        """
        found = _take_documents(canvas, documents)
        found += _take_numbers(canvas)
        found += self._windows(canvas, self._exact_item)
        found += self._windows(canvas, self._supplier)
        found += self._windows(canvas, self._name)
        found += self._windows(canvas, self._shared_item)
        found += self._windows(canvas, self._location, longest=1)
        found += self._windows(canvas, self._slip, longest=1)
        return sorted(found, key=lambda mention: mention.start)

    def choose(self, values: tuple[str, ...], answer: str) -> list[str]:
        """Candidates that an answer such as "M", "the medium one" or "GLOVE-M" picks."""
        given = set(spaced(answer).split()) | set(words(answer))
        scores = {value: self._likeness(value, given) for value in values}
        best = max(scores.values(), default=(0, 0))
        return [value for value in values if best > (0, 0) and scores[value] == best]

    def _likeness(self, sku: str, given: set[str]) -> tuple[int, int]:
        """Shared words with SKU and name, then with other names."""
        item = next((item for item in self.index.items if item.sku == sku), None)
        own = set(spaced(sku).split())
        if item is None:
            return len(own & given), 0
        own |= set(words(item.name))
        others = {word for text in item.aliases for word in words(text)}
        return len(own & given), len(others & given)

    def _windows(
        self,
        canvas: Canvas,
        link: Callable[[Canvas, list[Token]], Mention | None],
        longest: int = _LONGEST_NAME,
    ) -> list[Mention]:
        found = []
        for size in range(longest, 0, -1):
            tokens = _tokens(canvas)
            for at in range(len(tokens) - size + 1):
                window = tokens[at : at + size]
                if not canvas.is_free(window[0].start, window[-1].end):
                    continue
                mention = link(canvas, window)
                if mention is not None:
                    canvas.take(mention.start, mention.end, f"x{mention.kind}")
                    found.append(mention)
        return found

    def _exact_item(self, canvas: Canvas, window: list[Token]) -> Mention | None:
        text = self._known_name(_text(canvas, window))
        if text is None or self._is_common(canvas, window, squeezed(spaced(text))):
            return None
        owners = exact_owners(self.index, text)
        return _mention("item", [owners[0].sku], window, text) if len(owners) == 1 else None

    def _known_name(self, text: str) -> str | None:
        """The full name that a text is, or whose plural it is."""
        forms = (text, text.removesuffix("s"), text.removesuffix("es"))
        return next((f for f in forms if squeezed(spaced(f)) in self.index.squeezed), None)

    def _shared_item(self, canvas: Canvas, window: list[Token]) -> Mention | None:
        """A name that several items have; longer names around it were looked for before."""
        text = _text(canvas, window)
        key = squeezed(spaced(text))
        if key not in self.index.squeezed or self._is_common(canvas, window, key):
            return None
        skus = [item.sku for item in exact_owners(self.index, text)[:MOST_CANDIDATES]]
        return _mention("item", skus, window, text) if skus else None

    def _is_common(self, canvas: Canvas, window: list[Token], key: str) -> bool:
        """A plain number, or a protected word that is not written as a SKU."""
        if any(char in window[0].text for char in ",%") and key.isdigit():
            return True
        if key.isdigit() and len(key) < 4:
            return True
        written = canvas.text[window[0].start : window[-1].end]
        return all(token.text in self.protected for token in window) and not written.isupper()

    def _is_protected(self, token: Token) -> bool:
        return token.text in self.protected or bool(_NUMBER_LIKE.fullmatch(token.text))

    def _supplier(self, canvas: Canvas, window: list[Token]) -> Mention | None:
        text = _text(canvas, window)
        key = spaced(text)
        if key in self.suppliers and not (len(window) == 1 and window[0].text in self.protected):
            return _mention("supplier", sorted(self.suppliers[key]), window, text)
        if len(key) < 5 or any(token.text in self.protected for token in window):
            return None
        near = process.extractOne(key, self.supplier_names, scorer=fuzz.ratio, score_cutoff=86)
        if near is None:
            return None
        return _mention("supplier", sorted(self.suppliers[near[0]]), window, text, is_exact=False)

    def _name(self, canvas: Canvas, window: list[Token]) -> Mention | None:
        content = [token for token in window if not self._is_protected(token)]
        if not content or window[0].text in ("of", "the", "a", "and", "for", "x", "we", "to"):
            return None
        spelt = [self._spelling(token) for token in window]
        if any(word is None for word in spelt):
            return None
        text = " ".join(word for word in spelt if word)
        owners = covered_owners(self.index, text)
        if not owners:
            return None
        skus = [item.sku for item in owners[:MOST_CANDIDATES]]
        singular = " ".join(self._singular(token.text) for token in window)
        is_exact = words(text) in (words(_text(canvas, window)), words(singular))
        return _mention("item", skus, window, _text(canvas, window), is_exact=is_exact)

    def _singular(self, word: str) -> str:
        """A plural as the catalogue writes its singular: "hearts", "boxes"."""
        if word in self.index.postings or len(word) < 4:
            return word
        shorter = (word.removesuffix("s"), word.removesuffix("es"))
        return next((text for text in shorter if text in self.index.postings), word)

    def _spelling(self, token: Token) -> str | None:
        """The word of the catalogue that a token is; None if there is no such word."""
        parts = words(self._singular(token.text))
        if all(part in self.index.postings for part in parts) and parts:
            return " ".join(parts)
        if len(parts) != 1 or len(parts[0]) < 5 or self._is_protected(token):
            return None
        near = process.extractOne(
            parts[0], self.index.vocabulary, scorer=fuzz.ratio, score_cutoff=84
        )
        return None if near is None else near[0]

    def _location(self, canvas: Canvas, window: list[Token]) -> Mention | None:
        token = window[0]
        code = self.locations.get(token.text)
        if code is None:
            return None
        before = canvas.text[: token.start].lower().split()
        is_placed = bool(before) and before[-1] in _PREPOSITIONS
        if not (is_placed or canvas.text[token.start : token.end] == code):
            return None
        return _mention("location", [code], window, token.text)

    def _slip(self, canvas: Canvas, window: list[Token]) -> Mention | None:
        token = window[0]
        is_plain = token.text in self.protected or _NUMBER_LIKE.fullmatch(token.text)
        if is_plain or not _SKU_LIKE.fullmatch(token.text):
            return None
        key = squeezed(spaced(token.text))
        near = process.extract(
            key, self.sku_keys.keys(), scorer=DamerauLevenshtein.distance, score_cutoff=1, limit=4
        )
        written = canvas.text[token.start : token.end]
        if near and len(key) >= 4:
            skus = [self.sku_keys[hit[0]] for hit in near]
            return _mention("item", skus, window, written, is_exact=False)
        if not any(char.isdigit() for char in key) and written != written.upper():
            return None
        unknown = _mention("item", [written], window, written)
        return Mention(**{**unknown.__dict__, "is_known": False})


def _names_of(suppliers: tuple[tuple[str, str], ...]) -> dict[str, set[str]]:
    """Spellings under which each supplier is known; the first word counts if only one has it."""
    names: dict[str, set[str]] = {}
    for code, name in suppliers:
        first = spaced(name).split()[:1]
        for text in {spaced(code), spaced(name), *(word for word in first if len(word) > 3)}:
            names.setdefault(text, set()).add(code)
    return names


def _take_documents(canvas: Canvas, documents: Collection[str]) -> list[Mention]:
    """Order numbers of other systems: nothing but the conversation knows their form."""
    found = []
    for number in sorted(documents, key=len, reverse=True):
        for match in re.finditer(rf"(?<![\w-]){re.escape(number.lower())}(?![\w-])", canvas.left):
            text = canvas.text[match.start() : match.end()]
            found.append(Mention("order", (number,), *match.span(), text))
            canvas.take(*match.span(), "xorder")
    return found


def _take_numbers(canvas: Canvas) -> list[Mention]:
    found = []
    patterns: tuple[tuple[re.Pattern[str], Kind, str], ...] = (
        (_ORDER, "order", "PO-"),
        (_RECOMMENDATION, "recommendation", "R-"),
        (_TRACKING, "tracking", ""),
    )
    for pattern, kind, prefix in patterns:
        for match in pattern.finditer(canvas.left):
            digits = next(group for group in match.groups() if group)
            text = canvas.text[match.start() : match.end()]
            found.append(Mention(kind, (prefix + digits.upper(),), *match.span(), text))
            canvas.take(*match.span(), f"x{kind}")
    return found


def _tokens(canvas: Canvas) -> list[Token]:
    found = []
    for match in _TOKEN.finditer(canvas.left):
        text = match[0]
        start = match.start() + len(text) - len(text.lstrip(_EDGES))
        stripped = text.strip(_EDGES).removesuffix("'s")
        if any(char.isalnum() for char in stripped):
            found.append(Token(stripped, start, start + len(stripped)))
    return found


def _text(canvas: Canvas, window: list[Token]) -> str:
    return canvas.left[window[0].start : window[-1].end]


def _mention(
    kind: Kind, values: list[str], window: list[Token], text: str, *, is_exact: bool = True
) -> Mention:
    return Mention(kind, tuple(values), window[0].start, window[-1].end, text, is_exact)
