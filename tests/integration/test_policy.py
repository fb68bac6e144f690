"""The policy in force: its versions, who may write them, and the kill switch."""

import json

import pytest
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from db.models.audit import AuditEvent
from db.models.identity import RoleLimit
from db.models.policy import PolicyVersion
from db.session import Database
from db.types import Actor, Permission, Role
from tests.conftest import NOW
from tests.factories import make_users
from tools.audit.service import verify
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import Conflict, Forbidden, InvalidInput, NotFound, Stale
from tools.policy import service
from tools.policy.core.policy import Version
from tools.policy.core.writing import with_values

COMPANY = Company(currency="USD")
CLOCK = FixedClock(NOW)
TEXT = service.DEFAULT.read_text(encoding="utf-8")


@pytest.fixture
def actors(session: Session) -> dict[str, Actor]:
    """The people of world P, and its policy as version 1."""
    return make_users(session)


def _change(session: Session, actor: Actor, **options: object) -> Version:
    values = {"two_person_above": '"20000"', **options.pop("values", {})}  # type: ignore[dict-item]
    return service.change(
        session, with_values(TEXT, values), reason="two people from 20,000", actor=actor,
        clock=CLOCK, company=COMPANY, **options,  # type: ignore[arg-type]
    )  # fmt: skip


def _told(session: Session) -> AuditEvent:
    return session.exec(select(AuditEvent).order_by(col(AuditEvent.seq).desc()).limit(1)).one()


class TestFirst:
    def test_before_any_version_the_packaged_one_counts(self, session: Session) -> None:
        policy = service.current(session)

        assert (policy.version, policy.two_person_above_minor) == (0, 5_000_000)
        shown = service.shown(session, company=COMPANY)
        assert (shown.version, shown.text) == (0, TEXT)

    def test_the_first_need_writes_version_1(self, session: Session) -> None:
        policy = service.in_force(session, clock=CLOCK, company=COMPANY)
        again = service.in_force(session, clock=CLOCK, company=COMPANY)

        assert policy == again
        assert (policy.version, policy.currency) == (1, "USD")
        assert (_told(session).action, _told(session).object_id) == ("policy.changed", "policy-1")
        assert verify(session).ok

    def test_the_limits_of_an_older_database_move_into_it(self, session: Session) -> None:
        session.add(RoleLimit(role=Role.PLANNER, approval_limit_minor=50_000))
        session.add(RoleLimit(role=Role.MANAGER, approval_limit_minor=None))
        session.flush()

        assert service.current(session).role_limits[Role.PLANNER] == 50_000
        policy = service.in_force(session, clock=CLOCK, company=COMPANY)

        assert policy.role_limits == {
            Role.PLANNER: 50_000, Role.APPROVER: 0, Role.MANAGER: None,
        }  # fmt: skip
        assert 'planner: "500.00"' in service.shown(session, company=COMPANY).text

    def test_another_company_currency_stops_decisions(self, session: Session) -> None:
        service.in_force(session, clock=CLOCK, company=COMPANY)

        with pytest.raises(Conflict, match="USD") as refused:
            service.in_force(session, clock=CLOCK, company=Company(currency="EUR"))

        assert refused.value.details["rule"] == "policy_currency"


