"""Roles, limits and keys."""

import pytest

from db.types import Role
from tools.errors import NotAuthenticated
from tools.identity.core import (
    KeyParts,
    can_approve,
    can_draft,
    effective_limit,
    is_secret,
    rank,
    read_key,
    secret_hash,
    write_key,
)

PARTS = KeyParts("live", "0123456789ab", "f" * 64)


class TestRoles:
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN, Role.SERVICE])
    def test_who_never_approves(self, role: Role) -> None:
        assert not can_approve(role)
        assert rank(role) == 0

    def test_deciding_roles_are_ordered(self) -> None:
        assert rank(Role.PLANNER) < rank(Role.APPROVER) < rank(Role.MANAGER)

    def test_viewers_and_machines_do_not_draft(self) -> None:
        assert [role for role in Role if not can_draft(role)] == [Role.VIEWER, Role.SERVICE]


def _limit(role: Role, role_limit: int | None, own: int | None, *, has: bool = True) -> int | None:
    return effective_limit(
        role, role_limit_minor=role_limit, own_limit_minor=own, has_role_limit=has
    )


class TestEffectiveLimit:
    def test_the_role_gives_the_limit(self) -> None:
        assert _limit(Role.PLANNER, 500, None) == 500

    @pytest.mark.parametrize("own", [0, 100, 900])
    def test_the_own_limit_goes_before_the_roles(self, own: int) -> None:
        assert _limit(Role.PLANNER, 500, own) == own

    def test_no_limit_at_all(self) -> None:
        assert _limit(Role.MANAGER, None, None) is None

    def test_a_role_without_a_row_may_approve_nothing(self) -> None:
        assert _limit(Role.MANAGER, None, None, has=False) == 0

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN, Role.SERVICE])
    def test_an_own_limit_does_not_make_an_approver(self, role: Role) -> None:
        assert _limit(role, None, 10**9) == 0


class TestKeys:
    def test_a_key_is_read_as_it_was_written(self) -> None:
        assert read_key(write_key(PARTS)) == PARTS

    @pytest.mark.parametrize(
        "text",
        ["", "qm_live_0123456789ab", "qm_LIVE_0123456789ab_" + "f" * 64, write_key(PARTS) + "0",
         write_key(PARTS) + "\n", "xx" + write_key(PARTS)],
    )  # fmt: skip
    def test_refuses_what_is_not_a_key_without_repeating_it(self, text: str) -> None:
        with pytest.raises(NotAuthenticated) as refused:
            read_key(text)

        assert not text or text not in refused.value.message

    def test_only_the_secret_fits_its_hash(self) -> None:
        stored = secret_hash("f" * 64)

        assert is_secret("f" * 64, stored)
        assert not is_secret("e" * 64, stored)
        assert len(stored) == 32
