"""The report: charts in words too, a page that loads nothing, a file that is never half there."""

import re
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest

from api.reports import svg
from api.reports.backtest import page
from api.reports.files import write_whole
from tests.unit.tools.test_backtest_core import result
from tools.backtest.core.assumptions import Assumptions
from tools.backtest.core.measuring import Measured, ModelScore
from tools.backtest.core.results import Curve, CurvePoint, Example, ItemResult, Report
from tools.errors import InvalidInput

NAUGHTY = '<script>alert("1")</script> & Söhne'


@pytest.fixture
def report() -> Report:
    """Two weeks of one item whose name is an attack."""
    keys = ("spreadsheet", "spreadsheet_weekly", "textbook", "ours", "clairvoyant")
    point = CurvePoint(7.0, 100.0, 0.9, 50.0)
    example = Example(
        sku=NAUGHTY, name="a lamp", history=(1.0,) * 91, demand=(2.0,) * 28, fan_days=(1, 7, 14),
        fan_low=(0.0, 5.0, 9.0), fan_mean=(2.0, 14.0, 28.0), fan_high=(5.0, 25.0, 50.0),
        fan_actual=(2.0, 14.0, 28.0), stock={"spreadsheet": (5.0,) * 28, "ours": (4.0,) * 28},
        orders={"spreadsheet": ((3, 12.0),), "ours": ()},
        item_cost={"spreadsheet": 5.0, "ours": 4.0},
    )  # fmt: skip
    nothing = float("nan")
    scores = (ModelScore("default", "our default", 0.4, nothing, 0.1, nothing, 0.9),)
    return Report(
        source="sales.csv", currency="GBP", rows_read=100, candidates=3, items=1,
        first_day=date(2025, 1, 1), test_from=date(2025, 4, 1), last_day=date(2025, 4, 28),
        period_days=1, left_out=(NAUGHTY,), notes=(), assumptions=Assumptions(),
        lead_time_range=(5.0, 5.0), accuracy=Measured(7, 4, scores, ()),
        policies=tuple(result(key, total_cost=10.0) for key in keys),
        curves=tuple(Curve(key, key, "days", (point, point)) for key in ("ours", "textbook")),
        example=example,
        by_item=(ItemResult(NAUGHTY, "", 5, 56, 0.9, nothing, 5, 4, 5, 4),),
        sentences=("Ours would have cost less.", "And more is said."), seconds=3.0,
    )  # fmt: skip


class TestPage:
    def test_loads_nothing_and_runs_nothing(self, report: Report) -> None:
        text = page(report)

        assert not re.search(r"https?:|//|<script|<link|<img|@import|url\(|javascript:", text)
        assert "default-src 'none'" in text

    def test_writes_names_as_text(self, report: Report) -> None:
        text = page(report)

        assert "&lt;script&gt;" in text
        assert "Söhne" in text

    def test_every_picture_is_well_formed_and_says_what_it_shows(self, report: Report) -> None:
        pictures = re.findall(r"<svg.*?</svg>", page(report), re.DOTALL)

        assert len(pictures) == 5
        for picture in pictures:
            root = ElementTree.fromstring(picture)
            assert root.get("role") == "img"
            assert root.get("aria-label")
            assert "nan" not in picture

    def test_has_dark_and_paper_and_every_class_has_a_colour(self, report: Report) -> None:
        text = page(report)

        assert "prefers-color-scheme: dark" in text
        assert "@media print" in text
        for key in ("spreadsheet", "spreadsheet_weekly", "textbook", "ours", "ours_tuned",
                    "clairvoyant", "holding", "ordering", "lost", "past", "test", "fan",
                    "forecast", "actual"):  # fmt: skip
            assert f".{key} {{ --c:" in text

    def test_leaves_out_what_is_undefined(self, report: Report) -> None:
        assert ">nan" not in page(report)


class TestTicks:
    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [(0, 10, [0, 2, 4, 6, 8, 10]), (0.78, 1.0, [0.8, 0.85, 0.9, 0.95, 1.0]), (3, 3, [3])],
    )
    def test_are_round(self, low: float, high: float, expected: list[float]) -> None:
        assert svg.ticks(low, high) == pytest.approx(expected)


def test_a_frame_puts_the_ends_of_the_data_at_its_edges() -> None:
    frame = svg.Frame(0, 10, 0, 1)

    assert (frame.x(0), frame.x(10)) == (svg.LEFT, svg.WIDTH - svg.RIGHT)
    assert (frame.y(1), frame.y(0)) == (svg.TOP, svg.HEIGHT - svg.BOTTOM)


class TestFile:
    def test_replaces_the_old_one_and_leaves_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        path.write_text("old")

        write_whole(path, "new")

        assert path.read_text() == "new"
        assert [each.name for each in tmp_path.iterdir()] == ["report.html"]

    def test_leaves_nothing_behind_when_it_fails(self, tmp_path: Path) -> None:
        (tmp_path / "report.html").mkdir()

        with pytest.raises(InvalidInput, match="cannot be written"):
            write_whole(tmp_path / "report.html", "new")

        assert [each.name for each in tmp_path.iterdir()] == ["report.html"]

    def test_says_where_it_cannot_write(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="cannot be written"):
            write_whole(tmp_path / "none" / "report.html", "new")
