"""What the server does beside answering requests: chat turns, deliveries, expiry, recovery.

One thread looks round, a small pool works. A turn never runs inside a request, so a closed browser
tab stops nothing; a step that fails is logged once and the next one runs.
"""

import gc
import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial

from sqlalchemy import select as select_columns
from sqlmodel import col, exists, func, select

from api import worker
from api.bootstrap import System
from api.inbound import apply_due, load_sources
from api.planning import plan_if_due
from api.pruning import prune_all
from api.sealing import anchor_at_edge, anchor_if_due
from db.models.conversation import Message, Run, Thread
from db.models.purchasing import Approval
from db.types import RunState
from tools.errors import Conflict
from tools.tracing import bound

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
LEAST_GAP_S = 0.02
INBOUND_EVERY_S = 1.0
DELIVER_EVERY_S = 1.0
RECOVER_EVERY_S = 15.0
ANCHOR_EVERY_S = 60.0  # how often to look whether an anchor is due
PLAN_EVERY_S = 300.0  # how often to look whether a plan is due
PRUNE_EVERY_S = 24 * 3600.0
MAX_BEAT_AGE_S = 10.0
RECORD_WITHIN_S = 2.0  # what a delivery takes beside the channel's own time
STEPS = frozenset({"recover", "deliver", "pick", "inbound"})
UNTOLD_FOR = (timedelta(seconds=30), timedelta(days=1))


