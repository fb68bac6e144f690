"""Put checked rows where nobody sees them yet; set aside those that do not fit what is stored."""

from datetime import date
from operator import itemgetter
from typing import Any

from sqlmodel import Session

from db.bulk import bulk_add, bulk_insert
from db.models.ingestion import StagedRow
from db.models.stock import Demand
from db.types import OrderState
from tools.catalog import service as catalog
from tools.catalog.core import text_key
from tools.intake.core.kinds import Values, price_breaks
from tools.intake.core.rows import BadRow, GoodRow
from tools.intake.service.desk import Batch, Desk, KnownTerms
from tools.intake.service.lookup import location_id

_ENDED = (OrderState.CANCELLED, OrderState.CLOSED, OrderState.SHORT_CLOSED, OrderState.REJECTED)
_OURS = "is an order made here; record what arrived with: quartermaster receive"


def stage(session: Session, desk: Desk, batch: Batch) -> tuple[int, list[BadRow]]:
    """Store good rows where nobody sees them yet; return how many, and those that do not fit."""
    if desk.kind.name == "sales":
        return _stage_sales(session, desk, batch)
    return _stage_master(session, desk, batch)


def _stage_sales(session: Session, desk: Desk, batch: Batch) -> tuple[int, list[BadRow]]:
    # Looked up once more under the lock: another import may have created them meanwhile.
    wanted = batch.named.keys() - desk.items.keys()
    desk.items |= catalog.known_items(session, wanted)
    unknown = {key: batch.named[key] for key in sorted(wanted) if key not in desk.items}
    if unknown:
        desk.items |= catalog.add_new_items(session, unknown, currency=desk.currency, at=desk.at)
        desk.count("new_items", len(unknown))
    places = {code: location_id(session, desk, code) for code in batch.texts("location")}
    rows = [
        {"item_id": desk.items[key[0]], "location_id": places[key[1]], "on": key[2],
         "load_id": desk.load.id, "units": units, "returned_units": batch.returned.get(key, 0)}
        for key, units in batch.sold.items()
        if places[key[1]] is not None
    ]  # fmt: skip
    rows.sort(key=itemgetter("item_id"))
    key = ("item_id", "location_id", "on", "load_id")
    bulk_add(session, Demand, rows, key=key, amounts=("units", "returned_units"))
    if None not in places.values():
        return len(batch.rows), []
    bad = [
        BadRow(number, "location", "is no known location", values["location"])
        for number, values in batch.rows
        if places[values["location"]] is None
    ]
    return len(batch.rows) - len(bad), bad


def _stage_master(session: Session, desk: Desk, batch: Batch) -> tuple[int, list[BadRow]]:
    good: list[dict[str, Any]] = []
    bad: list[BadRow] = []
    for row in batch.rows:
        ids: dict[str, int] = {}
        problem = _misfit(session, desk, row, ids)
        if problem is None:
            content = _content(row.values) | ids
            good.append({"load_id": desk.load.id, "row_number": row.number, "content": content})
        else:
            bad.append(BadRow(row.number, *problem))
    bulk_insert(session, StagedRow, good)
    return len(good), bad


def _content(values: Values) -> dict[str, Any]:
    """What is kept of a row: JSON values, price breaks in one."""
    content = {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in values.items()
        if not name.startswith("break")
    }
    return content | {"price_breaks": price_breaks(values)} if "price_breaks" in values else content


def _misfit(
    session: Session, desk: Desk, row: GoodRow, ids: dict[str, int]
) -> tuple[str, str, str] | None:
    """Why a row does not fit what is stored: field, reason, value; fills in the ids it names."""
    values, kind = row.values, desk.kind.name
    if kind == "items":
        return None
    if values["sku"]:
        item_id = desk.items.get(values["sku"][1])
        if item_id is None:
            return "sku", "is no known item; load items first", values["sku"][0]
        ids["item_id"] = item_id
    if kind == "suppliers":
        return _misfit_terms(desk, values, ids)
    if kind == "orders":
        return _misfit_order(session, desk, values, ids)
    return _misfit_place(session, desk, values, ids)


def _misfit_place(
    session: Session, desk: Desk, values: Values, ids: dict[str, int]
) -> tuple[str, str, str] | None:
    place = location_id(session, desk, values["location"])
    if place is None:
        return "location", "is no known location", values["location"]
    ids["location_id"] = place
    return None


def _misfit_terms(desk: Desk, values: Values, ids: dict[str, int]) -> tuple[str, str, str] | None:
    if "item_id" not in ids:
        return None
    key = (values["code"][1], ids["item_id"])
    known = desk.terms.get(key)
    if known is None and values["unit_price"] is None:
        return "unit_price", "is empty; an item's terms need a price", ""
    moq = values["moq"] if values["moq"] is not None else known.moq_units if known else 0
    most = values["max_units"] or (known.max_units if known else None)
    if most is not None and most < moq:
        return "max_units", f"would be {most:,}, below the minimum order of {moq:,}", ""
    if known is None and values["lead_time_days"] is None:
        desk.count("assumed_lead_times", 1)
    desk.terms[key] = KnownTerms(moq, most)
    return None


def _misfit_order(
    session: Session, desk: Desk, values: Values, ids: dict[str, int]
) -> tuple[str, str, str] | None:
    supplier_id = desk.suppliers.get(values["supplier"])
    if supplier_id is None:
        return "supplier", "is no known supplier", values["supplier"]
    ids["supplier_id"] = supplier_id
    key = text_key(values["number"])
    stored = desk.orders.get(key)
    if stored is not None and not values["location"]:
        ids["location_id"] = stored.location_id
    elif problem := _misfit_place(session, desk, values, ids):
        return problem
    expected = (stored.supplier_id, stored.location_id) if stored else desk.heads.get(key)
    if expected is not None and expected[0] != supplier_id:
        return "supplier", "is not the supplier of this order's other rows", values["supplier"]
    if expected is not None and expected[1] != ids["location_id"]:
        return "location", "is not the location of this order's other rows", values["location"]
    if stored is None:
        desk.heads[key] = (supplier_id, ids["location_id"])
        return None
    ids["order_id"] = stored.id
    return _misfit_update(desk, values, ids)


def _misfit_update(desk: Desk, values: Values, ids: dict[str, int]) -> tuple[str, str, str] | None:
    """Why a row cannot change the stored order that it names."""
    number = values["number"]
    stored = desk.orders[text_key(number)]
    if not stored.is_imported:
        return "number", _OURS, number
    if stored.state in _ENDED:
        return "number", f"is an order that is {stored.state.value} already", number
    if ids["item_id"] not in stored.lines:
        return "sku", "is not in this order as it was imported before", values["sku"][0]
    ordered, received = stored.lines[ids["item_id"]]
    if values["quantity"] != ordered:
        reason = f"is not the {ordered:,} of the import before; quantities are not changed"
        return "quantity", reason, str(values["quantity"])
    if values["received"] < received:
        return "received", f"is less than the {received:,} stored", str(values["received"])
    return None
