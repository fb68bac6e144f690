"""What the tools answer about policies and orders: JSON-ready dictionaries."""

from typing import Any

from tools.money import amount_text
from tools.planning.core.advice import Advice
from tools.planning.core.explanation import alternative
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
    }
    return [
        f"service level {i['service_level']:g} means {meaning[i['measure']]}",
        shapes[i["distribution"]],
        f"lead time from {i['lead_time_source']} data, n={i['lead_time_n']}",
        "continuous review" if i["review_days"] == 0 else f"review every {i['review_days']:g} days",
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
    return _head(recommendation, item, rec_id) | {
        "waterfall": list(recommendation.waterfall),
        "total": sum(term["value"] for term in recommendation.waterfall),
        "inputs": shown,
        "alternatives": [] if asked is None else [alternative_view(i, asked)],
        "flags": list(recommendation.flags),
        "policy_version": i["policy_version"],
    }


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
