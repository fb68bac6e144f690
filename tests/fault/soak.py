"""Work for a long time while things die: ``python -m tests.fault.soak [--minutes 30]``.

Five approvals and five chat turns a second, an import every five minutes, and a ``kill -9`` of the
server at random moments. At the end every promise is checked against the books, and memory and the
conversation store must not have grown without bound. Prints a report, writes ``build/soak.json``.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from db.types import DocumentFormat
from tests.fault.history import History, breaks
from tests.fault.house import Builder, House, await_delivered, end_leases, has_postgres
from tests.fault.process import Server
from tests.fault.supplier_stub import SupplierStub
from tools.suppliers.core import Way
from tools.suppliers.service import set_delivery

APPROVALS_PER_S = 5.0
TURNS_PER_S = 5.0
IMPORT_EVERY_S = 300.0
KILL_EVERY_S = (20.0, 90.0)
LONG_LIFE_S = 300.0  # a server that just started still grows
MOST_MB_PER_MIN = 1.0
MOST_STORE_MB = 200.0
PLANNERS = 4
GOODS = 400
TELL_EVERY_S = 15.0
SECRET = "a secret of sixteen or more"


@dataclass
class Soak:
    """One run on one database."""

    house: House
    history: History
    supplier: SupplierStub
    seconds: float
    server: Server = field(init=False)
    ended: threading.Event = field(default_factory=threading.Event)
    up: threading.Event = field(default_factory=threading.Event)
    seen: Counter[str] = field(default_factory=Counter)
    turn_seconds: list[float] = field(default_factory=list)
    memory: list[list[tuple[float, float]]] = field(default_factory=list)
    told_s: float = 0.0

    def __post_init__(self) -> None:
        self.server = self.house.server(
            QM_LOG_LEVEL="WARNING", QM_CHAT_WORKERS="4",
            QM_WEBHOOK_SECRETS=json.dumps({"S0": SECRET, "S1": SECRET}),
            QM_WEBHOOK_ALLOWED_HOSTS='["127.0.0.1"]',
        )  # fmt: skip
        system, adam = self.house.system, self.house.actor("adam")
        for code in ("S0", "S1"):  # the others take files from the folder
            way = Way("webhook", self.supplier.url, DocumentFormat.JSON)
            with system.database.write() as session:
                set_delivery(
                    session, code, way=way, actor=adam, clock=system.clock,
                    open_to=("127.0.0.1",),
                )  # fmt: skip

    def run(self) -> dict[str, Any]:
        """Work, stop, check; returns the report."""
        self._start()
        threads = [
            threading.Thread(target=self._approve, args=(login,)) for login in ("mona", "mark")
        ]
        threads.append(threading.Thread(target=self._import))
        threads += [threading.Thread(target=self._talk, args=(n,)) for n in range(PLANNERS)]
        for thread in threads:
            thread.start()
        self._die_at_random()
        self.ended.set()
        for thread in threads:
            thread.join()
        end_leases(self.house)
        await_delivered(self.house, within_s=180)
        self._measure()
        self.server.terminate(within_s=30)
        self.server.close()
        return self._report()

    def _start(self) -> None:
        self.server.start()
        self.memory.append([])
        self.up.set()

    def _die_at_random(self) -> None:
        """Kill and restart, and look at the memory in between."""
        chance = random.Random(11)
        end_s = time.monotonic() + self.seconds
        calm_s = end_s - self.seconds / 3  # the last third is one life: its memory is judged
        while (now_s := time.monotonic()) < end_s:
            next_s = now_s + chance.uniform(*KILL_EVERY_S) if now_s < calm_s else end_s
            while time.monotonic() < next_s:
                self._measure()
                time.sleep(2)
            if next_s < end_s:
                self.up.clear()
                self.server.kill()
                self.seen["kills"] += 1
                self._start()

    def _measure(self) -> None:
        self.memory[-1].append((time.monotonic(), self.server.rss_mb()))
        if time.monotonic() >= self.told_s + TELL_EVERY_S:
            self.told_s = time.monotonic()
            seen = ", ".join(f"{count} {name}" for name, count in sorted(self.seen.items()))
            rss = self.memory[-1][-1][1]
            sys.stdout.write(f"{time.strftime('%H:%M:%S')} {seen}; {rss:.0f} MB\n")
            sys.stdout.flush()

    def _approve(self, login: str) -> None:
        """Ask for orders and decide about them; two people do, together five a second at most."""
        caller = self.server.as_(login)
        while not self.ended.is_set():
            started_s = time.monotonic()
            asked = self.house.ask(round(APPROVALS_PER_S / 2 + 0.1))
            for one in asked:
                self.up.wait(60)
                reply = self.history.decide(caller, one)
                self.seen["approvals" if reply and reply.status == 200 else "unanswered"] += 1
                if reply is not None and reply.status >= 500:
                    self.seen[f"status {reply.status}"] += 1
            time.sleep(max(0.0, 1 - (time.monotonic() - started_s)))

    def _talk(self, index: int) -> None:
        """Ask about goods, in threads of fifty turns."""
        caller = self.server.as_("paul" if index % 2 else "pia")
        path, turns = "", 0
        while not self.ended.is_set():
            self.up.wait(60)
            if not path or turns % 50 == 0:
                opened = caller.call("POST", "/v1/threads", {})
                if opened is None or opened.status != 201:
                    continue
                path = f"/v1/threads/{opened.body['thread_id']}/messages"
            started_s = time.monotonic()
            question = {"text": f"How many GOOD-{turns % GOODS:03} do we have?"}
            told = caller.call("POST", path, question, {"Accept": "text/event-stream"})
            turns += 1
            if told is not None and "run.completed" in str(told.body):
                self.seen["turns"] += 1
                self.turn_seconds.append(time.monotonic() - started_s)
            else:
                self.seen["turns cut"] += 1
            time.sleep(max(0.0, PLANNERS / TURNS_PER_S - (time.monotonic() - started_s)))

    def _import(self) -> None:
        """Load a file of sales in another process, again and again."""
        file = self.house.folder / "sales.csv"
        number = 0
        while not self.ended.is_set():
            number += 1
            days = [f"2026-0{1 + n % 9}-{1 + n % 28:02},GOOD-{n % GOODS:03},{number}\n"
                    for n in range(20_000)]  # fmt: skip
            file.write_text("date,sku,quantity\n" + "".join(days))
            loading = self.house.ingest(file)
            said = loading.communicate()[1].decode()
            self.seen["imports" if loading.returncode == 0 else "imports failed"] += 1
            if loading.returncode:
                sys.stderr.write(said[-600:])
            self.ended.wait(IMPORT_EVERY_S)

    def _report(self) -> dict[str, Any]:
        seconds = sorted(self.history.seconds())
        accepted = [{"key": key} for key, found in self.supplier.orders.items() for _ in found]
        return {
            "seconds": round(self.seconds),
            "seen": dict(self.seen),
            "statuses": {str(k): v for k, v in self.history.statuses().items()},
            "approval_p50_ms": round(1000 * statistics.median(seconds)),
            "approval_p99_ms": round(1000 * seconds[int(len(seconds) * 0.99)]),
            "turn_p50_ms": round(1000 * statistics.median(self.turn_seconds or [0])),
            "rss_mb_per_min": round(_slope(self.memory), 2),
            "rss_mb": round(self.memory[-1][-1][1]),
            "store_mb": round(_store_mb(self.house), 1),
            "supplier_orders": self.supplier.booked,
            "breaks": breaks(self.house, self.history, accepted),
        }


def _slope(lives: list[list[tuple[float, float]]]) -> float:
    """Growth of memory in the later half of the last life, MB a minute; 0 when that was short."""
    last = lives[-1]
    later = last[len(last) // 2 :]
    if last[-1][0] - last[0][0] < LONG_LIFE_S:
        return 0.0
    found = statistics.linear_regression([at / 60 for at, _ in later], [mb for _, mb in later])
    return found.slope


def _store_mb(house: House) -> float:
    """Size of the conversation memory, MB."""
    if house.is_sqlite:
        return sum(path.stat().st_size for path in house.folder.glob("conversations.db*")) / 2**20
    with house.system.database.read() as session:
        tables = text(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
            "WHERE relkind = 'r' AND relname LIKE 'checkpoint%'"
        )
        return float(session.execute(tables).scalar_one()) / 2**20


def _holds(report: dict[str, Any]) -> bool:
    is_small = report["store_mb"] <= MOST_STORE_MB and report["rss_mb_per_min"] < MOST_MB_PER_MIN
    failed = [name for name in report["seen"] if name in ("imports failed", "status 500")]
    return not report["breaks"] and is_small and not failed


def main() -> int:
    """Run on each database; returns 1 when a promise broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="on each database")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    chosen = parser.parse_args()
    kinds = chosen.database or (["sqlite", "postgresql"] if has_postgres() else ["sqlite"])
    reports = {}
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            builder = Builder(kind, Path(folder), goods=GOODS)
            try:
                house = builder.house()
                history = History(Path(folder) / "history.jsonl")
                with SupplierStub("dedupe") as stub:
                    reports[kind] = Soak(house, history, stub, 60 * chosen.minutes).run()
                house.close()
            finally:
                builder.close()
        reports[kind]["holds"] = _holds(reports[kind])
        sys.stdout.write(json.dumps({kind: reports[kind]}, indent=2) + "\n")
        sys.stdout.flush()
    out = Path("build/soak.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(reports, indent=2) + "\n")
    return 0 if all(report["holds"] for report in reports.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
