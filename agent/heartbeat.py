"""Keeps the leases of the turns that run in this process, however long their models think."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from agent.records import Claim, extend_lease
from db.session import Database
from tools.clock import Clock


class Heartbeat:
    """One thread for all turns; it starts with the first one."""

    def __init__(self, database: Database, clock: Clock, lease: timedelta) -> None:
        """Extend leases by ``lease`` each third of it."""
        self._database, self._clock, self._lease = database, clock, lease
        self._claims: dict[str, Claim] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def keep(self, claimed: Claim) -> Iterator[None]:
        """Keep this lease inside the block."""
        with self._lock:
            self._claims[claimed.holder] = claimed
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._claims[claimed.holder]

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        while not self._stopping.wait(self._lease.total_seconds() / 3):
            with self._lock:
                claims = list(self._claims.values())
            if not claims:
                continue
            with self._database.write() as session:
                until = self._clock.now() + self._lease
                for claimed in claims:
                    extend_lease(session, claimed.thread_id, claimed.holder, until)
