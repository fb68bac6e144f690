"""Cells of exports: inert in a spreadsheet, and still what was written."""

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from tools.spreadsheet import safe_cell

STARTS = "=+-@\t\r＝＋－＠"  # noqa: RUF001 (OWASP's list and its full-width forms)


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\0=1", "＝1+1",  # noqa: RUF001
        "＋1", "－1+1", "＠x", " =1+1", "\u00a0=1", "\u200b=1", "\ufeff=1", "\n=1",  # noqa: RUF001
    ],
)  # fmt: skip
def test_what_could_be_a_formula_is_quoted(text: str) -> None:
    assert safe_cell(text) == "'" + text.replace("\0", "")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-5, "-5"), ("-5", "-5"), ("-1,234.50", "-1,234.50"), ("+7", "+7"), (-0.5, "-0.5"),
        (Decimal("-12.50"), "-12.50"), (None, ""), ("", ""), ("WIDGET-A", "WIDGET-A"),
        ("5 = five", "5 = five"), ("a\0b", "ab"), (True, "True"),
    ],
)  # fmt: skip
def test_numbers_and_plain_text_stay(value: object, shown: str) -> None:
    assert safe_cell(value) == shown


@given(st.text(max_size=30))
def test_no_cell_starts_a_formula(text: str) -> None:
    cell = safe_cell(text)

    is_number = cell.lstrip("+-").replace(",", "").replace(".", "", 1).isascii() and (
        cell.lstrip("+-").replace(",", "").replace(".", "", 1).isdigit()
    )
    assert cell == "" or is_number or cell.lstrip(" ")[:1] not in tuple(STARTS)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_a_csv_reader_gets_the_cell_back(text: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerow([safe_cell(text), "end"])

    (row,) = csv.reader(io.StringIO(out.getvalue(), newline=""))

    assert row[0].removeprefix("'") == text.removeprefix("'")


def test_a_workbook_holds_a_text_and_no_formula() -> None:
    book = Workbook()
    assert book.active is not None
    book.active.append([safe_cell("=1+1"), safe_cell("-2+3")])
    stream = io.BytesIO()
    book.save(stream)

    sheet = load_workbook(stream).active

    assert sheet is not None
    assert [(cell.data_type, cell.value) for cell in next(sheet.rows)] == [
        ("s", "'=1+1"),
        ("s", "'-2+3"),
    ]
