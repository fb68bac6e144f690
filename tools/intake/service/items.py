"""Items of a file: new ones in one insert, known ones changed, other names added."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from db.bulk import bulk_insert
from db.models.catalog import Item, ItemAlias
from db.types import AliasKind, ItemStatus
from tools.catalog.core import text_key
from tools.intake.service.lookup import parts

Alias = tuple[int, str, AliasKind]


def save_items(
    session: Session, rows: Sequence[Mapping[str, Any]], *, currency: str, at: datetime
) -> None:
    """Add items or change known ones; an empty value leaves the stored one as it is."""
    known: dict[str, Item] = {}
    for part in parts(row["sku"][1] for row in rows):
        found = session.exec(select(Item).where(col(Item.sku_key).in_(part)))
        known |= {item.sku_key: item for item in found}
    for row in rows:
        if item := known.get(row["sku"][1]):
            _change(item, row)
    new = [_new_item(row) for row in rows if row["sku"][1] not in known]
    bulk_insert(session, Item, [row | {"currency": currency, "created_at": at} for row in new])
    session.flush()
    named = [row for row in rows if row["alias"]]
    ids: dict[str, int] = {}
    for part in parts(row["sku"][1] for row in named):
        some = select(Item.sku_key, Item.id).where(col(Item.sku_key).in_(part))
        ids |= dict(session.exec(some).all())
    save_aliases(session, [(ids[row["sku"][1]], row["alias"], AliasKind.BARCODE) for row in named])


def _new_item(row: Mapping[str, Any]) -> dict[str, Any]:
    sku, key = row["sku"]
    return {
        "sku": sku, "sku_key": key, "name": row["name"], "uom": row["uom"] or "each",
        "category": row["category"], "status": ItemStatus(row["status"] or ItemStatus.ACTIVE),
        "unit_cost_minor": row["unit_cost"] or 0, "unit_price_minor": row["unit_price"] or 0,
    }  # fmt: skip


def _change(item: Item, row: Mapping[str, Any]) -> None:
    item.name = row["name"]
    item.uom = row["uom"] or item.uom
    item.category = row["category"] or item.category
    item.status = ItemStatus(row["status"]) if row["status"] else item.status
    if row["unit_cost"] is not None:
        item.unit_cost_minor = row["unit_cost"]
    if row["unit_price"] is not None:
        item.unit_price_minor = row["unit_price"]


def save_aliases(session: Session, aliases: Iterable[Alias]) -> None:
    """Add other names of items; one that an item has already is left as it is."""
    wanted = {(item_id, text_key(alias)[:200]): (alias, kind) for item_id, alias, kind in aliases}
    stored: set[tuple[int, str]] = set()
    for part in parts(key for _, key in wanted):
        some = select(ItemAlias.item_id, ItemAlias.alias_key)
        stored |= set(session.exec(some.where(col(ItemAlias.alias_key).in_(part))).all())
    bulk_insert(
        session,
        ItemAlias,
        [
            {"item_id": item_id, "alias": alias, "alias_key": key, "kind": kind}
            for (item_id, key), (alias, kind) in wanted.items()
            if (item_id, key) not in stored
        ],
    )
