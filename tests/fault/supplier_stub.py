"""A supplier's web service that misbehaves on demand: a real HTTP server on a real socket.

In a test::

    with SupplierStub("dedupe") as stub:            # or "500,500,ok": one mode a request
        ...deliver to stub.url...
        assert stub.orders == {"po:PO-2001:v1:...": ["SO-1"]}
        stub.mode = "kill:4711@read"                # any time

As a process of its own (prints its address on standard output, then serves until it is killed)::

    python -m tests.fault.supplier_stub --mode dedupe [--port 0] [--log calls.jsonl]

There ``PUT /_mode`` with the mode as body changes the mode, ``GET /_orders`` returns
``{"orders": {key: [references]}, "calls": [{"key", "mode", "status", "headers", "body"}]}``.

Modes; the last of a list stays:

=====================  ===========================================================================
``ok``                 200 with the reference; a key it has seen gets the same answer, nothing new
``dedupe``             201 with the reference; a key it has seen gets 409 with the old reference
``no-dedupe``          201 each time, each time another order: what an e-mail inbox does
``400`` ``404`` ...    that status, nothing booked (any number; ``500`` is the usual one)
``hang``               reads the order, books nothing, never answers
``drop-after-read``    books the order, then closes the connection without an answer
``slow-drip``          books the order, answers one byte every 0.2 s
``delay:SECONDS``      books the order, answers after that time
``429-retry-after``    429 with ``Retry-After: 7``; ``429-retry-after:30`` says 30 s; 503 likewise
``redirect-to-metadata``  307 to ``http://169.254.169.254/latest/meta-data/``
``redirect``           307 to its own ``/elsewhere``: ``stub.paths`` tells whether that was called
``wrong-json``         books the order, answers 200 with half a JSON document
``huge``               books the order, answers 200 with 64 MB
``kill:PID@accept``    SIGKILLs PID when the connection is there, before a byte is read
``kill:PID@read``      ... when the whole request is read and the order is booked, before the answer
``kill:PID@replied``   ... when the answer is sent, before the connection is closed
=====================  ===========================================================================

After a kill the mode is ``dedupe``, so that the restarted sender finds a supplier in order. With
``@accept`` nothing is booked; with ``@read`` and ``@replied`` the order is.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

DRIP_EVERY_S = 0.2
_REASONS = {200: "OK", 201: "Created", 307: "Temporary Redirect", 409: "Conflict"}


@dataclass
class Call:
    """One request as it arrived, and what it got; status 0 is no answer."""

    path: str
    mode: str
    headers: dict[str, str]
    body: bytes
    status: int = 0

    @property
    def key(self) -> str:
        """The Idempotency-Key that it carried."""
        return self.headers.get("idempotency-key", "")


@dataclass
class SupplierStub:
    """The server; ``with`` starts and stops it. Every attribute may be read and set meanwhile."""

    mode: str = "ok"
    port: int = 0
    log: Path | None = None
    calls: list[Call] = field(default_factory=list)
    orders: dict[str, list[str]] = field(default_factory=dict)
    accepted: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        """Where orders are posted."""
        return f"http://127.0.0.1:{self.port}/orders"

    @property
    def paths(self) -> list[str]:
        """The paths that were called, in order."""
        return [call.path for call in self.calls]

    @property
    def booked(self) -> int:
        """How many orders the supplier has: what must never exceed one a key."""
        return sum(len(references) for references in self.orders.values())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the door; connections that hang are let go."""
        self._stopping.set()
        with contextlib.suppress(OSError):  # wakes the accepting thread
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def serve_forever(self) -> None:
        """Serve until the process is killed."""
        self._thread.start()
        self._thread.join()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            with self._lock:
                self.accepted += 1
                if self._kill_at("accept"):
                    return
            call = _read(connection)
            if call is None:
                return
            if call.path.startswith("/_"):
                connection.sendall(self._administer(call))
                return
            self._answer(connection, call)

    def _answer(self, connection: socket.socket, call: Call) -> None:
        with self._lock:
            call.mode = self._next_mode()
            reply = self._reply(call)
            self.calls.append(call)
            self._write_log(call)
            self._kill_at("read", call.mode)
        if call.mode == "hang":
            self._stopping.wait()
        elif call.mode.startswith("delay:"):
            self._stopping.wait(float(call.mode.partition(":")[2]))
            connection.sendall(reply)
        elif call.mode == "slow-drip":
            for index in range(len(reply)):
                connection.sendall(reply[index : index + 1])
                if self._stopping.wait(DRIP_EVERY_S):
                    return
        elif reply:
            connection.sendall(reply)
            with self._lock:
                self._kill_at("replied", call.mode)
            connection.shutdown(socket.SHUT_WR)

    def _next_mode(self) -> str:
        first, more, rest = self.mode.partition(",")
        if more:
            self.mode = rest
        return first.strip()

    def _reply(self, call: Call) -> bytes:
        """Book what the mode books and return the bytes of the answer."""
        name, _, argument = call.mode.partition(":")
        if name.isdigit() or name in ("hang", "429-retry-after", "503-retry-after"):
            return self._refuse(call, name, argument)
        if name.startswith("redirect"):
            target = (
                "/elsewhere" if name == "redirect" else "http://169.254.169.254/latest/meta-data/"
            )
            return _bytes(call, 307, {}, {"Location": target})
        is_new = call.key not in self.orders
        references = self.orders.setdefault(call.key, [])
        if is_new or name == "no-dedupe":
            references.append(f"SO-{self.booked + 1}")
        document = {"reference": references[-1]}
        if name == "drop-after-read":
            return b""
        if name == "wrong-json":
            return _raw(call, 200, b'{"reference": ', {})
        if name == "huge":
            return _raw(call, 200, b" " * 64_000_000, {})
        if name in ("ok", "slow-drip", "delay"):
            return _bytes(call, 200, document, {})
        status = 201 if is_new or name == "no-dedupe" else 409
        return _bytes(call, status, document, {})

    def _refuse(self, call: Call, name: str, argument: str) -> bytes:
        if name == "hang":
            return b""
        status = int(name.partition("-")[0])
        headers = {"Retry-After": argument or "7"} if "retry-after" in name else {}
        return _bytes(call, status, {"error": f"stub says {status}"}, headers)

    def _kill_at(self, point: str, mode: str | None = None) -> bool:
        """Kill the process that the mode names if this is the point; says whether it did."""
        name, _, target = (self.mode if mode is None else mode).partition(":")
        pid, _, wanted = target.partition("@")
        if name != "kill" or wanted != point:
            return False
        self.mode = "dedupe"
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
        return True

    def _administer(self, call: Call) -> bytes:
        if call.path == "/_mode":
            self.mode = call.body.decode().strip()
            return _bytes(call, 200, {"mode": self.mode}, {})
        with self._lock:
            calls = [_shown(one) for one in self.calls]
            return _bytes(call, 200, {"orders": self.orders, "calls": calls}, {})

    def _write_log(self, call: Call) -> None:
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_shown(call)) + "\n")


