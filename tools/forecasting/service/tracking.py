"""The promises of a run carried into the next one, and what came of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Text, cast, select
from sqlmodel import Session, col

from db.models.catalog import Item, Location
from db.models.planning import Forecast
from tools.demand.core import Panel
from tools.forecasting.core import drift, totals
from tools.forecasting.core.batch import Batch
from tools.forecasting.service.reading import Pair
from tools.forecasting.service.records import latest_run
from tools.reach.service import items_here, places_here

Track = Mapping[str, Any]


def tracks_before(
    session: Session, run_id: int | None, item_ids: Sequence[int]
) -> dict[Pair, Track]:
    """Read what a run kept of the promises of some items."""
    if run_id is None:
        return {}
    query = select(col(Forecast.item_id), col(Forecast.location_id), col(Forecast.metrics)).where(
        col(Forecast.run_id) == run_id, col(Forecast.item_id).in_(item_ids)
    )
    return {
        (item, place): metrics["track"]
        for item, place, metrics in session.execute(query)
        if "track" in metrics
    }


def tracked(
    rows: list[dict[str, Any]], panel: Panel, batch: Batch, before: Mapping[Pair, Track]
) -> list[dict[str, Any]]:
    """Add to the rows of a partition what came of past promises, the new ones, and signs of drift.

    Args:
        rows: To store, in the order of the panel.
        panel: Cleaned demand.
        batch: Its forecasts, events included.
        before: What the run before kept.
    """
    pairs = [(row["item_id"], row["location_id"]) for row in rows]
    kept = drift.tracks(
        [before.get(pair) for pair in pairs], _promised(panel, batch), units=panel.units,
        until=panel.until, period_days=panel.period_days,
    )  # fmt: skip
    for row, track, report in zip(rows, kept, drift.reports(kept), strict=True):
        row["metrics"] |= {"track": track} | ({"drift": report} if report else {})
    return rows


def _promised(panel: Panel, batch: Batch) -> drift.Promised:
    periods = drift.promise_periods(panel.period_days)
    days = periods * panel.period_days
    unknown = np.full(len(batch.mean), np.nan)
    low = high = unknown
    at = np.flatnonzero(batch.total_days == days)
    if batch.is_tested and len(at):
        low, high = totals.intervals(batch.total_quantiles[:, at[0]])
    naive = np.nansum(panel.units[:, -periods:], axis=1)
    return drift.Promised(batch.mean[:, :days].sum(axis=1), low, high, naive)


def drifting(session: Session) -> list[tuple[Item, str, dict[str, Any]]]:
    """List what drifted in the run in use: item, code of its location, signs with figures."""
    run = latest_run(session)
    if run is None:
        return []
    query = (
        select(Item, col(Location.code), col(Forecast.metrics))
        .join(Forecast, col(Forecast.item_id) == col(Item.id))
        .join(Location, col(Location.id) == col(Forecast.location_id))
        .where(
            col(Forecast.run_id) == run.id,
            cast(col(Forecast.metrics), Text).contains('"drift": {'),
            *items_here(session),
            *places_here(session),
        )
        .order_by(col(Item.id), col(Location.id))
    )
    return [(item, code, metrics["drift"]) for item, code, metrics in session.execute(query)]


def kept_promises(session: Session) -> dict[str, drift.Record]:
    """Sum up how the promises of past weeks were kept, by demand class and in all.

    Args:
        session: Open session; only what it may see counts.

    Returns:
        By class, "*" for all; empty before a first week is over.
    """
    run = latest_run(session)
    if run is None:
        return {}
    query = (
        select(col(Forecast.demand_class), col(Forecast.metrics))
        .join(Item, col(Item.id) == col(Forecast.item_id))
        .join(Location, col(Location.id) == col(Forecast.location_id))
        .where(col(Forecast.run_id) == run.id, *items_here(session), *places_here(session))
    )
    groups: dict[str, list[Track]] = {}
    for name, metrics in session.execute(query):
        if metrics.get("track", {}).get("weeks"):
            for group in (name.value, "*"):
                groups.setdefault(group, []).append(metrics["track"])
    return {name: drift.record(drift.kept_of(found)) for name, found in sorted(groups.items())}
