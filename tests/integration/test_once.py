"""What a transaction remembers: never longer than it stands, also where another one writes."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event, text, update
from sqlmodel import Session, col, select

from db.models.identity import User
from db.once import compare_and_set, fresh, once, remember
from db.session import Database
from tests.factories import make_users
from tools.audit import service as audit


@contextmanager
def _statements(database: Database) -> Iterator[list[str]]:
    """Collect what is sent to the database."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def _name(session: Session) -> str:
    """Return Paul's name as this transaction knows it."""
    asked = select(User.name).where(User.login == "paul")
    return once(session, "paul's name", lambda: session.exec(asked).one(), of=(User,))


def _rename(session: Session, name: str) -> None:
    session.execute(update(User).where(col(User.login) == "paul").values(name=name))


@pytest.fixture
def house(database: Database) -> Database:
    """A database with people."""
    with database.write() as session:
        make_users(session)
    return database


def test_a_thing_is_read_once_from_the_first_statement_on(house: Database) -> None:
    with house.read() as session, _statements(house) as sent:
        assert {_name(session) for _ in range(3)} == {"Paul"}
    assert sum("app_user" in statement for statement in sent) == 1


def test_what_this_transaction_writes_is_read_again(house: Database) -> None:
    with house.write() as session:
        assert _name(session) == "Paul"
        _rename(session, "Pauline")
        assert _name(session) == "Pauline"


def test_what_is_flushed_by_the_read_counts(house: Database) -> None:
    with house.write() as session:
        assert _name(session) == "Paul"
        session.exec(select(User).where(User.login == "paul")).one().name = "Pauline"
        assert _name(session) == "Pauline"


def test_a_rolled_back_write_is_forgotten(house: Database) -> None:
    with house.write() as session:
        savepoint = session.begin_nested()
        _rename(session, "Pauline")
        assert _name(session) == "Pauline"
        savepoint.rollback()
        assert _name(session) == "Paul"


def test_the_next_transaction_reads_anew(house: Database) -> None:
    with house.read() as session:
        assert _name(session) == "Paul"
        session.rollback()
        with house.write() as other:
            _rename(other, "Pauline")
        assert _name(session) == "Pauline"


def test_another_sessions_write_is_seen_after_the_wait_for_the_lock(house: Database) -> None:
    if house.is_sqlite:
        pytest.skip("on SQLite the other one could not write before this one ends")
    with house.write() as session:
        paul = select(User.id).where(User.login == "paul")
        user = fresh(session, User, session.exec(paul).one())
        assert (user.name, _name(session)) == ("Paul", "Paul")
        with house.write() as other:
            audit.lock(other)
            _rename(other, "Pauline")
        audit.lock(session)
        assert (fresh(session, User, user.id).name, _name(session)) == ("Pauline", "Pauline")


def test_who_compares_late_changes_nothing_and_remembers_nothing(house: Database) -> None:
    if house.is_sqlite:
        pytest.skip("on SQLite the other one could not write before this one ends")
    with house.write() as session:
        user = session.exec(select(User).where(User.login == "paul")).one()
        with house.write() as other:
            _rename(other, "Pauline")
        assert not compare_and_set(session, user, col(User.name) == "Paul", name="Paula")
        assert _name(session) == "Pauline"


def test_what_the_caller_has_written_need_not_be_read(house: Database) -> None:
    with house.write() as session, _statements(house) as sent:
        _rename(session, "Pauline")
        remember(session, "paul's name", "Pauline", of=(User,))
        assert _name(session) == "Pauline"
    assert not [statement for statement in sent if statement.startswith("SELECT")]


def _is_free(database: Database) -> bool:
    """Whether another transaction could have the trail's lock now."""
    with database.read() as session:
        asked = text("SELECT pg_try_advisory_xact_lock(:id)")
        return bool(session.execute(asked, {"id": audit.LOCK_ID}).scalar_one())


def test_the_trail_is_locked_once_and_again_after_a_savepoint_gave_it_back(
    house: Database,
) -> None:
    if house.is_sqlite:
        pytest.skip("SQLite has one writer")
    with house.write() as session, _statements(house) as sent:
        savepoint = session.begin_nested()
        audit.lock(session)
        audit.lock(session)
        assert not _is_free(house)
        savepoint.rollback()
        assert _is_free(house)
        audit.lock(session)
        assert not _is_free(house)
        with session.begin_nested():
            audit.lock(session)
        assert not _is_free(house)
    assert sum("pg_advisory_xact_lock" in statement for statement in sent) == 2
    assert _is_free(house)