def _shown(call: Call) -> dict[str, Any]:
    return {
        "key": call.key, "path": call.path, "mode": call.mode, "status": call.status,
        "headers": call.headers, "body": call.body.decode("utf-8", "replace"),
    }  # fmt: skip


def _read(connection: socket.socket) -> Call | None:
    """Read one request; None when the sender went away before it was whole."""
    with connection.makefile("rb") as stream:
        request = stream.readline().decode("latin-1").split()
        if len(request) < 2:
            return None
        headers: dict[str, str] = {}
        while line := stream.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        body = stream.read(length)
    return Call(request[1], "", headers, body) if len(body) == length else None


def _bytes(
    call: Call, status: int, document: Mapping[str, Any], headers: Mapping[str, str]
) -> bytes:
    return _raw(call, status, json.dumps(document).encode(), headers)


def _raw(call: Call, status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    call.status = status
    head = {
        "Content-Type": "application/json", "Content-Length": str(len(body)),
        "Connection": "close", **headers,
    }  # fmt: skip
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Stub')}"]
    lines += [f"{name}: {value}" for name, value in head.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _main() -> None:
    parser = argparse.ArgumentParser(description="A supplier's web service for fault tests.")
    parser.add_argument("--mode", default="ok")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    stub = SupplierStub(given.mode, port=given.port, log=given.log)
    print(stub.url, flush=True)  # noqa: T201
    stub.serve_forever()


if __name__ == "__main__":
    _main()
