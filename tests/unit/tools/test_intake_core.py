"""Cells, columns, rows and files: what is read, what is set aside, what is refused."""

import io
import zipfile
from datetime import date, datetime

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from tools.errors import InvalidInput
from tools.intake.core.kinds import KINDS, SALES, STOCK, match_columns, price_breaks
from tools.intake.core.rows import RowChecker, TextRow, date_order
from tools.intake.core.tables import Table, encoding_of, open_table
from tools.intake.core.values import (
    DateOrder,
    Memo,
    date_evidence,
    date_parser,
    parse_count,
    parse_money,
    parse_units,
)

TODAY = date(2026, 3, 2)


class TestUnits:
    @pytest.mark.parametrize(
        ("text", "units"),
        [("12", 12), (" 7 ", 7), ("-3", -3), ("1,200", 1200), ("1,000,000", 1_000_000),
         ("3.0", 3), ("1e3", 1000), ("0", 0)],
    )  # fmt: skip
    def test_reads_whole_numbers(self, text: str, units: int) -> None:
        assert parse_units(text) == (units, "")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("", "empty"), ("ten", "not a number"), ("NaN", "not a number"), ("inf", "not a number"),
         ("-Infinity", "not a number"), ("1e12", "larger than 10,000,000"), ("2.5", "fraction"),
         ("1e999", "too large"), ("1_000", "not a number"), ("12,5", "not a number"),
         ("0x1F", "not a number"), ("9" * 400, "too large"), ("1e-3", "fraction")],
    )  # fmt: skip
    def test_says_why_not(self, text: str, reason: str) -> None:
        value, why = parse_units(text)

        assert value is None
        assert reason in why

    def test_counts_are_not_negative(self) -> None:
        assert parse_count("-1") == (None, "is negative")

    @given(st.text(max_size=30) | st.floats().map(repr) | st.integers().map(str))
    def test_never_fails(self, text: str) -> None:
        value, why = parse_units(text)

        assert (value is None) == bool(why)


@pytest.mark.parametrize(
    ("text", "minor"),
    [("7.80", 780), ("£7.80", 780), ("7,80", 780), ("1,234.50", 123_450), ("12 EUR", 1200),
     ("0.125", 13), ("1,234", 123_400)],
)  # fmt: skip
def test_money_is_read_in_minor_units(text: str, minor: int) -> None:
    assert parse_money(text) == (minor, "")


@pytest.mark.parametrize("text", ["", "free", "-1.00", "nan", "1e30"])
def test_bad_money_is_named(text: str) -> None:
    assert parse_money(text)[0] is None


