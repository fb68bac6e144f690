"""Read quantities, percentages and time spans: 2k, a dozen, 1,200, +40 %, two weeks."""

import re

from agent.offline.reading import Canvas, Quantity, Span

_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
WORDS = {word: number for number, word in enumerate(_ONES)} | {
    word: 10 * number for number, word in enumerate(_TENS, start=2)
}
_SCALES = {"hundred": 100, "thousand": 1000, "dozen": 12}
_WORD = "|".join(sorted(WORDS, key=len, reverse=True))
_SPELT = rf"(?:half a|a(?! (?:{_WORD})\b)|{_WORD})(?:[ -](?:{_WORD}|hundred|thousand|dozen|and))*"
_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e\+?\d{1,2}\b)?"
_MOST = 1e15  # larger numbers are all the same to an order, and stay whole
UNITS = {
    "units": "unit", "unit": "unit", "pcs": "unit", "pc": "unit", "pieces": "unit",
    "piece": "unit", "each": "unit", "ea": "unit", "cases": "case", "case": "case",
    "cs": "case", "pallets": "pallet", "pallet": "pallet", "plt": "pallet", "boxes": "box",
    "box": "box", "cartons": "carton", "carton": "carton", "packs": "pack", "pack": "pack",
    "bags": "bag", "bag": "bag", "rolls": "roll", "roll": "roll", "bottles": "bottle",
    "bottle": "bottle", "drums": "drum", "drum": "drum", "kg": "kg",
}  # fmt: skip
_UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
_DAYS = {"d": 1, "day": 1, "week": 7, "wk": 7, "w": 7, "fortnight": 14, "month": 30, "mth": 30,
         "quarter": 91, "year": 365}  # fmt: skip
_PERIOD = "fortnight|quarter|months?|mths?|weeks?|wks?|years?|days?|w|d"
_PERCENT = re.compile(
    rf"(?P<sign>[+-]\s?)?(?P<number>{_DIGITS}|{_SPELT})\s?(?:%|percent\b|per cent\b|pct\b)"
)
_LEVEL = re.compile(
    r"(?:@|service level (?:of|at|to)?|service to|\bsl (?:of|at)?|\bat|with|about|to)\s*"
    r"(?P<number>0?\.\d+|9\d(?:\.\d+)?|8\d(?:\.\d+)?)(?=\s*(?:service|sl\b|\?|$|fill))"
)
_DURATION = re.compile(
    rf"\b(?P<number>{_DIGITS}|{_SPELT}|next|this|coming|last|past)[\s-]?(?P<unit>{_PERIOD})\b"
)
_QUANTITY = re.compile(
    rf"(?<![\w.])(?:x\s?)?(?P<digits>{_DIGITS})\s?(?P<k>k\b)?(?![\d%])(?:\s?x\b)?"
    rf"(?P<dozen>\s?dozen\b)?(?:\s?(?P<unit>{_UNIT})\b)?(?:\sof\b)?"
)
_SPELT_QUANTITY = re.compile(
    rf"\b(?P<words>(?:half a|a couple of|a(?! (?:{_WORD})\b)|{_WORD})"
    rf"(?:[ -](?:{_WORD}|hundred|thousand|dozen))*)"
    rf"(?:\s(?P<unit>{_UNIT})\b)?(?:\sof\b)?"
)
_FACTORS = tuple(
    (re.compile(pattern), value)
    for pattern, value in (
        (r"\b(?:doubles?|doubled|(?:twice|2x)(?: as much| as many)?)\b", 100.0),
        (r"\b(?:triples?|tripled|three times as (?:much|many))\b", 200.0),
        (r"\b(?:halves|halved|half as (?:much|many)|(?:drops?|falls?) by half)\b", -50.0),
        (r"\ba quarter (?=more|less|up|down|fewer|higher|lower)", 25.0),
        (r"\ba fifth\b", 20.0),
    )
)
_DOWN = re.compile(
    r"\b(?:drop|drops|fall|falls|fell|down|less|fewer|lower|decrease|decreases|decline|declines|"
    r"minus|cut|cuts|reduce|reduced|shrinks?)\b"
)


