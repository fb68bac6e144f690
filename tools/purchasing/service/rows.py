"""Rows of an order: load, describe, step. Every step is a compare-and-set with its audit row."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, update
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location, Supplier, SupplierItem
from db.models.purchasing import (
    Approval,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderRevision,
)
from db.once import compare_and_set, fresh, once
from db.types import Actor, ApprovalState, OrderState
from tools.audit import service as audit
from tools.clock import Clock
from tools.company import Company
from tools.errors import NotFound, Stale
from tools.purchasing.core.content import Content, ContentLine, Delivery, document, fingerprint
from tools.purchasing.core.states import check_step
from tools.purchasing.core.views import Check
from tools.reach.service import orders_here

OrderLine = tuple[PurchaseOrderLine, Item]
RESTORED = "order.restored"  # came back from a backup unsent


def today(clock: Clock, company: Company) -> date:
    """Return the company's date."""
    return clock.now().astimezone(ZoneInfo(company.timezone)).date()


# Built once: a decision reads these several times, and building costs as much as asking.
_APPROVAL = (
    select(Approval)
    .where(col(Approval.number) == bindparam("number"))
    .execution_options(populate_existing=True)
)
_LINES = (
    select(PurchaseOrderLine, Item)
    .join(Item, col(Item.id) == col(PurchaseOrderLine.item_id))
    .where(col(PurchaseOrderLine.order_id) == bindparam("order_id"))
    .order_by(col(PurchaseOrderLine.line_number))
    .execution_options(populate_existing=True)
)
_OFFERS = (
    select(SupplierItem)
    .join(PurchaseOrderLine, col(PurchaseOrderLine.item_id) == col(SupplierItem.item_id))
    .where(
        col(SupplierItem.supplier_id) == bindparam("supplier_id"),
        col(PurchaseOrderLine.order_id) == bindparam("order_id"),
    )
    .execution_options(populate_existing=True)
)
_REVISION = select(PurchaseOrderRevision).where(
    col(PurchaseOrderRevision.order_id) == bindparam("order_id"),
    col(PurchaseOrderRevision.revision) == bindparam("revision"),
)


def load(session: Session, number: str) -> PurchaseOrder:
    """Return an order by its public number, as the database has it now.

    Raises:
        NotFound: There is none that this session may see; ``details['recent']`` lists the newest
            numbers.
    """
    wanted = number.strip().upper()
    wanted = f"PO-{wanted}" if wanted.isdigit() else wanted
    order = session.exec(
        select(PurchaseOrder)
        .where(PurchaseOrder.number == wanted, *orders_here(session))
        .execution_options(populate_existing=True)
    ).one_or_none()
    if order is not None:
        return order
    newest = (
        select(PurchaseOrder.number)
        .where(*orders_here(session))
        .order_by(col(PurchaseOrder.id).desc())
        .limit(5)
    )
    recent = list(session.exec(newest))
    raise NotFound(
        f"there is no order {number!r}",
        next_step="Give the number of an order, such as PO-2001, or list the orders.",
        details={"recent": recent},
    )


def find_approval(session: Session, number: str) -> Approval | None:
    """Return a request by its public number, as the database has it now."""
    return once(
        session,
        (Approval, number),
        lambda: session.exec(_APPROVAL, params={"number": number}).one_or_none(),
        of=(Approval,),
    )


def lines_of(session: Session, order_id: int) -> list[OrderLine]:
    """Return the lines of an order with their items, in order."""
    return once(
        session,
        ("lines", order_id),
        lambda: list(session.exec(_LINES, params={"order_id": order_id}).all()),
        of=(PurchaseOrderLine, Item),
    )


def content_of(session: Session, order: PurchaseOrder) -> Content:
    """Return what the order says, from the rows as they stand."""
    supplier = fresh(session, Supplier, order.supplier_id)
    place = fresh(session, Location, order.location_id)
    offers = offers_of(session, order)
    return Content(
        number=order.number,
        revision=order.revision,
        supplier_code=supplier.code,
        supplier_name=supplier.name,
        supplier_email=supplier.email,
        ship_to=place.code,
        currency=order.currency,
        need_by=order.need_by_on,
        lines=tuple(
            _content_line(line, item, offers.get(item.id))
            for line, item in lines_of(session, order.id)
        ),
        delivery=Delivery(
            supplier.delivery_channel, supplier.delivery_address, supplier.delivery_format.value
        ),
    )


def offers_of(session: Session, order: PurchaseOrder) -> dict[int, SupplierItem]:
    """Return how the supplier calls and packs the items of an order, by item."""
    asked = {"order_id": order.id, "supplier_id": order.supplier_id}
    return once(
        session,
        ("offers", order.id, order.supplier_id),
        lambda: {offer.item_id: offer for offer in session.exec(_OFFERS, params=asked)},
        of=(SupplierItem, PurchaseOrderLine),
    )


