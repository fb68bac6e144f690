"""Reads everything about some items, or all, in a fixed number of queries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import Session, col, select

from db.models.catalog import Item, Location, Supplier
from db.models.demand import DemandEvent
from db.models.planning import Forecast, ForecastRun, Policy
from db.types import EventKind, ItemStatus
from tools.cases.core import Case, Outlook, Settings, closed_days
from tools.clock import Clock
from tools.company import Company
from tools.offers.core import LeadTime, Offer
from tools.offers.service import DeliveryHistory, offer_lead_time, offers_by_item
from tools.planning_inputs.core.classes import service_rate_for
from tools.positions.core import StockPosition
from tools.positions.service import Pair, positions_by_pair

_BOUGHT = (ItemStatus.NEW, ItemStatus.ACTIVE)


def today_of(clock: Clock, company: Company) -> date:
    """Return the current day in the company's time zone."""
    return day_in_company(clock.now(), company)


def day_in_company(at: datetime, company: Company) -> date:
    """Return the day of an instant in the company's time zone."""
    return at.astimezone(ZoneInfo(company.timezone)).date()


def cases(
    session: Session, today: date, item_ids: list[int] | None, location_id: int | None
) -> list[Case]:
    """Read everything about some items (all by default) in a fixed number of queries."""
    items = _items(session, item_ids)
    locations = {place.id: place for place in session.exec(select(Location))}
    found = positions_by_pair(session, location_id, item_ids=item_ids, as_of=today)
    policies = policies_by_pair(session, item_ids, location_id)
    outlooks = _outlooks(session, item_ids, location_id)
    offers = with_closed_days(session, offers_by_item(session, item_ids), today)
    room = free_units(session, locations.values(), items, today)
    suppliers = None if item_ids is None else {o.supplier_id for s in offers.values() for o in s}
    history = DeliveryHistory(session, suppliers)
    pairs = found.keys() | policies.keys() | outlooks.keys()
    if item_ids is not None and location_id is not None:
        pairs |= {(item_id, location_id) for item_id in item_ids}
    return [
        _case(
            items[pair[0]],
            locations[pair[1]],
            found.get(pair, StockPosition(*pair)),
            policies.get(pair),
            outlooks.get(pair),
            [(offer, offer_lead_time(history, offer)) for offer in offers.get(pair[0], [])],
            room.get(pair),
        )
        for pair in sorted(pairs)
        if pair[0] in items
    ]


def _case(
    item: Item,
    location: Location,
    position: StockPosition,
    policy: Policy | None,
    outlook: Outlook | None,
    offers: Sequence[tuple[Offer, LeadTime]],
    free: int | None,
) -> Case:
    return Case(
        item_id=item.id,
        location_id=location.id,
        sku=item.sku,
        name=item.name,
        uom=item.uom,
        location=location.code,
        currency=item.currency,
        unit_value_minor=item.unit_price_minor or item.unit_cost_minor,
        unit_cost_minor=item.unit_cost_minor,
        position=position,
        settings=settings_of(policy, segment=(item.abc, item.xyz)),
        outlook=outlook,
        offers=tuple(offers),
        shelf_life_days=item.shelf_life_days,
        is_buyable=item.status in _BOUGHT,
        free_units=free,
    )


def with_closed_days(
    session: Session, offers: dict[int, list[Offer]], today: date
) -> dict[int, list[Offer]]:
    """Return the offers with the holidays and closures of their suppliers ahead: two queries."""
    closed = _closed_by_supplier(session, today)
    if not closed:
        return offers
    return {
        item_id: [replace(o, closed_on=closed.get(o.supplier_id, frozenset())) for o in found]
        for item_id, found in offers.items()
    }


def _closed_by_supplier(session: Session, today: date) -> dict[int, frozenset[date]]:
    spans: dict[int, list[tuple[date, date]]] = {}
    closures: Any = select(
        col(DemandEvent.supplier_id), col(DemandEvent.start_on), col(DemandEvent.end_on)
    ).where(
        DemandEvent.kind == EventKind.CLOSURE,
        col(DemandEvent.supplier_id).is_not(None),
        col(DemandEvent.withdrawn_at).is_(None),
        col(DemandEvent.end_on) >= today,
    )
    for supplier_id, start_on, end_on in session.execute(closures):
        spans.setdefault(supplier_id, []).append((start_on, end_on))
    found: Any = select(col(Supplier.id), col(Supplier.country), col(Supplier.working_days)).where(
        (col(Supplier.country) != "") | col(Supplier.id).in_(list(spans))
    )
    return {
        supplier_id: closed_days(
            spans.get(supplier_id, []), country=country, working_days=working_days, today=today
        )
        for supplier_id, country, working_days in session.execute(found)
    }


