"""The whole demo and a server under guard: no connection, no name looked up, whatever is set."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from api.bootstrap import build_system
from api.settings import Settings
from tests.e2e.conftest import ROOT, quartermaster
from tests.factories_rest import eventually
from tools.identity.service import create_api_key

# Runs before the program: every attempt to leave is written down and refused. An audit hook sees
# what libraries do in C as well.
GUARD = """
import os, sys
_LOCAL = ("127.", "::1", "localhost", "0.0.0.0")
def _is_local(host):
    host = host.decode() if isinstance(host, bytes) else host
    return host is None or host == "" or str(host).startswith(_LOCAL)
def _watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else ""
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return
    if not _is_local(host):
        with open(os.environ["GUARD_LOG"], "a") as log:
            log.write(f"{event} {host}\\n")
        raise OSError(f"{event} {host} is not local")
sys.addaudithook(_watch)
with open(os.environ["GUARD_LOG"], "a") as log:
    log.write("guarded\\n")
"""
# What would make the libraries report home if it were theirs to decide.
TEMPTATION = {
    "LANGSMITH_TRACING": "true", "LANGCHAIN_TRACING_V2": "true", "LANGSMITH_API_KEY": "ls-x",
    "LANGSMITH_ENDPOINT": "http://telemetry.example:9", "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://telemetry.example:9",
}  # fmt: skip


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, str]:
    """The environment of a guarded program."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    return {
        "PYTHONPATH": str(tmp_path / "guard"), "GUARD_LOG": str(tmp_path / "guard.log"),
        **TEMPTATION,
    }  # fmt: skip


def _left(environment: dict[str, str]) -> set[str]:
    return set(Path(environment["GUARD_LOG"]).read_text().splitlines())


def test_the_guard_sees_who_leaves(guarded: dict[str, str]) -> None:
    code = "import socket; socket.create_connection(('telemetry.example', 9))"

    left = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **guarded}, capture_output=True,  # noqa: TID251
        timeout=60, check=False,
    )  # fmt: skip

    assert left.returncode == 1
    assert _left(guarded) == {"guarded", "socket.getaddrinfo telemetry.example"}


def test_the_demo_and_a_server_with_a_conversation_reach_nobody(
    guarded: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    done = quartermaster("demo", data_dir=folder, **guarded)
    assert done.returncode == 0, done.stderr

    with _serving(folder, guarded) as url:
        headers = {"Authorization": f"Bearer {_key(folder)}"}
        with httpx2.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            thread = client.post("/v1/threads", json={}).json()["thread_id"]
            answer = client.post(
                f"/v1/threads/{thread}/messages", json={"text": "what needs ordering today?"},
                headers={"Accept": "text/event-stream"},
            )  # fmt: skip

    assert "run.completed" in answer.text
    assert _left(guarded) == {"guarded"}


def _key(folder: Path) -> str:
    system = build_system(Settings(data_dir=folder))
    with system.database.write() as session:
        key = create_api_key(session, "pat", label="guard", clock=system.clock)
    system.close()
    return key


@contextmanager
def _serving(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    with httpx2.Client(trust_env=False) as client, _free_port() as port:
        server = subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", "serve"],
            cwd=ROOT,
            env={
                "PATH": "/usr/bin:/bin", "QM_DATA_DIR": str(folder), "QM_PORT": str(port),
                **environment,
            },
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"

        def is_up() -> bool:
            try:
                return client.get(f"{url}/healthz").status_code == 200
            except httpx2.TransportError:
                return False

        try:
            eventually(is_up, within_s=60)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)


@contextmanager
def _free_port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield port
