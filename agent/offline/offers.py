"""What the assistant offered last, recovered from the last tool results.

The reply states the offer in the words of ``question``; a "yes" to it makes exactly these calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.offline.history import Call, Json, Turn, rows

_ORDERS = ("draft_purchase_order", "revise_purchase_order")


@dataclass(frozen=True)
class Offer:
    """Calls of one tool that one "yes" allows."""

    tool: str
    every: tuple[Json, ...]
    question: str

    @property
    def arguments(self) -> Json:
        """Arguments of the first call."""
        return self.every[0]


def offer_after(calls: Sequence[Call]) -> Offer | None:
    """The offer that follows from the results of one turn; the last result decides."""
    for call in reversed(calls):
        if call.name in _ORDERS:
            return _approval([other for other in calls if other.name in _ORDERS])
        if call.name == "compare_suppliers" and named_supplier(calls):
            return _from_supplier(calls)
        if call.name == "recommend_orders":
            return _draft([other for other in calls if other.name == "recommend_orders"])
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


def drafts_of(lines: Sequence[Json]) -> list[Json]:
    """Arguments of one draft for each supplier of the lines.

    A recommendation knows its supplier; a line computed since the last plan has no number, so its
    supplier is named.
    """
    drafts = []
    for name in dict.fromkeys(str(line.get("supplier")) for line in lines):
        own = [line for line in lines if str(line.get("supplier")) == name]
        draft: Json = {"lines": [line_to_draft(line) for line in own]}
        code = own[0].get("supplier_code")
        is_known = all(line.get("rec_id") for line in own) or not code
        drafts.append(draft if is_known else {**draft, "supplier": code})
    return drafts


def named_supplier(calls: Sequence[Call]) -> str | None:
    """The supplier that the planner named for an item, beside the recommendation without it."""
    asked = [call for call in calls if call.name == "recommend_orders"]
    given = ["supplier" in call.arguments for call in asked]
    is_pair = given == [True, False]
    return str(asked[0].arguments["supplier"]) if is_pair else None


def option_of(calls: Sequence[Call]) -> Json | None:
    """What the named supplier asks for the item, if it sells it."""
    name = (named_supplier(calls) or "").casefold()
    compared = [call for call in calls if call.name == "compare_suppliers"]
    options = [row for call in compared for row in rows(call.data, "options")]
    known = [row for row in options
             if name in (str(row.get("code")).casefold(), str(row.get("supplier")).casefold())
             and row.get("feasible", True)]  # fmt: skip
    return known[0] if known else None


def recommended(calls: Sequence[Call]) -> list[Json]:
    """Lines that could be drafted, of all recommendations of a turn that name one item."""
    found = []
    for call in calls:
        lines = [line for line in rows(call.data, "lines") if line.get("quantity")]
        if len(lines) > 1:
            return []
        found += [line for line in lines if line.get("action", "buy") == "buy"]
    known: list[Json] = []
    for line in found:
        known += [] if any(line["sku"] == other["sku"] for other in known) else [line]
    return [line for line in known if line.get("supplier")]


def _approval(calls: Sequence[Call]) -> Offer | None:
    waiting = [call.data for call in calls if call.data.get("state") == "draft"]
    waiting = [data for data in waiting if (data.get("approval") or {}).get("approver_role")]
    if not waiting:
        return None
    every = tuple({"po_id": data["po_id"], "digest": data.get("digest")} for data in waiting)
    is_again = any(data.get("voided_approvals") for data in waiting)
    question = "Ask for approval again?" if is_again else "Request approval?"
    question = question if len(every) == 1 else "Request approval for all of them?"
    return Offer("request_approval", every, question)


def _draft(calls: Sequence[Call]) -> Offer | None:
    """One draft for each supplier of what was recommended."""
    lines = recommended(calls)
    every = tuple(drafts_of(lines))
    if not every:
        return None
    question = "Shall I draft it?" if len(lines) == 1 else "Shall I draft all of them?"
    return Offer("draft_purchase_order", every, question)


def _from_supplier(calls: Sequence[Call]) -> Offer | None:
    lines = recommended([call for call in calls if call.name == "recommend_orders"])
    if len(lines) != 1:
        return None
    line, option = lines[0], option_of(calls)
    if option is None:
        question = f"Shall I draft it from {line['supplier']} instead?"
        return Offer("draft_purchase_order", ({"lines": [line_to_draft(line)]},), question)
    draft = {"sku": line["sku"], "quantity": line["quantity"]}
    arguments = {"lines": [draft], "supplier": named_supplier(calls)}
    question = f"Shall I draft it from {option.get('supplier')}?"
    return Offer("draft_purchase_order", (arguments,), question)


def _correction(call: Call) -> Offer | None:
    matches = rows(call.details, "matches")
    if len(matches) != 1 or "sku" not in call.arguments:
        return None
    sku = str(matches[0].get("sku"))
    return Offer(call.name, ({**call.arguments, "sku": sku},), f"Did you mean {sku}?")
