"""Numbers, dates and names in a planner's words."""

from datetime import date

import pytest

from agent.offline.entities import Linker
from agent.offline.intents import scorer
from agent.offline.reader import read
from agent.offline.reading import Reading
from agent.offline.vocabulary import PROTECTED
from tests.unit.agent.offline_world import CATALOGUE

TODAY = date(2026, 3, 2)  # a Monday


@pytest.fixture(scope="module")
def linker() -> Linker:
    return Linker(CATALOGUE, PROTECTED | scorer().known_words)


def reading(linker: Linker, text: str) -> Reading:
    return read(text, linker, TODAY)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("order 1,200 widget-a", [(1200, None)]),
        ("order 2k widget-a", [(2000, None)]),
        ("1.5k please", [(1500, None)]),
        ("a dozen lux-lamp", [(12, None)]),
        ("two dozen lux-lamp", [(24, None)]),
        ("half a dozen lux-lamp", [(6, None)]),
        ("x250", [(250, None)]),
        ("10 cases of GLOVE-M", [(10, "case")]),
        ("2.5 pallets of the wipes", [(2.5, "pallet")]),
        ("five hundred units", [(500, "unit")]),
        ("rubber gasket 9 mm", []),
        ("the first one", []),
    ],
)
def test_reads_quantities(
    linker: Linker, text: str, wanted: list[tuple[float, str | None]]
) -> None:
    assert [(q.value, q.unit) for q in reading(linker, text).quantities] == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("demand +40 %", [40]),
        ("demand drops 15%", [-15]),
        ("20 percent less", [-20]),
        ("demand doubles", [100]),
        ("sales triple", [200]),
        ("at 98% service level", [98]),
        ("rop widget-a @ 99.5", [99.5]),
        ("service level 0.98?", [98]),
        ("order 40", []),
    ],
)
def test_reads_percentages(linker: Linker, text: str, wanted: list[float]) -> None:
    assert [span.value for span in reading(linker, text).percents] == wanted


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("next 6 weeks", 42),
        ("8w", 56),
        ("90 days", 90),
        ("a fortnight", 14),
        ("next month", 30),
        ("two weeks later", 14),
        ("slips a week", 7),
        ("a two week delay", 14),
    ],
)
def test_reads_durations(linker: Linker, text: str, days: int) -> None:
    assert [span.value for span in reading(linker, text).durations] == [days]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("3-16 May", date(2026, 5, 3), date(2026, 5, 16)),
        ("from 3 May to 16 May", date(2026, 5, 3), date(2026, 5, 16)),
        ("May 3 - May 16", date(2026, 5, 3), date(2026, 5, 16)),
        ("2026-05-03 to 2026-05-16", date(2026, 5, 3), date(2026, 5, 16)),
        ("20 Dec to 5 Jan", date(2026, 12, 20), date(2027, 1, 5)),
        ("by Friday", date(2026, 3, 6), date(2026, 3, 6)),
        ("by monday", date(2026, 3, 9), date(2026, 3, 9)),
        ("tomorrow", date(2026, 3, 3), date(2026, 3, 3)),
        ("1st of February", date(2027, 2, 1), date(2027, 2, 1)),
        ("13/05/2026", date(2026, 5, 13), date(2026, 5, 13)),
        ("05/13/2026", date(2026, 5, 13), date(2026, 5, 13)),
        ("until the end of april", None, None),
        ("by the end of April", date(2026, 4, 30), date(2026, 4, 30)),
        ("by month end", date(2026, 3, 31), date(2026, 3, 31)),
        ("by christmas", date(2026, 12, 25), date(2026, 12, 25)),
    ],
)
def test_reads_dates(linker: Linker, text: str, first: date | None, last: date | None) -> None:
    found = reading(linker, text).periods

    if first is None:
        assert len(found) <= 1
    else:
        assert [(period.first, period.last) for period in found] == [(first, last)]


@pytest.mark.parametrize(
    "text",
    ["98%", "bump it to 1200", "po 4100", "may I order", "31 February", "order 12", "version 2.5"],
)
def test_invents_no_date(linker: Linker, text: str) -> None:
    assert reading(linker, text).periods == ()


@pytest.mark.parametrize(
    ("text", "skus"),
    [
        ("widget-a", ["WIDGET-A"]),
        ("WIDGET A", ["WIDGET-A"]),
        ("the blue widget", ["WIDGET-A"]),
        ("stock 22423", ["22423"]),
        ("85123a please", ["85123A"]),
        ("nitrile gloves medium", ["GLOVE-M"]),
        ("medium nitrile gloves", ["GLOVE-M"]),
        ("hanging heart", ["85123A"]),
        ("regensy cakestand", ["22423"]),
        ("the lead time of widget-a", ["WIDGET-A"]),
        ("what is the status", []),
        ("order 100", []),
    ],
)
def test_links_items(linker: Linker, text: str, skus: list[str]) -> None:
    assert [m.value for m in reading(linker, text).of_kind("item")] == skus


class TestUnclearItems:
    def test_a_word_of_several_names_gives_all_of_them(self, linker: Linker) -> None:
        (mention,) = reading(linker, "order gloves").of_kind("item")

        assert set(mention.values) == {"GLOVE-S", "GLOVE-M", "GLOVE-L"}

    def test_a_slip_in_a_sku_is_marked_as_inexact(self, linker: Linker) -> None:
        (mention,) = reading(linker, "stock of wigdet-a").of_kind("item")

        assert (mention.value, mention.is_exact) == ("WIDGET-A", False)

    def test_a_slip_between_twins_gives_both(self, linker: Linker) -> None:
        (mention,) = reading(linker, "stock of GLOVE-X").of_kind("item")

        assert set(mention.values) == {"GLOVE-S", "GLOVE-M", "GLOVE-L"}

    def test_a_text_like_a_sku_stays_what_it_is(self, linker: Linker) -> None:
        (mention,) = reading(linker, "stock of NOPE-99").of_kind("item")

        assert (mention.value, mention.is_known) == ("NOPE-99", False)

    @pytest.mark.parametrize(
        ("answer", "picked"),
        [("M", ["GLOVE-M"]), ("the small ones", ["GLOVE-S"]), ("GLOVE-L", ["GLOVE-L"]),
         ("gloves", ["GLOVE-S", "GLOVE-M", "GLOVE-L"]), ("neither", [])],
    )  # fmt: skip
    def test_an_answer_picks_among_candidates(
        self, linker: Linker, answer: str, picked: list[str]
    ) -> None:
        assert linker.choose(("GLOVE-S", "GLOVE-M", "GLOVE-L"), answer) == picked


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("where is PO 1042", "order", "PO-1042"),
        ("po-1042", "order", "PO-1042"),
        ("explain R-12", "recommendation", "R-12"),
        ("from acme", "supplier", "ACME"),
        ("with Stratus", "supplier", "STRATUS"),
        ("from borealys", "supplier", "BOREALIS"),
        ("stock at EAST", "location", "EAST"),
        ("in main", "location", "MAIN"),
    ],
)
def test_links_other_records(linker: Linker, text: str, kind: str, value: str) -> None:
    found = reading(linker, text).mentions

    assert [(mention.kind, mention.value) for mention in found] == [(kind, value)]


@pytest.mark.parametrize("text", ["the main reason", "what is the status", "PO 200 widget-a"])
def test_words_of_the_trade_are_no_records(linker: Linker, text: str) -> None:
    kinds = {mention.kind for mention in reading(linker, text).mentions}

    assert kinds <= {"item"}
