"""Moves that only make sense after what was said before: yes, no, and X?, 98 %?, the second one."""

import re
from dataclasses import replace

from agent.offline import replies
from agent.offline.entities import Linker
from agent.offline.guards import is_question
from agent.offline.history import Call, History, Json, rows
from agent.offline.offers import accepted
from agent.offline.replies import BAD_LEVEL
from agent.offline.situation import Decision, Request, Situation, ask, call, say, use
from agent.offline.slots import horizon, is_bad_level, service_level

YES = re.compile(
    r"^(?:yes|yep|yeah|yup|ya|ok|okay|sure|please do|go ahead|go for it|do it|do that|do so|"
    r"confirmed?|sounds good|fine|correct|right|exactly|aye|of course|absolutely)\b[\s,.!]*"
)
NO = re.compile(
    r"^(?:no|nope|nah|not now|never ?mind|leave it|forget (?:it|that)|skip it|stop|don't|do not|"
    r"later|rather not|hold off)\b[\s,.!]*"
)
_FILLER = re.compile(
    r"\b(?:please|thanks|thank you|go ahead|do it|do that|do so|then|thx|ta|with it|that one|"
    r"leave it|for now|as is|that's all|i'm good|nothing|it|on that)\b|[\s,.!]+"
)
_FOLLOW_UP = re.compile(
    r"^(?:and|what about|how about|same (?:again )?for|(?:do )?the same for|same|now|now for|also|"
    r"for|then|ok|with|in|at|over|use|try|only)*[\s,]*"
    r"(?:and |for |with |the |in |at |over |service )*"
    r"(?:xitem|xsupplier|xlocation|xdur|xpct|xqty)(?:,? (?:and )?xitem)*"
    r"(?: instead| too| as well| then| service(?: level)?| please)*\s?\?*$"
)
_STARTS_ANEW = re.compile(
    r"^(?:please )?(?:list|show|find|what|which|how|why|where|when|who|is|are|do|does|did|should|"
    r"can|could|will|forecast|compare|cancel|draft|order|buy|track|help|any|hi|hello|thanks)\b"
)
_READS = ("get_stock_position", "forecast_demand", "compute_reorder_point", "list_exceptions",
          "recommend_orders", "explain_recommendation", "simulate_scenario", "compare_suppliers",
          "list_orders", "get_kpis")  # fmt: skip
_WRITES = ("draft_purchase_order", "revise_purchase_order", "request_approval", "cancel_order")


def answer_to_offer(s: Situation) -> Decision | None:
    """A yes makes the call that was offered, a no makes none; None if the message is neither."""
    text = s.reading.text.lower()
    said_yes, said_no = YES.match(text), NO.match(text)
    match = said_yes or said_no
    if match is None or _FILLER.sub("", text[match.end() :]):
        return None
    if said_no:
        return say("answer", replies.decline(s.history))
    offer = accepted(s.history.last)
    if offer is not None:
        return use(*(call(offer.tool, **arguments) for arguments in offer.every))
    if duplicates_of(s.history.last.calls):
        return ask("What reason shall the approver read?", "duplicate reason")
    if text.startswith(("ok", "fine", "right", "sure")):
        return say("chat", replies.THANKS)
    return say("answer", replies.NOTHING_OFFERED)


def duplicates_of(calls: tuple[Call, ...]) -> Call | None:
    """The draft that was refused because an order covers the need already."""
    last = calls[-1] if calls else None
    return last if last and last.error == "conflict" and rows(last.details, "duplicates") else None


def reasoned(s: Situation) -> Decision | None:
    """A reason for a second order: the same draft again, with the planner's words."""
    turns = s.history.turns
    last = s.history.last
    asked = last.request == "duplicate reason" and len(turns) > 1
    refused = duplicates_of(turns[-2].calls if asked else last.calls)
    if refused is None or is_question(s.text):
        return None
    text = s.reading.text
    why = text if asked else YES.sub("", text.lower())
    if not asked and not (YES.match(text.lower()) and len(why.split()) > 1):
        return None
    arguments = {**refused.arguments, "duplicate_reason": why[:300]}
    return use(Request(refused.name, arguments))


def chosen(s: Situation) -> Decision | None:
    """An answer to "which one?" after a tool found several records, or offered whole packs."""
    last = s.history.last.calls[-1] if s.history.last.calls else None
    if last is None:
        return None
    if last.error == "invalid_input" and rows(last.details, "options"):
        return _packs(s, last)
    if last.error == "ambiguous":
        return _candidate(s, last)
    return None


def _packs(s: Situation, refused: Call) -> Decision | None:
    """After "2 or 3?", a "3": the same draft with that many whole packs."""
    packs = [row.get("packs") for row in rows(refused.details, "options")]
    given = [q.value for q in s.reading.quantities if q.value in packs]
    if len(given) != 1 or s.items():
        return None
    lines = refused.arguments.get("lines") or []
    at = [index for index, line in enumerate(lines) if line.get("quantity", 0) % 1]
    if len(at) != 1:
        return None
    fixed = [
        {**line, "quantity": int(given[0])} if i == at[0] else line for i, line in enumerate(lines)
    ]
    return use(Request(refused.name, {**refused.arguments, "lines": fixed}))


def _candidate(s: Situation, refused: Call) -> Decision | None:
    """The record that a name meant: the same call with its exact name."""
    values = tuple(
        str(row.get("sku") or row.get("code")) for row in rows(refused.details, "matches")
    )
    picked = picks(s.linker, values, s.reading.text)
    if picked is None:
        return None
    text = str(refused.envelope.get("message", ""))
    return use(Request(refused.name, _replaced(refused.arguments, picked, text)))


