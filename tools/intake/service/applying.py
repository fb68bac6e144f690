"""Bring staged rows into their tables, some at a time.

A chunk is deleted from the staged rows in the transaction that applies it: what is left is what
remains to be done, so an import that was killed goes on from there and applies nothing twice.
"""

from collections.abc import Mapping, Sequence
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

Group = list[tuple[int, dict[str, Any]]]


def staged_groups(session: Session, desk: Desk) -> list[Group]:
    """The staged rows, (id, content), in groups that must be applied together.

    Bins of one place add up to one balance, and lines make up an order; other rows stand alone.
    """
    staged = select(StagedRow.id, StagedRow.content).where(StagedRow.load_id == desk.load.id)
    groups: dict[Any, Group] = {}
    for key, row in session.exec(staged.order_by(col(StagedRow.row_number))):
        groups.setdefault(_group_of(desk, key, row), []).append((key, dict(row)))
    return list(groups.values())


def _group_of(desk: Desk, key: int, row: Mapping[str, Any]) -> Any:
    if desk.kind.name == "stock":
        return row["item_id"], row["location_id"]
    return text_key(row["number"]) if desk.kind.name == "orders" else key


def apply_chunk(session: Session, desk: Desk, chunk: Sequence[Group]) -> bool:
    """Apply some groups; False when another import of the file has applied them already."""
    rows = [row for group in chunk for _, row in group]
    ids = [key for group in chunk for key, _ in group]
    taken = 0
    for part in parts(ids):
        these = delete(StagedRow).where(col(StagedRow.id).in_(part)).returning(col(StagedRow.id))
        taken += len(session.execute(these).all())
    if taken < len(ids):
        return False
    if desk.kind.name == "items":
        save_items(session, rows, currency=desk.currency, at=desk.at)
    elif desk.kind.name == "suppliers":
        save_suppliers(session, rows, currency=desk.currency)
    elif desk.kind.name == "stock":
        apply_stock(session, desk, rows)
    else:
        apply_orders(session, desk, chunk)
    return True
