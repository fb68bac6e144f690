"""Puts the suppliers of an item side by side, and says how each gets its orders.

Offers and lead times are read in ``tools.offers``, below planning.
"""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from db.models.catalog import Item, Supplier
from db.types import Actor, DocumentFormat, Permission, Role
from tools.audit import service as audit
from tools.cases.service import cases, today_of
from tools.catalog.service import resolve_location
from tools.clock import Clock
from tools.company import Company
from tools.errors import Forbidden, InvalidInput, NotFound, Stale
from tools.identity.core import require_key, with_article
from tools.identity.service import actor_by_id
from tools.offers.service import best_offer, exchange_rates, lead_time, offers, reliability
from tools.suppliers.core import (
    SupplierOption,
    Way,
    check_way,
    choice_reason,
    option_view,
    supplier_options,
)

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


def list_suppliers(session: Session) -> list[Supplier]:
    """Return every supplier, by code."""
    return list(session.exec(select(Supplier).order_by(col(Supplier.code))))


def supplier_by_code(session: Session, code: str) -> Supplier:
    """Return a supplier.

    Raises:
        NotFound: There is none of this code; ``details['codes']`` lists those there are.
    """
    found = session.exec(
        select(Supplier).where(Supplier.code == code).execution_options(populate_existing=True)
    ).one_or_none() or _by_any_case(session, code)
    if found is None:
        codes = [one.code for one in list_suppliers(session)][:20]
        raise NotFound(
            f"there is no supplier {code!r}",
            next_step=f"Give a supplier's code: {', '.join(codes) or 'none is loaded yet'}.",
            details={"codes": codes},
        )
    return found


def set_delivery(
    session: Session,
    code: str,
    *,
    way: Way,
    actor: Actor,
    clock: Clock,
    open_to: Collection[str] = (),
) -> Supplier:
    """Say how a supplier gets its orders from now on; requests that are open become stale.

    The way is part of what people approve, so an order that waits for a decision has to be revised
    and asked for again. What was sent, or approved and waits to be sent, goes the way it was
    approved for.

    Args:
        session: The transaction.
        code: The supplier's code.
        way: Channel, address and format.
        actor: Who says so.
        clock: Time.
        open_to: Hosts inside the house that webhooks may call.

    Raises:
        Forbidden: The actor is not an admin, as the database has it now.
        InvalidInput: The channel does not take this address or format.
        NotFound: There is no such supplier.
        Stale: Somebody else changed it meanwhile.
    """
    audit.lock(session)
    role = actor_by_id(session, actor.user_id).role
    if role is not Role.ADMIN:
        raise Forbidden(
            f"{with_article(role)} does not set where orders go",
            next_step="Ask an admin.",
            details={"reason": "role"},
        )
    require_key(actor, Permission.ADMIN)
    check_way(way, open_to=open_to)
    supplier = supplier_by_code(session, code)
    before = Way(supplier.delivery_channel, supplier.delivery_address, supplier.delivery_format)
    if way == before:
        return supplier
    _store_way(session, supplier, before=before, after=way)
    audit.append(
        session, at=clock.now(), actor=actor, action="supplier.delivery_set",
        object_id=supplier.code, before=before.as_json(), after=way.as_json(),
    )  # fmt: skip
    return supplier


def _store_way(session: Session, supplier: Supplier, *, before: Way, after: Way) -> None:
    statement = (
        update(Supplier)
        .where(
            col(Supplier.id) == supplier.id,
            col(Supplier.delivery_channel) == before.channel,
            col(Supplier.delivery_address) == before.address,
            col(Supplier.delivery_format) == before.form,
        )
        .values(
            delivery_channel=after.channel, delivery_address=after.address,
            delivery_format=DocumentFormat(after.form),
        )
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    if session.execute(statement).rowcount != 1:  # type: ignore[attr-defined]
        raise Stale(f"supplier {supplier.code!r} changed meanwhile", next_step="Look again.")
    session.refresh(supplier)


def _by_any_case(session: Session, code: str) -> Supplier | None:
    wanted = code.strip().casefold()
    return next((one for one in list_suppliers(session) if one.code.casefold() == wanted), None)
