"""From an intent that only looks things up to tool calls with their arguments."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from agent.offline import amounts, replies
from agent.offline.history import Json, rows
from agent.offline.reading import Mention
from agent.offline.situation import Decision, Request, Situation, ask, call, say, use

MOST_ITEMS = 5
_BACK_TO = re.compile(
    r"\b(?:of|for|about|on|called|named|like)\s+(?:the |a |any )?(?P<rest>.+?)[?.!]*$"
)
_FIND_WORDS = re.compile(
    r"^(?:please |can you |could you )*(?:find|search(?: for)?|look up|look for|show me|list|"
    r"what(?:'s| is) the (?:sku|code|article number|item number) (?:of|for)?|"
    r"do we (?:have|stock|carry)|"
    r"which (?:items?|sku)(?: is| are)?(?: called)?|is there|catalogue|items? called)\s*"
)
_SLOWER = re.compile(
    r"\b(?:slip|slips|late|later|longer|delay\w*|more|extra|plus|another|takes?)\b|\+"
)
_FASTER = re.compile(r"\b(?:shorter|faster|earlier|sooner|quicker|minus|fewer|less)\b")
_LEAD = re.compile(
    r"lead.?time|slip|late|delay|longer|shorter|arriv|deliver|faster|sooner|another|takes"
)
_LEVEL = re.compile(r"service|\bsl\b|fill rate|\brop\b|reorder|safety")
_ORDINALS = {"first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3,
             "4th": 3, "fifth": 4, "5th": 4}  # fmt: skip
_NUMBERED = re.compile(
    r"\b(?:draft|number|no\.?|nr|line|item|position|#)\s?#?(?P<number>[1-9]\d?)$"
    r"|\border (?:number |#|line )?(?P<digit>[1-9])$"
)
_TOP = re.compile(r"\b(?:top|first)\s(?P<count>[2-9]|two|three|four|five)\b")
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5}
_ONE_ORDER = re.compile(r"\b(?:it|that|(?:the|this|my) (?:order|po|draft))\b")
_METRICS = (
    (r"stock.?out", "stockout_rate"), (r"fill.?rate|service level", "fill_rate"),
    (r"cycle time|how long do our orders", "po_cycle_time"), (r"carrying", "carrying_cost"),
    (r"days of supply|inventory days|turns?\b|turnover", "days_of_supply"),
    (r"accura|mape|forecast (?:error|quality)|bias", "forecast_accuracy"),
    (r"otif|on.?time", "supplier_otif"), (r"(?:inventory|stock) value", "inventory_value"),
    (r"excess value", "excess_value"),
)  # fmt: skip
_STATES = (
    (r"waiting|await|pending|unsigned|signature", "pending_approval"),
    (r"sign.?off|approvals?\b|to approve", "pending_approval"),
    (r"draft(?:s|ed)?\b", "draft"), (r"\bapproved\b", "approved"), (r"cancel", "cancelled"),
    (r"not (?:yet )?received|not received", None), (r"\breceived\b|arrived", "received"),
    (r"confirmed\b", "confirmed"), (r"\bsent\b|\bsubmitted\b|\bsend\b", "sent"),
)  # fmt: skip


def items_of(s: Situation, *, is_write: bool = False) -> list[str] | Decision:
    """SKUs that a message is about, or what to do when that is not clear.

    Several records fit: look them up, and the planner chooses. A slip of the pen is taken for its
    neighbour in a look-up only; the result shows which item it was.
    """
    skus = []
    for mention in s.items():
        if mention.is_ambiguous or (is_write and not mention.is_known):
            return use(call("find_item", query=mention.text))
        if is_write and not mention.is_exact:
            whole = s.reading.text[: mention.start] + mention.value + s.reading.text[mention.end :]
            return ask(f"Did you mean {mention.value}?", whole)
        skus.append(mention.value)
    if skus:
        return list(dict.fromkeys(skus))
    return _unnamed(s, is_write=is_write)


def _unnamed(s: Situation, *, is_write: bool) -> list[str] | Decision:
    """No item is named: the one the conversation is about, else a search, else a question.

    For a write every word must be known, or a name that was not recognised would become a draft of
    whatever was spoken of before.
    """
    if is_write:
        words = [word.strip("?!.,") for word in s.text.split()[1:] if not word.startswith("x")]
        unknown = [word for word in words if word not in s.linker.protected]
        if unknown:
            return use(call("find_item", query=" ".join(unknown)[:100]))
    match = _BACK_TO.search(s.text)
    rest = match["rest"] if match else ""
    words = [word for word in rest.split() if word not in s.linker.protected and word[0] != "x"]
    if words and len(words) == len(rest.split()):
        return use(call("find_item", query=rest[:100]))
    focus = s.history.focus()
    if focus is not None:
        return [focus]
    return ask(replies.WHICH_ITEM, s.reading.text)


def each_item(s: Situation, make: Callable[[str], Request]) -> Decision:
    """One call per item."""
    skus = items_of(s)
    if isinstance(skus, Decision):
        return skus
    return use(*(make(sku) for sku in skus[:MOST_ITEMS]))


def stock(s: Situation) -> Decision:
    """Position of one or several items."""
    place = s.reading.first("location")
    return each_item(s, lambda sku: call("get_stock_position", sku=sku, location=place))


def forecast(s: Situation) -> Decision:
    """Forecast of one or several items over the time that was named."""
    days = horizon(s)
    place = s.reading.first("location")
    return each_item(
        s, lambda sku: call("forecast_demand", sku=sku, location=place, horizon_days=days)
    )


def horizon(s: Situation) -> int | None:
    """Days ahead: "next 6 weeks", or until a date."""
    days = int(s.reading.durations[0].value) if s.reading.durations else 0
    if not days and s.reading.periods and s.today and s.reading.periods[-1].last:
        days = (s.reading.periods[-1].last - s.today).days
    longest = s.tools.get("forecast_demand", {}).get("horizon_days", {}).get("maximum", 365)
    return min(days, int(longest)) if days > 0 else None


def service_level(s: Situation) -> float | None:
    """A service level as a fraction: 98, 98 % and 0.98 are the same."""
    level = next((p.value for p in s.reading.percents if 50 <= abs(p.value) < 100), None)
    if level is None:
        level = next((q.value for q in s.reading.quantities if 50 <= q.value < 100), None)
    return None if level is None else round(abs(level) / 100, 6)


def is_bad_level(s: Situation) -> bool:
    """A percentage that no service level can be."""
    written = ((s.reading.text[p.start : p.end], abs(p.value)) for p in s.reading.percents)
    return any(text.startswith("-") or not 0 < value < 100 for text, value in written)


def reorder_point(s: Situation) -> Decision:
    """Reorder point, safety stock and order-up-to level."""
    if is_bad_level(s):
        return ask(replies.BAD_LEVEL, amounts.without(s.reading, s.reading.percents[0]))
    level = service_level(s)
    measure = "fill_rate" if level and re.search(r"fill.?rate|\bbeta\b", s.text) else None
    review = re.search(r"review", s.text) and s.reading.durations
    days = int(s.reading.durations[0].value) if review else None
    place = s.reading.first("location")
    return each_item(
        s,
        lambda sku: call(
            "compute_reorder_point", sku=sku, location=place, service_level=level,
            measure=measure, review_days=days,
        ),
    )  # fmt: skip


def recommend(s: Situation) -> Decision:
    """What to order: of an item, from a supplier, or of everything."""
    supplier = s.reading.first("supplier")
    if s.items():
        return each_item(s, lambda sku: call("recommend_orders", sku=sku, supplier=supplier))
    if re.search(r"\b(?:it|that one|this one)\b", s.text) and s.history.focus():
        return use(call("recommend_orders", sku=s.history.focus()))
    calls = [call("recommend_orders", supplier=supplier, limit=_limit(s))]
    if re.search(r"\btoday\b|\bmorning\b|xdate", s.text) and not supplier:
        types = ["below_rop", "projected_stockout"]
        calls.insert(0, call("list_exceptions", types=types))
    return use(*calls)


def _limit(s: Situation) -> int | None:
    top = re.search(r"\btop (\d{1,2})\b", s.reading.text.lower())
    return int(top[1]) if top else None


def exceptions(s: Situation, types: Sequence[str] | None = None) -> Decision:
    """The worklist, or one kind of exception."""
    supplier = s.reading.first("supplier")
    listed = list(types) if types else None
    return use(call("list_exceptions", types=listed, supplier=supplier, limit=_limit(s)))


def stockouts(s: Situation) -> Decision:
    """What is about to run out, within the days that were named."""
    days = horizon(s)
    supplier = s.reading.first("supplier")
    kind = ["projected_stockout"]
    return use(call("list_exceptions", types=kind, supplier=supplier, horizon_days=days))


def pointed_at(s: Situation) -> list[Json]:
    """Lines of the shown recommendations that a message points at: "the first one", "draft 2"."""
    lines = s.history.recommendations()
    written = s.reading.text.lower()
    if not lines or s.items():
        return []
    top = _TOP.search(written)
    if top:
        return lines[: _COUNTS.get(top["count"]) or int(top["count"])]
    for word, index in _ORDINALS.items():
        if re.search(rf"\b{word}\b", written):
            return lines[index : index + 1]
    numbered = _NUMBERED.search(written.rstrip(" .!?"))
    if numbered:
        at = int(numbered["number"] or numbered["digit"])
        return lines[at - 1 : at]
    return []


def pointer(s: Situation) -> tuple[int, int] | None:
    """Where a message points at shown lines with a number, which is then no quantity."""
    written = s.reading.text.lower()
    found = _TOP.search(written) or _NUMBERED.search(written.rstrip(" .!?"))
    return found.span() if found else None


def explain(s: Situation) -> Decision:
    """Why a quantity was recommended."""
    named = s.reading.first("recommendation")
    if named:
        return use(call("explain_recommendation", rec_id=named))
    shown = pointed_at(s)
    if shown and shown[0].get("rec_id"):
        return use(call("explain_recommendation", rec_id=shown[0]["rec_id"]))
    skus = [str(shown[0]["sku"])] if shown else items_of(s)
    if isinstance(skus, Decision):
        lines = s.history.recommendations()
        if s.items() or not lines:
            return skus
        skus = [str(lines[0]["sku"])]
    other = amounts.alternative(s.reading, s.history.quantity_of(skus[0]))
    return use(call("explain_recommendation", sku=skus[0], alternative_quantity=other))


def simulate(s: Situation) -> Decision:
    """One call for each change, and one for all of them together.

    A change for some days only moves no reorder point of today, so the level that holds while it
    lasts is asked for too.
    """
    skus = items_of(s)
    if isinstance(skus, Decision):
        return skus
    changes = _changes(s)
    if not changes:
        return ask(
            "What should change: demand in %, lead time in days, or the service level?",
            s.reading.text,
        )
    variants = list(changes) if len(changes) < 2 else [*changes, _merged(changes)]
    if "start" in changes[0]:
        variants.insert(1, {"demand_change_pct": changes[0]["demand_change_pct"]})
    calls = [call("simulate_scenario", sku=sku, **v) for sku in skus[:2] for v in variants]
    return use(*calls)


def _merged(changes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: value for change in changes for name, value in change.items()}


def _changes(s: Situation) -> list[dict[str, Any]]:
    found = []
    percents = list(s.reading.percents)
    if percents and _LEVEL.search(s.text) and 50 <= abs(percents[-1].value) < 100:
        found.append({"service_level": round(abs(percents.pop().value) / 100, 6)})
    if percents:
        demand: dict[str, Any] = {"demand_change_pct": amounts.number_argument(percents[0].value)}
        period = s.reading.periods[0] if s.reading.periods else None
        if period and period.first and period.last:
            demand |= {"start": period.first.isoformat(), "end": period.last.isoformat()}
        found.insert(0, demand)
    days = _lead_time_change(s)
    if days:
        found.append({"lead_time_change_days": days})
    return found


def _lead_time_change(s: Situation) -> int | None:
    if not _LEAD.search(s.text):
        return None
    days = [int(span.value) for span in s.reading.durations]
    if not days and "lead" in s.text:
        days = [int(q.value) for q in s.reading.quantities if q.value <= 120]
    if not days:
        return None
    return -days[0] if _FASTER.search(s.text) and not _SLOWER.search(s.text) else days[0]


def compare(s: Situation) -> Decision:
    """Suppliers of an item for a quantity; the quantity the talk was about if none is named."""
    skus = items_of(s)
    if isinstance(skus, Decision):
        return skus
    wrong = amounts.impossible(s.reading)
    if wrong is not None:
        return ask(
            f"For how many {skus[0]} shall I compare, above zero?",
            amounts.without(s.reading, wrong),
        )
    named = amounts.quantities(s.reading)
    quantity = int(named[0].value) if named else s.history.quantity_of(skus[0])
    if not quantity:
        return ask(f"For how many {skus[0]} shall I compare?", s.reading.text)
    by = s.reading.periods[0].last if s.reading.periods else None
    need_by = by.isoformat() if by else None
    return use(call("compare_suppliers", sku=skus[0], quantity=quantity, need_by=need_by))


def orders(s: Situation) -> Decision:
    """Purchase orders by state, supplier or item."""
    named = next((state for words, state in _STATES if re.search(words, s.text)), None)
    items = [m.value for m in s.items() if not m.is_ambiguous]
    sku = items[0] if items else None
    supplier = s.reading.first("supplier")
    known = s.history.order()
    if known and not (sku or supplier) and _ONE_ORDER.search(s.text):
        return use(call("list_orders", sku=str(rows(known, "lines")[0].get("sku"))))
    return use(call("list_orders", status=named, supplier=supplier, sku=sku))


def shipment(s: Situation) -> Decision:
    """Where an order or a parcel is."""
    tracking = s.reading.first("tracking")
    if tracking:
        return use(call("check_shipment", tracking=tracking))
    number = s.order_number() or s.history.order_number()
    if number:
        return use(call("check_shipment", po_id=number))
    items = [m.value for m in s.items() if not m.is_ambiguous]
    supplier = s.reading.first("supplier")
    if items or supplier:
        return use(call("list_orders", sku=items[0] if items else None, supplier=supplier))
    return ask(replies.WHICH_ORDER, s.reading.text)


def kpis(s: Situation, names: Sequence[str] | None = None) -> Decision:
    """Key figures over a window of days."""
    found = list(names or [metric for words, metric in _METRICS if re.search(words, s.text)])
    days = int(s.reading.durations[0].value) if s.reading.durations else None
    return use(call("get_kpis", names=found or None, window_days=days))


def accuracy(s: Situation) -> Decision:
    """Accuracy of the forecast: of one item with its forecast, else over all."""
    if s.items():
        return forecast(s)
    return kpis(s, ["forecast_accuracy"])


def find(s: Situation) -> Decision:
    """Items by name."""
    mention: Mention | None = next(iter(s.items()), None)
    query = mention.text if mention else _FIND_WORDS.sub("", s.reading.text.lower()).strip(" ?.!")
    if not query:
        return ask(replies.WHICH_ITEM, s.reading.text)
    return use(call("find_item", query=query[:100]))


def absent(intent: str) -> Callable[[Situation], Decision]:
    """The plan for something that planners ask for and no tool does."""
    return lambda _situation: say("answer", replies.NOT_HERE[intent])
