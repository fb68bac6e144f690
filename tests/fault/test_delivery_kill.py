"""The server dies while a supplier's server holds its request: at every point of the protocol.

The stubs kill the server when the connection stands, when the order is read and booked, and when
the answer is sent. A supplier that recognises keys has one order each time; by e-mail, which
nobody can recognise, an order is never sent again by itself: a person decides.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping

from sqlmodel import select

from db.models.purchasing import Outbox
from db.types import DocumentFormat, OutboxState
from tests.fault.conftest import IS_SOAK
from tests.fault.history import History, breaks
from tests.fault.house import Asked, House, await_delivered, end_leases
from tests.fault.mail_stub import MailStub
from tests.fault.process import Server
from tests.fault.supplier_stub import SupplierStub
from tools.suppliers.core import Way
from tools.suppliers.service import set_delivery

POINTS = ("accept", "read", "replied")
# In the short suite one point a test and database, all of them in the soak.
WEBHOOK_POINTS = {"sqlite": ("read",), "postgresql": ("accept",)}
EMAIL_POINTS = {"sqlite": ("read",), "postgresql": ("replied",)}
SECRET = "a secret of sixteen or more"


def test_a_supplier_that_recognises_keys_has_one_order_wherever_we_die(
    house: House, history: History
) -> None:
    points = _points(house, WEBHOOK_POINTS)
    with SupplierStub("dedupe") as stub:
        _deliver_by(house, "webhook", stub.url, DocumentFormat.JSON)
        server = house.server(
            QM_WEBHOOK_SECRETS=json.dumps({f"S{number}": SECRET for number in range(8)}),
            QM_WEBHOOK_ALLOWED_HOSTS='["127.0.0.1"]',
        )
        try:
            for point in points:
                (asked,) = house.ask()
                server.start()
                stub.mode = f"kill:{server.pid}@{point}"
                history.decide(server.as_("mona"), asked)
                _await_death(server)
                end_leases(house)
            server.start()
            await_delivered(house)
        finally:
            server.close()
        accepted = [{"key": key} for key, references in stub.orders.items() for _ in references]

    assert len(accepted) == len(points)
    assert breaks(house, history, accepted) == []
    assert _states(house) == [OutboxState.DELIVERED] * len(points)


def test_an_email_is_never_sent_again_by_itself(house: House, history: History) -> None:
    points = _points(house, EMAIL_POINTS)
    with MailStub() as stub:
        _deliver_by(house, "email", "orders@supplier.example", DocumentFormat.PDF)
        server = house.server(
            QM_SMTP_HOST="127.0.0.1", QM_SMTP_PORT=str(stub.port), QM_SMTP_TLS="none",
            QM_SMTP_FROM="buying@shop.example",
        )  # fmt: skip
        try:
            for point in points:
                (asked,) = house.ask()
                server.start()
                stub.kill(server.pid, point)
                history.decide(server.as_("mona"), asked)
                _await_death(server)
                end_leases(house)
            server.start()
            _await(lambda: set(_states(house)) == {OutboxState.IN_DOUBT})
        finally:
            server.close()

    assert _states(house) == [OutboxState.IN_DOUBT] * len(points)
    assert len(stub.mails) == len(set(points) - {"accept"})  # each once; nobody got that one
    assert breaks(house, history) == []


def test_sigterm_lets_decisions_and_the_delivery_under_way_finish(
    house: House, history: History
) -> None:
    with SupplierStub("ok") as stub:
        _deliver_by(house, "webhook", stub.url, DocumentFormat.JSON)
        pile = house.ask(21)
        server = house.server(
            QM_WEBHOOK_SECRETS=json.dumps({f"S{number}": SECRET for number in range(8)}),
            QM_WEBHOOK_ALLOWED_HOSTS='["127.0.0.1"]',
        )
        try:
            server.start()
            history.decide(server.as_("mona"), pile.pop())
            _decide_all(server, history, pile)
            _await(lambda: len(stub.calls) > 0)
            taken_s = server.terminate(within_s=20)
            assert taken_s <= 20
            assert OutboxState.IN_DOUBT not in _states(house)
            assert OutboxState.CLAIMED not in _states(house)
        finally:
            server.close()
        delivered = _states(house).count(OutboxState.DELIVERED)
        accepted = [{"key": key} for key, found in stub.orders.items() for _ in found]

    assert breaks(house, history, accepted) == []
    assert len(accepted) == delivered > 0
    assert history.acknowledged("approve")


def _points(house: House, short: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return POINTS if IS_SOAK else short["sqlite" if house.is_sqlite else "postgresql"]


def _decide_all(server: Server, history: History, pile: list[Asked]) -> None:
    """Start twenty decisions and do not wait for them."""
    for asked in pile:
        threading.Thread(
            target=history.decide, args=(server.as_("mona"), asked), daemon=True
        ).start()


def _deliver_by(house: House, channel: str, address: str, format_: DocumentFormat) -> None:
    system = house.system
    adam = house.actor("adam")
    for number in range(8):
        with system.database.write() as session:
            set_delivery(
                session, f"S{number}", way=Way(channel, address, format_), actor=adam,
                clock=system.clock, open_to=("127.0.0.1",),
            )  # fmt: skip


def _states(house: House) -> list[OutboxState]:
    with house.system.database.read() as session:
        return list(session.exec(select(Outbox.state).order_by(Outbox.id)).all())  # type: ignore[arg-type]


def _await_death(server: Server) -> None:
    assert server.process is not None
    server.process.wait(timeout=40)


def _await(holds: Callable[[], bool], *, within_s: float = 40.0) -> None:
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.05)