def number_of_words(text: str) -> float | None:
    """Number spelt in words, or None.

    Example:
        >>> number_of_words("two dozen"), number_of_words("half a dozen"), number_of_words("a")
        (24, 6.0, 1)
    """
    if text.startswith("half a "):
        whole = number_of_words(text.removeprefix("half a "))
        return None if whole is None else whole / 2
    if text == "a couple of":
        return 2
    total, current = 0, 0
    for word in re.split(r"[ -]", text):
        if word in _SCALES:
            current = max(current, 1) * _SCALES[word]
            total, current = (total + current, 0) if word == "thousand" else (total, current)
        elif word in WORDS or word in ("a", "and"):
            current += WORDS.get(word, 1 if word == "a" else 0)
        else:
            return None
    return total + current


def number(text: str) -> float:
    """Number in digits or words.

    Example:
        >>> number("1,200"), number("0.5"), number("ten")
        (1200.0, 0.5, 10.0)
    """
    spelt = number_of_words(text)
    return float(text.replace(",", "")) if spelt is None else float(spelt)


def take_percents(canvas: Canvas) -> list[Span]:
    """Take percentages out of the text; a fall counts negative."""
    found = []
    for match in _PERCENT.finditer(canvas.left):
        value = number(match["number"])
        is_fall = (match["sign"] or "").strip() == "-" or _falls(canvas.left, match.span())
        found.append(_take(canvas, match, -value if is_fall else value, "xpct"))
    for pattern, value in _FACTORS:
        for match in pattern.finditer(canvas.left):
            is_fall = value < 50 and _falls(canvas.left, match.span())
            found.append(_take(canvas, match, -value if is_fall else value, "xpct"))
    for match in _LEVEL.finditer(canvas.left):
        value = float(match["number"])
        start, end = match.span("number")
        canvas.take(start, end, "xpct")
        found.append(Span(value * 100 if value < 1 else value, start, end))
    return sorted(found, key=lambda span: span.start)


def take_durations(canvas: Canvas) -> list[Span]:
    """Take time spans out of the text, in days."""
    found = []
    for match in _DURATION.finditer(canvas.left):
        unit = match["unit"]
        days = _DAYS.get(unit, _DAYS.get(unit.rstrip("s"), 1))
        word = match["number"]
        is_word = word in ("next", "this", "coming", "last", "past")
        if is_word and unit in ("d", "w", "day", "days"):
            continue
        count = 1.0 if is_word else number(word)
        found.append(_take(canvas, match, count * days, "xdur"))
    return found


def take_quantities(canvas: Canvas) -> list[Quantity]:
    """Take the remaining numbers out of the text, with their units."""
    found = []
    for match in _QUANTITY.finditer(canvas.left):
        value = float(match["digits"].replace(",", ""))
        value *= (1000 if match["k"] else 1) * (12 if match["dozen"] else 1)
        value = min(value, _MOST)
        is_negative = re.search(r"(?:^|\s)(?:-|minus )$", canvas.left[: match.start()])
        found.append(_take_quantity(canvas, match, -value if is_negative else value))
    for match in _SPELT_QUANTITY.finditer(canvas.left):
        spelt = number_of_words(match["words"])
        if (
            spelt is not None
            and (match["words"] != "a" or match["unit"])
            and match["words"] != "one"
        ):
            found.append(_take_quantity(canvas, match, spelt))
    return sorted(found, key=lambda quantity: quantity.start)


def _take_quantity(canvas: Canvas, match: re.Match[str], value: float) -> Quantity:
    unit = UNITS.get(match["unit"]) if match["unit"] else None
    canvas.take(*match.span(), "xqty")
    return Quantity(value, unit, *match.span())


def _take(canvas: Canvas, match: re.Match[str], value: float, placeholder: str) -> Span:
    canvas.take(*match.span(), placeholder)
    return Span(value, *match.span())


def _falls(text: str, span: tuple[int, int]) -> bool:
    around = text[max(0, span[0] - 40) : span[1] + 15]
    return _DOWN.search(around) is not None
