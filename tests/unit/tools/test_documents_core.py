"""Documents of an order, read by others' parsers; texts that try to break them."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from lxml import etree

from db.types import DocumentFormat
from tests.factories_documents import KEY, make_payload, signed_twice, ubl_problems, x12_problems
from tools.documents.core.order import Buyer, read_order
from tools.documents.core.pdf import marked_up
from tools.documents.core.render import render
from tools.documents.core.x12 import control_number, element
from tools.errors import InvalidInput

GOLDEN = Path(__file__).parents[2] / "golden"
BUYER = Buyer("Northwind Trading", "NORTHWIND")
CBC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}"
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# What somebody would write to end an element, a tag, a header or a cell, among anything else.
hostile = st.one_of(
    st.sampled_from([
        "x~SE*1*0001~", "a*b*c", "a>b", "</cbc:Name><cbc:Name>x", "]]>", "<!-- ", "&lt;&#0;",
        "=cmd|'/c calc'!A1", "@SUM(A1)", "\tx", "a\r\nBcc: thief@evil.example", "a\nb", "\x00",
        "\u202egpj.exe", "\ud800", "\ufffe", "<b>bold</b>", "<font color='red'>", "\U0001f9ff",
        "螺丝", "한국", "かな", "'", '"', "\\", "~" * 300, "é" * 200, "", " ",
    ]),
    st.text(max_size=60),
)  # fmt: skip


def _text(form: DocumentFormat, payload: dict[str, Any]) -> str:
    return render(form, payload, BUYER).content.decode()


def _x12(payload: dict[str, Any]) -> list[list[str]]:
    text = _text(DocumentFormat.X12, payload)
    return [segment.split("*") for segment in text.replace("\n", "").split("~") if segment]


def _pages(payload: dict[str, Any]) -> list[str]:
    from pypdf import PdfReader

    content = render(DocumentFormat.PDF, payload, BUYER).content
    return [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]


class TestGolden:
    @pytest.mark.parametrize("form", ["json", "csv", "x12", "ubl"])
    def test_an_order_is_these_bytes(self, form: str) -> None:
        document = render(form, make_payload(), BUYER)

        assert document.content == (GOLDEN / f"order.{document.suffix}").read_bytes()

    def test_a_pdf_says_this(self) -> None:
        assert "\f".join(_pages(make_payload())) == (GOLDEN / "order.pdf.txt").read_text()

    @pytest.mark.parametrize("form", list(DocumentFormat))
    def test_the_same_order_is_the_same_bytes(self, form: DocumentFormat) -> None:
        assert render(form, make_payload(), BUYER) == render(form, make_payload(), BUYER)


class TestX12:
    def test_bots_grammar_of_the_850_accepts_it(self) -> None:
        assert x12_problems(_text(DocumentFormat.X12, make_payload())) == []

    @pytest.mark.parametrize(
        ("was", "becomes"),
        [("*1920*", "*many*"), ("BEG*00*SA", "BEG*0*SA"), ("CUR*BY*USD~\n", ""),
         ("CTT*2", "XXX*2"), ("~\nGE*1", "~\nGE*2")],
    )  # fmt: skip
    def test_the_grammar_notices_damage(self, was: str, becomes: str) -> None:
        text = _text(DocumentFormat.X12, make_payload())
        assert was in text

        assert x12_problems(text.replace(was, becomes, 1)) != []

    def test_it_says_what_was_approved(self) -> None:
        segments = _x12(make_payload())

        assert ["BEG", "00", "SA", "PO-2001", "", "20260302"] in segments
        assert ["CUR", "BY", "USD"] in segments
        assert ["REF", "CR", "1b2c3d4e5f607182", KEY] in segments
        assert ["DTM", "002", "20260320"] in segments
        assert ["PO1", "1", "1920", "EA", "7.80", "", "BP", "WIDGET-A", "VP", "AC-100"] in segments
        assert ["PO1", "2", "12", "KG", "7.80", "", "BP", "GREASE"] in segments
        assert ["CTT", "2", "1932"] in segments  # 1920 + 12
        assert ["AMT", "TT", "15069.60"] in segments

    def test_control_numbers_come_from_the_key(self) -> None:
        segments = _x12(make_payload())
        number = control_number(KEY)

        assert segments[0][13] == segments[-1][2] == f"{number:09}"
        assert segments[1][6] == segments[-2][2] == str(number)
        assert control_number(KEY.replace("v1", "v2")) != number
        assert len("*".join(segments[0])) == 105  # ISA is of fixed length, without its end

    def test_an_unknown_unit_is_named_in_the_text(self) -> None:
        lines = [{**make_payload()["lines"][0], "uom": "drum"}]
        segments = _x12(make_payload(lines=lines))

        assert segments[-7][:4] == ["PO1", "1", "1920", "ZZ"]
        assert ["PID", "F", "", "", "", "Widget, blue (drum)"] in segments

    @pytest.mark.parametrize("field", ["sku", "supplier_sku"])
    @pytest.mark.parametrize("value", ["A*1", "A~B", "Ü-1", "x" * 49])
    def test_an_article_is_never_renamed(self, field: str, value: str) -> None:
        lines = [{**make_payload()["lines"][0], field: value}]

        with pytest.raises(InvalidInput, match="cannot be written in an X12 order"):
            _x12(make_payload(lines=lines))

    def test_an_order_number_is_never_cut(self) -> None:
        with pytest.raises(InvalidInput, match="cannot be written"):
            _x12(make_payload(number="PO-" + "1" * 20))

    @SLOW
    @given(name=hostile, code=hostile, place=hostile, article=hostile, signer=hostile)
    def test_no_text_makes_a_segment(
        self, name: str, code: str, place: str, article: str, signer: str
    ) -> None:
        calm = _x12(make_payload())
        payload = _hostile(name=name, code=code, place=place, article=article, signer=signer)

        segments = _x12(payload)

        ids = [segment[0] for segment in segments if segment[0] != "PID"]
        assert ids == [segment[0] for segment in calm if segment[0] != "PID"]
        assert x12_problems(_text(DocumentFormat.X12, payload)) == []

    @given(st.text(max_size=40), st.integers(1, 30))
    def test_an_element_is_short_printable_ascii(self, text: str, longest: int) -> None:
        written = element(text, longest)

        assert len(written) <= longest
        assert written.isascii()
        assert not set(written) & set("*~>^|\\\n")


def _hostile(
    *, name: str, code: str, place: str, article: str, signer: str
) -> dict[str, Any]:  # fmt: skip
    lines = [{**line, "name": article} for line in make_payload()["lines"]]
    approval = {**make_payload()["approval"], "approved_by": signer, "meaning": signer}
    supplier = {"code": code, "name": name, "email": name}
    return make_payload(supplier=supplier, ship_to=place, lines=lines, approval=approval)


class TestUbl:
    def test_the_schema_of_oasis_accepts_it(self) -> None:
        assert ubl_problems(_text(DocumentFormat.UBL, make_payload())) == []

    def test_the_schema_notices_damage(self) -> None:
        text = _text(DocumentFormat.UBL, make_payload())

        assert ubl_problems(text.replace("IssueDate>2026", "IssueDate>x", 1)) != []
        assert ubl_problems(text.replace("cac:LineItem", "cac:LineThing")) != []

    def test_it_says_what_was_approved(self) -> None:
        root = etree.fromstring(_text(DocumentFormat.UBL, make_payload()).encode())

        def texts(name: str) -> list[str | None]:
            return [found.text for found in root.iter(f"{CBC}{name}")]

        assert texts("CustomerReference") == [KEY]
        assert texts("PayableAmount") == ["15069.60"]
        assert texts("Quantity") == ["1920", "12"]
        assert [q.get("unitCode") for q in root.iter(f"{CBC}Quantity")] == ["C62", "KGM"]
        assert texts("PriceAmount") == ["7.80", "7.80"]

    def test_every_signature_has_name_time_and_meaning(self) -> None:
        text = _text(DocumentFormat.UBL, make_payload(approval=signed_twice()))
        root = etree.fromstring(text.encode())

        assert ubl_problems(text) == []
        assert [found.text for found in root.iter(f"{CBC}ValidationTime")] == [
            "08:30:00Z", "09:00:00Z",
        ]  # fmt: skip

    @SLOW
    @given(name=hostile, code=hostile, place=hostile, article=hostile, signer=hostile)
    def test_no_text_makes_an_element(
        self, name: str, code: str, place: str, article: str, signer: str
    ) -> None:
        payload = _hostile(name=name, code=code, place=place, article=article, signer=signer)

        text = _text(DocumentFormat.UBL, payload)

        assert ubl_problems(text) == []
        calm = etree.fromstring(_text(DocumentFormat.UBL, make_payload()).encode())
        assert [one.tag for one in etree.fromstring(text.encode()).iter()] == [
            one.tag for one in calm.iter()
        ]


class TestCsv:
    @SLOW
    @given(name=hostile, code=hostile, place=hostile, article=hostile, signer=hostile)
    def test_no_text_makes_a_row_or_a_formula(
        self, name: str, code: str, place: str, article: str, signer: str
    ) -> None:
        assume("\ud800" not in name + code + place + article + signer)  # cannot be stored at all
        payload = _hostile(name=name, code=code, place=place, article=article, signer=signer)

        rows = list(csv.DictReader(io.StringIO(_text(DocumentFormat.CSV, payload), newline="")))

        assert [row["units"] for row in rows] == ["1920", "12"]
        assert not [v for row in rows for v in row.values() if v[:1] in tuple("=+-@\t\r")]


class TestPdf:
    def test_it_says_who_signed_when_and_what_it_means(self) -> None:
        (page,) = _pages(make_payload(approval=signed_twice()))

        assert "Anna Ash" in page
        assert "2 March 2026, 08:30:00 UTC · meaning: review" in page
        assert "2 March 2026, 09:00:00 UTC · meaning: approval" in page
        assert KEY in page

    def test_pages_are_numbered(self) -> None:
        line = make_payload()["lines"][0]
        lines = [{**line, "line": number} for number in range(1, 61)]

        pages = _pages(make_payload(lines=lines))

        assert len(pages) == 3
        assert all(f"page {n} of 3" in page for n, page in enumerate(pages, start=1))
        assert all(KEY in page for page in pages)

    def test_a_sign_without_a_font_is_printed_as_its_code(self) -> None:
        assert marked_up("a\U0001f9ffb") == "a[U+1F9FF]b"

    def test_letters_of_other_scripts_can_be_read_back(self) -> None:
        supplier = {**make_payload()["supplier"], "name": "Łódź Ελλάς Москва"}

        (page,) = _pages(make_payload(supplier=supplier))

        assert "Łódź Ελλάς Москва" in page

    @settings(max_examples=15, deadline=None)
    @given(name=hostile, code=hostile, place=hostile, article=hostile, signer=hostile)
    def test_no_text_breaks_it(
        self, name: str, code: str, place: str, article: str, signer: str
    ) -> None:
        payload = _hostile(name=name, code=code, place=place, article=article, signer=signer)

        pages = _pages(payload)

        assert "15,069.60" in "".join(pages)


class TestReading:
    @pytest.mark.parametrize(
        "changes",
        [{"total": "1e9"}, {"total": "1*2"}, {"currency": "US*"}, {"need_by": "soon"},
         {"lines": [{}]}, {"approval": {}}, {"supplier": None}],
    )  # fmt: skip
    def test_what_is_no_order_is_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput, match="cannot be written as a document"):
            read_order(make_payload(**changes))

    def test_the_last_signature_dates_the_order(self) -> None:
        order = read_order(make_payload(approval=signed_twice()))

        assert order.issued_at.isoformat() == "2026-03-02T09:00:00+00:00"
        assert [one.name for one in order.signatures] == ["Anna Ash", "Mona Meyer"]
