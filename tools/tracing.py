"""Ids of what is going on: doors bind them, the log prints them, the audit trail keeps them.

A span is a piece of work with a beginning and an end. Nobody listens by default; a server lets its
metrics and, where that is set up, OpenTelemetry listen.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

TRACED = ("request_id", "thread_id", "run_id", "delivery_key")
Kind = Literal["request", "turn", "tool", "delivery"]

bind = bind_contextvars
"""Bind ids from here to the end of the task."""
bound = bound_contextvars
"""Bind ``request_id``, ``thread_id``, ``run_id``, ``delivery_key`` or ``actor`` in a block."""


class Outcome:
    """What came of a span; its end tells it to the listeners."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.result = "ok"

    def of(self, name: str, result: str) -> None:
        """Say what it was and how it ended."""
        self.name, self.result = name, result


Ended = Callable[[Outcome, dict[str, str]], None]
_listeners: "list[Listener]" = []


class Listener(Protocol):
    """Somebody who wants to know of spans."""

    def begin(self, kind: Kind, name: str) -> Ended:
        """Take note of a beginning; what is returned is called at the end, in the same context."""
        ...

    def hand_over(self, run_id: str) -> None:
        """Take note that the turn of this run continues the span that is open here."""
        ...


def listen(listener: Listener) -> Callable[[], None]:
    """Tell a listener of every span from now on; returns what ends that."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


@contextmanager
def span(kind: Kind, name: str) -> Iterator[Outcome]:
    """Report a block of work; an exception that leaves it is its result.

    Args:
        kind: What sort of work.
        name: Which; one of few, for each becomes a time series.
    """
    outcome = Outcome(name)
    ends = [listener.begin(kind, name) for listener in _listeners]
    try:
        yield outcome
    except BaseException as error:
        outcome.result = type(error).__name__
        raise
    finally:
        known = ids()
        for end in reversed(ends):
            end(outcome, known)


def hand_over(run_id: int) -> None:
    """Say that a turn which another thread answers belongs to the span that is open here."""
    for listener in _listeners:
        listener.hand_over(str(run_id))


def ids() -> dict[str, str]:
    """Return the ids that are bound here, as texts.

    >>> with bound(request_id="7f", actor="pat"):
    ...     ids()
    {'request_id': '7f'}
    """
    bound_here = get_contextvars()
    return {name: str(bound_here[name]) for name in TRACED if name in bound_here}
