"""Store checked rows: look up what they name, stage them, and apply what was staged."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from operator import itemgetter
from typing import Any

from sqlmodel import Session, col, select

from db.bulk import bulk_add, bulk_insert
from db.models.catalog import Location
from db.models.ingestion import Load, StagedRow
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from db.models.stock import Demand, StockLevel, StockMovement
from db.types import MovementKind, OrderState
from tools.catalog import service as catalog
from tools.errors import NotFound, QuartermasterError
from tools.intake.core.kinds import Kind, Values
from tools.intake.core.rows import BadRow, GoodRow

_BALANCES = ("on_hand", "allocated", "quarantined", "backordered")


@dataclass
class Desk:
    """One import at work: who asked, what was looked up so far."""

    load: Load
    kind: Kind
    currency: str
    at: datetime
    items: dict[str, int] = field(default_factory=dict)
    locations: dict[str, int] = field(default_factory=dict)

    @property
    def may_create_locations(self) -> bool:
        """Only the first file of an empty company brings its places along."""
        return bool(self.load.report["may_create_locations"])


@dataclass
class Batch:
    """Checked rows made ready before the database is locked.

    Attributes:
        rows: The good rows.
        named: The first row of each SKU, by canonical SKU.
        sold: Sales only: units by (canonical SKU, location code, day).
        returned: Sales only: returned units by the same key.
    """

    rows: list[GoodRow]
    named: dict[str, Values] = field(default_factory=dict)
    sold: dict[tuple[str, str, date], int] = field(default_factory=dict)
    returned: dict[tuple[str, str, date], int] = field(default_factory=dict)


def prepare(kind: Kind, rows: list[GoodRow]) -> Batch:
    """Add up sales by item, place and day; name the SKUs."""
    batch = Batch(rows)
    named, sold, returned = batch.named, batch.sold, batch.returned
    for _, values in rows:
        sku = values["sku"]
        if sku is not None and sku[1] not in named:
            named[sku[1]] = values
        if kind.name == "sales":
            key = (sku[1], values["location"], values["date"])
            quantity = values["quantity"]
            sold[key] = sold.get(key, 0) + max(quantity, 0)
            if quantity < 0:
                returned[key] = returned.get(key, 0) - quantity
    return batch


def stage(session: Session, desk: Desk, batch: Batch) -> tuple[int, list[BadRow]]:
    """Store good rows where nobody sees them yet; return how many, and those that do not fit."""
    if desk.kind.name == "sales":
        return _stage_sales(session, desk, batch)
    return _stage_master(session, desk, batch)


def apply_staged(session: Session, desk: Desk) -> None:
    """Write the staged rows of master data into their tables."""
    if desk.kind.name == "sales":
        return
    staged = select(StagedRow.content).where(StagedRow.load_id == desk.load.id)
    rows = session.exec(staged.order_by(col(StagedRow.row_number))).all()
    desk.items |= catalog.known_items(session, [row["sku"][1] for row in rows if row["sku"]])
    if desk.kind.name == "items":
        catalog.save_items(session, rows, currency=desk.currency, at=desk.at)
    elif desk.kind.name == "suppliers":
        catalog.save_suppliers(session, rows, currency=desk.currency)
    elif desk.kind.name == "stock":
        _apply_stock(session, desk, rows)
    else:
        _apply_orders(session, desk, rows)


def _apply_stock(session: Session, desk: Desk, rows: Iterable[Mapping[str, Any]]) -> None:
    """Set the counted balances, bins of a place added up; the difference is a movement."""
    counted: dict[tuple[int, int], Counter[str]] = {}
    for row in rows:
        where = desk.items[row["sku"][1]], _known_place(session, desk, row["location"])
        balance = counted.setdefault(where, Counter())
        balance.update({name: row[name] for name in _BALANCES if row[name] is not None})
    known = {(at.item_id, at.location_id): at for at in _levels(session, counted)}
    for where, balance in counted.items():
        _set_balance(session, desk, where, known.get(where), balance)
    session.flush()


def _levels(session: Session, where: Iterable[tuple[int, int]]) -> Iterator[StockLevel]:
    """The stored balances of some items, locked, a thousand items a query."""
    items = sorted({item for item, _ in where})
    for at in range(0, len(items), 1000):
        some = col(StockLevel.item_id).in_(items[at : at + 1000])
        yield from session.exec(select(StockLevel).where(some).with_for_update())


def _set_balance(
    session: Session,
    desk: Desk,
    where: tuple[int, int],
    level: StockLevel | None,
    balance: Mapping[str, int],
) -> None:
    item_id, place = where
    kind = MovementKind.OPENING if level is None else MovementKind.ADJUSTMENT
    if level is None:
        level = StockLevel(item_id=item_id, location_id=place, updated_at=desk.at)
        session.add(level)
    change = balance["on_hand"] - level.on_hand_units
    for name, units in balance.items():
        setattr(level, f"{name}_units", units)
    level.updated_at = desk.at
    if change:
        session.add(
            StockMovement(
                item_id=item_id, location_id=place, kind=kind, units=change, occurred_at=desk.at,
                reference=f"load {desk.load.id}, item {item_id}, location {place}",
            )
        )  # fmt: skip


def _apply_orders(session: Session, desk: Desk, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add open orders that were placed before; they are on their way, so nothing is sent."""
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        lines.setdefault(row["number"], []).append(row)
    for number, own in lines.items():
        order = _order(session, desk, number, own)
        session.add(order)
        session.flush()
        for position, row in enumerate(own, start=1):
            session.add(
                PurchaseOrderLine(
                    order_id=order.id, line_number=position, item_id=desk.items[row["sku"][1]],
                    ordered_units=row["quantity"], unit_price_minor=row["unit_price"],
                    amount_minor=row["quantity"] * row["unit_price"],
                    received_units=row["received"], promise_on=_day(row["promise"]),
                )
            )  # fmt: skip
    session.flush()


