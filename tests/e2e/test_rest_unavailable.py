"""A locked or vanished database costs a 503 with Retry-After, and the server goes on by itself."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from db.session import Database
from tests.factories_rest import Door, eventually, make_template, open_door
from tests.postgres import POSTGRES_URL, drop_postgres, new_postgres


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QM_DATABASE_LOCK_TIMEOUT_S", "0.3")
    monkeypatch.setattr("api.routes.health.WRITE_PATIENCE_S", 0.2)


@pytest.fixture
def locked_door(impatient: None, tmp_path: Path) -> Iterator[Door]:
    with open_door(make_template(tmp_path / "template"), tmp_path / "door") as door:
        yield door


@pytest.fixture
def server_door(impatient: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    if not POSTGRES_URL:
        pytest.skip("no PostgreSQL: QM_TEST_POSTGRES_URL is not set")
    url = new_postgres()
    monkeypatch.setenv("QM_DATABASE_URL", url)
    with open_door(make_template(tmp_path / "template"), tmp_path / "door") as door:
        yield door
    drop_postgres(url)


def test_a_lock_held_by_another_process(locked_door: Door) -> None:
    client = locked_door.as_("paul")
    with closing(
        sqlite3.connect(locked_door.system.settings.data_dir / "quartermaster.db")
    ) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")

        refused = client.post("/v1/threads", json={"title": "x"}, headers={"Idempotency-Key": "k"})
        read = client.get("/v1/approvals")
        ready = client.get("/readyz")
        alive = client.get("/healthz")

        other.execute("ROLLBACK")

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert refused.json()["code"] == "unavailable"
    assert (read.status_code, ready.status_code, alive.status_code) == (200, 503, 200)
    again = client.post("/v1/threads", json={"title": "x"}, headers={"Idempotency-Key": "k"})
    assert again.status_code == 201  # the 503 was not remembered as the answer
    assert "Idempotency-Replayed" not in again.headers
    assert eventually(lambda: client.get("/readyz").status_code == 200, within_s=20)


@pytest.mark.postgres
def test_a_table_locked_on_the_server(server_door: Door) -> None:
    client = server_door.as_("paul")
    with closing(Database(server_door.system.database.url)) as other, other.write() as session:
        session.execute(text("LOCK TABLE thread IN ACCESS EXCLUSIVE MODE"))
        refused = client.post("/v1/threads", json={"title": "x"})

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert client.post("/v1/threads", json={"title": "x"}).status_code == 201


@pytest.mark.postgres
def test_a_server_that_ends_every_connection(server_door: Door) -> None:
    """Whatever was under way is refused or done, never half done and never a bug."""
    client = server_door.as_("paul")
    stop = threading.Event()
    end_all = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def storm() -> None:
        with closing(Database(server_door.system.database.url)) as killer:
            while not stop.wait(0.1):
                with killer.read() as session:
                    session.execute(end_all)

    thread = threading.Thread(target=storm)
    thread.start()
    statuses = []
    try:
        for number in range(40):
            headers = {"Idempotency-Key": f"k-{number}"}
            answer = client.post("/v1/threads", json={"title": str(number)}, headers=headers)
            statuses.append(answer.status_code)
    finally:
        stop.set()
        thread.join()

    assert set(statuses) <= {201, 503}
    for number in range(40):  # repeated with the same keys: each takes effect once
        headers = {"Idempotency-Key": f"k-{number}"}
        answer = client.post("/v1/threads", json={"title": str(number)}, headers=headers)
        assert answer.status_code == 201
    with server_door.system.database.read() as session:
        titles = session.execute(text("SELECT title FROM thread")).scalars().all()
    assert sorted(titles, key=int) == [str(number) for number in range(40)]
    assert eventually(lambda: client.get("/readyz").status_code == 200, within_s=20)


def test_opening_a_conversation_again_opens_no_second_one(tmp_path: Path) -> None:
    template = make_template(tmp_path / "template")
    with open_door(template, tmp_path / "door") as door:
        headers = {"Idempotency-Key": "k"}
        first = door.as_("paul").post("/v1/threads", json={"title": "x"}, headers=headers)
    with open_door(template, tmp_path / "door") as door:  # after a restart, too
        again = door.as_("paul").post("/v1/threads", json={"title": "x"}, headers=headers)
        other = door.as_("paul").post("/v1/threads", json={"title": "y"}, headers=headers)

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
