"""The policy as text: what is read, what is refused and where, what a change is."""

from datetime import timedelta

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from db.types import Role
from tools.errors import InvalidInput
from tools.policy.core.document import policy_of
from tools.policy.core.policy import Policy
from tools.policy.core.reading import MOST_BYTES, read_policy
from tools.policy.core.rules import cap_breach, quantity_breach
from tools.policy.core.writing import FieldChange, as_yaml, changes, with_values
from tools.policy.service import DEFAULT

TEXT = DEFAULT.read_text(encoding="utf-8")


def _policy(text: str = TEXT, currency: str = "USD") -> Policy:
    return policy_of(read_policy(text, currency=currency), version=1)


def _refused(text: str, currency: str = "USD") -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        read_policy(text, currency=currency)
    return refused.value


class TestRead:
    def test_the_packaged_policy_in_minor_units(self) -> None:
        policy = _policy()

        assert policy.role_limits == {
            Role.PLANNER: 1_000_000, Role.APPROVER: 2_500_000, Role.MANAGER: 10_000_000,
        }  # fmt: skip
        assert (policy.two_person_above_minor, policy.self_approval_limit_minor) == (
            5_000_000, 1_000_000,
        )  # fmt: skip
        assert (policy.supplier_cap_minor, policy.requester_cap_minor) == (25_000_000, 25_000_000)
        assert (policy.price_tolerance_bp, policy.last_price_tolerance_bp) == (200, 1_000)
        assert policy.approval_ttl == policy.cap_window == timedelta(hours=24)
        assert policy.dispatch_enabled

    @pytest.mark.parametrize(
        ("currency", "minor"), [("USD", 1_000_000), ("JPY", 10_000), ("KWD", 10_000_000)]
    )
    def test_amounts_have_the_digits_of_the_currency(self, currency: str, minor: int) -> None:
        assert _policy(currency=currency).self_approval_limit_minor == minor

    def test_every_rule_can_be_left_out_with_null(self) -> None:
        names = ("two_person_above", "last_price_percent", "last_quantity_times", "forecast_days",
                 "per_supplier", "per_requester", "orders_per_hour")  # fmt: skip

        policy = _policy(with_values(TEXT, dict.fromkeys(names, "null")))

        assert policy.two_person_above_minor is policy.supplier_cap_minor is None
        assert policy.requester_cap_minor is policy.orders_per_hour is None
        assert policy.max_quantity_ratio is policy.max_cover_days is None

    def test_a_role_without_limit_and_blocked_things_by_their_key(self) -> None:
        text = with_values(TEXT, {"manager": '"unlimited"'})
        text = text.replace("items: []", 'items: [" Widget-A "]')
        text = text.replace("suppliers: []", "suppliers: [ACME]")

        policy = _policy(text)

        assert policy.role_limits[Role.MANAGER] is None
        assert (policy.blocked_items, policy.blocked_suppliers) == (
            frozenset({"widget-a"}),
            frozenset({"acme"}),
        )


