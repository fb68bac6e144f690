"""Record what a planner knows, and take it back: audited, in scope, reversible."""

from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

import numpy as np
from sqlmodel import Session, SQLModel, col, select

from db.models.catalog import Item, Location, Supplier
from db.models.demand import DemandCorrection, DemandEvent, ForecastOverride
from db.models.planning import Forecast, ForecastRun
from db.types import Actor, ForecastBasis, Permission
from tools.audit import service as audit
from tools.catalog.service import resolve_item, resolve_location, resolve_supplier
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, Forbidden, InvalidInput, NotEnoughData, NotFound
from tools.identity.service import acting, require_scope, scope_of
from tools.planning_inputs.core.changes import (
    NewCorrection,
    NewEvent,
    NewOverride,
    check_correction,
    check_event,
    check_override,
    checked_reason,
    clashes,
)
from tools.planning_inputs.core.values import Event
from tools.planning_inputs.service.reading import event_of, today_in

Row = TypeVar("Row", DemandCorrection, DemandEvent, ForecastOverride)
LETTERS: Mapping[type[SQLModel], str] = {
    DemandCorrection: "c", DemandEvent: "e", ForecastOverride: "o",
}  # fmt: skip
_NAMES: Mapping[type[SQLModel], str] = {
    DemandCorrection: "correction", DemandEvent: "event", ForecastOverride: "override",
}  # fmt: skip


def add_correction(
    session: Session, new: NewCorrection, *, actor: Actor, clock: Clock, company: Company
) -> DemandCorrection:
    """Say that a day of demand counts otherwise than it was sold; what was sold stays.

    Args:
        session: A write transaction.
        new: Which day of what, and what counts.
        actor: Who says so.
        clock: Time.
        company: Its time zone says which day it is.

    Raises:
        InvalidInput: The day is not over, or the quantity is absurd.
        Conflict: The day is corrected already.
        Forbidden: Role or scope do not allow it.
    """
    item, place, who = _about(session, new.sku, new.location, actor)
    check_correction(new, today=today_in(clock, company))
    standing = session.exec(
        select(DemandCorrection).where(
            DemandCorrection.item_id == item.id, DemandCorrection.location_id == place.id,
            DemandCorrection.on == new.on, col(DemandCorrection.undone_at).is_(None),
        )
    ).first()  # fmt: skip
    if standing is not None:
        raise Conflict(
            f"{new.on.isoformat()} of {item.sku!r} is corrected already ({number_of(standing)})",
            next_step="Undo that correction first.",
            details={"id": number_of(standing)},
        )
    row = DemandCorrection(
        item_id=item.id, location_id=place.id, on=new.on, kind=new.kind, units=new.units,
        reason=checked_reason(new.reason), created_by_id=who.user_id, created_at=clock.now(),
    )  # fmt: skip
    told = {"sku": item.sku, "location": place.code, "on": new.on.isoformat(),
            "kind": new.kind.value, "units": new.units}  # fmt: skip
    return _added(session, row, told, actor=who, clock=clock)


def add_event(
    session: Session, new: NewEvent, *, actor: Actor, clock: Clock, company: Company
) -> DemandEvent:
    """Record a promotion, a holiday or a closure.

    Args:
        session: A write transaction.
        new: What happens when, to what, and by how much demand moves.
        actor: Who says so.
        clock: Time.
        company: Its time zone says which day it is.

    Raises:
        InvalidInput: Dates, name, uplift or scope cannot be.
        Conflict: A promotion of the same item at the same time stands already.
        Forbidden: Role or scope do not allow it.
    """
    audit.lock(session)
    who = acting(session, actor, Permission.DRAFT)
    name = check_event(new, today=today_in(clock, company))
    item = resolve_item(session, new.sku) if new.sku else None
    place = resolve_location(session, new.location) if new.location else None
    seller = resolve_supplier(session, new.supplier) if new.supplier else None
    _event_scope(session, who, new, item=item, place=place, seller=seller)
    _known_category(session, new.category)
    row = DemandEvent(
        kind=new.kind, name=name, start_on=new.start_on, end_on=new.end_on,
        item_id=item.id if item else None, location_id=place.id if place else None,
        supplier_id=seller.id if seller else None,
        category=new.category, uplift=new.uplift, reason=checked_reason(new.reason),
        created_by_id=who.user_id, created_at=clock.now(),
    )  # fmt: skip
    refuse_clash(session, event_of(row), item.category if item else "")
    told = {
        "kind": new.kind.value, "name": name, "start": new.start_on.isoformat(),
        "end": new.end_on.isoformat(), "sku": item.sku if item else None,
        "category": new.category or None, "location": place.code if place else None,
        "supplier": seller.code if seller else None, "uplift": text_of(new.uplift),
    }  # fmt: skip
    return _added(session, row, told, actor=who, clock=clock)