def _order(
    session: Session, desk: Desk, number: str, rows: list[Mapping[str, Any]]
) -> PurchaseOrder:
    first = rows[0]
    promises = [row["promise"] for row in rows if row["promise"]]
    ordered = _day(first["ordered"])
    sent_at = datetime.combine(ordered, time(12), tzinfo=UTC) if ordered else desk.at
    is_part = any(row["received"] for row in rows)
    state = OrderState.CONFIRMED if promises else OrderState.SENT
    supplier = catalog.resolve_supplier(session, first["supplier"])
    canonical = json.dumps(rows, sort_keys=True, separators=(",", ":"))
    return PurchaseOrder(
        number=number, supplier_id=supplier.id,
        location_id=_known_place(session, desk, first["location"]),
        state=OrderState.PARTIALLY_RECEIVED if is_part else state, currency=desk.currency,
        total_minor=sum(row["quantity"] * row["unit_price"] for row in rows),
        fingerprint=hashlib.sha256(canonical.encode()).hexdigest(), is_imported=True,
        promise_on=_day(max(promises)) if promises else None, created_at=sent_at, sent_at=sent_at,
        confirmed_at=sent_at if promises else None,
    )  # fmt: skip


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _look_up_items(session: Session, desk: Desk, batch: Batch) -> dict[str, Values]:
    """Learn the ids of the batch's SKUs; return the first row of each unknown one."""
    wanted = batch.named.keys() - desk.items.keys()
    desk.items |= catalog.known_items(session, wanted)
    return {key: batch.named[key] for key in sorted(wanted) if key not in desk.items}


def _location_id(session: Session, desk: Desk, code: str) -> int | None:
    """Id of a place; None when it is unknown and must not be created."""
    if code not in desk.locations:
        try:
            location = catalog.resolve_location(session, code or None)
        except NotFound:
            if not desk.may_create_locations:
                return None
            location = Location(code=code or "MAIN", name=code or "Main warehouse")
            session.add(location)
            session.flush()
        desk.locations[code] = location.id
    return desk.locations[code]


def _known_place(session: Session, desk: Desk, code: str) -> int:
    """Id of a place that staging has accepted."""
    _location_id(session, desk, code)
    return desk.locations[code]


def _stage_sales(session: Session, desk: Desk, batch: Batch) -> tuple[int, list[BadRow]]:
    unknown = _look_up_items(session, desk, batch)
    if unknown:
        desk.items |= catalog.add_new_items(session, unknown, currency=desk.currency, at=desk.at)
        report = desk.load.report
        desk.load.report = report | {"new_items": report["new_items"] + len(unknown)}
    places = {code: _location_id(session, desk, code) for code in {key[1] for key in batch.sold}}
    rows = [
        {"item_id": desk.items[key[0]], "location_id": places[key[1]], "on": key[2],
         "load_id": desk.load.id, "units": units, "returned_units": batch.returned.get(key, 0)}
        for key, units in batch.sold.items()
        if places[key[1]] is not None
    ]  # fmt: skip
    rows.sort(key=itemgetter("item_id"))
    key = ("item_id", "location_id", "on", "load_id")
    bulk_add(session, Demand, rows, key=key, amounts=("units", "returned_units"))
    if None not in places.values():
        return len(batch.rows), []
    bad = [
        BadRow(number, "location", "is no known location", values["location"])
        for number, values in batch.rows
        if places[values["location"]] is None
    ]
    return len(batch.rows) - len(bad), bad


def _stage_master(session: Session, desk: Desk, batch: Batch) -> tuple[int, list[BadRow]]:
    unknown = {} if desk.kind.name == "items" else _look_up_items(session, desk, batch)
    good, bad = [], []
    for row in batch.rows:
        problem = _unknown_reference(session, desk, row, unknown)
        if problem is None:
            good.append(row)
        else:
            bad.append(problem)
    bulk_insert(
        session,
        StagedRow,
        [
            {"load_id": desk.load.id, "row_number": number,
             "content": json.loads(json.dumps(values, default=str))}
            for number, values in good
        ],
    )  # fmt: skip
    return len(good), bad


def _unknown_reference(
    session: Session, desk: Desk, row: GoodRow, unknown: Mapping[str, Values]
) -> BadRow | None:
    values = row.values
    if values["sku"] and values["sku"][1] in unknown:
        return BadRow(row.number, "sku", "is no known item; load items first", values["sku"][0])
    if "location" in values and _location_id(session, desk, values["location"]) is None:
        return BadRow(row.number, "location", "is no known location", values["location"])
    if desk.kind.name != "orders":
        return None
    try:
        catalog.resolve_supplier(session, values["supplier"])
    except QuartermasterError:
        return BadRow(row.number, "supplier", "is no known supplier", values["supplier"])
    number = values["number"]
    if session.exec(select(PurchaseOrder.id).where(PurchaseOrder.number == number)).first():
        return BadRow(row.number, "number", "is an order that exists already", number)
    return None
