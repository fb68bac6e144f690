"""``kill -9`` at any moment: what was acknowledged is there, and nothing is there twice."""

import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Sequence

from sqlalchemy.engine import make_url

from tests.fault.history import History, breaks
from tests.fault.house import Asked, House, await_delivered, end_leases
from tests.fault.process import Caller, Server

CLIENTS = 4
EACH = 5


def test_an_acknowledged_approval_survives_kill_9(
    house: House, history: History, loops: int
) -> None:
    server = house.server()
    try:
        for _ in range(loops):
            piles = [house.ask(EACH) for _ in range(CLIENTS)]
            server.start()
            _approve_until_killed(server, piles, history, after_s=random.uniform(0, 0.15))
            assert breaks(house, history) == []
        end_leases(house)
        server.start()
        await_delivered(house, within_s=60 + 6 * loops)
    finally:
        server.close()

    assert breaks(house, history) == []
    assert len(history.acknowledged("approve")) >= loops


def test_a_write_storm_leaves_a_sound_database(house: House, history: History, loops: int) -> None:
    server = house.server()
    try:
        for round_ in range(max(1, loops // 3)):
            piles = [house.ask(EACH) for _ in range(CLIENTS)]
            server.start()
            storm = threading.Thread(target=_talk, args=(server.as_("paul"), round_, history))
            storm.start()
            _approve_until_killed(server, piles, history, after_s=random.uniform(0.1, 0.6))
            storm.join()
            assert _unsound(house) == ""
            assert breaks(house, history) == []
    finally:
        server.close()


def _approve_until_killed(
    server: Server, piles: Sequence[list[Asked]], history: History, *, after_s: float
) -> None:
    """Let several people approve, and kill the server while they do."""
    callers = [server.as_("mona") for _ in piles]
    for caller, pile in zip(callers, piles, strict=True):
        history.decide(caller, pile.pop())  # warm: the kill hits approvals, not imports

    def approve(caller: Caller, pile: list[Asked]) -> None:
        for asked in pile:
            if history.decide(caller, asked) is None:
                return

    threads = [
        threading.Thread(target=approve, args=pair) for pair in zip(callers, piles, strict=True)
    ]
    for thread in threads:
        thread.start()
    time.sleep(after_s)
    server.kill()
    for thread in threads:
        thread.join()


def _talk(caller: Caller, round_: int, history: History) -> None:
    """Open threads and say things until the server dies."""
    for index in range(200):
        opened = history.call(caller, "POST", "/v1/threads", {"title": f"storm {round_} {index}"})
        if opened is None or opened.status != 201:
            return
        path = f"/v1/threads/{opened.body['thread_id']}/messages"
        if history.call(caller, "POST", path, {"text": f"stock of GOOD-{index:03}"}) is None:
            return


def _unsound(house: House) -> str:
    """Return what the database's own checker finds; nothing when there is none."""
    if house.is_sqlite:
        found = []
        for name in ("quartermaster.db", "conversations.db"):
            with sqlite3.connect(house.folder / name) as connection:
                found += [row[0] for row in connection.execute("PRAGMA integrity_check")]
            connection.close()
        return "".join(line for line in found if line != "ok")
    checker = shutil.which("pg_amcheck")
    if checker is None:
        return ""
    url = make_url(house.url)
    done = subprocess.run(
        [checker, "--install-missing", "-h", str(url.host), "-p", str(url.port or 5432),
         "-U", str(url.username), str(url.database)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr if done.returncode else ""
