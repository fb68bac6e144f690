"""What the tools answer about policies and orders: JSON-ready dictionaries."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tools.money import amount_text
from tools.planning.core.advice import Advice
from tools.planning.core.budget import within_budget
from tools.planning.core.explanation import alternative
from tools.planning.core.joint_orders import Joint, joint_orders
from tools.planning.core.purchase import budget_lines, joint_lines
from tools.planning.core.views import Json, day, heading


def policy_view(advice: Advice) -> Json:
    """Reorder point, safety stock and what they rest on."""
    i = advice.inputs
    return heading(advice) | {
        "reorder_point": i["reorder_point"],
        "safety_stock": i["safety_stock"],
        "order_up_to": i["order_up_to"],
        "sigma_ltd": i["sigma_ltd"],
        "service_level": i["service_level"],
        "measure": i["measure"],
        "method": i["method"],
        "distribution": i["distribution"],
        "lead_time": {
            "mean": i["lead_time_days"],
            "sd": i["lead_time_sd"],
            "n": i["lead_time_n"],
            "source": i["lead_time_source"],
        },
        "supplier": i["supplier"],
        "demand_mean": i["demand_per_day"],
        "demand_sd": i["demand_sd"],
        "rule": i["rule"],
        "review_days": i["review_days"],
        "cover_days": i["cover_days"],
        "inventory_position": i["inventory_position"],
        "terms": [
            {
                "label": f"demand over {i['window_days']:g} days",
                "value": i["lead_time_demand"],
            },
            {"label": "safety stock", "value": i["safety_stock"]},
            {"label": "reorder point", "value": i["reorder_point"]},
        ],
        "assumptions": _assumptions(i),
    }


_BRIDGED = "{:g} closed days of the supplier bridged"


def _assumptions(i: Json) -> list[str]:
    meaning = {
        "cycle": "no stock-out in an order cycle with this probability",
        "fill_rate": "this share of demand served from stock",
    }
    shapes = {
        "normal": "normal forecast errors",
        "poisson": "slow demand: Poisson distribution",
        "negative_binomial": "slow or intermittent demand: negative binomial distribution",
        "empirical": "past errors of the lead-time total",
        "levels": "levels found on past demand, as high as their holding cost is worth",
    }
    return [
        f"service level {i['service_level']:g} means {meaning[i['measure']]}",
        shapes[i["distribution"]],
        f"lead time from {i['lead_time_source']} data, n={i['lead_time_n']}",
        "continuous review" if i["review_days"] == 0 else f"review every {i['review_days']:g} days",
        *([_BRIDGED.format(i["bridge_days"])] if i["bridge_days"] else []),
    ]


def _head(recommendation: Any, item: Any, rec_id: str | None) -> Json:
    """What is recommended: the same on the list and in the explanation."""
    return {
        "rec_id": rec_id,
        "action": recommendation.action.value,
        "sku": item.sku,
        "name": item.name,
        "location": recommendation.inputs.get("location"),
        "quantity": recommendation.order_units,
        "uom": item.uom,
        "supplier": recommendation.inputs["supplier"],
    }


def line_view(recommendation: Any, item: Any, rec_id: str | None, *, company_currency: str) -> Json:
    """One line of the order list, from a stored or fresh recommendation."""
    i = recommendation.inputs
    return _head(recommendation, item, rec_id) | {
        "supplier_code": i["supplier_code"],
        "unit_price": amount_text(recommendation.unit_price_minor, recommendation.currency),
        "amount": amount_text(recommendation.amount_minor, recommendation.currency),
        "currency": recommendation.currency,
        "need_by": day(recommendation.need_by_on),
        "latest_order_date": day(recommendation.latest_order_on),
        "days_of_cover": recommendation.days_of_cover,
        "cover_after_order": i["cover_after_order"],
        "inventory_position": recommendation.inventory_position_units,
        "reorder_point": recommendation.reorder_point_units,
        "stockout_in_days": i["stockout_in_days"],
        "arrival_in_days": i["arrival_in_days"],
        "severity": recommendation.severity,
        "value_at_risk": amount_text(recommendation.value_at_risk_minor, company_currency)
        if i.get("is_value_known", True)
        else None,
        "flags": list(recommendation.flags),
    }


_INPUTS = (
    "demand_per_day", "lead_time_days", "cover_days", "lead_time_demand", "safety_stock",
    "reorder_point", "order_up_to", "on_hand", "allocated", "on_order", "inventory_position",
    "need", "moq", "order_multiple", "pack_uom", "pack_units", "cover_after_order", "orders",
    "service_level", "stockout_in_days", "arrival_in_days", "next_order_in_days",
)  # fmt: skip


def explanation_view(
    recommendation: Any, item: Any, rec_id: str | None, *, asked: int | None
) -> Json:
    """Why a quantity: terms that sum to it, inputs, and what another quantity would mean."""
    i = recommendation.inputs
    shown = {name: i[name] for name in _INPUTS} | {
        "unit_price": amount_text(recommendation.unit_price_minor, recommendation.currency),
        "amount": amount_text(recommendation.amount_minor, recommendation.currency),
        "currency": recommendation.currency,
        "price_breaks": [
            {"quantity": least, "unit_price": amount_text(price, recommendation.currency)}
            for least, price in i["price_steps"]
        ],
    }
    if not _is_plain(i):
        shown["need"] = None  # the waterfall tells it, term by term
    return _head(recommendation, item, rec_id) | {
        "waterfall": list(recommendation.waterfall),
        "total": sum(term["value"] for term in recommendation.waterfall),
        "inputs": shown,
        "alternatives": [] if asked is None else [alternative_view(i, asked)],
        "flags": list(recommendation.flags),
        "policy_version": i["policy_version"],
    }


def _is_plain(inputs: Json) -> bool:
    """Demand, safety stock and cover less the position are the need: no other term."""
    other = inputs.get("bridge_days") or inputs.get("waits_days")
    is_given = inputs.get("distribution") == "levels"
    return inputs.get("rule", "s_S") == "s_S" and not other and not is_given


def alternative_view(inputs: Json, asked: int) -> Json:
    """Another quantity, in money strings."""
    other = alternative(inputs, asked)
    price, amount = other.pop("unit_price_minor"), other.pop("amount_minor")
    return other | {
        "pack_uom": inputs["pack_uom"],
        "unit_price": amount_text(price, inputs["currency"]),
        "amount": amount_text(amount, inputs["currency"]),
        "currency": inputs["currency"],
    }


def budget_view(
    lines: Sequence[tuple[Any, Any]],
    budget_minor: int,
    *,
    rates_micro: Mapping[str, int],
    company_currency: str,
) -> Json:
    """What a budget buys of the lines, what is cut, and the shortage cost that this risks.

    Args:
        lines: Recommendations that buy something, with their items.
        budget_minor: Company minor units.
        rates_micro: Company currency per unit of each currency, in millionths.
        company_currency: ISO code.
    """

    def text(minor: float) -> str:
        return amount_text(round(minor), company_currency)

    if not lines:
        return {"budget": text(budget_minor), "spent": text(0), "cut": [], "risk_of_cuts": text(0)}
    found = within_budget(budget_lines([row for row, _ in lines], rates_micro), budget_minor)
    return {
        "budget": text(budget_minor),
        "wanted": text(float(sum(_company_amount(row, rates_micro) for row, _ in lines))),
        "spent": text(float(found.cost.sum())),
        "currency": company_currency,
        "lines": [
            {"sku": item.sku, "location": row.inputs.get("location"), "quantity": int(bought)}
            for (row, item), bought in zip(lines, found.quantity, strict=True)
            if bought > 0
        ],
        "cut": [
            {
                "sku": lines[k][1].sku,
                "location": lines[k][0].inputs.get("location"),
                "wanted": lines[k][0].order_units,
                "quantity": int(found.quantity[k]),
                "shortage_cost_risked": text(float(found.risk_added[k])),
            }
            for k in np.lexsort((-found.risk_added,))
            if found.cut_units[k] > 0
        ],
        "risk_of_cuts": text(float(found.risk_added.sum())),
    }


def _company_amount(row: Any, rates_micro: Mapping[str, int]) -> float:
    return float(row.amount_minor) * rates_micro.get(row.currency, 1_000_000) / 1_000_000


def joint_views(rows: Sequence[tuple[Any, Any]]) -> list[Json]:
    """Orders below their supplier's minimum: filled up, held back or left, each with the reason.

    Args:
        rows: All current recommendations with their items, also those that buy nothing.
    """
    sold = [pair for pair in rows if (pair[0].inputs.get("min_order_value_minor") or 0) > 0]
    if not sold:
        return []
    keys = [(row.supplier_id, row.location_id, row.currency) for row, _ in sold]
    names = sorted(set(keys))
    group = np.array([names.index(key) for key in keys], dtype=np.int64)
    minimum = np.zeros(len(names), dtype=np.int64)
    for (row, _), number in zip(sold, group, strict=True):
        minimum[number] = row.inputs["min_order_value_minor"]
    found = joint_orders(joint_lines([row for row, _ in sold], group), minimum)
    return [
        _joint_view(
            [(*sold[k], int(found.quantity[k])) for k in np.flatnonzero(group == number)],
            Joint(found.decision[number]),
            advised=int(found.advised_value[number]),
            value=int(found.value[number]),
            minimum=int(minimum[number]),
        )
        for number in range(len(names))
        if found.decision[number] != Joint.ORDER
    ]


_REASONS = {
    Joint.RAISE: "worth {advised}, below the supplier's minimum of {minimum}, and urgent: filled "
    "up with what is due next",
    Joint.WAIT: "worth {advised}, below the supplier's minimum of {minimum}, and nothing runs out "
    "before the next order could arrive: wait",
    Joint.BELOW_MINIMUM: "worth {advised}, below the supplier's minimum of {minimum} even with "
    "what is due next, but urgent: ask the supplier, or buy elsewhere",
}


def _joint_view(
    lines: Sequence[tuple[Any, Any, int]],
    decision: Joint,
    *,
    advised: int,
    value: int,
    minimum: int,
) -> Json:
    first = lines[0][0]
    texts = {
        name: f"{amount_text(minor, first.currency)} {first.currency}"
        for name, minor in {"advised": advised, "minimum": minimum}.items()
    }
    return {
        "supplier": first.inputs["supplier"],
        "location": first.inputs.get("location"),
        "decision": decision.value,
        "reason": _REASONS[decision].format(**texts),
        "advised_amount": amount_text(advised, first.currency),
        "amount": amount_text(value, first.currency),
        "minimum": amount_text(minimum, first.currency),
        "currency": first.currency,
        "lines": [
            {"sku": item.sku, "advised": row.order_units, "quantity": quantity}
            for row, item, quantity in lines
            if row.order_units or quantity
        ],
    }
