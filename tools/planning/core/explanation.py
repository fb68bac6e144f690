"""Why this quantity: terms that add up exactly, and what another quantity would mean."""

from collections.abc import Mapping, Sequence
from typing import Any

from db.types import ReplenishmentRule
from tools.planning.core.caps import LABELS
from tools.planning.core.quantities import NO_LIMIT, order_quantity, packs_for_units

Term = dict[str, Any]


def waterfall(inputs: Mapping[str, Any], *, quantity: int) -> list[Term]:
    """Terms from the forecast to the order quantity; their values sum to ``quantity`` exactly.

    Args:
        inputs: Numbers behind a recommendation (``Advice.inputs``).
        quantity: Units that are ordered.

    Returns:
        ``{"label", "value", "source"}``, in the order in which a planner adds them; zero terms
        are left out, except the forecast and the safety stock.
    """
    cover = inputs["order_up_to"] - inputs["reorder_point"]
    bridged = inputs["bridge_demand"]
    terms = [
        _term(f"forecast over {inputs['window_days'] - inputs['bridge_days']:g} days",
              inputs["lead_time_demand"] - bridged, inputs["forecast_source"]),
        _term("safety stock", inputs["safety_stock"], inputs["policy_version"]),
        _term(f"{inputs['bridge_days']:g} closed days of the supplier bridged", bridged,
              inputs["supplier"] or ""),
        _term(_cover_label(inputs), cover, inputs["policy_version"]),
        _term("on hand", -inputs["on_hand"], inputs["stock_source"]),
        _term("quarantined or expiring", inputs["unusable"], inputs["stock_source"]),
        _term("allocated", inputs["allocated"], inputs["stock_source"]),
        _term("backordered", inputs["backordered"], inputs["stock_source"]),
        _term("inbound transfers", -inputs["inbound_transfers"], inputs["stock_source"]),
        _term("on order", -inputs["on_order"], ", ".join(inputs["orders"])),
        _term("own drafts", -inputs["drafted"], ", ".join(inputs["drafts"])),
    ]  # fmt: skip
    gap = inputs["order_up_to"] - inputs["netted_position"]
    if quantity == 0 and inputs["need"] == 0:
        terms.append(_term(_nothing_label(inputs), -gap, inputs["policy_version"]))
    else:
        lots = inputs["need"] - gap  # 0 unless the rule is lots of Q
        terms.append(_term("whole lots above the reorder point", lots, inputs["policy_version"]))
        rounding = inputs["rounded"] - inputs["need"]
        terms.append(_term(_rounding_label(inputs), rounding, inputs["supplier"] or ""))
        raised = quantity - inputs["rounded"]
        terms.append(_term("raised to the price break", raised, inputs["supplier"] or ""))
    always = 2
    return [t for index, t in enumerate(terms) if index < always or t["value"] != 0]


def _term(label: str, value: int, source: str) -> Term:
    return {"label": label, "value": int(value), "source": source}


def _cover_label(inputs: Mapping[str, Any]) -> str:
    if inputs["rule"] == ReplenishmentRule.LOTS.value:
        return f"a lot of {inputs['lot']:,}"
    if inputs["distribution"] == "levels":
        return "order quantity of the level"
    return f"cover of {inputs['cover_days']:g} days"


def _nothing_label(inputs: Mapping[str, Any]) -> str:
    if inputs["supplier"] is None:
        return "not bought, nothing to order"
    if inputs["waits_days"]:
        return f"waits for the review in {inputs['waits_days']:g} days, nothing to order"
    return "position above the reorder point, nothing to order"


def _rounding_label(inputs: Mapping[str, Any]) -> str:
    if inputs["rounded"] < inputs["need"]:
        return LABELS[inputs["cap"]]
    is_minimum = inputs["moq"] > inputs["need"]
    multiple = f"multiples of {inputs['order_multiple']:,}"
    return (
        f"minimum order {inputs['moq']:,}, {multiple}" if is_minimum else f"rounding to {multiple}"
    )


def alternative(inputs: Mapping[str, Any], asked: int) -> Term:
    """What ordering ``asked`` units would mean: rounded quantity, packs, price, cover.

    ``cover_days`` counts days above the reorder point, as for the recommended quantity.
    """
    limit = inputs["max_units"]
    quantity = order_quantity(
        asked, moq=inputs["moq"], multiple=inputs["order_multiple"], limit=limit
    )
    price = price_of(inputs, quantity)
    packs = packs_for_units(quantity, inputs["pack_units"])
    return {
        "asked": asked,
        "quantity": quantity,
        "packs": packs.packs,
        "unit_price_minor": price,
        "amount_minor": price * quantity,
        "cover_days": cover_of(inputs, quantity),
        "note": _note(inputs, asked, quantity, limit or NO_LIMIT),
    }


def price_of(inputs: Mapping[str, Any], quantity: int) -> int:
    """Unit price for a quantity from the price steps kept with a recommendation."""
    steps: Sequence[Sequence[int]] = inputs["price_steps"]
    reached = [price for least, price in steps if quantity >= least]
    return int(reached[-1])


def cover_of(inputs: Mapping[str, Any], quantity: int) -> float | None:
    """Days above the reorder point after an order of ``quantity``, one decimal."""
    above = inputs["netted_position"] + quantity - inputs["reorder_point"]
    mean = float(inputs["demand_per_day"])
    return round(above / mean, 1) if mean > 0 else None


def _note(inputs: Mapping[str, Any], asked: int, quantity: int, limit: int) -> str:
    parts = []
    if quantity > asked:
        parts.append(f"rounded up from {asked:,}")
    elif quantity < asked:
        parts.append(f"at most {limit:,} can be ordered")
    if quantity < inputs["need"]:
        parts.append(f"{inputs['need'] - quantity:,} below the need")
    later = [step for step in inputs["price_steps"] if step[0] <= quantity]
    if len(later) > 1:
        parts.append(f"from {later[-1][0]:,} on the unit price is {later[-1][1] / 100:.2f}")
    return "; ".join(parts)
