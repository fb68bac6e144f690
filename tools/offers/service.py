"""Reads offers, prices, receipts and exchange rates."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlmodel import Session, col, select

from db.models.catalog import ExchangeRate, PriceBreak, Supplier, SupplierItem
from db.models.purchasing import Receipt
from db.types import Actor
from tools.audit import service as audit
from tools.clock import Clock
from tools.company import Company
from tools.errors import InvalidInput
from tools.identity.service import require_admin
from tools.money import minor_rate
from tools.offers.core import (
    NO_DELIVERIES,
    SPREAD_NEEDS,
    Delivery,
    DeliveryStats,
    LeadTime,
    Offer,
    OnTimeInFull,
    delivery_stats,
    on_time_in_full,
    quoted_calendar_days,
)
from tools.offers.core import lead_time as lead_time_of
from tools.positions.service import stands


def offers(session: Session, item_id: int) -> list[Offer]:
    """Return every supplier's terms for an item, preferred first."""
    return offers_by_item(session, [item_id]).get(item_id, [])


def offers_by_item(
    session: Session, item_ids: Iterable[int] | None = None
) -> dict[int, list[Offer]]:
    """Return all offers by item: two queries for any number of items."""
    wanted = None if item_ids is None else list(item_ids)
    steps = _price_breaks(session, wanted)
    statement = select(SupplierItem, Supplier).join(
        Supplier, col(Supplier.id) == col(SupplierItem.supplier_id)
    )
    if wanted is not None:
        statement = statement.where(col(SupplierItem.item_id).in_(wanted))
    statement = statement.order_by(col(SupplierItem.is_preferred).desc(), col(Supplier.code))
    found: dict[int, list[Offer]] = {}
    for terms, supplier in session.exec(statement):
        offer = _offer(terms, supplier, tuple(steps.get(terms.id, ())))
        found.setdefault(terms.item_id, []).append(offer)
    return found


def best_offer(session: Session, item_id: int) -> Offer | None:
    """Return the preferred usable offer, else the cheapest; None when nobody sells the item."""
    usable = [offer for offer in offers(session, item_id) if offer.is_usable]
    return min(usable, key=lambda o: (not o.is_preferred, o.unit_price_minor), default=None)


def lead_time(session: Session, supplier_id: int, item_id: int) -> LeadTime:
    """Return the lead time of a supplier for an item, from receipts or as quoted."""
    quoted = next((o for o in offers(session, item_id) if o.supplier_id == supplier_id), None)
    history = DeliveryHistory(session, [supplier_id])
    days = 0.0 if quoted is None else quoted_calendar_days(quoted)
    return history.lead_time(supplier_id, item_id, days)


def offer_lead_time(history: "DeliveryHistory", offer: Offer) -> LeadTime:
    """Return the lead time behind an offer."""
    return history.lead_time(offer.supplier_id, offer.item_id, quoted_calendar_days(offer))


@dataclass(frozen=True)
class SupplierRecord:
    """What is known about how a supplier delivers."""

    otif: OnTimeInFull
    note: str


def reliability(session: Session, supplier_ids: Iterable[int]) -> dict[int, SupplierRecord]:
    """Return OTIF and notes of suppliers."""
    wanted = list(supplier_ids)
    history = DeliveryHistory(session, wanted)
    notes = session.execute(select(Supplier.id, Supplier.notes).where(col(Supplier.id).in_(wanted)))
    return {
        supplier_id: SupplierRecord(on_time_in_full(history.of_supplier(supplier_id)), note)
        for supplier_id, note in notes
    }


def exchange_rates(session: Session, company: Company) -> dict[str, int]:
    """Return company minor units for one minor unit of each currency, in millionths."""
    rates = {
        rate.currency: minor_rate(
            rate.rate_micro, currency=rate.currency, company_currency=company.currency
        )
        for rate in session.exec(select(ExchangeRate))
    }
    return rates | {company.currency: 1_000_000}


def set_exchange_rate(
    session: Session,
    currency: str,
    worth: Decimal,
    *,
    company: Company,
    clock: Clock,
    by: Actor | None = None,
) -> None:
    """Record what one unit of a currency is worth in company currency.

    Raises:
        InvalidInput: The currency is not three capital letters or the company's own, or the rate
            is not between a millionth and a million.
        Forbidden: ``by`` is no admin: a rate decides who may approve an order.
    """
    if re.fullmatch("[A-Z]{3}", currency) is None or currency == company.currency:
        raise InvalidInput(f"a foreign currency has three capital letters, got {currency!r}")
    if not worth.is_finite() or not Decimal("0.000001") <= worth <= 1_000_000:
        raise InvalidInput(f"a rate lies between a millionth and a million, got {str(worth)!r}")
    audit.lock(session)
    who = require_admin(session, by)
    row = session.get(ExchangeRate, currency, populate_existing=True)
    before = {} if row is None else {"rate_micro": row.rate_micro}
    micro = int((worth * 1_000_000).to_integral_value())
    session.merge(ExchangeRate(currency=currency, rate_micro=micro, updated_at=clock.now()))
    audit.append(
        session, at=clock.now(), actor=who, action="exchange_rate.set",
        object_id=currency, before=before, after={"rate_micro": micro},
    )  # fmt: skip
    session.flush()


