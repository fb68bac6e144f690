"""Answers what-if questions with the same advice under a change; writes nothing."""

from typing import Any

from sqlmodel import Session

from db.models.catalog import Item, Location
from tools.cases.service import today_of
from tools.clock import Clock
from tools.company import Company
from tools.planning.service import advise_pair, known_policy
from tools.simulation.core.scenario import ScenarioRequest, scenario_data


def run_scenario(
    session: Session,
    item: Item,
    location: Location,
    request: ScenarioRequest,
    *,
    clock: Clock,
    company: Company,
) -> dict[str, Any]:
    """Return the item's plan as it is and under the scenario, side by side.

    Raises:
        InvalidInput: A change is outside its range or the dates do not fit.
        NotEnoughData: There is no forecast, or nobody sells the item.
    """
    today = today_of(clock, company)
    change = request.change(today)
    baseline = known_policy(session, item, location, clock=clock, company=company)
    overrides: dict[str, Any] = {}
    if request.service_level is not None:
        overrides["service_rate"] = request.service_level
    scenario = advise_pair(
        session, item.id, location.id, clock=clock, company=company, change=change,
        overrides=overrides,
    )  # fmt: skip
    return scenario_data(baseline, scenario, request, today)
