"""Keeps the leases of the turns that run in this process, and says when one is no longer wanted."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from agent import records
from agent.records import Claim
from db.session import Database
from tools.clock import Clock

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1


class TurnStopped(Exception):
    """Somebody cancelled the turn, or its lease went to another worker: work no further."""


class Watch:
    """Tells whether a turn is still wanted; a look that is a moment old counts as new.

    So a turn of some milliseconds costs no look, and one that is cancelled in its last moment may
    still enter the model's memory.
    """

    def __init__(self, database: Database, claimed: Claim) -> None:
        self._database, self._claimed = database, claimed
        self._looked_s = time.monotonic()  # the claim was made right now
        self._is_wanted = True

    def is_wanted(self, *, patience_s: float = 0.02) -> bool:
        """Say whether the run still works and holds its thread, by what the database has now."""
        if self._is_wanted and time.monotonic() - self._looked_s > patience_s:
            with self._database.read() as session:
                self._is_wanted = records.is_working(session, self._claimed)
            self._looked_s = time.monotonic()
        return self._is_wanted

    def stop_if_unwanted(self) -> None:
        """Go on or not, before a step.

        Raises:
            TurnStopped: The turn is not wanted any more.
        """
        if not self.is_wanted(patience_s=LOOK_EVERY_S):
            raise TurnStopped


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
            if self._thread is None or not self._thread.is_alive():
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
            try:
                self._extend()
            except SQLAlchemyError:  # a busy or absent database: two more beats until it matters
                logger.warning("leases could not be extended", exc_info=True)

    def _extend(self) -> None:
        with self._lock:
            claims = list(self._claims.values())
        if not claims:
            return
        with self._database.write() as session:
            until = self._clock.now() + self._lease
            for claimed in claims:
                records.extend_lease(session, claimed.thread_id, claimed.holder, until)
