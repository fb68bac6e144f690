"""Tell what to order and why: recommendations, exceptions, explanations, what-ifs."""

import re
from collections.abc import Sequence
from typing import Any

from agent.offline.history import MOST_LISTED, Call, Json, rows
from agent.offline.phrasing.figures import (
    day,
    joined,
    money,
    number,
    percent,
    price,
    shown_of,
    signed,
    title,
    units,
)

_NO_SELLER = "Nobody sells it, so it cannot be ordered yet"
_NONE = {
    "stuck_delivery": "Every approved order was delivered.",
    "late_po": "No late orders.",
    "unconfirmed_po": "No unconfirmed orders.",
    "excess": "No excess stock.",
}
_TYPES = {
    "stuck_delivery": "orders not delivered",
    "below_rop": "below the reorder point",
    "projected_stockout": "about to run out",
    "late_po": "late orders",
    "unconfirmed_po": "unconfirmed orders",
    "excess": "with excess stock",
}


def recommendations(call: Call) -> str:
    """What to order, by value at risk."""
    lines = rows(call.data, "lines")
    sku, supplier = call.arguments.get("sku"), call.arguments.get("supplier")
    if not lines and sku and supplier:
        return f"Nothing of {sku} is recommended from {supplier}."
    if not lines:
        about = f" for {sku or supplier}" if sku or supplier else ""
        more = " Name a quantity if you want it anyway." if sku else ""
        return f"Nothing needs ordering{about}.{more}"
    currency = call.data.get("currency")
    total = money(call.data.get("total_amount"), currency)
    count = call.data.get("total_lines") or len(lines)
    today = str(call.envelope.get("as_of") or "")[:10]
    if len(lines) == 1:
        return _line(lines[0], today)
    few = _few(call, lines)
    listed = "\n".join(f"{at}. {_short_line(line, today)}" for at, line in enumerate(few, 1))
    shown = shown_of(few, count)
    head = f"{number(count)} items need action, {total} in all, by value at risk{shown}:"
    return f'{head}\n{listed}\nSay for example "draft the first one".'


def _few(call: Call, found: list[Json]) -> list[Json]:
    """What fits beside a question, or as many as were asked for."""
    return found if call.arguments.get("limit") else found[:MOST_LISTED]


def _line(line: Json, today: str) -> str:
    position = number(line.get("inventory_position"))
    point = number(line.get("reorder_point"), 0)
    if not line.get("supplier"):
        return f"{title(line)}: position {position} against {point}. {_NO_SELLER}."
    if not line.get("quantity"):
        return f"{title(line)}: no order needed, position {position} against {point}."
    unit_price = price(line.get("unit_price"))
    parts = [
        f"{title(line)}: position {position} against reorder point {point}{_timing(line)}.",
        f"Suggest {units(line.get('quantity'), line.get('uom'))} from {line.get('supplier')} at "
        f"{unit_price}, {money(line.get('amount'), line.get('currency'))}"
        f"{_rec_id(line)}{_deadline(line, today)}.",
    ]
    runs_out, lands = line.get("stockout_in_days"), line.get("arrival_in_days")
    if runs_out is not None and lands is not None and runs_out < lands:
        parts.append("It lands after the shelf is empty; ask me to compare suppliers.")
    return " ".join(parts)


def _short_line(line: Json, today: str) -> str:
    """One item of a list: what to order first, then why."""
    if not line.get("quantity") or not line.get("supplier"):
        return _line(line, today)
    amount = money(line.get("amount"), line.get("currency"))
    quantity = units(line.get("quantity"), line.get("uom"))
    position = number(line.get("inventory_position"))
    point = number(line.get("reorder_point"), 0)
    runs_out = line.get("stockout_in_days")
    when = f", runs out in {number(runs_out)} days" if runs_out is not None else ""
    return (
        f"{title(line)}: {quantity} from {line.get('supplier')}, {amount}{_rec_id(line)}. Position "
        f"{position} against {point}{when}{_deadline(line, today)}."
    )


