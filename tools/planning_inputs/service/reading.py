"""Read what people and the calendar say, with a fixed number of queries."""

from collections.abc import Collection
from datetime import date
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from db.models.catalog import Item, Location
from db.models.demand import DemandCorrection, DemandEvent, ForecastOverride
from db.types import EventKind
from tools.clock import Clock
from tools.company import Company
from tools.planning_inputs.core.values import Correction, Event, Inputs, Override


def read_inputs(session: Session, *, item_ids: Collection[int] | None = None) -> Inputs:
    """Read everything that ``cleaned_panel`` and ``applied_overrides`` need: five queries.

    Args:
        session: Open session.
        item_ids: Only what these items need; all by default. Events are read whole: past ones of
            other items teach what a new one does.
    """
    heirs, skus = _heirs(session)
    named = select(Item.id, Item.category)
    codes = select(Location.id, Location.country).where(col(Location.country) != "")
    if item_ids is not None:
        named = named.where(col(Item.id).in_(item_ids))
    return Inputs(
        events=tuple(event_of(row) for row in session.exec(_active_events())),
        corrections=_corrections(session, item_ids),
        overrides=_overrides(session, item_ids),
        heirs=heirs,
        skus=skus,
        categories=dict(session.exec(named).all()),
        countries=dict(session.exec(codes).all()),
    )


def today_in(clock: Clock, company: Company) -> date:
    """Return the current day in the company's time zone."""
    return clock.now().astimezone(ZoneInfo(company.timezone)).date()


def ancestors(session: Session, item_id: int) -> list[int]:
    """Return the items whose history an item has taken over, the nearest first."""
    heirs, _ = _heirs(session)
    found: list[int] = []
    front = [item_id]
    while front:
        front = [old for old, heir in heirs.items() if heir in front and old not in found]
        front = [old for old in front if old != item_id]
        found += front
    return found


def supplier_closures(
    session: Session, supplier_ids: Collection[int] | None = None
) -> dict[int, list[tuple[date, date]]]:
    """Return when suppliers are closed, as people entered it: first and last day, in order.

    Args:
        session: Open session.
        supplier_ids: Only these.
    """
    asked = _active_events().where(
        col(DemandEvent.supplier_id).is_not(None), DemandEvent.kind == EventKind.CLOSURE
    )
    if supplier_ids is not None:
        asked = asked.where(col(DemandEvent.supplier_id).in_(supplier_ids))
    found: dict[int, list[tuple[date, date]]] = {}
    for row in session.exec(asked.order_by(col(DemandEvent.start_on), col(DemandEvent.id))):
        found.setdefault(row.supplier_id or 0, []).append((row.start_on, row.end_on))
    return found


def event_of(row: DemandEvent) -> Event:
    """Return a stored event as a value."""
    return Event(
        event_id=row.id,
        kind=row.kind,
        name=row.name,
        start_on=row.start_on,
        end_on=row.end_on,
        item_id=row.item_id,
        location_id=row.location_id,
        category=row.category,
        supplier_id=row.supplier_id,
        uplift=row.uplift,
    )


def _active_events() -> SelectOfScalar[DemandEvent]:
    active = select(DemandEvent).where(col(DemandEvent.withdrawn_at).is_(None))
    return active.order_by(col(DemandEvent.id))


def _heirs(session: Session) -> tuple[dict[int, int], dict[int, str]]:
    asked = select(Item.id, Item.superseded_by_id, Item.sku)
    rows = session.exec(asked.where(col(Item.superseded_by_id).is_not(None))).all()
    heirs = {old: heir for old, heir, _ in rows if heir is not None}
    return heirs, {old: sku for old, _, sku in rows}


def _corrections(session: Session, item_ids: Collection[int] | None) -> tuple[Correction, ...]:
    asked = select(DemandCorrection).where(col(DemandCorrection.undone_at).is_(None))
    if item_ids is not None:
        asked = asked.where(col(DemandCorrection.item_id).in_(item_ids))
    return tuple(
        Correction(row.id, row.item_id, row.location_id, row.on, row.kind, row.units, row.reason)
        for row in session.exec(asked.order_by(col(DemandCorrection.id)))
    )


def _overrides(session: Session, item_ids: Collection[int] | None) -> tuple[Override, ...]:
    asked = select(ForecastOverride).where(col(ForecastOverride.withdrawn_at).is_(None))
    if item_ids is not None:
        asked = asked.where(col(ForecastOverride.item_id).in_(item_ids))
    return tuple(override_of(row) for row in session.exec(asked.order_by(col(ForecastOverride.id))))


def override_of(row: ForecastOverride) -> Override:
    """Return a stored override as a value."""
    return Override(
        override_id=row.id,
        item_id=row.item_id,
        location_id=row.location_id,
        start_on=row.start_on,
        end_on=row.end_on,
        basis=row.basis,
        units_per_day=row.units_per_day,
        analog_item_id=row.analog_item_id,
        factor=row.analog_factor or 1.0,
    )
