"""How long the server waits for a client that sends slowly: a head, then a body, in total.

A byte a second would keep a connection, and with a body a worker, for hours.
"""

import asyncio
from typing import ClassVar

from starlette.types import Message, Receive
from uvicorn.protocols.http.h11_impl import H11Protocol


class BodyTooSlow(Exception):
    """The body did not arrive in time."""


class PatientBody:
    """The ``receive`` of a request whose body must be there in time."""

    def __init__(self, receive: Receive, *, within_s: float) -> None:
        self._receive = receive
        self._until_s = asyncio.get_running_loop().time() + within_s
        self._is_whole = False

    async def receive(self) -> Message:
        """Wait for the next piece.

        Raises:
            BodyTooSlow: The pieces took too long together.
        """
        if self._is_whole:  # only the end of the connection comes now
            return await self._receive()
        left_s = self._until_s - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.001, left_s))
        except TimeoutError:
            raise BodyTooSlow from None
        self._is_whole = not message.get("more_body", False)
        return message


class PatientProtocol(H11Protocol):
    """H11 with a clock that runs while a request's head is incomplete."""

    within_s: ClassVar[float] = 10.0
    _head_clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        """Go on waiting, or stop when a request is at work."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._head_clock is None:
            self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop()
        super().connection_lost(exc)

    def _start(self) -> None:
        self._head_clock = self.loop.call_later(self.within_s, self.transport.close)

    def _stop(self) -> None:
        if self._head_clock is not None:
            self._head_clock.cancel()
            self._head_clock = None


def head_protocol(within_s: float) -> type[H11Protocol]:
    """Return uvicorn's protocol, closing a connection whose request head does not arrive."""
    return type("PatientProtocol", (PatientProtocol,), {"within_s": within_s})
