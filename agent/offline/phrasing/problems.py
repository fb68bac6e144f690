"""Tell why a tool did not do something, and ask for what would help."""

import re

from agent.offline.history import Call, Json, rows
from agent.offline.phrasing.figures import joined, moment, number, units

_VALUE = re.compile(r"^(?:\w+\.)*(\w+): Input should (.*)$")
_FOR_MODELS = re.compile(r"\b(?:ask|the user|the planner|call|tell)\b", re.IGNORECASE)


def problem(call: Call) -> str:
    """One refused call in words; the tool's own sentence unless more is known."""
    details = call.details
    if call.error == "conflict" and rows(details, "duplicates"):
        return _duplicates(details)
    if call.error == "ambiguous":
        return _which(call)
    if call.error == "invalid_input" and rows(details, "options"):
        return _options(call)
    if call.error == "not_found":
        return _near(call)
    return _sentence(call, str(call.envelope.get("next") or ""))


def _sentence(call: Call, more: str = "") -> str:
    more = "" if "Input should" in str(call.envelope.get("message")) else more
    more = "" if _FOR_MODELS.search(more) else more
    message = str(call.envelope.get("message") or "The tool could not do that").strip()
    message = _VALUE.sub(r"the \1 should \2", message)
    text = message[:1].upper() + message[1:]
    return " ".join(part.rstrip(".") + "." for part in (text, more) if part)


def _which(call: Call) -> str:
    matches = rows(call.details, "matches")
    listed = "\n".join(f"{at}. {_match(row)}" for at, row in enumerate(matches, start=1))
    return f"Which one do you mean?\n{listed}" if listed else _sentence(call, "Which one?")


def _match(row: Json) -> str:
    key, name = row.get("sku") or row.get("code"), row.get("name")
    return f"{key} ({name})" if name else str(key)


def _near(call: Call) -> str:
    matches = rows(call.details, "matches")
    if not matches:
        return _sentence(call, "Check the spelling.")
    if len(matches) == 1:
        return _sentence(call)
    return f"{_sentence(call)} Near it: {joined([_match(row) for row in matches[:5]], 'or')}."


def _options(call: Call) -> str:
    """Whole packs instead of a fraction: "2 or 3?"."""
    options = rows(call.details, "options")
    packs = joined([number(row.get("packs")) for row in options], "or")
    each = [
        f"{number(row.get('packs'))} is {units(row.get('units'))}"
        + (f", {number(row['cover_days'])} days of cover" if row.get("cover_days") else "")
        for row in options
    ]
    return f"{_sentence(call)} {'; '.join(each)}. Nothing is drafted yet: {packs}?"


def _duplicates(details: Json) -> str:
    listed = joined([_duplicate(row) for row in rows(details, "duplicates")])
    sentences = [f"{listed} already covers this."]
    if details.get("inventory_position") is not None and details.get("reorder_point") is not None:
        position = number(details["inventory_position"])
        point = number(details["reorder_point"], 0)
        sentences.append(f"The position is {position} against a reorder point of {point}.")
    if details.get("next_need_in_days") is not None:
        days = number(details["next_need_in_days"], 0)
        sentences.append(f"Nothing is needed for about {days} days.")
    sentences.append("I drafted nothing. Still want another? The approver would need a reason.")
    return " ".join(sentences)


def _duplicate(row: Json) -> str:
    state = str(row.get("state") or "").replace("_", " ")
    when = f" {moment(row['at'])}" if row.get("at") else ""
    by = f" by {row['by']}" if row.get("by") else ""
    return f"{row.get('po_id')} ({units(row.get('quantity'), row.get('uom'))}, {state}{when}{by})"
