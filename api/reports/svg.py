"""Charts as inline SVG: pure functions from numbers to text, coloured by the page's own style.

Shapes carry class names, never colours, so that one picture serves light, dark and paper. Every
text that comes from outside passes through ``escape``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 44
Point = tuple[float, float]
Form = Callable[[float], str]


def ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Round values that divide a range, in steps of 1, 2 or 5 times a power of ten.

    Example:
        >>> ticks(0, 43_000)
        [0.0, 10000.0, 20000.0, 30000.0, 40000.0]
    """
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else [0.0]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


@dataclass(frozen=True)
class Frame:
    """A plot area: data ranges and where they lie on the picture."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    width: int = WIDTH
    height: int = HEIGHT

    def x(self, value: float) -> float:
        """Horizontal place of a value, pixels."""
        span = self.x_high - self.x_low or 1.0
        inner = self.width - LEFT - RIGHT
        return round(LEFT + (value - self.x_low) / span * inner, 1)

    def y(self, value: float) -> float:
        """Vertical place of a value, pixels."""
        span = self.y_high - self.y_low or 1.0
        inner = self.height - TOP - BOTTOM
        return round(self.height - BOTTOM - (value - self.y_low) / span * inner, 1)


def picture(frame: Frame, parts: Sequence[str], *, label: str) -> str:
    """Put shapes together to a picture that says in words what it shows."""
    return (
        f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def axes(
    frame: Frame, *, x_title: str, y_title: str, x_form: Form, y_form: Form,
    x_ticks: Sequence[float] | None = None,
) -> str:  # fmt: skip
    """Grid lines, numbers and titles of both axes."""
    parts = []
    bottom, right = frame.height - BOTTOM, frame.width - RIGHT
    for value in ticks(frame.y_low, frame.y_high):
        at = frame.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(words(LEFT - 8, at + 4, y_form(value), kind="tick end"))
    shown = ticks(frame.x_low, frame.x_high, about=6) if x_ticks is None else x_ticks
    for value in shown:
        at = frame.x(value)
        parts.append(f'<line class="axis" x1="{at}" x2="{at}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(words(at, bottom + 18, x_form(value), kind="tick middle"))
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(words((LEFT + right) / 2, frame.height - 6, x_title, kind="title middle"))
    middle = (TOP + bottom) / 2
    parts.append(
        f'<text class="title middle" transform="translate(14 {middle}) rotate(-90)">'
        f"{escape(y_title)}</text>"
    )
    return "".join(parts)


def words(x: float, y: float, content: str, *, kind: str) -> str:
    """A text at a place; ``kind`` are its classes."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'


def line(frame: Frame, points: Sequence[Point], *, kind: str) -> str:
    """A line through points in the units of the data."""
    places = " ".join(f"{frame.x(x)},{frame.y(y)}" for x, y in points)
    return f'<polyline class="line {kind}" points="{places}"/>'


def steps(frame: Frame, points: Sequence[Point], *, kind: str) -> str:
    """A line that keeps each value until the next point, as stock does."""
    walked: list[Point] = []
    for x, y in points:
        if walked:
            walked.append((x, walked[-1][1]))
        walked.append((x, y))
    return line(frame, walked, kind=kind)


def band(frame: Frame, low: Sequence[Point], high: Sequence[Point], *, kind: str) -> str:
    """The area between two lines."""
    places = [*low, *reversed(high)]
    drawn = " ".join(f"{frame.x(x)},{frame.y(y)}" for x, y in places)
    return f'<polygon class="band {kind}" points="{drawn}"/>'


def dot(frame: Frame, point: Point, *, kind: str, says: str, radius: float = 4) -> str:
    """A point that says what it is when one rests on it."""
    return (
        f'<circle class="dot {kind}" cx="{frame.x(point[0])}" cy="{frame.y(point[1])}" '
        f'r="{radius:g}"><title>{escape(says)}</title></circle>'
    )


def bar(x: float, y: float, width: float, height: float, *, kind: str, says: str) -> str:
    """A rectangle in pixels."""
    return (
        f'<rect class="bar {kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
        f'height="{max(height, 0):.1f}"><title>{escape(says)}</title></rect>'
    )
