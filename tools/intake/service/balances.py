"""Counted stock: balances are set, and the difference is a movement."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlmodel import Session, col, select

from db.bulk import bulk_insert
from db.models.stock import StockLevel, StockMovement
from db.types import MovementKind
from tools.intake.service.desk import Desk
from tools.intake.service.lookup import parts

_BALANCES = ("on_hand", "allocated", "quarantined", "backordered")
Where = tuple[int, int]


def apply_stock(session: Session, desk: Desk, rows: Iterable[Mapping[str, Any]]) -> None:
    """Set the counted balances, bins of a place added up; the difference is a movement.

    A column that the file does not have leaves its balance as it is, and so does an item that the
    file does not name.
    """
    counted: dict[Where, Counter[str]] = {}
    for row in rows:
        balance = counted.setdefault((row["item_id"], row["location_id"]), Counter())
        balance.update({name: row[name] for name in _BALANCES if row[name] is not None})
    known = {(at.item_id, at.location_id): at for at in _levels(session, counted)}
    moved = []
    new = []
    for where, balance in counted.items():
        level = known.get(where)
        before = 0 if level is None else level.on_hand_units
        if balance["on_hand"] != before:
            moved.append(_movement(desk, where, balance["on_hand"] - before, is_new=level is None))
        if level is None:
            new.append(_new_level(desk, where, balance))
        else:
            for name, units in balance.items():
                setattr(level, f"{name}_units", units)
            level.updated_at = desk.at
    bulk_insert(session, StockLevel, new)
    bulk_insert(session, StockMovement, moved)
    session.flush()


def _levels(session: Session, counted: Iterable[Where]) -> Iterator[StockLevel]:
    """The stored balances of these items, locked."""
    for part in parts(item for item, _ in counted):
        some = select(StockLevel).where(col(StockLevel.item_id).in_(part))
        yield from session.exec(some.order_by(col(StockLevel.id)).with_for_update())


def _new_level(desk: Desk, where: Where, balance: Mapping[str, int]) -> dict[str, Any]:
    units = {f"{name}_units": balance[name] for name in _BALANCES}
    return {"item_id": where[0], "location_id": where[1], "updated_at": desk.at, **units}


def _movement(desk: Desk, where: Where, units: int, *, is_new: bool) -> dict[str, Any]:
    attempt = desk.load.report.get("attempt", 1)
    again = f", attempt {attempt}" if attempt > 1 else ""
    return {
        "item_id": where[0], "location_id": where[1], "units": units, "occurred_at": desk.at,
        "kind": MovementKind.OPENING if is_new else MovementKind.ADJUSTMENT,
        "reference": f"load {desk.load.id}, item {where[0]}, location {where[1]}{again}",
    }  # fmt: skip