class TestDates:
    @pytest.mark.parametrize(
        ("text", "order", "read"),
        [
            ("2026-02-03", None, date(2026, 2, 3)),
            ("2026-02-03T08:15:00Z", None, date(2026, 2, 3)),
            ("2026/2/3 08:15", None, date(2026, 2, 3)),
            ("20260203", None, date(2026, 2, 3)),
            ("03/02/2026", DateOrder.DAY_FIRST, date(2026, 2, 3)),
            ("03.02.26", DateOrder.DAY_FIRST, date(2026, 2, 3)),
            ("02/03/2026 8:26", DateOrder.MONTH_FIRST, date(2026, 2, 3)),
            ("23/02/2026", None, date(2026, 2, 23)),
            ("2/23/2026", None, date(2026, 2, 23)),
            ("3 Feb 2026", None, date(2026, 2, 3)),
            ("03-February-2026", None, date(2026, 2, 3)),
            # 1900-01-01 is day 1 and Excel counts a 29 February 1900: 46,056 is 3 February 2026.
            ("46056", None, date(2026, 2, 3)),
            ("46056.75", None, date(2026, 2, 3)),
        ],
    )
    def test_formats(self, text: str, order: DateOrder | None, read: date) -> None:
        assert date_parser(order=order, today=TODAY)(text) == (read, "")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("", "empty"), ("soon", "not a date"), ("2026-02-30", "no day"), ("2026-03-03", "future"),
         ("1066-10-14", "before 1990"), ("03/02/2026", "two ways"), ("99999", "future"),
         ("2026-13-01", "no day"), ("1 Foo 2026", "not a date")],
    )  # fmt: skip
    def test_says_why_not(self, text: str, reason: str) -> None:
        value, why = date_parser(order=None, today=TODAY)(text)

        assert value is None
        assert reason in why

    @given(st.dates(date(1990, 1, 1), TODAY))
    def test_every_format_gives_the_same_day(self, day: date) -> None:
        day_first = date_parser(order=DateOrder.DAY_FIRST, today=TODAY)
        month_first = date_parser(order=DateOrder.MONTH_FIRST, today=TODAY)

        texts = [day.isoformat(), f"{day:%Y%m%d}", f"{day:%d/%m/%Y}", f"{day:%d %b %Y}",
                 str((day - date(1899, 12, 30)).days)]  # fmt: skip
        assert {day_first(text)[0] for text in texts} == {day}
        assert month_first(f"{day:%m/%d/%Y}")[0] == day

    def test_the_order_shows_in_days_above_twelve(self) -> None:
        assert date_evidence(["03/04/2025", "13/04/2025"]).order is DateOrder.DAY_FIRST
        assert date_evidence(["03/04/2025", "04/13/2025"]).order is DateOrder.MONTH_FIRST
        assert date_evidence(["2025-04-03"]).order is None

    def test_late_evidence_counts(self) -> None:
        texts = ["03/04/2025"] * 5_000 + ["04/13/2025"]

        assert date_evidence(texts).order is DateOrder.MONTH_FIRST

    def test_one_slip_does_not_make_the_order_unclear(self) -> None:
        assert date_evidence(["13/04/2025"] * 30 + ["04/13/2025"]).conflict == ""
        assert date_evidence(["13/04/2025"] * 3 + ["04/13/2025"]).conflict == "04/13/2025"


class TestColumns:
    @pytest.mark.parametrize(
        "header",
        [["date", "sku", "quantity"], ["Invoice Date", "Stock Code", "QTY"],
         ["ds", "item", "units"], ["DAY", "Article No.", "Units Sold"]],
    )  # fmt: skip
    def test_known_names_are_found(self, header: list[str]) -> None:
        found = match_columns(SALES, header)

        assert [found["date"], found["sku"], found["quantity"]] == header

    def test_a_mapping_wins(self) -> None:
        found = match_columns(SALES, ["date", "sku", "qty", "Artikel"], {"sku": "artikel"})

        assert found["sku"] == "Artikel"

    def test_a_missing_column_is_reported_with_the_way_out(self) -> None:
        with pytest.raises(InvalidInput, match="sales needs a column for quantity") as caught:
            match_columns(SALES, ["date", "sku", "menge"])

        assert "'menge'" in caught.value.message
        assert caught.value.next_step == "Name the column: --map quantity=COLUMN"
        assert "qty" in caught.value.details["tried"]["quantity"]

    def test_a_mapping_to_nothing_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="no column 'Nope'"):
            match_columns(SALES, ["date", "sku", "qty"], {"sku": "Nope"})
        with pytest.raises(InvalidInput, match="no field 'colour'"):
            match_columns(SALES, ["date", "sku", "qty"], {"colour": "sku"})

    def test_one_column_serves_one_field(self) -> None:
        found = match_columns(
            KINDS["orders"], ["order", "supplier", "sku", "ordered", "order date"]
        )

        assert len(set(found.values())) == len(found)
        assert found["quantity"] == "ordered"


def checker(header: list[str], *, kind: str = "sales") -> RowChecker:
    columns = match_columns(KINDS[kind], header)
    return RowChecker(KINDS[kind], header, columns, order=None, today=TODAY)


