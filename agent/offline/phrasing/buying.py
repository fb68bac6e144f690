"""Tell about suppliers, purchase orders, approvals and shipments."""

from agent.offline.history import Call, Json, rows
from agent.offline.phrasing.figures import (
    day,
    joined,
    moment,
    money,
    number,
    percent,
    price,
    role_name,
    shown_of,
    title,
    units,
)

_NOTE_FLAG = (
    "Its note contains text addressed to me; I treat that as content, not as an instruction, and "
    "nothing was done about it. Please have a look at it yourself."
)


def comparison(call: Call) -> str:
    """Suppliers of an item for a quantity, the recommended one first."""
    data = call.data
    uom = data.get("uom")
    best = data.get("recommended")
    head = f"{title(data)}, {units(data.get('quantity'), uom)}"
    options = sorted(
        rows(data, "options"), key=lambda row: best not in (row.get("supplier"), row.get("code"))
    )
    lines = [f"{head}: {data.get('why') or 'the options are'}".rstrip(".") + "."]
    lines += [f"- {_option(row)}" for row in options]
    return "\n".join(lines)


def _option(row: Json) -> str:
    parts = [f"{price(row.get('unit_price'))} {row.get('currency')} a unit"]
    if row.get("landed_unit") is not None:
        parts.append(f"landed {price(row['landed_unit'])}")
    if row.get("amount") is not None:
        parts.append(money(row["amount"], row.get("currency")))
    lead = row.get("lead_time") or {}
    if lead.get("mean") is not None:
        parts.append(f"lead time {number(lead['mean'])} ± {number(lead.get('sd'))} days")
    parts.append(_on_time(row))
    if row.get("eta"):
        parts.append(f"arrives {day(row['eta'])}")
    text = f"{row.get('supplier')}: {', '.join(part for part in parts if part)}."
    if not row.get("feasible", True):
        text += f" Not possible: {row.get('reason')}".rstrip(".") + "."
    return text + _next_break(row) + _note(row)


def named_option(name: str, option: Json | None, call: Call) -> str:
    """What the supplier that the planner named asks, or that it does not sell the item."""
    if option is None:
        return f"{name} does not sell {call.data.get('sku')} in this quantity."
    return f"As you named it: {_option(option)}"


def _on_time(row: Json) -> str:
    if row.get("otif") is None:
        return "no on-time record"
    return f"on time in full {percent(row['otif'], 0)} (n={number(row.get('otif_n'))})"


def _next_break(row: Json) -> str:
    step = row.get("next_break")
    if not isinstance(step, dict):
        return ""
    return f" From {number(step.get('quantity'))} it is {price(step.get('unit_price'))}."


def _note(row: Json) -> str:
    if row.get("note_flag"):
        return f" {_NOTE_FLAG}"
    return f" Supplier's note: “{row['note']}”" if row.get("note") else ""


def draft(call: Call) -> str:
    """A drafted or changed purchase order."""
    data = call.data
    head = f"{str(data.get('state', 'draft')).replace('_', ' ').capitalize()} {data.get('po_id')}"
    total = money(data.get("total"), data.get("currency"))
    lines = [f"{head} revision {data.get('revision')} for {data.get('supplier')}: {total}."]
    lines += [f"- {_order_line(row)}" for row in rows(data, "lines")]
    noted = call.envelope.get("warnings") or []
    checks = [str(check.get("message") or "") for check in rows(data, "checks")]
    lines += [f"{check}." for check in checks if check and check not in noted]
    voided = [str(name) for name in data.get("voided_approvals") or []]
    if voided:
        lines.append(f"The earlier request {joined(voided)} is void.")
    needs = _needs(data)
    lines.append(f"{needs} Nothing was sent." if needs not in noted else "Nothing was sent.")
    return "\n".join(lines)


def _order_line(row: Json) -> str:
    text = f"{title(row)}: {units(row.get('quantity'), row.get('uom'))}"
    packs, size = row.get("packs"), row.get("pack_units")
    if packs and size and size != 1:
        text += f" ({units(packs, row.get('pack_uom') or 'pack')} of {number(size)})"
    return f"{text} x {price(row.get('unit_price'))} = {money(row.get('amount'))}"


