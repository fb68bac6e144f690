"""From an intent that writes to tool calls, behind a gate: a clear imperative, or a question back.

A draft is only a proposal, yet an unasked one is still wrong. So nothing is drafted, changed,
requested or cancelled for a question, under a negation, or on a guess about item or quantity.
"""

import re

from agent.offline import amounts, replies, slots
from agent.offline.guards import is_question
from agent.offline.history import Json, rows
from agent.offline.offers import drafts_of, line_to_draft, recommended
from agent.offline.phrasing.figures import number, title
from agent.offline.reading import Quantity
from agent.offline.situation import Decision, Situation, ask, call, say, use

WRITING = ("draft", "revise", "request_approval", "cancel")
_ALL = re.compile(r"\b(?:all|everything|both|them|those|these|each)\b")
_FEW_SHOWN = "Draft the five that were shown? Say 'show all' to see the others first."
_NONE = re.compile(r"^\S+ (?:me |us )?(?:none|nothing|no (?:units|more))\b")
_RELATIVE = re.compile(r"\b(?:add|more|extra|double|halve|another|fewer|less|top up)\b|\bby xqty\b")
_ORDERS = re.compile(
    r"\b(?:order|ordr|buy|purchase|draft|raise|create|make|write|prepare|place|put|get|bring|take|"
    r"re-?order|restock|replenish|top up|stock up|build|start|generate|issue|set up|new po|po for|"
    r"send|another|go|do|take|choose|need|want|please|pls)\b"
)
_REQUESTS = re.compile(
    r"\b(?:ask|request|submit|send|get|put|forward|route|escalate|resend|re-?request|resubmit|"
    r"start|have|pass|need|want)\b"
)
_AS_IS = re.compile(
    r"^(?:ok |no |please |then |yes |now )*(?:refresh|renew|revise|update) (?:the )?"
    r"(?:draft |order |po )?(?:xorder|it|that|draft|order|po)(?: please)?[ .!]*$"
)
_COSTS = re.compile(r"\b(?:cost|price|how much is|pay)\b")
_BECAUSE = re.compile(r"\b(?:because|since|reason:?|it's for|it is for|for the)\b\s*(?P<why>.*)$")


def gated(intent: str, s: Situation) -> Decision:
    """Plan a write if it was clearly ordered; otherwise do the nearest thing that only reads."""
    if not s.may_write:
        return say("answer", replies.decline(s.history))
    if is_question(s.text):
        return _instead_of(intent, s)
    if intent == "draft" and not _ORDERS.search(s.reading.text.lower()):
        return ask("Shall I draft an order for that?", f"order {s.reading.text}")
    if intent == "request_approval" and not _REQUESTS.search(s.text):
        return say("answer", "Say 'request approval' when I shall; I have requested nothing.")
    return {"draft": draft, "revise": revise, "request_approval": request, "cancel": cancel}[
        intent
    ](s)


def _instead_of(intent: str, s: Situation) -> Decision:
    if intent == "cancel":
        number = s.order_number() or s.history.order_number()
        if number:
            return ask(f"Shall I cancel {number}?", f"cancel {number}")
    if intent == "request_approval":
        return say("answer", "Say 'request approval' when I shall; I have requested nothing.")
    if _COSTS.search(s.text):
        return slots.compare(s)
    if intent == "revise" or (amounts.quantities(s.reading) and s.history.focus()):
        return slots.explain(s)
    return slots.recommend(s)


def draft(s: Situation) -> Decision:
    """Draft a purchase order: lines of the recommendations, or items with quantities."""
    wrong = _impossible(s, "drafted")
    if wrong is not None:
        return wrong
    chosen = _chosen(s)
    if chosen:
        return chosen if isinstance(chosen, Decision) else _drafted_shown(s, chosen)
    named = [m.value for m in s.reading.of_kind("recommendation")]
    if named:
        lines = [line for line in s.history.recommendations() if line.get("rec_id") in named]
        if len(lines) == len(named):
            return _drafted_shown(s, lines)
        return use(*(call("explain_recommendation", rec_id=number) for number in named))
    skus = slots.items_of(s, is_write=True)
    if isinstance(skus, Decision):
        return skus
    if not s.items():
        return _drafted_focus(s, skus[0])
    return _drafted_items(s)


def _impossible(s: Situation, done: str) -> Decision | None:
    """A number that cannot be ordered is asked again: the recommendation never stands in for it."""
    wrong = amounts.impossible(s.reading)
    if wrong is None:
        is_none = _NONE.search(s.text) and not amounts.quantities(s.reading)
        return say("answer", replies.decline(s.history)) if is_none else None
    written = s.reading.text[wrong.start : wrong.end].strip().removesuffix(" of")
    said = f"{written} is not a possible quantity"
    said = replies.NO_QUANTITY if wrong.value <= 0 else said
    request = amounts.without(s.reading, wrong)
    return ask(f"{said}; nothing was {done}. {replies.HOW_MANY}", request)


