"""What the tools answer: JSON-ready dictionaries from advice, without arithmetic of their own."""

from datetime import date
from typing import Any

from tools.offers.core import MOST_LEAD_DAYS
from tools.planning.core.advice import Advice

Json = dict[str, Any]


def heading(advice: Advice) -> Json:
    """Name the item and the place."""
    case = advice.case
    return {"sku": case.sku, "name": case.name, "uom": case.uom, "location": case.location}


def missing_notes(advice: Advice) -> list[str]:
    """Say which basis of a plan is missing or was changed."""
    notes = {
        "no_forecast": "there is no forecast for this item yet",
        "too_little_history": "too few days of sales to plan from",
        "lead_time_capped": f"a lead time above {MOST_LEAD_DAYS:,} days cannot be right: check it",
        "old_forecast": "the forecast is more than a week old",
        "empirical_not_possible": "too few past forecasts to take the safety stock from their "
        f"errors: {advice.inputs['distribution'].replace('_', ' ')} distribution used instead",
        "no_supplier": "nobody sells this item",
        "quoted_lead_time": "the lead time is quoted, not measured",
    }
    found = [text for flag, text in notes.items() if flag in advice.flags]
    return found + list(advice.inputs["set_aside"])


def is_planned(advice: Advice) -> bool:
    """There is a forecast and a supplier, so policy numbers mean something."""
    return advice.case.can_plan and advice.offer is not None


def day(on: date | None) -> str | None:
    """ISO date."""
    return None if on is None else on.isoformat()
