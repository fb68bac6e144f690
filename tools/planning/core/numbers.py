"""The numbers behind advice, ready for JSON: policy, stock, offer, and what follows from them."""

import math
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, TypeVar

import numpy as np

from tools.cases.core import Case
from tools.demand.core import OUTLIER_NOTE
from tools.offers.core import LeadTime, Offer
from tools.planning.core.explanation import cover_of
from tools.planning.core.plan import Evaluated, Plan
from tools.planning.core.policies import PolicyNumbers
from tools.planning.core.quantities import NO_LIMIT
from tools.planning.core.tables import MILLION, position_key

EXCESS_COVER_DAYS = 90  # stock beyond the order-up-to level and beyond this cover is excess


T = TypeVar("T", Plan, Evaluated, PolicyNumbers)


def as_lists(results: T) -> T:
    """The results with plain lists as columns: read value by value, these are far quicker."""
    columns = {f.name: getattr(results, f.name) for f in fields(results)}
    plain = {k: v.tolist() for k, v in columns.items() if isinstance(v, np.ndarray)}
    return replace(results, **plain)


@dataclass(frozen=True)
class Row:
    """One case with its row of every result."""

    case: Case
    chosen: tuple[Offer, LeadTime] | None
    index: int
    evaluated: Evaluated
    plan: Plan
    today: date
    rates_micro: dict[str, int]
    bridge_days: float
    review_in: float


def _shortage_cost(row: Row) -> float | None:
    """Margin of a unit in company minor units, else its sales value; None without a rate."""
    if row.case.currency not in row.rates_micro:
        return None
    money = row.case.unit_margin_minor or row.case.unit_value_minor
    return round(money * row.rates_micro[row.case.currency] / MILLION, 4)


def unrated(row: Row) -> list[str]:
    """Currencies of the item and its offer that have no exchange rate."""
    used = {row.case.currency} | (set() if row.chosen is None else {row.chosen[0].currency})
    return sorted(used - row.rates_micro.keys())


def numbers_of(
    row: Row, quantity: int, stockout: float | None, arrival: int | None
) -> dict[str, Any]:
    """All numbers behind the advice for a row (``Advice.inputs``)."""
    numbers = _policy_inputs(row) | _stock_inputs(row) | _offer_inputs(row, quantity)
    mean = float(row.evaluated.demand_mean[row.index])
    position, point = numbers["netted_position"], numbers["reorder_point"]
    numbers |= {
        "demand_per_day": round(mean, 3),
        "need": int(row.plan.need[row.index]),
        "rounded": int(row.plan.rounded[row.index]),
        "stockout_in_days": stockout,
        "arrival_in_days": arrival,
        "lowest_balance": math.floor(row.plan.lowest_balance[row.index]),
        "days_of_cover": round(numbers["available"] / mean, 1) if mean > 0 else None,
        "next_order_in_days": round(max(position - point, 0) / mean, 1) if mean > 0 else None,
        "value_at_risk_units": math.ceil(row.plan.expected_short[row.index]),
        "excess": _excess(row, mean),
        "unrated": unrated(row),
        "is_value_known": row.case.currency in row.rates_micro,
    }
    numbers["cover_after_order"] = cover_of(numbers, quantity)
    return numbers


def _excess(row: Row, mean: float) -> int:
    position = row.case.position
    held = position.available_units + position.on_order_units + position.drafted_units
    enough = max(int(row.plan.order_up_to[row.index]), math.ceil(mean * EXCESS_COVER_DAYS))
    return max(0, held - enough) if row.case.can_plan else 0