class DeliveryHistory:
    """Receipts in memory, grouped by supplier and item; all suppliers are read only if needed."""

    def __init__(self, session: Session, supplier_ids: Iterable[int] | None = None) -> None:
        self._session = session
        self._all_loaded = supplier_ids is None
        self._by_supplier: dict[int, list[Delivery]] = {}
        self._by_item: dict[tuple[int, int], list[Delivery]] = {}
        self._everywhere: DeliveryStats | None = None
        self._stats: dict[int, DeliveryStats] = {}
        for supplier_id, item_id, delivery in _deliveries(session, supplier_ids):
            self._by_supplier.setdefault(supplier_id, []).append(delivery)
            if item_id is not None:
                self._by_item.setdefault((supplier_id, item_id), []).append(delivery)

    def of_supplier(self, supplier_id: int) -> list[Delivery]:
        """Return the supplier's deliveries of all items."""
        return self._by_supplier.get(supplier_id, [])

    def lead_time(self, supplier_id: int, item_id: int, quoted_days: float) -> LeadTime:
        """Return the lead time of a supplier for an item."""
        own = delivery_stats(self._by_item.get((supplier_id, item_id), []))
        of_supplier = self._of_supplier_stats(supplier_id)
        is_thin = own.count < SPREAD_NEEDS and of_supplier.count < SPREAD_NEEDS
        everywhere = self._all() if is_thin else NO_DELIVERIES
        return lead_time_of(own, of_supplier, everywhere, quoted_days=quoted_days)

    def _of_supplier_stats(self, supplier_id: int) -> DeliveryStats:
        if supplier_id not in self._stats:
            self._stats[supplier_id] = delivery_stats(self.of_supplier(supplier_id))
        return self._stats[supplier_id]

    def _all(self) -> DeliveryStats:
        if self._everywhere is None:
            if self._all_loaded:
                groups = self._by_supplier.values()
                found = [delivery for group in groups for delivery in group]
            else:
                found = [row[2] for row in _deliveries(self._session, None)]
            self._everywhere = delivery_stats(found)
        return self._everywhere


def _deliveries(
    session: Session, supplier_ids: Iterable[int] | None
) -> list[tuple[int, int | None, Delivery]]:
    statement: Any = select(  # type: ignore[call-overload]
        Receipt.supplier_id, Receipt.item_id, Receipt.ordered_on, Receipt.received_on,
        Receipt.ordered_units, Receipt.received_units, Receipt.promised_on,
    ).where(
        col(Receipt.received_units) > 0,
        col(Receipt.received_on) >= col(Receipt.ordered_on),
        stands(),
    )  # fmt: skip
    if supplier_ids is not None:
        statement = statement.where(col(Receipt.supplier_id).in_(list(supplier_ids)))
    return [(row[0], row[1], Delivery(*row[2:])) for row in session.execute(statement)]


def _price_breaks(session: Session, item_ids: list[int] | None) -> dict[int, list[tuple[int, int]]]:
    statement: Any = select(
        PriceBreak.supplier_item_id, PriceBreak.min_units, PriceBreak.unit_price_minor
    ).order_by(col(PriceBreak.min_units))
    if item_ids is not None:
        statement = statement.join(
            SupplierItem, col(SupplierItem.id) == col(PriceBreak.supplier_item_id)
        ).where(col(SupplierItem.item_id).in_(item_ids))
    found: dict[int, list[tuple[int, int]]] = {}
    for offer_id, least, price in session.execute(statement):
        found.setdefault(offer_id, []).append((least, price))
    return found


def _offer(terms: SupplierItem, supplier: Supplier, breaks: tuple[tuple[int, int], ...]) -> Offer:
    return Offer(
        supplier_id=supplier.id,
        item_id=terms.item_id,
        supplier_code=supplier.code,
        supplier_name=supplier.name,
        currency=supplier.currency,
        unit_price_minor=terms.unit_price_minor,
        moq_units=terms.moq_units,
        order_multiple_units=terms.order_multiple_units,
        max_units=terms.max_units,
        pack_uom=terms.pack_uom,
        pack_units=terms.pack_units,
        quoted_lead_time_days=terms.quoted_lead_time_days,
        duty_bp=terms.duty_bp,
        order_cost_minor=terms.order_cost_minor,
        min_order_value_minor=supplier.min_order_value_minor,
        working_days=supplier.working_days,
        is_preferred=terms.is_preferred,
        is_approved=supplier.is_approved,
        is_active=supplier.is_active,
        breaks=breaks,
    )
