"""Find and resolve items, suppliers and locations; add items that nobody described."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlmodel import Session, col, select

from db.bulk import bulk_insert
from db.models.catalog import Item, ItemAlias, Location, Supplier
from db.types import AliasKind, ItemStatus
from tools.catalog.core import (
    CatalogueSnapshot,
    NamedItem,
    covered_owners,
    exact_owners,
    index_of,
    search,
    text_key,
)
from tools.errors import Ambiguous, InvalidInput, NotFound
from tools.reach.service import items_here, places_here

MOST_NAMED = 10
Row = TypeVar("Row")


@dataclass(frozen=True)
class ItemMatch:
    """An item that a query may mean; ``score`` is 0..100 and 100 is an exact name."""

    item_id: int
    sku: str
    name: str
    uom: str
    status: ItemStatus
    score: float


def snapshot(session: Session) -> CatalogueSnapshot:
    """Return every name of the catalogue that this session may see, in the order of the SKUs."""
    aliases: dict[int, list[str]] = defaultdict(list)
    for item_id, alias in session.exec(
        select(ItemAlias.item_id, ItemAlias.alias).order_by(col(ItemAlias.id))
    ):
        aliases[item_id].append(alias)
    names = select(Item.id, Item.sku, Item.name).where(*items_here(session))
    items = session.exec(names.order_by(Item.sku_key)).all()
    suppliers = session.exec(select(Supplier.code, Supplier.name).order_by(Supplier.code_key)).all()
    return CatalogueSnapshot(
        items=tuple(NamedItem(sku, name, tuple(aliases[key])) for key, sku, name in items),
        suppliers=tuple((code, name) for code, name in suppliers),
        locations=tuple(session.exec(select(Location.code).order_by(col(Location.id)))),
    )


def find_items(session: Session, query: str, *, limit: int = 5) -> list[ItemMatch]:
    """Return the items that a query may mean, best first, ties included.

    Raises:
        InvalidInput: The query is empty.
    """
    _written(query, "item")
    hits = search(index_of(snapshot(session).items), query, limit)
    rows = _by_sku(session, [item.sku for item, _ in hits])
    return [_match(rows[item.sku], score) for item, score in hits]


def resolve_item(session: Session, text: str) -> Item:
    """Return the one item that is called this: by SKU, another name, or words of its name.

    Case, punctuation and plural may differ; letters may not, for a near SKU is often another one.

    Raises:
        InvalidInput: The text is empty.
        Ambiguous: Several items are called this; ``details['matches']`` lists them.
        NotFound: None is; ``details['matches']`` lists what comes near.
    """
    _written(text, "item")
    by_key = session.exec(
        select(Item).where(Item.sku_key == text_key(text), *items_here(session))
    ).one_or_none()
    if by_key is not None:
        return by_key
    index = index_of(snapshot(session).items)
    named = exact_owners(index, text) or covered_owners(index, text)
    if len(named) == 1:
        return session.exec(select(Item).where(Item.sku == named[0].sku)).one()
    if named:
        skus = [item.sku for item in named]
        raise _ambiguous("item", text, len(skus), _item_details(session, skus[:MOST_NAMED]))
    near = [item.sku for item, _ in search(index, text, 5)][:MOST_NAMED]
    raise _unknown("item", text, _item_details(session, near))


def resolve_supplier(session: Session, text: str) -> Supplier:
    """Return the one supplier with this code or name, or with these words in its name.

    Raises:
        InvalidInput: The text is empty.
        Ambiguous: Several suppliers are called this.
        NotFound: None is; ``details['matches']`` lists what comes near.
    """
    _written(text, "supplier")
    rows = session.exec(select(Supplier).order_by(Supplier.code_key)).all()
    return _resolve_row("supplier", text, rows, lambda row: (row.code, row.name))


def resolve_location(session: Session, code: str | None) -> Location:
    """Return the location with this code or name; without one, the only or first location.

    Raises:
        NotFound: There is no such location; ``details['matches']`` lists what exists.
    """
    places = select(Location).where(*places_here(session)).order_by(col(Location.id))
    rows = session.exec(places).all()
    if not rows:
        raise NotFound("there is no location yet", next_step="Load stock or sales first.")
    if code is None:
        return rows[0]
    _written(code, "location")
    return _resolve_row("location", code, rows, lambda row: (row.code, row.name))


def known_items(session: Session, keys: Iterable[str]) -> dict[str, int]:
    """Return the ids of the items with these canonical SKUs, barcodes or supplier's numbers.

    A barcode or supplier's number counts only when it names one item.
    """
    found: dict[str, int] = {}
    wanted = sorted(keys)
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        owners: dict[str, set[int]] = defaultdict(set)
        for key, item_id in session.exec(
            select(ItemAlias.alias_key, ItemAlias.item_id).where(
                col(ItemAlias.alias_key).in_(part), col(ItemAlias.kind) != AliasKind.NAME
            )
        ):
            owners[key].add(item_id)
        found |= {key: ids.pop() for key, ids in owners.items() if len(ids) == 1}
        found |= dict(
            session.exec(select(Item.sku_key, Item.id).where(col(Item.sku_key).in_(part))).all()
        )
    return found


def add_new_items(
    session: Session, rows: Mapping[str, Mapping[str, Any]], *, currency: str, at: datetime
) -> dict[str, int]:
    """Add items that a sales file names and nobody described; ``rows`` is by canonical SKU."""
    bulk_insert(
        session,
        Item,
        [
            {
                "sku": row["sku"][0], "sku_key": key, "name": row["name"] or row["sku"][0],
                "unit_price_minor": row["price"] or 0, "currency": currency,
                "status": ItemStatus.NEW, "created_at": at,
            }
            for key, row in rows.items()
        ],
    )  # fmt: skip
    return known_items(session, rows)


def _resolve_row(
    kind: str, text: str, rows: Sequence[Row], names: Callable[[Row], tuple[str, str]]
) -> Row:
    by_code = {names(row)[0]: row for row in rows}
    index = index_of(tuple(NamedItem(*names(row)) for row in rows))
    named = exact_owners(index, text) or covered_owners(index, text)
    if len(named) == 1:
        return by_code[named[0].sku]
    if named:
        raise _ambiguous(kind, text, len(named), _row_details(named))
    near = [item for item, _ in search(index, text, 5)]
    raise _unknown(kind, text, _row_details(near or index.items))


def _ambiguous(kind: str, text: str, count: int, matches: list[dict[str, Any]]) -> Ambiguous:
    return Ambiguous(
        f"{text[:80]!r} fits {count} {kind}s: {_listed(matches)}",
        next_step=f"Ask which {kind} is meant.",
        details={"matches": matches},
    )


def _unknown(kind: str, text: str, matches: list[dict[str, Any]]) -> NotFound:
    known = f"; near: {_listed(matches)}" if matches else ""
    return NotFound(
        f"no {kind} is called {text[:80]!r}{known}",
        next_step=f"Check the spelling or ask which {kind} is meant.",
        details={"matches": matches},
    )


def _listed(matches: list[dict[str, Any]]) -> str:
    codes = [str(match.get("sku") or match.get("code")) for match in matches]
    return ", ".join(codes[:5]) + (", ..." if len(codes) > 5 else "")


def _row_details(rows: Sequence[NamedItem]) -> list[dict[str, Any]]:
    return [{"code": row.sku, "name": row.name} for row in rows[:MOST_NAMED]]


def _item_details(session: Session, skus: list[str]) -> list[dict[str, Any]]:
    rows = _by_sku(session, skus)
    return [{"sku": sku, "name": rows[sku].name, "uom": rows[sku].uom} for sku in skus]


def _by_sku(session: Session, skus: list[str]) -> dict[str, Item]:
    return {row.sku: row for row in session.exec(select(Item).where(col(Item.sku).in_(skus)))}


def _match(item: Item, score: float) -> ItemMatch:
    return ItemMatch(item.id, item.sku, item.name, item.uom, item.status, score)


def _written(text: str, kind: str) -> None:
    if not text_key(text):
        raise InvalidInput(f"no {kind} was named, got {text!r}", next_step=f"Name the {kind}.")
