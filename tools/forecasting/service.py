"""Run the batch of forecasts, store it, and answer from what is stored."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import insert, select, update
from sqlmodel import Session, col

from db.models.catalog import Item, Location, SupplierItem
from db.models.planning import Forecast, ForecastRun, Policy
from db.models.stock import StockLevel
from db.session import Database
from db.types import DemandClass
from tools.cases.service import today_of
from tools.clock import Clock
from tools.company import Company
from tools.demand.core import Panel, dense_panel
from tools.demand.service import demand_frame
from tools.errors import NotEnoughData
from tools.forecasting.core import totals
from tools.forecasting.core.batch import Batch, forecast_panel
from tools.forecasting.core.rows import forecast_rows

DEFAULT_HORIZON_DAYS = 91  # longest lead time and review and cover of the demo, and 13 weeks
CHUNK_ROWS = 500
LEAD_TIME_LEVEL = 0.95
_LATE_DAYS = {"D": 2, "W": 9}
_LIBRARIES = ("statsforecast", "numpy", "pandas", "scipy")


def run_forecasts(
    database: Database,
    *,
    clock: Clock,
    company: Company | None = None,
    horizon_days: int = DEFAULT_HORIZON_DAYS,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Forecast every item at every location and store the run.

    Reads with one query, computes outside any transaction, and writes in transactions of its own;
    a run counts once it is finished, so a killed one leaves nothing that anybody reads.

    Args:
        database: Open database.
        clock: Gives today; only days before today count, because today is not over.
        company: Its time zone says which day it is; that of UTC by default.
        horizon_days: Days to forecast.
        progress: Called with (series done, series in all).

    Returns:
        Id of the ``ForecastRun``.

    Raises:
        NotEnoughData: No sale is loaded at all.
    """
    started_at = clock.now()
    yesterday = today_of(clock, company or Company()) - timedelta(days=1)
    with database.read() as session:
        frame = demand_frame(session, end=yesterday)
        silent = _silent_pairs(session, frame)
    if frame.empty:
        raise NotEnoughData(
            "no sales are loaded, so there is nothing to forecast from",
            next_step="Load a sales file first, then plan again.",
        )
    panel = dense_panel(frame, until=frame["on"].max().date())
    batch = forecast_panel(panel, horizon_days=horizon_days, progress=progress)
    _warn_of_flags(frame, panel, batch)
    run = {
        "started_at": started_at,
        "as_of_on": panel.until,
        "grain": panel.grain,
        "horizon_days": horizon_days,
        "series_count": len(panel.item_ids) + len(silent),
        "data_hash": _data_hash(frame),
        "versions": {name: version(name) for name in _LIBRARIES},
    }
    return _store(database, run, forecast_rows(panel, batch, silent, horizon_days), clock=clock)


def latest_run(session: Session) -> ForecastRun | None:
    """Return the newest finished run."""
    query = select(ForecastRun).where(col(ForecastRun.finished_at).is_not(None))
    return session.scalars(query.order_by(col(ForecastRun.id).desc()).limit(1)).first()


def latest_forecast(session: Session, item_id: int, location_id: int) -> Forecast | None:
    """Return the newest forecast of an item at a location, from a finished run."""
    found = _latest(session, item_id, location_id)
    return None if found is None else found[0]


@dataclass(frozen=True)
class LeadTimeDemand:
    """Demand over a typical lead time, units."""

    days: float
    quantile_level: float
    quantile_units: float
    mean_units: float


@dataclass(frozen=True)
class ForecastAnswer:
    """What is expected of one item at one location, from ``start_on`` on."""

    forecast: Forecast
    as_of_on: date
    start_on: date
    end_on: date
    mean: tuple[float, ...]  # units a day
    total_mean: float
    total_low: float
    total_high: float
    level: float
    lead_time: LeadTimeDemand | None
    warnings: tuple[str, ...]


