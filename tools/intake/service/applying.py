"""Bring staged rows into their tables, some at a time.

A chunk is deleted from the staged rows in the transaction that applies it: what is left is what
remains to be done, so an import that was killed goes on from there and applies nothing twice.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from db.models.ingestion import StagedRow
from tools.catalog.core import text_key
from tools.intake.service.balances import apply_stock
from tools.intake.service.desk import Desk
from tools.intake.service.items import save_items
from tools.intake.service.lookup import parts
from tools.intake.service.orders import apply_orders
from tools.intake.service.terms import save_suppliers


def staged_groups(session: Session, desk: Desk) -> list[tuple[int, ...]]:
    """Ids of the staged rows, in groups that must be applied together.

    Bins of one place add up to one balance, and lines make up an order; other rows stand alone.
    Only ids are kept: with the rows in memory, Python's garbage collector would stop a transaction
    for longer than it lasts.
    """
    staged = select(StagedRow.id, StagedRow.content).where(StagedRow.load_id == desk.load.id)
    groups: dict[Any, list[int]] = {}
    with_rows = staged.order_by(col(StagedRow.row_number)).execution_options(yield_per=500)
    for key, row in session.exec(with_rows):
        groups.setdefault(_group_of(desk, key, row), []).append(key)
    return [tuple(ids) for ids in groups.values()]


def _group_of(desk: Desk, key: int, row: Mapping[str, Any]) -> Any:
    if desk.kind.name == "stock":
        return row["item_id"], row["location_id"]
    return text_key(row["number"]) if desk.kind.name == "orders" else key


def apply_chunk(session: Session, desk: Desk, chunk: Sequence[tuple[int, ...]]) -> bool:
    """Apply some groups; False when another import of the file has applied them already."""
    ids = [key for group in chunk for key in group]
    taken: list[tuple[int, dict[str, Any]]] = []
    for part in parts(ids):
        these = delete(StagedRow).where(col(StagedRow.id).in_(part))
        done = session.execute(these.returning(col(StagedRow.row_number), col(StagedRow.content)))
        taken += [(number, content) for number, content in done]
    if len(taken) < len(ids):
        return False
    rows = [row for _, row in sorted(taken, key=itemgetter(0))]
    if desk.kind.name == "items":
        save_items(session, rows, currency=desk.currency, at=desk.at)
    elif desk.kind.name == "suppliers":
        save_suppliers(session, rows, currency=desk.currency)
    elif desk.kind.name == "stock":
        apply_stock(session, desk, rows)
    else:
        apply_orders(session, desk, rows)
    return True
