"""A bad line in front of a server: bytes pass late, or not, or the connection is reset.

Modes; the last of a list stays (``"reset,drop,ok"`` is one mode a connection):

===============  ================================================================
``ok``           bytes pass both ways
``latency:S``    the answer comes S seconds late
``reset``        the request passes; the answer is cut by RST after its headers
``cut``          the request passes; the answer is cut by RST within its first line
``drop``         the connection is taken and reset before a byte passes
===============  ================================================================
"""

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

_RESET = struct.pack("ii", 1, 0)  # linger 0: close sends RST
_END_OF_HEADERS = b"\r\n\r\n"


class TcpProxy:
    """The line; ``with`` opens and closes it. ``mode`` may be set any time."""

    def __init__(self, to_port: int, mode: str = "ok") -> None:
        self.mode, self.connections = mode, 0
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            mode, _, rest = self.mode.partition(",")
            self.mode = rest or mode
            threading.Thread(target=self._serve, args=(near, mode), daemon=True).start()

    def _serve(self, near: socket.socket, mode: str) -> None:
        if mode == "drop":
            _reset(near)
            return
        to = ("127.0.0.1", self._to_port)
        with contextlib.suppress(OSError), near, socket.create_connection(to, timeout=10) as far:
            threading.Thread(target=_pass, args=(near, far), daemon=True).start()
            _answer(far, near, mode)


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


def _answer(far: socket.socket, near: socket.socket, mode: str) -> None:
    seen = b""
    while data := far.recv(65_536):
        if mode.startswith("latency:") and not seen:
            time.sleep(float(mode.removeprefix("latency:")))
        seen += data
        if mode == "cut":
            near.sendall(seen[:8])
            _reset(near)
            return
        if mode == "reset" and _END_OF_HEADERS in seen:
            near.sendall(seen[: seen.index(_END_OF_HEADERS) + 4])
            _reset(near)
            return
        if mode != "reset":
            near.sendall(data)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()
