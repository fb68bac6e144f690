"""Time, money and text at their edges, the same on both databases."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlmodel import col, select

from agent import records
from agent.conversation import Conversations
from db.models.catalog import ExchangeRate, Item, SupplierItem
from db.models.conversation import Run
from db.models.purchasing import Approval, PurchaseOrder
from db.session import Database
from db.types import OrderState, RunState
from tests.conftest import NOW
from tests.factories import make_item, make_supplier
from tests.factories_orders import Desk
from tests.fakes import FAKE_TOOLS, ScriptedChatModel
from tools.audit.service import verify
from tools.cases.service import today_of
from tools.clock import Clock, FixedClock, SystemClock
from tools.company import Company
from tools.errors import InvalidInput, QuartermasterError
from tools.ingestion.service import ingest


class _Ahead(SystemClock):
    """The clock of a machine that is wrong by some time."""

    def __init__(self, by: timedelta) -> None:
        self.by = by

    def now(self) -> datetime:
        return super().now() + self.by


@pytest.fixture
def desks(database: Database, tmp_path: Path) -> Iterator[tuple[Desk, Desk]]:
    """Two processes' views of one house: one told the time right, one wrong."""
    right, wrong = Desk(database, tmp_path / "outgoing"), object.__new__(Desk)
    other = Database(database.url, session_info=database.session_info)
    wrong.__dict__.update(right.__dict__, database=other)
    right.clock = cast("FixedClock", SystemClock())
    yield right, wrong
    other.close()


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
def test_of_two_processes_one_has_a_wrong_clock(desks: tuple[Desk, Desk], hours: int) -> None:
    """Expiry is judged by the database's clock, and the trail keeps its order."""
    right, wrong = desks
    wrong.clock = cast("FixedClock", _Ahead(timedelta(hours=hours)))
    by_wrong = wrong.pending(600)
    by_right = right.ask(right.draft(620, duplicate_reason="another").order.number)
    assert abs(by_wrong.requested_at - by_right.requested_at) < timedelta(minutes=1)
    assert wrong.decide(number=by_right.number).order_number == by_right_order(right, by_right)

    with right.database.read() as session:
        report = verify(session)
    assert report.ok, report.problem

    with right.database.write() as session:  # by hand: a day passes for this request
        row = session.exec(select(Approval).where(Approval.number == by_wrong.number)).one()
        row.expires_at = SystemClock().now() - timedelta(seconds=1)
    for desk in (right, wrong):
        with pytest.raises(QuartermasterError, match=r"expired|ran out"):
            desk.decide(number=by_wrong.number)


def by_right_order(desk: Desk, approval: Approval) -> str:
    """Return the number of the order that a request is about."""
    with desk.database.read() as session:
        return session.get_one(PurchaseOrder, approval.order_id).number


PRICES = [  # currency, minor units each, units, minor units in all: by hand
    ("USD", 10, 1000, 10_000),  # 1000 x 0.10 = 100.00, not 99.99999999999986
    ("JPY", 10, 1000, 10_000),  # no decimals: 1000 x 10 yen
    ("KWD", 125, 1000, 125_000),  # three decimals: 1000 x 0.125 dinar = 125.000
]


@pytest.mark.parametrize(("currency", "each", "units", "total"), PRICES)
def test_a_total_is_exact_from_the_draft_to_the_supplier(
    database: Database, tmp_path: Path, currency: str, each: int, units: int, total: int
) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    _sell(database, currency, each)
    number = desk.draft(units, sku="COIN", supplier="MINT").order.number
    approval = desk.ask(number)
    desk.decide(number=approval.number)
    (row,) = desk.outbox()

    digits = {"USD": 2, "JPY": 0, "KWD": 3}[currency]
    written = f"{total / 10**digits:.{digits}f}"
    assert (row.payload["currency"], row.payload["total"]) == (currency, written)
    with database.read() as session:
        order = session.exec(select(PurchaseOrder).where(PurchaseOrder.number == number)).one()
        assert (order.total_minor, order.state) == (total, OrderState.APPROVED)


