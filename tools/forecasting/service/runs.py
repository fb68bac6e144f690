"""Run the batch of forecasts: partition by partition, resumable, visible when it is complete."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from sqlalchemy import insert, select, update
from sqlmodel import Session, col

from db.models.planning import Forecast, ForecastRun
from db.session import Database
from tools.cases.service import today_of
from tools.clock import Clock
from tools.company import Company
from tools.errors import Conflict, NotEnoughData
from tools.forecasting.core import engines, partitions
from tools.forecasting.core.batch import Batch, Progress, chosen, horizons_of
from tools.forecasting.core.rows import silent_rows
from tools.forecasting.service import reading
from tools.forecasting.service.ground import Ground, groundwork
from tools.forecasting.service.overriding import apply_overrides
from tools.forecasting.service.records import latest_run
from tools.forecasting.service.registry import champions_in_use
from tools.forecasting.service.spool import Spool
from tools.forecasting.service.tracking import tracks_before
from tools.planning_inputs.service.reading import read_inputs

DEFAULT_HORIZON_DAYS = 91  # longest lead time and review and cover of the demo, and 13 weeks
_LIBRARIES = ("statsforecast", "numpy", "pandas", "scipy")


def run_forecasts(
    database: Database,
    *,
    clock: Clock,
    company: Company | None = None,
    horizon_days: int = DEFAULT_HORIZON_DAYS,
    progress: Progress | None = None,
    engine: engines.Engine | None = None,
    part_series: int = partitions.SERIES,
) -> int:
    """Forecast every item at every location and store the run.

    Reads partition by partition, computes outside any transaction, and writes each partition in a
    transaction of its own. A run counts once it is finished, so a killed one leaves nothing that
    anybody reads; the next call with the same demand goes on behind its last stored partition.

    Args:
        database: Open database.
        clock: Gives today; only days before today count, because today is not over.
        company: Its time zone says which day it is; that of UTC by default.
        horizon_days: Days to forecast.
        progress: Called with (series done, series in all).
        engine: Who computes; this process by default.
        part_series: Series in a partition; changes no number.

    Returns:
        Id of the ``ForecastRun``.

    Raises:
        NotEnoughData: No sale is loaded at all.
        Conflict: Another process computes the same run.
    """
    started_at = clock.now()
    yesterday = today_of(clock, company or Company()) - timedelta(days=1)
    with database.read() as session:
        inputs = read_inputs(session)
        catalogue = reading.survey(
            session, end=yesterday, part_series=part_series, heirs=inputs.heirs
        )
        champions, before = champions_in_use(session), latest_run(session)
        before_id = None if before is None else before.id
    if catalogue is None:
        raise NotEnoughData(
            "no sales are loaded, so there is nothing to forecast from",
            next_step="Load a sales file first, then plan again.",
        )
    with Spool() as spool:
        ground = groundwork(
            database, catalogue, inputs, spool, end=yesterday, horizon_days=horizon_days,
            champions=champions, part_series=part_series,
        )  # fmt: skip
        record = _record(ground, started_at=started_at, engine=engine, before_id=before_id)
        run = _begun(database, record)
        _fill(database, run, ground, engine=engine or engines.Engine(), progress=progress)
    with database.write() as session:
        apply_overrides(session, run.id, inputs, start_on=run.as_of_on + timedelta(days=1))
        session.execute(
            update(ForecastRun).where(col(ForecastRun.id) == run.id).values(finished_at=clock.now())
        )
    return run.id


def _record(
    ground: Ground, *, started_at: Any, engine: engines.Engine | None, before_id: int | None
) -> dict[str, Any]:
    return {
        "started_at": started_at,
        "as_of_on": ground.spool[0].until,
        "grain": ground.catalogue.grain,
        "horizon_days": ground.horizon_days,
        "series_count": ground.series,
        "data_hash": ground.data_hash,
        "versions": {name: version(name) for name in _LIBRARIES},
        "settings": {
            "engine": (engine or engines.Engine()).name,
            "part_series": ground.part_series,
            "run_before": before_id,
            "champions": {segment: list(models) for segment, models in ground.champions.items()},
        },
        "partitions": ground.count,
        "partitions_done": 0,
    }


def _begun(database: Database, record: dict[str, Any]) -> ForecastRun:
    """Go on with a run that was killed, if it saw and does the same; else start one."""
    same = ("as_of_on", "grain", "horizon_days", "series_count", "data_hash", "partitions")
    with database.write() as session:
        query = select(ForecastRun).where(
            col(ForecastRun.finished_at).is_(None), col(ForecastRun.partitions_done) > 0,
            *(getattr(ForecastRun, name) == record[name] for name in same),
        )  # fmt: skip
        for run in session.scalars(query.order_by(col(ForecastRun.id).desc())):
            if run.versions == record["versions"] and _work(run.settings) == _work(
                record["settings"]
            ):
                return run
        run = ForecastRun(**record)
        session.add(run)
        session.flush()
        return run


def _work(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings that change what is stored; the engine does not."""
    return {name: value for name, value in settings.items() if name != "engine"}


