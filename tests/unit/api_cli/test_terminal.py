import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from rich.table import Table
from rich.text import Text

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


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("Cable [large] red", "Cable [large] red"),
        ("Cable [/5m] red", "Cable [/5m] red"),
        ("[link=http://evil.example]pay[/link]", "[link=http://evil.example]pay[/link]"),
        ("note \x1b[2J\x1b[1;1H9,999", "note [2J[1;1H9,999"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        (":warning: hot", ":warning: hot"),
    ],
)
def test_stored_text_cannot_steer_the_terminal(
    capsys: pytest.CaptureFixture[str], stored: str, shown: str
) -> None:
    table = Table(box=None)
    table.add_column("name", no_wrap=True)
    table.add_row(stored)
    shell = terminal.Terminal()

    shell.show(table, Text(stored))
    shell.note(stored)

    printed = capsys.readouterr()
    assert printed.out.count(shown) == 2
    assert shown in printed.err
    assert not {"\x1b", "\u202e"} & set(printed.out + printed.err)


def test_a_bug_gets_an_incident_number_and_is_written_down(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(typer.Exit) as ended, terminal.terminal(settings={"data_dir": tmp_path}):
        raise ZeroDivisionError

    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.exit_code == 1
    assert "Something failed on our side (incident " in said
    assert "Traceback" not in said
    assert "ZeroDivisionError" in (tmp_path / "errors.log").read_text()
