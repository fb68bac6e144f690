"""What follows from a result before anything is said: a split order, the named supplier's terms."""

from collections.abc import Sequence

from agent.offline.history import Call, rows
from agent.offline.situation import Request

_NO_COMMON_SELLER = "no single supplier sells"


def next_calls(calls: Sequence[Call]) -> list[Request]:
    """The calls that the results of a turn ask for; each step follows one kind of result once.

    Args:
        calls: The calls of the turn so far, with their results.
    """
    if len(calls) == 1 and calls[0].name == "draft_purchase_order":
        return _one_draft_each(calls[0])
    names = [call.name for call in calls]
    if names == ["recommend_orders", "recommend_orders"]:
        return _named_supplier(*calls)
    return []


def is_replaced(call: Call, calls: Sequence[Call]) -> bool:
    """A refused order for several suppliers that was then drafted line by line."""
    return call is calls[0] and len(calls) > 1 and bool(_one_draft_each(call))


def _one_draft_each(refused: Call) -> list[Request]:
    """One supplier sells not all of it: a draft for each line."""
    lines = refused.arguments.get("lines") or []
    is_split = str(refused.envelope.get("message") or "").startswith(_NO_COMMON_SELLER)
    if refused.is_ok or not is_split or len(lines) < 2:
        return []
    return [Request(refused.name, {**refused.arguments, "lines": [line]}) for line in lines]


def _named_supplier(of_supplier: Call, of_item: Call) -> list[Request]:
    """The named supplier is not the recommended one: what does it ask for this quantity?"""
    if "supplier" not in of_supplier.arguments or "supplier" in of_item.arguments:
        return []
    if rows(of_supplier.data, "lines") or not of_supplier.is_ok:
        return []
    lines = [line for line in rows(of_item.data, "lines") if line.get("quantity")]
    if len(lines) != 1:
        return []
    sku, quantity = lines[0]["sku"], lines[0]["quantity"]
    return [Request("compare_suppliers", {"sku": sku, "quantity": quantity})]
