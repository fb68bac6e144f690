"""Sentences under the morning list: minimum order values and a budget."""

from api.rendering import Data, money, units

CUTS_SHOWN = 5


def purchase_notes(orders: Data) -> list[str]:
    """Say what becomes of orders below a supplier's minimum, and what a budget buys."""
    return [*_joint_orders(orders), *_budget(orders)]


def _joint_orders(orders: Data) -> list[str]:
    """Orders below a supplier's minimum, each with what to do and why."""
    answer = []
    for joint in orders.get("joint_orders", []):
        lines = [f"{units(line['quantity'])} {line['sku']}" for line in joint["lines"]]
        filled = f" ({', '.join(lines)})" if joint["decision"] == "raise" else ""
        answer.append(f"{joint['supplier']}: {joint['reason']}{filled}.")
    return answer


def _budget(orders: Data) -> list[str]:
    """What a budget buys, and what its cuts risk."""
    found = orders.get("budget")
    if found is None:
        return []
    text = f"A budget of {money(found['budget'], orders['currency'])} buys "
    text += f"{money(found['spent'], orders['currency'])} of the list"
    cuts = [
        f"{line['sku']} {units(line['quantity'])} instead of {units(line['wanted'])}"
        for line in found["cut"][:CUTS_SHOWN]
    ]
    if not cuts:
        return [f"{text}: all of it."]
    risk = money(found["risk_of_cuts"], orders["currency"])
    more = len(found["cut"]) - len(cuts)
    also = f" and {units(more)} more" if more else ""
    return [f"{text}. Cut: {', '.join(cuts)}{also}; expected shortage cost of the cuts {risk}."]
