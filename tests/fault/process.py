"""Real server processes: started on a house's data, killed at a bad moment, started again."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

ROOT = Path(__file__).parent.parent.parent
READY_WITHIN_S = 60.0
SERVE = ("-m", "api.cli.main", "serve")


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The code of a problem, or an empty text."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


class Caller:
    """One person's connection; ``None`` is the answer of a server that died meanwhile."""

    def __init__(self, port: int, key: str, *, timeout_s: float = 30.0) -> None:
        self._port, self._key, self._timeout_s = port, key, timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply | None:
        """Send a request and read the answer."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self._key:
            sent["Authorization"] = f"Bearer {self._key}"
        data = None if body is None else json.dumps(body)
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    "127.0.0.1", self._port, timeout=self._timeout_s
                )
            self._connection.request(method, path, data, sent)
            response = self._connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        return Reply(response.status, _parsed(raw), dict(response.getheaders()))

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


@dataclass
class Server:
    """A ``quartermaster serve`` of ours; the block's end stops it."""

    folder: Path
    environment: Mapping[str, str]
    keys: Mapping[str, str]
    port: int = 0
    arguments: Sequence[str] = SERVE
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    callers: list[Caller] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port = self.port or free_port()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill it and hang up."""
        self.kill()
        for caller in self.callers:
            caller.close()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """What all its lives said."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self.folder / f"server-{self.port}.log"

    def start(self, *, is_ready: bool = True) -> None:
        """Start it, and wait until it is ready."""
        self.starts += 1
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=ROOT,
                env={
                    "PATH": "/usr/bin:/bin",
                    "QM_PORT": str(self.port),
                    "OMP_NUM_THREADS": "1",
                    **self.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if is_ready:
            self.await_ready()

    def await_ready(self, *, within_s: float = READY_WITHIN_S) -> None:
        """Wait until ``/readyz`` says ok."""
        self.await_status(200, within_s=within_s)

    def await_status(self, status: int, *, within_s: float, path: str = "/readyz") -> float:
        """Wait until a page answers with a status; returns how long that took, seconds."""
        started_s = time.monotonic()
        caller = Caller(self.port, "", timeout_s=15)
        reply = None
        while time.monotonic() - started_s < within_s:
            if self.process is not None and self.process.poll() is not None:
                break
            reply = caller.call("GET", path)
            if reply is not None and reply.status == status:
                caller.close()
                return time.monotonic() - started_s
            time.sleep(0.03)
        caller.close()
        raise AssertionError(f"{path} did not become {status}: {reply}\n{self.log[-3000:]}")

    def as_(self, login: str, *, timeout_s: float = 30.0) -> Caller:
        """Return a connection of one of the house's people."""
        caller = Caller(self.port, self.keys[login] if login else "", timeout_s=timeout_s)
        self.callers.append(caller)
        return caller

    def kill(self) -> None:
        """``kill -9``, if it still lives."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=20)

    def terminate(self, *, within_s: float = 20.0) -> float:
        """Ask it to stop; returns how long it took, seconds.

        Raises:
            subprocess.TimeoutExpired: It did not stop in time.
        """
        assert self.process is not None
        started_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=within_s)
        return time.monotonic() - started_s

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def rss_mb(self) -> float:
        """Memory of the process, MB."""
        return float(psutil.Process(self.pid).memory_info().rss / 2**20)


def is_alive(pid: int) -> bool:
    """Whether a process of ours still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
