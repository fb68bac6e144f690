"""The demo shop's open orders, what arrived of them, and what the carrier says."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from sqlmodel import Session, col, func, select

from db.demo import shop
from db.models.purchasing import (
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderRevision,
    Receipt,
    Shipment,
    ShipmentEvent,
)
from db.types import OrderState, ShipmentStatus

DEMO_NOW = datetime(2011, 12, 9, 7, 30, tzinfo=UTC)  # a Friday morning
CURRENCY = "GBP"
Row = dict[Any, Any]


def add_orders(
    session: Session, lines: pd.DataFrame, item_ids: Mapping[str, int],
    supplier_ids: Mapping[str, int], location_id: int, planner_id: int,
) -> None:  # fmt: skip
    """Add the open orders with their revisions, receipts and shipments."""
    for spec in shop.OPEN_ORDERS:
        own = [dict(row) for row in lines[lines["number"] == spec.number].to_dict("records")]
        order = _order(spec, own, supplier_ids[spec.supplier], location_id, planner_id)
        session.add(order)
        session.flush()
        session.add(
            PurchaseOrderRevision(
                order_id=order.id, revision=1, content=_content(spec, own),
                fingerprint=order.fingerprint, created_by_id=planner_id,
                created_at=order.created_at,
            )
        )  # fmt: skip
        _add_lines(session, order, own, item_ids)
    _add_shipments(session)


def _order(
    spec: shop.OpenOrder, rows: list[Row], supplier_id: int, location_id: int, planner_id: int
) -> PurchaseOrder:
    sent_at = DEMO_NOW - timedelta(days=spec.sent_days_ago)
    due = spec.promised_in_days
    canonical = json.dumps(_content(spec, rows), sort_keys=True, separators=(",", ":"))
    return PurchaseOrder(
        number=spec.number, supplier_id=supplier_id, location_id=location_id,
        state=OrderState(spec.state), currency=CURRENCY,
        total_minor=sum(row["units"] * row["unit_price_minor"] for row in rows),
        fingerprint=hashlib.sha256(canonical.encode()).hexdigest(),
        promise_on=None if due is None else shop.days_from_now(due),
        requested_by_id=planner_id, is_imported=True, created_at=sent_at, approved_at=sent_at,
        sent_at=sent_at, confirmed_at=None if due is None else sent_at + timedelta(days=1),
    )  # fmt: skip


def _content(spec: shop.OpenOrder, rows: list[Row]) -> dict[str, Any]:
    lines = [[row["sku"], row["units"], row["unit_price_minor"]] for row in rows]
    return {
        "number": spec.number, "supplier": spec.supplier, "currency": CURRENCY, "lines": lines,
    }  # fmt: skip


def _add_lines(
    session: Session, order: PurchaseOrder, rows: list[Row], item_ids: Mapping[str, int]
) -> None:
    for number, row in enumerate(rows, start=1):
        line = PurchaseOrderLine(
            order_id=order.id, line_number=number, item_id=item_ids[row["sku"]],
            ordered_units=row["units"], unit_price_minor=row["unit_price_minor"],
            amount_minor=row["units"] * row["unit_price_minor"],
            received_units=row["received_units"], promise_on=order.promise_on,
        )  # fmt: skip
        session.add(line)
        session.flush()
        if line.received_units and order.sent_at:
            session.add(
                Receipt(
                    reference=f"{order.number}-{number}-1", supplier_id=order.supplier_id,
                    order_line_id=line.id, item_id=line.item_id, ordered_on=order.sent_at.date(),
                    promised_on=order.promise_on, received_on=shop.days_from_now(-2),
                    ordered_units=line.ordered_units, received_units=line.received_units,
                    recorded_at=DEMO_NOW - timedelta(days=2),
                )
            )  # fmt: skip


# number, carrier, tracking, status, ETA in days, then (hours ago, status, description, place).
_Report = tuple[int, ShipmentStatus, str, str]
_SHIPMENTS: tuple[tuple[str, str, str, ShipmentStatus, int, tuple[_Report, ...]], ...] = (
    (
        "PO-1036", "Parcelway", "PW1036001", ShipmentStatus.EXCEPTION, 6,
        (
            (360, ShipmentStatus.IN_TRANSIT, "left the supplier", "Rotterdam"),
            (41, ShipmentStatus.EXCEPTION, "held at customs, papers missing", "Felixstowe"),
        ),
    ),
    (
        "PO-1042", "Parcelway", "PW1042001", ShipmentStatus.IN_TRANSIT, 3,
        (
            (66, ShipmentStatus.INFO_RECEIVED, "label made", "Leeds"),
            (18, ShipmentStatus.IN_TRANSIT, "on the way", "Sheffield"),
        ),
    ),
)  # fmt: skip


def _add_shipments(session: Session) -> None:
    for number, carrier, tracking, status, eta_days, reports in _SHIPMENTS:
        order = session.exec(select(PurchaseOrder).where(PurchaseOrder.number == number)).one()
        units = session.exec(
            select(func.sum(col(PurchaseOrderLine.ordered_units))).where(
                PurchaseOrderLine.order_id == order.id
            )
        ).one()
        shipment = Shipment(
            number=f"SH-{number[3:]}", order_id=order.id, carrier=carrier, tracking=tracking,
            status=status, eta_on=shop.days_from_now(eta_days), eta_source="carrier",
            shipped_units=int(units or 0), updated_at=DEMO_NOW - timedelta(hours=reports[-1][0]),
        )  # fmt: skip
        session.add(shipment)
        session.flush()
        for index, (hours, state, text, place) in enumerate(reports, start=1):
            session.add(
                ShipmentEvent(
                    shipment_id=shipment.id, source_event_id=f"{tracking}-{index}", status=state,
                    occurred_at=DEMO_NOW - timedelta(hours=hours), description=text, place=place,
                )
            )  # fmt: skip
