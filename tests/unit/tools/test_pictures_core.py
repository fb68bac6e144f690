"""The pictures against stored references, which a person looked at before storing them."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date, timedelta
from difflib import unified_diff
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.errors import InvalidInput
from tools.pictures.core import bars, item, svg

GOLDEN = Path(__file__).parents[2] / "golden"
TODAY = date(2026, 3, 2)
SVG = "{http://www.w3.org/2000/svg}"


def _chart() -> item.ItemChart:
    """Fixture P: 540 available, 300 on PO-1042 due on day 4, 100 a day, reorder point 1,244."""
    history = tuple(
        item.Past(TODAY - timedelta(days=7 * k), 700.0 + 20 * (k % 3)) for k in range(12, 0, -1)
    )
    weeks = tuple(
        item.Range(TODAY + timedelta(days=7 * k), 700.0, 613.0, 664.3, 735.7, 787.0)
        for k in range(3)
    )
    stock = []
    for day in range(21):
        mean = 540.0 + (300 if day >= 4 else 0) - 100 * (day + 1)
        half, whole = 13.5 * (day + 1) ** 0.5, 32.9 * (day + 1) ** 0.5
        values = (mean - whole, mean - half, mean + half, mean + whole)
        stock.append(item.Range(TODAY + timedelta(days=day), mean, *values))
    return item.ItemChart(
        title="WIDGET-A Widget A at MAIN", uom="each", today=TODAY, history=history,
        forecast=weeks, stock=tuple(stock), reorder_point=1244,
        receipts=(item.Due(TODAY + timedelta(days=4), 300, "PO-1042"),),
        stockout_on=TODAY + timedelta(days=8),
    )  # fmt: skip


def _sum() -> bars.Sum:
    """The order of fixture P: 900 + 344 + 1,400 - 620 + 80 - 300 = 1,804, packs of 120: 1,920."""
    values = {
        "forecast over 9 days": 900, "safety stock": 344, "cover of 14 days": 1400,
        "on hand": -620, "allocated": 80, "on order": -300, "rounding to multiples of 120": 116,
    }  # fmt: skip
    terms = [{"label": label, "value": value} for label, value in values.items()]
    return bars.sum_of(
        terms, title="WIDGET-A at MAIN: order", uom="each", total_label="order quantity", total=1920
    )


def _agrees(text: str, name: str) -> None:
    stored = (GOLDEN / name).read_text(encoding="utf-8")
    found = unified_diff(stored.splitlines(), text.splitlines(), f"tests/golden/{name}", "drawn")
    difference = "\n".join(found)
    assert not difference, f"the picture changed:\n{difference}"


def _coordinates(text: str) -> list[tuple[float, float]]:
    """All points of a picture."""
    points = []
    for element in ET.fromstring(text).iter():
        values = element.attrib
        points += [
            (float(values[x]), float(values[y]))
            for x, y in (("x", "y"), ("x1", "y1"), ("x2", "y2"))
            if x in values
        ]
        pairs = re.findall(r"(-?[\d.]+) (-?[\d.]+)", values.get("d", ""))
        points += [(float(x), float(y)) for x, y in pairs]
    return points


class TestItemPicture:
    def test_looks_as_stored(self) -> None:
        _agrees(item.item_svg(_chart()), "item_chart.svg")

    def test_says_the_same_in_words(self) -> None:
        # The last four weeks sold 720, 700, 740 and 720 (20 * (k % 3), k = 4, 3, 2, 1).
        assert item.description(_chart()) == (
            "The last 4 weeks sold 720 each a week on average. Expected in the week from 2 Mar "
            "2026: 700, between 613 and 787 with 90 % probability. Without a new order stock runs "
            "out on 10 Mar 2026. The reorder point is 1,244. PO-1042 brings 300 on 6 Mar 2026."
        )

    def test_has_a_title_a_description_and_no_address_of_elsewhere(self) -> None:
        text = item.item_svg(_chart())
        root = ET.fromstring(text)

        title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None
        assert desc is not None
        assert title.text == "WIDGET-A Widget A at MAIN"
        assert root.get("role") == "img"
        assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
        assert re.findall(r"https?://[^\"' ]+", text) == ["http://www.w3.org/2000/svg"]
        assert not re.search(r"<script|href|url\(|@import|on\w+=", text)

    def test_two_pictures_of_a_page_have_different_ids(self) -> None:
        other = replace(_chart(), title="WIDGET-B")
        ids = [re.findall(r' id="(\w+)"', item.item_svg(chart)) for chart in (_chart(), other)]

        assert not set(ids[0]) & set(ids[1])

    def test_the_table_holds_every_figure(self) -> None:
        table = item.table(_chart())

        assert len(table.rows) == 12 + 3 + 21
        assert table.rows[12][:4] == ("expected in the week from", "2026-03-02", 700.0, 613.0)
        assert table.rows[15 + 4] == (
            "stock at the end of", "2026-03-06", 340.0, 266.43, 309.81, 370.19, 413.57,
            "PO-1042 300",
        )  # fmt: skip
        assert all(len(row) == len(table.columns) for row in table.rows)

    def test_a_name_is_text_and_nothing_else(self) -> None:
        chart = replace(_chart(), title='</title><script>alert("1")</script>\x1b\u202egnp')

        text = item.item_svg(chart)

        assert not ET.fromstring(text).findall(f".//{SVG}script")
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "<script>" not in item.table(chart).html()

    def test_draws_what_there_is_without_a_forecast(self) -> None:
        chart = replace(
            _chart(), forecast=(), stock=(), reorder_point=None, receipts=(), stockout_on=None,
            notes=("No forecast: too few days.",),
        )  # fmt: skip

        assert "No forecast: too few days." in item.item_svg(chart)

    def test_refuses_to_draw_nothing(self) -> None:
        empty = item.ItemChart("DUST", "each", TODAY, (), (), ())
        with pytest.raises(InvalidInput, match="nothing to draw for 'DUST'"):
            item.item_svg(empty)

    def test_refuses_a_range_that_is_not_in_order(self) -> None:
        wrong = replace(_chart().forecast[0], low90=800.0)
        with pytest.raises(InvalidInput, match="not in order"):
            item.item_svg(replace(_chart(), forecast=(wrong,)))

    @settings(max_examples=30, deadline=None)
    @given(
        st.lists(st.floats(0, 1e9), max_size=30),
        st.lists(st.tuples(*[st.floats(-1e6, 1e9)] * 4), min_size=1, max_size=30),
        st.integers(0, 10**9),
    )
    def test_stays_inside_its_frame(
        self, sold: list[float], ranges: list[tuple[float, ...]], point: int
    ) -> None:
        rows = tuple(
            item.Range(TODAY + timedelta(days=k), sum(r) / 4, *sorted(r))
            for k, r in enumerate(ranges)
        )
        past = tuple(
            item.Past(TODAY - timedelta(days=7 * (len(sold) - k)), units)
            for k, units in enumerate(sold)
        )
        chart = item.ItemChart("X", "each", TODAY, past, rows, rows, reorder_point=point)

        for x, y in _coordinates(item.item_svg(chart)):
            assert 0 <= x <= item.WIDTH
            assert 0 <= y <= item.HEIGHT


class TestSumPicture:
    def test_looks_as_stored(self) -> None:
        _agrees(bars.sum_svg(_sum()), "order_waterfall.svg")

    def test_each_term_starts_where_the_one_before_ended(self) -> None:
        rows = [
            (float(e.attrib["x"]), float(e.attrib["width"]))
            for e in ET.fromstring(bars.sum_svg(_sum())).iter(f"{SVG}rect")
        ][1:]
        starts_and_ends = [(x, x + width) for x, width in rows]

        for (left, right), (next_left, next_right) in pairwise(starts_and_ends[:-1]):
            touching = {abs(a - b) for a in (left, right) for b in (next_left, next_right)}
            assert min(touching) <= 0.11  # coordinates have one decimal

    def test_the_total_is_the_length_of_the_last_bar(self) -> None:
        *_, term, total = ET.fromstring(bars.sum_svg(_sum())).iter(f"{SVG}rect")

        scale = 340 / 2644  # the highest sum on the way, 900 + 344 + 1,400, spans the 340 points
        assert float(total.attrib["width"]) == pytest.approx(1920 * scale, abs=0.1)
        assert float(term.attrib["width"]) == pytest.approx(116 * scale, abs=0.1)

    def test_the_table_ends_with_the_total(self) -> None:
        assert bars.sum_table(_sum()).rows[-1] == ("order quantity", 1920.0)

    def test_refuses_terms_that_do_not_add_up(self) -> None:
        with pytest.raises(InvalidInput, match=r"add up to 3\.0, not to 4"):
            bars.sum_of(
                [{"label": "a", "value": 3}], title="t", uom="each", total_label="all", total=4
            )

    def test_refuses_no_terms(self) -> None:
        with pytest.raises(InvalidInput, match="nothing to draw"):
            bars.sum_of([], title="t", uom="each", total_label="all", total=0)


class TestSvg:
    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [
            (0, 10, [0, 2, 4, 6, 8, 10]),
            (-300, 700, [-200, 0, 200, 400, 600]),
            (0, 0.7, [0, 0.2, 0.4, 0.6]),
            (5, 5, [5]),
            (0, float("inf"), [0]),
        ],
    )
    def test_ticks_are_round(self, low: float, high: float, expected: list[float]) -> None:
        assert svg.ticks(low, high) == pytest.approx(expected)

    def test_every_colour_has_a_dark_twin_and_can_be_set_by_a_page(self) -> None:
        dark = svg.STYLE.partition("prefers-color-scheme:dark")[2]

        for name, _, colour in svg.COLOURS:
            assert f"--{name}:var(--qm-{name},{colour})" in dark

    @pytest.mark.parametrize("scheme", [1, 2])
    def test_text_can_be_read_on_its_paper(self, scheme: int) -> None:
        """WCAG 2 asks for a contrast of 4.5 : 1 for text and 3 : 1 for graphics."""
        colours = {row[0]: row[scheme] for row in svg.COLOURS}

        for name, least in (("ink", 4.5), ("faint", 4.5), ("main", 3), ("warn", 3), ("good", 3)):
            assert _contrast(colours[name], colours["paper"]) >= least, name


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
