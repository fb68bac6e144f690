"""Import files while another process writes: time, memory, and who has to wait.

A million rows of sales, and master data in the sizes of a big shop: 20,000 items, 5,000 suppliers'
terms, 20,000 balances and 5,000 open orders. Items and orders are sent twice, changed.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from db.migrate import upgrade
from db.models.catalog import Location
from db.models.identity import Counter
from db.session import Database

ROWS = 1_000_000
BAD = ("NaN", "inf", "1e12", "2.5", "", "-1", "ten", "9" * 30)
FIRST_DAY = date(2024, 1, 1)
MOST_S, MOST_MB, MOST_WAIT_MS = 60, 400, 250

IMPORT = """
import json, re, sys, time
from datetime import UTC, datetime
from db.session import Database
from tools.clock import FixedClock
from tools.ingestion.service import ingest
started = time.perf_counter()
keys = {"audit_keys": {"bench": b"b" * 32}, "audit_key_id": "bench"}
report = ingest(Database(sys.argv[1], session_info=keys), sys.argv[3], sys.argv[2],
                clock=FixedClock(datetime(2026, 3, 2, tzinfo=UTC)))
# not ru_maxrss: a child inherits the high mark of the process that started it
peak_kb = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(json.dumps({"seconds": time.perf_counter() - started, "good": report.rows_good,
                  "bad": report.rows_bad, "read": report.rows_read,
                  "mb": peak_kb / 1024}))
"""


def run() -> list[dict[str, Any]]:
    """Measure the imports."""
    return [*_sales(), *_master_data()]


def _sales() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        database = _database(folder)
        found, waits_ms = _measure(database, "sales", "date,sku,quantity\n", _lines(), folder)
        database.close()
    if found["read"] != ROWS or found["good"] + found["bad"] != ROWS:
        raise RuntimeError(f"rows were lost: {found}")
    return [
        _row("import of 1,000,000 sales rows", found["seconds"], "s", MOST_S),
        _row("import: peak memory", found["mb"], "MB", MOST_MB),
        _row("import: longest wait of another write", max(waits_ms), "ms", MOST_WAIT_MS),
    ]


def _master_data() -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        database = _database(folder)
        for title, kind, header, lines in _files():
            found, waits_ms = _measure(database, kind, header, lines, folder)
            if found["bad"] or found["good"] != len(lines):
                raise RuntimeError(f"rows of {title} were lost: {found}")
            name = f"import of {len(lines):,} {title}: longest wait of another write"
            rows.append(_row(name, max(waits_ms), "ms", MOST_WAIT_MS))
        database.close()
    return rows


def _files() -> list[tuple[str, str, str, list[str]]]:
    """What it is, its kind, its header and its rows."""
    items, terms, orders = range(20_000), range(5_000), range(5_000)
    item = "sku,name,uom,unit cost,barcode\n"
    order = "po,supplier,sku,quantity,price,promise,received\n"
    return [
        ("items", "items", item, [f"S{n},Item {n},each,1.50,B{n}\n" for n in items]),
        ("changed items", "items", item, [f"S{n},Thing {n},each,1.60,B{n}\n" for n in items]),
        ("suppliers' terms", "suppliers", "code,name,sku,supplier sku,price,moq,lead time\n",
         [f"V{n % 500},Supplier {n % 500},S{n},X{n},1.50,12,9\n" for n in terms]),
        ("balances", "stock", "sku,on_hand\n", [f"S{n},{n + 1}\n" for n in items]),
        ("changed balances", "stock", "sku,on_hand\n", [f"S{n},{n + 2}\n" for n in items]),
        ("orders", "orders", order,
         [f"E-{n},V{n % 500},S{n},24,1.50,2026-04-01,0\n" for n in orders]),
        ("changed orders", "orders", order,
         [f"E-{n},V{n % 500},S{n},24,1.50,2026-04-08,6\n" for n in orders]),
    ]  # fmt: skip


def _lines() -> Iterator[str]:
    """A shop's export: oldest first, 2,000 items, one row in a hundred bad."""
    chance = random.Random(7)
    for number in range(ROWS):
        on = FIRST_DAY + timedelta(days=number * 760 // ROWS)
        quantity = BAD[number // 100 % len(BAD)] if number % 100 == 99 else chance.randint(1, 24)
        yield f"{on.isoformat()},SKU-{int(2000 * chance.random() ** 2):05d},{quantity}\n"


def _database(folder: str) -> Database:
    database = Database(f"sqlite:///{folder}/bench.db")
    upgrade(database.engine)
    with database.write() as session:
        session.add(Counter(name="bench"))
        session.add(Location(code="MAIN", name="Main warehouse"))
    return database


def _measure(
    database: Database, kind: str, header: str, lines: Iterable[str], folder: str
) -> tuple[dict[str, Any], list[float]]:
    """Import a file in another process; how long each write of ours took meanwhile."""
    file = Path(folder) / f"{kind}.csv"
    file.write_text(header + "".join(lines), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORT, database.url, str(file), kind],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    waits_ms: list[float] = []
    while process.poll() is None:
        started = time.perf_counter()
        with database.write() as session:
            session.merge(Counter(name="bench", value=len(waits_ms)))
        waits_ms.append((time.perf_counter() - started) * 1000)
        time.sleep(0.03)
    if process.returncode or process.stdout is None:
        raise RuntimeError("the import failed")
    return json.loads(process.stdout.read()), waits_ms


def _row(name: str, value: float, unit: str, most: float) -> dict[str, Any]:
    goal = f"<= {most:g} {unit}"
    return {"name": name, "value": value, "unit": unit, "goal": goal, "holds": value <= most}


if __name__ == "__main__":
    print(datetime.now(UTC).isoformat(), *run(), sep="\n")  # noqa: TID251
