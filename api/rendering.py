"""From data to what a person reads in a terminal: pure functions, no database, no console.

The input is what tools and services answer, as JSON values; the output is rich text and tables.
Nothing here computes a figure that a planner would act on.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from rich.box import Box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

Data = Mapping[str, Any]

NOTHING = "\N{EN DASH}"  # a value that is not there
MINUS = "\N{MINUS SIGN}"
BARS = "▁▂▃▄▅▆▇█"
LEFT_BAR = Box("    \n│   \n    \n│   \n    \n    \n│   \n    \n")
SEVERITY_STYLE = {"critical": "red", "warning": "yellow"}
STATE_STYLE = {
    "pending": "yellow", "pending_approval": "yellow", "approved": "green", "sent": "green",
    "rejected": "red", "void": "dim", "expired": "dim", "cancelled": "dim",
}  # fmt: skip


def spark(values: Sequence[float]) -> str:
    """Draw a series as a line of blocks from zero to its maximum.

    Example:
        >>> spark([0, 1, 2, 4, 8])
        '▁▂▃▅█'
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


def morning_list(orders: Data, exceptions: Data, *, at: datetime) -> RenderableType:
    """The planner's first screen: what to order today, by value at risk, and what else is wrong."""
    count, quiet = int(orders["total_lines"]), int(orders["items_without_need"])
    head = headline(
        f"{at:%A} {at.day} {at:%B %Y}",
        f"{units(count)} to order, {money(orders['total_amount'], orders['currency'])}",
        f"{units(quiet)} of {units(quiet + count)} items need nothing",
    )
    parts: list[RenderableType] = [head, Text()]
    if orders["lines"]:
        parts.append(order_lines(orders["lines"], orders["currency"]))
        if count > len(orders["lines"]):
            parts.append(Text(f"and {units(count - len(orders['lines']))} more", style="dim"))
        parts.append(Text())
    parts.append(exception_counts(exceptions))
    return Group(*parts)


def order_lines(lines: Iterable[Data], currency: str) -> Table:
    """Recommended order lines."""
    table = grid(
        "",
        "item",
        "name",
        ">order",
        "from",
        f">{currency}",
        ">cover",
        "runs out",
        "arrives",
        ">at risk",
    )
    for index, line in enumerate(lines, start=1):
        style = SEVERITY_STYLE.get(str(line["severity"]), "")
        table.add_row(
            Text(str(index), style="dim"),
            Text(line["sku"], style="bold"),
            short(line["name"], 24),
            units(line["quantity"]),
            short(line["supplier"] or NOTHING, 14),
            money(line["amount"]),
            Text(days(line["days_of_cover"]), style=style),
            Text(in_days(line["stockout_in_days"]), style=style),
            in_days(line["arrival_in_days"]),
            money_short(line["value_at_risk"]),
        )
    return table


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


EXCEPTION_NAMES = {
    "below_rop": "below the reorder point", "projected_stockout": "will run out",
    "late_po": "late orders", "unconfirmed_po": "unconfirmed orders", "excess": "in excess",
}  # fmt: skip


def exception_counts(exceptions: Data) -> Text:
    """One line: how many exceptions of which kind."""
    named = [
        f"{units(number)} {EXCEPTION_NAMES.get(kind, kind.replace('_', ' '))}"
        for kind, number in exceptions["counts"].items()
        if number
    ]
    return Text("Exceptions: " + (", ".join(named) if named else "none"))


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


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Labels and values, aligned."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for label, value in rows:
        table.add_row(label, value)
    return table


def position_line(position: Data) -> str:
    """Stock, as the sum that it is."""
    text = f"on hand {units(position['on_hand'])} {MINUS} allocated {units(position['allocated'])}"
    for name in ("quarantined", "expiring", "backordered"):
        if position[name]:
            text += f" {MINUS} {name} {units(position[name])}"
    if position["on_order"]:
        text += f" + on order {units(position['on_order'])}"
    return f"{text} = position {units(position['inventory_position'])} {position['uom']}"


def cover_line(position: Data) -> str:
    """How long the stock lasts."""
    if position["daily_demand"] is None:
        return "no forecast yet"
    text = f"{days(position['days_of_cover'])} at {units(position['daily_demand'])} a day"
    if position["projected_stockout_date"]:
        text += f", runs out {day(position['projected_stockout_date'])}"
    return text


def policy_line(policy: Data) -> str:
    """The three levels and how they were computed."""
    lead = policy["lead_time"]
    return (
        f"reorder point {units(policy['reorder_point'])}, safety stock "
        f"{units(policy['safety_stock'])}, order up to {units(policy['order_up_to'])} "
        f"({percent(policy['service_level'])} {str(policy['measure']).replace('_', ' ')}, "
        f"lead time {lead['mean']:.1f} ± {lead['sd']:.1f} days, n={lead['n']})"
    )


