"""What a change would do, before anybody records it."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlmodel import Session

from db.models.catalog import Item, Location
from db.types import Actor, EventKind
from tools.catalog.service import resolve_item, resolve_location, resolve_supplier
from tools.clock import Clock
from tools.company import Company
from tools.demand.service import demand_frame
from tools.identity.service import require_scope
from tools.planning_inputs.core.changes import (
    Change,
    NewCorrection,
    NewEvent,
    NewOverride,
    check_correction,
    check_event,
    check_override,
)
from tools.planning_inputs.core.values import Event
from tools.planning_inputs.service.reading import today_in
from tools.planning_inputs.service.recording import forecast_mean, refuse_clash
from tools.planning_inputs.service.scoring import track_record_of


@dataclass(frozen=True)
class Proposal:
    """A change that nobody recorded yet.

    Attributes:
        before: What counts now.
        after: What would count.
        digest: SHA-256 over both and the change.
        command: With which a planner records it at a terminal.
        path: Where it is posted over REST.
        body: What is posted there.
        notes: What the planner should know first.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    digest: str
    command: str
    path: str
    body: Mapping[str, Any]
    notes: tuple[str, ...]


def propose(
    session: Session, change: Change, *, actor: Actor, clock: Clock, company: Company
) -> Proposal:
    """Check a change as if it were recorded, and say what it would do. Nothing is written.

    Args:
        session: Open session.
        change: What a planner wants to say.
        actor: Who asks; outside their work it is refused.
        clock: Time.
        company: Its time zone says which day it is.

    Raises:
        InvalidInput: It cannot be.
        Conflict: It clashes with what stands.
        Forbidden: It is outside the actor's work.
    """
    today = today_in(clock, company)
    if isinstance(change, NewEvent):
        return _event(session, change, actor, today)
    item, place = resolve_item(session, change.sku), resolve_location(session, change.location)
    require_scope(session, actor, location=place.code, categories=[item.category])
    if isinstance(change, NewCorrection):
        return _correction(session, change, item, place, today)
    return _override(session, change, item, place, today)


def _correction(
    session: Session, new: NewCorrection, item: Item, place: Location, today: date
) -> Proposal:
    check_correction(new, today=today)
    frame = demand_frame(
        session, item_ids=[item.id], location_id=place.id, start=new.on, end=new.on
    )
    sold = int(frame["units"].sum()) if len(frame) else 0
    counts = "as the days around it" if new.units is None else new.units
    body = {
        "sku": item.sku, "location": place.code, "date": new.on.isoformat(),
        "kind": new.kind.value, "units": new.units, "reason": new.reason,
    }  # fmt: skip
    options = [("--units", new.units), ("--location", place.code), ("--reason", new.reason)]
    words = ["correct", "add", item.sku, new.on.isoformat(), new.kind.value]
    return _proposal(
        {"sold": sold, "counts": sold}, {"sold": sold, "counts": counts}, body,
        path="/v1/demand/corrections", command=_command(words, options),
    )  # fmt: skip


def _event(session: Session, new: NewEvent, actor: Actor, today: date) -> Proposal:
    name = check_event(new, today=today)
    item = resolve_item(session, new.sku) if new.sku else None
    place = resolve_location(session, new.location) if new.location else None
    seller = resolve_supplier(session, new.supplier) if new.supplier else None
    require_scope(
        session, actor, location=place.code if place else "",
        categories=[item.category] if item else [new.category] if new.category else [],
        supplier=seller.code if seller else "",
    )  # fmt: skip
    value = Event(
        0, new.kind, name, new.start_on, new.end_on, item.id if item else None,
        place.id if place else None, new.category, seller.id if seller else None, new.uplift,
    )  # fmt: skip
    refuse_clash(session, value, item.category if item else "")
    body = {
        "kind": new.kind.value, "name": name, "start": new.start_on.isoformat(),
        "end": new.end_on.isoformat(), "sku": item.sku if item else None,
        "category": new.category or None, "location": place.code if place else None,
        "supplier": seller.code if seller else None, "uplift": new.uplift, "reason": new.reason,
    }  # fmt: skip
    days = [new.start_on.isoformat(), new.end_on.isoformat()]
    named = ("sku", "category", "location", "supplier", "uplift", "reason")
    command = _command(
        ["events", "add", new.kind.value, name, *days], [(f"--{n}", body[n]) for n in named]
    )
    learned = "learned from past ones" if new.kind is not EventKind.CLOSURE else 0.0
    after = {"factor": learned if new.uplift is None else new.uplift, "lapses_after": days[1]}
    return _proposal({"factor": 1.0}, after, body, path="/v1/demand/events", command=command)


def _override(
    session: Session, new: NewOverride, item: Item, place: Location, today: date
) -> Proposal:
    check_override(new, today=today)
    days = {"start_on": new.start_on, "end_on": new.end_on}
    system = forecast_mean(session, item.id, place.id, **days)
    after: dict[str, Any] = {"units_per_day": new.units_per_day}
    if new.analog_sku:
        analog = resolve_item(session, new.analog_sku)
        mean = forecast_mean(session, analog.id, place.id, **days)
        share = None if mean is None else round(mean * (new.factor or 1.0), 2)
        after = {"units_per_day": share, "analog": analog.sku, "factor": new.factor or 1.0}
    body = {
        "sku": item.sku, "location": place.code, "start": new.start_on.isoformat(),
        "end": new.end_on.isoformat(), "basis": new.basis.value,
        "units_per_day": new.units_per_day, "analog": new.analog_sku, "factor": new.factor,
        "reason": new.reason,
    }  # fmt: skip
    record = track_record_of(session, item.id, place.id)
    named = ("analog", "factor", "location", "reason")
    words = ["override", "add", item.sku, new.start_on.isoformat(), new.end_on.isoformat()]
    options = [("--units-per-day", new.units_per_day), ("--basis", new.basis.value)]
    return _proposal(
        {"units_per_day": system}, after | {"lapses_after": new.end_on.isoformat()}, body,
        path="/v1/demand/overrides", notes=(record,) if record else (),
        command=_command(words, options + [(f"--{n}", body[n]) for n in named]),
    )  # fmt: skip


def _command(words: list[str], options: list[tuple[str, Any]]) -> str:
    """Write a command line that records the change; texts of people are quoted for the shell."""
    parts = ["quartermaster", "demand", *words]
    for name, value in options:
        if value is not None:
            parts += [name, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(parts)


def _proposal(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    body: Mapping[str, Any],
    *,
    path: str,
    command: str,
    notes: tuple[str, ...] = (),
) -> Proposal:
    said = json.dumps([path, before, after, body], sort_keys=True, ensure_ascii=True, default=str)
    digest = hashlib.sha256(said.encode()).hexdigest()
    return Proposal(before, after, digest, command, path, body, notes)
