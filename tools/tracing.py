"""Ids of what is going on: doors bind them, the log prints them, the audit trail keeps them."""

from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

TRACED = ("request_id", "thread_id", "run_id", "delivery_key")

bind = bind_contextvars
"""Bind ids from here to the end of the task."""
bound = bound_contextvars
"""Bind ``request_id``, ``thread_id``, ``run_id``, ``delivery_key`` or ``actor`` in a block."""


def ids() -> dict[str, str]:
    """Return the ids that are bound here, as texts.

    >>> with bound(request_id="7f", actor="pat"):
    ...     ids()
    {'request_id': '7f'}
    """
    bound_here = get_contextvars()
    return {name: str(bound_here[name]) for name in TRACED if name in bound_here}