def add_override(
    session: Session, new: NewOverride, *, actor: Actor, clock: Clock, company: Company
) -> ForecastOverride:
    """Put a planner's figure, or a share of a similar item, in place of the forecast for a time.

    Args:
        session: A write transaction.
        new: Of what, from when until when, and how much.
        actor: Who says so.
        clock: Time.
        company: Its time zone says which day it is.

    Raises:
        InvalidInput: Dates are over, or what its basis needs is missing.
        NotEnoughData: The similar item has no forecast itself.
        Forbidden: Role or scope do not allow it.
    """
    item, place, who = _about(session, new.sku, new.location, actor)
    check_override(new, today=today_in(clock, company))
    analog = resolve_item(session, new.analog_sku) if new.analog_sku else None
    if analog is not None:
        _analog_exists(session, item, analog, place)
    if new.basis is ForecastBasis.CATEGORY and not item.category:
        raise InvalidInput(
            f"{item.sku!r} has no category", next_step="Name a similar item instead."
        )
    is_own = new.basis is ForecastBasis.OWN
    row = ForecastOverride(
        item_id=item.id, location_id=place.id, start_on=new.start_on, end_on=new.end_on,
        basis=new.basis, units_per_day=new.units_per_day,
        analog_item_id=analog.id if analog else None,
        analog_factor=None if is_own else new.factor or 1.0, reason=checked_reason(new.reason),
        created_by_id=who.user_id, created_at=clock.now(),
        system_units_per_day=forecast_mean(
            session, item.id, place.id, start_on=new.start_on, end_on=new.end_on
        ),
    )  # fmt: skip
    told = {
        "sku": item.sku, "location": place.code, "start": new.start_on.isoformat(),
        "end": new.end_on.isoformat(), "basis": new.basis.value,
        "units_per_day": text_of(new.units_per_day), "analog": analog.sku if analog else None,
        "factor": text_of(row.analog_factor), "system": text_of(row.system_units_per_day),
    }  # fmt: skip
    return _added(session, row, told, actor=who, clock=clock)


def take_back(
    session: Session, number: str, kind: type[Row], *, reason: str, actor: Actor, clock: Clock
) -> Row:
    """Undo a correction, or withdraw an event or an override; the row stays.

    Args:
        session: A write transaction.
        number: Such as c-3, e-12 or o-5.
        kind: Whose number it is.
        reason: Why.
        actor: Who does it.
        clock: Time.

    Raises:
        NotFound: There is none of this number.
        Conflict: It was taken back already.
        Forbidden: Role or scope do not allow it.
    """
    audit.lock(session)
    who = acting(session, actor, Permission.DRAFT)
    row = row_of(session, number, kind)
    _scope_of_row(session, who, row)
    names = ("undone_by_id", "undone_at") if kind is DemandCorrection else _WITHDRAWN
    if getattr(row, names[1]) is not None:
        raise Conflict(f"{number_of(row)} was taken back already")
    setattr(row, names[0], who.user_id)
    setattr(row, names[1], clock.now())
    session.add(row)
    session.flush()
    done = "undone" if kind is DemandCorrection else "withdrawn"
    audit.append(
        session, at=clock.now(), actor=who, action=f"demand.{_NAMES[kind]}_{done}",
        object_id=number_of(row), reason=checked_reason(reason),
    )  # fmt: skip
    return row


_WITHDRAWN = ("withdrawn_by_id", "withdrawn_at")


def number_of(row: DemandCorrection | DemandEvent | ForecastOverride) -> str:
    """Return the public number of a row, such as e-12."""
    return f"{LETTERS[type(row)]}-{row.id}"


def row_of(session: Session, number: str, kind: type[Row]) -> Row:
    """Return a row by its public number.

    Raises:
        NotFound: There is none.
    """
    letter, _, digits = number.strip().partition("-")
    is_number = letter.casefold() == LETTERS[kind] and digits.isascii() and digits.isdigit()
    row = session.get(kind, int(digits)) if is_number and len(digits) < 19 else None
    if row is None:
        raise NotFound(
            f"there is no {_NAMES[kind]} {number[:40]!r}",
            next_step=f"List them; the number of a {_NAMES[kind]} is like {LETTERS[kind]}-12.",
        )
    return row


