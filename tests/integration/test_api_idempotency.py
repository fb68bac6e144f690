"""One key, one effect, one answer."""

import threading
from typing import Any

import pytest
from sqlmodel import Session, func, select

from api.idempotency import Answer, KeyedRequest, answer_once, parse_key
from db.models.catalog import Location
from db.models.identity import IdempotentRequest
from db.session import Database
from db.types import Actor
from tests.conftest import NOW
from tests.factories import make_users
from tools.errors import InvalidInput, QuartermasterError, Stale


@pytest.fixture
def paul(database: Database) -> Actor:
    with database.write() as session:
        return make_users(session)["paul"]


def _request(actor: Actor, key: str = "k-1", **body: Any) -> KeyedRequest:
    return KeyedRequest(actor, key, "POST /v1/things", body)


def _refusal(error: QuartermasterError) -> dict[str, Any]:
    return {"code": error.code, "detail": error.message}


def _build(session: Session) -> dict[str, Any]:
    """An effect that can be counted: one more warehouse."""
    count = session.exec(select(func.count()).select_from(Location)).one()
    session.add(Location(code=f"L{count}", name="x"))
    session.flush()
    return {"code": f"L{count}"}


def _ask(database: Database, request: KeyedRequest) -> Answer:
    with database.write() as session:
        return answer_once(session, request, _build, refusal=_refusal, now=NOW)


def _count(database: Database) -> int:
    with database.read() as session:
        return session.exec(select(func.count()).select_from(Location)).one()


def test_a_repeat_gets_the_first_answer_and_does_nothing(database: Database, paul: Actor) -> None:
    first = _ask(database, _request(paul, a=1))
    second = _ask(database, _request(paul, a=1))

    assert (first.status_code, first.body, first.is_repeat) == (200, {"code": "L0"}, False)
    assert (second.status_code, second.body, second.is_repeat) == (200, {"code": "L0"}, True)
    assert _count(database) == 1


def test_another_body_or_target_with_the_same_key_is_refused(
    database: Database, paul: Actor
) -> None:
    _ask(database, _request(paul, a=1))

    with pytest.raises(InvalidInput, match="another request"):
        _ask(database, _request(paul, a=2))
    with pytest.raises(InvalidInput, match="another request"):
        _ask(database, KeyedRequest(paul, "k-1", "POST /v1/others", {"a": 1}))
    assert _count(database) == 1


def test_keys_of_two_people_do_not_meet(database: Database, paul: Actor) -> None:
    other = Actor(user_id=paul.user_id + 1, login="pia", name="Pia", role=paul.role)

    _ask(database, _request(paul))
    _ask(database, _request(other))

    assert _count(database) == 2


def test_a_refusal_is_remembered_and_its_changes_are_undone(
    database: Database, paul: Actor
) -> None:
    def refuse(session: Session) -> dict[str, Any]:
        _build(session)
        raise Stale("changed")

    with database.write() as session:
        first = answer_once(session, _request(paul), refuse, refusal=_refusal, now=NOW)
    second = _ask(database, _request(paul))

    assert (first.status_code, first.body["code"]) == (409, "stale")
    assert (second.status_code, second.body) == (409, first.body)
    assert _count(database) == 0


def test_a_bug_leaves_no_answer_behind(database: Database, paul: Actor) -> None:
    def broken(session: Session) -> dict[str, Any]:
        _build(session)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.write() as session:
        answer_once(session, _request(paul), broken, refusal=_refusal, now=NOW)

    with database.read() as session:
        assert session.exec(select(IdempotentRequest)).all() == []
    assert _ask(database, _request(paul)).is_repeat is False


def test_many_at_once_take_effect_once(database: Database, paul: Actor) -> None:
    gate = threading.Barrier(6)
    answers: list[Answer] = []

    def ask() -> None:
        gate.wait()
        answers.append(_ask(database, _request(paul, a=1)))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [answer.body for answer in answers] == [{"code": "L0"}] * 6
    assert sum(not answer.is_repeat for answer in answers) == 1
    assert _count(database) == 1


@pytest.mark.parametrize("header", [None, "", '""', " ", "x" * 121, "schlüssel", "a\tb"])
def test_bad_keys_are_refused(header: str | None) -> None:
    with pytest.raises(InvalidInput, match="Idempotency-Key"):
        parse_key(header)


def test_the_quotes_of_a_structured_field_are_optional() -> None:
    assert parse_key('"k-1"') == parse_key("k-1") == "k-1"
