"""Deliveries in a database and in a folder."""

import json
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from db.session import Database
from db.types import OutboxState
from tests.conftest import NOW
from tests.factories_orders import Desk
from tools.errors import Conflict, ExternalError, Forbidden, NotFound
from tools.outbox import service as outbox
from tools.outbox.core import LEASE, MAX_ATTEMPTS, Claim, Settlement
from tools.outbox.gateway import DropFolder


@pytest.fixture
def desk(sqlite_database: Database, tmp_path: Path) -> Desk:
    desk = Desk(sqlite_database, tmp_path / "outgoing")
    desk.approved()
    return desk


def _claim(desk: Desk, holder: str = "one") -> list[Claim]:
    with desk.database.write() as session:
        claim = outbox.claim(session, holder=holder, at=desk.clock.now())
        return [] if claim is None else [claim]


def _fail(desk: Desk, claim: Claim, **how: bool) -> OutboxState | None:
    with desk.database.write() as session:
        return outbox.record_failed(
            session, claim, error="supplier's server says 500", at=desk.clock.now(),
            **{"is_idempotent": True, **how},
        )  # fmt: skip


def _release(desk: Desk, *safe: str) -> list[str]:
    with desk.database.write() as session:
        return outbox.release_expired(session, at=desk.clock.now(), idempotent_channels=safe)


class TestClaim:
    def test_one_holder_at_a_time(self, desk: Desk) -> None:
        first, second = _claim(desk, "one"), _claim(desk, "two")

        assert [claim.attempts for claim in first] == [1]
        assert second == []

    def test_a_lost_claim_records_nothing(self, desk: Desk) -> None:
        (lost,) = _claim(desk, "one")
        desk.clock.at = NOW + LEASE
        _release(desk, "file")
        (held,) = _claim(desk, "two")

        with desk.database.write() as session:
            was = outbox.record_delivered(session, lost, reference="x", at=desk.clock.now())
        assert was is False
        assert _fail(desk, lost) is None

        with desk.database.write() as session:
            assert outbox.record_delivered(session, held, reference="y", at=desk.clock.now())
        assert [row.delivery_reference for row in desk.outbox()] == ["y"]


class TestFailure:
    def test_it_is_tried_again_later_and_given_up_at_last(self, desk: Desk) -> None:
        states = []
        for _ in range(MAX_ATTEMPTS):
            (claim,) = _claim(desk)
            states.append(_fail(desk, claim))
            assert _claim(desk) == []
            desk.clock.at += timedelta(hours=2)

        assert states == [OutboxState.PENDING] * (MAX_ATTEMPTS - 1) + [OutboxState.DEAD]
        assert _claim(desk) == []
        assert desk.trail()[-1][0] == "delivery.dead"

    def test_a_channel_that_may_have_delivered_is_in_doubt(self, desk: Desk) -> None:
        (claim,) = _claim(desk)

        assert _fail(desk, claim, is_idempotent=False) is OutboxState.IN_DOUBT

    def test_surely_unsent_is_tried_again(self, desk: Desk) -> None:
        (claim,) = _claim(desk)

        state = _fail(desk, claim, is_idempotent=False, is_surely_unsent=True)

        assert state is OutboxState.PENDING


class TestExpiredLease:
    def test_on_a_safe_channel_it_is_sent_again(self, desk: Desk) -> None:
        _claim(desk)
        desk.clock.at = NOW + LEASE

        assert _release(desk, "file") == []
        assert [claim.attempts for claim in _claim(desk, "two")] == [2]

    def test_on_another_channel_a_person_decides(self, desk: Desk) -> None:
        (claim,) = _claim(desk)
        desk.clock.at = NOW + LEASE

        assert _release(desk) == [claim.key]
        assert _claim(desk, "two") == []
        assert desk.trail()[-1] == ("delivery.in_doubt", claim.key, "system")

    def test_a_living_lease_is_left_alone(self, desk: Desk) -> None:
        _claim(desk)
        desk.clock.at = NOW + LEASE - timedelta(seconds=1)

        assert _release(desk) == []
        assert [row.state for row in desk.outbox()] == [OutboxState.CLAIMED]

    def test_one_whose_holders_never_come_back_is_given_up(self, desk: Desk) -> None:
        for _ in range(MAX_ATTEMPTS):
            assert len(_claim(desk)) == 1
            desk.clock.at += LEASE
            _release(desk, "file")

        assert [(row.state, row.attempts) for row in desk.outbox()] == [
            (OutboxState.DEAD, MAX_ATTEMPTS)
        ]
        assert desk.trail()[-1][0] == "delivery.dead"


class TestSeal:
    """Only what was approved leaves the house."""

    @pytest.mark.parametrize("payload", ['{"number": "PO-2001"}', "[1.5]", "not json", "null"])
    def test_a_changed_payload_is_not_sent(self, desk: Desk, payload: str) -> None:
        with desk.database.write() as session:
            session.execute(text("UPDATE outbox SET payload = :it"), {"it": payload})

        (claim,) = _claim(desk)

        assert "is not what was approved as PO-2001" in claim.problem
        assert claim.payload == {}
        assert _fail(desk, claim) is OutboxState.DEAD
        assert desk.trail()[-1][0] == "delivery.dead"

    def test_a_changed_trail_approves_nothing(self, desk: Desk) -> None:
        with desk.database.write() as session:
            session.execute(text("DROP TRIGGER audit_event_no_update"))
            session.execute(text("UPDATE audit_event SET reason = 'x'"))

        (claim,) = _claim(desk)

        assert "the trail does not tell that PO-2001 was approved" in claim.problem