def _fill(
    database: Database,
    run: ForecastRun,
    ground: Ground,
    *,
    engine: engines.Engine,
    progress: Progress | None,
) -> None:
    """Compute and store the partitions that are still missing."""
    first, total = run.partitions_done, run.series_count
    sizes = ground.sizes
    done = sum(sizes[:first])
    for number, rows in _computed(database, run, ground, engine, _shifted(progress, done, total)):
        _store_part(database, run.id, number, rows)
        done += sizes[number]
        if progress is not None:
            progress(done, total)


def _computed(
    database: Database,
    run: ForecastRun,
    ground: Ground,
    engine: engines.Engine,
    progress: Progress | None,
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Give the rows of each partition that is missing."""
    first, before_id = run.partitions_done, run.settings.get("run_before")
    numbers = range(first, len(ground.outlines))
    engine = engines.worthwhile(engine, _seconds(ground, numbers))
    work: Callable[[partitions.Task], Batch] = partitions.forecast_task
    if engine.name == "local":
        work = _Told(progress)
    days: list[int] = []
    batches = engines.run(engine, work, map(ground.task, numbers))
    for number, batch in zip(numbers, batches, strict=True):
        for said, more in zip(batch.warnings, ground.notes[number], strict=True):
            said += more
        days = batch.total_days.tolist()
        with database.read() as session:
            before = tracks_before(session, before_id, ground.items(number))
        yield number, ground.rows(number, batch, before)
    days = days or _total_days(ground)
    for number, pairs in enumerate(ground.silent, start=len(ground.outlines)):
        if number >= first:
            yield number, list(silent_rows(pairs, days, ground.horizon_days))


class _Told:
    """Forecasts a partition in this process and tells how far all of them are."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._done = progress, 0

    def __call__(self, task: partitions.Task) -> Batch:
        """Forecast one partition."""
        before = self._done
        self._done += len(task.pool)
        if self._progress is None:
            return partitions.forecast_task(task)
        tell = self._progress
        return partitions.forecast_task(task, lambda done, _all: tell(before + done, 0))


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _all: progress(before + done, total)


def _seconds(ground: Ground, numbers: range) -> float:
    """Work ahead, for one process."""
    models = (
        chosen(name, adi=adi, champions=ground.champions)
        for k in numbers
        for name, adi in zip(ground.outlines[k].classes, ground.outlines[k].adi, strict=True)
    )
    return engines.expected_seconds(models)


def _total_days(ground: Ground) -> list[int]:
    """Lengths of the totals of the run, as its other partitions have them."""
    panel = ground.spool[0]
    tested_periods = ground.calibration.horizons.tolist()
    periods = tested_periods or horizons_of(panel, ground.horizon_days)
    return [int(p) * panel.period_days for p in periods]


def _store_part(database: Database, run_id: int, number: int, rows: list[dict[str, Any]]) -> None:
    """Write one partition and that it is done, in one transaction."""
    with database.write() as session:
        _take(session, run_id, number)
        session.execute(insert(Forecast), [row | {"run_id": run_id} for row in rows])


def _take(session: Session, run_id: int, number: int) -> None:
    taken = session.execute(
        update(ForecastRun)
        .where(col(ForecastRun.id) == run_id, col(ForecastRun.partitions_done) == number)
        .values(partitions_done=number + 1)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict(
            f"another process computes forecast run {run_id!r} already",
            next_step="Wait until it is done: quartermaster forecast runs.",
        )
