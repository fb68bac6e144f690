"""What the morning needs: recommendations, exceptions, key figures, deliveries on their way."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from api.dependencies import ActorDep, Answer, SystemDep, ask
from api.routes.examples import ENVELOPE_EXAMPLE, answers

router = APIRouter(tags=["planning"])

ExceptionType = Literal[
    "stuck_delivery",
    "below_rop",
    "projected_stockout",
    "late_po",
    "unconfirmed_po",
    "excess",
    "forecast_drift",
]


@router.get(
    "/recommendations",
    responses=answers(
        {
            "data": {
                "lines": [{"rec_id": "R-12", "sku": "WIDGET-A", "quantity": 1920}],
                "total_lines": 1,
            },
            **ENVELOPE_EXAMPLE,
        },
        codes=("not_found",),
    ),
)
def list_recommendations(
    system: SystemDep,
    actor: ActorDep,
    supplier: Annotated[str | None, Query(max_length=120)] = None,
    budget: Annotated[float | None, Query(ge=0, le=1e12)] = None,
    limit: Annotated[int | None, Query(ge=1, le=50)] = None,
) -> Answer:
    """List what to order today, the most money at risk first; and what a budget buys of it."""
    asked = {"supplier": supplier, "budget": budget, "limit": limit}
    return Answer(**ask(system, actor, "recommend_orders", **asked))


@router.get(
    "/exceptions",
    responses=answers(
        {
            "data": {
                "exceptions": [
                    {"type": "below_rop", "sku": "WIDGET-A", "why": "840 against 1,244"}
                ],
                "total": 1,
                "counts": {"below_rop": 1},
            },
            **ENVELOPE_EXAMPLE,
        },
        codes=("not_found",),
    ),
)
def list_exceptions(
    system: SystemDep,
    actor: ActorDep,
    types: Annotated[list[ExceptionType] | None, Query(alias="type")] = None,
    supplier: Annotated[str | None, Query(max_length=120)] = None,
    horizon_days: Annotated[int | None, Query(ge=1, le=180)] = None,
    limit: Annotated[int | None, Query(ge=1, le=50)] = None,
) -> Answer:
    """List what needs attention, the most severe first."""
    asked = {"supplier": supplier, "horizon_days": horizon_days, "limit": limit}
    return Answer(**ask(system, actor, "list_exceptions", types=types, **asked))


@router.get(
    "/kpis",
    responses=answers(
        {
            "data": {
                "kpis": [{"name": "stockout_rate", "value": 0.012, "target": 0.02, "holds": True}],
                "window_days": 90,
            },
            **ENVELOPE_EXAMPLE,
        }
    ),
)
def list_kpis(
    system: SystemDep,
    actor: ActorDep,
    window_days: Annotated[int | None, Query(ge=7, le=730)] = None,
) -> Answer:
    """Show the key figures with their targets and definitions."""
    return Answer(**ask(system, actor, "get_kpis", window_days=window_days))


@router.get(
    "/orders/{number}/shipment",
    responses=answers(
        {
            "data": {"po_id": "PO-1042", "status": "exception", "eta": "2026-03-12"},
            **ENVELOPE_EXAMPLE,
        },
        codes=("not_found",),
    ),
)
def get_shipment(system: SystemDep, actor: ActorDep, number: str) -> Answer:
    """Tell where an order is and when it is expected."""
    return Answer(**ask(system, actor, "check_shipment", po_id=number))
