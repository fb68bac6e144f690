"""What administrators do about people, and what nobody does about themselves."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from db.models.audit import AuditEvent
from db.models.identity import ApiKey, User
from db.session import Database
from db.types import Actor, Decision, Permission, Role, ScopeKind
from tests.conftest import NOW
from tests.factories import make_item, make_location, make_supplier, make_users, make_world_p
from tools.approvals.service import decide
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound
from tools.identity import service as identity
from tools.identity.service import authenticate, create_api_key, revoke_api_key
from tools.people.service import access, accounts
from tools.people.service.keys import list_api_keys
from tools.policy.service import approval_limit
from tools.purchasing.tool import draft_purchase_order, request_approval
from tools.signin.core import Lifetimes
from tools.signin.service import find_session, open_session
from tools.wrapping import ToolContext

PASSWORD = "correct horse battery staple"


@pytest.fixture
def people(session: Session) -> dict[str, Actor]:
    return make_users(session)


def trail(session: Session, action: str) -> list[AuditEvent]:
    rows = select(AuditEvent).where(AuditEvent.action == action).order_by(col(AuditEvent.seq))
    return list(session.exec(rows))


class TestAdding:
    def test_the_first_person_of_a_database_needs_nobody(self, session: Session) -> None:
        mona = accounts.add_user(session, "mona", role=Role.MANAGER, clock=FixedClock(NOW))

        assert identity.actor_by_login(session, "mona") == mona
        assert approval_limit(session, mona) == 10_000_000

    def test_once_an_administrator_can_sign_in_nobody_else_adds(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        create_api_key(session, "adam", label="x", clock=clock)

        for by in (None, people["mona"], people["robot"], people["vera"]):
            with pytest.raises(Forbidden):
                accounts.add_user(session, "eve", role=Role.ADMIN, clock=clock, by=by)
        accounts.add_user(session, "eve", role=Role.VIEWER, clock=clock, by=people["adam"])

        assert trail(session, "user.added")[0].actor == "adam"

    @pytest.mark.parametrize("login", ["", "Mona", "mona lisa", "-x", "m" * 65, "mo\u0000na"])
    def test_refuses_what_is_not_a_login(self, session: Session, login: str) -> None:
        with pytest.raises(InvalidInput, match="a login is made of"):
            accounts.add_user(session, login, role=Role.VIEWER, clock=FixedClock(NOW))

    def test_a_login_is_given_once(self, session: Session) -> None:
        accounts.add_user(session, "pat", role=Role.PLANNER, clock=FixedClock(NOW))

        with pytest.raises(Conflict, match="'pat' is taken"):
            accounts.add_user(session, "pat", role=Role.MANAGER, clock=FixedClock(NOW))


CHANGES: dict[str, Callable[[Session, str, Actor | None], Any]] = {
    "role": lambda s, who, by: accounts.change_user(
        s, who, {"role": Role.MANAGER}, clock=FixedClock(NOW), by=by
    ),
    "limit": lambda s, who, by: accounts.change_user(
        s, who, {"approval_limit_minor": 10**9}, clock=FixedClock(NOW), by=by
    ),
    "account": lambda s, who, by: accounts.change_user(
        s, who, {"is_active": False}, clock=FixedClock(NOW), by=by
    ),
    "scope": lambda s, who, by: access.add_scope(
        s, who, ScopeKind.LOCATION, "MAIN", clock=FixedClock(NOW), by=by
    ),
    "link": lambda s, who, by: access.link(
        s, who, issuer="https://id.example", subject="1", clock=FixedClock(NOW), by=by
    ),
}


@pytest.mark.parametrize("change", CHANGES)
class TestAuthority:
    @pytest.mark.parametrize("login", ["vera", "paul", "anna", "mona", "adam", "robot"])
    def test_only_an_administrator_changes_others(
        self, session: Session, people: dict[str, Actor], change: str, login: str
    ) -> None:
        make_location(session)

        if login == "adam":
            CHANGES[change](session, "pia", people[login])
            return
        with pytest.raises(Forbidden):
            CHANGES[change](session, "pia", people[login])

    def test_nobody_changes_their_own(
        self, session: Session, people: dict[str, Actor], change: str
    ) -> None:
        make_location(session)

        with pytest.raises(Forbidden, match="nobody changes their own"):
            CHANGES[change](session, "adam", people["adam"])

    def test_also_not_with_another_key_of_their_own(
        self, session: Session, people: dict[str, Actor], clock: FixedClock, change: str
    ) -> None:
        make_location(session)
        key = create_api_key(session, "adam", label="second", clock=clock, by=people["adam"])

        with pytest.raises(Forbidden, match="nobody changes their own"):
            CHANGES[change](session, "adam", authenticate(session, key, clock=clock))

    @pytest.mark.usefixtures("people")
    def test_a_key_that_does_not_administer_does_not(
        self, session: Session, clock: FixedClock, change: str
    ) -> None:
        make_location(session)
        key = create_api_key(session, "adam", label="r", clock=clock, permissions=[Permission.READ])

        with pytest.raises(Forbidden, match="allows read, not admin"):
            CHANGES[change](session, "pia", authenticate(session, key, clock=clock))

    def test_an_administrator_who_was_demoted_is_none_any_more(
        self, session: Session, people: dict[str, Actor], change: str
    ) -> None:
        make_location(session)
        session.exec(select(User).where(User.login == "adam")).one().role = Role.VIEWER
        session.flush()

        with pytest.raises(Forbidden):  # the actor still says admin
            CHANGES[change](session, "pia", people["adam"])


class TestChanging:
    def test_the_trail_tells_before_and_after(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        accounts.change_user(
            session, "anna", {"role": Role.MANAGER, "name": "Anna"}, clock=clock,
            by=people["adam"], reason="promoted",
        )  # fmt: skip

        (row,) = trail(session, "user.changed")
        assert (row.actor, row.object_id, row.reason) == ("adam", "anna", "promoted")
        assert (row.before, row.after) == ({"role": "approver"}, {"role": "manager"})

    def test_what_changes_nothing_is_not_told(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        accounts.change_user(
            session, "anna", {"role": Role.APPROVER}, clock=clock, by=people["adam"]
        )

        assert trail(session, "user.changed") == []

    @pytest.mark.parametrize("change", [{"is_active": False}, {"role": Role.PLANNER}])
    def test_the_last_administrator_stays(
        self, session: Session, clock: FixedClock, change: dict[str, Any]
    ) -> None:
        accounts.add_user(session, "adam", role=Role.ADMIN, clock=clock)

        with pytest.raises(Conflict, match="the last administrator"):
            accounts.change_user(session, "adam", change, clock=clock, by=None)

    def test_two_administrators_cannot_both_leave(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        eve = accounts.add_user(session, "eve", role=Role.ADMIN, clock=clock, by=people["adam"])
        accounts.change_user(session, "adam", {"is_active": False}, clock=clock, by=eve)

        with pytest.raises(Forbidden):
            accounts.change_user(
                session, "eve", {"is_active": False}, clock=clock, by=people["adam"]
            )

    def test_closing_an_account_ends_keys_and_sessions_for_good(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        key = create_api_key(session, "mona", label="x", clock=clock)
        token, _ = open_session(
            session, people["mona"].user_id, agent="", clock=clock, lifetimes=Lifetimes()
        )

        for active in (False, True):
            accounts.change_user(
                session, "mona", {"is_active": active}, clock=clock, by=people["adam"]
            )

        with pytest.raises(NotAuthenticated, match="revoked"):
            authenticate(session, key, clock=clock)
        with pytest.raises(NotAuthenticated):
            find_session(session, token, clock=clock, lifetimes=Lifetimes())
        told = trail(session, "user.changed")[0].after
        assert (told["keys_revoked"], told["sessions_ended"]) == (1, 1)

    def test_a_negative_limit_is_refused(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        with pytest.raises(InvalidInput, match="cannot be negative"):
            accounts.change_user(
                session, "anna", {"approval_limit_minor": -1}, clock=clock, by=people["adam"]
            )

    def test_a_scope_names_what_exists_and_is_told(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        make_location(session)
        make_supplier(session)
        make_item(session)
        adam = people["adam"]
        for kind, value in (("location", "MAIN"), ("supplier", "ACME"), ("category", "widgets")):
            access.add_scope(session, "pia", ScopeKind(kind), value, clock=clock, by=adam)

        person = access.remove_scope(
            session, "pia", ScopeKind.SUPPLIER, "ACME", clock=clock, by=adam
        )

        assert person.scope.locations == {"MAIN"}
        assert (person.scope.suppliers, person.scope.categories) == (
            frozenset(),
            frozenset({"widgets"}),
        )
        assert trail(session, "user.scope_changed")[-1].before == {"supplier": ["ACME"]}
        with pytest.raises(NotFound, match="there is no location 'EAST'"):
            access.add_scope(session, "pia", ScopeKind.LOCATION, "EAST", clock=clock, by=adam)


def test_nobody_raises_their_limit_and_then_approves(database: Database) -> None:
    """Anna may approve 12,000; an order of 14,976 stays where it is, whatever she tries."""
    clock, company = FixedClock(NOW), Company(currency="USD")
    with database.write() as session:
        anna = make_world_p(session).actors["anna"]
        paul = identity.actor_by_login(session, "paul")
    context = ToolContext(database.read, database.write, paul, clock, company)
    lines = [{"sku": "WIDGET-A", "quantity": 1920}]
    drafted = draft_purchase_order.call(context, {"lines": lines, "supplier": "ACME"})
    asked = request_approval.call(context, {"po_id": drafted["data"]["po_id"]})

    for change in ({"approval_limit_minor": 10**9}, {"role": Role.MANAGER}):
        with pytest.raises(Forbidden), database.write() as session:
            accounts.change_user(session, "anna", change, clock=clock, by=anna)
    with pytest.raises(Forbidden, match="limit"), database.write() as session:
        decide(
            session, number=asked["data"]["approval_id"], version=1, decision=Decision.APPROVE,
            actor=anna, clock=clock, company=company, channel="rest",
        )  # fmt: skip

    with database.read() as session:
        assert approval_limit(session, anna) == 1_200_000
        assert trail(session, "user.changed") == []


class TestKeys:
    def test_a_key_for_oneself_may_not_more_than_oneself(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        with pytest.raises(Forbidden, match="a viewer may not decide"):
            create_api_key(
                session, "vera", label="x", clock=clock, permissions=[Permission.DECIDE],
                by=people["vera"],
            )  # fmt: skip

    @pytest.mark.usefixtures("people")
    def test_a_restricted_key_makes_none_that_may_more(
        self, session: Session, clock: FixedClock
    ) -> None:
        first = create_api_key(
            session, "mona", label="x", clock=clock, permissions=[Permission.READ]
        )
        by = authenticate(session, first, clock=clock)

        with pytest.raises(Forbidden, match="cannot give that away"):
            create_api_key(
                session, "mona", label="y", clock=clock, permissions=[Permission.DECIDE], by=by
            )
        second = create_api_key(session, "mona", label="y", clock=clock, by=by)

        assert authenticate(session, second, clock=clock).permissions == frozenset(
            {Permission.READ}
        )

    def test_only_an_administrator_makes_keys_for_others_and_none_that_decides(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        for by in ("paul", "anna", "mark", "robot"):
            with pytest.raises(Forbidden):
                create_api_key(session, "mona", label="x", clock=clock, by=people[by])
        with pytest.raises(Forbidden, match="made by 'mona' alone"):
            create_api_key(
                session, "mona", label="x", clock=clock, permissions=[Permission.DECIDE],
                by=people["adam"],
            )  # fmt: skip

        key = create_api_key(session, "mona", label="x", clock=clock, by=people["adam"])

        allowed = authenticate(session, key, clock=clock).permissions
        assert allowed == frozenset({Permission.READ, Permission.DRAFT, Permission.RECEIVE})

    def test_everybody_sees_and_revokes_their_own_an_administrator_all(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        for login in ("mona", "paul", "pia"):
            create_api_key(session, login, label=login, clock=clock)
        keys = {key.login: key.key_id for key in list_api_keys(session, people["adam"])}

        assert set(keys) == {"mona", "paul", "pia"}
        assert [key.login for key in list_api_keys(session, people["mona"])] == ["mona"]
        with pytest.raises(Forbidden):
            list_api_keys(session, people["mona"], login="paul")
        with pytest.raises(NotFound):
            revoke_api_key(session, keys["paul"], clock=clock, by=people["mona"])
        revoke_api_key(session, keys["mona"], clock=clock, by=people["mona"])
        revoke_api_key(session, keys["paul"], clock=clock, by=people["adam"])
        revoked = select(ApiKey.label).where(col(ApiKey.revoked_at).is_not(None))
        assert sorted(session.exec(revoked)) == ["mona", "paul"]

    @pytest.mark.usefixtures("people")
    def test_it_ends_in_the_future(self, session: Session, clock: FixedClock) -> None:
        with pytest.raises(InvalidInput, match="in the future"):
            create_api_key(
                session, "mona", label="x", clock=clock, expires_at=NOW - timedelta(seconds=1)
            )


class TestPasswords:
    def test_one_that_an_administrator_gave_is_for_looking_until_it_is_changed(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        access.set_password(session, "mona", PASSWORD, clock=clock, by=people["adam"])
        _, first = open_session(
            session, people["mona"].user_id, agent="", clock=clock, lifetimes=Lifetimes()
        )

        access.set_password(
            session, "mona", PASSWORD + "!", clock=clock, by=people["mona"], is_confirmed=True
        )
        _, second = open_session(
            session, people["mona"].user_id, agent="", clock=clock, lifetimes=Lifetimes()
        )

        assert first.must_change_password
        assert first.actor.permissions == frozenset({Permission.READ})
        assert not second.must_change_password
        assert second.actor.permissions is None
        assert [row.after["must_change"] for row in trail(session, "user.password_set")] == [
            True, False,
        ]  # fmt: skip

    def test_who_found_a_key_cannot_set_the_password_of_its_person(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        for login in ("mona", "adam"):
            with pytest.raises(Forbidden, match="with the one that counts now"):
                access.set_password(session, login, PASSWORD, clock=clock, by=people[login])

    def test_it_is_nowhere_to_be_read(
        self, session: Session, people: dict[str, Actor], clock: FixedClock
    ) -> None:
        access.set_password(session, "mona", PASSWORD, clock=clock, by=people["adam"])

        rows = [*session.exec(select(User)), *session.exec(select(AuditEvent))]
        assert PASSWORD not in repr([row.model_dump() for row in rows])
