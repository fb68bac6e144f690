"""Transactions: what commits, what rolls back, who waits."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from db.counters import next_number
from db.models.catalog import Location
from db.models.identity import Counter
from db.session import Database


def _fail_half_way(database: Database) -> None:
    with database.write() as session:
        session.add(Location(code="MAIN", name="Main"))
        session.flush()
        raise RuntimeError


def test_an_exception_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(RuntimeError):
        _fail_half_way(database)

    with database.read() as session:
        assert session.exec(select(Location)).all() == []


def test_a_read_keeps_nothing(database: Database) -> None:
    with database.read() as session:
        session.add(Location(code="MAIN", name="Main"))
        session.flush()

    with database.read() as session:
        assert session.exec(select(Location)).all() == []


def test_a_foreign_key_is_checked(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(
            text("INSERT INTO price_break (supplier_item_id, min_units, unit_price_minor)"
                 " VALUES (99, 1, 1)")
        )  # fmt: skip


def test_every_number_is_given_once(database: Database) -> None:
    with database.write() as session:
        session.add(Counter(name="purchase_order", value=2000))
    numbers: list[str] = []

    def draw() -> None:
        for _ in range(5):
            with database.write() as session:
                numbers.append(next_number(session, "purchase_order"))

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(numbers) == [f"PO-{n}" for n in range(2001, 2041)]


def test_sqlite_is_set_up_for_safety(sqlite_database: Database) -> None:
    with sqlite_database.read() as session:
        pragmas = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
        }

    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "recursive_triggers": 1,
    }