class TestSettle:
    def _settle(
        self, desk: Desk, key: str, *, answer: Settlement = Settlement.SEND_AGAIN, by: str = "mona"
    ) -> Any:
        with desk.database.write() as session:
            return outbox.settle(
                session, key, answer=answer, actor=desk.world.actors[by],
                reason="asked them", at=desk.clock.now(),
            )  # fmt: skip

    def test_not_delivered_is_sent_again(self, desk: Desk) -> None:
        (claim,) = _claim(desk)
        _fail(desk, claim, is_idempotent=False)

        self._settle(desk, claim.key)

        assert len(_claim(desk)) == 1
        assert desk.trail()[-1] == ("delivery.requeued", claim.key, "mona")

    def test_only_what_is_in_doubt_or_dead(self, desk: Desk) -> None:
        (claim,) = _claim(desk)

        with pytest.raises(Conflict, match="nothing to settle"):
            self._settle(desk, claim.key, answer=Settlement.DELIVERED)
        with pytest.raises(NotFound):
            self._settle(desk, "po:none", answer=Settlement.DELIVERED)

    @pytest.mark.parametrize(("login", "is_allowed"), [("vera", False), ("robot", False),
                                                       ("adam", True), ("paul", True)])  # fmt: skip
    def test_who_may(self, desk: Desk, login: str, is_allowed: bool) -> None:
        (claim,) = _claim(desk)
        _fail(desk, claim, is_idempotent=False)

        if is_allowed:
            assert self._settle(desk, claim.key, by=login).state is OutboxState.PENDING
        else:
            with pytest.raises(Forbidden, match="does not settle"):
                self._settle(desk, claim.key, by=login)


PAYLOAD: dict[str, Any] = {
    "key": "k1", "number": "PO-1", "revision": 2, "currency": "USD", "need_by": None,
    "ship_to": "MAIN", "lines": [],
    "approval": {"number": "a-1", "approved_by": "Mona", "approved_at": "2026-03-02"},
}  # fmt: skip


class TestDropFolder:
    def test_the_same_key_leaves_the_same_files(self, tmp_path: Path) -> None:
        folder = DropFolder(tmp_path / "new" / "outgoing")

        first = folder.deliver("k1", PAYLOAD)
        before = {path.name: path.read_bytes() for path in folder.folder.iterdir()}
        second = folder.deliver("k1", PAYLOAD)

        assert first == second == "PO-1-r2.json"
        assert {path.name: path.read_bytes() for path in folder.folder.iterdir()} == before
        assert sorted(before) == [".delivered", "PO-1-r2.csv", "PO-1-r2.json"]

    def test_an_emptied_folder_does_not_get_the_same_order_again(self, tmp_path: Path) -> None:
        folder = DropFolder(tmp_path)
        folder.deliver("k1", PAYLOAD)
        for path in tmp_path.glob("PO-*"):
            path.unlink()

        assert folder.deliver("k1", PAYLOAD) == "PO-1-r2.json"
        assert list(tmp_path.glob("PO-*")) == []

        folder.deliver("k2", PAYLOAD | {"key": "k2"})
        assert len(list(tmp_path.glob("PO-*"))) == 2

    def test_a_torn_line_of_the_ledger_spoils_no_other(self, tmp_path: Path) -> None:
        (tmp_path / ".delivered").write_text("k1\nk")

        DropFolder(tmp_path).deliver("k2", PAYLOAD | {"key": "k2"})

        assert (tmp_path / ".delivered").read_text() == "k1\nk\nk2\n"

    def test_the_file_says_who_approved(self, tmp_path: Path) -> None:
        DropFolder(tmp_path).deliver("k1", PAYLOAD)

        written = json.loads((tmp_path / "PO-1-r2.json").read_text())

        assert (written["key"], written["approval"]["number"]) == ("k1", "a-1")

    def test_another_order_of_that_name_is_not_overwritten(self, tmp_path: Path) -> None:
        DropFolder(tmp_path).deliver("k1", PAYLOAD)
        before = (tmp_path / "PO-1-r2.json").read_bytes()

        with pytest.raises(ExternalError, match="already holds another"):
            DropFolder(tmp_path).deliver("k2", PAYLOAD | {"key": "k2"})

        assert (tmp_path / "PO-1-r2.json").read_bytes() == before

    @pytest.mark.parametrize("number", ["../../etc/x", "/abs", "a\0b", "..", "PO 1:2", "CON/x"])
    def test_no_number_leaves_the_folder(self, tmp_path: Path, number: str) -> None:
        inside = tmp_path / "inside"
        with suppress(ExternalError):
            DropFolder(inside).deliver("k1", PAYLOAD | {"number": number})

        outside = [path for path in tmp_path.iterdir() if path != inside]
        assert outside == []

    def test_a_folder_that_cannot_be_written_is_an_external_failure(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(ExternalError, match="outgoing folder"):
            DropFolder(tmp_path / "file").deliver("k1", PAYLOAD)
