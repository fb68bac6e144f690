"""Transactions: what commits, what rolls back, who waits."""

import sys
import threading

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as WaitedTooLong
from sqlmodel import select

from api.problems import is_passing
from db.counters import next_number
from db.models.catalog import Location
from db.models.identity import Counter
from db.postgres import DatabaseUnusable, Waiting, connect_arguments, refuse_version
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


class TestWaiting:
    """Who waits gives up after a stated time, and the next one is not affected."""

    def test_a_writer_gives_up_when_another_process_holds_the_lock(
        self, database: Database
    ) -> None:
        other = Database(database.url)
        with database.write() as session:
            session.add(Counter(name="x", value=1))

        with other.write() as holding:
            holding.execute(text("UPDATE counter SET value = 2"))
            with pytest.raises(OperationalError), database.write(patience_s=0.05) as session:
                session.execute(text("UPDATE counter SET value = 3"))

        with database.write() as session:
            session.execute(text("UPDATE counter SET value = 4"))
            assert session.execute(text("SELECT value FROM counter")).scalar_one() == 4
        other.close()

    def test_a_writer_gives_up_in_the_line_of_its_own_process(
        self, sqlite_database: Database
    ) -> None:
        with (
            sqlite_database.write(),
            pytest.raises(WaitedTooLong),
            sqlite_database.write(patience_s=0.02),
        ):
            pass

    def test_patience_is_for_one_transaction(self, sqlite_database: Database) -> None:
        with sqlite_database.write(patience_s=0.02) as session:
            assert session.execute(text("PRAGMA busy_timeout")).scalar_one() == 10_000

    @pytest.mark.postgres
    def test_two_that_block_each_other_are_told_to_try_again(
        self, postgres_database: Database
    ) -> None:
        with postgres_database.write() as session:
            session.add_all([Counter(name="a", value=1), Counter(name="b", value=1)])
        both = threading.Barrier(2)
        errors: list[Exception] = []

        def cross(first: str, second: str) -> None:
            try:
                with postgres_database.write() as session:
                    change = text("UPDATE counter SET value = value + 1 WHERE name = :name")
                    session.execute(change, {"name": first})
                    both.wait(10)
                    session.execute(change, {"name": second})
            except OperationalError as error:
                errors.append(error)

        threads = [threading.Thread(target=cross, args=names) for names in (("a", "b"), ("b", "a"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [is_passing(error) for error in errors] == [True]


class TestServer:
    """What we tell a PostgreSQL server about ourselves, and what we demand of it."""

    @pytest.mark.postgres
    def test_is_told_who_we_are_and_how_long_we_wait(self, postgres_database: Database) -> None:
        with postgres_database.read() as session:
            shown = {
                name: session.execute(text(f"SHOW {name}")).scalar_one()
                for name in (
                    "application_name", "lock_timeout", "statement_timeout",
                    "idle_in_transaction_session_timeout", "transaction_isolation",
                )
            }  # fmt: skip

        assert shown == {
            "application_name": "quartermaster",
            "lock_timeout": "10s",
            "statement_timeout": "2min",
            "idle_in_transaction_session_timeout": "10min",
            "transaction_isolation": "read committed",
        }

    def test_options_of_the_address_are_kept_and_win(self) -> None:
        url = make_url("postgresql://u@h/d?options=-c%20lock_timeout%3D1&application_name=mine")

        told = connect_arguments(url, waiting=Waiting())

        assert told["options"].endswith("-c lock_timeout=1")
        assert "application_name" not in told

    @pytest.mark.parametrize(("number", "is_fine"), [(130_000, True), (124_012, False)])
    def test_an_old_server_is_refused(self, number: int, is_fine: bool) -> None:
        if is_fine:
            refuse_version(number)
            return
        with pytest.raises(DatabaseUnusable, match="version 12") as refused:
            refuse_version(number)
        assert "13" in refused.value.next_step

    @pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", "oracle://secret@h/d"])
    def test_other_databases_are_named_without_their_password(self, url: str) -> None:
        with pytest.raises(DatabaseUnusable) as refused:
            Database(url)

        assert "postgresql" in refused.value.next_step
        assert "secret" not in refused.value.message

    def test_a_missing_driver_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)

        with pytest.raises(DatabaseUnusable) as refused:
            Database("postgresql://u@h/d")

        assert "quartermaster[postgres]" in refused.value.next_step

    @pytest.mark.postgres
    def test_lost_connections_are_replaced(self, postgres_database: Database) -> None:
        """A server that ends every session costs the running transaction, not the next one."""
        end_all = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        killer = Database(postgres_database.url)

        def work() -> None:
            with postgres_database.write() as session:
                session.execute(text("SELECT 1"))
                with killer.read() as other:
                    other.execute(end_all)
                session.execute(text("SELECT 1"))

        with pytest.raises(OperationalError) as lost:
            work()

        assert is_passing(lost.value)
        with postgres_database.write() as session:
            assert session.execute(text("SELECT 1")).scalar_one() == 1
        killer.close()
