"""Approvals and chat turns over HTTP, on SQLite and (``QM_TEST_POSTGRES_URL``) PostgreSQL.

``quartermaster serve`` runs as a process of its own; 16 people approve at once, first in peace,
then while another process imports a million rows of sales. The rate is of the whole batch, the
95th percentile of each answer as the client saw it; medians of three batches.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ingestion import _lines
from tests.fault.house import Asked, Builder, House, decide_body, has_postgres
from tests.fault.process import Caller, Server

CLIENTS = 16
EACH = 10
BATCHES = 3
IMPORT_BATCHES = 3
LEAST_RATE, MOST_MS, LEAST_TURNS = 50.0, 300.0, {"sqlite": 30.0, "postgresql": 8.0}
GOODS = CLIENTS * EACH * (BATCHES + IMPORT_BATCHES) + 2 * CLIENTS


@dataclass(frozen=True)
class Batch:
    """What one batch of approvals took."""

    rate: float
    p95_ms: float
    errors: int


def run() -> list[dict[str, Any]]:
    """Measure on each database there is."""
    rows = []
    for kind in ("sqlite", "postgresql") if has_postgres() else ("sqlite",):
        with tempfile.TemporaryDirectory() as folder:
            builder = Builder(kind, Path(folder), goods=GOODS)
            try:
                rows += _measure(builder.house(), kind)
            finally:
                builder.close()
    return rows


def _measure(house: House, kind: str) -> list[dict[str, Any]]:
    file = house.folder / "sales.csv"
    file.write_text("date,sku,quantity\n" + "".join(_lines()), encoding="utf-8")
    with house.server(QM_LOG_LEVEL="WARNING", QM_CHAT_WORKERS="4") as server:
        _approve(server, house.ask(CLIENTS * 2))  # warm
        calm = [_approve(server, house.ask(CLIENTS * EACH)) for _ in range(BATCHES)]
        print(calm, file=sys.stderr)
        turns = _chat(server)
        print(turns, file=sys.stderr)
        waiting = [house.ask(CLIENTS * EACH) for _ in range(IMPORT_BATCHES)]
        with _import(house, file) as is_running:
            busy = [_approve(server, pile) for pile in waiting if is_running()]
            print(busy, file=sys.stderr)
    house.close()
    return [
        *_rows(f"approvals over HTTP, {CLIENTS} clients, {kind}", calm),
        *_rows(f"approvals during an import, {kind}", busy),
        _row(f"chat turns over HTTP, {kind}", turns, "/s", at_least=LEAST_TURNS[kind]),
    ]


def _approve(server: Server, pile: Sequence[Asked]) -> Batch:
    """Let everybody approve their share at once."""
    seconds: list[float] = []
    errors: list[int] = []

    def approve(caller: Caller, share: Sequence[Asked]) -> None:
        for asked in share:
            started_s = time.perf_counter()
            key = {"Idempotency-Key": f"bench-{asked.number}"}
            reply = caller.call("POST", asked.decisions, decide_body(asked), key)
            seconds.append(time.perf_counter() - started_s)
            if reply is None or reply.status != 200:
                errors.append(0 if reply is None else reply.status)
                print(reply, file=sys.stderr)

    taken_s = _at_once(server, [pile[index::CLIENTS] for index in range(CLIENTS)], approve)
    p95_ms = statistics.quantiles(seconds, n=20)[-1] * 1000
    return Batch(len(pile) / taken_s, p95_ms, len(errors))


def _at_once(
    server: Server, shares: Sequence[Sequence[Any]], work: Callable[[Caller, Sequence[Any]], None]
) -> float:
    """Run ``work`` on each share with a connection of its own; returns how long all took."""
    callers = [server.as_("mona") for _ in shares]
    for caller in callers:
        caller.call("GET", "/healthz")
    threads = [
        threading.Thread(target=work, args=(caller, share))
        for caller, share in zip(callers, shares, strict=True)
    ]
    started_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started_s


def _chat(server: Server, *, clients: int = 4, each: int = 12) -> float:
    """Return the turns a second of planners who ask and wait for the answer."""

    def ask(caller: Caller, questions: Sequence[str]) -> None:
        opened = caller.call("POST", "/v1/threads", {})
        assert opened is not None, "no thread"
        path = f"/v1/threads/{opened.body['thread_id']}/messages"
        for question in questions:
            told = caller.call("POST", path, {"text": question}, {"Accept": "text/event-stream"})
            assert told is not None, "no answer"
            assert "run.completed" in str(told.body), told

    questions = [f"How many GOOD-{number:03} do we have?" for number in range(each)]
    rates = []
    for _ in range(BATCHES):
        taken_s = _at_once(server, [questions] * clients, ask)
        rates.append(clients * each / taken_s)
    return statistics.median(rates)


@contextmanager
def _import(house: House, file: Path) -> Iterator[Callable[[], bool]]:
    """Import a file in another process while the block runs; gives whether it still does."""
    process = house.ingest(file)
    time.sleep(2)
    try:
        yield lambda: process.poll() is None
        is_running = process.poll() is None
        print(f"import still running at the end: {is_running}", file=sys.stderr)
    finally:
        process.kill()
        process.communicate()


def _rows(name: str, batches: Sequence[Batch]) -> list[dict[str, Any]]:
    rate = statistics.median(batch.rate for batch in batches)
    p95_ms = statistics.median(batch.p95_ms for batch in batches)
    return [
        _row(name, rate, "/s", at_least=LEAST_RATE),
        _row(f"{name}: p95", p95_ms, "ms", at_most=MOST_MS),
        _row(f"{name}: errors", sum(batch.errors for batch in batches), "", at_most=0),
    ]


def _row(
    name: str, value: float, unit: str, *, at_least: float = float("-inf"), at_most: float = 1e9
) -> dict[str, Any]:
    is_floor = at_least != float("-inf")
    goal = f">= {at_least:g} {unit}" if is_floor else f"<= {at_most:g} {unit}"
    holds = at_least <= value <= at_most
    return {"name": name, "value": value, "unit": unit, "goal": goal.strip(), "holds": holds}