class TestChange:
    def test_an_admin_puts_the_next_version_in_force(
        self, session: Session, actors: dict[str, Actor]
    ) -> None:
        written = _change(session, actors["adam"], expected_version=1)

        assert (written.version, written.author) == (2, "adam")
        assert service.current(session).two_person_above_minor == 2_000_000
        told = _told(session)
        assert (told.actor, told.reason) == ("adam", "two people from 20,000")
        assert told.before["approval.two_person_above"] is None
        assert told.after["approval.two_person_above"] == "20000"
        assert told.after["content_hash"] == written.content_hash
        assert [one.version for one in service.history(session)] == [2, 1]
        assert service.shown(session, company=COMPANY, version=1).version == 1

    @pytest.mark.parametrize("login", ["vera", "paul", "anna", "mona", "robot"])
    def test_nobody_else_can(self, session: Session, actors: dict[str, Actor], login: str) -> None:
        with pytest.raises(Forbidden) as refused:
            _change(session, actors[login])

        assert refused.value.details["rule"] == "policy_role"
        assert service.current(session).version == 1

    def test_a_claimed_role_does_not_help_nor_a_key_without_the_right(
        self, session: Session, actors: dict[str, Actor]
    ) -> None:
        mona, adam = actors["mona"], actors["adam"]
        posing = Actor(mona.user_id, "mona", "Mona", Role.ADMIN)
        reading = Actor(
            adam.user_id, "adam", "Adam", Role.ADMIN, permissions=frozenset({Permission.READ})
        )

        for actor in (posing, reading):
            with pytest.raises(Forbidden):
                _change(session, actor)

    def test_a_version_that_was_not_read_is_refused(
        self, session: Session, actors: dict[str, Actor]
    ) -> None:
        _change(session, actors["adam"])

        with pytest.raises(Stale) as refused:
            _change(session, actors["adam"], expected_version=1, values={"planner": '"1"'})

        assert refused.value.details == {"current_version": 2}

    def test_needs_a_reason_and_a_difference(
        self, session: Session, actors: dict[str, Actor]
    ) -> None:
        written = _change(session, actors["adam"])

        with pytest.raises(InvalidInput, match="says already"):
            service.change(
                session, written.text, reason="again", actor=actors["adam"], clock=CLOCK,
                company=COMPANY,
            )  # fmt: skip
        with pytest.raises(InvalidInput, match="reason"):
            service.change(
                session, TEXT, reason=" \x00", actor=actors["adam"], clock=CLOCK, company=COMPANY
            )

    @pytest.mark.usefixtures("actors")
    def test_a_difference_is_shown_without_changing_anything(self, session: Session) -> None:
        stands = service.shown(session, company=COMPANY).text
        text = with_values(stands, {"orders_per_hour": "7"})

        found = service.difference(session, text, company=COMPANY)

        assert [(one.field, one.before, one.after) for one in found if one.field != "currency"] == [
            ("caps.orders_per_hour", None, 7)
        ]
        assert service.current(session).version == 1

    def test_there_is_no_such_version(self, session: Session) -> None:
        with pytest.raises(NotFound):
            service.shown(session, company=COMPANY, version=9)


class TestDispatch:
    def _switch(self, session: Session, enabled: bool, actor: Actor) -> Version:
        return service.set_dispatch(
            session, enabled, reason="wrong prices", actor=actor, clock=CLOCK, company=COMPANY
        )

    def test_a_manager_stops_and_only_an_admin_starts(
        self, session: Session, actors: dict[str, Actor]
    ) -> None:
        assert self._switch(session, False, actors["mona"]).version == 2
        assert not service.current(session).dispatch_enabled
        assert self._switch(session, False, actors["mona"]).version == 2  # holds already
        with pytest.raises(Forbidden):
            self._switch(session, True, actors["mona"])

        assert self._switch(session, True, actors["adam"]).version == 3
        assert service.current(session).dispatch_enabled

    @pytest.mark.parametrize("login", ["vera", "paul", "anna", "robot"])
    def test_nobody_else_stops(
        self, session: Session, actors: dict[str, Actor], login: str
    ) -> None:
        with pytest.raises(Forbidden):
            self._switch(session, False, actors[login])

    def test_comments_stay_and_nothing_else_changes(
        self, session: Session, actors: dict[str, Actor]
    ) -> None:
        before = service.shown(session, company=COMPANY)

        after = self._switch(session, False, actors["adam"])

        assert after.text == before.text.replace("enabled: true", "enabled: false")
        assert dict(after.content) == {**before.content, "dispatch_enabled": False}


def test_versions_are_only_followed_never_changed(database: Database) -> None:
    with database.write() as session:
        service.in_force(session, clock=CLOCK, company=COMPANY)

    for statement in ("UPDATE policy_version SET reason = 'x'", "DELETE FROM policy_version"):
        with pytest.raises(DBAPIError, match="append"), database.write() as session:
            session.execute(sql(statement))


def test_a_version_altered_behind_our_back_is_not_read(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        service.in_force(session, clock=CLOCK, company=COMPANY)
        row = session.exec(select(PolicyVersion)).one()
        content = json.dumps({**row.content, "dispatch_enabled": False})
        triggers = session.execute(
            sql("SELECT name FROM sqlite_master WHERE type='trigger' AND tbl_name='policy_version'")
        ).scalars()
        for name in list(triggers):
            session.execute(sql(f"DROP TRIGGER {name}"))
        session.execute(sql("UPDATE policy_version SET content = :c"), {"c": content})

    with pytest.raises(Conflict, match="not what was written"), sqlite_database.read() as session:
        service.current(session)
