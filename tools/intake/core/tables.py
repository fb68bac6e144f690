"""Bytes of a file to rows of text: delimited text, Excel, Parquet.

The functions read from an open binary stream and check what a hostile or broken file may hold
before a library unpacks it.
"""

import codecs
import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from itertools import chain
from typing import Any, BinaryIO

import pyarrow
import pyarrow.parquet
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from tools.errors import InvalidInput
from tools.intake.core.rows import TextRow

BATCH_ROWS = 5_000
MOST_ENTRIES = 1_000
MOST_UNPACKED_BYTES = 100 * 1024 * 1024
MOST_RATIO = 100
LONGEST_CELL = 32_768
LONGEST_LINE = 1 << 20
_MOST_DIRECTORY_BYTES = 512 * MOST_ENTRIES  # of an archive's list of its parts
_FIRST_ELEMENT = re.compile(rb"<[A-Za-z_]|<!DOCTYPE")
_END_OF_ARCHIVE = b"PK\x05\x06"
_BLOCK = 1 << 20
_DELIMITERS = ",;\t|"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
         (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
# What the libraries raise on broken content, besides their own errors. ElementTree's ParseError is
# a SyntaxError; a broken cell, style or part name ends as one of the others.
_BROKEN = (SyntaxError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError,
           OSError, EOFError, NotImplementedError, RuntimeError, zlib.error,
           zipfile.BadZipFile)  # fmt: skip


class Format(StrEnum):
    """How a file is written."""

    TEXT = "text"
    EXCEL = "excel"
    PARQUET = "parquet"


@dataclass(frozen=True)
class Table:
    """An opened table: its columns, and its rows to be read once."""

    header: tuple[str, ...]
    rows: Iterator[TextRow]


def format_of(first_bytes: bytes) -> Format:
    """Format by the file's first bytes; the name of a file proves nothing.

    Raises:
        InvalidInput: Nothing in it, or a format that is not read.
    """
    if not first_bytes:
        raise InvalidInput("the file is empty", next_step="Export it again and send it.")
    if first_bytes.startswith(b"PK\x03\x04"):
        return Format.EXCEL
    if first_bytes.startswith(b"PAR1"):
        return Format.PARQUET
    if first_bytes.startswith(b"\xd0\xcf\x11\xe0"):
        raise InvalidInput(
            "this is an old or protected Excel file (.xls)",
            next_step="Save it as .xlsx without a password, or as CSV.",
        )
    return Format.TEXT


def open_table(stream: BinaryIO) -> Table:
    """Open a table of any format at its header.

    Raises:
        InvalidInput: The file cannot be read, has no header, or names a column twice.
    """
    readers = {
        Format.TEXT: _text_rows,
        Format.EXCEL: _excel_rows,
        Format.PARQUET: _parquet_rows,
    }
    rows = readers[format_of(_rewound(stream).read(8))](_rewound(stream))
    first = next(rows, None)
    if first is None:
        raise InvalidInput("the file has no header row", next_step="Export it with column names.")
    header = tuple(cell.strip() for cell in first.cells)
    while header and not header[-1]:
        header = header[:-1]
    named = [column for column in header if column]
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        raise InvalidInput(
            f"the file has several columns named {twice[0]!r}",
            next_step="Rename or remove one of them.",
            details={"columns": list(header)},
        )
    return Table(header, _fitted(rows, len(header)))


def _fitted(rows: Iterator[TextRow], width: int) -> Iterator[TextRow]:
    """Drop empty rows, and empty cells beyond the header."""
    for row in rows:
        cells = row.cells
        while len(cells) > width and not cells[-1].strip():
            cells = cells[:-1]
        if any(cell and not cell.isspace() for cell in cells):
            yield row if cells is row.cells else TextRow(row.number, cells)


def encoding_of(stream: BinaryIO) -> str:
    """Encoding of a text: by byte order mark, else UTF-8, else Windows-1252.

    Reads the whole stream, so that a wrong byte is found before a row is loaded.

    Raises:
        InvalidInput: It is none of them, or no text at all.
    """
    start = _rewound(stream).read(4)
    for mark, name in _BOMS:
        if start.startswith(mark):
            return _checked(stream, name)
    if _decodes(stream, "utf-8"):
        return _checked(stream, "utf-8")
    return _checked(stream, "cp1252")


def _checked(stream: BinaryIO, encoding: str) -> str:
    if not _decodes(stream, encoding):
        raise InvalidInput(
            f"the file is neither UTF-8 nor Windows-1252 text (tried {encoding})",
            next_step="Export it as CSV in UTF-8.",
        )
    if encoding != "utf-16" and any(b"\0" in block for block in _blocks(stream)):
        raise InvalidInput(
            "the file holds zero bytes: it is not text", next_step="Export it as CSV in UTF-8."
        )
    return encoding


def _decodes(stream: BinaryIO, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in _blocks(stream):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _blocks(stream: BinaryIO) -> Iterable[bytes]:
    _rewound(stream)
    return iter(lambda: stream.read(_BLOCK), b"")


def _rewound(stream: BinaryIO) -> BinaryIO:
    stream.seek(0)
    return stream


def _text_rows(stream: BinaryIO) -> Iterator[TextRow]:
    encoding = encoding_of(stream)
    text = io.TextIOWrapper(_rewound(stream), encoding=encoding, newline="")
    lines = _lines(text)
    first = next(lines, "")
    delimiter = max(_DELIMITERS, key=first.count)
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(chain([first], lines), delimiter=delimiter)
    try:
        for number, cells in enumerate(reader, start=1):
            yield TextRow(number, cells)
    except csv.Error as error:
        raise InvalidInput(
            f"the text cannot be read after line {reader.line_num}: {error}",
            next_step="Look for an unclosed quotation mark near this line.",
        ) from error
    finally:
        if not stream.closed:
            text.detach()  # the stream is not ours to close


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Lines of a text; one without an end would fill the memory before it is looked at."""
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise InvalidInput(
                f"a line of the file is longer than {LONGEST_LINE:,} characters",
                next_step="Export it as CSV with one line a row.",
            )
        yield line


def _excel_rows(stream: BinaryIO) -> Iterator[TextRow]:
    _refuse_bomb(stream)
    try:
        book = load_workbook(_rewound(stream), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what a file claims about its size is not to be trusted
        width = 0
        for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
            cells = [cell_text(value) for value in values]
            width = width or len(cells)  # a sheet drops the empty cells at the end of a row
            yield TextRow(number, cells + [""] * (width - len(cells)))
        book.close()
    except (InvalidFileException, *_BROKEN) as error:
        raise _unreadable("an Excel workbook", error) from error


def _refuse_bomb(stream: BinaryIO) -> None:
    """Refuse an archive that would unpack into far more than it is."""
    _refuse_long_directory(stream)
    try:
        archive = zipfile.ZipFile(_rewound(stream))
        entries = archive.infolist()
    except _BROKEN as error:
        raise _unreadable("an Excel workbook", error) from error
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    if (
        len(entries) > MOST_ENTRIES
        or unpacked > MOST_UNPACKED_BYTES
        or (unpacked > _BLOCK and unpacked > MOST_RATIO * packed)
    ):
        raise InvalidInput(
            f"the workbook unpacks to {unpacked // _BLOCK:,} MB in {len(entries):,} parts",
            next_step="Send it as CSV.",
        )
    for entry in entries:
        if entry.filename.endswith((".xml", ".rels")) and _declares_a_type(archive, entry):
            raise InvalidInput(
                f"the part {entry.filename[:80]!r} of the workbook declares entities, which no "
                "spreadsheet program writes",
                next_step="Send it as CSV.",
            )


def _declares_a_type(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Whether an XML part begins with a DOCTYPE, the place for entities that blow up."""
    head = b""
    try:
        with archive.open(entry) as part:
            while not _FIRST_ELEMENT.search(head) and (block := part.read(4_096)):
                head += block.replace(b"\0", b"")  # whatever the width of its letters
                if len(head) > LONGEST_LINE:
                    return True  # nor does one write a megabyte before it begins
    except _BROKEN as error:
        raise _unreadable("an Excel workbook", error) from error
    return b"<!DOCTYPE" in head


def _refuse_long_directory(stream: BinaryIO) -> None:
    """Refuse a million parts before a library makes an object of each."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - 65_557))  # the end record and its longest comment
    end = stream.read()
    at = end.rfind(_END_OF_ARCHIVE)
    directory_bytes = int.from_bytes(end[at + 12 : at + 16], "little") if at >= 0 else 0
    if directory_bytes > _MOST_DIRECTORY_BYTES:
        raise InvalidInput(
            f"the workbook has a list of parts of {directory_bytes:,} bytes",
            next_step="Send it as CSV.",
        )


def _parquet_rows(stream: BinaryIO) -> Iterator[TextRow]:
    try:
        file = pyarrow.parquet.ParquetFile(_rewound(stream))
        yield TextRow(1, list(file.schema_arrow.names))
        number = 1
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            columns = [[cell_text(value) for value in column.to_pylist()] for column in batch]
            for cells in zip(*columns, strict=True):
                number += 1
                yield TextRow(number, cells)
    except (pyarrow.ArrowException, *_BROKEN) as error:
        raise _unreadable("a Parquet file", error) from error


def _unreadable(what: str, error: Exception) -> InvalidInput:
    return InvalidInput(
        f"this is not {what} that can be read: {str(error)[:120]}",
        next_step="Export it again, or send it as CSV.",
    )


def cell_text(value: Any) -> str:
    """Text of a typed cell, so that all formats are checked by the same rules.

    Example:
        >>> cell_text(22423.0), cell_text(datetime(2011, 12, 8, 9, 30)), cell_text(None)
        ('22423', '2011-12-08 09:30:00', '')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)