def _rec_id(line: Json) -> str:
    return f" ({line['rec_id']})" if line.get("rec_id") else ""


def _timing(line: Json) -> str:
    parts = []
    if line.get("stockout_in_days") is not None:
        parts.append(f"runs out around day {number(line['stockout_in_days'])}")
    if line.get("arrival_in_days") is not None:
        parts.append(f"a new order lands on day {number(line['arrival_in_days'])}")
    return f"; {', '.join(parts)}" if parts else ""


def _deadline(line: Json, today: str) -> str:
    latest = line.get("latest_order_date")
    if not latest:
        return ""
    return ", order today" if latest <= today else f", order by {day(latest)}"


def exceptions(call: Call) -> str:
    """The worklist, by severity and value at risk."""
    found = rows(call.data, "exceptions")
    if not found:
        types = call.arguments.get("types") or []
        return _NONE.get(str(types[0]), "No exceptions.") if len(types) == 1 else "No exceptions."
    few = _few(call, found)
    listed = "\n".join(f"{at}. {_exception(row)}" for at, row in enumerate(few, 1))
    total = call.data.get("total") or len(found)
    return f"{number(total)} to look at, by value at risk{shown_of(few, total)}:\n{listed}"


def counts(call: Call) -> str:
    """One line about the exceptions, beside a list of recommendations."""
    numbers = call.data.get("counts") or {}
    parts = [f"{number(n)} {_TYPES.get(str(name), str(name))}" for name, n in numbers.items() if n]
    return f"Exceptions: {joined(parts)}." if parts else ""


def _exception(row: Json) -> str:
    about = " ".join(part for part in (str(row.get("po") or ""), title(row)) if part)
    risk = money(row.get("value_at_risk"), row.get("currency"))
    tail = f", {risk} at risk" if risk else ""
    due = f", due {day(row['due'])}" if row.get("due") else ""
    kind = str(row.get("type", "")).replace("_", " ")
    return f"{about}: {row.get('why') or kind} ({row.get('severity')}{due}{tail})"


def explanation(call: Call) -> str:
    """How a recommended quantity came about, and what another quantity would mean."""
    data, inputs = call.data, call.data.get("inputs") or {}
    if not data.get("supplier"):
        return f"{title(data)}: no quantity to explain. {_NO_SELLER}."
    total = units(data.get("quantity"), data.get("uom"))
    order = f"{total} from {data['supplier']}{_amount(inputs)}"
    lines = [f"{title(data)}: {order if data.get('quantity') else 'nothing to order now'}."]
    lines += _derivation(data, inputs) or [f"- {_term(term)}" for term in rows(data, "waterfall")]
    lines += [_alternative(row, inputs) for row in rows(data, "alternatives")]
    return "\n".join(lines)


def _term(term: Json) -> str:
    source = f" ({term['source']})" if term.get("source") else ""
    return f"{term.get('label')}: {signed(term.get('value'))}{source}"


def _amount(inputs: Json) -> str:
    if inputs.get("amount") is None:
        return ""
    amount = money(inputs["amount"], inputs.get("currency"))
    return f" at {price(inputs.get('unit_price'))} each, {amount}"


def _window(data: Json) -> str:
    """How long the first term lasts: lead time plus review, as its label says."""
    labels = [str(term.get("label")) for term in rows(data, "waterfall")]
    found = (re.search(r"\bover ([\d.]+) days", label) for label in labels)
    days = next((match[1] for match in found if match), None)
    return f"{number(days)} days (lead time and review)" if days else "lead time and review"