def forecast_for(
    session: Session,
    item: Item,
    location: Location,
    *,
    clock: Clock,
    company: Company | None = None,
    horizon_days: int = 28,
    level: float = 0.9,
) -> ForecastAnswer:
    """Answer from the stored forecast; nothing is fitted here.

    Args:
        session: Open session.
        item: Item.
        location: Location.
        clock: Gives today, the first day of the answer.
        company: Its time zone says which day it is; that of UTC by default.
        horizon_days: Days to sum up.
        level: Probability that the total lies between low and high.

    Raises:
        NotEnoughData: No forecast is stored, the stored one is too old, or the item has too short
            a history for one.
    """
    found = _latest(session, item.id, location.id)
    if found is None:
        raise NotEnoughData(
            f"there is no forecast for {item.sku!r} at {location.code!r} yet",
            next_step="Load its sales if they are missing, then run the plan.",
        )
    forecast, run = found
    _refuse_too_little(item, forecast, run)
    start = max(today_of(clock, company or Company()), run.as_of_on + timedelta(days=1))
    skipped = (start - run.as_of_on).days - 1
    ahead = _ahead(item, forecast, run, skipped=skipped)
    tail = float(np.mean(forecast.mean[-28:]))
    mean = (ahead + [tail] * max(0, horizon_days - len(ahead)))[:horizon_days]

    def quantile(days: float, at: float) -> float:
        return _quantile_from(forecast, skipped=skipped, days=days, level=at)

    return ForecastAnswer(
        forecast=forecast,
        as_of_on=run.as_of_on,
        start_on=start,
        end_on=start + timedelta(days=horizon_days - 1),
        mean=tuple(mean),
        total_mean=sum(mean),
        total_low=quantile(horizon_days, (1 - level) / 2),
        total_high=quantile(horizon_days, (1 + level) / 2),
        level=level,
        lead_time=_lead_time_demand(session, forecast, ahead, quantile),
        warnings=tuple(_answer_warnings(forecast, run, skipped=skipped, days=horizon_days)),
    )


def _ahead(item: Item, forecast: Forecast, run: ForecastRun, *, skipped: int) -> list[float]:
    """Give the stored days that still lie ahead."""
    if skipped >= len(forecast.mean):
        raise NotEnoughData(
            f"the last forecast of {item.sku!r} rests on sales up to {run.as_of_on.isoformat()} "
            "and has run out",
            next_step="Load the sales since then and run the plan.",
        )
    return forecast.mean[skipped:]


def _quantile_from(forecast: Forecast, *, skipped: int, days: float, level: float) -> float:
    """Quantile of a total that starts ``skipped`` days into the forecast.

    Its error is taken as that of the longer total from the start: a little too wide, never narrow.
    """
    whole = totals.total_quantile(
        forecast.mean,
        forecast.total_sd,
        forecast.total_quantiles,
        days=skipped + days,
        level=level,
    )
    return max(0.0, whole - totals.total_mean(forecast.mean, days=skipped))


def _latest(
    session: Session, item_id: int, location_id: int
) -> tuple[Forecast, ForecastRun] | None:
    query = (
        select(Forecast, ForecastRun)
        .join(ForecastRun, col(ForecastRun.id) == col(Forecast.run_id))
        .where(
            col(Forecast.item_id) == item_id,
            col(Forecast.location_id) == location_id,
            col(ForecastRun.finished_at).is_not(None),
        )
        .order_by(col(Forecast.run_id).desc())
        .limit(1)
    )
    row = session.execute(query).first()
    return None if row is None else (row[0], row[1])


def _refuse_too_little(item: Item, forecast: Forecast, run: ForecastRun) -> None:
    sold = forecast.observed_days
    if forecast.demand_class is DemandClass.NO_DEMAND:
        raise NotEnoughData(
            f"{item.sku!r} has no sale up to {run.as_of_on.isoformat()}",
            next_step="Give a launch estimate, or name a similar item to compare with.",
            details={"observed_days": sold},
        )
    if forecast.demand_class is DemandClass.NEW:
        raise NotEnoughData(
            f"{item.sku!r} has {sold} days of sales, too few for a model; so far it sold "
            f"{forecast.mean[0]:.1f} a day",
            next_step="Give a launch estimate, or name a similar item to compare with.",
            details={"observed_days": sold, "daily_mean_so_far": round(forecast.mean[0], 2)},
        )


