"""Puts the suppliers of an item side by side.

Offers and lead times are read in ``tools.offers``, below planning.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlmodel import Session

from db.models.catalog import Item
from tools.cases.service import cases, today_of
from tools.catalog.service import resolve_location
from tools.clock import Clock
from tools.company import Company
from tools.errors import InvalidInput, NotFound
from tools.offers.service import best_offer, exchange_rates, lead_time, offers, reliability
from tools.suppliers.core import SupplierOption, choice_reason, option_view, supplier_options

__all__ = ["best_offer", "compare_offers", "lead_time", "offers"]


def compare_offers(
    session: Session,
    item: Item,
    quantity: int,
    need_by: str | None,
    *,
    clock: Clock,
    company: Company,
) -> dict[str, Any]:
    """Compare who sells an item: landed cost, arrival, reliability, and who is recommended.

    Raises:
        InvalidInput: ``need_by`` is not a date of today or later.
        NotFound: Nobody sells the item.
    """
    today = today_of(clock, company)
    wanted = None if need_by is None else _date(need_by, today)
    place = resolve_location(session, None)
    case = cases(session, today, [item.id], place.id)[0]
    options = supplier_options(
        case, quantity=quantity, need_by=wanted, today=today,
        rates_micro=exchange_rates(session, company), carrying_rate=company.carrying_rate,
    )  # fmt: skip
    if not options:
        raise NotFound(
            f"nobody sells {item.sku!r}", next_step="Load a supplier file with its terms."
        )
    best = options[0]
    return {
        "sku": item.sku,
        "name": item.name,
        "quantity": quantity,
        "uom": item.uom,
        "options": _shown(session, options, company.currency),
        "recommended": best.offer.supplier_name if best.is_feasible else None,
        "why": choice_reason(options, company.currency),
    }


def _shown(
    session: Session, options: Sequence[SupplierOption], currency: str
) -> list[dict[str, Any]]:
    records = reliability(session, [option.offer.supplier_id for option in options])
    return [
        option_view(
            option,
            otif=records[option.offer.supplier_id].otif,
            note=records[option.offer.supplier_id].note,
            currency=currency,
        )
        for option in options
    ]


def _date(text: str, today: date) -> date:
    try:
        wanted = date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"need_by must be a date such as 2026-05-02, got {text!r}") from None
    if wanted < today:
        raise InvalidInput(f"need_by {text!r} has passed; today is {today.isoformat()}")
    return wanted
