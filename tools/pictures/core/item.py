"""One item in one picture: what was sold and is expected, and what stock does without an order.

The upper part holds weekly demand: bars of what was sold, and the forecast with the ranges in
which a week's total falls with a probability of 50 % and 90 %. The lower part holds the stock of
the days to come if nobody orders: what is there and on order minus the demand up to each day, with
the ranges of the *total* up to that day, the reorder point, and the receipts still to come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from tools.errors import InvalidInput
from tools.pictures.core.svg import Drawing, Scale, Table, shown, ticks

WIDTH, HEIGHT = 760, 480
_LEFT, _RIGHT = 64, 744
_TOP_PANEL, _LOW_PANEL = (64, 214), (288, 438)
_BELOW_ZERO = 0.25  # of the highest stock: how far a shortage is drawn
_HEADROOM = 1.12  # over the highest value


@dataclass(frozen=True)
class Past:
    """Units sold in the week that starts on ``start_on``."""

    start_on: date
    units: float


@dataclass(frozen=True)
class Range:
    """A mean and the quantiles 5, 25, 75 and 95 %, of the week from, or the stock at, ``on``."""

    on: date
    mean: float
    low90: float
    low50: float
    high50: float
    high90: float


@dataclass(frozen=True)
class Due:
    """Units of an open order expected on a day."""

    on: date
    units: int
    number: str


@dataclass(frozen=True)
class ItemChart:
    """Everything that the picture shows.

    Attributes:
        title: Names the item and the place.
        uom: Unit of all quantities.
        today: First day of the forecast.
        history: Weeks sold, oldest first.
        forecast: Weeks to come.
        stock: Stock at the end of each day to come if nothing is ordered.
        reorder_point: Units; None without a policy.
        receipts: Open orders due within the days shown.
        stockout_on: Day on which stock runs out; None when it does not within the days shown.
        notes: Sentences on what is missing.
    """

    title: str
    uom: str
    today: date
    history: tuple[Past, ...]
    forecast: tuple[Range, ...]
    stock: tuple[Range, ...]
    reorder_point: int | None = None
    receipts: tuple[Due, ...] = ()
    stockout_on: date | None = None
    notes: tuple[str, ...] = ()


def item_svg(chart: ItemChart) -> str:
    """Draw an item as SVG.

    Args:
        chart: What to show; history, forecast or stock may be empty, but not all of them.

    Raises:
        InvalidInput: There is nothing to draw, or the ranges are not in order.
    """
    _check(chart)
    drawing = Drawing(width=WIDTH, height=HEIGHT, title=chart.title, description=description(chart))
    drawing.words(_LEFT - 48, 22, chart.title, kind="text")
    _demand(drawing, chart)
    _stock(drawing, chart)
    for index, note in enumerate(chart.notes[:1]):
        drawing.words(_LEFT - 48, HEIGHT - 10 - 14 * index, note)
    return drawing.svg()


def _check(chart: ItemChart) -> None:
    if not (chart.history or chart.forecast or chart.stock):
        raise InvalidInput(f"there is nothing to draw for {chart.title!r}")
    for row in (*chart.forecast, *chart.stock):
        values = (row.low90, row.low50, row.high50, row.high90)
        if not all(a <= b + 1e-9 for a, b in pairwise(values)):
            raise InvalidInput(f"the range of {row.on.isoformat()} is not in order: {values!r}")


def description(chart: ItemChart) -> str:
    """The picture in sentences, for screen readers and for places without pictures."""
    said = []
    if chart.history:
        last = chart.history[-4:]
        mean = sum(week.units for week in last) / len(last)
        said.append(f"The last {len(last)} weeks sold {shown(mean)} {chart.uom} a week on average.")
    if chart.forecast:
        week = chart.forecast[0]
        said.append(
            f"Expected in the week from {_day(week.on)}: {shown(week.mean)}, between "
            f"{shown(week.low90)} and {shown(week.high90)} with 90 % probability."
        )
    if chart.stock and chart.stockout_on is not None:
        said.append(f"Without a new order stock runs out on {_day(chart.stockout_on)}.")
    elif chart.stock:
        said.append(f"Without a new order stock lasts beyond {_day(chart.stock[-1].on)}.")
    if chart.reorder_point is not None:
        said.append(f"The reorder point is {shown(chart.reorder_point)}.")
    said += [f"{due.number} brings {shown(due.units)} on {_day(due.on)}." for due in chart.receipts]
    return " ".join([*said, *chart.notes])


def table(chart: ItemChart) -> Table:
    """The same figures as a table: one row a week, past and coming, and one a day of stock."""
    empty = (None,) * 5
    due = {
        day: [d for d in chart.receipts if d.on == day] for day in {d.on for d in chart.receipts}
    }
    rows: list[tuple[str | float | int | None, ...]] = [
        ("sold in the week from", past.start_on.isoformat(), past.units, *empty)
        for past in chart.history
    ]
    rows += [("expected in the week from", *_figures(row), None) for row in chart.forecast]
    rows += [
        (
            "stock at the end of",
            *_figures(row),
            ", ".join(f"{d.number} {d.units:,}" for d in due.get(row.on, [])) or None,
        )
        for row in chart.stock
    ]
    columns = ("what", "date", "mean", "5 %", "25 %", "75 %", "95 %", "receipts")
    return Table(f"{chart.title}, {chart.uom}", columns, tuple(rows))


def _figures(row: Range) -> tuple[str | float, ...]:
    values = (row.mean, row.low90, row.low50, row.high50, row.high90)
    return (row.on.isoformat(), *(round(value, 2) + 0.0 for value in values))


def _day(on: date) -> str:
    return f"{on.day} {on:%b %Y}"


def _demand(drawing: Drawing, chart: ItemChart) -> None:
    """Weekly bars and the forecast with its fan."""
    weeks = len(chart.history) + len(chart.forecast)
    if not weeks:
        return
    top, bottom = _TOP_PANEL
    highest = max(
        [past.units for past in chart.history] + [row.high90 for row in chart.forecast], default=0.0
    )
    y = Scale(0.0, _HEADROOM * highest or 1.0, bottom, top)
    _frame(drawing, y, (top, bottom), f"sold and expected a week, {chart.uom}")
    step = (_RIGHT - _LEFT) / weeks
    for index, past in enumerate(chart.history):
        x = _LEFT + index * step
        hint = f"week from {_day(past.start_on)}: {shown(past.units)}"
        height = bottom - y(past.units)
        drawing.rect(x + 0.1 * step, y(past.units), 0.8 * step, height, kind="past", hint=hint)
    at = [_LEFT + (len(chart.history) + k + 0.5) * step for k in range(len(chart.forecast))]
    _fan(drawing, at, chart.forecast, y)
    starts = [past.start_on for past in chart.history] + [row.on for row in chart.forecast]
    every = max(1, round(weeks / 8))
    for index in range(0, weeks, every):
        drawing.words(_LEFT + index * step, bottom + 16, f"{starts[index].day} {starts[index]:%b}")
    if chart.history and chart.forecast:
        x = _LEFT + len(chart.history) * step
        drawing.line(x, top, x, bottom, kind="step")
        drawing.words(x, top - 12, "from today")


def _stock(drawing: Drawing, chart: ItemChart) -> None:
    """What happens to stock if nobody orders."""
    if not chart.stock:
        return
    top, bottom = _LOW_PANEL
    highest = max([row.high90 for row in chart.stock] + [float(chart.reorder_point or 0), 1.0])
    lowest = max(min(row.low90 for row in chart.stock), -_BELOW_ZERO * highest)
    y = Scale(min(lowest, 0.0), _HEADROOM * highest, bottom, top)
    _frame(drawing, y, (top, bottom), f"stock if nothing is ordered, {chart.uom}")
    x = Scale(0.0, float(max(len(chart.stock) - 1, 1)), _LEFT, _RIGHT)
    _fan(drawing, [x(float(k)) for k in range(len(chart.stock))], chart.stock, y)
    drawing.line(_LEFT, y(0.0), _RIGHT, y(0.0), kind="axis")
    if chart.reorder_point is not None:
        level = y(float(chart.reorder_point))
        drawing.line(_LEFT, level, _RIGHT, level, kind="limit")
        label = f"reorder point {shown(chart.reorder_point)}"
        drawing.words(_RIGHT, level - 5, label, anchor="end")
    first = chart.stock[0].on
    for due in chart.receipts:
        place = x(float((due.on - first).days))
        corners = [(place - 6, float(bottom)), (place + 6, float(bottom)), (place, bottom - 11.0)]
        hint = f"{due.number}: {shown(due.units)} on {_day(due.on)}"
        drawing.path(corners, kind="good", closed=True, hint=hint)
        _beside(drawing, place, bottom - 2, f"+{shown(due.units)}", gap=9)
    if chart.stockout_on is not None:
        place = x(float((chart.stockout_on - first).days))
        drawing.line(place, top, place, bottom, kind="step")
        _beside(drawing, place, top + 10, f"runs out {_day(chart.stockout_on)}", gap=4)
    for index in range(0, len(chart.stock), max(7, len(chart.stock) // 56 * 7)):
        on = chart.stock[index].on
        drawing.words(x(float(index)), bottom + 16, f"{on.day} {on:%b}")


def _beside(drawing: Drawing, x: float, y: float, words: str, *, gap: float) -> None:
    """Write to the right of a mark, or to its left near the right edge."""
    is_far = x > _LEFT + 0.8 * (_RIGHT - _LEFT)
    drawing.words(x - gap if is_far else x + gap, y, words, anchor="end" if is_far else "start")


def _frame(drawing: Drawing, y: Scale, panel: tuple[int, int], label: str) -> None:
    """Grid, axis labels and the name of a part."""
    drawing.words(_LEFT - 48, panel[0] - 12, label, kind="text")
    for value in ticks(y.low, y.high):
        drawing.line(_LEFT, y(value), _RIGHT, y(value), kind="grid")
        drawing.words(_LEFT - 6, y(value) + 4, shown(value), anchor="end")


def _fan(drawing: Drawing, at: Sequence[float], rows: Sequence[Range], y: Scale) -> None:
    """Ranges of 90 and 50 %, and the mean, as far as they are above the lower edge."""
    count = next((k + 1 for k, row in enumerate(rows) if row.high90 < y.low), len(rows))
    at, rows = at[:count], rows[:count]
    ends = next((k + 1 for k, row in enumerate(rows) if row.mean < y.low), count)
    wide = [(x, y(row.high90)) for x, row in zip(at, rows, strict=True)]
    wide += [(x, y(row.low90)) for x, row in zip(reversed(at), reversed(rows), strict=True)]
    narrow = [(x, y(row.high50)) for x, row in zip(at, rows, strict=True)]
    narrow += [(x, y(row.low50)) for x, row in zip(reversed(at), reversed(rows), strict=True)]
    drawing.path(wide, kind="wide", closed=True, hint="with 90 % probability")
    drawing.path(narrow, kind="narrow", closed=True, hint="with 50 % probability")
    mean = [(x, y(row.mean)) for x, row in zip(at[:ends], rows[:ends], strict=True)]
    drawing.path(mean, kind="line")
