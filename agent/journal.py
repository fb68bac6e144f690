"""Collects what a turn does and writes it in few transactions.

A fast turn costs one write at its end; in a slow one a door sees each step when it happens, because
steps that are older than a moment are written at once.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlmodel import Session

from agent import records
from db.models.conversation import RunEvent
from db.session import SessionFactory
from tools.clock import Clock

logger = logging.getLogger(__name__)

Listener = Callable[[RunEvent], None]
PATIENCE_S = 0.25
_PIECE = 120  # characters of one message.delta


class RunJournal:
    """The journal of one run."""

    def __init__(
        self, *, run_id: int, thread_id: str, clock: Clock, write: SessionFactory,
        first_result_id: int, listener: Listener | None,
    ) -> None:  # fmt: skip
        """Start at ``first_result_id``; ``listener`` hears every event when it happens."""
        self._run_id, self._thread_id = run_id, thread_id
        self._clock, self._write, self._listener = clock, write, listener
        self._next_result_id = first_result_id
        self._events: list[dict[str, Any]] = []
        self._results: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._written_at = time.monotonic()

    def emit(self, kind: str, content: Mapping[str, Any]) -> None:
        """Report a step."""
        event = self._event(kind, content)
        with self._lock:
            self._events.append(event)
        self._tell(event)
        if time.monotonic() - self._written_at > PATIENCE_S:
            with self._write() as session:
                self.flush(session)

    def keep(self, tool: str, arguments: Mapping[str, Any], result: Mapping[str, Any]) -> int:
        """Store a full tool result and return its id."""
        with self._lock:
            result_id = self._next_result_id
            self._next_result_id += 1
            self._results.append(
                {
                    "id": result_id,
                    "thread_id": self._thread_id,
                    "run_id": self._run_id,
                    "tool": tool,
                    "arguments": dict(arguments),
                    "result": dict(result),
                    "created_at": self._clock.now(),
                }
            )
        return result_id

    def flush(
        self, session: Session, last: Sequence[tuple[str, Mapping[str, Any]]] = ()
    ) -> list[dict[str, Any]]:
        """Write what is not written yet, then these last events, which are returned."""
        ending = [self._event(kind, content) for kind, content in last]
        with self._lock:
            events, self._events = [*self._events, *ending], []
            results, self._results = self._results, []
            self._written_at = time.monotonic()
        records.add_results(session, results)
        records.add_events(session, events)
        return ending

    def tell(self, events: Sequence[dict[str, Any]]) -> None:
        """Let the listener hear events that are written now."""
        for event in events:
            self._tell(event)

    def _event(self, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "run_id": self._run_id,
            "kind": kind,
            "content": dict(content),
            "created_at": self._clock.now(),
        }

    def _tell(self, event: dict[str, Any]) -> None:
        """A door that has gone away must not stop the turn."""
        if self._listener is None:
            return
        try:
            self._listener(RunEvent(**event))
        except Exception:
            logger.exception("listener failed", extra={"run": self._run_id})
            self._listener = None


def pieces(text: str, size: int = _PIECE) -> Sequence[str]:
    """Cut a text into pieces of about this size, between words; together they are the text."""
    cut: list[str] = []
    start = 0
    while start < len(text):
        end = start + size
        if end < len(text) and (space := text.rfind(" ", start, end)) > start:
            end = space + 1
        cut.append(text[start:end])
        start = end
    return cut
