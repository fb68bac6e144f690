"""Sessions, lockout and linked identities in a database."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from db.models.audit import AuditEvent
from db.models.identity import User, UserSession
from db.types import Actor, Permission
from tests.conftest import NOW
from tests.factories import make_users
from tools.clock import FixedClock
from tools.errors import Forbidden, NotAuthenticated, NotFound
from tools.identity.core import may
from tools.identity.service import acting, authenticate, create_api_key, revoke_api_key
from tools.passwords.service import ask_password, note_password, reauthenticate
from tools.people.service import access, accounts
from tools.signin.core import Lifetimes
from tools.signin.service import (
    MOST_SESSIONS,
    SignedIn,
    confirm_link,
    confirm_session,
    end_session,
    find_session,
    linked_actor,
    list_sessions,
    open_session,
    revoke_session,
)

LIVES = Lifetimes(idle=timedelta(minutes=30), absolute=timedelta(hours=12))
PASSWORD = "correct horse battery staple"
ISSUER = "https://id.example"


@pytest.fixture
def people(session: Session) -> dict[str, Actor]:
    return make_users(session)


@pytest.fixture
def mona(session: Session, people: dict[str, Actor], clock: FixedClock) -> Actor:
    """Mona, with a password of her own."""
    access.set_password(
        session, "mona", PASSWORD, clock=clock, by=people["mona"], is_confirmed=True
    )
    return people["mona"]


def sign_in(session: Session, who: Actor, clock: FixedClock) -> tuple[str, SignedIn]:
    return open_session(session, who.user_id, agent="Firefox", clock=clock, lifetimes=LIVES)


def is_in(session: Session, token: str, clock: FixedClock) -> bool:
    try:
        find_session(session, token, clock=clock, lifetimes=LIVES)
    except NotAuthenticated:
        return False
    return True


class TestSessions:
    def test_a_session_stands_for_its_person(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        token, _ = sign_in(session, mona, clock)

        found = find_session(session, token, clock=clock, lifetimes=LIVES)

        assert found.actor == mona
        assert not is_in(session, token[:-1] + "A", clock) or token.endswith("A")

    def test_only_a_hash_of_the_token_is_stored(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        token, _ = sign_in(session, mona, clock)

        rows = [*session.exec(select(UserSession)), *session.exec(select(AuditEvent))]

        assert token not in repr([row.model_dump() for row in rows])

    @pytest.mark.parametrize(("minutes", "lives"), [(29, True), (30, False)])
    def test_without_use_it_ends_after_half_an_hour(
        self, session: Session, mona: Actor, clock: FixedClock, minutes: int, lives: bool
    ) -> None:
        token, _ = sign_in(session, mona, clock)

        clock.at = NOW + timedelta(minutes=minutes)

        assert is_in(session, token, clock) is lives

    def test_with_use_it_lives_on_but_not_over_twelve_hours(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        token, _ = sign_in(session, mona, clock)
        lived = []
        for minutes in range(20, 12 * 60 + 1, 20):
            clock.at = NOW + timedelta(minutes=minutes)
            lived.append(is_in(session, token, clock))

        assert lived == [True] * 35 + [False]

    def test_the_next_sign_in_of_a_browser_ends_its_last(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        first, _ = sign_in(session, mona, clock)

        second, _ = open_session(
            session, mona.user_id, agent="", clock=clock, lifetimes=LIVES, replaces=first
        )

        assert (is_in(session, first, clock), is_in(session, second, clock)) == (False, True)

    def test_a_confirmation_makes_a_new_token_and_holds_for_minutes(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        first, here = sign_in(session, mona, clock)
        assert not here.is_confirmed(clock.now())

        second = confirm_session(session, here.session_id, clock=clock)

        found = find_session(session, second, clock=clock, lifetimes=LIVES)
        assert not is_in(session, first, clock)
        assert found.is_confirmed(NOW + timedelta(minutes=4, seconds=59))
        assert not found.is_confirmed(NOW + timedelta(minutes=5))

    def test_signed_out_is_signed_out(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        token, here = sign_in(session, mona, clock)
        end_session(session, token, clock=clock)
        end_session(session, token, clock=clock)

        assert not is_in(session, token, clock)
        with pytest.raises(NotAuthenticated):
            confirm_session(session, here.session_id, clock=clock)

    def test_others_are_listed_and_revoked_but_not_other_peoples(
        self, session: Session, people: dict[str, Actor], mona: Actor, clock: FixedClock
    ) -> None:
        token, here = sign_in(session, mona, clock)
        sign_in(session, mona, clock)

        assert len(list_sessions(session, mona, clock=clock)) == 2
        for stranger in ("paul", "adam"):
            with pytest.raises(NotFound):
                revoke_session(session, people[stranger], here.session_id, clock=clock)
        revoke_session(session, mona, here.session_id, clock=clock)

        assert not is_in(session, token, clock)
        assert len(list_sessions(session, mona, clock=clock)) == 1

    def test_a_deactivated_persons_session_is_dead_at_once(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        token, _ = sign_in(session, mona, clock)

        session.exec(select(User).where(User.login == "mona")).one().is_active = False
        session.flush()

        assert not is_in(session, token, clock)

    def test_nobody_fills_the_table_by_signing_in(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        tokens = [sign_in(session, mona, clock)[0] for _ in range(MOST_SESSIONS + 2)]

        assert [is_in(session, token, clock) for token in tokens[:3]] == [False, False, True]

    def test_a_new_password_ends_all(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        token, _ = sign_in(session, mona, clock)

        access.set_password(
            session, "mona", PASSWORD + "!", clock=clock, by=mona, is_confirmed=True
        )

        assert not is_in(session, token, clock)


class TestLockout:
    def _try(self, session: Session, login: str, *, is_right: bool, clock: FixedClock) -> bool:
        """Try without the slow part; return whether the account takes a password at all."""
        question = ask_password(session, clock, login=login)
        note_password(session, question, is_right=is_right, clock=clock)
        return question.locked_until is None

    @pytest.mark.usefixtures("mona")
    def test_five_wrong_ones_lock_for_half_a_minute_then_longer(
        self, session: Session, clock: FixedClock
    ) -> None:
        for _ in range(5):
            assert self._try(session, "mona", is_right=False, clock=clock)

        locked = not self._try(session, "mona", is_right=True, clock=clock)
        clock.at = NOW + timedelta(seconds=30)
        freed = self._try(session, "mona", is_right=False, clock=clock)  # the sixth
        clock.at = NOW + timedelta(seconds=89)
        longer = not self._try(session, "mona", is_right=True, clock=clock)
        clock.at = NOW + timedelta(seconds=90)

        assert (locked, freed, longer) == (True, True, True)
        assert self._try(session, "mona", is_right=True, clock=clock)

    def test_a_locked_account_takes_not_even_the_right_one(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        for _ in range(5):
            self._try(session, "mona", is_right=False, clock=clock)

        with pytest.raises(NotAuthenticated, match="waits until"):
            reauthenticate(session, mona.user_id, PASSWORD, clock)

    def test_a_right_one_forgets_the_wrong_ones_before(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        for is_right in (False, False, False, False, True, False, False, False, False):
            self._try(session, "mona", is_right=is_right, clock=clock)

        reauthenticate(session, mona.user_id, PASSWORD, clock)

        assert session.exec(select(User.failed_logins).where(User.login == "mona")).one() == 0

    @pytest.mark.usefixtures("mona")
    def test_it_is_told_once_per_lock(self, session: Session, clock: FixedClock) -> None:
        for _ in range(9):
            self._try(session, "mona", is_right=False, clock=clock)

        locks = session.exec(select(AuditEvent).where(AuditEvent.action == "user.locked")).all()
        assert [lock.object_id for lock in locks] == ["mona"]

    def test_a_wrong_password_and_nobody_s_are_refused(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        with pytest.raises(NotAuthenticated, match="not your password"):
            reauthenticate(session, mona.user_id, PASSWORD + "x", clock)

        assert not ask_password(session, clock, login="nobody").fits("")

    def test_somebody_without_a_password_does_not_sign_with_an_empty_one(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        with pytest.raises(NotAuthenticated):
            reauthenticate(session, people["paul"].user_id, "", clock)


class TestLinks:
    def test_a_link_finds_its_person_until_it_is_taken_away(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        link = {"issuer": ISSUER, "subject": "42"}
        access.link(session, "mona", clock=clock, by=people["adam"], **link)

        assert linked_actor(session, issuer=ISSUER, subject="42").login == "mona"
        for other in ({"issuer": "https://evil.example", "subject": "42"},
                      {"issuer": ISSUER, "subject": "43"}):  # fmt: skip
            with pytest.raises(NotAuthenticated, match="nobody here is linked"):
                linked_actor(session, **other)
        access.unlink(session, "mona", clock=clock, by=people["adam"], **link)
        with pytest.raises(NotAuthenticated):
            linked_actor(session, issuer=ISSUER, subject="42")

    def test_a_verified_address_finds_one_person_or_nobody(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        for login in ("mona", "paul"):
            accounts.change_user(
                session, login, {"email": f"{login}@example.org"}, clock=clock, by=people["adam"]
            )
        found = linked_actor(session, issuer=ISSUER, subject="9", verified_email="Mona@Example.org")
        accounts.change_user(
            session, "paul", {"email": "mona@example.org"}, clock=clock, by=people["adam"]
        )

        assert found.login == "mona"
        assert not may(found, Permission.DECIDE)
        with pytest.raises(NotAuthenticated):
            linked_actor(session, issuer=ISSUER, subject="9", verified_email="mona@example.org")

    def test_a_link_decides_only_after_its_person_confirmed_it(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        link = {"issuer": ISSUER, "subject": "adam-himself"}
        access.link(session, "mona", clock=clock, by=people["adam"], **link)

        assert not may(linked_actor(session, **link), Permission.DECIDE)
        with pytest.raises(NotFound):
            confirm_link(session, people["adam"], clock=clock, **link)
        confirm_link(session, people["mona"], clock=clock, **link)

        assert may(linked_actor(session, **link), Permission.DECIDE)
        rows = select(AuditEvent.actor).where(AuditEvent.action == "user.link_confirmed")
        assert session.exec(rows).all() == ["mona"]

    def test_nobody_unlinks_themselves(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        with pytest.raises(Forbidden, match="nobody changes their own"):
            access.unlink(
                session, "adam", issuer=ISSUER, subject="1", clock=clock, by=people["adam"]
            )


class TestTakenAway:
    def test_a_given_password_does_not_sign_until_its_person_chose_another(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        access.set_password(session, "mona", PASSWORD, clock=clock, by=people["adam"])

        with pytest.raises(NotAuthenticated, match="administrator gave this password"):
            reauthenticate(session, people["mona"].user_id, PASSWORD, clock)

    @pytest.mark.parametrize("how", ["revoked", "reset", "unlinked"])
    def test_a_key_that_ended_after_it_was_shown_does_nothing_more(
        self, session: Session, people: dict[str, Actor], clock: FixedClock, how: str
    ) -> None:
        key = create_api_key(session, "mona", label="x", clock=clock, by=people["mona"])
        link = {"issuer": ISSUER, "subject": "42"}
        access.link(session, "mona", clock=clock, by=people["adam"], **link)
        came = authenticate(session, key, clock=clock)
        assert acting(session, came, Permission.DECIDE).key_id == came.key_id

        if how == "revoked":
            revoke_api_key(session, came.key_id, clock=clock, by=people["mona"])
        elif how == "reset":
            access.set_password(session, "mona", PASSWORD, clock=clock, by=people["adam"])
        else:
            access.unlink(session, "mona", clock=clock, by=people["adam"], **link)

        with pytest.raises(NotAuthenticated, match="revoked"):
            acting(session, came, Permission.DECIDE)
        with pytest.raises(NotAuthenticated):
            authenticate(session, key, clock=clock)

    def test_a_session_that_ended_meanwhile_does_nothing_more(
        self, session: Session, mona: Actor, clock: FixedClock
    ) -> None:
        token, here = sign_in(session, mona, clock)
        assert acting(session, here.actor, Permission.DECIDE).login == "mona"
        end_session(session, token, clock=clock)

        with pytest.raises(NotAuthenticated, match="session was revoked"):
            acting(session, here.actor, Permission.DECIDE)