def _replaced(arguments: Json, picked: str, message: str) -> Json:
    """Put the chosen record where the message quotes the name that was unclear."""
    fixed: Json = {}
    for name, value in arguments.items():
        if isinstance(value, list):
            fixed[name] = [
                _replaced(row, picked, message) if isinstance(row, dict) else row for row in value
            ]
        else:
            is_meant = name in ("sku", "supplier") and repr(value) in message
            fixed[name] = picked if is_meant else value
    return fixed


def picks(linker: Linker, values: tuple[str, ...], answer: str) -> str | None:
    """The one candidate that an answer means: by position, by SKU or by words of its name."""
    text = answer.lower().strip(" .!")
    for index, words in enumerate(("first|1st|1", "second|2nd|2", "third|3rd|3", "fourth|4th|4")):
        if index < len(values) and re.fullmatch(rf"(?:the |number )?(?:{words})(?: one)?", text):
            return values[index]
    found = linker.choose(values, answer)
    return found[0] if len(found) == 1 else None


def completed(s: Situation) -> str | None:
    """The request that an answer completes, as one text; None if the message stands alone."""
    last = s.history.last
    request = last.whole_request
    found = next((made for made in last.calls if made.name == "find_item" and made.is_ok), None)
    if found is not None:
        return _with_choice(s, found, request)
    if last.kind != "clarify":
        return None
    said_yes = YES.match(s.reading.text.lower())
    if said_yes and not _FILLER.sub("", s.reading.text.lower()[said_yes.end() :]):
        return request
    return f"{request.rstrip('?!. ')} {s.reading.text}" if _is_fragment(s) else None


def _with_choice(s: Situation, found: Call, request: str) -> str | None:
    """After three sizes, "M, from Medline": the first request with GLOVE-M, and the rest."""
    values = tuple(str(row.get("sku")) for row in rows(found.data, "matches"))
    head, _, rest = s.reading.text.partition(",")
    is_yes = len(values) == 1 and YES.match(head.lower()) is not None
    picked = values[0] if is_yes else picks(s.linker, values, head)
    query = str(found.arguments.get("query", ""))
    at = request.lower().find(query.lower())
    if picked is None or at < 0:
        return None
    whole = request[:at] + picked + request[at + len(query) :]
    named = picks(s.linker, (picked,), head)
    extra = rest if named else s.reading.text
    return f"{whole}, {extra.strip()}" if extra.strip() else whole


def _is_fragment(s: Situation) -> bool:
    """Few words besides what was asked for: an answer rather than a new request."""
    words = [word for word in s.text.split() if not word.startswith("x")]
    return len(words) <= 5 and not _STARTS_ANEW.match(s.text)


def follow_up(s: Situation) -> Decision | None:
    """The last look-up with one change: "and SKU-2?", "same for X", "98 %?", "8 weeks"."""
    if not _FOLLOW_UP.match(s.text) or not s.history.last.calls:
        return None
    calls = s.history.last.calls
    if any(made.name == "compute_reorder_point" for made in calls) and is_bad_level(s):
        return ask(BAD_LEVEL, "reorder point")
    if any(made.name in _WRITES for made in calls):
        calls = tuple(Call("recommend_orders", {"sku": ""}, {}) for _ in calls[:1])
    calls = tuple(made for made in calls if made.name in _READS)
    requests = [changed for made in calls for changed in _changed(s, made)]
    unique: list[Request] = []
    for request in requests:
        if request not in unique:
            unique.append(request)
    is_unclear = any(mention.is_ambiguous for mention in s.items())
    return None if is_unclear or not unique else use(*unique)


def _changed(s: Situation, made: Call) -> list[Request]:
    arguments = dict(made.arguments)
    fitted = _fitted(s, made.name)
    if s.items():
        if not ("sku" in arguments or made.name in ("recommend_orders", "list_orders")):
            return []
        arguments.pop("supplier", None)
        arguments.pop("limit", None)
        return [Request(made.name, {**arguments, "sku": m.value, **fitted}) for m in s.items()]
    return [Request(made.name, {**arguments, **fitted})] if fitted else []


def _fitted(s: Situation, tool: str) -> Json:
    """The arguments that a follow-up changes besides the item."""
    found: Json = {}
    by_supplier = ("list_exceptions", "recommend_orders", "list_orders")
    if s.reading.first("supplier") and tool in by_supplier:
        found["supplier"] = s.reading.first("supplier")
    if s.reading.first("location") and tool in (
        "get_stock_position",
        "forecast_demand",
        "compute_reorder_point",
    ):
        found["location"] = s.reading.first("location")
    found |= _numbers(s, tool)
    return found


def _numbers(s: Situation, tool: str) -> Json:
    level = service_level(s)
    if tool == "compute_reorder_point" and level:
        return {"service_level": level}
    if tool == "simulate_scenario" and s.reading.percents:
        return {"demand_change_pct": int(s.reading.percents[0].value)}
    if tool == "forecast_demand" and horizon(s):
        return {"horizon_days": horizon(s)}
    if tool == "compare_suppliers" and s.reading.quantities:
        return {"quantity": int(s.reading.quantities[0].value)}
    if tool == "get_kpis" and s.reading.durations:
        return {"window_days": int(s.reading.durations[0].value)}
    return {}


def retold(history: History, request: str) -> History:
    """The history with the current message replaced by the whole request."""
    return replace(history, current=replace(history.current, said=request))
