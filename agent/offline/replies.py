"""Sentences that need no tool: what the model is, what it refuses, what it did not understand."""

from collections.abc import Sequence

from agent.offline.history import History, Json
from agent.offline.phrasing.figures import moment, money, role_name

ABILITIES = {
    "stock": "the stock and cover of an item",
    "forecast": "the demand forecast of an item",
    "reorder_point": "its reorder point and safety stock",
    "recommend": "what needs ordering",
    "exceptions": "today's exceptions",
    "late": "late orders",
    "unconfirmed": "unconfirmed orders",
    "excess": "excess stock",
    "explain": "why a quantity was suggested",
    "simulate": "a what-if on demand, lead time or service level",
    "compare": "the suppliers of an item for a quantity",
    "draft": "drafting a purchase order",
    "revise": "changing a draft",
    "request_approval": "requesting an approval",
    "cancel": "cancelling a draft",
    "orders": "the list of orders",
    "shipment": "where a shipment is",
    "kpis": "the key figures",
    "accuracy": "the forecast accuracy",
    "find": "finding an item by name",
}
NOT_HERE = {
    "promotion": "I cannot record events, overrides or corrections here; I can show a what-if.",
    "scorecard": "There is no supplier scorecard here; I can compare the suppliers of an item for "
    "a quantity, with their on-time rate and lead times.",
    "impact": "I cannot work out which customers or orders a delay affects; I can show the stock "
    "position of an item with its projected stock-out, or a what-if with a longer lead time.",
    "transfer": "I cannot move stock between locations; I can draft purchase orders only.",
    "sales": "I cannot show past sales here. I can forecast the demand of an item, and show its "
    "stock, cover and the past error of its forecast.",
    "suppliers": "I cannot list suppliers here. I can compare the suppliers of an item for a "
    "quantity: name the item and how many.",
    "audit": "I cannot read the audit trail; the audit pages of the portal and the terminal do.",
}
NOT_AVAILABLE = "That is not available in this conversation (no {tool}). Nothing was done."
HELP = (
    "I am the built-in planner of Quartermaster: fixed rules over your data, not a language model. "
    "You can ask me, for example:\n"
    "- what needs ordering today?\n"
    "- stock, forecast or reorder point of an item; at another service level?\n"
    "- why this quantity, and not another?\n"
    "- what if demand doubles, or the supplier slips a week?\n"
    "- compare suppliers for a quantity; where is an order; which orders are late\n"
    "- draft an order, change it, request its approval, cancel it\n"
    "I draft; a person approves. I cannot approve, send or pay, or change limits and master data."
)
GREETING = (
    "Hello. Ask me what needs ordering today, or about an item or an order; say help for more."
)
THANKS = "You are welcome."
OFF_TOPIC = (
    "That is outside what I do. I help with stock, forecasts, purchase orders and shipments; say "
    "help for examples."
)
NOTHING_OFFERED = "I had not offered anything, so I did nothing. What shall I do?"
NOTHING_DONE = "Fine. I drafted and changed nothing."
LIMIT_UNKNOWN = (
    "I show your limit with every draft; there is none in this conversation yet. An administrator "
    "sets it."
)
BAD_LEVEL = (
    "A service level lies above zero and below one hundred percent; I calculated nothing. "
    "At which level?"
)
WHICH_ITEM = "Which item do you mean? A SKU or a name will do."
WHICH_ORDER = "Which order do you mean? Its number will do, such as the PO number."
NO_LIST = "There is no list in this conversation to go on with. What shall I list?"
_LEFT_OUT = "is left out; nothing was drafted or changed."
HOW_MANY = "How many?"
NO_QUANTITY = "Zero or a negative number is no order"
NO_FIGURES = (
    "I would rather not state figures here; `quartermaster item SKU` shows them for an item."
)
_REFUSALS = {
    "limits": "Limits and roles are changed by an administrator, not in chat. I changed nothing.",
    "secrets": "I do not have passwords or keys, and my instructions are the policy that everyone "
    "here can read. I show nothing else.",
    "master": "I cannot change master data in chat: prices, stock and planning parameters come "
    "from your systems, and an administrator corrects them there. I changed nothing.",
    "bulk": "I cancel one order at a time, by its number, and delete nothing. I changed nothing.",
    "money": "I cannot pay, move money or write to anyone. I changed nothing.",
    "instructions": "My rules do not change in chat: I look things up and draft; a person decides "
    "in the approval screen. I changed nothing.",
}
_DECISION = (
    "I cannot approve, release or send an order. Only a decision recorded by the right person in "
    "the approval screen counts; words in chat or on the phone do not."
)


