"""Planners' own figures in the place of a run's forecasts, before anybody reads the run."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from sqlalchemy import select
from sqlmodel import Session, col

from db.models.planning import Forecast
from db.types import ForecastBasis
from tools.forecasting.core.stretched import moved_totals
from tools.planning_inputs.core.basis import applied_overrides
from tools.planning_inputs.core.cleaning import series_of
from tools.planning_inputs.core.values import Inputs, Override

OVERRIDDEN = "a planner's figure stands in for the forecast"


def apply_overrides(session: Session, run_id: int, inputs: Inputs, *, start_on: date) -> int:
    """Put the overrides of some days to come into the stored forecasts of a run.

    Only the items that are overridden are touched; those that they are compared with are read.

    Args:
        session: A write transaction.
        run_id: The run, not yet finished.
        inputs: What people say.
        start_on: First day of the forecast.

    Returns:
        How many forecasts changed.
    """
    current = [one for one in inputs.overrides if one.end_on >= start_on]
    if not current:
        return 0
    needed = _needed(current, inputs)
    query = select(Forecast).where(
        col(Forecast.run_id) == run_id, col(Forecast.item_id).in_(sorted(needed))
    )
    rows = list(session.scalars(query.order_by(col(Forecast.item_id), col(Forecast.location_id))))
    if not rows:
        return 0
    mean = np.array([row.mean for row in rows])
    series = series_of(
        [row.item_id for row in rows], [row.location_id for row in rows], inputs.categories
    )
    said, bases = applied_overrides(mean, current, series, start_on=start_on)
    changed = np.flatnonzero((said != mean).any(axis=1)).tolist()
    for k in changed:
        _write(rows[k], np.round(said[k], 4).tolist(), bases[k])
        session.add(rows[k])
    session.flush()
    return len(changed)


def _needed(overrides: Sequence[Override], inputs: Inputs) -> set[int]:
    """Items that are overridden, their analogs, and those of their categories."""
    items = {one.item_id for one in overrides}
    items |= {one.analog_item_id for one in overrides if one.analog_item_id is not None}
    by_category = [one.item_id for one in overrides if one.basis is ForecastBasis.CATEGORY]
    wanted = {inputs.categories.get(item, "") for item in by_category}
    return items | {item for item, name in inputs.categories.items() if name and name in wanted}


def _write(row: Forecast, mean: list[float], basis: ForecastBasis) -> None:
    row.total_sd, row.total_quantiles = moved_totals(
        row.mean, mean, row.total_sd, row.total_quantiles
    )
    row.mean, row.basis = mean, basis
    whose = "" if basis is ForecastBasis.OWN else f", after {_WHOSE[basis]}"
    row.warnings = [*row.warnings, OVERRIDDEN + whose]


_WHOSE = {ForecastBasis.ANALOG: "a similar item", ForecastBasis.CATEGORY: "its category"}