def _policy_inputs(row: Row) -> dict[str, Any]:
    settings, outlook, i = row.case.settings, row.case.outlook, row.index
    lead_time = None if row.chosen is None else row.chosen[1]
    days = float(row.evaluated.window_days[i])
    numbers = row.evaluated.numbers
    return {
        "service_level": round(float(row.evaluated.service_rate[i]), 4),
        "rule": settings.rule.value,
        "lot": int(row.evaluated.lot[i]),
        "bridge_days": float(row.bridge_days),
        "bridge_demand": _bridge_demand(row),
        "waits_days": float(row.review_in) if row.plan.is_waiting[i] else 0.0,
        "cap": str(row.plan.cap[i]),
        "measure": settings.measure.value,
        "method": settings.method.value,
        "distribution": str(numbers.distribution[i]),
        "review_days": settings.review_days,
        "cover_days": settings.cover_days,
        "window_days": round(days, 2),
        "lead_time_days": None if lead_time is None else round(lead_time.mean_days, 2),
        "lead_time_sd": None if lead_time is None else round(lead_time.sd_days, 2),
        "lead_time_n": None if lead_time is None else lead_time.count,
        "lead_time_source": None if lead_time is None else lead_time.source,
        "demand_sd": round(_daily_sd(row), 3),
        "sigma_ltd": round(float(numbers.sigma_ltd[i]), 2),
        "lead_time_demand": int(row.plan.lead_demand[i]),
        "safety_stock": int(row.plan.safety_stock[i]),
        "reorder_point": int(numbers.reorder_point[i]),
        "order_up_to": int(row.plan.order_up_to[i]),
        "policy_version": settings.label,
        "forecast_source": "no forecast" if outlook is None else f"forecast {outlook.forecast_id}",
        "forecast_run": None if outlook is None else outlook.run_id,
        "demand_class": None if outlook is None else outlook.demand_class.value,
        "model": None if outlook is None else outlook.model,
        "adi": None if outlook is None else outlook.adi,
        "set_aside": []
        if outlook is None
        else [note for note in outlook.warnings if note.startswith(OUTLIER_NOTE)],
    }


def _bridge_demand(row: Row) -> int:
    """Demand of the bridged days: their share of the window's."""
    days = float(row.evaluated.window_days[row.index])
    if row.bridge_days <= 0 or days <= 0:
        return 0
    return round(int(row.plan.lead_demand[row.index]) * row.bridge_days / days)


def is_optimised(row: Row) -> bool:
    """The service level was weighed from holding and shortage cost."""
    settings = row.case.settings
    return (
        settings.is_service_rate_optimised
        and row.case.has_demand
        and row.case.unit_margin_minor > 0
    )


def _daily_sd(row: Row) -> float:
    """Forecast error of a day: the window's spread without the lead time's part."""
    i = row.index
    days = float(row.evaluated.window_days[i])
    if days <= 0:
        return 0.0
    lead_part = float(row.evaluated.demand_mean[i]) * (row.chosen[1].sd_days if row.chosen else 0.0)
    total = float(row.evaluated.numbers.sigma_ltd[i]) ** 2 - lead_part**2
    return math.sqrt(max(total, 0.0) / days)


def _stock_inputs(row: Row) -> dict[str, Any]:
    position = row.case.position
    return {
        "on_hand": position.on_hand_units,
        "quarantined": position.quarantined_units,
        "expiring": position.expiring_units,
        "unusable": position.quarantined_units + position.expiring_units,
        "allocated": position.allocated_units,
        "backordered": position.backordered_units,
        "inbound_transfers": position.inbound_transfer_units,
        "available": position.available_units,
        "on_order": position.on_order_units,
        "drafted": position.drafted_units,
        "inventory_position": position.inventory_position_units,
        "netted_position": position.netted_position_units,
        "orders": sorted({receipt.number for receipt in position.receipts}),
        "drafts": sorted({draft.number for draft in position.drafts}),
        "location": row.case.location,
        "stock_source": f"stock {row.case.location}",
        "position_key": position_key(position),
    }


def _offer_inputs(row: Row, quantity: int) -> dict[str, Any]:
    offer = Offer(0, 0, "", "", row.case.currency, 0) if row.chosen is None else row.chosen[0]
    price, limit = int(row.plan.price[row.index]), int(row.plan.limit[row.index])
    return {
        "supplier": offer.supplier_name or None,
        "supplier_code": offer.supplier_code or None,
        "moq": offer.moq_units,
        "min_order_value_minor": offer.min_order_value_minor,
        "order_limit": limit if limit < NO_LIMIT else None,
        "shortage_cost_minor": _shortage_cost(row),
        "order_multiple": offer.step_units,
        "max_units": offer.max_units,
        "pack_uom": offer.pack_uom,
        "pack_units": offer.pack_units,
        "price_steps": [[0, offer.unit_price_minor], *([a, b] for a, b in offer.breaks)],
        "unit_price_minor": price,
        "amount_minor": price * quantity,
        "currency": offer.currency,
    }
