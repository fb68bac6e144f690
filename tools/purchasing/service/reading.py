"""Orders as views, one or many, with the same few queries."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BindParameter, bindparam, func
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location, Supplier, SupplierItem
from db.models.identity import User
from db.models.purchasing import (
    Approval,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderRevision,
)
from db.once import loaded
from db.types import ApprovalState, OrderState
from tools.catalog.service import resolve_item, resolve_supplier
from tools.purchasing.core.answers import Promise, spread
from tools.purchasing.core.views import Check, LineView, OrderPage, OrderView, PendingApproval
from tools.purchasing.service.promises import stored_promises
from tools.purchasing.service.rows import lines_of, load, offers_of
from tools.reach.service import orders_here


def get_order(session: Session, number: str) -> OrderView:
    """Return an order as it stands.

    Raises:
        NotFound: There is no such order, or it is outside what this session may see.
    """
    return views(session, [load(session, number)])[0]


def list_orders(
    session: Session,
    *,
    state: OrderState | None = None,
    supplier: str | None = None,
    sku: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> OrderPage:
    """Return orders, newest first.

    Args:
        session: The transaction.
        state: Only orders in this state.
        supplier: Only orders to this supplier, by code or name.
        sku: Only orders with this item, by SKU or name.
        limit: How many at most.
        after: Continue behind the order with this number.

    Raises:
        NotFound: Supplier, item or the order to continue after is unknown.
    """
    chosen = orders_here(session)
    if state is not None:
        chosen.append(col(PurchaseOrder.state) == state)
    if supplier:
        chosen.append(col(PurchaseOrder.supplier_id) == resolve_supplier(session, supplier).id)
    if sku:
        item = resolve_item(session, sku)
        with_item = select(PurchaseOrderLine.order_id).where(PurchaseOrderLine.item_id == item.id)
        chosen.append(col(PurchaseOrder.id).in_(with_item))
    total = session.exec(select(func.count()).select_from(PurchaseOrder).where(*chosen)).one()
    if after:
        chosen.append(col(PurchaseOrder.id) < load(session, after).id)
    statement = select(PurchaseOrder).where(*chosen).order_by(col(PurchaseOrder.id).desc())
    return OrderPage(tuple(views(session, session.exec(statement.limit(limit)).all())), total)


@dataclass
class _Around:
    """What belongs to some orders, by id."""

    suppliers: dict[int, Supplier] = field(default_factory=dict)
    places: dict[int, Location] = field(default_factory=dict)
    logins: dict[int, str] = field(default_factory=dict)
    lines: dict[int, list[LineView]] = field(default_factory=dict)
    checks: dict[tuple[int, int], tuple[Check, ...]] = field(default_factory=dict)
    approvals: dict[int, PendingApproval] = field(default_factory=dict)


def views(session: Session, orders: Sequence[PurchaseOrder]) -> list[OrderView]:
    """Return the views of some orders, in the same order."""
    around = _around(session, orders)
    return [_view(order, around) for order in orders]


def _view(order: PurchaseOrder, around: _Around) -> OrderView:
    supplier = around.suppliers[order.supplier_id]
    return OrderView(
        number=order.number,
        revision=order.revision,
        state=order.state,
        supplier_code=supplier.code,
        supplier_name=supplier.name,
        supplier_email=supplier.email,
        ship_to=around.places[order.location_id].code,
        currency=order.currency,
        total_minor=order.total_minor,
        fingerprint=order.fingerprint,
        need_by_on=order.need_by_on,
        promise_on=order.promise_on,
        note=order.note,
        thread_id=order.thread_id,
        requested_by=around.logins.get(order.requested_by_id or 0, ""),
        created_at=order.created_at,
        approved_at=order.approved_at,
        sent_at=order.sent_at,
        confirmed_at=order.confirmed_at,
        closed_at=order.closed_at,
        is_imported=order.is_imported,
        lines=tuple(around.lines.get(order.id, ())),
        checks=around.checks.get((order.id, order.revision), ()),
        approval=around.approvals.get(order.id),
    )


_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_REVISIONS = select(PurchaseOrderRevision).where(col(PurchaseOrderRevision.order_id).in_(_IDS))
_PENDING = select(Approval).where(
    col(Approval.order_id).in_(_IDS), col(Approval.state) == ApprovalState.PENDING
)
_LINES = (
    select(PurchaseOrderLine, Item, SupplierItem)
    .join(PurchaseOrder, col(PurchaseOrder.id) == col(PurchaseOrderLine.order_id))
    .join(Item, col(Item.id) == col(PurchaseOrderLine.item_id))
    .join(
        SupplierItem,
        (col(SupplierItem.item_id) == col(PurchaseOrderLine.item_id))
        & (col(SupplierItem.supplier_id) == col(PurchaseOrder.supplier_id)),
        isouter=True,
    )
    .where(col(PurchaseOrderLine.order_id).in_(_IDS))
    .order_by(col(PurchaseOrderLine.order_id), col(PurchaseOrderLine.line_number))
    .execution_options(populate_existing=True)
)


def _around(session: Session, orders: Sequence[PurchaseOrder]) -> _Around:
    ids = [order.id for order in orders]
    found = _Around()
    people = {order.requested_by_id for order in orders if order.requested_by_id is not None}
    found.suppliers = loaded(session, Supplier, {order.supplier_id for order in orders})
    found.places = loaded(session, Location, {order.location_id for order in orders})
    users = loaded(session, User, people)
    found.logins = {user_id: user.login for user_id, user in users.items()}
    for revision in session.exec(_REVISIONS, params={"ids": ids}):
        found.checks[revision.order_id, revision.revision] = tuple(
            Check(**check) for check in revision.checks
        )
    for approval in session.exec(_PENDING, params={"ids": ids}):
        found.approvals[approval.order_id] = PendingApproval(
            approval.number, approval.version, approval.required_role, approval.expires_at
        )
    _add_lines(session, orders, found)
    return found


def _add_lines(session: Session, orders: Sequence[PurchaseOrder], found: _Around) -> None:
    rows = _lines(session, orders)
    parts = stored_promises(session, [line.id for line, _, _ in rows])
    for line, item, offer in rows:
        view = _line_view(line, item, offer, parts.get(line.id, ()))
        found.lines.setdefault(line.order_id, []).append(view)


def _lines(
    session: Session, orders: Sequence[PurchaseOrder]
) -> Sequence[tuple[PurchaseOrderLine, Item, SupplierItem | None]]:
    """Return the lines of orders; of one order what this transaction knows of it already."""
    if len(orders) == 1:
        offers = offers_of(session, orders[0])
        known = lines_of(session, orders[0].id)
        return [(line, item, offers.get(item.id)) for line, item in known]
    return session.exec(_LINES, params={"ids": [order.id for order in orders]}).all()


def _line_view(
    line: PurchaseOrderLine, item: Item, offer: SupplierItem | None, parts: Sequence[Promise]
) -> LineView:
    balance = line.ordered_units - line.received_units - line.short_closed_units
    return LineView(
        line=line.line_number,
        sku=item.sku,
        name=item.name,
        supplier_sku=offer.supplier_sku if offer else "",
        uom=item.uom,
        units=line.ordered_units,
        received_units=line.received_units,
        open_units=max(0, balance),
        pack_uom=offer.pack_uom if offer else item.uom,
        pack_units=offer.pack_units if offer else 1,
        unit_price_minor=line.unit_price_minor,
        amount_minor=line.amount_minor,
        promise_on=line.promise_on,
        recommendation_id=line.recommendation_id,
        short_closed_units=line.short_closed_units,
        promises=tuple(spread(parts, max(0, balance))) if parts else (),
    )