def free_units(
    session: Session, locations: Iterable[Location], items: Mapping[int, Item], today: date
) -> dict[Pair, int]:
    """Return for how many units of each item the stores with a known size have room.

    Everything on hand, on order and in drafts takes its place, as if nothing were sold meanwhile.
    """
    room = {place.id: place.storage_ml for place in locations if place.storage_ml is not None}
    if not room:
        return {}
    sizes: dict[int, int] = {
        row[0]: row[1]
        for row in session.execute(
            select(Item.id, Item.volume_ml).where(col(Item.volume_ml).is_not(None))
        )
    }
    for location_id in room:
        for pair, position in positions_by_pair(session, location_id, as_of=today).items():
            held = position.on_hand_units + position.on_order_units
            held += position.inbound_transfer_units + position.drafted_units
            room[location_id] -= max(held, 0) * sizes.get(pair[0], 0)
    return {
        (item_id, location_id): max(room[location_id], 0) // sizes[item_id]
        for location_id in room
        for item_id in items
        if sizes.get(item_id)
    }


def policy_label(policy: Policy) -> str:
    """Return how a policy is cited: its id and the version of what people set."""
    return f"policy {policy.id} v{policy.version}"


def settings_of(policy: Policy | None, *, segment: tuple[str, str] = ("", "")) -> Settings:
    """Return what people set, or the defaults where nobody set anything.

    A policy of version 1 was written by the program: its service level is that of the item's
    segment (ABC by usage value, XYZ by variation), once the item has one.
    """
    usual = Settings()
    by_segment = service_rate_for(*segment) if all(segment) else usual.service_rate
    if policy is None:
        return replace(usual, service_rate=by_segment)
    is_untouched = policy.version == 1 and policy.service_rate == usual.service_rate
    return Settings(
        service_rate=by_segment if is_untouched else policy.service_rate,
        measure=policy.measure,
        method=policy.method,
        review_days=policy.review_period_days,
        cover_days=policy.cover_days,
        rule=policy.rule,
        is_service_rate_optimised=policy.is_service_rate_optimised,
        label=policy_label(policy),
    )


def _items(session: Session, item_ids: list[int] | None) -> dict[int, Item]:
    statement = select(Item)
    if item_ids is None:
        statement = statement.where(Item.status != ItemStatus.DISCONTINUED)
    else:
        statement = statement.where(col(Item.id).in_(item_ids))
    return {item.id: item for item in session.exec(statement)}


def discontinued_items(session: Session) -> frozenset[int]:
    """Return the items that nobody plans any more."""
    statement = select(Item.id).where(Item.status == ItemStatus.DISCONTINUED)
    return frozenset(session.exec(statement))


def policies_by_pair(
    session: Session, item_ids: Sequence[int] | None, location_id: int | None
) -> dict[Pair, Policy]:
    """Return stored policies by item and location."""
    statement = select(Policy)
    if item_ids is not None:
        statement = statement.where(col(Policy.item_id).in_(item_ids))
    if location_id is not None:
        statement = statement.where(Policy.location_id == location_id)
    return {(p.item_id, p.location_id): p for p in session.exec(statement)}


def is_in_use() -> tuple[Any, Any]:
    """Conditions of a run of forecasts that may be read: it is finished and was not rolled back."""
    return col(ForecastRun.finished_at).is_not(None), col(ForecastRun.rolled_back_at).is_(None)


def newest_runs() -> Any:
    """Per item and location the last finished run that forecast it."""
    statement: Any = (
        select(Forecast.item_id, Forecast.location_id, func.max(Forecast.run_id).label("run_id"))
        .join(ForecastRun, col(ForecastRun.id) == col(Forecast.run_id))
        .where(*is_in_use())
        .group_by(col(Forecast.item_id), col(Forecast.location_id))
    )
    return statement


def _outlooks(
    session: Session, item_ids: list[int] | None, location_id: int | None
) -> dict[Pair, Outlook]:
    newest = newest_runs().subquery()
    statement: Any = (
        select(Forecast, col(ForecastRun.as_of_on))
        .join(ForecastRun, col(ForecastRun.id) == col(Forecast.run_id))
        .join(
            newest,
            (newest.c.item_id == Forecast.item_id)
            & (newest.c.location_id == Forecast.location_id)
            & (newest.c.run_id == Forecast.run_id),
        )
    )
    if item_ids is not None:
        statement = statement.where(col(Forecast.item_id).in_(item_ids))
    if location_id is not None:
        statement = statement.where(Forecast.location_id == location_id)
    return {
        (row.item_id, row.location_id): _outlook(row, as_of_on)
        for row, as_of_on in session.exec(statement)
    }


def _outlook(row: Forecast, as_of_on: date) -> Outlook:
    return Outlook(
        forecast_id=row.id,
        run_id=row.run_id,
        model=row.model,
        demand_class=row.demand_class,
        as_of_on=as_of_on,
        mean=row.mean,
        total_sd=row.total_sd,
        total_quantiles=row.total_quantiles,
        adi=row.adi,
        observed_days=row.observed_days,
        warnings=tuple(row.warnings),
    )


def newest_forecast_runs(session: Session, item_ids: Sequence[int] | None) -> dict[Pair, int]:
    """Return the number of the last finished run that forecast each item and location."""
    newest = newest_runs().subquery()
    statement = select(newest.c.item_id, newest.c.location_id, newest.c.run_id)
    if item_ids is not None:
        statement = statement.where(newest.c.item_id.in_(item_ids))
    return {(row[0], row[1]): row[2] for row in session.execute(statement)}
