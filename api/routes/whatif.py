"""What a change of demand, lead time, price, service or supply would do. Writes nothing."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import ActorDep, Answer, SystemDep, ask
from api.routes.examples import ENVELOPE_EXAMPLE, answers

router = APIRouter(tags=["planning"])

_SIDE = {"stockout_days": 1.3, "fill_rate": 0.987, "average_inventory": 1210.4, "orders": 5.0}
Text = Annotated[str | None, Query(max_length=120)]


@router.get(
    "/what-if",
    responses=answers(
        {
            "data": {
                "sku": "WIDGET-A",
                "baseline": {"reorder_point": 1244, "safety_stock": 344},
                "scenario": {"reorder_point": 1741, "safety_stock": 481},
                "simulation": {
                    "seed": 2026,
                    "paths": 400,
                    "days": 60,
                    "currency": "USD",
                    "baseline": _SIDE,
                    "scenario": _SIDE,
                    "delta": {"stockout_days": 0.4, "fill_rate": -0.004, "cost": "512.20"},
                },
                "saved": False,
            },
            **ENVELOPE_EXAMPLE,
        },
        codes=("not_found",),
    ),
)
def simulate_change(
    system: SystemDep,
    actor: ActorDep,
    sku: Text = None,
    category: Text = None,
    supplier: Text = None,
    everything: bool | None = None,
    location: Annotated[str | None, Query(max_length=32)] = None,
    demand_change_pct: Annotated[float | None, Query(ge=-100, le=1000)] = None,
    lead_time_change_days: Annotated[float | None, Query(ge=-365, le=365)] = None,
    price_change_pct: Annotated[float | None, Query(ge=-99, le=1000)] = None,
    supply_delay_days: Annotated[int | None, Query(ge=0, le=365)] = None,
    service_level: Annotated[float | None, Query(gt=0, lt=1)] = None,
    moq: Annotated[int | None, Query(ge=0, le=1_000_000_000)] = None,
    start: date | None = None,
    end: date | None = None,
    horizon_days: Annotated[int | None, Query(ge=1, le=180)] = None,
    seed: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> Answer:
    """Play a change through on one item, a category, what a supplier delivers, or everything.

    Name one of sku, category, supplier and everything. Baseline and scenario meet the same demand
    and the same lead times; the seed repeats them. Start and end are those of the change of demand.
    """
    asked = {
        "sku": sku, "category": category, "supplier": supplier, "everything": everything,
        "location": location, "demand_change_pct": demand_change_pct,
        "lead_time_change_days": lead_time_change_days, "price_change_pct": price_change_pct,
        "supply_delay_days": supply_delay_days, "service_level": service_level, "moq": moq,
        "start": None if start is None else start.isoformat(),
        "end": None if end is None else end.isoformat(),
        "horizon_days": horizon_days, "seed": seed,
    }  # fmt: skip
    return Answer(**ask(system, actor, "simulate_scenario", **asked))
