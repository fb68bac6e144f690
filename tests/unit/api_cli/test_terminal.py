import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pytest

from api.cli import terminal
from db.types import Decision
from tools.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    QuartermasterError,
    Stale,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("x"), 1), (NotFound("x"), 1), (Conflict("x"), 4), (Stale("x"), 4),
        (Forbidden("x"), 5), (NotAuthenticated("x"), 5),
    ],
)  # fmt: skip
def test_every_error_has_its_exit_code(error: QuartermasterError, code: int) -> None:
    assert terminal.exit_code(error) == code


def test_an_error_of_a_tool_becomes_the_same_error_here() -> None:
    envelope = {
        "ok": False, "error": "ambiguous", "message": "which glove?", "next": "Say the size.",
        "details": {"matches": []},
    }  # fmt: skip

    with pytest.raises(InvalidInput, match="which glove") as caught:
        terminal.data_of(envelope)

    assert caught.value.code == "ambiguous"
    assert caught.value.next_step == "Say the size."


def test_views_become_json_values() -> None:
    @dataclass(frozen=True)
    class View:
        decision: Decision
        on: date
        price: Decimal
        lines: tuple[int, ...]

    view = View(Decision.APPROVE, date(2026, 3, 2), Decimal("7.80"), (1, 2))

    assert terminal.jsonable(view) == {
        "decision": "approve", "on": "2026-03-02", "price": "7.80", "lines": [1, 2],
    }  # fmt: skip


def test_the_program_starts_without_the_heavy_libraries() -> None:
    heavy = ("pandas", "sqlmodel", "sqlalchemy", "langgraph", "fastapi", "rich.table", "pydantic")
    check = f"import api.cli.main, sys; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout.strip() == "[]"
