"""Import a million sales rows while another process writes: time, memory, and who has to wait."""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from db.migrate import upgrade
from db.models.identity import Counter
from db.session import Database

ROWS = 1_000_000
BAD = ("NaN", "inf", "1e12", "2.5", "", "-1", "ten", "9" * 30)
FIRST_DAY = date(2024, 1, 1)
MOST_S, MOST_MB, MOST_WAIT_MS = 60, 400, 250

IMPORT = """
import json, resource, sys, time
from datetime import UTC, datetime
from db.session import Database
from tools.clock import FixedClock
from tools.ingestion.service import ingest
started = time.perf_counter()
report = ingest(Database(sys.argv[1]), "sales", sys.argv[2],
                clock=FixedClock(datetime(2026, 3, 2, tzinfo=UTC)))
print(json.dumps({"seconds": time.perf_counter() - started, "good": report.rows_good,
                  "bad": report.rows_bad, "read": report.rows_read,
                  "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def run() -> list[dict[str, Any]]:
    """Measure the import."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sales.csv"
        file.write_text("date,sku,quantity\n" + "".join(_lines()), encoding="utf-8")
        url = f"sqlite:///{folder}/bench.db"
        found, waits_ms = _measure(url, file)
    if found["read"] != ROWS or found["good"] + found["bad"] != ROWS:
        raise RuntimeError(f"rows were lost: {found}")
    return [
        _row("import of 1,000,000 sales rows", found["seconds"], "s", MOST_S),
        _row("import: peak memory", found["mb"], "MB", MOST_MB),
        _row("import: longest wait of another write", max(waits_ms), "ms", MOST_WAIT_MS),
    ]


def _lines() -> Iterator[str]:
    """A shop's export: oldest first, 2,000 items, one row in a hundred bad."""
    chance = random.Random(7)
    for number in range(ROWS):
        on = FIRST_DAY + timedelta(days=number * 760 // ROWS)
        quantity = BAD[number // 100 % len(BAD)] if number % 100 == 99 else chance.randint(1, 24)
        yield f"{on.isoformat()},SKU-{int(2000 * chance.random() ** 2):05d},{quantity}\n"


def _measure(url: str, file: Path) -> tuple[dict[str, Any], list[float]]:
    database = Database(url)
    upgrade(database.engine)
    with database.write() as session:
        session.add(Counter(name="bench"))
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORT, url, str(file)], stdout=subprocess.PIPE, text=True
    )
    waits_ms: list[float] = []
    while process.poll() is None:
        started = time.perf_counter()
        with database.write() as session:
            session.merge(Counter(name="bench", value=len(waits_ms)))
        waits_ms.append((time.perf_counter() - started) * 1000)
        time.sleep(0.03)
    database.close()
    if process.returncode or process.stdout is None:
        raise RuntimeError("the import failed")
    return json.loads(process.stdout.read()), waits_ms


def _row(name: str, value: float, unit: str, most: float) -> dict[str, Any]:
    goal = f"<= {most:g} {unit}"
    return {"name": name, "value": value, "unit": unit, "goal": goal, "holds": value <= most}


if __name__ == "__main__":
    print(datetime.now(UTC).isoformat(), *run(), sep="\n")  # noqa: TID251