def forecast_line(forecast: Data) -> str:
    """The forecast's total with its range."""
    return (
        f"{units(round(forecast['cumulative_mean']))} in {forecast['horizon_days']} days "
        f"({percent(forecast['level'])}: {units(round(forecast['cumulative_low']))} to "
        f"{units(round(forecast['cumulative_high']))}; {forecast['model']}, "
        f"{str(forecast['demand_class']).replace('_', ' ')})"
    )


def forecast_spark(forecast: Data) -> str:
    """Weekly forecast as a sparkline with its first and last week."""
    weeks = forecast["weeks"]
    if not weeks:
        return NOTHING
    values = [float(week["units"]) for week in weeks]
    return (
        f"{spark(values)}  weekly: {units(round(values[0]))} from {day(weeks[0]['start'])}, "
        f"{units(round(values[-1]))} in the last week"
    )


def tool_step(tool: str, arguments: Data) -> str:
    """Say what the agent looks at: ``stock position WIDGET-A``.

    Example:
        >>> tool_step("get_stock_position", {"sku": "WIDGET-A"})
        'stock position WIDGET-A'
    """
    words = tool.replace("_", " ").removeprefix("get ").removeprefix("list ")
    for name in ("sku", "po_id", "rec_id", "query", "supplier"):
        if value := arguments.get(name):
            return f"{words} {value}"
    return words


def quarantine(rows: Iterable[Data]) -> Table:
    """Rows that an import set aside."""
    table = grid(">row", "field", "value", "reason")
    for row in rows:
        table.add_row(
            str(row["row_number"]), row["field"], short(repr(row["value"]), 30), row["reason"]
        )
    return table


def checks(rows: Iterable[Data]) -> Table:
    """The doctor's findings."""
    style = {"ok": "green", "warning": "yellow", "problem": "red"}
    table = grid("", "check", "found")
    table.columns[2].no_wrap = False
    for row in rows:
        level = str(row["level"])
        table.add_row(Text(level, style=style[level]), row["name"], row["message"])
    return table


def advice(envelope: Data) -> list[RenderableType]:
    """What to order and why, or why nothing."""
    if not envelope["ok"]:
        return [Text(plain_sentence(envelope["message"]))]
    data = envelope["data"]
    inputs = data["inputs"]
    if not data["quantity"]:
        return [Text("Nothing to order.", style="bold"), waterfall(data)]
    head = headline(
        f"Order {units(data['quantity'])} {data['uom']} from {data['supplier']}",
        money(inputs["amount"], inputs["currency"]),
        f"{inputs['unit_price']} each",
    )
    return [head, waterfall(data)]


def reply(text: str) -> RenderableType:
    """What the agent said; Markdown only when it is Markdown, so that plain lines stay lines."""
    if any(mark in text for mark in ("**", "|--", "| --", "```", "\n# ", "\n## ")):
        from rich.markdown import Markdown

        return Markdown(text)
    return Text(text)


def approval_request(content: Data) -> RenderableType:
    """The card that appears in a chat when an order waits for a person."""
    command = f"quartermaster approve {content['approval_id']}"
    return Panel(
        Group(
            headline(
                f"{content['po_id']} waits for a decision",
                money(content["total"], content["currency"]),
                f"needs {a_role(content['approver_role'])}",
            ),
            facts(
                [
                    ("request", f"{content['approval_id']}, version {content['version']}"),
                    ("until", instant(content["expires_at"])),
                    ("decide", Text(f"{command}   (shows the facts first)")),
                ]
            ),
        ),
        box=LEFT_BAR,
        border_style="yellow",
        padding=(0, 1),
    )


def a_role(role: str) -> str:
    """Write a role with its article."""
    return f"{'an' if role[:1] in 'aeio' else 'a'} {role}"


def load_report(report: Data) -> RenderableType:
    """What an import did, and the first rows that it set aside."""
    head = headline(
        f"{'Already loaded' if report['is_repeat'] else str(report['state']).capitalize()}",
        f"{units(report['rows_read'])} rows read",
        f"{units(report['rows_good'])} good",
        f"{units(report['rows_bad'])} set aside",
    )
    parts: list[RenderableType] = [head]
    if report["message"]:
        parts.append(Text(plain_sentence(report["message"])))
    if report["quarantine"]:
        parts += [Text(), quarantine(report["quarantine"])]
        if report["rows_bad"] > len(report["quarantine"]):
            parts.append(Text(f"and {units(report['rows_bad'] - len(report['quarantine']))} more"))
    return Group(*parts)


def plan_line(items: int, wanted: int) -> Text:
    """What a planning run found."""
    return Text(f"{units(items)} items planned, {units(wanted)} need action.")


def audit_line(report: Data) -> Text:
    """Whether the trail is whole."""
    if report["ok"]:
        return Text(f"The audit trail is whole: {units(report['rows'])} events.", style="green")
    where = "" if report["first_bad_seq"] is None else f" at event {report['first_bad_seq']}"
    return Text(f"The audit trail is broken{where}: {report['problem']}", style="red")


def plain_sentence(text: str) -> str:
    """Begin with a capital letter and end with a stop."""
    text = text.strip()
    if not text:
        return text
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?:" else ".")
