"""Collects what a turn does and writes it in few transactions.

A fast turn costs one write at its end; in a slow one a door sees each step when it happens, because
steps that are older than a moment are written at once.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from db.models.conversation import RunEvent, ToolResult
from db.session import SessionFactory
from tools.clock import Clock

logger = logging.getLogger(__name__)

Listener = Callable[[RunEvent], None]
PATIENCE_S = 0.25


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
        self._rows: list[RunEvent | ToolResult] = []
        self._lock = threading.Lock()
        self._written_at = time.monotonic()

    def emit(self, kind: str, content: Mapping[str, Any]) -> None:
        """Report a step."""
        event = self._event(kind, content)
        with self._lock:
            self._rows.append(event)
        self._tell(event)
        if time.monotonic() - self._written_at > PATIENCE_S:
            self._flush()

    def keep(self, tool: str, arguments: Mapping[str, Any], result: Mapping[str, Any]) -> int:
        """Store a full tool result and return its id."""
        with self._lock:
            result_id = self._next_result_id
            self._next_result_id += 1
            self._rows.append(
                ToolResult(
                    id=result_id,
                    thread_id=self._thread_id,
                    run_id=self._run_id,
                    tool=tool,
                    arguments=dict(arguments),
                    result=dict(result),
                    created_at=self._clock.now(),
                )
            )
        return result_id

    def last(self, said: list[tuple[str, dict[str, Any]]]) -> list[RunEvent | ToolResult]:
        """Return everything that is not written yet, ending with these events."""
        with self._lock:
            rows, self._rows = self._rows, []
        return rows + [self._event(kind, content) for kind, content in said]

    def tell(self, rows: list[RunEvent | ToolResult]) -> None:
        """Let the listener hear the events among rows that are written now."""
        for row in rows:
            if isinstance(row, RunEvent):
                self._tell(row)

    def _event(self, kind: str, content: Mapping[str, Any]) -> RunEvent:
        return RunEvent(
            run_id=self._run_id, kind=kind, content=dict(content), created_at=self._clock.now()
        )

    def _flush(self) -> None:
        with self._lock:
            rows, self._rows = self._rows, []
            self._written_at = time.monotonic()
        with self._write() as session:
            session.add_all(rows)

    def _tell(self, event: RunEvent) -> None:
        """A door that has gone away must not stop the turn."""
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception:
            logger.exception("listener failed", extra={"run": self._run_id})
            self._listener = None
