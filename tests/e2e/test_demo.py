"""The first five minutes of a newcomer, without a terminal."""

import json
import re
from pathlib import Path

from tests.e2e.conftest import Demo, quartermaster


def test_the_demo_ends_with_an_approved_order_on_disk(demo: Demo) -> None:
    assert demo.exit_code == 0, demo.noise + demo.printed

    files = list((demo.folder / "outgoing").glob("PO-*.json"))
    assert len(files) == 1
    order = json.loads(files[0].read_text())
    assert order["approval"]["approved_by"] == "Mona"
    assert files[0].with_suffix(".csv").is_file()


def test_the_demo_says_first_what_is_real_and_what_is_generated(demo: Demo) -> None:
    head = demo.printed.splitlines()[:10]

    assert any("CC BY 4.0" in line for line in head)
    assert any(line.startswith("generated") for line in head)


def test_the_demo_plays_the_whole_conversation(demo: Demo) -> None:
    for line in ("what needs ordering today?", "draft the first one", "yes"):
        assert f"pat \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} {line}" in demo.printed
    assert re.search(r"\$ quartermaster approve a-\d+ --version 1 --yes --as mona", demo.printed)
    assert "The audit trail is whole" in demo.printed


def test_the_demo_prints_for_a_terminal_of_a_hundred_columns(demo: Demo) -> None:
    shown = demo.printed.replace(str(demo.folder), ".quartermaster").splitlines()

    assert [line for line in shown if len(line) > 100] == []
    assert [line for line in demo.printed.splitlines() if line != line.rstrip()] == []


def test_a_second_run_uses_what_is_there(shop: Path) -> None:
    again = quartermaster("demo", data_dir=shop)

    assert again.returncode == 0, again.stderr
    assert "--reset starts again" in " ".join(again.stdout.split())


def test_reset_starts_again_and_prints_the_same(demo: Demo, shop: Path) -> None:
    again = quartermaster("demo", "--reset", data_dir=shop)

    assert again.returncode == 0, again.stderr
    assert again.stdout.replace(str(shop), "DATA") == demo.printed.replace(str(demo.folder), "DATA")


def test_reset_refuses_a_folder_that_is_not_a_demo(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")

    refused = quartermaster("demo", "--reset", data_dir=tmp_path)

    assert refused.returncode == 1
    assert "not a demo" in refused.stderr
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_the_demo_leaves_another_database_alone(tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"

    refused = quartermaster("demo", data_dir=tmp_path / "data", QM_DATABASE_URL=other)

    assert refused.returncode == 1
    assert "QM_DATABASE_URL" in refused.stderr
    assert not (tmp_path / "other.db").exists()
