"""Deliveries: key, waiting, failures; and what the files say."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.documents.core.table import order_csv
from tools.outbox.core import MAX_ATTEMPTS, Failure, after_failure, delivery_key, retry_delay

PAYLOAD: dict[str, Any] = {
    "key": "po:PO-1:v1:abc", "number": "PO-1", "revision": 1, "currency": "USD",
    "need_by": None, "ship_to": "MAIN",
    "approval": {"number": "a-1", "approved_by": "Mona", "approved_at": "2026-03-02T09:00:00"},
    "lines": [
        {"line": 1, "sku": "W", "supplier_sku": "S", "name": "Widget", "units": 12, "uom": "each",
         "packs": 1, "pack_uom": "case", "unit_price": "7.80", "amount": "93.60"}
    ],
}  # fmt: skip


def test_a_key_names_order_revision_and_content() -> None:
    keys = {
        delivery_key("PO-1", revision=1, fingerprint="a" * 64),
        delivery_key("PO-2", revision=1, fingerprint="a" * 64),
        delivery_key("PO-1", revision=2, fingerprint="a" * 64),
        delivery_key("PO-1", revision=1, fingerprint="b" * 64),
    }

    assert len(keys) == 4


class TestRetryDelay:
    @pytest.mark.parametrize(("attempts", "middle_s"), [(1, 5), (2, 10), (5, 80), (20, 3600)])
    def test_doubles_up_to_an_hour_and_spreads_by_a_quarter(
        self, attempts: int, middle_s: int
    ) -> None:
        delay = retry_delay("k", attempts=attempts)

        assert timedelta(seconds=middle_s * 0.75) <= delay <= timedelta(seconds=middle_s * 1.25)

    def test_different_deliveries_wait_differently(self) -> None:
        assert len({retry_delay(f"k{n}", attempts=3) for n in range(20)}) == 20


class TestAfterFailure:
    def test_a_safe_channel_tries_again_then_gives_up(self) -> None:
        first = after_failure(attempts=1, is_idempotent=True, is_surely_unsent=False)
        last = after_failure(attempts=MAX_ATTEMPTS, is_idempotent=True, is_surely_unsent=False)

        assert (first, last) == (Failure.RETRY, Failure.GIVE_UP)

    def test_another_channel_is_in_doubt_unless_surely_nothing_was_sent(self) -> None:
        unsure = after_failure(attempts=1, is_idempotent=False, is_surely_unsent=False)
        sure = after_failure(attempts=1, is_idempotent=False, is_surely_unsent=True)

        assert (unsure, sure) == (Failure.IN_DOUBT, Failure.RETRY)


class TestOrderCsv:
    def test_says_what_where_and_who_approved(self) -> None:
        (row,) = csv.DictReader(io.StringIO(order_csv(PAYLOAD)))

        assert (row["sku"], row["units"], row["amount"]) == ("W", "12", "93.60")
        assert (row["approval"], row["approved_by"], row["key"]) == (
            "a-1", "Mona", "po:PO-1:v1:abc",
        )  # fmt: skip

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝", " ="])  # noqa: RUF001
    def test_text_that_looks_like_a_formula_is_defused(self, start: str) -> None:
        line = PAYLOAD["lines"][0] | {"name": f"{start}cmd()"}

        (row,) = csv.DictReader(io.StringIO(order_csv(PAYLOAD | {"lines": [line]}), newline=""))

        assert row["name"] == f"'{start}cmd()"

    def test_a_negative_number_stays_a_number(self) -> None:
        line = PAYLOAD["lines"][0] | {"amount": "-1.00"}

        (row,) = csv.DictReader(io.StringIO(order_csv(PAYLOAD | {"lines": [line]})))

        assert row["amount"] == "-1.00"

    @given(st.text(max_size=20).filter(lambda text: "\0" not in text))
    def test_no_name_starts_a_formula(self, name: str) -> None:
        line = PAYLOAD["lines"][0] | {"name": name}

        text = order_csv(PAYLOAD | {"lines": [line]})
        (row,) = csv.DictReader(io.StringIO(text, newline=""))

        assert row["name"].lstrip("'") == name.lstrip("'")
        assert not row["name"].lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))
