"""The nightly run by number of series: seconds, peak memory, and beside a bare StatsForecast call.

A catalogue is made up: 40 % of its series sell on most days, 60 % rarely, over one year of days.
Each size runs in a process of its own, so that its peak memory is its own. *Ours* is the whole of
``run_forecasts``: read, clean, classify, replay, fit, calibrate, store. *Bare* is one
``StatsForecast.forecast`` call per combination of models on frames that are ready, in one process.
The ratio is the median of pairs that run in turns, because a busy machine slows both of a pair.

``python -m bench.scale 1000 5000`` prints the cost curve that ``docs/forecasting.md`` quotes.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from db import schema
from db.demo.orders import DEMO_NOW
from db.models.catalog import Item, Location
from db.models.ingestion import Load
from db.models.stock import Demand
from db.session import Database
from db.types import LoadState
from tools.clock import FixedClock
from tools.demand.core import dense_panel
from tools.demand.service import demand_frame
from tools.forecasting.core import batch, methods
from tools.forecasting.core.engines import Engine
from tools.forecasting.service.runs import DEFAULT_HORIZON_DAYS, run_forecasts

CLOCK = FixedClock(DEMO_NOW)
DAYS = 365
PAIRS = 3
SIZE = 1000
MEMORY_GOAL_MB = 2048


def run() -> list[dict[str, Any]]:
    """Measure ratio, cost and memory on a catalogue of a thousand series."""
    pairs = _apart(SIZE, PAIRS)
    ratio = statistics.median(pair["ours_s"] / pair["bare_s"] for pair in pairs)
    ours_s = statistics.median(pair["ours_s"] for pair in pairs)
    peak_mb, fresh_s = pairs[0]["peak_mb"], pairs[0]["fresh_s"]
    return [
        _row("forecast batch / bare StatsForecast", ratio, "x", "<= 1.15", ratio <= 1.15),
        _row(f"forecast batch of {SIZE} series", ours_s, "s", "<= 60", ours_s <= 60),
        _row("its peak memory", peak_mb, "MB", "<= 2048", peak_mb <= MEMORY_GOAL_MB),
        _row("fresh forecast of one item", fresh_s, "s", "<= 1", fresh_s <= 1),
    ]


def _apart(
    series: int, pairs: int, *, is_bare: bool = True, engine: str = "local"
) -> list[dict[str, Any]]:
    """Measure in a fresh process."""
    command = [sys.executable, "-m", "bench.scale", "--measure", str(series), str(pairs)]
    done = subprocess.run(
        [*command, str(int(is_bare)), engine], check=True, capture_output=True, text=True
    )
    answer: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure(series: int, pairs: int, *, is_bare: bool, engine: str) -> list[dict[str, Any]]:
    """Run a catalogue of so many series, and the bare call beside it."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'scale.db'}")
        with database.engine.begin() as connection:
            schema.metadata().create_all(connection)
        fill(database, series)
        bare = _bare_call(database) if is_bare else None
        if bare is not None:
            bare()
        else:
            methods.forecasts(
                np.ones((1, 40)), horizon=7, models=methods.STEADY, season=methods.DAILY
            )
        found = []
        for _ in range(pairs):
            ours_s = _seconds(lambda: run_forecasts(database, clock=CLOCK, engine=_engine(engine)))
            bare_s = None if bare is None else _seconds(bare)
            found.append({"series": series, "ours_s": ours_s, "bare_s": bare_s})
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        workers_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        fresh_s = _fresh(database)
        database.close()
    return [
        {**one, "peak_mb": peak_mb, "worker_mb": workers_mb, "fresh_s": fresh_s} for one in found
    ]


def _engine(name: str) -> Engine:
    return Engine("processes") if name == "processes" else Engine()