def _drafted_shown(s: Situation, lines: list[Json]) -> Decision:
    """Lines that were shown, in the quantity that is named, else as recommended."""
    absent = [str(x["sku"]) for x in lines if x.get("sku") in replies.left_out(s.history)]
    if absent:
        return ask(f"You left out {absent[0]}. Draft it anyway?", f"draft {absent[0]}")
    pointing = slots.pointer(s)
    given = [q for q in amounts.quantities(s.reading)
             if pointing is None or not pointing[0] <= q.start < pointing[1]]  # fmt: skip
    if len(given) > 1 or (given and len(lines) > 1 and not amounts.is_each(s.reading)):
        return ask("How many of each? Name each item with its quantity.", s.reading.text)
    amount = _amount(given[0]) if given else {}
    return _drafted_by_supplier(s, lines, amount)


def _drafted_by_supplier(s: Situation, lines: list[Json], amount: Json) -> Decision:
    """One draft for each supplier that was recommended, unless the planner names one."""
    if s.reading.of_kind("supplier"):
        return _drafted(s, [{**line_to_draft(line), **amount} for line in lines])
    parts = [_drafted(s, [{**line, **amount} for line in draft["lines"]], draft.get("supplier"))
             for draft in drafts_of(lines)]  # fmt: skip
    return use(*(made for part in parts for made in part.calls))


def _chosen(s: Situation) -> list[Json] | Decision:
    """Lines of the shown recommendations that are to be drafted; nothing that was not shown."""
    pointed = slots.pointed_at(s)
    every = _ALL.search(s.reading.text.lower())
    if pointed or s.items() or not every:
        return pointed
    lines = s.history.recommendations()
    if every[0] == "both" and len(lines) > 2:
        return ask("Which two do you mean? Name them, one after the other.", "draft")
    if len(lines) > s.history.shown_recommendations():
        return ask(_FEW_SHOWN, f"{s.reading.text.rstrip('.! ')} of the first five")
    absent = replies.left_out(s.history)
    return [line for line in lines if line.get("sku") not in absent]


def _drafted_focus(s: Situation, sku: str) -> Decision:
    """The item the conversation is about: "draft it", "order 500"."""
    found = amounts.quantities(s.reading)
    if found:
        return _drafted(s, [_line(sku, found[0])])
    line = _recommended(s, sku)
    if line is not None:
        return _drafted_by_supplier(s, [line], {})
    return use(call("recommend_orders", sku=sku))


def _drafted_items(s: Situation) -> Decision:
    pairs = amounts.paired(s.reading, s.items())
    if all(quantity is None for _, quantity in pairs):
        return _drafted_recommended(s, [mention.value for mention, _ in pairs])
    lines: list[Json] = []
    for mention, quantity in pairs:
        known = _recommended(s, mention.value)
        if quantity is not None:
            lines.append(_line(mention.value, quantity))
        elif known is not None:
            lines.append(line_to_draft(known))
        else:
            return ask(f"How many {mention.value}?", s.reading.text)
    return _drafted(s, lines)


def _drafted_recommended(s: Situation, skus: list[str]) -> Decision:
    """Items without a quantity: as they were recommended, else what is recommended now."""
    supplier = s.reading.first("supplier")
    shown = [line for line in (_recommended(s, sku) for sku in skus) if line is not None]
    is_from = supplier in (None, *(line.get("supplier_code") for line in shown))
    if len(shown) == len(skus) and is_from:
        return _drafted_by_supplier(s, shown, {})
    wanted = [call("recommend_orders", sku=sku, supplier=supplier) for sku in skus]
    if supplier and len(skus) == 1:
        wanted.append(call("recommend_orders", sku=skus[0]))
    return use(*wanted)


def _recommended(s: Situation, sku: str) -> Json | None:
    return next((line for line in s.history.recommendations() if line.get("sku") == sku), None)


def _line(sku: str, quantity: Quantity) -> Json:
    return {"sku": sku, **_amount(quantity)}


def _amount(quantity: Quantity) -> Json:
    amount: Json = {"quantity": amounts.number_argument(quantity.value)}
    return amount if quantity.unit in (None, "unit") else {**amount, "unit": quantity.unit}


def _drafted(s: Situation, lines: list[Json], seller: str | None = None) -> Decision:
    by = s.reading.periods[-1].last if s.reading.periods else None
    why = _BECAUSE.search(s.reading.text)
    last = s.history.last.calls
    is_again = bool(last) and last[-1].error == "conflict"
    supplier = next(iter(s.reading.of_kind("supplier")), None)
    if supplier is not None and not supplier.is_exact:
        whole = s.reading.text.replace(supplier.text, supplier.value)
        return ask(f"Did you mean the supplier {supplier.value}?", whole)
    return use(
        call(
            "draft_purchase_order",
            lines=lines,
            supplier=supplier.value if supplier else seller,
            ship_to=s.reading.first("location"),
            need_by=by.isoformat() if by else None,
            duplicate_reason=why["why"][:300] if why and is_again else None,
        )
    )


