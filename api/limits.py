"""How much one person or address may ask of the server, so that the others notice nothing of it.

Counts live in this process and forget after a minute: a restart forgives everybody.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.settings import Settings
from tools.errors import TooManyRequests

WINDOW_S = 60
CHARACTERS = 100  # are one unit of the budget of characters
MOST_REMEMBERED = 10_000  # callers that are over a limit

ADDRESS, PERSON, SIGN_IN = "address", "person", "sign-in"
MESSAGES, TEXT = "messages", "text"
_SENTENCES = {
    ADDRESS: "this address sends more than {quota:,} requests a minute",
    PERSON: "you send more than {quota:,} requests a minute",
    SIGN_IN: "this address tries to sign in more than {quota:,} times a minute",
    MESSAGES: "you send more than {quota:,} messages a minute",
    TEXT: "your messages hold more than {quota:,} characters a minute",
}


@dataclass(frozen=True)
class Allowance:
    """What is left of a limit, and when it is whole again."""

    name: str
    quota: int
    remaining: int
    reset_s: int
    is_open: bool

    def headers(self) -> dict[str, str]:
        """Return the fields of the IETF draft "RateLimit header fields for HTTP"."""
        told = {
            "RateLimit-Policy": f'"{self.name}";q={self.quota};w={WINDOW_S}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.reset_s}',
        }
        return told if self.is_open else {**told, "Retry-After": str(self.reset_s)}

    def sentence(self) -> str:
        """Say which limit was passed."""
        quota = self.quota * (CHARACTERS if self.name == TEXT else 1)
        return _SENTENCES[self.name].format(quota=quota)


class Meter:
    """Counts in a moving window of a minute; a quota of 0 is none."""

    def __init__(self, settings: Settings) -> None:
        self._quotas = {
            ADDRESS: settings.address_requests_per_minute,
            PERSON: settings.requests_per_minute,
            SIGN_IN: settings.sign_ins_per_minute,
            MESSAGES: settings.messages_per_minute,
            TEXT: math.ceil(settings.message_characters_per_minute / CHARACTERS),
        }
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._closed: dict[tuple[str, str], float] = {}

    def take(self, name: str, who: str, *, cost: int = 1) -> Allowance:
        """Count a request of somebody and say what is left."""
        quota = self._quotas[name]
        if not quota:
            return Allowance(name, 0, 0, 0, is_open=True)
        item = RateLimitItemPerMinute(quota)
        is_open = self._window.hit(item, name, who, cost=min(cost, quota))
        left = self._window.get_window_stats(item, name, who)
        reset_s = max(1, math.ceil(left.reset_time - time.time()))
        return Allowance(name, quota, max(0, left.remaining), reset_s, is_open=is_open)

    def message(self, who: str, text: str) -> None:
        """Count a message: how many, and how long they are together.

        Raises:
            TooManyRequests: Wait, or say less.
        """
        for name, cost in ((MESSAGES, 1), (TEXT, math.ceil(len(text) / CHARACTERS))):
            allowance = self.take(name, who, cost=cost)
            if not allowance.is_open:
                raise refusal(allowance)

    def close(self, name: str, caller: str, *, for_s: float) -> None:
        """Remember that a caller is over a limit, to answer the next ones without any work."""
        if len(self._closed) >= MOST_REMEMBERED:
            self._closed.clear()
        self._closed[name, caller] = time.monotonic() + for_s

    def closed(self, name: str, caller: str) -> Allowance | None:
        """Return the limit that a caller is known to be over."""
        until_s = self._closed.get((name, caller))
        if until_s is None:
            return None
        left_s = math.ceil(until_s - time.monotonic())
        if left_s <= 0:
            del self._closed[name, caller]
            return None
        return Allowance(name, self._quotas[name], 0, left_s, is_open=False)


def refusal(allowance: Allowance) -> TooManyRequests:
    """Return the error of a limit that was passed."""
    return TooManyRequests(
        allowance.sentence(),
        next_step=f"Wait {allowance.reset_s} seconds.",
        details={"limit": allowance.name, "retry_after_s": allowance.reset_s},
    )


class Lanes:
    """Lets each caller have a few requests at work; its other ones wait in its own lane."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._lanes: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator["Place"]:
        """Wait for a free place and hold it until the block ends or the place is left."""
        lane, inside = self._lanes.setdefault(caller, (asyncio.Semaphore(self._width), []))
        inside.append(None)
        try:
            await lane.acquire()
            place = Place(lane)
            try:
                yield place
            finally:
                place.leave()
        finally:
            inside.pop()
            if not inside:
                self._lanes.pop(caller, None)


class Place:
    """A place in a lane; leaving it a second time does nothing."""

    def __init__(self, lane: asyncio.Semaphore) -> None:
        self._lane: asyncio.Semaphore | None = lane

    def leave(self) -> None:
        """Let the next one of this caller go on."""
        if self._lane is not None:
            self._lane.release()
            self._lane = None
