"""Load the packaged demo shop: real sales and delivery records, generated everything else.

The whole shop is one transaction. A database that already holds it is left as it is.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from importlib.resources import files
from typing import Protocol

import numpy as np
import pandas as pd
from sqlmodel import Session, func, select

from db.bulk import bulk_insert
from db.demo import shop
from db.demo.orders import DEMO_NOW, add_orders
from db.demo.suppliers import SUPPLIERS
from db.models.catalog import (
    Item,
    ItemAlias,
    Location,
    PriceBreak,
    Supplier,
    SupplierItem,
)
from db.models.identity import Counter, RoleLimit, User
from db.models.ingestion import Load
from db.models.planning import Policy
from db.models.purchasing import Receipt
from db.models.stock import Demand, StockLevel, StockMovement
from db.session import Database
from db.types import AliasKind, LoadState, MovementKind, Role

CURRENCY = "GBP"
__all__ = ["DEMO_NOW", "DemoSummary", "NotEmpty", "seed_demo"]

Progress = Callable[[int, int], None]
_STEPS = 6

GENERATED = (
    "The five people (pat, anna, mona, adam, vera) and the approval limits of their roles.",
    "The ten suppliers' names, quoted lead times, minimum orders, case sizes and price breaks; "
    "costs are about 60 % of the real median price.",
    "The dates of the delivery records: the lead times and lateness are those of real SCMS order "
    "lines, scaled to each supplier's quoted lead time and spread over the year; "
    "the quantities are SCMS quantities and belong to no item of the shop.",
    "Stock on hand and allocations on the morning of 9 December 2011.",
    "The nine open orders PO-1036 to PO-1044, their shipments and the carrier's reports.",
    "The supplier's note, the categories, the ABC and XYZ classes and the service targets; "
    "Christmas goods are marked as phased out.",
)


class NotEmpty(RuntimeError):
    """The database already holds another company's data; the demo would mix with it."""


class HasNow(Protocol):
    """Anything that tells the time."""

    def now(self) -> datetime:
        """Return an aware UTC datetime."""
        ...


@dataclass(frozen=True)
class DemoSummary:
    """What the demo holds, and which part of it is generated."""

    items: int
    days: int
    sales_rows: int
    suppliers: int
    generated: tuple[str, ...]
    as_of: datetime


def seed_demo(
    database: Database, *, clock: HasNow, progress: Progress | None = None
) -> DemoSummary:
    """Load the demo shop in one transaction; a second call only describes it again.

    Args:
        database: An empty, migrated database, or one that holds the demo.
        clock: Says when it was loaded; the shop's own morning is always ``DEMO_NOW``.
        progress: Called with (steps done, steps).

    Raises:
        NotEmpty: The database holds other items.
    """
    step = progress or (lambda _done, _total: None)
    package = shop.read_package()
    sales = package.sales
    summary = DemoSummary(
        items=len(package.items),
        days=(sales["on"].max() - sales["on"].min()).days + 1,
        sales_rows=len(sales),
        suppliers=len(SUPPLIERS),
        generated=GENERATED,
        as_of=DEMO_NOW,
    )
    with database.write() as session:
        if session.exec(select(Load.id).where(Load.kind == "demo")).first() is not None:
            return summary
        if session.exec(select(func.count()).select_from(Item)).one():
            raise NotEmpty("the database already holds items; load the demo into an empty one")
        _fill(session, package, summary, clock.now(), step)
    return summary


def _fill(
    session: Session, package: shop.Package, summary: DemoSummary, loaded_at: datetime,
    step: Progress,
) -> None:  # fmt: skip
    items = shop.shop_items(package)
    delivered = shop.receipts(package.deliveries)
    step(1, _STEPS)
    planner_id = _add_people(session)
    location = Location(code="MAIN", name="Main warehouse", timezone="Europe/London")
    session.add(location)
    session.flush()
    step(2, _STEPS)
    supplier_ids = _add_suppliers(session, delivered)
    item_ids = _add_items(session, items)
    _add_terms(session, items, item_ids, supplier_ids)
    step(3, _STEPS)
    _add_sales(session, package.sales, item_ids, location.id, _demo_load(summary, loaded_at))
    step(4, _STEPS)
    position, groups = shop.opening_position(items, package.levels)
    lines = shop.order_lines(items, groups)
    add_orders(session, lines, item_ids, supplier_ids, location.id, planner_id)
    step(5, _STEPS)
    _add_stock(session, items.assign(position=position, group=groups), lines, item_ids, location.id)
    _add_policies(session, items, item_ids, location.id)
    step(6, _STEPS)