def revise(s: Situation) -> Decision:
    """Change the quantity of a line of an order that is not sent yet."""
    named = s.reading.first("order")
    known = s.history.order()
    if _AS_IS.match(s.text):
        return _refreshed(named, known)
    quantity = _new_quantity(s)
    if _RELATIVE.search(s.text) or (s.reading.percents and quantity is None):
        return ask("To which quantity in total? I do not calculate it.", s.reading.text)
    wrong = _impossible(s, "changed")
    if wrong is not None:
        return wrong
    if known is None or (named and named != known.get("po_id")):
        return _revise_unknown(s, named, quantity)
    sku = _line_to_change(s, known)
    if isinstance(sku, Decision):
        return sku
    if quantity is None:
        return ask(f"To how many {sku}?", s.reading.text)
    changes = [{"sku": sku, "quantity": quantity}]
    number, revision = known["po_id"], known.get("revision")
    return use(call("revise_purchase_order", po_id=number, changes=changes, revision=revision))


def _refreshed(named: str | None, known: Json | None) -> Decision:
    """The next revision without changes: it takes over new prices and supplier data."""
    number = named or (str(known["po_id"]) if known else None)
    if number is None:
        return ask(replies.WHICH_ORDER, "refresh the order")
    return use(call("revise_purchase_order", po_id=number, changes=[]))


def _new_quantity(s: Situation) -> int | None:
    """The last quantity of the message that is not the number of the order."""
    found = amounts.quantities(s.reading)
    return int(found[-1].value) if found else None


def _line_to_change(s: Situation, order: Json) -> str | Decision:
    lines = rows(order, "lines")
    named = slots.items_of(s, is_write=True) if s.items() else [str(x["sku"]) for x in lines]
    if isinstance(named, Decision):
        return named
    if len(named) == 1:
        return named[0]
    return ask(f"Which line: {', '.join(named)}?", s.reading.text)


def _revise_unknown(s: Situation, number: str | None, quantity: int | None) -> Decision:
    """An order that this conversation did not draft, or a recommendation not drafted yet."""
    advised = any(made.name == "recommend_orders" for made in s.history.last.calls)
    if number is None and quantity and advised:
        return _offered_instead(s, quantity)
    if number is None:
        return say("answer", "There is no draft in this conversation that I could change.")
    skus = slots.items_of(s, is_write=True) if s.items() else _listed_skus(s, number)
    if isinstance(skus, Decision):
        return skus
    if len(skus) != 1:
        return ask(f"Which item on {number}?", s.reading.text)
    if quantity is None:
        return ask(f"To how many {skus[0]}?", s.reading.text)
    changes = [{"sku": skus[0], "quantity": quantity}]
    return use(call("revise_purchase_order", po_id=number, changes=changes))


def _listed_skus(s: Situation, number: str) -> list[str]:
    """The items of an order as the newest list of this conversation shows it."""
    for turn in reversed(s.history.turns):
        for made in turn.calls:
            for row in rows(made.data, "orders") if made.name == "list_orders" else []:
                if row.get("po_id") == number and row.get("lines") == len(row.get("skus") or []):
                    return [str(sku) for sku in row["skus"]]
    return []


def _offered_instead(s: Situation, quantity: int) -> Decision:
    """Another quantity than the one that was offered: nothing is drafted before a yes."""
    calls = [made for made in s.history.last.calls if made.name == "recommend_orders"]
    lines = recommended(calls)
    skus = {str(made.arguments["sku"]) for made in calls if "sku" in made.arguments}
    if len(lines) != 1 and len(skus) != 1:
        return ask("Which item shall I draft, and how many?", s.reading.text)
    line = lines[0] if len(lines) == 1 else {"sku": min(skus)}
    question = f"Draft {number(quantity)} of {title(line)}?"
    return ask(question, f"draft {quantity} of {line['sku']}")


def request(s: Situation) -> Decision:
    """Ask the right person for a decision on an order."""
    named = s.order_number()
    known = s.history.order()
    if known is not None and named in (None, known.get("po_id")):
        digest = known.get("digest")
        return use(call("request_approval", po_id=known["po_id"], digest=digest))
    number = named or s.history.order_number()
    if number is None:
        return ask(replies.WHICH_ORDER, s.reading.text)
    return use(call("request_approval", po_id=number))


def cancel(s: Situation) -> Decision:
    """Cancel an order; the planner's own words are the reason."""
    known = s.history.order()
    number = s.order_number() or (str(known["po_id"]) if known else None)
    if number is None and (s.items() or s.reading.first("supplier")):
        return slots.orders(s)
    if number is None:
        return ask(replies.WHICH_ORDER, s.reading.text)
    return use(call("cancel_order", po_id=number, reason=s.history.current.said[:300]))
