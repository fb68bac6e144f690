"""What a session may see: names, lists and orders outside a person's work are as if they were not.

The wrapper of the tools and the routes that read call ``look_as`` once; the few functions through
which names and orders are found ask here. A session that nobody narrowed sees everything: services
that write refuse with a reason instead (``identity.service.require_scope``).
"""

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location, Supplier
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from db.types import Actor
from tools.identity.core import Scope
from tools.identity.service import scope_of

Pair = tuple[int, int]  # ids of an item and a location


def look_as(session: Session, actor: Actor) -> None:
    """Show this session what the actor may see, and nothing else."""
    session.info["scope"] = scope_of(session, actor)


def scope_here(session: Session) -> Scope:
    """Return what this session may see; everything, unless ``look_as`` narrowed it."""
    scope: Scope = session.info.get("scope", Scope())
    return scope


def items_here(session: Session) -> list[ColumnElement[bool]]:
    """Return conditions on items: those of the person's categories."""
    categories = scope_here(session).categories
    return [col(Item.category).in_(categories)] if categories else []


def places_here(session: Session) -> list[ColumnElement[bool]]:
    """Return conditions on locations."""
    codes = scope_here(session).locations
    return [col(Location.code).in_(codes)] if codes else []


def orders_here(session: Session) -> list[ColumnElement[bool]]:
    """Return conditions on orders.

    An order is seen where the person works with its place, its supplier and the categories of all
    its lines: the same rule as for acting on it.
    """
    scope = scope_here(session)
    conditions: list[ColumnElement[bool]] = []
    if scope.locations:
        places = select(Location.id).where(*places_here(session))
        conditions.append(col(PurchaseOrder.location_id).in_(places))
    if scope.suppliers:
        sellers = select(Supplier.id).where(col(Supplier.code).in_(scope.suppliers))
        conditions.append(col(PurchaseOrder.supplier_id).in_(sellers))
    if scope.categories:
        others = (
            select(PurchaseOrderLine.order_id)
            .join(Item, col(Item.id) == col(PurchaseOrderLine.item_id))
            .where(col(Item.category).not_in(scope.categories))
        )
        conditions.append(col(PurchaseOrder.id).not_in(others))
    return conditions


class PairsHere:
    """Which items at which locations this session may see; two queries, then in memory."""

    def __init__(self, session: Session) -> None:
        self._items = _ids(session, Item, items_here(session))
        self._places = _ids(session, Location, places_here(session))

    def __contains__(self, pair: Pair) -> bool:
        """Whether both are inside."""
        item_id, location_id = pair
        is_item = self._items is None or item_id in self._items
        return is_item and (self._places is None or location_id in self._places)


def _ids(
    session: Session, table: type[Item] | type[Location], conditions: list[ColumnElement[bool]]
) -> frozenset[int] | None:
    if not conditions:
        return None
    return frozenset(session.exec(select(table.id).where(*conditions)))