class TestRows:
    def test_good_and_bad_are_told_apart(self) -> None:
        checked = checker(["date", "sku", "qty"]).check(
            [
                TextRow(2, ["2026-03-01", "A-1", "5"]),
                TextRow(3, ["2026-03-01", "", "5"]),
                TextRow(4, ["2026-03-01", "A-1", "5", "6"]),
                TextRow(5, ["2026-03-01", "A-1", "-5"]),
            ]
        )

        assert [row.number for row in checked.good] == [2]
        assert checked.good[0].values["sku"] == ("A-1", "a-1")
        assert [(row.number, row.field) for row in checked.bad] == [
            (3, "sku"), (4, "row"), (5, "quantity"),
        ]  # fmt: skip

    def test_a_negative_quantity_with_a_document_is_a_return(self) -> None:
        checked = checker(["date", "sku", "qty", "invoice"]).check(
            [TextRow(2, ["2026-03-01", "A", "-5", "C536379"])]
        )

        assert checked.good[0].values["quantity"] == -5

    def test_a_line_sent_twice_under_one_document_is_set_aside(self) -> None:
        header = ["date", "sku", "qty", "invoice"]
        row = ["2026-03-01", "A", "5", "536379"]

        checked = checker(header).check([TextRow(2, row), TextRow(3, list(row))])

        assert len(checked.good) == 1
        assert checked.bad[0].reason == "was in the file before"

    def test_equal_lines_without_a_document_are_two_sales(self) -> None:
        row = ["2026-03-01", "A", "5"]

        assert len(checker(["date", "sku", "qty"]).check([TextRow(2, row), TextRow(3, row)]).good) == 2  # fmt: skip  # noqa: E501

    def test_an_item_counted_twice_is_set_aside(self) -> None:
        checked = checker(["sku", "on hand"], kind="stock").check(
            [TextRow(2, ["A", "5"]), TextRow(3, ["a", "6"])]
        )

        assert len(checked.good) == len(checked.bad) == 1

    @given(st.lists(st.lists(st.text(max_size=8), max_size=5), max_size=20))
    def test_good_and_bad_are_all_rows(self, rows: list[list[str]]) -> None:
        checked = checker(["date", "sku", "qty", "invoice"]).check(
            TextRow(number, cells) for number, cells in enumerate(rows, start=2)
        )

        assert len(checked.good) + len(checked.bad) == len(rows)


class TestDateOrder:
    def rows(self, *dates: str) -> list[TextRow]:
        return [TextRow(n, [text, "A", "1"]) for n, text in enumerate(dates, start=2)]

    def decide(self, *dates: str, told: str | None = None) -> DateOrder | None:
        mapping = None if told is None else {"date_order": told}
        columns = {"date": "date", "sku": "sku", "quantity": "qty"}
        return date_order(SALES, columns, ["date", "sku", "qty"], self.rows(*dates), mapping)

    def test_a_file_that_can_be_read_two_ways_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="'03/04/2025' can be read two ways") as caught:
            self.decide("03/04/2025", "05/06/2025")

        assert "--map date_order=dmy" in caught.value.next_step

    def test_unless_it_is_told(self) -> None:
        assert self.decide("03/04/2025", told="mdy") is DateOrder.MONTH_FIRST
        with pytest.raises(InvalidInput, match="'ymd'"):
            self.decide("03/04/2025", told="ymd")

    def test_mixed_orders_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="mixes"):
            self.decide("13/04/2025", "04/13/2025")


def read(content: bytes) -> Table:
    return open_table(io.BytesIO(content))


