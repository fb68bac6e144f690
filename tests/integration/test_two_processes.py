"""Two real processes on one database: claims, the trail's lock, and a thread whose worker dies."""

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import col, func, select

from agent.conversation import Conversations
from db.models.audit import AuditEvent
from db.models.conversation import Message, Run
from db.models.purchasing import Approval, Outbox, PurchaseOrder
from db.session import Database
from db.types import OutboxState, RunState
from tests.conftest import NOW
from tests.factories_orders import Desk
from tests.fakes import FAKE_TOOLS, ScriptedChatModel
from tools.clock import SystemClock
from tools.company import Company

ROOT = Path(__file__).parents[2]
DELIVERIES = 12

_CLAIM = """
import json, sys
from db.session import Database
from tests.conftest import AUDIT_INFO, NOW
from tools.audit import service as audit
from tools.outbox import service as outbox
database = Database(sys.argv[1], session_info=AUDIT_INFO)
sys.stdin.readline()
mine = []
while True:
    with database.write() as session:
        claim = outbox.claim(session, holder=sys.argv[2], at=NOW)
        if claim is None:
            break
        audit.append(session, at=NOW, actor=audit.SYSTEM, action="x", object_id=claim.key[:64])
    mine.append(claim.key)
print(json.dumps(mine))
"""


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Database:
    """An outbox with a dozen deliveries that are due."""
    desk = Desk(database, tmp_path / "out")
    desk.approved()
    with database.write() as session:
        order = session.exec(select(PurchaseOrder).where(PurchaseOrder.number == "PO-2001")).one()
        approval = session.exec(select(Approval)).one()
        first = session.exec(select(Outbox)).one()
        for number in range(2, DELIVERIES + 1):
            session.add(
                Outbox(
                    key=f"{first.key}-{number}", kind="purchase_order", order_id=order.id,
                    revision=number, approval_id=approval.id, channel="file",
                    payload=first.payload, next_attempt_at=NOW, created_at=NOW,
                )
            )  # fmt: skip
    return database


def _start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_every_delivery_is_claimed_once_and_the_trail_has_no_gap(queue: Database) -> None:
    """SKIP LOCKED and the advisory lock of the trail's head, by processes that start together."""
    workers = [_start(_CLAIM, queue.url, name) for name in ("one", "two")]

    told = [worker.communicate("go\n", timeout=60) for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0], told
    claimed = [key for out, _ in told for key in json.loads(out)]
    assert len(claimed) == len(set(claimed)) == DELIVERIES
    with queue.read() as session:
        states = session.exec(select(Outbox.state)).all()
        seqs = session.exec(select(AuditEvent.seq).order_by(col(AuditEvent.seq))).all()
        assert set(states) == {OutboxState.CLAIMED}
        assert seqs == list(range(1, len(seqs) + 1))


_HANG = """
import sys, time
from pathlib import Path
from datetime import timedelta
from agent.conversation import Conversations
from db.session import Database
from tests.conftest import AUDIT_INFO
from tests.fakes import FAKE_TOOLS, ScriptedChatModel
from tools.clock import SystemClock
from tools.company import Company

def hang(prompt):
    print("thinking", flush=True)
    time.sleep(60)

database = Database(sys.argv[1], session_info=AUDIT_INFO)
where = sys.argv[2] if sys.argv[2].startswith("postgresql") else Path(sys.argv[2])
agent = Conversations(
    database, chat_model=ScriptedChatModel(hang), clock=SystemClock(),
    company=Company(currency="USD"), checkpoints=where, tools=FAKE_TOOLS,
    lease=timedelta(seconds=3),
)
agent.execute(int(sys.argv[3]))
"""


def test_a_thread_whose_worker_was_killed_goes_on(database: Database, tmp_path: Path) -> None:
    """kill -9 in the middle of a turn: the next message is answered when the lease has run out."""
    desk = Desk(database, tmp_path / "out")
    paul = desk.world.actors["paul"]
    memory = tmp_path / "memory.db" if database.is_sqlite else database.url
    with closing(
        Conversations(
            database, chat_model=ScriptedChatModel("Hello again.", "And now?"),
            clock=SystemClock(), company=Company(currency="USD"), checkpoints=memory,
            tools=FAKE_TOOLS,
        )
    ) as agent:  # fmt: skip
        thread = agent.create_thread(paul)
        first = agent.post(paul, thread, "hello")
        worker = _start(_HANG, database.url, str(memory), str(first))
        assert worker.stdout is not None
        assert worker.stdout.readline() == "thinking\n", worker.communicate(timeout=10)
        worker.kill()
        worker.communicate(timeout=10)

        second = agent.post(paul, thread, "are you there?")
        begun_s = time.monotonic()
        while agent.recover() == 0:
            time.sleep(0.1)
        agent.execute(first)
        agent.execute(second)

        assert time.monotonic() - begun_s < 60
        assert [message.text for message in agent.messages(paul, thread)][-1] == "And now?"
    with database.read() as session:
        assert set(session.exec(select(Run.state)).all()) == {RunState.COMPLETED}
        assert session.exec(select(func.count()).select_from(Message)).one() == 4
