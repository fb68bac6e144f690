"""What-if questions on the demo shop, and the engine on its own.

The shop holds 260 items; some of them are copied, with stock, forecast, terms and policy, until 400
can be simulated. A what-if reads all of them, advises twice, draws demand and lead times and
simulates baseline, scenario and the scenario that nobody plans for.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert
from sqlmodel import Session, SQLModel, select

from db import schema
from db.demo.orders import DEMO_NOW
from db.models.catalog import Item, SupplierItem
from db.models.planning import Forecast, Policy
from db.models.stock import StockLevel
from db.seed import seed_demo
from db.session import Database
from tools.clock import FixedClock
from tools.company import Company
from tools.forecasting.service.runs import run_forecasts
from tools.replenishment.service import plan_all
from tools.simulation.core.engine import simulate
from tools.simulation.core.scenario import ScenarioRequest
from tools.simulation.core.world import Deliveries, Draws, FixedLevels, Items
from tools.simulation.service.whatif import Wanted, answer

ROUNDS = 5
ITEMS = 400
CLOCK = FixedClock(DEMO_NOW)


def run() -> list[dict[str, Any]]:
    """Measure what-ifs for 400 items and for one, and the engine alone."""
    with _shop() as database:
        simulated, many = _many(database)
        one = _one(database)
    cells, engine = _engine()
    return [
        _row(f"what-if for {simulated} items", many, "s", "<= 2", many <= 2),
        _row("what-if for one item", 1000 * one, "ms", "<= 500", one <= 0.5),
        _row("engine, item-days a second", cells / engine / 1e6, "million", ">= 5",
             cells / engine >= 5e6),
    ]  # fmt: skip


def _many(database: Database) -> tuple[int, float]:
    request = ScenarioRequest(demand_change_pct=40, lead_time_change_days=7)
    simulated = 0

    def ask() -> None:
        nonlocal simulated
        with database.read() as session:
            data = answer(session, Wanted(), request, clock=CLOCK, company=Company())
        simulated = data["items"]

    return _median(ask, after=lambda: simulated)


def _one(database: Database) -> float:
    from tools.simulation.service.whatif import wanted_of

    request = ScenarioRequest(demand_change_pct=40)

    def ask() -> None:
        with database.read() as session:
            wanted = wanted_of(session, sku="22423")
            answer(session, wanted, request, clock=CLOCK, company=Company())

    return _median(ask, after=lambda: 1)[1]


def _engine() -> tuple[int, float]:
    """300 items on 20 paths for 124 days: the plant of the closed loop."""
    n, p, days = 300, 20, 124
    rng = np.random.default_rng(1)
    demand = rng.negative_binomial(2, 0.2, (n, p, days)).astype(np.float64)
    draws = Draws(demand, Deliveries(rng.integers(3, 20, (12, p, days)), np.arange(n) % 12))
    items = Items.of(n, on_hand=150, moq=24, multiple=12)
    levels = FixedLevels(np.full(n, 120.0), np.full(n, 240.0))
    seconds = _median(lambda: simulate(items, draws, levels), after=lambda: 1)[1]
    return n * p * days, seconds


def _median(work: Callable[[], Any], *, after: Callable[[], int]) -> tuple[int, float]:
    """Median seconds of a call that ran once before, and what it left behind."""
    work()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return after(), statistics.median(times)


@contextmanager
def _shop() -> Iterator[Database]:
    """Open the demo shop, planned, with items copied until there are 400 to simulate."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'bench.db'}")
        schema.metadata().create_all(database.engine)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
        seed_demo(database, clock=CLOCK)
        run_forecasts(database, clock=CLOCK)
        with database.write() as session:
            plan_all(session, clock=CLOCK, company=Company())
            known = answer(session, Wanted(), ScenarioRequest(), clock=CLOCK, company=Company())
            _copy_items(session, ITEMS - known["items"])
        yield database
        database.close()


def _copy_items(session: Session, count: int) -> None:
    """Copy active items with everything that a plan reads of them."""
    rows = session.exec(select(Item).where(Item.status == "active").order_by(Item.id))  # type: ignore[arg-type]
    first = 1_000_000
    for item in rows.all()[:count]:
        new = {"sku": f"{item.sku}-2", "sku_key": f"{item.sku_key}-2", "id": first + item.id}
        session.execute(insert(Item), [item.model_dump() | new])
        for table in (StockLevel, SupplierItem, Forecast, Policy):
            _copy_rows(session, table, item.id, first)


def _copy_rows(session: Session, table: type[SQLModel], item_id: int, first: int) -> None:
    columns = table.__table__.columns  # type: ignore[attr-defined]
    found = session.exec(select(table).where(columns.item_id == item_id)).all()
    copies = []
    for row in found:
        values = row.model_dump() | {"item_id": first + item_id}
        values.pop("id", None)
        if values.get("forecast_id") is not None:
            values["forecast_id"] = None
        copies.append(values)
    if copies:
        session.execute(insert(table), copies)


def _row(name: str, value: float, unit: str, goal: str, holds: bool) -> dict[str, Any]:
    return {"name": name, "value": float(value), "unit": unit, "goal": goal, "holds": bool(holds)}
