"""Reads stock: the position of an item with its projection.

``position`` and ``positions`` live in ``tools.positions``, below planning.
"""

from datetime import datetime

from sqlmodel import Session, select

from db.models.stock import StockLevel
from tools.positions.service import position, positions

__all__ = ["position", "positions", "stock_as_of"]


def stock_as_of(session: Session, item_id: int, location_id: int) -> datetime | None:
    """Return when the stock of an item at a location was last written."""
    statement = select(StockLevel.updated_at).where(
        StockLevel.item_id == item_id, StockLevel.location_id == location_id
    )
    return session.exec(statement).first()
