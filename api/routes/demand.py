"""Demand as the forecast sees it, and what people know about it."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from sqlmodel import Session

from api.dependencies import ActorDep, Answer, DrafterDep, SystemDep, ask
from api.routes.demand_shapes import (
    CORRECTION_EXAMPLE,
    EVENT_EXAMPLE,
    OVERRIDE_EXAMPLE,
    CorrectionGiven,
    CorrectionShown,
    CorrectionsShown,
    EventGiven,
    EventShown,
    EventsShown,
    OverrideGiven,
    OverrideShown,
    OverridesShown,
    TakenBack,
)
from api.routes.examples import ENVELOPE_EXAMPLE, answers
from api.routes.once import IdempotencyKey, answered_once
from db.models.demand import DemandCorrection, DemandEvent, ForecastOverride
from tools.catalog.service import resolve_item
from tools.planning_inputs.core.changes import NewCorrection, NewEvent, NewOverride
from tools.planning_inputs.service import listing, recording
from tools.reach.service import look_as

router = APIRouter(prefix="/demand", tags=["demand"])

Sku = Annotated[str | None, Query(max_length=200)]
All = Annotated[bool, Query(alias="all", description="Those that were taken back too.")]
_CODES = ("not_found", "forbidden", "conflict")


@router.get(
    "/history/{sku:path}",
    responses=answers(
        {
            "data": {"sku": "WIDGET-A", "sold_per_day": 14.0, "demand_per_day": 19.7},
            **ENVELOPE_EXAMPLE,
        },
        codes=("not_found",),
    ),
)
def get_history(
    system: SystemDep,
    actor: ActorDep,
    sku: str,
    location: Annotated[str | None, Query(max_length=32)] = None,
    grain: Annotated[str | None, Query(pattern="^(day|week|month)$")] = None,
    start: date | None = None,
    end: date | None = None,
) -> Answer:
    """Show what was sold of an item and what counts as demand, as the chat does."""
    days = {"start": start and start.isoformat(), "end": end and end.isoformat()}
    asked = {"location": location, "grain": grain, **days}
    return Answer(**ask(system, actor, "get_demand_history", sku=sku, **asked))


@router.get(
    "/corrections",
    response_model=CorrectionsShown,
    responses=answers({"corrections": [CORRECTION_EXAMPLE]}, codes=("not_found",)),
)
def list_corrections(
    system: SystemDep, actor: ActorDep, sku: Sku = None, is_all: All = False
) -> dict[str, Any]:
    """List the days that count otherwise than they were sold, newest first."""
    with system.database.read() as session:
        look_as(session, actor)
        item_id = None if sku is None else resolve_item(session, sku).id
        return {"corrections": listing.corrections(session, item_id=item_id, is_all=is_all)}


@router.post(
    "/corrections",
    response_model=CorrectionShown,
    responses=answers(CORRECTION_EXAMPLE, codes=_CODES),
)
def add_correction(
    system: SystemDep,
    actor: DrafterDep,
    request: Request,
    body: CorrectionGiven,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Let a day count otherwise than it was sold; what was sold stays as it is."""

    def effect(session: Session) -> dict[str, Any]:
        new = NewCorrection(
            body.sku, body.on, body.kind, body.units, location=body.location, reason=body.reason
        )
        row = recording.add_correction(
            session, new, actor=actor, clock=system.clock, company=system.company
        )
        return listing.shown(session, row)

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.post(
    "/corrections/{number}/undo",
    response_model=CorrectionShown,
    responses=answers(CORRECTION_EXAMPLE, codes=_CODES),
)
def undo_correction(
    system: SystemDep,
    actor: DrafterDep,
    request: Request,
    number: Annotated[str, Path(pattern=r"^c-\d{1,18}$")],
    body: TakenBack,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Undo a correction: the day counts as it was sold again."""

    def effect(session: Session) -> dict[str, Any]:
        row = recording.take_back(
            session, number, DemandCorrection, reason=body.reason, actor=actor, clock=system.clock
        )
        return listing.shown(session, row)

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.get(
    "/events",
    response_model=EventsShown,
    responses=answers({"events": [EVENT_EXAMPLE]}),
)
def list_events(system: SystemDep, actor: ActorDep, is_all: All = False) -> dict[str, Any]:
    """List promotions, holidays and closures, newest first."""
    with system.database.read() as session:
        look_as(session, actor)
        return {"events": listing.events(session, is_all=is_all)}


@router.post(
    "/events",
    response_model=EventShown,
    responses=answers(EVENT_EXAMPLE, codes=_CODES),
)
def add_event(
    system: SystemDep,
    actor: DrafterDep,
    request: Request,
    body: EventGiven,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Record a promotion, a holiday or a closure."""

    def effect(session: Session) -> dict[str, Any]:
        new = NewEvent(
            body.kind, body.name, body.start, body.end, sku=body.sku, category=body.category or "",
            location=body.location, supplier=body.supplier, uplift=body.uplift,
            reason=body.reason,
        )  # fmt: skip
        row = recording.add_event(
            session, new, actor=actor, clock=system.clock, company=system.company
        )
        return listing.shown(session, row)

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.post(
    "/events/{number}/withdrawal",
    response_model=EventShown,
    responses=answers(EVENT_EXAMPLE, codes=_CODES),
)
def withdraw_event(
    system: SystemDep,
    actor: DrafterDep,
    request: Request,
    number: Annotated[str, Path(pattern=r"^e-\d{1,18}$")],
    body: TakenBack,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Withdraw an event."""

    def effect(session: Session) -> dict[str, Any]:
        row = recording.take_back(
            session, number, DemandEvent, reason=body.reason, actor=actor, clock=system.clock
        )
        return listing.shown(session, row)

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.get(
    "/overrides",
    response_model=OverridesShown,
    responses=answers({"overrides": [OVERRIDE_EXAMPLE]}, codes=("not_found",)),
)
def list_overrides(
    system: SystemDep, actor: ActorDep, sku: Sku = None, is_all: All = False
) -> dict[str, Any]:
    """List planners' figures and how those that are over did, newest first."""
    with system.database.read() as session:
        look_as(session, actor)
        item_id = None if sku is None else resolve_item(session, sku).id
        return {"overrides": listing.overrides(session, item_id=item_id, is_all=is_all)}


@router.post(
    "/overrides",
    response_model=OverrideShown,
    responses=answers(OVERRIDE_EXAMPLE, codes=(*_CODES,)),
)
def add_override(
    system: SystemDep,
    actor: DrafterDep,
    request: Request,
    body: OverrideGiven,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Put a figure, or a share of a similar item, in place of the forecast until it expires."""

    def effect(session: Session) -> dict[str, Any]:
        new = NewOverride(
            body.sku, body.start, body.end, body.basis, units_per_day=body.units_per_day,
            analog_sku=body.analog, factor=body.factor, location=body.location,
            reason=body.reason,
        )  # fmt: skip
        row = recording.add_override(
            session, new, actor=actor, clock=system.clock, company=system.company
        )
        return listing.shown(session, row)

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)


@router.post(
    "/overrides/{number}/withdrawal",
    response_model=OverrideShown,
    responses=answers(OVERRIDE_EXAMPLE, codes=_CODES),
)
def withdraw_override(
    system: SystemDep,
    actor: DrafterDep,
    request: Request,
    number: Annotated[str, Path(pattern=r"^o-\d{1,18}$")],
    body: TakenBack,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Withdraw an override: the forecast counts again."""

    def effect(session: Session) -> dict[str, Any]:
        row = recording.take_back(
            session, number, ForecastOverride, reason=body.reason, actor=actor, clock=system.clock
        )
        return listing.shown(session, row)

    return answered_once(request, system, actor, key=idempotency_key, body=body, effect=effect)
