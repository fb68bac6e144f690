"""What the assistant offered last, recovered from the last tool result.

The reply states the offer in the words of ``question``; a "yes" to it makes exactly this call.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.offline.history import Call, Json, Turn, rows


@dataclass(frozen=True)
class Offer:
    """A call that one "yes" allows."""

    tool: str
    arguments: Json
    question: str


def offer_after(calls: Sequence[Call]) -> Offer | None:
    """The offer that follows from the results of one turn; the last result decides."""
    for call in reversed(calls):
        if call.name in ("draft_purchase_order", "revise_purchase_order"):
            return _approval(call)
        if call.name == "recommend_orders":
            return _draft(call)
        if call.error == "not_found":
            return _correction(call)
    return None


def accepted(turn: Turn) -> Offer | None:
    """The offer of a turn if its reply really made it."""
    offer = offer_after(turn.calls)
    return offer if offer and turn.reply.endswith(offer.question) else None


def line_to_draft(line: Json) -> Json:
    """The draft line for a line of the recommendations."""
    if line.get("rec_id"):
        return {"rec_id": line["rec_id"], "quantity": line["quantity"]}
    return {"sku": line["sku"], "quantity": line["quantity"]}


def _approval(call: Call) -> Offer | None:
    data = call.data
    approval = data.get("approval") or {}
    if data.get("state") != "draft" or not approval.get("approver_role"):
        return None
    arguments = {"po_id": data["po_id"], "digest": data.get("digest")}
    question = "Ask for approval again?" if data.get("voided_approvals") else "Request approval?"
    return Offer("request_approval", arguments, question)


def _draft(call: Call) -> Offer | None:
    lines = [line for line in rows(call.data, "lines") if line.get("quantity")]
    if len(lines) != 1 or lines[0].get("action", "buy") != "buy":
        return None
    return Offer("draft_purchase_order", {"lines": [line_to_draft(lines[0])]}, "Shall I draft it?")


def _correction(call: Call) -> Offer | None:
    matches = rows(call.details, "matches")
    if len(matches) != 1 or "sku" not in call.arguments:
        return None
    sku = str(matches[0].get("sku"))
    return Offer(call.name, {**call.arguments, "sku": sku}, f"Did you mean {sku}?")