def _derivation(data: Json, inputs: Json) -> list[str]:
    """The way to the need in one sentence, if the inputs give all of it."""
    names = ("lead_time_days", "lead_time_demand", "safety_stock", "reorder_point", "order_up_to",
             "inventory_position", "need")  # fmt: skip
    if any(inputs.get(name) is None for name in names):
        return []
    n = {name: number(value, 0) for name, value in inputs.items() if _is_number(value)}
    packing = _packing(inputs, data.get("quantity"))
    return [
        f"Demand over {_window(data)} {n['lead_time_demand']} + safety stock {n['safety_stock']} = "
        f"reorder point {n['reorder_point']}; with {n.get('cover_days', 'the')} days of cover the "
        f"order-up-to level is {n['order_up_to']}; minus position {n['inventory_position']} "
        f"({n.get('on_hand', '?')} on hand - {n.get('allocated', '0')} allocated + "
        f"{n.get('on_order', '0')} on order) leaves {n['need']}{packing}."
    ]


def _packing(inputs: Json, quantity: Any) -> str:
    multiple = inputs.get("pack_units") or inputs.get("order_multiple")
    if not multiple or multiple == 1 or inputs["need"] == quantity:
        return ""
    pack = inputs.get("pack_uom") or "multiple"
    return f", which whole {pack}s of {number(multiple)} round up to {number(quantity)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _alternative(row: Json, inputs: Json) -> str:
    asked, quantity = number(row.get("asked")), number(row.get("quantity"))
    text = f"{asked}" if asked == quantity else f"{asked} rounds to {quantity}"
    packs = row.get("packs")
    if packs:
        text += f" ({units(packs, inputs.get('pack_uom') or 'pack')})"
    amount = money(row.get("amount"), inputs.get("currency"))
    text += f" at {price(row.get('unit_price'))}, {amount}" if amount else ""
    if row.get("cover_days") is not None:
        text += f": {number(row['cover_days'])} days above the reorder point"
    note = f" ({row['note']})" if row.get("note") else ""
    return f"{text}{note}."


def simulations(calls: Sequence[Call]) -> str:
    """What-ifs on one item against the same baseline."""
    base = calls[0].data.get("baseline") or {}
    lines = [f"{title(calls[0].data)} today: {_plan(base)}."]
    for call in calls:
        data = call.data
        if _holds_while(data.get("changes") or {}, calls):
            scenario = data.get("scenario") or {}
            lines.append(f"- while it lasts: {_levels(scenario)}.")
            continue
        line = f"- {_changes(data.get('changes') or {})}: {_plan(data.get('scenario') or {})}"
        shortage = (data.get("scenario") or {}).get("first_stockout_date")
        line += f"; first stock-out {day(shortage)}" if shortage else ""
        line += f"; order by {day(data['order_by'])}" if data.get("order_by") else ""
        lines.append(f"{line}.")
    lines.append("Nothing was changed.")
    return "\n".join(lines)


def _holds_while(changes: Json, calls: Sequence[Call]) -> bool:
    """The same change of demand without dates, beside one with dates."""
    if changes.get("start") or changes.get("lead_time_change_days"):
        return False
    others = [call.data.get("changes") or {} for call in calls]
    same = [c for c in others if c.get("demand_change_pct") == changes.get("demand_change_pct")]
    return bool(changes.get("demand_change_pct")) and any(c.get("start") for c in same)


def _plan(values: Json) -> str:
    quantity = values.get("order_quantity")
    return _levels(values) + (f", order {number(quantity)}" if quantity is not None else "")


def _levels(values: Json) -> str:
    point, stock = values.get("reorder_point"), values.get("safety_stock")
    return f"reorder point {number(point, 0)}, safety stock {number(stock, 0)}"


def _changes(changes: Json) -> str:
    parts = []
    if changes.get("demand_change_pct"):
        period = ""
        if changes.get("start") and changes.get("end"):
            period = f" from {day(changes['start'])} to {day(changes['end'])}"
        parts.append(f"demand {signed(changes['demand_change_pct'])} %{period}")
    if changes.get("lead_time_change_days"):
        parts.append(f"lead time {signed(changes['lead_time_change_days'])} days")
    if changes.get("service_level"):
        parts.append(f"service level {percent(changes['service_level'], 2)}")
    return joined(parts) or "no change"
