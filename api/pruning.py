"""The nightly clearing up: what is older than the settings keep it goes, a batch at a time."""

import logging
import threading
from collections import Counter
from datetime import timedelta

from api.bootstrap import System
from api.settings import Settings
from tools.retention.core import Retention
from tools.retention.service import prune

logger = logging.getLogger(__name__)

MOST_BATCHES = 2_000  # a night: a million rows of a table
PAUSE_S = 0.02  # between two batches, for others who write


def retention_of(settings: Settings) -> Retention:
    """Return how long the settings keep things."""
    return Retention(
        chat=timedelta(days=settings.keep_chat_days),
        memory=timedelta(days=settings.keep_memory_days),
        requests=timedelta(days=settings.keep_requests_days),
    )


def prune_all(system: System, *, stopping: threading.Event | None = None) -> dict[str, int]:
    """Delete everything that is due, until nothing is or the program stops.

    Returns:
        How many rows were deleted, by table; ``memory`` counts conversations.
    """
    keep, stop = retention_of(system.settings), stopping or threading.Event()
    gone: Counter[str] = Counter()
    for _ in range(MOST_BATCHES):
        with system.database.write() as session:
            batch = prune(session, keep, now=system.clock.now())
        gone.update(batch)
        if not batch or stop.wait(PAUSE_S):
            break
    gone["memory"] = system.conversations.forget(since=system.clock.now() - keep.memory)
    done = {name: count for name, count in gone.items() if count}
    if done:
        logger.info("old rows deleted", extra={"rows": done})
    return done
