"""A period of the trail as a file: JSONL for machines and verifiers, PDF for people."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlmodel import Session, col, func, select

from db.models.audit import AuditEvent
from db.models.identity import User
from db.models.purchasing import Approval, PurchaseOrder
from tools.audit.core.chain import GENESIS, Entry
from tools.audit.core.exporting import (
    Extent,
    block,
    closing,
    head_line,
    row_line,
    time_text,
    wrapped,
)
from tools.audit.core.reading import Unreadable, read_entry
from tools.audit.service import AuditReport, read_rows
from tools.errors import Conflict, InvalidInput, NotFound

MOST_PRINTED = 20_000  # rows in a PDF: it is made in memory
_WIDTH = 104  # letters a line


def extent_of(session: Session, since: datetime | None, until: datetime | None) -> Extent:
    """Return the rows of a period: from the first in it to the last, without a gap.

    Raises:
        NotFound: Nothing happened in it.
    """
    statement = select(func.min(AuditEvent.seq), func.max(AuditEvent.seq))
    if since is not None:
        statement = statement.where(col(AuditEvent.at) >= since)
    if until is not None:
        statement = statement.where(col(AuditEvent.at) < until)
    first, last = session.exec(statement).one()
    if first is None or last is None:
        raise NotFound("the audit trail has no rows in this period", next_step="Choose a longer.")
    before = session.exec(select(AuditEvent.mac).where(AuditEvent.seq == first - 1)).first()
    return Extent(first, last, before or GENESIS)


def export_jsonl(
    session: Session, path: Path, *, since: datetime | None = None, until: datetime | None = None
) -> int:
    """Write a period in the published format: a head, then one row a line. Returns the rows.

    It reads the trail twice, page by page, and holds no more than a page in memory.

    Raises:
        NotFound: Nothing happened in the period.
        InvalidInput: The file is there already or cannot be written.
        Conflict: A row cannot be read.
    """
    extent = extent_of(session, since, until)
    digest, count = hashlib.sha256(), 0
    for line in _lines(session, extent):
        digest.update(line)
        count += 1
    head = head_line(extent, count=count, sha256=digest.hexdigest(), since=since, until=until)
    with _new_file(path) as file:
        file.write(head.encode() + b"\n")
        for line in _lines(session, extent):
            file.write(line)
    return count


def export_pdf(
    session: Session,
    path: Path,
    *,
    report: AuditReport,
    at: datetime,
    currency: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Write a period for people, with the signatures and what the verification found.

    Raises:
        NotFound: Nothing happened in the period.
        InvalidInput: It has more rows than a document should; or the file is there already.
        Conflict: A row cannot be read.
    """
    extent = extent_of(session, since, until)
    rows = extent.last_seq - extent.first_seq + 1
    if rows > MOST_PRINTED:
        raise InvalidInput(
            f"{rows:,} rows are too many for a PDF; it takes {MOST_PRINTED:,}",
            next_step="Choose a shorter period, or --format jsonl, which takes any.",
        )
    words = (printed_names(session), printed_currencies(session, currency))
    with _new_file(path) as file:
        _print(file, _blocks(session, extent, words, report, at), title=_title(since, until))
    return rows


def printed_currencies(session: Session, company: str) -> dict[str, str]:
    """Return in which currency an order or a request is; the company's under the empty name."""
    orders = session.exec(select(PurchaseOrder.number, PurchaseOrder.currency)).all()
    asked = session.exec(select(Approval.number, Approval.currency)).all()
    return {"": company, **dict(orders), **dict(asked)}


def printed_names(session: Session) -> dict[str, str]:
    """Return how people are called, by login."""
    return dict(session.exec(select(User.login, User.name)).all())


def _lines(session: Session, extent: Extent) -> Iterator[bytes]:
    for entry, mac in _entries(session, extent):
        yield row_line(entry, mac).encode() + b"\n"


def _entries(session: Session, extent: Extent) -> Iterator[tuple[Entry, str]]:
    for row in read_rows(session, extent.first_seq):
        if row[0] > extent.last_seq:
            return
        try:
            yield read_entry(row)
        except Unreadable as error:
            raise Conflict(
                f"row {row[0]} of the audit trail cannot be read: {error}",
                next_step="Run `quartermaster audit verify`.",
            ) from error


def _blocks(
    session: Session,
    extent: Extent,
    words: tuple[Mapping[str, str], Mapping[str, str]],
    report: AuditReport,
    at: datetime,
) -> Iterator[list[str]]:
    """Return what is printed, block by block; a block is kept together."""
    keys: dict[str, None] = {}
    count, last_mac = 0, ""
    for entry, mac in _entries(session, extent):
        keys[entry.key_id] = None
        count, last_mac = count + 1, mac
        yield block(entry, *words)
    if report.ok:
        verdict = (
            f"Verified on {time_text(at)}: all {report.rows:,} rows of the trail hold; "
            f"{report.anchors:,} anchors up to row {report.anchored_seq:,} agree."
        )
    else:
        verdict = f"VERIFICATION FAILED on {time_text(at)}: {report.problem}"
    yield closing(extent, rows=count, keys=list(keys), head_mac=last_mac, verdict=verdict)


def _print(file: BinaryIO, blocks: Iterator[list[str]], *, title: str) -> None:
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    page = Canvas(file, pagesize=A4, invariant=1, pageCompression=1)
    page.setTitle(title)
    top, bottom, left, step = A4[1] - 60, 50, 36, 10
    y = 0.0
    number = 0
    for lines in blocks:
        wanted = [
            (part, place)
            for place, line in enumerate(lines)
            for part in wrapped(_printable(line), _WIDTH - (2 if place else 0))
        ]
        if y - step * min(len(wanted), 60) < bottom:
            number = _next_page(page, title, number)
            y = top
        for text, place in wanted:
            if y < bottom:
                number = _next_page(page, title, number)
                y = top
            bold = "-Bold" if place == 0 or text.startswith("Signed by ") else ""
            page.setFont(f"Courier{bold}", 8)
            page.drawString(left + (8 if place else 0), y, text)
            y -= step
        y -= step / 2
    page.save()


def _next_page(page: Any, title: str, number: int) -> int:
    if number:
        page.showPage()
    page.setFont("Helvetica-Bold", 10)
    page.drawString(36, 805, title)
    page.setFont("Helvetica", 8)
    page.drawRightString(559, 30, f"page {number + 1}")
    return number + 1


def _printable(text: str) -> str:
    """Return a text in letters that the font has; others as their code, so that none is lost."""
    return "".join(
        letter
        if " " <= letter <= "~" or ("\xa1" <= letter <= "\xff" and letter != "\xad")
        else f"[U+{ord(letter):04X}]"
        for letter in text
    )


def _title(since: datetime | None, until: datetime | None) -> str:
    start = "the beginning" if since is None else time_text(since)
    end = "now" if until is None else time_text(until)
    return f"Quartermaster audit trail, {start} to {end}"


def _new_file(path: Path) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InvalidInput(
            f"{str(path)!r} is there already", next_step="Give another name with -o."
        ) from None
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} cannot be written: {error.strerror}") from None
    return os.fdopen(descriptor, "wb")