def _content_line(line: PurchaseOrderLine, item: Item, offer: SupplierItem | None) -> ContentLine:
    return ContentLine(
        sku=item.sku,
        name=item.name,
        supplier_sku=offer.supplier_sku if offer else "",
        uom=item.uom,
        units=line.ordered_units,
        pack_uom=offer.pack_uom if offer else item.uom,
        pack_units=offer.pack_units if offer else 1,
        unit_price_minor=line.unit_price_minor,
    )


def step(
    session: Session,
    order: PurchaseOrder,
    to: OrderState,
    *,
    actor: Actor,
    action: str,
    at: datetime,
    reason: str = "",
    meaning: str = "",
    told: dict[str, Any] | None = None,
    **values: Any,
) -> None:
    """Move an order to its next state, if it still is where it was seen, and tell the trail.

    Args:
        session: The transaction.
        order: The order as it was seen.
        to: The next state.
        actor: Who moves it.
        action: What the trail calls it, such as ``order.sent``.
        at: When.
        reason: Why, in the actor's words.
        meaning: What the actor's signature means.
        told: More that the trail should know.
        **values: Columns that change with the state.

    Raises:
        Conflict: The life of an order has no such step.
        Stale: Somebody else moved or revised it meanwhile.
    """
    seen, revision = order.state, order.revision
    check_step(order.number, now=seen, to=to)
    as_seen = (col(PurchaseOrder.state) == seen, col(PurchaseOrder.revision) == revision)
    if not compare_and_set(session, order, *as_seen, state=to, **values):
        session.refresh(order)
        raise stale(order)
    audit.append(
        session,
        at=at,
        actor=actor,
        action=action,
        object_id=order.number,
        before={"state": seen.value, "revision": revision},
        after={"state": to.value, "revision": order.revision, **(told or {})},
        meaning=meaning,
        reason=reason,
    )


def stale(order: PurchaseOrder) -> Stale:
    """Return the refusal that the order is not what the caller saw."""
    return Stale(
        f"order {order.number!r} changed meanwhile: it is revision {order.revision} and "
        f"{order.state.value!r}",
        next_step="Look at the current revision and decide again.",
        details={"current_revision": order.revision, "state": order.state.value},
    )


def write_revision(
    session: Session,
    order: PurchaseOrder,
    *,
    content: Content,
    checks: Sequence[Check],
    actor: Actor,
    at: datetime,
    reason: str,
) -> None:
    """Keep what this revision says, for good."""
    session.add(
        PurchaseOrderRevision(
            order_id=order.id,
            revision=content.revision,
            content=document(content),
            fingerprint=fingerprint(content),
            reason=reason[:500],
            checks=[check.as_json() for check in checks],
            created_by_id=actor.user_id,
            created_at=at,
        )
    )
    session.flush()


def revision_of(session: Session, order: PurchaseOrder) -> PurchaseOrderRevision:
    """Return the current revision's record."""
    asked = {"order_id": order.id, "revision": order.revision}
    return once(
        session,
        ("revision", order.id, order.revision),
        lambda: session.exec(_REVISION, params=asked).one(),
        of=(PurchaseOrderRevision,),
    )


def void_approvals(session: Session, order: PurchaseOrder) -> list[str]:
    """Take every open or unspent approval of an order away; returns their numbers.

    An approval is spent when its order was sent, so this is only for orders that were not.
    """
    live = (ApprovalState.PENDING, ApprovalState.APPROVED)
    rows = session.exec(
        select(Approval).where(Approval.order_id == order.id, col(Approval.state).in_(live))
    ).all()
    statement = (
        update(Approval)
        .where(col(Approval.order_id) == order.id, col(Approval.state).in_(live))
        .values(state=ApprovalState.VOID, version=Approval.version + 1)
        .execution_options(synchronize_session=False)
    )
    session.execute(statement)
    for row in rows:
        session.refresh(row)
    return [row.number for row in rows]


def was_restored(session: Session, order: PurchaseOrder) -> bool:
    """Whether this revision came back from a backup unsent: it may have left since then."""
    told = audit.told(session, action=RESTORED, object_id=order.number)
    return told is not None and told.get("revision") == order.revision


def pending_approval(session: Session, order_id: int) -> Approval | None:
    """Return the open request of an order."""
    return session.exec(
        select(Approval)
        .where(Approval.order_id == order_id, Approval.state == ApprovalState.PENDING)
        .execution_options(populate_existing=True)
    ).one_or_none()
