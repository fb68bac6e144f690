"""Canonical keys of names and SKUs, and the search over them.

Three things are kept apart. A *key* is the one spelling under which a name is stored. *Resolving*
turns what a person wrote into exactly one record or into none: spelling, case and punctuation may
differ, letters may not. *Searching* ranks what the person may have meant, typing errors included,
for the person to choose from.
"""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz, process

from tools.errors import InvalidInput

MAX_SKU_LENGTH = 64
MOST_TIES = 20
# Signs drawn as nothing, beside the format characters: fillers, joiners, variation selectors.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u3164\uffa0").union(
    map(chr, range(0xFE00, 0xFE10))
)
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"), "-")
# Capitals of other alphabets that are drawn like a Latin capital, as small letters.
_LIKE_LATIN = str.maketrans(
    "авекмнорстухіјѕ" + "αβεζηικμνορτυχ", "abekmhopctyxijs" + "abezhikmnoptyx"
)
_UNIT_SIGNS = frozenset("μΩ")  # micro and ohm, at home in Latin part numbers
_EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "KATAKANA-HIRAGANA"}
_FULL_COVER = 95.0
_LEAST_SCORE = 50.0
_LEAST_TOKEN_RATIO = 76.0
_LEAST_SKU_RATIO = 80.0


@dataclass(frozen=True)
class NamedItem:
    """An item as people may call it."""

    sku: str
    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class CatalogueSnapshot:
    """All names that a planner can use, at one moment."""

    items: tuple[NamedItem, ...]
    suppliers: tuple[tuple[str, str], ...] = ()  # code, name
    locations: tuple[str, ...] = ()


