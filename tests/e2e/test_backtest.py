"""`quartermaster backtest` as a user runs it: own sales, a report, errors with a way out."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.e2e.conftest import quartermaster

START = date(2025, 1, 1)


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """Two hundred days of three items, with a cost and a lead time."""
    lines = ["date,sku,quantity,cost,price,lead time"]
    lines += [
        f"{START + timedelta(days=day)},{sku},{units + (day * step) % 5},4.00,7.50,9"
        for day in range(200)
        for sku, units, step in (("LAMP", 6, 3), ("MUG", 2, 2), ("BULB", 11, 1))
    ]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_own_sales_become_figures_and_a_report(sales: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.html"
    done = quartermaster(
        "backtest", "--data", str(sales), "--skus", "2", "--replications", "3", "--json",
        "--html", str(target), data_dir=tmp_path / "data",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    data = answer["data"]
    assert answer["html"] == str(target)
    assert (data["items"], data["candidates"], data["rows_read"]) == (2, 3, 600)
    assert (data["first_day"], data["last_day"]) == ("2025-01-01", "2025-07-19")
    keys = [one["key"] for one in data["policies"]]
    assert keys[0] == "spreadsheet"
    assert keys[-1] == "clairvoyant"
    assert data["policies"][-1]["total_cost"] == min(p["total_cost"] for p in data["policies"])
    assert len(data["accuracy"]["scores"]) >= 6
    assert "over these 66 days" in data["sentences"][0]
    assert "<svg" in target.read_text(encoding="utf-8")
    assert not (tmp_path / "data").exists()  # it needs no database and makes none


def test_too_short_a_history_says_what_is_needed(sales: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    lines = sales.read_text().splitlines()[: 1 + 3 * 50]
    short.write_text("\n".join(lines) + "\n")
    target = tmp_path / "out.html"

    done = quartermaster(
        "backtest", "--data", str(short), "--html", str(target), "--json", data_dir=tmp_path / "d"
    )

    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert answer["error"] == "insufficient_data"
    assert "spans 50 days; a backtest needs 112" in answer["message"]
    assert not target.exists()


def test_a_report_that_has_no_place_is_refused_at_once(sales: Path, tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "out.html"
    done = quartermaster(
        "backtest", "--data", str(sales), "--html", str(target), data_dir=tmp_path / "d"
    )

    assert done.returncode == 1
    assert "There is no folder" in done.stderr
