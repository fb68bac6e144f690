"""A locked, absent or full database, a hostile upload: an honest answer, and work again after."""

import http.client
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.fault.history import History, breaks
from tests.fault.house import Asked, House
from tests.fault.process import Caller, Server

IMPATIENT = {"QM_DATABASE_LOCK_TIMEOUT_S": "1", "QM_BODY_TIMEOUT_S": "2"}
UPLOAD_S = 8.0


@pytest.fixture(scope="module")
def server(standing: House) -> Iterator[Server]:
    with standing.server(**IMPATIENT) as started:
        yield started


def _raw(house: House, database: str = "") -> "psycopg.Connection[tuple[object, ...]]":
    url = make_url(house.url).set(drivername="postgresql")
    url = url.set(database=database) if database else url
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


@contextmanager
def _locked(house: House) -> Iterator[None]:
    """Another process holds what a decision needs."""
    if house.is_sqlite:
        other = sqlite3.connect(house.folder / "quartermaster.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()
        other.close()
        return
    with _raw(house) as connection, connection.transaction():
        connection.execute("LOCK TABLE approval IN ACCESS EXCLUSIVE MODE")
        yield


def _decide_until_done(
    history: History, caller: Caller, pile: list[Asked], *, within_s: float = 60.0
) -> None:
    """Repeat each decision under its key until it is answered."""
    end_s = time.monotonic() + within_s
    for asked in pile:
        while time.monotonic() < end_s:
            reply = history.decide(caller, asked)
            if reply is not None and reply.status == 200:
                break
            time.sleep(0.1)


def test_a_locked_database_is_503_with_retry_after_and_nothing_half_done(
    standing: House, server: Server, history: History
) -> None:
    (asked,) = standing.ask()
    caller = server.as_("mona")

    with _locked(standing):
        refused = history.decide(caller, asked)
    done = history.decide(caller, asked)

    assert refused is not None
    assert (refused.status, refused.headers.get("retry-after")) == (503, "2")
    assert done is not None
    assert done.status == 200
    assert breaks(standing, history) == []


def test_connections_that_are_cut_again_and_again_lose_nothing(
    standing: House, server: Server, history: History
) -> None:
    if standing.is_sqlite:
        pytest.skip("a file has no connections to cut")
    pile = standing.ask(10)
    ended = threading.Event()

    def cut() -> None:
        with _raw(standing) as connection:
            while not ended.wait(0.2):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

    cutter = threading.Thread(target=cut)
    cutter.start()
    end_s = time.monotonic() + 2
    while time.monotonic() < end_s:
        for asked in pile:
            history.decide(server.as_("mona"), asked)
    ended.set()
    cutter.join()
    standing.close()
    _decide_until_done(history, server.as_("mona"), pile)

    assert set(history.statuses()) <= {200, 503, 0}
    assert len(history.acknowledged("approve")) == len(pile)
    server.await_ready(within_s=30)
    assert breaks(standing, history) == []


def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(
    sqlite_house: House, history: History
) -> None:
    pile = sqlite_house.ask(24)
    sqlite_house.close()
    with small_disk(sqlite_house) as ballast, sqlite_house.server(**IMPATIENT) as server:
        caller = server.as_("mona")
        history.decide(caller, pile[0])
        free = psutil.disk_usage(str(ballast.parent)).free
        ballast.write_bytes(b"x" * max(0, free - 300_000))
        for asked in pile[1:16]:
            history.decide(caller, asked)
        refused = history.statuses()
        ballast.unlink()
        _decide_until_done(history, server.as_("mona"), pile[16:])
        server.await_ready(within_s=30)
        assert breaks(sqlite_house, history) == []

    assert refused[200] >= 1
    assert refused[503] + refused[507] >= 1, refused
    assert 500 not in refused
    assert len(history.acknowledged("approve")) >= 9


@contextmanager
def small_disk(house: House) -> Iterator[Path]:
    """Move a house onto a disk of 128 MB; gives the file to fill it with."""
    disk = house.folder.with_name(f"{house.folder.name}-disk")
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        shutil.copytree(house.folder, disk / "house")
        house.folder = disk / "house"
        house.url = f"sqlite:///{house.folder}/quartermaster.db"
        yield disk / "ballast"
    finally:
        house.close()
        subprocess.run(["umount", "-l", str(disk)], capture_output=True, check=False)


def test_a_key_gives_the_same_answer_also_after_a_restart(
    sqlite_house: House, history: History
) -> None:
    first, other = sqlite_house.ask(2)
    with sqlite_house.server() as server:
        caller = server.as_("mona")
        answers = [history.decide(caller, first, key="k1") for _ in range(5)]
        server.restart()
        answers.append(history.decide(caller, first, key="k1") or history.decide(
            caller, first, key="k1"
        ))  # fmt: skip
        misused = history.decide(caller, other, key="k1")

    bodies = [(answer.status, answer.body) for answer in answers if answer is not None]
    assert len(bodies) == 6
    assert all(body == bodies[0] for body in bodies)
    assert answers[-1] is not None
    assert answers[-1].headers.get("idempotency-replayed") == "true"
    assert misused is not None
    assert misused.status == 422
    assert breaks(sqlite_house, history) == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_looking_at_a_link_decides_nothing(
    standing: House, server: Server, history: History, method: str
) -> None:
    (asked,) = standing.ask()
    agent = {"User-Agent": "Slackbot-LinkExpanding 1.0", "Purpose": "prefetch"}

    for path in (asked.decisions, f"{asked.decisions}?decision=approve&version=1"):
        reply = history.call(server.as_("mona"), method, path, headers=agent)
        assert reply is not None
        assert reply.status in (404, 405)

    shown = server.as_("mona").call("GET", f"/v1/approvals/{asked.number}")
    assert shown is not None
    assert (shown.body["state"], shown.body["version"]) == ("pending", 1)


@pytest.mark.parametrize("kind", ["2 GB announced", "without an end", "a byte a second"])
def test_an_endless_upload_is_refused_and_keeps_nobody_waiting(
    standing: House, server: Server, kind: str
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=UPLOAD_S) as upload:
        length = {"2 GB announced": "Content-Length: 2147483648", "a byte a second": (
            "Content-Length: 500")}.get(kind, "Transfer-Encoding: chunked")  # fmt: skip
        upload.sendall(
            f"POST /v1/threads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {standing.keys['paul']}\r\n{length}\r\n\r\n".encode()
        )
        feeder = threading.Thread(target=_feed, args=(upload, kind), daemon=True)
        feeder.start()
        started_s = time.monotonic()
        health = server.as_("").call("GET", "/healthz")
        waited_s = time.monotonic() - started_s
        response = http.client.HTTPResponse(upload)
        try:
            response.begin()
            status = response.status
        except (OSError, http.client.HTTPException):  # cut off without a word
            status = 0
        taken_s = time.monotonic() - started_s

    assert status in (0, 400, 408, 413)
    assert taken_s <= UPLOAD_S
    assert health is not None
    assert waited_s < 2


def _feed(upload: socket.socket, kind: str) -> None:
    try:
        while kind != "2 GB announced":
            if kind == "a byte a second":
                upload.sendall(b" ")
                time.sleep(1)
            else:
                upload.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
    except OSError:
        return


def test_readyz_says_when_the_database_does_not_answer(house: House) -> None:
    if house.is_sqlite:
        pytest.skip("a file does not go away")
    with house.server(**IMPATIENT) as server:
        house.close()
        name = make_url(house.url).database
        with _raw(house, "postgres") as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            connection.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )
            red_after_s = server.await_status(503, within_s=20)
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        green_after_s = server.await_status(200, within_s=30)

    assert red_after_s < 20
    assert green_after_s < 30