class TestFiles:
    @pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
    def test_separators(self, separator: str) -> None:
        table = read(f"sku{separator}qty\nA{separator}1\n".encode())

        assert table.header == ("sku", "qty")
        assert list(table.rows) == [TextRow(2, ["A", "1"])]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
    def test_encodings(self, encoding: str) -> None:
        table = read("sku,name\nA,Café\n".encode(encoding))

        assert table.header == ("sku", "name")
        assert next(table.rows).cells == ["A", "Café"]

    def test_bytes_that_are_no_text_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="neither UTF-8 nor Windows-1252"):
            encoding_of(io.BytesIO(b"sku,qty\nCaf\x81,1\n"))
        with pytest.raises(InvalidInput, match="zero bytes"):
            read(b"sku,qty\nA\x00,1\n")

    def test_empty_rows_are_skipped_and_numbers_stay(self) -> None:
        table = read(b'sku,qty\n\nA,1\n,\n"B\nB",2\n')

        assert [(row.number, row.cells[0]) for row in table.rows] == [(3, "A"), (5, "B\nB")]

    def test_an_empty_file_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="the file is empty"):
            read(b"")

    def test_a_column_named_twice_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="several columns named 'qty'"):
            read(b"sku,qty,qty\nA,1,2\n")

    def test_an_unclosed_quotation_mark_is_named(self) -> None:
        table = read(b'sku,qty\n"' + b"A" * 40_000)

        with pytest.raises(InvalidInput, match="cannot be read after line 2"):
            list(table.rows)

    def test_excel(self) -> None:
        book = Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.append(["date", "sku", "qty"])
        sheet.append([datetime(2026, 3, 1), 22423, 5.0])  # noqa: DTZ001  (Excel has no zones)
        sheet.append([None, None, None])
        sheet.append([date(2026, 3, 1), "=1+1", None])
        stream = io.BytesIO()
        book.save(stream)

        rows = list(read(stream.getvalue()).rows)

        assert rows[0] == TextRow(2, ["2026-03-01 00:00:00", "22423", "5"])
        assert rows[1] == TextRow(4, ["2026-03-01 00:00:00", "", ""])

    def test_parquet(self) -> None:
        frame = pd.DataFrame(
            {"date": [date(2026, 3, 1)] * 2, "sku": ["A", "B"], "qty": [1.0, float("nan")]}
        )
        stream = io.BytesIO()
        frame.to_parquet(stream, index=False)

        rows = list(read(stream.getvalue()).rows)

        assert [list(row.cells) for row in rows] == [["2026-03-01", "A", "1"], ["2026-03-01", "B", ""]]  # fmt: skip  # noqa: E501

    @pytest.mark.parametrize(
        "content", [b"PK\x03\x04 no archive", b"PAR1 no parquet", b"\xd0\xcf\x11\xe0 old Excel"]
    )
    def test_broken_files_are_refused(self, content: bytes) -> None:
        with pytest.raises(InvalidInput):
            list(read(content).rows)

    def test_an_archive_that_unpacks_to_far_more_is_refused(self) -> None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/worksheets/sheet1.xml", b"0" * 20_000_000)

        with pytest.raises(InvalidInput, match="unpacks to 19 MB in 1 parts"):
            read(stream.getvalue())

    def test_an_archive_of_many_parts_is_refused(self) -> None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for number in range(1_001):
                archive.writestr(f"{number}", b"")

        with pytest.raises(InvalidInput, match="in 1,001 parts"):
            read(stream.getvalue())

    @given(st.binary(max_size=200))
    def test_any_bytes_are_read_or_refused(self, content: bytes) -> None:
        try:
            list(read(content).rows)
        except InvalidInput:
            return


class TestBrokenFiles:
    def workbook(self, sheet: bytes) -> bytes:
        book, made, broken = Workbook(), io.BytesIO(), io.BytesIO()
        assert book.active is not None
        book.active.append(["sku", "qty"])
        book.active.append(["A", 1])
        book.save(made)
        with zipfile.ZipFile(made) as old, zipfile.ZipFile(broken, "w") as new:
            for entry in old.infolist():
                is_sheet = entry.filename.endswith("sheet1.xml")
                new.writestr(entry.filename, sheet if is_sheet else old.read(entry.filename))
        return broken.getvalue()

    @pytest.mark.parametrize(
        "sheet",
        [b"<worksheet><sheetData><row><c></row>", b"", b"\xff\xfe",
         b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
         b'<row r="1"><c r="A1" t="s"><v>99</v></c></row></sheetData></worksheet>',
         b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
         b'<row r="x"><c r="A1" t="n"><v>one</v></c></row></sheetData></worksheet>'],
    )  # fmt: skip
    def test_a_broken_sheet_is_refused(self, sheet: bytes) -> None:
        with pytest.raises(InvalidInput):
            list(read(self.workbook(sheet)).rows)

    def test_a_time_that_python_cannot_hold_is_refused(self) -> None:
        stream = io.BytesIO()
        column = pyarrow.array([2**62], pyarrow.timestamp("ms"))
        pyarrow.parquet.write_table(pyarrow.table({"date": column}), stream)

        with pytest.raises(InvalidInput, match="not a Parquet file that can be read"):
            list(read(stream.getvalue()).rows)