def _add_people(session: Session) -> int:
    limits = {Role.VIEWER: 0, Role.PLANNER: 50_000, Role.APPROVER: 250_000}
    limits |= {Role.MANAGER: 2_500_000, Role.ADMIN: 0, Role.SERVICE: 0}
    bulk_insert(
        session, RoleLimit, [{"role": r, "approval_limit_minor": m} for r, m in limits.items()]
    )
    people = [("pat", Role.PLANNER), ("anna", Role.APPROVER), ("mona", Role.MANAGER)]
    people += [("adam", Role.ADMIN), ("vera", Role.VIEWER)]
    users = [User(login=p, name=p.title(), role=role, created_at=DEMO_NOW) for p, role in people]
    session.add_all(users)
    session.add_all(
        [Counter(name="purchase_order", value=2000), Counter(name="approval", value=30)]
    )
    session.flush()
    return users[0].id


def _add_suppliers(session: Session, delivered: pd.DataFrame) -> dict[str, int]:
    note = (
        "We close for the holidays from 24 December to 2 January. "
        "Orders received after 14 December leave in the new year."
    )
    rows = [
        Supplier(
            code=s.code, code_key=s.code.casefold(), name=s.name, currency=CURRENCY,
            email=f"orders@{s.code.lower()}.example", working_days="12345",
            min_order_value_minor=s.min_order_value_minor,
            notes=note if s.code == "CALDER" else "",
        )
        for s in SUPPLIERS
    ]  # fmt: skip
    session.add_all(rows)
    session.flush()
    ids = {row.code: row.id for row in rows}
    bulk_insert(
        session,
        Receipt,
        [
            {
                "reference": row["reference"], "supplier_id": ids[row["supplier"]],
                "ordered_on": row["ordered_on"], "promised_on": row["promised_on"],
                "received_on": row["received_on"], "ordered_units": row["units"],
                "received_units": row["units"], "rejected_units": 0, "recorded_at": DEMO_NOW,
            }
            for row in delivered.to_dict("records")
        ],
    )  # fmt: skip
    return ids


def _add_items(session: Session, items: pd.DataFrame) -> dict[str, int]:
    records = items.to_dict("records")
    bulk_insert(
        session,
        Item,
        [
            {
                "sku": row["sku"], "sku_key": row["sku"].casefold(), "name": row["name"],
                "uom": "each", "category": row["category"], "status": row["status"],
                "abc": row["abc"], "xyz": row["xyz"],
                "unit_cost_minor": row["cost_minor"], "unit_price_minor": row["price_minor"],
                "currency": CURRENCY, "created_at": DEMO_NOW,
            }
            for row in records
        ],
    )  # fmt: skip
    ids = dict(session.exec(select(Item.sku, Item.id)).all())
    numbers = [(row["sku"], _supplier_sku(row["supplier"], row["sku"])) for row in records]
    bulk_insert(
        session,
        ItemAlias,
        [
            {"item_id": ids[sku], "alias": number, "alias_key": number.casefold(),
             "kind": AliasKind.SUPPLIER_SKU}
            for sku, number in numbers
        ],
    )  # fmt: skip
    return ids


def _supplier_sku(supplier: str, sku: str) -> str:
    return f"{supplier[:3]}-{sku}"