def fill(database: Database, series: int) -> None:
    """Make up a catalogue and its sales."""
    random = np.random.default_rng(5)
    last = DEMO_NOW.date() - timedelta(days=1)
    days = [last - timedelta(days=DAYS - 1 - k) for k in range(DAYS)]
    with database.write() as session:
        session.add(Location(id=1, code="MAIN", name="Main warehouse"))
        session.add(
            Load(
                id=1, kind="sales", file_name="made-up.csv", content_hash="0" * 64,
                state=LoadState.PUBLISHED, started_at=DEMO_NOW,
            )
        )  # fmt: skip
        session.add_all(
            Item(
                id=k, sku=f"S-{k}", sku_key=f"S-{k}", name=f"Item {k}", currency="GBP",
                created_at=DEMO_NOW,
            )
            for k in range(1, series + 1)
        )  # fmt: skip
    for first in range(1, series + 1, 2000):
        ids = range(first, min(first + 2000, series + 1))
        _sell(database, ids, random, days)


def _sell(database: Database, ids: range, random: np.random.Generator, days: list[date]) -> None:
    level = np.where(np.arange(len(ids)) % 5 < 2, random.uniform(2, 40, len(ids)), 0.15)
    week = 1 + 0.3 * np.sin(np.arange(DAYS) * 2 * np.pi / 7)
    units = random.poisson(level[:, None] * week)
    row, day = np.nonzero(units)
    columns = (
        "item_id",
        "location_id",
        "on",
        "load_id",
        "units",
        "returned_units",
        "is_in_stock",
        "flag",
    )
    values = [
        (ids[r], 1, days[d].isoformat(), 1, int(units[r, d]), 0, 1, "")
        for r, d in zip(row.tolist(), day.tolist(), strict=True)
    ]
    with database.write() as session:
        marks = ", ".join("?" * len(columns))
        names = ", ".join(f'"{name}"' for name in columns)
        session.connection().exec_driver_sql(
            f"INSERT INTO {Demand.__tablename__} ({names}) VALUES ({marks})", values
        )


def _bare_call(database: Database) -> Callable[[], None]:
    """Prepare the frames of the same series, grouped by the same models."""
    from statsforecast import StatsForecast

    with database.read() as session:
        frame = demand_frame(session)
    panel = dense_panel(frame, until=frame["on"].max().date())
    adi, _, classes = batch.classified(panel)
    chosen = [methods.combination(c, adi=a) for c, a in zip(classes, adi, strict=True)]
    work = [
        (models, methods.long_frame(panel.units[[members == models for members in chosen]]))
        for models in sorted(set(chosen) - {methods.FLOOR})
    ]

    def call() -> None:
        for models, ready in work:
            built = methods.build_models(models, methods.DAILY)
            StatsForecast(models=built, freq=1, n_jobs=1).forecast(df=ready, h=DEFAULT_HORIZON_DAYS)

    return call


def _fresh(database: Database) -> float:
    """Median seconds from the sales of one item to a new forecast of it, warm."""
    times = []
    for item_id in range(1, 8):
        with database.read() as session:
            begun = time.perf_counter()
            frame = demand_frame(session, item_ids=[item_id])
            panel = dense_panel(frame, until=frame["on"].max().date())
            batch.forecast_panel(panel, horizon_days=DEFAULT_HORIZON_DAYS)
            times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _row(name: str, value: float, unit: str, goal: str, holds: bool) -> dict[str, Any]:
    return {"name": name, "value": float(value), "unit": unit, "goal": goal, "holds": bool(holds)}


def _curve(arguments: list[str]) -> None:
    engine = "processes" if "--processes" in arguments else "local"
    for size in (int(one) for one in arguments if one.isdigit()):
        (one,) = _apart(size, 1, is_bare=False, engine=engine)
        print(
            f"{size:>7,} series {one['ours_s']:8.1f} s, {1e3 * one['ours_s'] / size:5.1f} ms each, "
            f"peak {one['peak_mb']:6.0f} MB, worker {one['worker_mb']:5.0f} MB ({engine})",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        size, count, with_bare, where = sys.argv[2:6]
        print(json.dumps(measure(int(size), int(count), is_bare=with_bare == "1", engine=where)))
    else:
        _curve(sys.argv[1:])
