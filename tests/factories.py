"""Worlds for tests. ``make_world_p`` is fixture P of the domain page: WIDGET-A at MAIN.

position 540 available + 300 on PO-1042 = 840, demand 100 +- 20 a day, lead time 9 +- 2 days,
reorder point 1,244, order up to 2,644, MOQ 500, multiple 120 -> 1,920 units at 7.80 = 14,976.00.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlmodel import Session

from db.models.catalog import (
    ExchangeRate,
    Item,
    ItemAlias,
    Location,
    PriceBreak,
    Supplier,
    SupplierItem,
)
from db.models.identity import Counter, RoleLimit, User
from db.models.planning import Forecast, ForecastRun, Policy
from db.models.policy import PolicyVersion
from db.models.purchasing import PurchaseOrder, PurchaseOrderLine, Receipt, Shipment, ShipmentEvent
from db.models.stock import StockLevel, StockMovement
from db.types import Actor, AliasKind, DemandClass, MovementKind, OrderState, Role, ShipmentStatus
from tests.conftest import NOW
from tools.audit.core.chain import document_hash
from tools.policy.core.reading import read_policy
from tools.policy.core.writing import with_values
from tools.policy.service import DEFAULT

TODAY = NOW.date()


def make_users(session: Session) -> dict[str, Actor]:
    """One person per role; limits: planner 10,000, approver 12,000, manager 100,000."""
    limits = {Role.VIEWER: 0, Role.PLANNER: 1_000_000, Role.APPROVER: 1_200_000}
    limits |= {Role.MANAGER: 10_000_000, Role.ADMIN: 0, Role.SERVICE: 0}
    session.add_all(
        RoleLimit(role=role, approval_limit_minor=limit) for role, limit in limits.items()
    )
    make_policy(session)
    session.add(Counter(name="purchase_order", value=2000))
    session.add(Counter(name="approval", value=30))
    actors = {}
    people = [("vera", Role.VIEWER), ("paul", Role.PLANNER), ("pia", Role.PLANNER)]
    people += [("anna", Role.APPROVER), ("mona", Role.MANAGER), ("mark", Role.MANAGER)]
    people += [("adam", Role.ADMIN), ("robot", Role.SERVICE)]
    for login, role in people:
        user = User(login=login, name=login.title(), role=role, created_at=NOW)
        session.add(user)
        session.flush()
        actors[login] = Actor(user_id=user.id, login=login, name=user.name, role=role)
    return actors


# The world's policy: an approver's limit of its own, and no rule that is not about limits.
WORLD_POLICY = {
    "approver": '"12000"', "two_person_above": "null", "last_price_percent": "null",
    "last_quantity_times": "null", "forecast_days": "null", "per_supplier": "null",
    "per_requester": "null", "orders_per_hour": "null",
}  # fmt: skip


def make_policy(session: Session, *, version: int = 1, **values: str) -> PolicyVersion:
    """The next version of the policy, with YAML values of other fields than the world has."""
    text = with_values(DEFAULT.read_text(encoding="utf-8"), {**WORLD_POLICY, **values})
    content = {**read_policy(text, currency="USD").content(), "currency": None}
    row = PolicyVersion(
        version=version, text=text, content=content, content_hash=document_hash(content),
        reason="the world begins", created_at=NOW,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def make_location(session: Session, code: str = "MAIN") -> Location:
    """A warehouse."""
    location = Location(code=code, name=f"{code.title()} warehouse")
    session.add(location)
    session.flush()
    return location


def make_item(
    session: Session, sku: str = "WIDGET-A", name: str = "Widget A", *, uom: str = "each",
    unit_cost_minor: int = 780, unit_price_minor: int = 1200, currency: str = "USD",
    category: str = "widgets",
) -> Item:  # fmt: skip
    """An item with its canonical key."""
    item = Item(
        sku=sku,
        sku_key=sku.casefold(),
        name=name,
        uom=uom,
        category=category,
        unit_cost_minor=unit_cost_minor,
        unit_price_minor=unit_price_minor,
        currency=currency,
        created_at=NOW,
    )
    session.add(item)
    session.flush()
    return item


def make_supplier(session: Session, code: str = "ACME", name: str = "Acme") -> Supplier:
    """A supplier that works every day of the week, so that lead times are calendar days."""
    supplier = Supplier(
        code=code, code_key=code.casefold(), name=name, email=f"orders@{code.lower()}.example",
        currency="USD", working_days="1234567",
    )  # fmt: skip
    session.add(supplier)
    session.flush()
    return supplier


def make_receipts(
    session: Session, supplier: Supplier, item: Item, lead_times: list[int], promised_days: int
) -> None:
    """Delivered order lines of the past, one a week, with these lead times."""
    for index, days in enumerate(lead_times):
        ordered_on = TODAY - timedelta(days=40 + 7 * index)
        session.add(
            Receipt(
                reference=f"{supplier.code}-{item.sku}-{index}",
                supplier_id=supplier.id,
                item_id=item.id,
                ordered_on=ordered_on,
                promised_on=ordered_on + timedelta(days=promised_days),
                received_on=ordered_on + timedelta(days=days),
                ordered_units=1000,
                received_units=1000,
                recorded_at=NOW,
            )
        )
    session.flush()


def make_forecast(
    session: Session, item: Item, location: Location, *, mean: float = 100.0, sd: float = 20.0,
    horizon_days: int = 60, demand_class: DemandClass = DemandClass.SMOOTH,
) -> Forecast:  # fmt: skip
    """A flat forecast whose error is independent from day to day."""
    run = ForecastRun(
        started_at=NOW, finished_at=NOW, as_of_on=TODAY - timedelta(days=1),
        horizon_days=horizon_days, series_count=1, data_hash="0" * 64,
    )  # fmt: skip
    session.add(run)
    session.flush()
    days = list(range(1, horizon_days + 1))
    forecast = Forecast(
        run_id=run.id,
        item_id=item.id,
        location_id=location.id,
        model="median",
        demand_class=demand_class,
        horizon_days=horizon_days,
        mean=[mean] * horizon_days,
        total_sd={"days": days, "sd": [sd * day**0.5 for day in days]},
        total_quantiles={},
        adi=1.0,
        cv2=0.04,
        observed_days=365,
        metrics={"wmape": 0.15, "bias": 0.01, "mase": 0.8},
    )
    session.add(forecast)
    session.flush()
    return forecast


@dataclass(frozen=True)
class WorldP:
    """Fixture P: ids and actors that tests need."""

    actors: dict[str, Actor]
    main: Location
    widget: Item
    acme: Supplier
    borealis: Supplier
    open_order: PurchaseOrder


def make_world_p(session: Session) -> WorldP:
    """Build fixture P: WIDGET-A short at MAIN, PO-1042 on its way, two suppliers."""
    actors = make_users(session)
    session.add(ExchangeRate(currency="EUR", rate_micro=1_100_000, updated_at=NOW))
    main = make_location(session)
    widget = make_item(session)
    session.add(ItemAlias(item_id=widget.id, alias="blue widget", alias_key="blue widget"))
    acme = make_supplier(session)
    borealis = make_supplier(session, "BOREALIS", "Borealis")
    _offers(session, widget, acme, borealis)
    make_receipts(session, acme, widget, [7, 11, 7, 11, 9, 7, 11, 7, 11], promised_days=11)
    make_receipts(session, borealis, widget, [15, 27, 15, 27, 21, 15, 27, 15, 27], promised_days=21)
    session.add(
        StockLevel(
            item_id=widget.id, location_id=main.id, on_hand_units=620, allocated_units=80,
            updated_at=NOW,
        )
    )  # fmt: skip
    session.add(_opening(widget, main, 620))
    forecast = make_forecast(session, widget, main)
    session.add(
        Policy(
            item_id=widget.id, location_id=main.id, forecast_id=forecast.id, service_rate=0.95,
            review_period_days=0, cover_days=14,
        )
    )  # fmt: skip
    order = _open_order(session, widget, acme, main, actors["paul"])
    session.flush()
    return WorldP(actors, main, widget, acme, borealis, order)


def _opening(item: Item, place: Location, units: int) -> StockMovement:
    """The movement that the stock of a world began with."""
    return StockMovement(
        item_id=item.id, location_id=place.id, kind=MovementKind.OPENING, units=units,
        occurred_at=NOW - timedelta(days=1), reference=f"opening {item.sku}",
    )  # fmt: skip


def _offers(session: Session, widget: Item, acme: Supplier, borealis: Supplier) -> None:
    offer = SupplierItem(
        supplier_id=acme.id, item_id=widget.id, supplier_sku="AC-77", unit_price_minor=800,
        moq_units=500, order_multiple_units=120, pack_uom="case", pack_units=120,
        quoted_lead_time_days=9, order_cost_minor=35_000, is_preferred=True,
    )  # fmt: skip
    session.add(offer)
    session.flush()
    for least, price in ((1000, 780), (5040, 760)):
        session.add(PriceBreak(supplier_item_id=offer.id, min_units=least, unit_price_minor=price))
    session.add(
        SupplierItem(
            supplier_id=borealis.id, item_id=widget.id, supplier_sku="B-1", unit_price_minor=735,
            moq_units=2000, order_multiple_units=1, quoted_lead_time_days=21, duty_bp=300,
            order_cost_minor=90_000,
        )
    )  # fmt: skip


def _open_order(
    session: Session, widget: Item, acme: Supplier, main: Location, requester: Actor
) -> PurchaseOrder:
    order = PurchaseOrder(
        number="PO-1042", supplier_id=acme.id, location_id=main.id, state=OrderState.CONFIRMED,
        currency="USD", total_minor=300 * 800, fingerprint="f" * 64,
        promise_on=TODAY + timedelta(days=4), requested_by_id=requester.user_id,
        is_imported=True,  # ordered before there was an audit trail
        created_at=NOW - timedelta(days=5), sent_at=NOW - timedelta(days=5),
        confirmed_at=NOW - timedelta(days=4),
    )  # fmt: skip
    session.add(order)
    session.flush()
    session.add(
        PurchaseOrderLine(
            order_id=order.id, line_number=1, item_id=widget.id, ordered_units=300,
            unit_price_minor=800, amount_minor=300 * 800, promise_on=TODAY + timedelta(days=4),
        )
    )  # fmt: skip
    shipment = Shipment(
        number="SH-1", order_id=order.id, carrier="DHL", tracking="JD0001042",
        status=ShipmentStatus.EXCEPTION, eta_on=TODAY + timedelta(days=10), eta_source="carrier",
        shipped_units=300, updated_at=NOW - timedelta(hours=6),
    )  # fmt: skip
    session.add(shipment)
    session.flush()
    session.add(
        ShipmentEvent(
            shipment_id=shipment.id, source_event_id="DHL-1", status=ShipmentStatus.EXCEPTION,
            occurred_at=NOW - timedelta(hours=6), description="held at customs", place="Rotterdam",
        )
    )  # fmt: skip
    return order


def add_gloves(session: Session, world: WorldP) -> dict[str, Item]:
    """Three sizes of gloves by the case of 12 boxes, and wipes that sell by the pallet of 48."""
    medline = make_supplier(session, "MEDLINE", "Medline")
    items = {}
    for sku, name in (
        ("GLOVE-S", "Nitrile gloves small"), ("GLOVE-M", "Nitrile gloves medium"),
        ("GLOVE-L", "Nitrile gloves large"), ("WIPES", "Surface wipes"),
    ):  # fmt: skip
        item = make_item(session, sku, name, uom="box", unit_cost_minor=400, category="care")
        is_wipes = sku == "WIPES"
        session.add(
            SupplierItem(
                supplier_id=medline.id, item_id=item.id, supplier_sku=f"M-{sku}",
                unit_price_minor=400, moq_units=0, order_multiple_units=48 if is_wipes else 12,
                pack_uom="pallet" if is_wipes else "case", pack_units=48 if is_wipes else 12,
                quoted_lead_time_days=5, is_preferred=True,
            )
        )  # fmt: skip
        session.add(
            StockLevel(
                item_id=item.id, location_id=world.main.id, on_hand_units=200, updated_at=NOW
            )
        )
        session.add(_opening(item, world.main, 200))
        forecast = make_forecast(session, item, world.main, mean=3.0, sd=2.0)
        session.add(Policy(item_id=item.id, location_id=world.main.id, forecast_id=forecast.id))
        session.add(
            ItemAlias(
                item_id=item.id, alias=f"M-{sku}", alias_key=f"m-{sku}".casefold(),
                kind=AliasKind.SUPPLIER_SKU,
            )
        )  # fmt: skip
        items[sku] = item
    session.flush()
    return items


def day(offset: int) -> date:
    """Return today plus some days."""
    return TODAY + timedelta(days=offset)
