"""Turns wait in turn: a person who asks in many threads keeps nobody else waiting."""

from pathlib import Path

from api.background import Background
from api.bootstrap import build_system
from api.settings import Settings
from db.models.conversation import Run, Thread
from db.types import RunState
from tests.conftest import NOW
from tests.factories import make_users
from tools.clock import FixedClock


def test_everybodys_first_turn_comes_before_anybodys_second(tmp_path: Path) -> None:
    """Given ten threads of paul, one of them at work, then one of mona and one of pia."""
    system = build_system(Settings(data_dir=tmp_path), clock=FixedClock(NOW))
    with system.database.write() as session:
        people = make_users(session)
        asked = ["paul"] * 10 + ["mona", "pia"]
        for number, login in enumerate(asked):
            person = people[login].user_id
            session.add(Thread(id=f"t-{number}", owner_id=person, created_at=NOW))
            session.flush()
            state = RunState.QUEUED if number else RunState.RUNNING
            session.add(Run(thread_id=f"t-{number}", actor_id=person, state=state, created_at=NOW))
            session.flush()

    waiting = Background(system)._waiting_runs()

    system.close()
    assert waiting == [11, 12, *range(2, 11)]  # run 1 is paul's at work, so his others come last