def _sell(database: Database, currency: str, each: int) -> None:
    """Let a supplier sell an item in a currency."""
    with database.write() as session:
        if currency != "USD":
            session.add(ExchangeRate(currency=currency, rate_micro=6_700, updated_at=NOW))
        mint = make_supplier(session, "MINT", "Mint")
        mint.currency = currency
        coin = make_item(session, "COIN", "Coin", unit_cost_minor=each, currency=currency)
        session.add(
            SupplierItem(
                supplier_id=mint.id, item_id=coin.id, supplier_sku="C", unit_price_minor=each,
                moq_units=1, order_multiple_units=1, quoted_lead_time_days=9, is_preferred=True,
            )
        )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "minor"),
    [("0.10", 10), ("0.125", 13), ("1.005", 101), ("2.675", 268), ("1.0049", 100)],
)
def test_a_price_of_a_file_is_rounded_half_up_and_never_through_a_float(
    database: Database, tmp_path: Path, written: str, minor: int
) -> None:
    file = tmp_path / "items.csv"
    file.write_text(f"sku,name,unit_cost\nHALF,Half,{written}\n")

    ingest(database, "items", file, clock=FixedClock(NOW), pause_s=0, currency="USD")

    with database.read() as session:
        assert session.exec(select(Item.unit_cost_minor).where(col(Item.sku) == "HALF")).one() == (
            minor
        )


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_prices_of_currencies_without_two_decimals_are_refused_on_import(
    sqlite_database: Database, tmp_path: Path, currency: str
) -> None:
    file = tmp_path / "items.csv"
    file.write_text("sku,name,unit_cost\nCOIN,Coin,100\n")

    with pytest.raises(InvalidInput, match="two decimals"):
        ingest(sqlite_database, "items", file, clock=FixedClock(NOW), currency=currency)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-03-28T22:59:59", "2026-03-28"),  # 23:59:59 in Berlin, winter
        ("2026-03-28T23:00:00", "2026-03-29"),  # midnight before the clocks go forward
        ("2026-03-29T21:59:59", "2026-03-29"),  # 23:59:59, summer now
        ("2026-03-29T22:00:00", "2026-03-30"),
        ("2026-10-25T00:30:00", "2026-10-25"),  # 02:30 for the first time
        ("2026-10-25T01:30:00", "2026-10-25"),  # 02:30 for the second time
        ("2026-10-25T22:30:00", "2026-10-25"),  # 23:30, winter again
        ("2026-10-25T23:00:00", "2026-10-26"),
        ("2026-12-31T23:00:00", "2027-01-01"),
    ],
)
def test_a_day_is_a_day_of_the_company_also_when_the_clocks_change(moment: str, day: str) -> None:
    clock: Clock = FixedClock(datetime.fromisoformat(moment).replace(tzinfo=UTC))

    assert today_of(clock, Company(currency="EUR", timezone="Europe/Berlin")).isoformat() == day


def test_each_hour_of_the_year_falls_on_one_day_and_the_days_are_365() -> None:
    """A planning run is made when its day is another one: once a local date, in order."""
    company, begin = (
        Company(currency="EUR", timezone="Europe/Berlin"),
        datetime(2026, 1, 1, 11, tzinfo=UTC),
    )
    hours = (begin + timedelta(hours=n) for n in range(24 * 365))
    days = [today_of(FixedClock(at), company) for at in hours]

    assert days == sorted(days)
    lengths = {day: days.count(day) for day in sorted(set(days))[1:-1]}
    odd = {day.isoformat(): count for day, count in lengths.items() if count != 24}
    assert odd == {"2026-03-29": 23, "2026-10-25": 25}


def test_a_dead_workers_thread_is_free_after_a_minute(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "outgoing")
    paul, memory = desk.world.actors["paul"], tmp_path / "memory.db"
    with closing(
        Conversations(
            database, chat_model=ScriptedChatModel("Hello."), clock=desk.clock,
            company=desk.company, checkpoints=memory, tools=FAKE_TOOLS,
        )
    ) as agent:  # fmt: skip
        run = agent.post(paul, agent.create_thread(paul), "hello")
        lease = timedelta(seconds=60)
        with database.write() as session:
            assert records.claim(session, run, holder="dead", now=desk.clock.now(), lease=lease)

        desk.clock.at += timedelta(seconds=59)
        assert agent.recover() == 0
        desk.clock.at += timedelta(seconds=2)
        assert agent.recover() == 1
        agent.execute(run)

    with database.read() as session:
        assert session.exec(select(Run.state)).one() is RunState.COMPLETED