def refuse(kind: str, history: History) -> str:
    """Why something is refused, and who can do it."""
    if kind != "decision":
        return _REFUSALS[kind]
    return " ".join([_DECISION, *_who_decides(history)])


def decline(history: History) -> str:
    """The answer to a "no"."""
    order = history.order()
    if order is None or history.is_cancelled(str(order.get("po_id"))):
        return NOTHING_DONE
    if _pending(history, str(order["po_id"])) is not None:
        return f"Fine. {order['po_id']} still waits for its approval; I changed nothing."
    return f"Fine. {order['po_id']} stays a draft; nothing was sent."


def limit_of(history: History) -> str:
    """The planner's limit, where a draft of this conversation showed it."""
    for call in history.calls():
        approval = call.data.get("approval")
        if isinstance(approval, dict) and approval.get("your_limit") is not None:
            return f"Your limit is {money(approval['your_limit'], call.data.get('currency'))}."
    return LIMIT_UNKNOWN


def leave_out(skus: Sequence[str]) -> str:
    """Say that items are left out of what is drafted next."""
    return "\n".join(f"{sku} {_LEFT_OUT}" for sku in skus)


def left_out(history: History) -> set[str]:
    """Items that were left out since the newest list of recommendations."""
    found: set[str] = set()
    for turn in reversed(history.turns):
        lines = turn.reply.splitlines()
        found |= {line.removesuffix(f" {_LEFT_OUT}") for line in lines if line.endswith(_LEFT_OUT)}
        if any(call.name == "recommend_orders" and call.is_ok for call in turn.calls):
            break
    return found


def not_understood(nearest: list[str]) -> str:
    """Say so, and name the nearest things that can be done."""
    options = [ABILITIES[intent] for intent in nearest if intent in ABILITIES][:3]
    listed = "; ".join(options or [ABILITIES["recommend"], ABILITIES["stock"], ABILITIES["orders"]])
    return f"I did not understand that. The nearest things I can do: {listed}. Say help for more."


def two_readings(first: str, second: str) -> str:
    """Ask which of two things is meant."""
    return f"Did you mean {ABILITIES[first]}, or {ABILITIES[second]}?"


def _pending(history: History, number: str) -> Json | None:
    """The newest request for approval of an order, unless a later change made it void."""
    for call in history.calls():
        if call.data.get("po_id") == number:
            return call.data if call.name == "request_approval" else None
    return None


def _who_decides(history: History) -> list[str]:
    order = history.order()
    if order is None:
        return ["I can show the orders that wait for a decision, or request an approval."]
    number = str(order.get("po_id"))
    total = money(order.get("total"), order.get("currency"))
    pending = _pending(history, number)
    if pending is not None:
        expires = moment(pending.get("expires_at"))
        until = f", until {expires}" if expires else ""
        role = role_name(pending.get("approver_role"))
        return [f"{number} ({total}) waits for {role} ({pending.get('approval_id')}){until}."]
    approval = order.get("approval") or {}
    role = role_name(approval.get("approver_role"))
    limit = money(approval.get("your_limit"), order.get("currency"))
    own = f"; your limit is {limit}" if limit else ""
    return [f"{number} ({total}) needs {role}{own}.", "I can request the approval."]
