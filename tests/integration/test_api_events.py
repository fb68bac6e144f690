"""Following a run: nothing is missed, nothing comes twice, everything ends."""

import asyncio
import json
from typing import Any

import pytest
from sqlmodel import select, update

from api import events
from db.models.conversation import Run, RunEvent, Thread
from db.session import Database
from db.types import Actor, RunState
from tests.conftest import NOW
from tests.factories import make_users
from tools.errors import Conflict, NotFound


@pytest.fixture
def people(database: Database) -> dict[str, Actor]:
    with database.write() as session:
        actors = make_users(session)
        session.add(Thread(id="t-1", owner_id=actors["paul"].user_id, created_at=NOW))
        session.flush()
        session.add(Run(thread_id="t-1", actor_id=actors["paul"].user_id, created_at=NOW))
    return actors


def _happen(database: Database, *kinds: str, state: RunState | None = None) -> None:
    with database.write() as session:
        run_id = session.exec(select(Run.id)).one()
        for kind in kinds:
            session.add(RunEvent(run_id=run_id, kind=kind, content={"k": kind}, created_at=NOW))
        if state is not None:
            session.exec(update(Run).values(state=state))


async def _follow(database: Database, *, after: int = 0, at_most: int = 99) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        async for block in events.tail(database, 1, after=after):
            lines = dict(line.split(": ", 1) for line in block.decode().strip().splitlines())
            found.append({**lines, "data": json.loads(lines["data"])})
            if len(found) == at_most:
                break
    return found


@pytest.mark.usefixtures("people")
class TestTail:
    def test_ends_with_the_run(self, database: Database) -> None:
        _happen(database, "run.started", "message.delta", "run.completed")

        found = asyncio.run(_follow(database))

        assert [event["event"] for event in found] == [
            "run.started", "message.delta", "run.completed",
        ]  # fmt: skip
        assert found[0]["data"] == {"k": "run.started"}

    def test_goes_on_after_the_last_event_seen(self, database: Database) -> None:
        _happen(database, "run.started", "a", "b", "c", "run.completed")

        first = asyncio.run(_follow(database, at_most=2))
        rest = asyncio.run(_follow(database, after=int(first[-1]["id"])))

        seen = [event["event"] for event in first + rest]
        assert seen == ["run.started", "a", "b", "c", "run.completed"]

    def test_shows_what_happens_while_it_follows(self, database: Database) -> None:
        async def both() -> list[dict[str, Any]]:
            following = asyncio.create_task(_follow(database))
            for kind in ("run.started", "message.delta", "run.completed"):
                await asyncio.to_thread(_happen, database, kind)
                await asyncio.sleep(0.02)
            return await following

        assert [event["event"] for event in asyncio.run(both())][-1] == "run.completed"

    def test_ends_when_the_run_ended_without_a_last_event(self, database: Database) -> None:
        _happen(database, "run.started", state=RunState.FAILED)

        assert len(asyncio.run(_follow(database))) == 1

    def test_has_nothing_more_after_the_end(self, database: Database) -> None:
        _happen(database, "run.completed", state=RunState.COMPLETED)

        assert asyncio.run(_follow(database, after=10_000)) == []

    def test_pings_while_nothing_happens(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "PING_S", 0.0)

        async def first() -> bytes:
            stream = events.tail(database, 1)
            block = await anext(stream)
            await stream.aclose()  # type: ignore[attr-defined]
            return block

        assert asyncio.run(first()) == b": ping\n\n"


class TestCancel:
    def test_a_waiting_run_never_starts(self, database: Database, people: dict[str, Actor]) -> None:
        with database.write() as session:
            run = events.own_run(session, people["paul"], 1)
            events.cancel(session, run, now=NOW)

        (last,) = asyncio.run(_follow(database))
        assert (last["event"], last["data"]) == ("run.failed", {"error": "cancelled"})
        with database.read() as session:
            assert session.get_one(Run, 1).state is RunState.CANCELLED

    def test_the_worker_of_a_cancelled_run_keeps_the_thread(
        self, database: Database, people: dict[str, Actor]
    ) -> None:
        _happen(database, "run.started", state=RunState.RUNNING)
        with database.write() as session:
            session.exec(update(Thread).values(lease_holder="w-1", lease_until=NOW))

        with database.write() as session:
            events.cancel(session, events.own_run(session, people["paul"], 1), now=NOW)

        with database.read() as session:
            thread = session.get_one(Thread, "t-1")
            assert (thread.lease_holder, thread.lease_until) == ("w-1", NOW)
            assert session.get_one(Run, 1).state is RunState.CANCELLED

    def test_an_ended_run_stays_as_it_is(
        self, database: Database, people: dict[str, Actor]
    ) -> None:
        _happen(database, state=RunState.COMPLETED)

        with pytest.raises(Conflict, match="ended"), database.write() as session:
            events.cancel(session, events.own_run(session, people["paul"], 1), now=NOW)


class TestOwnership:
    def test_strangers_see_nothing(self, database: Database, people: dict[str, Actor]) -> None:
        with database.read() as session:
            with pytest.raises(NotFound):
                events.own_run(session, people["pia"], 1)
            with pytest.raises(NotFound):
                events.own_run(session, people["adam"], 1)

    @pytest.mark.parametrize("run_id", [0, -1, 99, 2**63, 10**30])
    def test_unknown_runs(self, database: Database, people: dict[str, Actor], run_id: int) -> None:
        with database.read() as session, pytest.raises(NotFound):
            events.own_run(session, people["paul"], run_id)
