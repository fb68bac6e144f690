"""Planning all items against a bare StatsForecast call, and whether the intervals hold.

*Ours* is the whole of ``quartermaster plan``: read the demand rows of the demo shop, clean and
classify them, fit, replay the past, calibrate totals, store run and forecasts, then compute
policies and recommendations of all items and store them. *Bare* is one
``StatsForecast.forecast`` call per combination with the same models on the same series over the
same horizon, in one process, from a data frame that is ready: as many fits as ours and nothing
else, no intervals, no back-test.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlmodel import Session, select

from db import schema
from db.demo.orders import DEMO_NOW
from db.models.catalog import Item, Location
from db.seed import seed_demo
from db.session import Database
from tools.clock import FixedClock
from tools.company import Company
from tools.demand.core import Panel, dense_panel
from tools.demand.service import demand_frame
from tools.forecasting.core import accuracy, batch, methods, selection
from tools.forecasting.service.answers import forecast_for
from tools.forecasting.service.runs import DEFAULT_HORIZON_DAYS, run_forecasts
from tools.replenishment.service import plan_all

ROUNDS = 7
HORIZON = 28
CLOCK = FixedClock(DEMO_NOW)


def run() -> list[dict[str, Any]]:
    """Measure cost and quality of the forecast batch on the demo shop."""
    with _shop() as database:
        with database.read() as session:
            frame = demand_frame(session)
        panel = dense_panel(frame, until=frame["on"].max().date())
        ours, wall, processor = _side_by_side(database, panel)
        with database.read() as session:
            answer_ms = _answer_ms(session)
    return [
        _row("planning of all items / bare StatsForecast", wall, "x", "<= 1.2", wall <= 1.2),
        _row("the same in processor time", processor, "x", "<= 1.2", processor <= 1.2),
        _row(f"planning of {len(panel.units)} items", ours, "s", "<= 30", ours <= 30),
        _row("stored forecast answers", answer_ms, "ms", "<= 50", answer_ms <= 50),
        *_quality(panel),
    ]


def _quality(panel: Panel) -> list[dict[str, Any]]:
    """Totals of 28 days in the last three windows, known only up to the start of each."""
    past = selection.holdout(panel, horizon=HORIZON, windows=3)
    covered = accuracy.coverage(past.sold, past.low, past.high)
    naive = selection.cross_validate(
        panel.units,
        candidates={"seasonal_naive": ("seasonal_naive",), "median": methods.STEADY},
        horizon=HORIZON,
        windows=3,
        season=methods.DAILY,
    )
    ratio = naive["median"].wmape / naive["seasonal_naive"].wmape
    return [
        _row("90 % interval of totals covers", covered, "", "0.85-0.95", 0.85 <= covered <= 0.95),
        _row("total WMAPE / seasonal naive", ratio, "x", "<= 0.9", ratio <= 0.9),
    ]


def _plan(database: Database) -> None:
    run_forecasts(database, clock=CLOCK)
    with database.write() as session:
        plan_all(session, clock=CLOCK, company=Company())


def _side_by_side(database: Database, panel: Panel) -> tuple[float, float, float]:
    """Return our median seconds and the median ratios of wall and processor time.

    Both run in turns, and each pair gives one ratio: a busy machine slows both of a pair.
    """
    bare, ours = _bare_call(panel), partial(_plan, database)
    bare()
    pairs = [(_seconds(ours), _seconds(bare)) for _ in range(ROUNDS)]
    wall, processor = (
        statistics.median(mine[k] / theirs[k] for mine, theirs in pairs) for k in (0, 1)
    )
    return statistics.median(mine[0] for mine, _ in pairs), wall, processor


def _bare_call(panel: Panel) -> Callable[[], None]:
    """Prepare the frames of the same series, grouped by the same models."""
    from statsforecast import StatsForecast

    adi, _, classes = batch.classified(panel)
    chosen = [methods.combination(c, adi=a) for c, a in zip(classes, adi, strict=True)]
    work = []
    for models in sorted(set(chosen) - {methods.FLOOR}):
        rows = np.array([members == models for members in chosen])
        work.append((models, methods.long_frame(panel.units[rows])))

    def call() -> None:
        for models, frame in work:
            built = methods.build_models(models, methods.DAILY)
            StatsForecast(models=built, freq=1, n_jobs=1).forecast(df=frame, h=DEFAULT_HORIZON_DAYS)

    return call


def _answer_ms(session: Session) -> float:
    """Median time to answer one item from the stored run."""
    items = session.exec(select(Item).limit(50)).all()
    place = session.exec(select(Location)).one()
    ask = partial(forecast_for, session, location=place, clock=CLOCK)
    times = [_seconds(partial(ask, item))[0] for item in items]
    return 1000 * statistics.median(times)


def _seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - used


@contextmanager
def _shop() -> Iterator[Database]:
    """Open the demo shop in a scratch database."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'bench.db'}")
        schema.metadata().create_all(database.engine)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
        seed_demo(database, clock=CLOCK)
        yield database
        database.close()


def _row(name: str, value: float, unit: str, goal: str, holds: bool) -> dict[str, Any]:
    return {"name": name, "value": float(value), "unit": unit, "goal": goal, "holds": bool(holds)}