class Background:
    """Runs queued turns and the delivery worker until it is stopped."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.sources = load_sources(system.settings)
        self._holder = f"server-{secrets.token_hex(4)}"
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._jobs: dict[str, Future[None]] = {}  # step or run -> its newest job
        self._lock = threading.Lock()
        self._started_s: dict[str, float] = {}
        self._failing: set[str] = set()  # periodic steps whose last try failed
        self._courier: worker.Courier | None = None
        self._delivering = threading.Lock()  # one at a time, also when a decision is told
        self._beat_s = float("-inf")
        self._pool = ThreadPoolExecutor(
            system.settings.chat_workers + 2, thread_name_prefix="quartermaster"
        )
        self._thread = threading.Thread(target=self._look_round, name="quartermaster-look")

    def start(self) -> None:
        """Begin; turns that a dead process left behind are picked up first."""
        self._thread.start()
        self._submit("warm", self._warm)
        self._submit("anchor", partial(anchor_at_edge, self._system))

    def stop(self) -> None:
        """Take nothing new; give what runs the grace time to finish, a delivery all it may take."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        settings, jobs = self._system.settings, dict(self._jobs)
        ends_s = time.monotonic() + settings.shutdown_grace_s
        delivers = self._delivering.acquire(timeout=settings.delivery_timeout_s + RECORD_WITHIN_S)
        if delivers:
            self._delivering.release()
        wait(list(jobs.values()), timeout=max(0.0, ends_s - time.monotonic()))
        self._pool.shutdown(wait=False, cancel_futures=True)
        anchor_at_edge(self._system)

    def wake(self) -> None:
        """Look for work at once: a message or a decision was just stored."""
        self._started_s.pop("deliver", None)
        self._started_s.pop("inbound", None)
        self._wake.set()

    def tell_decision(self, approval_number: str) -> None:
        """Let the order's thread hear what a person decided."""
        self._submit(f"tell {approval_number}", partial(self._tell, approval_number))
        self.wake()

    def health(self) -> str:
        """Return "ok", or what is wrong."""
        if time.monotonic() - self._beat_s > MAX_BEAT_AGE_S:
            return "no heartbeat"
        failing = sorted(self._failing)
        return f"failing: {', '.join(failing)}" if failing else "ok"

    def _look_round(self) -> None:
        while not self._stopping.is_set():
            self._every("recover", RECOVER_EVERY_S, self._recover)
            self._every("anchor", ANCHOR_EVERY_S, self._anchor)
            self._every("deliver", DELIVER_EVERY_S, self._deliver)
            if self.sources:
                self._every("inbound", INBOUND_EVERY_S, self._apply_inbound)
            self._every("prune", PRUNE_EVERY_S, self._prune)
            if self._system.settings.forecast_hour >= 0:
                self._every("plan", PLAN_EVERY_S, self._plan)
            self._every("pick", 0.0, self._pick)
            self._beat_s = time.monotonic()
            if self._wake.wait(LOOK_EVERY_S):
                self._stopping.wait(LEAST_GAP_S)  # one look serves all that woke it meanwhile
            self._wake.clear()

    def _every(self, name: str, period_s: float, step: Callable[[], None]) -> None:
        """Start a step if it is due and not running."""
        now_s = time.monotonic()
        if now_s - self._started_s.get(name, float("-inf")) >= period_s:
            self._started_s[name] = now_s
            self._submit(name, step)

    def _submit(self, name: str, step: Callable[[], None]) -> None:
        with self._lock:
            running = self._jobs.get(name)
            if self._stopping.is_set() or (running is not None and not running.done()):
                return
            job = self._pool.submit(step)
            self._jobs[name] = job
        job.add_done_callback(partial(self._note_end, name))

    def _note_end(self, name: str, job: Future[None]) -> None:
        """Log a failed step once and remember that it fails; the next round tries again."""
        try:
            error = job.exception()
        except CancelledError:
            return
        if error is None:
            self._failing.discard(name)
            return
        if name in STEPS:
            self._failing.add(name)
        logger.error("background step failed", extra={"step": name}, exc_info=error)

    def _pick(self) -> None:
        """Start waiting runs, the oldest of each idle thread first, as many as we have hands."""
        with self._lock:
            self._jobs = {name: job for name, job in self._jobs.items() if not job.done()}
            busy = sum(name.startswith("run ") for name in self._jobs)
        free = self._system.settings.chat_workers - busy
        for run_id in self._waiting_runs()[: max(0, free)]:
            self._submit(f"run {run_id}", partial(self._execute, run_id))

    def _waiting_runs(self) -> list[int]:
        """Return the oldest waiting run of each thread that nobody works on.

        Everybody's first one comes before anybody's second, so that a person who asks in a hundred
        threads keeps nobody else waiting. The worker of a cancelled run holds its thread until it
        has noticed.
        """
        now = self._system.clock.now()
        is_held = func.coalesce(col(Thread.lease_until) > now, False)
        with self._system.database.read() as session:
            rows = session.execute(
                select_columns(
                    col(Run.id), col(Run.thread_id), col(Run.state), is_held, col(Run.actor_id)
                )
                .join(Thread, col(Thread.id) == col(Run.thread_id))
                .where(col(Run.state).in_((RunState.QUEUED, RunState.RUNNING)))
                .order_by(col(Run.id))
            ).all()
        is_busy = [held or state is RunState.RUNNING for _, _, state, held, _ in rows]
        busy = {row[1] for row, taken in zip(rows, is_busy, strict=True) if taken}
        turns = Counter(row[4] for row, taken in zip(rows, is_busy, strict=True) if taken)
        first: dict[str, tuple[int, int]] = {}
        for run_id, thread, _state, _held, actor in rows:
            if thread not in busy and thread not in first:
                first[thread] = (turns[actor], run_id)
                turns[actor] += 1
        return [run_id for _turn, run_id in sorted(first.values())]

    def _execute(self, run_id: int) -> None:
        with bound(run_id=run_id):
            try:
                self._system.conversations.execute(run_id)
            except Conflict as error:  # cancelled meanwhile, or another process has the thread
                logger.info("turn dropped", extra={"why": error.message})
        self._wake.set()  # the next turn of this thread may be waiting

    def _warm(self) -> None:
        """Load what answers need; what is loaded then stays and is never searched for garbage.

        A full collection over all of it stopped the whole process for a fifth of a second, every
        few seconds under load, and whoever held the trail's lock with it.
        """
        self._system.conversations.warm()
        gc.collect()
        gc.freeze()

    def _tell(self, approval_number: str) -> None:
        self._deliver()  # first, so that the thread hears of a sent order at once
        self._system.conversations.post_decision(approval_number)
        self._wake.set()

    def _deliver(self) -> None:
        """Send what is due, unless a round is under way: it takes what became due meanwhile."""
        if not self._delivering.acquire(timeout=1.0):
            return
        try:
            if self._courier is None:
                system = self._system
                self._courier = worker.Courier(
                    system.database, system.channels, clock=system.clock, holder=self._holder,
                    is_stopping=self._stopping.is_set,
                )  # fmt: skip
            worker.work(self._courier)
        finally:
            self._delivering.release()

    def _apply_inbound(self) -> None:
        system = self._system
        apply_due(system.database, self.sources, clock=system.clock, company=system.company)

    def _prune(self) -> None:
        prune_all(self._system, stopping=self._stopping)

    def _plan(self) -> None:
        plan_if_due(self._system)

    def _anchor(self) -> None:
        anchor_if_due(self._system)

    def _recover(self) -> None:
        count = self._system.conversations.recover()
        if count:
            logger.warning("abandoned turns recovered", extra={"count": count})
        for number in self._untold_decisions():
            self.tell_decision(number)

    def _untold_decisions(self) -> list[str]:
        """Find decisions of today that a crash kept from their thread."""
        now = self._system.clock.now()
        was_told = exists().where(
            col(Message.thread_id) == col(Approval.thread_id),
            col(Message.client_key).startswith(col(Approval.number) + ":"),
        )
        with self._system.database.read() as session:
            rows = session.exec(
                select(Approval.number).where(
                    col(Approval.decision).is_not(None),
                    col(Approval.thread_id).is_not(None),
                    col(Approval.decided_at).between(now - UNTOLD_FOR[1], now - UNTOLD_FOR[0]),
                    ~was_told,
                )
            ).all()
        return list(rows)
