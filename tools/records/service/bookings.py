"""Bookings beside plain receipts, suppliers' answers, and stock that is not what moved."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    String,
    Table,
    func,
    literal,
    select,
    type_coerce,
    union_all,
)
from sqlmodel import Session, SQLModel

from db.models.catalog import Item, Location
from db.models.purchasing import Receipt, SupplierAnswer
from db.models.stock import StockLevel, StockMovement
from db.types import ReceiptKind
from tools.records.core import AnswerRow, BookingRow, StockDifference

_REVERSED = len(":reversed")


def bookings(session: Session) -> dict[str, BookingRow]:
    """Return wrong goods, returns and counter-entries by reference."""
    it = _table(Receipt)
    original = it.alias()
    name = func.substr(it.c.reference, 1, func.length(it.c.reference) - _REVERSED)
    rows = session.execute(
        select(
            it.c.reference, _text(it.c.kind), it.c.received_units, it.c.rejected_units,
            original.c.received_units,
        )
        .outerjoin_from(
            it, original, (it.c.kind == ReceiptKind.REVERSAL) & (original.c.reference == name)
        )
        .where(it.c.kind != ReceiptKind.RECEIPT)
    )  # fmt: skip
    return {row[0]: BookingRow._make(row) for row in rows}


def answers(
    session: Session, numbers: Mapping[int, str], logins: Mapping[int, str]
) -> dict[str, AnswerRow]:
    """Return suppliers' answers by number.

    Args:
        session: The transaction.
        numbers: Numbers of orders, by id.
        logins: Logins of people, by id.
    """
    it = _table(SupplierAnswer).c
    rows = session.execute(
        select(it.number, it.order_id, _text(it.state), it.decided_by_id, it.result_revision)
    )
    return {
        number: AnswerRow(number, numbers[order], state, logins.get(person), revision)
        for number, order, state, person, revision in rows
    }


def stock_differences(session: Session) -> list[StockDifference]:
    """Return where stock is not the sum of its movements; one query, which finds nothing."""
    movement, level = _table(StockMovement).c, _table(StockLevel).c
    held = select(
        level.item_id, level.location_id, level.on_hand_units.label("held"),
        literal(0).label("moved"),
    )  # fmt: skip
    moved = select(movement.item_id, movement.location_id, literal(0), movement.units)
    both = union_all(held, moved).subquery().c
    has, had = func.sum(both.held), func.sum(both.moved)
    rows = session.execute(
        select(both.item_id, both.location_id, has, had)
        .group_by(both.item_id, both.location_id)
        .having(has != had)
        .order_by(both.item_id, both.location_id)
    ).all()
    if not rows:
        return []
    item, place = _table(Item).c, _table(Location).c
    skus = dict(session.execute(select(item.id, item.sku)).all())
    codes = dict(session.execute(select(place.id, place.code)).all())
    return [
        StockDifference(skus.get(item_id, ""), codes.get(place_id, ""), int(held), int(moved))
        for item_id, place_id, held, moved in rows
    ]


def _table(model: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(model.__tablename__)]


def _text(column: Column[Any]) -> ColumnElement[Any]:
    """Return a column without what turns its text into a member of an enum."""
    return type_coerce(column, String)
