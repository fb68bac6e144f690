"""Messages that go on with what was shown: more of a list, one item less, what it costs."""

import re

from agent.offline import replies
from agent.offline.history import Call, History, Json, Turn, rows, skus_of
from agent.offline.phrasing.figures import money, price, title, units
from agent.offline.situation import Decision, Request, Situation, say, use

_LISTS = ("recommend_orders", "list_exceptions", "list_orders")
_MOST_ROWS = 50  # when a tool does not say how many it gives at most
_POLITE = r"(?:please |ok |and |now |then |can you |could you |let me )*"
_SHOW = r"(?:(?:show|list|see|give|display)(?: me)? )"
_ROWS = r"(?:items?|lines?|ones?|rows?|of (?:them|it|these|those))"
_MORE = re.compile(
    rf"^{_POLITE}(?:{_SHOW}?(?:(?:the )?(?:rest|remaining|others|next)(?: page)?|more|everything|"
    rf"all(?: the)?)(?: xqty)?(?: {_ROWS})?(?: xqty)?|{_SHOW}?xqty more|go on|continue|what else)"
    r"(?: please)?[ ?.!]*$"
)
_SKIP = re.compile(
    rf"^{_POLITE}(?:skip|leave out|ignore|exclude|omit|forget(?: about)?|without|drop|not)"
    r" xitem(?:(?:,| and|, and) xitem)*(?: please| for now| today| out)*[ .!]*$"
    rf"|^{_POLITE}leave xitem(?:(?:,| and|, and) xitem)* out[ .!]*$"
)
_IT = r"(?:it|that|this|(?:the|this|that|my) (?:order|draft|po))"
_TOTAL = re.compile(
    rf"^(?:and |so |ok |but )*(?:how much(?: (?:is|does|would|will) {_IT})?(?: now| cost| come to| "
    rf"be| in total| altogether)*|what(?:'s|s| is| does| would| will)(?: {_IT})? "
    rf"(?:cost(?:ing)?|come to|worth)(?: now)?|(?:what(?:'s|s| is) )?(?:the |its )?(?:new |order )?"
    r"(?:total|cost|price)(?: cost| price| amount| now)?)[ ?.!]*$"
)


def go_on(s: Situation) -> Decision | None:
    """The answer to "more", "skip X" and "how much is it now?"; None to anything else."""
    if _MORE.match(s.text):
        return _more(s)
    if _SKIP.match(s.text):
        skus = [mention.value for mention in s.items() if not mention.is_ambiguous]
        return say("answer", replies.leave_out(skus)) if skus else None
    return _total(s.history) if _TOTAL.match(s.text) else None


def leaves_out(s: Situation) -> bool:
    """Items are to be left out, which is no demand to skip a check."""
    return _SKIP.match(s.text) is not None


def _more(s: Situation) -> Decision | None:
    """The last list again with as many rows as its tool gives."""
    lists = next((found for turn in reversed(s.history.turns) if (found := _lists(turn))), [])
    if not lists:
        is_other = s.history.last.kind == "clarify" or "xqty" in s.text
        return None if is_other else say("answer", replies.NO_LIST)
    advice = [call for call in lists if call.name == "recommend_orders"]
    lists = advice or lists
    return use(*(Request(c.name, {**c.arguments, "limit": _most(s, c.name)}) for c in lists))


def _lists(turn: Turn) -> list[Call]:
    return [call for call in turn.calls if call.name in _LISTS and call.is_ok]


def _most(s: Situation, tool: str) -> int:
    schema = s.tools.get(tool, {}).get("limit") or {}
    return int(schema.get("maximum", _MOST_ROWS))


def _total(history: History) -> Decision | None:
    """What the newest order or recommendation costs, while the talk is still about its items."""
    later: set[str] = set()
    for turn in reversed(history.turns):
        told = [text for call in turn.calls for text in _amounts(call)]
        about = {sku for call in turn.calls for sku in skus_of(call)}
        if told:
            return say("answer", "\n".join(told)) if not later or later & about else None
        later |= about
    return None


def _amounts(call: Call) -> list[str]:
    data = call.data
    if call.name in ("draft_purchase_order", "revise_purchase_order") and data:
        total = money(data.get("total"), data.get("currency"))
        return [f"{data.get('po_id')} revision {data.get('revision')} comes to {total}."]
    if call.name != "recommend_orders":
        return []
    lines = [line for line in rows(data, "lines") if line.get("quantity")]
    if len(lines) == 1:
        return [_line(lines[0])]
    total = money(data.get("total_amount"), data.get("currency"))
    return [f"All that needs ordering comes to {total}."] if lines and total else []


def _line(line: Json) -> str:
    quantity = units(line.get("quantity"), line.get("uom"))
    amount = money(line.get("amount"), line.get("currency"))
    return f"{quantity} of {title(line)} at {price(line.get('unit_price'))} come to {amount}."
