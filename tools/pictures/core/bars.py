"""Pictures of sums: terms that lead to a total, as a waterfall, and contributions as bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.errors import InvalidInput
from tools.pictures.core.svg import Drawing, Scale, Table, shown

WIDTH = 640
_LEFT, _RIGHT, _TOP, _ROW = 220, 560, 44, 26
_LONGEST = 34  # characters of a label
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Sum:
    """Terms, in order, and what they add up to.

    Attributes:
        title: What is explained.
        uom: Unit of the values.
        terms: Label and value of each term.
        total_label: Name of the total.
        total: Their sum.
    """

    title: str
    uom: str
    terms: tuple[tuple[str, float], ...]
    total_label: str
    total: float


def sum_of(
    terms: Sequence[Mapping[str, Any]], *, title: str, uom: str, total_label: str, total: float
) -> Sum:
    """Check terms ``{"label", "value"}`` and give them a total.

    Raises:
        InvalidInput: There is no term, or they do not add up to the total.
    """
    pairs = tuple((str(term["label"]), float(term["value"])) for term in terms)
    if not pairs:
        raise InvalidInput(f"there is nothing to draw for {title!r}")
    added = sum(value for _, value in pairs)
    if abs(added - total) > _TOLERANCE * max(1.0, abs(total), *(abs(v) for _, v in pairs)):
        raise InvalidInput(f"the terms add up to {added!r}, not to {total!r}")
    return Sum(title, uom, pairs, total_label, total)


def sum_svg(found: Sum) -> str:
    """Draw a waterfall: each term starts where the one before ended; the total starts at zero.

    Args:
        found: Terms and total, see ``sum_of``.
    """
    height = _TOP + _ROW * (len(found.terms) + 1) + 14
    drawing = Drawing(
        width=WIDTH, height=height, title=found.title, description=sum_description(found)
    )
    drawing.words(16, 22, f"{found.title}, {found.uom}", kind="text")
    running = [0.0]
    for _, value in found.terms:
        running.append(running[-1] + value)
    edges = [*running, found.total, 0.0]
    x = Scale(min(edges), max(edges), _LEFT, _RIGHT)
    drawing.line(x(0), _TOP - 6, x(0), height - 10, kind="axis")
    for index, (label, value) in enumerate(found.terms):
        ends = running[index], running[index + 1]
        kind = "main" if value >= 0 else "warn"
        _bar(drawing, x, _TOP + index * _ROW, label, ends, f"{_signed(value)}", kind)
        below = _TOP + (index + 1) * _ROW
        drawing.line(x(ends[1]), below - 5, x(ends[1]), below + 3, kind="step")
    bottom = _TOP + len(found.terms) * _ROW
    _bar(drawing, x, bottom, found.total_label, (0.0, found.total), shown(found.total), "past")
    return drawing.svg()


def _bar(
    drawing: Drawing,
    x: Scale,
    top: float,
    label: str,
    ends: tuple[float, float],
    value: str,
    kind: str,
) -> None:
    left, right = sorted((x(ends[0]), x(ends[1])))
    cut = label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"
    drawing.words(_LEFT - 12, top + 14, cut, kind="text", anchor="end")
    drawing.rect(left, top + 3, max(right - left, 1.0), _ROW - 9, kind=kind, hint=label)
    drawing.words(right + 6, top + 14, value)


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + shown(value)


def sum_description(found: Sum) -> str:
    """The picture in a sentence."""
    terms = ", ".join(f"{label} {_signed(value)}" for label, value in found.terms)
    return f"{terms}; {found.total_label} {shown(found.total)} {found.uom}."


def sum_table(found: Sum) -> Table:
    """The same figures as a table; the last row is the total."""
    rows = [*found.terms, (found.total_label, found.total)]
    return Table(found.title, ("term", found.uom), tuple(rows))
