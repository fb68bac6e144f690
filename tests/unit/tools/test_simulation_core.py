"""What a scenario changes, in days from today."""

from datetime import date
from typing import Any

import pytest

from tools.errors import InvalidInput
from tools.planning.core.tables import HORIZON_DAYS, Change
from tools.simulation.core.scenario import ScenarioRequest

TODAY = date(2026, 3, 2)


def test_an_empty_scenario_changes_nothing() -> None:
    assert ScenarioRequest().change(TODAY) == Change()


def test_dates_become_days_with_the_end_included() -> None:
    request = ScenarioRequest(demand_change_pct=40, start="2026-05-03", end="2026-05-16")

    assert request.change(TODAY) == Change(demand_factor=1.4, first_day=62, last_day=75)


def test_an_open_end_lasts_to_the_horizon() -> None:
    assert ScenarioRequest(demand_change_pct=5, start="2026-03-10").change(TODAY).last_day == (
        HORIZON_DAYS
    )


@pytest.mark.parametrize(
    "values",
    [
        {"demand_change_pct": -101},
        {"demand_change_pct": 5000},
        {"lead_time_change_days": 400},
        {"service_level": 1.0},
        {"service_level": 98},
        {"start": "3 May"},
        {"end": "2026-02-01"},
        {"start": "2026-05-16", "end": "2026-05-03"},
    ],
)
def test_refuses_what_makes_no_sense(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ScenarioRequest(**values).change(TODAY)