def forecast_mean(
    session: Session, item_id: int, location_id: int, *, start_on: date, end_on: date
) -> float | None:
    """Say what the newest forecast expects over some days, units a day; None without one."""
    found = session.execute(
        select(Forecast, col(ForecastRun.as_of_on))
        .join(ForecastRun, col(ForecastRun.id) == col(Forecast.run_id))
        .where(
            Forecast.item_id == item_id, Forecast.location_id == location_id,
            col(ForecastRun.finished_at).is_not(None), col(ForecastRun.rolled_back_at).is_(None),
        )
        .order_by(col(Forecast.run_id).desc())
        .limit(1)
    ).first()  # fmt: skip
    if found is None or not found[0].mean:
        return None
    mean = np.asarray(found[0].mean)
    first = max(0, (start_on - found[1]).days - 1)
    behind = (end_on - found[1]).days
    part = mean[first:behind] if first < len(mean) and behind > first else mean[-28:]
    return round(float(part.mean()), 4)


def text_of(value: float | None) -> str | None:
    """Return a number as the trail keeps it: it holds no fractions."""
    return None if value is None else f"{value:g}"


def refuse_clash(session: Session, new: Event, category: str) -> None:
    """Refuse a promotion that would lift an item twice on the same day.

    Raises:
        Conflict: One stands already.
    """
    asked = select(DemandEvent, Item.category).outerjoin(
        Item, col(Item.id) == col(DemandEvent.item_id)
    )
    asked = asked.where(
        col(DemandEvent.withdrawn_at).is_(None), DemandEvent.kind == new.kind,
        DemandEvent.start_on <= new.end_on, DemandEvent.end_on >= new.start_on,
    )  # fmt: skip
    with session.no_autoflush:
        rows = session.exec(asked).all()
    for row, theirs in rows:
        if clashes(new, event_of(row), item_category=category, other_category=theirs or ""):
            raise Conflict(
                f"{number_of(row)} {row.name!r} is a promotion of the same from "
                f"{row.start_on.isoformat()} to {row.end_on.isoformat()} already",
                next_step="Withdraw that one first, or choose other days.",
                details={"id": number_of(row), "start": row.start_on.isoformat(),
                         "end": row.end_on.isoformat()},
            )  # fmt: skip


def _about(
    session: Session, sku: str, location: str | None, actor: Actor
) -> tuple[Item, Location, Actor]:
    audit.lock(session)
    who = acting(session, actor, Permission.DRAFT)
    item, place = resolve_item(session, sku), resolve_location(session, location)
    require_scope(session, who, location=place.code, categories=[item.category])
    return item, place, who


def _event_scope(
    session: Session,
    actor: Actor,
    new: NewEvent,
    *,
    item: Item | None,
    place: Location | None,
    seller: Supplier | None,
) -> None:
    """A person of one place or category says nothing about all of them."""
    categories = [item.category] if item else [new.category] if new.category else []
    require_scope(
        session, actor, location=place.code if place else "", categories=categories,
        supplier=seller.code if seller else "",
    )  # fmt: skip
    scope = scope_of(session, actor)
    is_wide = (scope.locations and not place) or (scope.categories and not categories)
    if seller is None and is_wide:
        raise Forbidden(
            f"an event of all places or items is outside the work of {actor.login!r}",
            next_step="Name the place or the item that you work with.",
            details={"reason": "scope"},
        )


def _scope_of_row(
    session: Session, actor: Actor, row: DemandCorrection | DemandEvent | ForecastOverride
) -> None:
    item = session.get(Item, row.item_id) if row.item_id else None
    place = session.get(Location, row.location_id) if row.location_id else None
    if isinstance(row, DemandEvent):
        seller = session.get(Supplier, row.supplier_id) if row.supplier_id else None
        said = NewEvent(row.kind, row.name, row.start_on, row.end_on, category=row.category)
        _event_scope(session, actor, said, item=item, place=place, seller=seller)
    elif item is not None and place is not None:
        require_scope(session, actor, location=place.code, categories=[item.category])


def _known_category(session: Session, category: str) -> None:
    if category and session.exec(select(Item.id).where(Item.category == category)).first() is None:
        known = session.exec(select(Item.category).distinct().order_by(Item.category)).all()
        raise NotFound(
            f"no item has the category {category!r}",
            next_step=f"There are: {', '.join(one for one in known if one)[:200] or 'none'}.",
        )


def _analog_exists(session: Session, item: Item, analog: Item, place: Location) -> None:
    if analog.id == item.id:
        raise InvalidInput(f"{item.sku!r} cannot be forecast from itself")
    today = date.max
    if forecast_mean(session, analog.id, place.id, start_on=today, end_on=today) is None:
        raise NotEnoughData(
            f"{analog.sku!r} has no forecast at {place.code!r} to take a share of",
            next_step="Name another item, or run the plan first.",
        )


def _added(
    session: Session, row: Row, told: Mapping[str, Any], *, actor: Actor, clock: Clock
) -> Row:
    session.add(row)
    session.flush()
    audit.append(
        session, at=clock.now(), actor=actor, action=f"demand.{_NAMES[type(row)]}_added",
        object_id=number_of(row), after=told, reason=row.reason,
    )  # fmt: skip
    return row
