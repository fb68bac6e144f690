"""A mail server that kills its client at a point of the protocol, and keeps what it took."""

import os
import signal
import socket
import threading
from types import TracebackType
from typing import BinaryIO, Self


class MailStub:
    """Speaks just enough SMTP; ``kill(pid, at)`` arms it at accept, read or replied."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self._armed: tuple[int, str] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
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
        self._listener.close()

    def kill(self, pid: int, at: str) -> None:
        """Kill this process once, when the talk comes to this point."""
        self._armed = (pid, at)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                if not self._is_killed("accept"):
                    self._converse(connection, lines)
            except OSError:
                return

    def _converse(self, connection: socket.socket, lines: BinaryIO) -> None:
        connection.sendall(b"220 stub\r\n")
        for line in lines:
            word = line.split(b" ")[0].strip().upper()
            if word == b"DATA":
                connection.sendall(b"354 go on\r\n")
                body = []
                for part in lines:
                    if part == b".\r\n":
                        break
                    body.append(part)
                self.mails.append(b"".join(body).decode(errors="replace"))
                if self._is_killed("read"):
                    return
                connection.sendall(b"250 taken\r\n")
                self._is_killed("replied")
            elif word == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 stub\r\n")

    def _is_killed(self, at: str) -> bool:
        if self._armed is None or self._armed[1] != at:
            return False
        pid, self._armed = self._armed[0], None
        os.kill(pid, signal.SIGKILL)
        return True
