"""What can be said to a request."""

from typing import Any

import pytest

from db.types import Decision
from tools.approvals.core import MEANINGS, Edit, answered, read_edits
from tools.errors import InvalidInput


def test_every_decision_has_a_meaning_and_a_sentence() -> None:
    assert set(MEANINGS) == set(Decision)
    for decision in Decision:
        assert "PO-1" in answered(decision, actor_name="Mona", order="PO-1", reason="late")


def test_edits_are_skus_with_whole_quantities() -> None:
    assert read_edits([{"sku": "W", "quantity": 0}, {"sku": "X", "quantity": 12}]) == (
        Edit("W", 0), Edit("X", 12),
    )  # fmt: skip


@pytest.mark.parametrize(
    "edits",
    [None, [], [{}], [{"sku": "W"}], [{"sku": "W", "quantity": 1.5}],
     [{"sku": "W", "quantity": "5"}], [{"sku": "W", "quantity": True}],
     [{"sku": "W", "quantity": -1}], [{"sku": 5, "quantity": 1}]],
)  # fmt: skip
def test_refuses_what_is_no_edit(edits: Any) -> None:
    with pytest.raises(InvalidInput):
        read_edits(edits)
