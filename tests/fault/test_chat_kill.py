"""``kill -9`` in the middle of a chat turn: the thread goes on, and nothing is drafted twice."""

import time
from collections.abc import Callable

from sqlmodel import func, select

from db.models.conversation import Run
from db.models.purchasing import PurchaseOrder
from db.types import RunState
from tests.fault.house import House, end_leases
from tests.fault.process import Server
from tests.modelserver import ModelServer, calls_tool, hangs, says

DRAFT = '{"lines": [{"sku": "GOOD-001", "quantity": 7}]}'


def test_a_thread_whose_turn_died_answers_and_drafts_once(house: House) -> None:
    with ModelServer() as model:
        model.then(calls_tool("draft_purchase_order", DRAFT), hangs())
        server = house.server(QM_MODEL_URL=model.url, QM_MODEL_NAME="fake")
        try:
            _start(server)
            paul = server.as_("paul")
            opened = paul.call("POST", "/v1/threads", {})
            assert opened is not None
            path = f"/v1/threads/{opened.body['thread_id']}/messages"
            paul.call("POST", path, {"text": "Order 7 of GOOD-001."})
            _until(lambda: _drafts(house) == 1 and len(model.requests) == 2)
            server.kill()
            end_leases(house)
            model.then(calls_tool("draft_purchase_order", DRAFT), says("It is drafted."))
            _start(server)
            told = server.as_("paul").call("POST", path, {"text": "And?"})
            assert told is not None
            _until(lambda: _open_runs(house) == 0)
        finally:
            server.close()

    assert _drafts(house) == 1


def _start(server: Server) -> None:
    """Start it; the model's stub is not ready by the measure of /readyz."""
    server.start(is_ready=False)
    server.await_status(200, within_s=60, path="/healthz")


def _drafts(house: House) -> int:
    with house.system.database.read() as session:
        return session.exec(select(func.count()).select_from(PurchaseOrder)).one()


def _open_runs(house: House) -> int:
    waits = (RunState.QUEUED, RunState.RUNNING)
    with house.system.database.read() as session:
        runs = session.exec(select(Run.state)).all()
    return sum(state in waits for state in runs)


def _until(holds: Callable[[], bool], *, within_s: float = 60.0) -> None:
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.05)