def text_key(text: str) -> str:
    """Spelling under which names are compared: compatible letters, lower case, single spaces.

    Example:
        >>> text_key("  Blue\u200b  WIDGET ")
        'blue widget'
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(seen(folded).translate(_DASHES).split())


def seen(text: str) -> str:
    r"""Return the text without the signs that nobody sees.

    Example:
        >>> seen("WID\u200bGET\u202e-A\ufe0f")
        'WIDGET-A'
    """
    return "".join(c for c in text if unicodedata.category(c) != "Cf" and c not in _UNSEEN)


def sku_key(text: str) -> str:
    """Canonical spelling of a SKU or code.

    Invisible format characters are dropped, full-width and other compatible letters become plain
    ones, every dash a hyphen, case is folded. Letters of two scripts in one SKU (a Cyrillic letter
    that looks Latin) are refused, and a SKU all of whose letters are drawn like Latin capitals has
    the key of the Latin one, since two SKUs that look alike must not be two items.

    Args:
        text: What was written; 1 to 64 characters remain.

    Raises:
        InvalidInput: Empty, too long, mixed scripts, or control characters inside.

    Example:
        >>> sku_key(" Widget-A ")
        'widget-a'
    """
    stripped = unicodedata.normalize("NFKC", text).strip()
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in stripped):
        raise InvalidInput(
            f"SKU {text!r} holds a control character", next_step="Type the SKU again."
        )
    result = text_key(stripped)
    if not result or len(result) > MAX_SKU_LENGTH:
        raise InvalidInput(
            f"a SKU has 1 to {MAX_SKU_LENGTH} characters, got {text[:80]!r}",
            next_step="Name the item by its SKU.",
        )
    scripts = {_script(c) for c in seen(stripped) if c.isalpha() and c not in _UNIT_SIGNS}
    if len(scripts) > 1:
        raise InvalidInput(
            f"SKU {text!r} mixes letters of several alphabets: {', '.join(sorted(scripts))}",
            next_step="Type the SKU again; letters that look alike can be different characters.",
        )
    if scripts == {"LATIN"}:
        return result.replace("i\u0307", "i").replace("\u0131", "i")  # I with and without a dot
    return _drawn_as_latin(result)


def _drawn_as_latin(key: str) -> str:
    """Spell a key in Latin letters where a reader could not tell the difference."""
    latin = key.translate(_LIKE_LATIN)
    return latin if all(_script(c) == "LATIN" for c in latin if c.isalpha()) else key


def squeezed(key: str) -> str:
    """Letters and digits of a key only, for a comparison that ignores punctuation.

    Example:
        >>> squeezed("widget-a")
        'widgeta'
    """
    return "".join(c for c in key if c.isalnum())


def spaced(text: str) -> str:
    """Key of a text with its punctuation read as spaces.

    Example:
        >>> spaced("Widget-A")
        'widget a'
    """
    return " ".join("".join(c if c.isalnum() else " " for c in text_key(text)).split())


def words(text: str) -> tuple[str, ...]:
    """Words of a name in comparable form; a plural counts as its singular.

    Example:
        >>> words("Nitrile Gloves, 500ml")
        ('nitrile', 'glove', '500ml')
    """
    return tuple(_singular(word) for word in spaced(text).split())


@dataclass(frozen=True)
class Naming:
    """One name of one record."""

    owner: int
    text: str
    tokens: frozenset[str]


class SearchIndex:
    """Inverted index over the names of a catalogue; build it once per snapshot."""

    def __init__(self, items: Sequence[NamedItem]) -> None:
        self.items = tuple(items)
        self.namings: list[Naming] = []
        self.spaced: dict[str, set[int]] = defaultdict(set)
        self.squeezed: dict[str, set[int]] = defaultdict(set)
        self.skus = [squeezed(text_key(item.sku)) for item in self.items]
        self.postings: dict[str, list[int]] = defaultdict(list)
        for owner, item in enumerate(self.items):
            self.spaced[spaced(item.sku)].add(owner)
            self.squeezed[self.skus[owner]].add(owner)
            for text in (item.name, *item.aliases):
                self._add(owner, text)
        self.vocabulary = sorted(self.postings)

    def _add(self, owner: int, text: str) -> None:
        self.spaced[spaced(text)].add(owner)
        self.squeezed[squeezed(text_key(text))].add(owner)
        naming = Naming(owner, text_key(text), frozenset(words(text)))
        for token in naming.tokens:
            self.postings[token].append(len(self.namings))
        self.namings.append(naming)

    def weight(self, token: str) -> float:
        """Inverse document frequency of a word, > 0; an unknown word weighs most."""
        return math.log(1 + (len(self.namings) + 1) / (len(self.postings.get(token, ())) + 0.5))


@lru_cache(maxsize=4)
def index_of(items: tuple[NamedItem, ...]) -> SearchIndex:
    """Index of these items; the last few are remembered, for the same snapshot comes often."""
    return SearchIndex(items)


def exact_owners(index: SearchIndex, text: str) -> list[NamedItem]:
    """Items whose SKU, alias or whole name is this text; case and punctuation do not count.

    A SKU wins over a name of another item that reads the same. Text that only matches once its
    word boundaries are ignored may be a plain word as well ("gloves" and the SKU GLOVE-S): then
    all items whose names hold that word are returned too.
    """
    wanted = spaced(text)
    joined = squeezed(wanted)
    if not joined:
        return []
    owners = index.spaced.get(wanted, set())
    by_sku = {owner for owner in owners if spaced(index.items[owner].sku) == wanted}
    if owners:
        return [index.items[owner] for owner in sorted(by_sku or owners)]
    owners = set(index.squeezed.get(joined, ()))
    return (
        [index.items[owner] for owner in sorted(owners | _covered(index, text))] if owners else []
    )


def covered_owners(index: SearchIndex, text: str) -> list[NamedItem]:
    """Items that have one name holding every word of the text, letter by letter.

    Nothing is covered by text without a word of at least three letters.
    """
    return [index.items[owner] for owner in sorted(_covered(index, text))]


def search(index: SearchIndex, query: str, limit: int = 5) -> list[tuple[NamedItem, float]]:
    """Rank the items that the query may mean, best first.

    An exact SKU, alias or name scores 100 and ends the search. A name that holds every word scores
    95 whatever else it says: which of those is meant is not ours to guess. Otherwise the score is
    the mean of two shares in 0..100: how much of the query's words (weighted by rarity, typing
    errors allowed) a name covers, and rapidfuzz's WRatio of the two texts; a SKU that differs by
    a slip counts with its own likeness.

    Args:
        index: Index of the catalogue.
        query: Free text.
        limit: How many to return; ties with the last one are returned too, up to 20.
    """
    exact = exact_owners(index, query)
    if exact:
        return [(item, 100.0) for item in exact]
    scores: dict[int, float] = {}
    for owner, score in [*_name_scores(index, query), *_sku_scores(index, query)]:
        scores[owner] = max(score, scores.get(owner, 0.0))
    ranked = sorted(
        ((round(score, 1), owner) for owner, score in scores.items() if score >= _LEAST_SCORE),
        key=lambda pair: (-pair[0], index.items[pair[1]].sku),
    )
    if len(ranked) > limit:
        last = ranked[limit - 1][0]
        ranked = [pair for pair in ranked if pair[0] >= last][: max(limit, MOST_TIES)]
    return [(index.items[owner], score) for score, owner in ranked]


def _covered(index: SearchIndex, text: str) -> set[int]:
    wanted = frozenset(words(text))
    if not any(len(word) >= 3 and word.isalpha() for word in wanted):
        return set()
    shared = set.intersection(*(set(index.postings.get(word, ())) for word in wanted))
    return {index.namings[position].owner for position in shared}


def _name_scores(index: SearchIndex, query: str) -> Iterable[tuple[int, float]]:
    tokens = sorted(set(words(query)))
    if not tokens:
        return
    total = sum(index.weight(token) for token in tokens)
    cover: dict[int, float] = defaultdict(float)
    for token in tokens:
        for position, likeness in _naming_likeness(index, token).items():
            cover[position] += index.weight(token) * likeness
    best = sorted(cover.items(), key=lambda pair: (-pair[1], pair[0]))[:200]
    text = text_key(query)
    for position, value in best:
        naming = index.namings[position]
        if naming.tokens.issuperset(tokens):
            yield naming.owner, _FULL_COVER
        else:
            ratio = fuzz.WRatio(text, naming.text)
            yield naming.owner, min((100 * value / total + ratio) / 2, _FULL_COVER - 1)


def _naming_likeness(index: SearchIndex, token: str) -> dict[int, float]:
    """Names that hold the word (1.0) or, when none does, words like it (0.76 to 1)."""
    if token in index.postings:
        return dict.fromkeys(index.postings[token], 1.0)
    if len(token) < 3:
        return {}
    like = process.extract(
        token, index.vocabulary, scorer=fuzz.ratio, score_cutoff=_LEAST_TOKEN_RATIO, limit=8
    )
    found: dict[int, float] = {}
    for word, ratio, _ in sorted(like, key=lambda hit: (hit[1], hit[0])):
        found |= dict.fromkeys(index.postings[word], ratio / 100)
    return found


def _sku_scores(index: SearchIndex, query: str) -> Iterable[tuple[int, float]]:
    wanted = squeezed(text_key(query))
    if len(wanted) < 3:
        return
    hits = process.extract(
        wanted, index.skus, scorer=fuzz.ratio, score_cutoff=_LEAST_SKU_RATIO, limit=MOST_TIES
    )
    for _, score, owner in hits:
        yield owner, min(score, _FULL_COVER - 1)


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss") and word.isalpha():
        return word[:-1]
    return word


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "UNKNOWN").split()[0]
    return "EAST ASIAN" if name in _EAST_ASIAN else name
