"""Look up what the rows of a batch name, before the database is locked for writing."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlmodel import Session, col, select

from db.models.catalog import Location, Supplier, SupplierItem
from db.models.ingestion import StagedRow
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from tools.catalog import service as catalog
from tools.catalog.core import text_key
from tools.errors import QuartermasterError
from tools.intake.service.desk import Batch, Desk, KnownOrder, KnownTerms

IDS_PER_QUERY = 500


def look_up(session: Session, desk: Desk, batch: Batch) -> None:
    """Learn the ids of all that a batch names; what is new to the database stays unknown."""
    wanted = batch.named.keys() - desk.items.keys()
    desk.items |= catalog.known_items(session, wanted)
    for code in batch.texts("location"):
        if code not in desk.locations and not desk.may_create_locations:
            desk.locations[code] = _known_location(session, code)
    if desk.kind.name == "orders":
        _look_up_suppliers(session, desk, batch.texts("supplier"))
        _look_up_orders(session, desk, batch.texts("number"))
    elif desk.kind.name == "suppliers":
        _look_up_terms(session, desk, batch)


def location_id(session: Session, desk: Desk, code: str) -> int | None:
    """Id of a place, created when this file may; None when it is unknown."""
    if code not in desk.locations:
        desk.locations[code] = (
            _made_location(session, code)
            if desk.may_create_locations
            else _known_location(session, code)
        )
    return desk.locations[code]


def parts(values: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """Values in portions that fit into one query."""
    every = sorted(set(values))
    for start in range(0, len(every), IDS_PER_QUERY):
        yield every[start : start + IDS_PER_QUERY]


def _known_location(session: Session, code: str) -> int | None:
    try:
        return catalog.resolve_location(session, code or None).id
    except QuartermasterError:
        return None


def _made_location(session: Session, code: str) -> int:
    """Id of a place with exactly this name, or of a new one: EAST and EAST 2 are two."""
    places = session.exec(select(Location).order_by(col(Location.id))).all()
    for place in places:
        if not code or text_key(code) in (text_key(place.code), text_key(place.name)):
            return place.id
    place = Location(code=code or "MAIN", name=code or "Main warehouse")
    session.add(place)
    session.flush()
    return place.id


def _look_up_suppliers(session: Session, desk: Desk, texts: Sequence[str]) -> None:
    new = [text for text in texts if text not in desk.suppliers]
    if not new:
        return
    ids = session.exec(select(Supplier.code_key, Supplier.id)).all()
    by_code = dict(ids)
    for text in new:
        desk.suppliers[text] = by_code.get(text_key(text)) or _resolved(session, text)


def _resolved(session: Session, text: str) -> int | None:
    try:
        return catalog.resolve_supplier(session, text).id
    except QuartermasterError:
        return None


def _look_up_orders(session: Session, desk: Desk, numbers: Sequence[str]) -> None:
    """Learn the stored orders of this batch; numbers that differ in case only are one."""
    if desk.numbers is None:
        stored = session.exec(select(PurchaseOrder.number, PurchaseOrder.id)).all()
        desk.numbers = {text_key(number): key for number, key in stored}
        desk.heads = _staged_heads(session, desk)
    keys = {text_key(number) for number in numbers} - desk.orders.keys()
    ids = {desk.numbers[key] for key in keys if key in desk.numbers}
    for part in parts(ids):
        lines: dict[int, dict[int, tuple[int, int]]] = {key: {} for key in part}
        some = select(PurchaseOrderLine).where(col(PurchaseOrderLine.order_id).in_(part))
        for line in session.exec(some):
            lines[line.order_id][line.item_id] = (line.ordered_units, line.received_units)
        for order in session.exec(select(PurchaseOrder).where(col(PurchaseOrder.id).in_(part))):
            desk.orders[text_key(order.number)] = KnownOrder(
                order.id, order.supplier_id, order.location_id, order.is_imported, order.state,
                lines[order.id],
            )  # fmt: skip


def _staged_heads(session: Session, desk: Desk) -> dict[str, tuple[int, int]]:
    """Supplier and place of orders that a killed import of this file has staged."""
    staged = select(StagedRow.content).where(StagedRow.load_id == desk.load.id)
    return {
        text_key(row["number"]): (row["supplier_id"], row["location_id"])
        for row in session.exec(staged.order_by(col(StagedRow.row_number).desc()))
    }


def _look_up_terms(session: Session, desk: Desk, batch: Batch) -> None:
    codes = {row.values["code"][1] for row in batch.rows}
    for part in parts(codes - desk.suppliers.keys()):
        desk.suppliers |= dict.fromkeys(part)
        desk.suppliers |= dict(
            session.exec(
                select(Supplier.code_key, Supplier.id).where(col(Supplier.code_key).in_(part))
            ).all()
        )
    owners = {desk.suppliers[code]: code for code in codes if desk.suppliers[code] is not None}
    items = {desk.items[key] for key in batch.named if key in desk.items}
    for part in parts(items):
        for terms in session.exec(select(SupplierItem).where(col(SupplierItem.item_id).in_(part))):
            if terms.supplier_id in owners:
                known = KnownTerms(terms.moq_units, terms.max_units)
                desk.terms.setdefault((owners[terms.supplier_id], terms.item_id), known)
