"""What each command shows: pure functions from the data of tools and services to rich text."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from api.cli.purchase_notes import purchase_notes
from api.rendering import (
    MINUS,
    NOTHING,
    SEVERITY_STYLE,
    Data,
    day,
    days,
    facts,
    grid,
    headline,
    in_days,
    instant,
    money,
    money_short,
    percent,
    plain_sentence,
    short,
    spark,
    units,
    waterfall,
    whole,
)

STATE_STYLE = {
    "pending": "yellow", "pending_approval": "yellow", "approved": "green", "sent": "green",
    "rejected": "red", "void": "dim", "expired": "dim", "cancelled": "dim",
}  # fmt: skip


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
        parts.append(order_lines(orders["lines"], currency=orders["currency"], today=at.date()))
        if count > len(orders["lines"]):
            more = f"and {units(count - len(orders['lines']))} more"
            parts.append(whole(f"{more}: quartermaster today --limit 50", "dim"))
        parts.append(Text())
    notes = (Text(line) for line in purchase_notes(orders))
    return Group(*parts, *notes, exception_counts(exceptions))


def waiting(orders: Mapping[str, int]) -> Text | None:
    """Say which orders stand still until a person does something; their items are not listed."""
    parts = []
    if drafts := orders.get("draft", 0):
        parts.append(f"{units(drafts)} drafted and not requested")
    if asked := orders.get("pending_approval", 0):
        parts.append(f"{units(asked)} waiting for a decision")
    return Text(f"Orders: {', '.join(parts)}") if parts else None


def order_lines(lines: Iterable[Data], *, currency: str, today: date) -> Table:
    """Recommended order lines."""
    table = grid(
        "", "item", "name", ">order", "from", f">{currency}", "runs out", "order by", ">at risk"
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
            Text(in_days(line["stockout_in_days"]), style=style),
            Text(deadline(line["latest_order_date"], today), style=style),
            money_short(line["value_at_risk"]),
        )
    return table


def deadline(value: str | None, today: date) -> str:
    """Write the last day on which to act; ``today`` when it has passed."""
    if value is None:
        return NOTHING
    return "today" if date.fromisoformat(value) <= today else day(value)


EXCEPTION_NAMES = {
    "stuck_delivery": "not delivered", "below_rop": "below reorder point", "excess": "in excess",
    "projected_stockout": "running out", "late_po": "orders late", "unconfirmed_po": "unconfirmed",
    "forecast_drift": "forecasts drifted",
}  # fmt: skip


def exception_counts(exceptions: Data) -> Text:
    """One line: how many exceptions of which kind."""
    named = [
        f"{units(number)} {EXCEPTION_NAMES.get(kind, kind.replace('_', ' '))}"
        for kind, number in exceptions["counts"].items()
        if number
    ]
    return Text("Exceptions: " + (", ".join(named) if named else "none"))


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
        f"{units(round(forecast['cumulative_mean']))} in {forecast['horizon_days']} days, "
        f"{units(round(forecast['cumulative_low']))} to "
        f"{units(round(forecast['cumulative_high']))} with {percent(forecast['level'])}; "
        f"{str(forecast['demand_class']).replace('_', ' ')} demand, "
        f"{model_name(str(forecast['model']))}"
    )


def model_name(model: str) -> str:
    """Shorten the name of a combination.

    Example:
        >>> model_name("median of ses, theta, window")
        'median of 3 models'
    """
    if not model.startswith("median of "):
        return model
    return f"median of {model.count(',') + 1} models"


def demand_spark(sold: Sequence[float], envelope: Data) -> str:
    """Weeks sold and weeks forecast on one scale, with the week between them marked."""
    weeks = envelope["data"]["weeks"] if envelope["ok"] else []
    expected = [float(week["units"]) for week in weeks]
    line = spark([*sold, *expected])
    if not line:
        return NOTHING
    return f"{line[: len(sold)]}│{line[len(sold) :]}  {len(sold)} weeks sold, {len(weeks)} expected"


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


def approval_request(content: Data, command: str) -> RenderableType:
    """The card that appears in a chat when an order waits for a person."""
    lines = Group(
        headline(
            f"{content['po_id']} waits for a decision",
            money(content["total"], content["currency"]),
            f"needs {a_role(content['needs'])}",
        ),
        facts(
            [
                ("request", f"{content['approval_id']}, version {content['version']}"),
                ("until", instant(content["expires_at"])),
                ("decide", Text(f"{command}   (shows the facts first)")),
            ]
        ),
    )
    card = Table.grid(padding=(0, 1, 0, 0))
    card.add_row(Text("\n".join("│" * 4), style="yellow"), lines)
    return card


def a_role(role: str) -> str:
    """Write a role with its article; "2 signatures ..." has none."""
    return role if role[:1].isdigit() else f"{'an' if role[:1] in 'aeio' else 'a'} {role}"


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


def orders(data: Data, command: str) -> RenderableType:
    """Purchase orders, one a line; the command that shows the next ones."""
    rows = data["orders"]
    if not rows:
        return Text("No orders.")
    table = grid("order", "state", "supplier", "items", ">total", "promised", "next")
    for row in rows:
        state = str(row["state"])
        table.add_row(
            Text(row["po_id"], style="bold"),
            Text(state.replace("_", " "), style=STATE_STYLE.get(state, "")),
            short(row["supplier"], 15),
            items(row["skus"]),
            money(row["total"], row["currency"]),
            day(row["promise"]),
            Text(short(row["next_action"], 16), style="dim"),
        )
    parts: list[RenderableType] = [table]
    if data["after"]:
        more = f"{command} --after {data['after']}  (or --all)"
        parts.append(whole(f"{units(data['total'])} in all; the next: {more}", "dim"))
    return Group(*parts)


def approvals(rows: Sequence[Data], *, state: str) -> RenderableType:
    """Requests for approval, one a line."""
    if not rows:
        return Text("Nothing waits for a decision." if state == "pending" else "No such requests.")
    table = grid("request", "order", "supplier", "items", ">total", "needs", "by", "until")
    for row in rows:
        is_open = row["state"] == "pending"
        needs = row["needs"].split(", ", 1)[-1] if is_open else decided(row)
        table.add_row(
            Text(row["approval_id"], style="bold"),
            f"{row['po_id']} r{row['revision']}",
            short(row["supplier"], 15),
            items([line["sku"] for line in row["lines"]]),
            money(row["total"], row["currency"]),
            Text(needs, style=STATE_STYLE.get(row["state"], "")),
            row["requested_by"],
            instant(row["expires_at"]) if is_open else NOTHING,
        )
    return table


def items(skus: Sequence[str]) -> str:
    """Name the first item and count the others: ``22910 +2``."""
    return " +".join([*skus[:1], *([str(len(skus) - 1)] if len(skus) > 1 else [])])


def decided(row: Data) -> str:
    """Say what became of a request: ``approved by mona``."""
    return f"{row['state']} by {row['decided_by']}" if row["decided_by"] else str(row["state"])


def approval_facts(row: Data) -> RenderableType:
    """Everything a person must see before deciding."""
    heading = headline(
        f"{row['po_id']} revision {row['revision']}",
        f"order from {row['supplier']} to {row['ship_to']}",
        money(row["total"], row["currency"]),
    )
    lines = grid("item", "name", ">quantity", "", ">price", f">{row['currency']}")
    for line in row["lines"]:
        lines.add_row(
            Text(line["sku"], style="bold"),
            short(line["name"], 30),
            f"{units(line['quantity'])} {line['uom']}",
            packs(line),
            money(line["unit_price"]),
            money(line["amount"]),
        )
    about: list[tuple[str, str | Text]] = [
        ("rule", plain_sentence(row["rule"])),
        ("asked by", f"{row['requested_by']}, {instant(row['requested_at'])}"),
        ("until", instant(row["expires_at"])),
        ("need by", day(row["need_by"])),
        ("note", row["note"]),
        ("request", f"{row['approval_id']}, version {row['version']}, {row['fingerprint'][:12]}"),
    ]
    about += row.get("signed", []) + [(one["level"], one["message"]) for one in row["checks"]]
    if row["state"] != "pending":
        about.append(("state", Text(decided(row), style=STATE_STYLE.get(row["state"], ""))))
    shown = [(label, value) for label, value in about if value and value != NOTHING]
    return Group(heading, Text(), lines, Text(), facts(shown))


def packs(line: Data) -> str:
    """Write whole purchase units: ``16 cases of 120``."""
    if not line["packs"] or line["pack_units"] == 1:
        return ""
    plural = "" if line["packs"] == 1 else "s"
    return f"{units(line['packs'])} {line['pack_uom']}{plural} of {units(line['pack_units'])}"


def question(row: Data) -> str:
    """The question that repeats what happens."""
    amount = money(row["total"], row["currency"])
    return f"Approve {amount} and send {row['po_id']} to {row['supplier']}?"


def reasons(row: Data) -> RenderableType:
    """Where each quantity comes from."""
    parts: list[RenderableType] = []
    for why in row["why"]:
        parts += [
            headline(why["sku"], f"recommendation {why['rec_id']}"),
            waterfall({"uom": "", "waterfall": why["waterfall"], "total": why["quantity"]}),
        ]
    return Group(*parts) if parts else Text("Nobody recommended these lines; a person asked.")


def delivery_line(delivery: Data, folder: str) -> Text:
    """What came of sending an order."""
    if delivery["error"]:
        text = f"{delivery['order_number']} could not be delivered: {delivery['error']}"
        return Text(f"{text}. It is tried again.", style="red")
    return whole(f"{delivery['order_number']} delivered: {folder}/{delivery['reference']}", "green")


def next_steps(rows: Iterable[tuple[str, str]]) -> Table:
    """Commands to try, and what each shows."""
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for command, what in rows:
        table.add_row(Text(command), what)
    return table