class TestBounds:
    def reasons(self, kind: str, header: list[str], cells: list[str]) -> list[str]:
        return [bad.reason for bad in checker(header, kind=kind).check([TextRow(2, cells)]).bad]

    def test_an_amount_that_no_database_holds(self) -> None:
        # 10,000,000 units x 10,000,000,000.00 = 10^19 minor units, above 2^63 = 9.2 x 10^18
        found = self.reasons(
            "orders", ["po", "supplier", "sku", "qty", "price"],
            ["P", "S", "A", "10000000", "10000000000"],
        )  # fmt: skip

        assert found == ["makes an amount above 10,000,000,000"]

    @pytest.mark.parametrize("promise", ["9999-12-31", "0001-01-01"])
    def test_a_promise_in_another_age(self, promise: str) -> None:
        found = self.reasons(
            "orders", ["po", "supplier", "sku", "qty", "promise"], ["P", "S", "A", "1", promise]
        )

        assert found == ["lies outside 1990 to 2099"]

    def test_a_lead_time_has_a_bound(self) -> None:
        header = ["code", "name", "lead time"]

        assert self.reasons("suppliers", header, ["S", "Acme", "1000"]) == []
        assert self.reasons("suppliers", header, ["S", "Acme", "1001"]) == [
            "is longer than 1,000 days"
        ]

    def test_what_would_be_cut_off_is_refused(self) -> None:
        order = ["po", "supplier", "sku", "qty"]

        assert self.reasons("orders", order, ["9" * 33, "S", "A", "1"]) == [
            "is longer than 32 characters"
        ]
        assert self.reasons("suppliers", ["code", "name"], ["S" * 33, "Acme"]) == [
            "is longer than 32 characters"
        ]
        # sixty-one letters and ten invisible characters, which are not stored
        hidden = "A" * 60 + "\u200b" * 10 + "B"
        assert self.reasons("items", ["sku", "name"], [hidden, "Lamp"]) == []

    def test_terms_that_contradict_themselves(self) -> None:
        header = ["code", "name", "moq", "max units", "break1 units", "break1 price"]

        assert self.reasons("suppliers", header, ["S", "Acme", "5", "4", "", ""]) == [
            "is below the minimum order"
        ]
        alone = ["and its units go together; one of them is empty"]
        assert self.reasons("suppliers", header, ["S", "Acme", "5", "", "9", ""]) == alone
        # also when the file has no column for what is missing
        assert self.reasons("suppliers", ["code", "name", "break1 qty"], ["S", "A", "9"]) == alone


def test_price_breaks_come_in_one_column_or_in_pairs() -> None:
    text = checker(["code", "name", "price breaks"], kind="suppliers").check(
        [TextRow(2, ["S", "Acme", "1000:7.80;5000:7.60"])]
    )
    pairs = checker(
        ["code", "name", "break1 qty", "break1 price", "break2 qty", "break2 price"],
        kind="suppliers",
    ).check([TextRow(2, ["S", "Acme", "1000", "7.80", "5000", "7.60"])])

    assert price_breaks(text.good[0].values) == [[1000, 780], [5000, 760]]
    assert price_breaks(pairs.good[0].values) == [[1000, 780], [5000, 760]]


def test_a_memo_forgets_before_it_fills_the_memory() -> None:
    memo = Memo(parse_units)

    for number in range(200_001):
        assert memo[str(number)] == (number, "")

    assert len(memo) == 1


def test_stock_prefers_the_balance_over_a_quantity() -> None:
    assert match_columns(STOCK, ["sku", "qty", "on_hand"])["on_hand"] == "on_hand"