class TestRefuse:
    @pytest.mark.parametrize(
        ("name", "value", "field"),
        [
            ("two_person_above", "50000", "approval.two_person_above"),
            ("two_person_above", '"-1"', "approval.two_person_above"),
            ("two_person_above", ".nan", "approval.two_person_above"),
            ("two_person_above", '"NaN"', "approval.two_person_above"),
            ("two_person_above", '"1e9"', "approval.two_person_above"),
            ("two_person_above", '"1000.005"', "approval.two_person_above"),
            ("two_person_above", '"٣"', "approval.two_person_above"),
            ("self_approval_limit", "null", "approval.self_approval_limit"),
            ("price_move_percent", '"-2"', "tolerances.price_move_percent"),
            ("window_hours", "0", "caps.window_hours"),
            ("window_hours", "1.5", "caps.window_hours"),
            ("orders_per_hour", "true", "caps.orders_per_hour"),
            ("dispatch_enabled", "1", "dispatch_enabled"),
            ("dispatch_enabled", '"true"', "dispatch_enabled"),
            ("format", "quartermaster/policy/v9", "format"),
            ("items", '["\\0"]', "blocked.items.0"),
            ("items", "[caf\u0435-x]", "blocked.items"),
        ],
    )
    def test_names_field_and_line(self, name: str, value: str, field: str) -> None:
        error = _refused(with_values(TEXT, {name: value}))

        assert error.details["field"] == field
        line = TEXT.splitlines()[error.details["line"] - 1]
        assert field.split(".")[-1].rstrip("0") in line or name in line
        assert f"line {error.details['line']}, {field}" in error.message

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "a mapping"),
            ("[]", "a mapping"),
            ("a: &x 1\nb: *x", "anchors"),
            ("a: !!python/object/apply:os.system [ls]", "tags"),
            ("!x {}", "tags"),
            (TEXT + "format: again\n", "comes twice"),
            (TEXT + "colour: red\n", "no such field"),
            (TEXT.replace("caps:", "hats:"), "it is missing"),
            ("a: 1\n---\nb: 2\n", "another document"),
            ("[" * 30_000, "deeper"),
            ("a: {" * 10_000, "deeper"),
            ("? [1]\n: 2\n", "plain word"),
            ("<<: {a: 1}\n", "plain word"),
            ("a: " + "9" * 6_000, "cannot be read"),
            ("a: 'open", "cannot be read"),
            ("\ud800", "cannot be read"),
            ("a: \x00", "cannot be read"),
            ("x" * (MOST_BYTES + 1), "at most 64 KiB"),
        ],
    )
    def test_what_is_not_a_policy(self, text: str, says: str) -> None:
        assert says in _refused(text).message

    def test_a_bomb_of_aliases_is_refused_before_it_grows(self) -> None:
        bomb = "a0: &a0 [x]\n" + "".join(
            f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
        )

        assert "anchors" in _refused(bomb).message

    def test_another_currency_than_the_companys(self) -> None:
        error = _refused(TEXT.replace("dispatch_enabled", "currency: EUR\ndispatch_enabled", 1))

        assert error.details["field"] == "currency"

    @settings(deadline=None, max_examples=150)
    @given(
        st.one_of(
            st.text(max_size=300),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                lambda deep: (
                    st.lists(deep, max_size=4)
                    | st.dictionaries(st.text(max_size=8), deep, max_size=4)
                ),
                max_leaves=12,
            ).map(lambda value: yaml.safe_dump(value)),
        )
    )
    def test_any_text_is_read_or_refused_with_a_sentence(self, text: str) -> None:
        assert _refused(text).message

    @settings(deadline=None, max_examples=150)
    @given(st.data())
    def test_a_policy_with_one_character_changed_never_breaks(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(TEXT) - 1))
        sign = data.draw(st.characters())
        text = TEXT[:at] + sign + TEXT[at + 1 :]

        try:
            policy = _policy(text)
        except InvalidInput:
            return
        assert policy.self_approval_limit_minor >= 0


class TestWrite:
    def test_a_change_is_a_field_with_both_values(self) -> None:
        before = read_policy(TEXT, currency="USD").content()
        after = read_policy(with_values(TEXT, {"manager": '"1000000"'}), currency="USD").content()

        assert changes(before, after) == [
            FieldChange("approval.role_limits.manager", "100000", "1000000")
        ]
        assert changes(before, before) == []

    def test_comments_stay_and_only_the_value_changes(self) -> None:
        text = with_values(TEXT, {"dispatch_enabled": "false"})

        assert text == TEXT.replace("dispatch_enabled: true", "dispatch_enabled: false")

    def test_content_as_yaml_reads_back(self) -> None:
        document = read_policy(TEXT, currency="USD")

        assert read_policy(as_yaml(document.content()), currency="USD") == document


@given(
    st.lists(st.integers(0, 10**12), max_size=20), st.integers(0, 10**12), st.integers(0, 10**13)
)
def test_a_cap_holds_exactly_for_the_sum(
    before: list[int], order_minor: int, cap_minor: int
) -> None:
    breach = cap_breach(
        "supplier_cap", "'ACME'", before_minor=sum(before), order_minor=order_minor,
        cap_minor=cap_minor, window=timedelta(hours=24), currency="USD",
    )  # fmt: skip

    assert (breach is None) == (sum(before) + order_minor <= cap_minor)


def test_a_quantity_without_history_breaks_nothing() -> None:
    assert not quantity_breach(
        "A", 10**7, last_units=None, most_ratio=1, daily_demand=None, most_days=1
    )
    assert not quantity_breach("A", 10**7, last_units=0, most_ratio=1, daily_demand=0, most_days=1)
