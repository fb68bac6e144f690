"""People, limits and keys in a database."""

from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from sqlmodel import Session, select

from db.models.audit import AuditEvent
from db.models.identity import ApiKey, User
from db.types import Actor, Permission, Role
from tests.conftest import NOW
from tests.factories import make_users
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import Forbidden, NotAuthenticated, NotFound
from tools.identity.service import (
    actor_by_login,
    authenticate,
    create_api_key,
    revoke_api_key,
)
from tools.offers.service import set_exchange_rate
from tools.people.service import accounts


@pytest.fixture
def actors(session: Session) -> dict[str, Actor]:
    return make_users(session)


def _user(session: Session, login: str) -> User:
    return session.exec(select(User).where(User.login == login)).one()


class TestActors:
    def test_found_by_login(self, session: Session, actors: dict[str, Actor]) -> None:
        assert actor_by_login(session, "mona") == actors["mona"]

    @pytest.mark.usefixtures("actors")
    def test_nobody(self, session: Session) -> None:
        with pytest.raises(NotFound, match="'eve'"):
            actor_by_login(session, "eve")

    @pytest.mark.usefixtures("actors")
    def test_deactivated(self, session: Session) -> None:
        _user(session, "mona").is_active = False

        with pytest.raises(Forbidden, match="not active"):
            actor_by_login(session, "mona")


class TestApiKeys:
    def test_a_key_stands_for_its_owner(
        self, session: Session, actors: dict[str, Actor], clock: FixedClock
    ) -> None:
        key = create_api_key(session, "mona", label="ci", clock=clock, environment="test")

        assert key.startswith("qm_test_")
        assert authenticate(session, key, clock=clock) == actors["mona"]

    @pytest.mark.usefixtures("actors")
    def test_the_secret_is_nowhere_in_the_database(
        self, session: Session, clock: FixedClock
    ) -> None:
        secret = create_api_key(session, "mona", label="ci", clock=clock).rsplit("_", 1)[1]

        row = session.exec(select(ApiKey)).one()
        events = session.exec(select(AuditEvent)).all()

        assert secret not in repr(row.model_dump())
        assert [event.action for event in events] == ["api_key.created"]
        assert secret not in repr([event.model_dump() for event in events])

    @pytest.mark.usefixtures("actors")
    def test_a_wrong_secret_or_id_is_refused(self, session: Session, clock: FixedClock) -> None:
        key = create_api_key(session, "mona", label="ci", clock=clock)
        other = create_api_key(session, "paul", label="ci", clock=clock)
        head, secret = key.rsplit("_", 1)

        for wrong in (f"{head}_{'0' * 64}", f"{other.rsplit('_', 1)[0]}_{secret}",
                      f"qm_live_{'0' * 12}_{secret}", "", "qm_live"):  # fmt: skip
            with pytest.raises(NotAuthenticated):
                authenticate(session, wrong, clock=clock)

    @pytest.mark.usefixtures("actors")
    def test_an_expired_key_is_refused_from_the_very_moment(
        self, session: Session, clock: FixedClock
    ) -> None:
        end = NOW + timedelta(days=1)
        key = create_api_key(session, "mona", label="ci", clock=clock, expires_at=end)
        clock.at = end - timedelta(seconds=1)
        authenticate(session, key, clock=clock)

        clock.at = end

        with pytest.raises(NotAuthenticated, match="expired"):
            authenticate(session, key, clock=clock)

    def test_a_revoked_key_is_refused(
        self, session: Session, actors: dict[str, Actor], clock: FixedClock
    ) -> None:
        key = create_api_key(session, "mona", label="ci", clock=clock)

        revoke_api_key(session, key.split("_")[2], clock=clock, by=actors["adam"])

        with pytest.raises(NotAuthenticated, match="revoked"):
            authenticate(session, key, clock=clock)

    @pytest.mark.usefixtures("actors")
    def test_the_key_of_somebody_who_left_is_refused(
        self, session: Session, clock: FixedClock
    ) -> None:
        key = create_api_key(session, "mona", label="ci", clock=clock)
        _user(session, "mona").is_active = False
        session.flush()

        with pytest.raises(Forbidden):
            authenticate(session, key, clock=clock)

    @pytest.mark.usefixtures("actors")
    def test_its_last_use_is_noted_once_a_minute(self, session: Session, clock: FixedClock) -> None:
        key = create_api_key(session, "mona", label="ci", clock=clock)
        authenticate(session, key, clock=clock)

        clock.at = NOW + timedelta(seconds=59)
        authenticate(session, key, clock=clock)
        first = session.exec(select(ApiKey.last_used_at)).one()
        clock.at = NOW + timedelta(seconds=60)
        authenticate(session, key, clock=clock)

        assert first == NOW
        assert session.exec(select(ApiKey.last_used_at)).one() == clock.at


def test_an_administrators_key_says_in_full_what_it_may_and_never_grows(session: Session) -> None:
    people, clock = make_users(session), FixedClock(NOW)
    for login, allowed in (
        ("vera", {Permission.READ}),
        ("robot", {Permission.READ, Permission.RECEIVE}),
    ):
        key = create_api_key(session, login, label="x", clock=clock, by=people["adam"])
        accounts.change_user(session, login, {"role": Role.MANAGER}, clock=clock, by=people["adam"])

        assert set(authenticate(session, key, clock=clock).permissions or ()) == allowed


def test_only_an_administrator_sets_what_a_currency_is_worth(session: Session) -> None:
    people, clock = make_users(session), FixedClock(NOW)
    set_rate = partial(
        set_exchange_rate, session, "EUR", company=Company(currency="USD"), clock=clock
    )

    with pytest.raises(Forbidden):
        set_rate(worth=Decimal("0.000001"), by=people["paul"])
    set_rate(worth=Decimal("1.2"), by=people["adam"])

    rows = select(AuditEvent.actor).where(AuditEvent.action == "exchange_rate.set")
    assert session.exec(rows).all() == ["adam"]
