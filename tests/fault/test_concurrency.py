"""Hundreds at once, from two processes: one decision counts and one order leaves."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import Session, select

from db.models.purchasing import PurchaseOrder
from db.types import Actor, OrderState
from tests.fault.at_once import at_once, connected
from tests.fault.conftest import IS_SOAK
from tests.fault.history import History, breaks
from tests.fault.house import Asked, House, await_delivered
from tests.fault.process import Caller, Server
from tools.approvals.service import close_due, list_due
from tools.clock import Clock, FixedClock
from tools.errors import QuartermasterError
from tools.purchasing.service.requesting import request_approval
from tools.purchasing.service.revising import cancel
from tools.purchasing.service.rows import pending_approval

DECISIONS = 200
PEOPLE = 50
ORDERS = 10
STORM_S = 60.0 if IS_SOAK else 3.0


@pytest.fixture(scope="module")
def servers(standing: House) -> Iterator[list[Server]]:
    """Two processes on one house."""
    both = [standing.server(), standing.server()]
    try:
        for server in both:
            server.start(is_ready=False)
        for server in both:
            server.await_ready()
        yield both
    finally:
        for server in both:
            server.close()


def test_two_hundred_decisions_in_two_processes_are_one_order(
    standing: House, servers: list[Server], history: History
) -> None:
    (asked,) = standing.ask()
    callers = [servers[index % 2].as_("mona", timeout_s=60) for index in range(DECISIONS)]

    replies = at_once(
        DECISIONS, lambda index: history.decide(callers[index], asked, key=f"click-{index}")
    )

    statuses = Counter(reply.status if reply else 0 for reply in replies)
    await_delivered(standing)
    assert statuses == {200: 1, 409: DECISIONS - 1}
    assert len(list(standing.settings.outgoing_dir.glob(f"{asked.order}-*.json"))) == 1
    assert breaks(standing, history) == []


def test_the_same_key_at_once_is_one_decision_and_one_answer(
    standing: House, servers: list[Server], history: History
) -> None:
    (asked,) = standing.ask()
    callers = connected(servers, 20)

    replies = at_once(20, lambda index: history.decide(callers[index], asked, key="one-click"))

    done = [reply for reply in replies if reply is not None and reply.status == 200]
    others = {reply.status for reply in replies if reply is not None} - {200}
    assert others <= {409}
    assert done
    assert all(reply.body == done[0].body for reply in done)
    assert breaks(standing, history) == []


def test_people_who_do_anything_at_once_keep_every_order_on_its_path(
    standing: House, servers: list[Server], history: History
) -> None:
    crowd = _Crowd(standing, history, standing.ask(ORDERS))
    callers = connected(servers, PEOPLE)
    end_s = time.monotonic() + STORM_S

    def act(index: int) -> None:
        chance = random.Random(index)
        while time.monotonic() < end_s:
            crowd.act(callers[index], chance)

    at_once(PEOPLE, act)
    await_delivered(standing)

    assert not {500, 503} & set(history.statuses()), history.statuses()
    assert history.acknowledged("approve")
    assert breaks(standing, history) == []


def _close_due(session: Session, *, clock: Clock) -> None:
    for number in list_due(session, clock=clock):
        close_due(session, number, clock=clock)


class _Crowd:
    """People who edit, approve, reject, cancel, ask again or let time pass, on a few orders."""

    WORDS = ("edit", "edit", "approve", "reject", "cancel", "expire")

    def __init__(self, house: House, history: History, pile: list[Asked]) -> None:
        self.house, self.history, self.pile = house, history, pile
        self._lock = threading.Lock()

    def act(self, caller: Caller, chance: random.Random) -> None:
        """Do one thing."""
        slot = chance.randrange(ORDERS)
        asked, word = self.pile[slot], chance.choice(self.WORDS)
        if word == "cancel":
            self._inside(partial(cancel, number=asked.order, actor=self._paul, reason="storm"))
        elif word == "expire" and chance.random() < 0.1:
            later = FixedClock(self.house.system.clock.now() + timedelta(days=2))
            self._inside(_close_due, clock=later)
        elif word != "expire":
            self._decide(caller, asked, word, chance)
        self._renew(slot)

    def _decide(self, caller: Caller, asked: Asked, word: str, chance: random.Random) -> None:
        edits = [{"sku": asked.sku, "quantity": chance.randint(1, 9)}]
        more = {"edits": edits} if word == "edit" else {}
        self.history.decide(caller, asked, word, key=uuid4().hex, **more)

    def _renew(self, slot: int) -> None:
        """See what became of the order; ask again, or for another one, when it is decided."""
        with self._lock:
            asked = self.pile[slot]
            with self.house.system.database.read() as session:
                order = session.exec(
                    select(PurchaseOrder).where(PurchaseOrder.number == asked.order)
                ).one()
                state, pending = order.state, pending_approval(session, order.id)
                session.expunge_all()
            if pending is None and state is OrderState.DRAFT:
                ask = partial(
                    request_approval, number=asked.order, actor=self._paul,
                    company=self.house.system.company,
                )  # fmt: skip
                pending = self._inside(ask)
            if pending is not None:
                self.pile[slot] = replace(
                    asked, number=pending.number, version=pending.version,
                    fingerprint=pending.fingerprint,
                )  # fmt: skip
            elif state not in (OrderState.DRAFT, OrderState.PENDING_APPROVAL):
                (self.pile[slot],) = self.house.ask()

    @property
    def _paul(self) -> Actor:
        return self.house.actor("paul")

    def _inside(self, work: Callable[..., Any], clock: Clock | None = None) -> Any:
        """Do something in this process, the third at these orders; refusals are fine."""
        try:
            with self.house.system.database.write() as session:
                return work(session, clock=clock or self.house.system.clock)
        except QuartermasterError:
            return None
