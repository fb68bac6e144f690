"""``quartermaster explain`` on the demo shop."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli.main import app

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def sku() -> str:
    return "22910"


@pytest.fixture
def run(shop: Path) -> Run:
    """Run a command in this process, on a copy of the demo."""
    assert shop.is_dir()
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_explains_in_words_and_figures_that_add_up(run: Run, sku: str) -> None:
    data = json.loads(run("explain", sku, "--json").stdout)["data"]

    assert sum(term["value"] for term in data["order"]) == data["quantity"]
    assert sum(data["components"].values()) > 0
    assert data["why"][0].endswith(".")
    assert data["missing"] == []
    assert data["why"][0] in " ".join(run("explain", sku).stdout.split())


@pytest.mark.parametrize("picture", ["chart", "forecast", "order"])
def test_writes_each_picture(run: Run, sku: str, tmp_path: Path, picture: str) -> None:
    target = tmp_path / "item.svg"

    result = run("explain", sku, "--svg", str(target), "--picture", picture)

    assert result.exit_code == 0, result.output
    assert ET.fromstring(target.read_text(encoding="utf-8")).get("role") == "img"


def test_draws_to_the_screen(run: Run, sku: str) -> None:
    assert run("explain", sku, "--svg", "-").stdout.startswith("<svg")


def test_a_file_that_cannot_be_written(run: Run, sku: str, tmp_path: Path) -> None:
    result = run("explain", sku, "--svg", str(tmp_path / "none" / "item.svg"))

    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_an_unknown_item(run: Run) -> None:
    assert run("explain", "no-such-thing-at-all").exit_code == 1
