"""Suppliers of a file and their terms: read once for many rows, written together."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from db.bulk import bulk_insert
from db.models.catalog import PriceBreak, Supplier, SupplierItem
from db.types import AliasKind
from tools.intake.service.items import save_aliases
from tools.intake.service.lookup import parts

ASSUMED_LEAD_TIME_DAYS = 14
Pair = tuple[int, int]


def save_suppliers(session: Session, rows: Sequence[Mapping[str, Any]], *, currency: str) -> None:
    """Add suppliers and their terms or change known ones; one row is one item of a supplier.

    What a row does not say leaves the stored value as it is. New terms without a lead time get 14
    days, which the load report mentions. The first supplier of an item becomes the preferred one.
    """
    ids = _save_heads(session, rows, currency)
    offers = [row for row in rows if row.get("item_id") is not None]
    stored = _stored_terms(session, [row["item_id"] for row in offers])
    offered = {item_id for _, item_id in stored}
    for row in offers:
        pair = ids[row["code"][1]], row["item_id"]
        terms = stored.get(pair)
        if terms is None:
            stored[pair] = terms = _new_terms(pair, row, is_preferred=pair[1] not in offered)
            offered.add(pair[1])
            session.add(terms)
        _change_terms(terms, row)
    session.flush()
    _save_breaks(
        session,
        {
            stored[ids[row["code"][1]], row["item_id"]].id: row["price_breaks"]
            for row in offers
            if row["price_breaks"]
        },
    )
    save_aliases(
        session,
        [
            (row["item_id"], row["supplier_sku"], AliasKind.SUPPLIER_SKU)
            for row in offers
            if row["supplier_sku"]
        ],
    )


def _save_heads(
    session: Session, rows: Sequence[Mapping[str, Any]], currency: str
) -> dict[str, int]:
    known: dict[str, Supplier] = {}
    for part in parts(row["code"][1] for row in rows):
        found = session.exec(select(Supplier).where(col(Supplier.code_key).in_(part)))
        known |= {supplier.code_key: supplier for supplier in found}
    for row in rows:
        code, key = row["code"]
        supplier = known.get(key)
        if supplier is None:
            supplier = Supplier(code=code, code_key=key, name=row["name"], currency=currency)
            known[key] = supplier
            session.add(supplier)
        supplier.name = row["name"]
        supplier.email = row["email"] or supplier.email
        supplier.currency = row["currency"] or supplier.currency
        supplier.working_days = row["working_days"] or supplier.working_days
        if row["min_order_value"] is not None:
            supplier.min_order_value_minor = row["min_order_value"]
    session.flush()
    return {key: supplier.id for key, supplier in known.items()}


def _stored_terms(session: Session, items: Sequence[int]) -> dict[Pair, SupplierItem]:
    """All offers of these items, by supplier and item."""
    found: dict[Pair, SupplierItem] = {}
    for part in parts(items):
        some = select(SupplierItem).where(col(SupplierItem.item_id).in_(part))
        found |= {(terms.supplier_id, terms.item_id): terms for terms in session.exec(some)}
    return found


def _new_terms(pair: Pair, row: Mapping[str, Any], *, is_preferred: bool) -> SupplierItem:
    return SupplierItem(
        supplier_id=pair[0], item_id=pair[1], unit_price_minor=row["unit_price"],
        quoted_lead_time_days=ASSUMED_LEAD_TIME_DAYS, is_preferred=is_preferred,
    )  # fmt: skip


def _change_terms(terms: SupplierItem, row: Mapping[str, Any]) -> None:
    """Take over what a row says; a multiple that was the pack stays the pack."""
    is_pack_multiple = terms.order_multiple_units == terms.pack_units
    said = {
        "unit_price_minor": row["unit_price"], "moq_units": row["moq"],
        "pack_units": row["pack_units"], "order_multiple_units": row["order_multiple"],
        "max_units": row["max_units"], "quoted_lead_time_days": row["lead_time_days"],
        "supplier_sku": row["supplier_sku"] or None, "pack_uom": row["pack_uom"] or None,
    }  # fmt: skip
    for name, value in said.items():
        if value is not None:
            setattr(terms, name, value)
    if is_pack_multiple and row["order_multiple"] is None:
        terms.order_multiple_units = terms.pack_units
    if terms.pack_uom == "each" and terms.pack_units > 1 and not row["pack_uom"]:
        terms.pack_uom = "case"


def _save_breaks(session: Session, breaks: Mapping[int, list[list[int]]]) -> None:
    """Replace the price breaks of terms whose row names some."""
    for part in parts(breaks):
        session.execute(delete(PriceBreak).where(col(PriceBreak.supplier_item_id).in_(part)))
    bulk_insert(
        session,
        PriceBreak,
        [
            {"supplier_item_id": key, "min_units": units, "unit_price_minor": price}
            for key, pairs in breaks.items()
            for units, price in pairs
        ],
    )