def _lead_time_demand(
    session: Session,
    forecast: Forecast,
    ahead: list[float],
    quantile: Callable[[float, float], float],
) -> LeadTimeDemand | None:
    """Demand over the planned lead time, or over the quoted one before the first plan."""
    planned = session.scalars(
        select(col(Policy.lead_time_mean_days)).where(
            col(Policy.item_id) == forecast.item_id,
            col(Policy.location_id) == forecast.location_id,
        )
    ).first()
    quoted = select(col(SupplierItem.quoted_lead_time_days)).where(
        col(SupplierItem.item_id) == forecast.item_id
    )
    preferred = quoted.order_by(col(SupplierItem.is_preferred).desc(), col(SupplierItem.id))
    days = planned if planned is not None else session.scalars(preferred.limit(1)).first()
    if days is None:
        return None
    return LeadTimeDemand(
        days=float(days),
        quantile_level=LEAD_TIME_LEVEL,
        quantile_units=quantile(days, LEAD_TIME_LEVEL),
        mean_units=totals.total_mean(ahead, days=days),
    )


def _answer_warnings(
    forecast: Forecast, run: ForecastRun, *, skipped: int, days: int
) -> Iterator[str]:
    yield from forecast.warnings
    if skipped + 1 > _LATE_DAYS.get(run.grain, 2):
        yield (
            f"the forecast rests on sales up to {run.as_of_on.isoformat()}, {skipped + 1} days "
            "ago: load newer sales and plan again"
        )
    if skipped + days > len(forecast.mean):
        yield (
            f"the forecast covers {len(forecast.mean) - skipped} more days; the days behind "
            "repeat its last four weeks"
        )


def _silent_pairs(session: Session, frame: pd.DataFrame) -> list[tuple[int, int]]:
    """List item and location of stock that never sold."""
    stocked = session.execute(select(col(StockLevel.item_id), col(StockLevel.location_id))).all()
    sold = set(zip(frame["item_id"].tolist(), frame["location_id"].tolist(), strict=True))
    return sorted({(item, location) for item, location in stocked} - sold)


def _warn_of_flags(frame: pd.DataFrame, panel: Panel, batch: Batch) -> None:
    """Tell about outliers and about locations whose sales stopped arriving."""
    for outlier in panel.outliers:
        batch.warnings[outlier.series].append(outlier.note)
    outliers = frame[frame["flag"] == "outlier"].groupby(["item_id", "location_id"]).size()
    last = frame.groupby("location_id")["on"].max()
    late = last[last < last.max() - pd.Timedelta(days=_LATE_DAYS[panel.grain])]
    pairs = zip(panel.item_ids.tolist(), panel.location_ids.tolist(), strict=True)
    for warnings, (item_id, location_id) in zip(batch.warnings, pairs, strict=True):
        if count := outliers.get((item_id, location_id), 0):
            warnings.append(f"{count} days are flagged as outliers and still count")
        if location_id in late.index:
            warnings.append(
                f"no sales of this location after {late[location_id].date().isoformat()} are "
                "loaded; the days behind count as zero"
            )


def _data_hash(frame: pd.DataFrame) -> str:
    """SHA-256 of everything the forecasts saw."""
    digest = hashlib.sha256()
    for name in ("item_id", "location_id", "on", "units", "is_in_stock"):
        digest.update(np.ascontiguousarray(frame[name].to_numpy()).tobytes())
    digest.update("\n".join(frame["flag"]).encode())
    return digest.hexdigest()


def _store(
    database: Database, run: dict[str, Any], rows: Iterator[dict[str, Any]], *, clock: Clock
) -> int:
    """Write the run and its rows in chunks, and mark it finished last."""
    with database.write() as session:
        record = ForecastRun(**run)
        session.add(record)
        session.flush()
        run_id = record.id
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row | {"run_id": run_id})
        if len(chunk) == CHUNK_ROWS:
            _insert(database, chunk)
            chunk = []
    _insert(database, chunk)
    with database.write() as session:
        session.execute(
            update(ForecastRun).where(col(ForecastRun.id) == run_id).values(finished_at=clock.now())
        )
    return run_id


def _insert(database: Database, chunk: list[dict[str, Any]]) -> None:
    if chunk:
        with database.write() as session:
            session.execute(insert(Forecast), chunk)