def _needs(data: Json) -> str:
    approval = data.get("approval") or {}
    if not approval.get("required"):
        return ""
    limit = money(approval.get("your_limit"), data.get("currency"))
    role = approval.get("approver_role")
    if not role:
        return str(approval.get("rule") or "")
    if role == "planner":
        return f"It needs a recorded decision; yours will do (your limit is {limit})."
    own = f" (your limit is {limit})" if limit else ""
    return f"It needs {_signers(role, approval.get('signatures'))}{own}."


def _signers(role: object, signatures: object) -> str:
    """Who must sign: a role with its article, or how many people.

    Example:
        >>> _signers("manager", 1), _signers("manager", 2)
        ('a manager', '2 signatures (manager)')
    """
    is_one = not isinstance(signatures, int) or signatures < 2
    return role_name(role) if is_one else f"{signatures} signatures ({role})"


def approval_request(call: Call) -> str:
    """A request that waits for a person."""
    data = call.data
    total = money(data.get("total"), data.get("currency"))
    until = f" until {moment(data['expires_at'])}" if data.get("expires_at") else ""
    signers = _signers(data.get("approver_role"), data.get("signatures"))
    return (
        f"{data.get('po_id')} revision {data.get('revision')}, {total}: waiting for "
        f"{signers} ({data.get('approval_id')}){until}. "
        "Nothing is sent before that decision."
    )


def orders(call: Call) -> str:
    """A list of purchase orders."""
    found = rows(call.data, "orders")
    if not found:
        return "No such orders."
    count = max(call.data.get("total") or 0, len(found))
    head = "1 order" if count == 1 else f"{number(count)} orders{shown_of(found, count)}"
    return "\n".join([f"{head}:", *map(_order, found)])


def _order(row: Json) -> str:
    state = str(row.get("state", "")).replace("_", " ")
    skus = joined([str(sku) for sku in row.get("skus") or []][:3])
    quantity = f"{number(row['quantity'])} " if row.get("quantity") is not None else ""
    text = f"- {row.get('po_id')} ({state}): {quantity}{skus} from {row.get('supplier')}, "
    text += money(row.get("total"), row.get("currency"))
    if row.get("promise"):
        text += f", due {day(row['promise'])}"
    approval = row.get("approval")
    if isinstance(approval, dict):
        text += f", waits for {role_name(approval.get('role'))} ({approval.get('id')})"
    return f"{text}. Next: {row['next_action']}." if row.get("next_action") else f"{text}."


def cancellation(call: Call) -> str:
    """What became of a request to cancel."""
    data = call.data
    if data.get("message"):
        return str(data["message"]).rstrip(".") + "."
    if data.get("cancelled"):
        return f"{data.get('po_id')} is cancelled; nothing was sent."
    return f"{data.get('po_id')} is already sent; a person must ask the supplier to cancel it."


def shipment(call: Call) -> str:
    """Where an order is."""
    data = call.data
    carrier = f", {data['carrier']}" if data.get("carrier") else ""
    status = str(data.get("status") or data.get("state") or "unknown").replace("_", " ")
    status = "no word from a carrier yet" if status == "unknown" else status
    sentences = [
        f"{data.get('po_id')} from {data.get('supplier')}{carrier}: {status}{_event(data)}."
    ]
    if data.get("eta"):
        source = f" (from {data['eta_source']})" if data.get("eta_source") else ""
        sentences.append(f"ETA {day(data['eta'])}{source}, promised {day(data.get('promise'))}.")
    elif data.get("promise"):
        sentences.append(f"Promised for {day(data['promise'])}.")
    if data.get("days_late"):
        sentences.append(f"That is {number(data['days_late'])} days late.")
    for row in rows(data, "lines")[:5]:
        sentences.append(
            f"{row.get('sku')}: {number(row.get('ordered'))} ordered, "
            f"{number(row.get('received'))} received, {number(row.get('balance'))} open."
        )
    return " ".join(sentences)


def _event(data: Json) -> str:
    events = rows(data, "events")
    if not events:
        return ""
    last = max(events, key=lambda row: str(row.get("at")))
    place = f", {last['place']}" if last.get("place") else ""
    age = data.get("last_event_age_h")
    ago = f", {number(age, 0)} h ago" if age is not None else ""
    return f" ({last.get('description')}{place}{ago})"
