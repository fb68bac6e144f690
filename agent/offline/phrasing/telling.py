"""From the results of a turn to its reply.

Only figures of the results are written. What can be done next is stated as a question exactly when
a "yes" would do it.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from agent.offline.history import Call, Json, Turn, rows
from agent.offline.offers import named_supplier, offer_after, option_of
from agent.offline.phrasing import buying, items, measures, planning
from agent.offline.phrasing.figures import dated, moment
from agent.offline.phrasing.problems import problem
from agent.offline.replies import NO_FIGURES
from agent.offline.second_steps import is_replaced

_TELLERS: dict[str, Callable[[Call], str]] = {
    "find_item": items.found_items,
    "get_stock_position": items.stock,
    "compute_reorder_point": items.reorder_point,
    "list_exceptions": planning.exceptions,
    "recommend_orders": planning.recommendations,
    "explain_recommendation": planning.explanation,
    "simulate_scenario": lambda call: planning.simulations([call]),
    "compare_suppliers": buying.comparison,
    "draft_purchase_order": buying.draft,
    "revise_purchase_order": buying.draft,
    "request_approval": buying.approval_request,
    "list_orders": buying.orders,
    "cancel_order": buying.cancellation,
    "check_shipment": buying.shipment,
    "get_kpis": measures.kpis,
}
_MODEL = re.compile(r"\b(?:models?|methods?|algorithm|accura\w*|error|bias)\b")
_ROWS_SHOWN = 3
_WRITES = ("draft_purchase_order", "revise_purchase_order", "request_approval", "cancel_order")


@dataclass(frozen=True)
class Told:
    """A reply; a question waits for an answer that completes the request."""

    text: str
    is_question: bool


def tell(calls: Sequence[Call], bound: Collection[str], said: str = "") -> Told:
    """Phrase all results of a turn.

    Args:
        calls: The calls of the turn with their results.
        bound: Names of the tools that can be called; nothing else is offered.
        said: What the planner asked.
    """
    is_split = any(is_replaced(call, calls) for call in calls)
    calls = calls[1:] if is_split else calls
    parts = [part for part in _parts(calls, said) if part]
    lasting = [call for call in calls if call.name != "cancel_order"]
    warnings = [str(w) for call in lasting for w in call.envelope.get("warnings") or []]
    told = "\n".join(parts).lower()
    parts += [f"Note: {w.rstrip('.')}." for w in dict.fromkeys(warnings) if w.lower() not in told]
    age = _age(calls)
    if age:
        parts.append(age)
    offer = offer_after(calls)
    offer = offer if offer and offer.tool in bound else None
    if offer is not None:
        parts.append(offer.question)
    text = dated("\n".join(parts))
    asks = any(line.endswith("?") for line in text.splitlines())
    return Told(text, offer is None and asks)


def plainly(turn: Turn) -> str:
    """What a turn's results say, field by field, after a reply whose figures were refused."""
    told = "\n".join(_plain(call) if call.is_ok else problem(call) for call in turn.calls)
    return told if told and told != turn.reply else NO_FIGURES


def _parts(calls: Sequence[Call], said: str) -> list[str]:
    simulated = [call for call in calls if call.name == "simulate_scenario" and call.is_ok]
    has_advice = any(call.name == "recommend_orders" and call.is_ok for call in calls)
    supplier = named_supplier(calls)
    parts, tails = [], []
    for call in calls:
        if call in simulated:
            same = [other for other in simulated if other.data.get("sku") == call.data.get("sku")]
            parts += [planning.simulations(same)] if call is same[0] else []
        elif not call.is_ok:
            parts.append(_about(call, calls) + problem(call))
        elif call.name == "recommend_orders" and supplier and "supplier" in call.arguments:
            continue
        elif call.name == "compare_suppliers" and supplier:
            parts.append(buying.named_option(supplier, option_of(calls), call))
        elif call.name == "forecast_demand":
            parts.append(items.forecast(call, with_model=bool(_MODEL.search(said.lower()))))
        elif call.name == "list_exceptions" and has_advice:
            tails.append(planning.counts(call))
        else:
            parts.append(_TELLERS[call.name](call) if call.name in _TELLERS else _plain(call))
    return parts + tails


def _about(call: Call, calls: Sequence[Call]) -> str:
    """Which of several drafts a problem is about."""
    lines = call.arguments.get("lines") or []
    is_one = len(calls) > 1 and len(lines) == 1 and "sku" in lines[0]
    return f"{lines[0]['sku']}: " if is_one else ""


def _plain(call: Call) -> str:
    """A tool without a template: its plain fields, and those of its first rows."""
    lines = [f"{call.name.replace('_', ' ').capitalize()}: {_fields(call.data) or 'done'}."]
    for name in call.data:
        lines += [f"- {_fields(row)}." for row in rows(call.data, name)[:_ROWS_SHOWN]]
    return "\n".join(lines)


def _fields(data: Json) -> str:
    facts = [f"{key.replace('_', ' ')} {value}" for key, value in data.items()
             if isinstance(value, str | int | float) and not isinstance(value, bool)
             and value != "" and key != "digest"]  # fmt: skip
    return ", ".join(facts)


def _age(calls: Sequence[Call]) -> str:
    """The time of the data, under answers that look something up."""
    times = [
        str(call.envelope["as_of"])
        for call in calls
        if call.is_ok and call.name not in (*_WRITES, "find_item") and call.envelope.get("as_of")
    ]
    return f"Data as of {moment(min(times))}." if times else ""
