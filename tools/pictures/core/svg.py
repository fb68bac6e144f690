"""Drawing in SVG: one element a line, colours by CSS variables, no script, no outside address.

A picture stands alone as a file and inlined in a page. Every element carries its light colours as
attributes, so that it shows right where style sheets are refused; the sheet adds dark colours and
lets a page override each colour by a variable ``--qm-NAME``.
"""

import base64
import hashlib
import math
import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

# Name, light, dark. Blue, orange and grey differ for every kind of colour vision.
COLOURS = (
    ("paper", "#ffffff", "#14181d"),
    ("ink", "#1f2933", "#e4e7eb"),
    ("faint", "#5f6b7a", "#9aa5b1"),
    ("grid", "#d9dee5", "#333d49"),
    ("past", "#9aa8ba", "#64748b"),
    ("main", "#1d5fa8", "#6fb1f5"),
    ("warn", "#b4530a", "#f0a35e"),
    ("good", "#0f766e", "#4fd1c5"),
)
_LIGHT = {name: light for name, light, _ in COLOURS}
# Class to the attributes of its elements; a colour's name stands for the colour.
CLASSES: dict[str, dict[str, str]] = {
    "paper": {"fill": "paper"},
    "text": {"fill": "ink"},
    "small": {"fill": "faint"},
    "grid": {"stroke": "grid", "fill": "none"},
    "axis": {"stroke": "faint", "fill": "none"},
    "past": {"fill": "past"},
    "main": {"fill": "main"},
    "warn": {"fill": "warn"},
    "good": {"fill": "good"},
    "wide": {"fill": "main", "fill-opacity": "0.18"},
    "narrow": {"fill": "main", "fill-opacity": "0.32"},
    "line": {"stroke": "main", "fill": "none", "stroke-width": "2"},
    "limit": {"stroke": "warn", "fill": "none", "stroke-width": "1.5", "stroke-dasharray": "6 4"},
    "step": {"stroke": "faint", "fill": "none", "stroke-dasharray": "2 3"},
}
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# Turns the reading order round: a name could seem to be another.
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _style_sheet() -> str:
    light = "".join(f"--{name}:var(--qm-{name},{light});" for name, light, _ in COLOURS)
    dark = "".join(f"--{name}:var(--qm-{name},{dark});" for name, _, dark in COLOURS)
    rules = [f".qm{{{light}}}", f"@media(prefers-color-scheme:dark){{.qm{{{dark}}}}}"]
    for name, attributes in CLASSES.items():
        coloured = {key: value for key, value in attributes.items() if value in _LIGHT}
        body = ";".join(f"{key}:var(--{value})" for key, value in coloured.items())
        rules.append(f".qm .{name}{{{body}}}")
    return "".join(rules)


STYLE = _style_sheet()
STYLE_SOURCE = "'sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode() + "'"


def plain(text: str) -> str:
    r"""Escape a text for SVG; characters that XML forbids or that turn the order are left out.

    Example:
        >>> plain("<b>&\x00")
        '&lt;b&gt;&amp;'
    """
    return escape(_TURNING.sub("", _CONTROL.sub("", text)), {'"': "&quot;"})


def point(value: float) -> str:
    """Write a coordinate: one decimal at most, the same on every machine.

    Example:
        >>> point(12.0), point(3.14159)
        ('12', '3.1')
    """
    text = f"{value:.1f}"
    return ("0" if text == "-0.0" else text).removesuffix(".0")


class Drawing:
    """Elements of a picture, in the order in which they are drawn."""

    def __init__(self, *, width: int, height: int, title: str, description: str) -> None:
        self.width, self.height = width, height
        self._title, self._description = title, description
        self._lines: list[str] = []
        self.rect(0, 0, width, height, kind="paper")

    def rect(
        self, x: float, y: float, width: float, height: float, *, kind: str, hint: str = ""
    ) -> None:
        """Draw a rectangle; ``hint`` is shown under the pointer."""
        size = f'width="{point(width)}" height="{point(max(height, 0.0))}"'
        self._add("rect", f'x="{point(x)}" y="{point(y)}" {size}', kind, hint)

    def line(self, x1: float, y1: float, x2: float, y2: float, *, kind: str) -> None:
        """Draw a line."""
        ends = f'x1="{point(x1)}" y1="{point(y1)}" x2="{point(x2)}" y2="{point(y2)}"'
        self._add("line", ends, kind, "")

    def path(
        self, points: list[tuple[float, float]], *, kind: str, closed: bool = False, hint: str = ""
    ) -> None:
        """Draw a line through points, or the area inside them."""
        if points:
            joined = " L".join(f"{point(x)} {point(y)}" for x, y in points)
            self._add("path", f'd="M{joined}{" Z" if closed else ""}"', kind, hint)

    def words(
        self, x: float, y: float, words: str, *, kind: str = "small", anchor: str = "start"
    ) -> None:
        """Write a line of text."""
        placed = f'x="{point(x)}" y="{point(y)}" text-anchor="{anchor}"'
        self._add("text", placed, kind, "", plain(words))

    def _add(self, tag: str, attributes: str, kind: str, hint: str, content: str = "") -> None:
        fixed = "".join(f' {k}="{_LIGHT.get(v, v)}"' for k, v in CLASSES[kind].items())
        inside = f"<title>{plain(hint)}</title>" if hint else content
        end = f">{inside}</{tag}>" if inside else "/>"
        self._lines.append(f'<{tag} class="{kind}" {attributes}{fixed}{end}')

    def svg(self) -> str:
        """Return the picture as a document that can also be put into a page."""
        mark = hashlib.sha256((self._title + self._description).encode()).hexdigest()[:8]
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="qm" role="img" '
            f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" aria-labelledby="t{mark} d{mark}" '
            f'font-family="system-ui, sans-serif" font-size="12">'
        )
        return "\n".join(
            [
                head,
                f'<title id="t{mark}">{plain(self._title)}</title>',
                f'<desc id="d{mark}">{plain(self._description)}</desc>',
                f"<style>{STYLE}</style>",
                *self._lines,
                "</svg>",
                "",
            ]
        )


def ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Round values from ``low`` to ``high`` for an axis: steps of 1, 2 or 5 times a power of ten.

    Example:
        >>> ticks(0, 870)
        [0.0, 200.0, 400.0, 600.0, 800.0]
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + k) * step, 10) + 0.0 for k in range(count)]


@dataclass(frozen=True)
class Scale:
    """A straight mapping from values to coordinates."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Coordinate of a value; outside the range the edge."""
        span = self.high - self.low
        share = (value - self.low) / span if span > 0 else 0.0
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


@dataclass(frozen=True)
class Table:
    """The figures of a picture for who does not see it, or wants them exactly."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]

    def html(self) -> str:
        """Return the table as HTML; everything is escaped."""
        head = "".join(f'<th scope="col">{plain(name)}</th>' for name in self.columns)
        body = "\n".join(
            "<tr>" + "".join(f"<td>{plain(shown(cell))}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        return (
            f"<table>\n<caption>{plain(self.caption)}</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
        )


def shown(value: str | float | int | None) -> str:
    """Write a value of a table or an axis: thousands, one decimal below a hundred.

    Example:
        >>> shown(1920), shown(3.14), shown(None)
        ('1,920', '3.1', '')
    """
    if value is None or isinstance(value, str):
        return value or ""
    if float(value).is_integer() or abs(value) >= 100:
        return f"{round(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1 else f"{value:.2f}"
