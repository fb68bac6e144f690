"""Keys of names and the search over them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.catalog.core import (
    NamedItem,
    SearchIndex,
    covered_owners,
    exact_owners,
    search,
    sku_key,
    squeezed,
    text_key,
    words,
)
from tools.errors import InvalidInput

ITEMS = (
    NamedItem("WIDGET-A", "Widget A", ("blue widget",)),
    NamedItem("GLOVE-S", "Nitrile gloves small", ("M-GLOVE-S",)),
    NamedItem("GLOVE-M", "Nitrile gloves medium"),
    NamedItem("GLOVE-L", "Nitrile gloves large"),
    NamedItem("84029G", "Knitted union flag hot water bottle"),
    NamedItem("84029E", "Red woolly hottie white heart"),
    NamedItem("BOX4", "Set of 4 napkins"),
)


@pytest.fixture
def index() -> SearchIndex:
    return SearchIndex(ITEMS)


def skus(found: list[NamedItem]) -> list[str]:
    return [item.sku for item in found]


class TestSkuKey:
    @pytest.mark.parametrize(
        ("written", "key"),
        [
            (" Widget-A ", "widget-a"),
            ("ＷＩＤＧＥＴ", "widget"),  # full width  # noqa: RUF001
            ("WID​GET", "widget"),  # zero-width space inside  # noqa: PLE2515
            ("straße-1", "strasse-1"),
            ("商品-7", "商品-7"),
            ("WIDGET\u2011A", "widget-a"),
            ("WIDGET\u2013A", "widget-a"),  # dashes
            ("WIDGET\u2212A", "widget-a"),
            ("\u202eWIDGET-A\u202c", "widget-a"),  # override
            ("WID\u034fGET", "widget"),
            ("WIDGET\ufe0f", "widget"),  # joiner, selector
            ("\u0421\u041e\u0420-1", "cop-1"),
            ("\u0391\u0392\u0395-1", "abe-1"),  # drawn like Latin capitals
            ("\u0421\u041e\u041b\u042c-1", "\u0441\u043e\u043b\u044c-1"),
            (
                "\u0394\u0395\u039b\u03a4\u0391",
                "\u03b4\u03b5\u03bb\u03c4\u03b1",
            ),  # and these are not
            ("W\u0131DGET", "widget"),
            ("W\u0130DGET", "widget"),  # Turkish i
            ("C-100\u00b5F", "c-100\u03bcf"),
            ("R-10\u2126K", "r-10\u03c9k"),
        ],
    )
    def test_gives_one_spelling(self, written: str, key: str) -> None:
        assert sku_key(written) == key

    @pytest.mark.parametrize(
        "written",
        [
            "",
            "   ",
            "\u200b",
            "A\x00B",
            "A\x1bB",
            "WIDGET-\u0410",
            "x" * 65,
            "x" * 300,
            "WIDGET-\u039c",
            "\u0410BC",
            "\u202e",
            "A\ud800B",
        ],
    )
    def test_refuses_what_is_no_sku(self, written: str) -> None:
        with pytest.raises(InvalidInput):
            sku_key(written)

    def test_quotes_what_was_written(self) -> None:
        with pytest.raises(InvalidInput, match="several alphabets: CYRILLIC, LATIN"):
            sku_key("А1B")  # noqa: RUF001

    @given(st.text(alphabet=string.printable + "äßИ\u200b\ufeff①", max_size=70))
    def test_is_idempotent(self, written: str) -> None:
        try:
            key = sku_key(written)
        except InvalidInput:
            return
        assert sku_key(key) == key


def test_words_are_comparable() -> None:
    assert words("Nitrile GLOVES, 500ml (glass)") == ("nitrile", "glove", "500ml", "glass")
    assert squeezed(text_key("m-Glove/S")) == "mgloves"


class TestExactOwners:
    @pytest.mark.parametrize("written", ["widget-a", "WIDGET A", "widgeta", "Blue-Widget"])
    def test_ignores_case_and_punctuation(self, index: SearchIndex, written: str) -> None:
        assert skus(exact_owners(index, written)) == ["WIDGET-A"]

    def test_a_near_sku_is_not_it(self, index: SearchIndex) -> None:
        assert exact_owners(index, "84029F") == []

    def test_a_word_that_spells_a_sku_is_still_a_word(self, index: SearchIndex) -> None:
        assert skus(exact_owners(index, "gloves")) == ["GLOVE-S", "GLOVE-M", "GLOVE-L"]
        assert skus(exact_owners(index, "glove s")) == ["GLOVE-S"]

    def test_the_sku_wins_over_a_name_that_reads_the_same(self) -> None:
        index = SearchIndex((NamedItem("A-1", "Lamp"), NamedItem("B-1", "a 1")))

        assert skus(exact_owners(index, "A-1")) == ["A-1"]


class TestCoveredOwners:
    def test_gives_all_that_hold_the_words(self, index: SearchIndex) -> None:
        assert skus(covered_owners(index, "nitrile glove")) == ["GLOVE-S", "GLOVE-M", "GLOVE-L"]
        assert skus(covered_owners(index, "large gloves")) == ["GLOVE-L"]

    def test_a_bare_number_covers_nothing(self, index: SearchIndex) -> None:
        assert covered_owners(index, "4") == []

    def test_letters_count(self, index: SearchIndex) -> None:
        assert covered_owners(index, "large glovse") == []


class TestSearch:
    def test_an_exact_sku_comes_alone(self, index: SearchIndex) -> None:
        assert search(index, "84029g") == [(ITEMS[4], 100.0)]

    @pytest.mark.parametrize(
        "query", ["hot water bottle", "bottle, water hot", "hot watter botle", "union flag"]
    )
    def test_finds_the_name_in_spite_of_order_and_typing_errors(
        self, index: SearchIndex, query: str
    ) -> None:
        assert search(index, query)[0][0].sku == "84029G"

    def test_returns_all_ties_beyond_the_limit(self, index: SearchIndex) -> None:
        found = search(SearchIndex(tuple(NamedItem(f"N-{n}", "Night light") for n in range(7))),
                       "nigth lights", 2)  # fmt: skip

        assert len(found) == 7
        assert len({score for _, score in found}) == 1
        assert {item.sku for item, _ in search(index, "nitrile gloves", 1)} == {
            "GLOVE-S", "GLOVE-M", "GLOVE-L",
        }  # fmt: skip

    def test_a_slip_in_a_sku_shows_the_twins(self, index: SearchIndex) -> None:
        assert {item.sku for item, _ in search(index, "84029F")} == {"84029G", "84029E"}

    def test_finds_nothing_in_nonsense(self, index: SearchIndex) -> None:
        assert search(index, "zzqq xyzzy") == []

    @given(st.text(max_size=60))
    def test_never_fails_and_scores_stay_in_range(self, query: str) -> None:
        found = search(SearchIndex(ITEMS), query)

        assert all(50 <= score <= 100 for _, score in found)
        assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
