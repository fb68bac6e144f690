"""Recognise what is wanted by likeness to example sentences.

The examples are one text file an intent, with placeholders for records. Their texts become tf-idf
vectors of letter groups and words, and a regularised least-squares fit on the likeness of each pair
of examples gives one weight a feature and intent. A scorer is therefore a vocabulary and a matrix,
wherever they come from.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from agent.offline.dates import take_periods
from agent.offline.numbers import take_durations, take_percents, take_quantities
from agent.offline.reading import Canvas, plain

_PLACEHOLDERS = {
    "sku": "xitem", "sku2": "xitem", "name": "xitem", "category": "xitem", "po": "xorder",
    "supplier": "xsupplier", "location": "xlocation", "qty": "xqty", "rec": "xrecommendation",
    "tracking": "xtracking",
}  # fmt: skip
_RIDGE = 1.0
_WORD = re.compile(r"[a-z']+")


@dataclass(frozen=True)
class Example:
    """An example sentence, de-lexicalised, and what it asks for."""

    intent: str
    text: str


@dataclass(frozen=True)
class Scorer:
    """Linear scores of a text for every intent; about 1 for a clear case, about 0 for none."""

    intents: tuple[str, ...]
    columns: dict[str, int]
    rarity: NDArray[np.float64]
    weights: NDArray[np.float64]
    known_words: frozenset[str]

    def rank(self, text: str) -> list[tuple[str, float]]:
        """Intents with their scores, best first.

        Args:
            text: De-lexicalised text in lower case.
        """
        columns, values = _vector(text, self.columns, self.rarity)
        scores = values @ self.weights[columns] if len(columns) else np.zeros(len(self.intents))
        order = np.argsort(-scores, kind="stable")
        return [(self.intents[index], float(scores[index])) for index in order]


@lru_cache(maxsize=1)
def examples() -> tuple[Example, ...]:
    """All example sentences of the package, in a fixed order."""
    folder = files("agent.offline") / "sentences"
    found = []
    for entry in sorted(folder.iterdir(), key=lambda path: path.name):
        if entry.name.endswith(".txt"):
            intent = entry.name.removesuffix(".txt")
            lines = entry.read_text(encoding="utf-8").splitlines()
            found += [Example(intent, delexicalise(line)) for line in lines if line.strip()]
    return tuple(found)


def delexicalise(line: str) -> str:
    """Replace the placeholders of an example line and its numbers by the kinds of pieces.

    Example:
        >>> delexicalise("order 200 {sku} from {supplier}")
        'order xqty xitem from xsupplier'
    """
    canvas = Canvas(plain(line))
    for match in re.finditer(r"\{(\w+)\}", canvas.left):
        canvas.take(*match.span(), _PLACEHOLDERS[match[1]])
    take_periods(canvas, None)
    take_percents(canvas)
    take_durations(canvas)
    take_quantities(canvas)
    return canvas.delexical()


@lru_cache(maxsize=1)
def scorer() -> Scorer:
    """The scorer fitted on the examples of the package."""
    return fit(examples())


def fit(rows: Sequence[Example]) -> Scorer:
    """Fit a scorer.

    Args:
        rows: Example sentences, several per intent.
    """
    intents = tuple(sorted({row.intent for row in rows}))
    grams = [_grams(row.text) for row in rows]
    seen = Counter(gram for row in grams for gram in row)
    columns = {gram: column for column, gram in enumerate(sorted(seen))}
    counts = np.array([seen[gram] for gram in columns], dtype=float)
    rarity = np.log((1 + len(rows)) / (1 + counts)) + 1
    features = np.zeros((len(rows), len(columns)), dtype=np.float32)
    for index, row in enumerate(rows):
        where, values = _vector(row.text, columns, rarity)
        features[index, where] = values
    wanted = np.array([[row.intent == name for name in intents] for row in rows], dtype=float)
    likeness = features @ features.T
    balance = np.linalg.solve(likeness + _RIDGE * np.eye(len(rows)), wanted)
    words = frozenset(word for row in rows for word in _WORD.findall(row.text))
    weights = (features.T @ balance).astype(np.float64)
    return Scorer(intents, columns, rarity, weights, words)


def _vector(
    text: str, columns: dict[str, int], rarity: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Columns and values of the tf-idf vector of unit length."""
    known = {columns[gram]: count for gram, count in _grams(text).items() if gram in columns}
    where = np.array(sorted(known), dtype=np.int64)
    values = np.array([1 + np.log(known[column]) for column in sorted(known)])
    values = values * rarity[where] if len(where) else values
    length = float(np.linalg.norm(values)) if len(where) else 1.0
    return where, values / (length or 1.0)


def _grams(text: str) -> Counter[str]:
    """Words, pairs of words, and groups of 2 to 5 letters inside words."""
    words = re.findall(r"[a-z']+|\?", text)
    grams = Counter(f"w:{word}" for word in words)
    grams.update(f"w:{a} {b}" for a, b in pairwise(words))
    for word in words:
        padded = f" {word} "
        for size in (2, 3, 4, 5):
            grams.update(padded[at : at + size] for at in range(len(padded) - size + 1))
    return grams
