"""What the terminal shows to somebody whose work is a part, and what it lets them load."""

import json
import sqlite3
from pathlib import Path

import pytest

from api.settings import load_settings
from tests.e2e.test_cli_audit import _approval, _order_of, run


@pytest.fixture
def request_number(shop: Path) -> str:
    """A request in the shop, about an order that vera and paul do not see."""
    assert shop.is_dir()
    number = _approval()
    with sqlite3.connect(load_settings().data_dir / "quartermaster.db") as database:
        database.execute(
            "INSERT INTO user_scope (user_id, kind, value)"
            " SELECT id, 'supplier', 'ELSEWHERE' FROM app_user WHERE login = 'vera'"
        )
    return number


def test_what_is_outside_is_as_if_it_were_not(request_number: str) -> None:
    order = _order_of(request_number)

    for command in (
        ("approve", request_number, "--version", "1", "--yes"), ("receipts", "list", order),
        ("audit", "show", order), ("audit", "show", request_number),
    ):  # fmt: skip
        result = run(*command, "--as", "vera")
        assert result.exit_code != 0, (command, result.output)
        assert "there is no" in result.stderr.lower(), (command, result.stderr)
    seen = json.loads(run("approvals", "--as", "vera", "--json").stdout)["data"]["approvals"]
    answers = json.loads(run("answers", "list", "--all", "--as", "vera", "--json").stdout)
    assert (seen, answers["data"]["answers"]) == ([], [])
    assert run("audit", "show", order, "--as", "mona").exit_code == 0


def test_the_whole_trail_is_not_for_who_sees_a_part(request_number: str, tmp_path: Path) -> None:
    result = run("audit", "export", "-o", str(tmp_path / "trail.jsonl"), "--as", "vera")

    assert request_number
    assert "sees a part" in result.stderr
    assert not (tmp_path / "trail.jsonl").exists()


def test_who_only_looks_loads_no_file(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop.is_dir()
    file = tmp_path / "items.csv"
    file.write_text("sku,name\nZ-1,Zed\n", encoding="utf-8")
    monkeypatch.setenv("QM_USER", "vera")

    result = run("ingest", "items", str(file))

    assert result.exit_code != 0
    assert "does not load files" in result.stderr
