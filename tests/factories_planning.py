"""Orders and contexts for tests of planning, on top of fixture P."""

from datetime import date, timedelta

from sqlmodel import Session

from db.models.catalog import Item
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine
from db.session import Database
from db.types import Actor, OrderState
from tests.conftest import NOW
from tests.factories import WorldP, make_world_p
from tools.clock import Clock, FixedClock
from tools.company import Company
from tools.wrapping import Tool, ToolContext

USD = Company(currency="USD")


def add_order(
    session: Session, world: WorldP, *, number: str = "PO-2001", units: int = 1920,
    state: OrderState = OrderState.DRAFT, item: Item | None = None, promise_on: date | None = None,
    age_days: int = 0, received_units: int = 0, short_closed_units: int = 0,
) -> PurchaseOrder:  # fmt: skip
    """An order of one line with Acme."""
    sold = item or world.widget
    created_at = NOW - timedelta(days=age_days)
    is_sent = state not in (OrderState.DRAFT, OrderState.PENDING_APPROVAL, OrderState.APPROVED)
    order = PurchaseOrder(
        number=number, supplier_id=world.acme.id, location_id=world.main.id, state=state,
        currency="USD", total_minor=units * 780, fingerprint="a" * 64, promise_on=promise_on,
        requested_by_id=world.actors["paul"].user_id, created_at=created_at,
        sent_at=created_at if is_sent else None,
    )  # fmt: skip
    session.add(order)
    session.flush()
    session.add(
        PurchaseOrderLine(
            order_id=order.id, line_number=1, item_id=sold.id, ordered_units=units,
            unit_price_minor=780, amount_minor=units * 780, received_units=received_units,
            short_closed_units=short_closed_units,
        )
    )  # fmt: skip
    session.flush()
    return order


def make_context(
    database: Database, actor: Actor, *, clock: Clock | None = None, company: Company = USD
) -> ToolContext:
    """A tool context at NOW."""
    return ToolContext(database.read, database.write, actor, clock or FixedClock(NOW), company)


class Desk:
    """Fixture P behind its tools: ``ask(tool, **arguments)`` returns the data of the envelope."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.write() as session:
            self.world = make_world_p(session)
        self.context = make_context(database, self.world.actors["paul"])

    def call(self, tool: Tool, **arguments: object) -> dict[str, object]:
        """Return the whole envelope."""
        return tool.call(self.context, arguments)
