"""Roles, limits, passwords and keys."""

import hashlib
import time

import pytest

from db.types import Actor, Permission, Role
from tools.errors import Forbidden, InvalidInput, NotAuthenticated
from tools.identity.core import (
    KeyParts,
    can_approve,
    can_draft,
    check_password,
    effective_limit,
    is_password,
    is_secret,
    may,
    password_hash,
    rank,
    read_key,
    require,
    secret_hash,
    wait_after,
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


def _actor(role: Role, *allowed: Permission) -> Actor:
    return Actor(1, "mona", "Mona", role, permissions=frozenset(allowed) or None)


class TestPermissions:
    # Who may what, written out: a change of the product must change this table, too.
    TABLE = (
        "role      read draft decide receive admin",
        "viewer    yes  -     -      -       -",
        "planner   yes  yes   yes    yes     -",
        "approver  yes  yes   yes    yes     -",
        "manager   yes  yes   yes    yes     -",
        "admin     yes  yes   -      yes     yes",
        "service   yes  -     -      yes     -",
    )

    @pytest.mark.parametrize("row", TABLE[1:])
    def test_the_matrix(self, row: str) -> None:
        role, *cells = row.split()
        permissions = [Permission(name) for name in self.TABLE[0].split()[1:]]

        told = [may(_actor(Role(role)), permission) for permission in permissions]

        assert told == [cell == "yes" for cell in cells]

    @pytest.mark.parametrize("role", list(Role))
    def test_a_key_only_ever_narrows(self, role: Role) -> None:
        for one in Permission:
            for other in Permission:
                narrowed = may(_actor(role, one), other)
                assert narrowed == (one is other and may(_actor(role), other))

    def test_the_refusal_says_whether_role_or_key(self) -> None:
        with pytest.raises(Forbidden) as by_role:
            require(_actor(Role.ADMIN), Permission.DECIDE)
        with pytest.raises(Forbidden, match="allows read, not decide") as by_key:
            require(_actor(Role.MANAGER, Permission.READ), Permission.DECIDE)

        assert (by_role.value.details, by_key.value.details) == (
            {"reason": "role"}, {"reason": "key"},
        )  # fmt: skip


class TestPasswords:
    @pytest.mark.parametrize(
        "password",
        ["correct horse battery staple", "Tr0ub4dor&3xyz", "8f3k29d0s8f7a6", "7391 8264 0517",
         "grüner-tee-am-morgen"],
    )  # fmt: skip
    def test_good_ones(self, password: str) -> None:
        assert check_password(password, login="mona", name="Mona Lisa") == password

    @pytest.mark.parametrize(
        "password",
        ["short", "x" * 257, "password12345", "Passw0rd!2026", "123456789012", "qwertyuiopas",
         "aaaaaaaaaaaa", "monamona1234", "admin admin admin", "abcdefghijkl", "Quartermaster2026!"],
    )  # fmt: skip
    def test_refuses_the_first_guesses_without_repeating_them(self, password: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            check_password(password, login="mona", name="Mona Lisa")

        assert password not in refused.value.message

    def test_only_the_password_fits_its_hash(self) -> None:
        stored = password_hash("correct horse battery staple", b"s" * 16)

        assert is_password("correct horse battery staple", stored)
        assert not is_password("correct horse battery stable", stored)
        assert "horse" not in stored

    def test_it_is_scrypt_with_a_setting_that_owasp_recommends(self) -> None:
        # OWASP Password Storage Cheat Sheet: N=2^14 (16 MiB), r=8, p=5
        name, n, r, p, salt, digest = password_hash("x" * 12, b"s" * 16).split("$")
        expected = hashlib.scrypt(b"x" * 12, salt=b"s" * 16, n=2**14, r=8, p=5, dklen=32)

        assert (name, n, r, p) == ("scrypt", "14", "8", "5")
        assert (salt, digest) == ((b"s" * 16).hex(), expected.hex())

    def test_composed_and_decomposed_letters_are_one_password(self) -> None:
        stored = password_hash(check_password("gru\u0308ner-tee-jetzt", login="m"), b"s" * 16)

        assert is_password("gr\u00fcner-tee-jetzt", stored)

    def test_without_a_hash_nothing_fits_and_the_work_is_done(self) -> None:
        started = time.process_time()

        assert not is_password("correct horse battery staple", "")

        assert time.process_time() - started > 0.02  # scrypt; a bare comparison takes microseconds

    def test_waits_grow_from_the_fifth_failure_to_an_hour(self) -> None:
        waits = [wait_after(failures).total_seconds() for failures in range(4, 14)]

        assert waits == [0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
