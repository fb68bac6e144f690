"""Many at the same moment."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from tests.fault.process import Caller, Server


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run ``work(0) .. work(count - 1)`` in threads that start together; returns what they gave."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(index: int) -> None:
        barrier.wait(timeout=60)
        results[index] = work(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def connected(servers: Sequence[Server], count: int, login: str = "mona") -> list[Caller]:
    """Return open connections, dealt out to the servers in turn."""
    callers = [servers[index % len(servers)].as_(login) for index in range(count)]
    for caller in callers:
        caller.call("GET", "/healthz")
    return callers