def _add_terms(
    session: Session, items: pd.DataFrame, item_ids: Mapping[str, int],
    supplier_ids: Mapping[str, int],
) -> None:  # fmt: skip
    quoted = {s.code: s.lead_time_days for s in SUPPLIERS}
    offers = []
    for row in items.to_dict("records"):
        for code, cost in ((row["supplier"], "cost_minor"), (row["second"], "second_cost_minor")):
            if code:
                offers.append(
                    {
                        "supplier_id": supplier_ids[code], "item_id": item_ids[row["sku"]],
                        "supplier_sku": _supplier_sku(code, row["sku"]),
                        "unit_price_minor": row[cost], "moq_units": row["moq_units"],
                        "order_multiple_units": row["pack_units"], "pack_uom": "case",
                        "pack_units": row["pack_units"], "quoted_lead_time_days": quoted[code],
                        "order_cost_minor": 1500, "is_preferred": code == row["supplier"],
                    }
                )  # fmt: skip
    bulk_insert(session, SupplierItem, offers)
    stored = session.exec(
        select(SupplierItem.id, SupplierItem.unit_price_minor, SupplierItem.moq_units)
    )
    breaks = [
        {"supplier_item_id": key, "min_units": least, "unit_price_minor": price}
        for key, cost, moq in stored
        for least, price in shop.price_breaks(cost, moq)
    ]
    bulk_insert(session, PriceBreak, breaks)


def _demo_load(summary: DemoSummary, loaded_at: datetime) -> Load:
    digest = hashlib.sha256()
    for name in shop.PARTS:
        digest.update((files("db.demo") / f"{name}.parquet").read_bytes())
    return Load(
        kind="demo", file_name="packaged demo data", content_hash=digest.hexdigest(),
        state=LoadState.PUBLISHED, rows_read=summary.sales_rows, rows_good=summary.sales_rows,
        started_at=DEMO_NOW, finished_at=DEMO_NOW,
        report={
            "clock": DEMO_NOW.isoformat(), "loaded_at": loaded_at.isoformat(),
            "generated": list(GENERATED),
        },
    )  # fmt: skip


def _add_sales(
    session: Session, sales: pd.DataFrame, item_ids: Mapping[str, int], location_id: int, load: Load
) -> None:
    session.add(load)
    session.flush()
    rows = zip(
        sales["sku"].map(item_ids).tolist(), sales["on"].tolist(),
        sales["units"].tolist(), sales["returned_units"].tolist(), strict=True,
    )  # fmt: skip
    bulk_insert(
        session,
        Demand,
        [
            {"item_id": item_id, "location_id": location_id, "on": on, "load_id": load.id,
             "units": units, "returned_units": returned, "is_in_stock": True, "flag": ""}
            for item_id, on, units, returned in rows
        ],
    )  # fmt: skip


def _add_stock(
    session: Session, items: pd.DataFrame, lines: pd.DataFrame, item_ids: Mapping[str, int],
    location_id: int,
) -> None:  # fmt: skip
    random = np.random.default_rng(shop.SEED + 2)
    on_order = (lines["units"] - lines["received_units"]).groupby(lines["sku"]).sum()
    opened_at = datetime.combine(shop.LAST_DAY, time(20), tzinfo=UTC)
    levels, movements = [], []
    for row in items.to_dict("records"):
        allocated = int(row["demand_mean"] * random.uniform(0, 2)) if random.random() < 0.4 else 0
        on_hand = int(row["position"]) + allocated - int(on_order.get(row["sku"], 0))
        keys = {"item_id": item_ids[row["sku"]], "location_id": location_id}
        on_hand = max(on_hand, 0)
        levels.append(
            keys | {"on_hand_units": on_hand, "allocated_units": min(allocated, on_hand),
                    "backordered_units": 0, "updated_at": DEMO_NOW}
        )  # fmt: skip
        if on_hand:
            movements.append(
                keys | {"kind": MovementKind.OPENING, "units": on_hand, "occurred_at": opened_at,
                        "reference": f"opening {row['sku']}"}
            )  # fmt: skip
    bulk_insert(session, StockLevel, levels)
    bulk_insert(session, StockMovement, movements)


def _add_policies(
    session: Session, items: pd.DataFrame, item_ids: Mapping[str, int], location_id: int
) -> None:
    rates = {"A": 0.97, "B": 0.95, "C": 0.90}
    bulk_insert(
        session,
        Policy,
        [
            {"item_id": item_ids[sku], "location_id": location_id, "service_rate": rates[abc]}
            for sku, abc in zip(items["sku"], items["abc"], strict=True)
        ],
    )
