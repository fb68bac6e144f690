"""Files made to do harm: refused or read as data, quickly, and never two items that look alike."""

import io
import time
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook
from sqlmodel import col, func, select

from db.models.catalog import Item
from db.models.ingestion import QuarantinedRow
from db.models.stock import StockLevel
from db.session import Database
from tests.conftest import NOW
from tests.factories import make_item, make_location
from tools.catalog.service import resolve_item
from tools.clock import FixedClock
from tools.errors import InvalidInput
from tools.ingestion.service import LoadReport, ingest
from tools.intake.core.tables import LONGEST_LINE, open_table

CLOCK = FixedClock(NOW)
SHEET = "xl/worksheets/sheet1.xml"


def _workbook(*rows: list[object]) -> bytes:
    book = Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _with_parts(workbook: bytes, parts: dict[str, bytes]) -> io.BytesIO:
    """Return the workbook with parts added or replaced."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook)) as old,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, parts.get(name, old.read(name)))
        for name in parts.keys() - set(old.namelist()):
            new.writestr(name, parts[name])
    return made


def _load(database: Database, folder: Path, kind: str, text: str | bytes) -> LoadReport:
    path = folder / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return ingest(database, kind, path, clock=CLOCK, pause_s=0)


class TestArchives:
    def test_a_million_parts_are_refused_unread(self) -> None:
        entry = b"PK\x01\x02" + bytes(42)
        directory = entry * 1_000_000
        end = b"PK\x05\x06" + bytes(8) + len(directory).to_bytes(4, "little") + bytes(6)
        stream = io.BytesIO(b"PK\x03\x04" + directory + end)

        started = time.perf_counter()
        with pytest.raises(InvalidInput, match="list of parts"):
            open_table(stream)

        assert time.perf_counter() - started < 1

    def test_entities_are_not_expanded(self) -> None:
        laughs = "".join(
            f'<!ENTITY l{n} "{"&l" + str(n - 1) + ";" if n else "ha"}{f"&l{n - 1};" * 9 if n else ""}">'  # noqa: E501
            for n in range(9)
        )
        sheet = (
            f'<?xml version="1.0"?><!DOCTYPE x [{laughs}]><worksheet xmlns="http://schemas.'
            'openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
            '<c r="A1" t="inlineStr"><is><t>&l8;</t></is></c></row></sheetData></worksheet>'
        )
        stream = _with_parts(_workbook(["sku"]), {SHEET: sheet.encode()})

        tracemalloc.start()
        with pytest.raises(InvalidInput, match="entities"):
            list(open_table(stream).rows)
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert peak < 30_000_000

    def test_a_file_of_the_machine_cannot_be_named(self) -> None:
        sheet = (
            '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
            '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>sku&f;</t></is></c></row>'
            "</sheetData></worksheet>"
        )
        stream = _with_parts(_workbook(["sku"]), {SHEET: sheet.encode()})

        try:
            shown = str(open_table(stream).header)
        except InvalidInput as error:
            shown = error.message

        assert "root:" not in shown

    def test_macros_and_parts_with_odd_names_are_left_alone(self, tmp_path: Path) -> None:
        before = sorted(tmp_path.parent.rglob("*"))
        stream = _with_parts(
            _workbook(["sku", "location", "on_hand"], ["A", "MAIN", 5]),
            {
                "xl/vbaProject.bin": b"\xd0\xcf\x11\xe0 AutoOpen",
                "../../outside.txt": b"out", "/etc/outside": b"out", "CON": b"out",
                "xl/externalLinks/externalLink1.xml": b"<externalLink/>",
            },
        )  # fmt: skip

        rows = list(open_table(stream).rows)

        assert [list(row.cells) for row in rows] == [["A", "MAIN", "5"]]
        assert sorted(tmp_path.parent.rglob("*")) == before

    def test_a_formula_is_its_stored_value_or_nothing(self) -> None:
        stream = io.BytesIO(_workbook(["sku", "qty"], ["=WEBSERVICE(1)", "=1+1"]))

        assert [list(row.cells) for row in open_table(stream).rows] == []


class TestTexts:
    def test_a_line_without_an_end_is_refused(self) -> None:
        stream = io.BytesIO(b"sku,qty\n" + b"x" * (LONGEST_LINE + 1))

        with pytest.raises(InvalidInput, match="longer than"):
            list(open_table(stream).rows)

    def test_a_cell_without_an_end_is_refused(self) -> None:
        stream = io.BytesIO(b'sku,qty\n"' + b"x,\n" * 50_000)

        with pytest.raises(InvalidInput, match="field larger"):
            list(open_table(stream).rows)

    @pytest.mark.parametrize(
        "content",
        [
            b"sku,qty\nA\0,1\n",  # NUL
            b"\xff\xfes\0k\0u\0\n\0\x00\xd8\n\0",  # UTF-16 with half a surrogate pair
            b"sku,qty\n\xed\xa0\x80,1\n\x81\n",  # a surrogate in UTF-8, and no Windows-1252 either
        ],
    )
    def test_what_is_no_text_is_refused(self, content: bytes) -> None:
        with pytest.raises(InvalidInput):
            list(open_table(io.BytesIO(content)).rows)

    @pytest.mark.parametrize(
        "path", ["../../etc/nothing", "x" * 300, "a\0b", "/dev/null/x", "CON\n"]
    )
    def test_a_path_that_is_none_is_a_sentence(self, sqlite_database: Database, path: str) -> None:
        with pytest.raises(InvalidInput, match="cannot be opened"):
            ingest(sqlite_database, "sales", path, clock=CLOCK)


# One item, written by ten machines: composed and decomposed accents, an invisible space, full
# width, cases, spaces around it, another dash, an override of the writing direction.
ONE_ITEM = (
    "CAFÉ-1", unicodedata.normalize("NFD", "CAFÉ-1"), "CAFÉ\u200b-1", "ＣＡＦÉ-1", "café-1",
    "  CAFÉ-1 ", "CAFÉ\u20111", "CAFÉ\u20131", "\u202eCAFÉ-1\u202c", "CAFÉ-1\ufe0f",
)  # fmt: skip


class TestLookAlikes:
    def test_one_item_has_one_row_of_stock_however_it_is_written(
        self, database: Database, tmp_path: Path
    ) -> None:
        with database.write() as session:
            make_location(session)
        rows = [f"2026-03-01,{sku},1" for sku in [*ONE_ITEM, "\u0421AFÉ-1"]]  # Cyrillic C last
        sold = _load(database, tmp_path, "sales", "date,sku,qty\n" + "\n".join(rows))

        assert (sold.rows_good, sold.rows_bad) == (len(ONE_ITEM), 1)
        assert "alphabets" in sold.quarantine[0]["reason"]
        for written in ONE_ITEM:
            _load(database, tmp_path, "stock", f"sku,location,on_hand\n{written},MAIN,5\n")
        with database.read() as session:
            assert session.exec(select(func.count()).select_from(Item)).one() == 1
            assert session.exec(select(func.count()).select_from(StockLevel)).one() == 1
            shown = session.exec(select(Item.sku)).one()
            assert {resolve_item(session, written).sku for written in ONE_ITEM} == {shown}

    def test_a_sku_in_letters_that_look_latin_is_the_latin_one(
        self, database: Database, tmp_path: Path
    ) -> None:
        with database.write() as session:
            make_item(session, "COP-1")
            make_location(session)

        cyrillic = "\u0421\u041e\u0420-1"
        loaded = _load(database, tmp_path, "stock", f"sku,location,on_hand\n{cyrillic},MAIN,5\n")

        assert loaded.rows_good == 1
        with database.read() as session:
            assert session.exec(select(Item.sku)).all() == ["COP-1"]

    def test_ten_thousand_items_with_fifty_duplicates(
        self, database: Database, tmp_path: Path
    ) -> None:
        """Given fifty SKUs that come a second time in another spelling, nothing is doubled."""
        skus = [f"PART-{number:05}" for number in range(10_000)]
        again = [f"part\u2011{sku[5:]}\u200b" for sku in skus[:50]]
        lines = [f"{sku},Part,each" for sku in [*skus, *again]]

        report = _load(database, tmp_path, "items", "sku,name,unit\n" + "\n".join(lines))

        assert (report.rows_read, report.rows_good, report.rows_bad) == (10_050, 10_000, 50)
        with database.read() as session:
            keys = session.exec(select(Item.sku_key)).all()
            reasons = session.exec(
                select(QuarantinedRow.reason).where(col(QuarantinedRow.row_number) > 10_001)
            ).all()
        assert len(keys) == len(set(keys)) == 10_000
        assert len(reasons) == 50

    def test_what_is_stored_is_what_a_reader_sees(self, database: Database, tmp_path: Path) -> None:
        _load(database, tmp_path, "sales", "date,sku,qty\n2026-03-01,WID\u200bGET\u202e-9,1\n")

        with database.read() as session:
            assert session.exec(select(Item.sku)).all() == ["WIDGET-9"]
