"""From data to what a person reads in a terminal: pure functions, no database, no console.

The input is what tools and services answer, as JSON values; the output is rich text and tables.
Nothing here computes a figure that a planner would act on.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

Data = Mapping[str, Any]

NOTHING = "\N{EN DASH}"  # a value that is not there
MINUS = "\N{MINUS SIGN}"
BARS = "▁▂▃▄▅▆▇█"
SEVERITY_STYLE = {"critical": "red", "warning": "yellow"}


# What would move the cursor, recolour the screen or turn the reading order round.
_HARMFUL = dict.fromkeys(
    [*range(0x00, 0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F,
     *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)  # fmt: skip


def harmless(text: str) -> str:
    r"""Return a text without control characters (but for line breaks) and bidi overrides.

    Example:
        >>> harmless("pay \x1b[2J9,999")
        'pay [2J9,999'
    """
    return text.translate(_HARMFUL)


class Harmless:
    """Shows another renderable; nothing that came from outside can steer the terminal."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._inner, options):
            if segment.control:
                yield segment
            else:
                yield Segment(harmless(segment.text), segment.style)


def spark(values: Sequence[float]) -> str:
    """Draw a series as a line of blocks from zero to its maximum.

    Example:
        >>> spark([0, 1, 2, 4, 8])
        '▁▁▂▄█'
    """
    top = max(values, default=0.0)
    if top <= 0:
        return BARS[0] * len(values)
    return "".join(BARS[max(0, math.ceil(value / top * 8) - 1)] for value in values)


def units(value: float | None) -> str:
    """Write a quantity with thousands; a fraction keeps one decimal.

    Example:
        >>> units(1920), units(3.14)
        ('1,920', '3.1')
    """
    if value is None:
        return NOTHING
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}"


def money(value: str | None, currency: str = "") -> str:
    """Write an amount with thousands, and the currency behind it.

    Example:
        >>> money("14976.00", "GBP")
        '14,976.00 GBP'
    """
    if value is None:
        return NOTHING
    whole, dot, cents = str(value).partition(".")
    return f"{int(whole):,}{dot}{cents} {currency}".rstrip()


def day(value: str | date | None, *, year: bool = False) -> str:
    """Write a date the way planners say it.

    Example:
        >>> day("2011-12-09"), day("2011-12-09", year=True)
        ('Fri 9 Dec', 'Fri 9 Dec 2011')
    """
    if not value:
        return NOTHING
    on = value if isinstance(value, date) else datetime.fromisoformat(value)
    text = f"{on:%a} {on.day} {on:%b}"
    return f"{text} {on.year}" if year else text


def instant(value: str | datetime | None) -> str:
    """Write a time of a day: ``Fri 9 Dec 07:30``."""
    if not value:
        return NOTHING
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return f"{day(at)} {at:%H:%M}"


def percent(value: float | None, digits: int = 0) -> str:
    """Write a rate as percent."""
    return NOTHING if value is None else f"{value * 100:.{digits}f} %"


def short(text: str, width: int) -> str:
    """Cut a name to a width; the cut shows."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def grid(*columns: str, title: str = "") -> Table:
    """Make a table without lines; a column that starts with ``>`` is right-aligned."""
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", title=title or None,
        title_justify="left", title_style="bold",
    )  # fmt: skip
    for column in columns:
        table.add_column(
            column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=True
        )
    return table


def headline(*parts: str) -> Text:
    """Join the parts of a heading; the first one is bold."""
    text = Text(parts[0], style="bold")
    for part in parts[1:]:
        text.append(f" · {part}", style="not bold")
    return text


def days(value: float | None) -> str:
    """Write a number of days."""
    return NOTHING if value is None else f"{value:.1f} d"


def in_days(value: float | None) -> str:
    """Write a distance from today.

    Example:
        >>> in_days(0), in_days(8.4)
        ('now', 'in 8 d')
    """
    if value is None:
        return NOTHING
    return "now" if value < 1 else f"in {int(value)} d"


def money_short(value: str | None) -> str:
    """Write an amount without cents."""
    return NOTHING if value is None else f"{round(float(value)):,}"


def waterfall(explanation: Data) -> Table:
    """The terms that add up to a quantity, with the running total left to the reader's eye."""
    table = grid("", f">{explanation['uom']}", "")
    for term in explanation["waterfall"]:
        table.add_row(
            term["label"], signed(term["value"]), Text(term.get("source") or "", style="dim")
        )
    table.add_row(
        Text("= order", style="bold"), Text(units(explanation["total"]), style="bold"), ""
    )
    return table


def signed(value: float) -> str:
    """Write a term of a sum with its sign."""
    return f"{MINUS if value < 0 else '+'} {units(abs(value))}"


def whole(text: str, style: str = "") -> Text:
    """A line that is never broken, such as a path to copy."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Labels and values, aligned."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for label, value in rows:
        table.add_row(label, value)
    return table


def tool_step(tool: str, arguments: Data) -> str:
    """Say what the agent looks at: ``stock position WIDGET-A``.

    Example:
        >>> tool_step("get_stock_position", {"sku": "WIDGET-A"})
        'stock position WIDGET-A'
    """
    words = tool.replace("_", " ").removeprefix("get ").removeprefix("list ")
    places = [arguments, *(line for line in arguments.get("lines") or [] if isinstance(line, dict))]
    for place in places:
        for name in ("sku", "po_id", "rec_id", "query", "supplier"):
            if value := place.get(name):
                return f"{words} {value}"
    return words


def reply(text: str) -> RenderableType:
    """What the agent said; Markdown only when it is Markdown, so that plain lines stay lines."""
    if any(mark in text for mark in ("**", "|--", "| --", "```", "\n# ", "\n## ")):
        from rich.markdown import Markdown

        return Markdown(text)
    return Group(*(_hanging(line) for line in text.splitlines()))


def _hanging(line: str) -> RenderableType:
    """A line of text; what wraps of a list item stands under its text, not under its mark."""
    mark = re.match(r"\s*(?:\d+[.)]|[-*\N{BULLET}])\s+", line)
    if mark is None:
        return Text(line)
    item = Table.grid()
    item.add_column(no_wrap=True)
    item.add_column()
    item.add_row(Text(mark[0]), Text(line[mark.end() :]))
    return item


_COMMANDS = ("chmod", "quartermaster")  # a sentence that begins so is one to copy


def plain_sentence(text: str) -> str:
    """Begin with a capital letter and end with a stop; ids, paths and commands stay as they are.

    Example:
        >>> plain_sentence("no such item"), plain_sentence("a-35 is at version 2")
        ('No such item.', 'a-35 is at version 2.')
        >>> plain_sentence("chmod 600 /etc/key")
        'chmod 600 /etc/key'
    """
    text = text.strip()
    first = text.split(maxsplit=1)[0] if text else ""
    if not text or first in _COMMANDS:
        return text
    is_word = re.fullmatch(r"[a-z][a-z'-]*[,;:.!?]?", first) is not None
    start = text[0].upper() if is_word else text[0]
    return start + text[1:] + ("" if text[-1] in ".!?:" else ".")
