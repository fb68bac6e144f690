"""Load a file: good rows enter, bad rows are set aside and named, twice changes nothing.

Rows are staged in short transactions, each of which also moves the watermark ``load.rows_read``;
what is staged is invisible until the load is published. An import that was killed goes on from its
watermark when the same file is sent again.

Sales become visible together, by one flag. Other files are applied when all of their rows are
staged: up to 500 rows in one transaction with the flag; a longer file in several, so that nobody
waits long for the lock, and until its end a part of it is visible. Every row is applied once.

A repeat changes nothing. A count of stock says how things stand: its repeat is the file that was
published last, and an older count that comes again is a new one.

Rules for sales. Rows of one item, place and day are added up; a file replaces what older files say
about exactly the items, places and days of its rows. A row that a corrected file no longer has
therefore stays: to take it back, send it with quantity 0. A negative quantity that names a document
(an invoice, a cancellation) is a return: it counts in ``returned_units`` of its day and does not
reduce demand; a negative quantity without a document is set aside. A SKU that nobody described
becomes an item with status ``new``, named by the file, and the report says how many there were;
stock, orders and suppliers' terms create no items.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from sqlalchemy import update
from sqlmodel import Session, col, select

from db.bulk import bulk_insert, tune_for_bulk
from db.models.ingestion import Load, QuarantinedRow
from db.session import Database
from db.types import Actor, LoadState
from tools.audit import service as audit
from tools.clock import Clock
from tools.errors import InvalidInput
from tools.intake.core.kinds import Kind, kind_named, match_columns
from tools.intake.core.rows import BadRow, RowChecker, TextRow, date_order
from tools.intake.core.tables import BATCH_ROWS, open_table
from tools.intake.service.applying import apply_chunk, staged_groups
from tools.intake.service.desk import Batch, Desk, prepare
from tools.intake.service.loads import (
    begin,
    brief_write,
    busy,
    discarded_on_failure,
    known_load,
    restart,
)
from tools.intake.service.lookup import look_up
from tools.intake.service.staging import stage
from tools.money import minor_digits

logger = logging.getLogger(__name__)
SHOWN_ROWS = 20
STAGED_ROWS, APPLIED_ROWS = 2_000, 500  # of master data in one transaction
SLOW_S = 0.12  # a transaction that keeps others waiting too long
_SHOWN = {"row_number", "field", "reason", "value"}
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LoadReport:
    """What became of a file. ``quarantine`` holds the first rows that were set aside."""

    load_id: int
    state: LoadState
    rows_read: int
    rows_good: int
    rows_bad: int
    is_repeat: bool
    quarantine: list[dict[str, Any]]
    columns: dict[str, str]
    message: str


_PRICED = ("items", "suppliers", "orders")


def ingest(
    database: Database, kind: str, path: str | Path, *, clock: Clock,
    mapping: Mapping[str, str] | None = None, progress: Progress | None = None,
    pause_s: float = 0.03, currency: str = "GBP", timezone: str = "UTC",
    actor: Actor | None = None,
) -> LoadReport:  # fmt: skip
    """Load a file of sales, items, stock, suppliers or open orders.

    Args:
        database: Where to; the import runs its own short transactions.
        kind: sales, items, stock, suppliers or orders.
        path: CSV (comma, semicolon, tab), Excel or Parquet.
        clock: Dates of the past must not lie after its day in ``timezone``.
        mapping: Field to column where the names are not known ones; ``date_order`` = dmy or mdy.
        progress: Called with (rows read, rows expected; 0 when unknown).
        pause_s: Least rest between two transactions, so that others can write.
        currency: Of prices in the file.
        timezone: Where the company's days begin and end.
        actor: Who loads it, for the audit trail; the program itself if nobody is named.

    Raises:
        InvalidInput: The file cannot be read or lacks a column; nothing was loaded.
        Conflict: The same file is being loaded elsewhere.
    """
    chosen = kind_named(kind)
    if minor_digits(currency) != 2 and chosen.name in _PRICED:
        raise InvalidInput(
            f"prices in {currency!r} cannot be imported yet: it does not have two decimals",
            next_step="Import the files without prices, such as stock and sales.",
        )
    today = clock.now().astimezone(ZoneInfo(timezone)).date()
    with _opened(Path(path)) as stream:
        digest, lines = _digest(stream, mapping)
        known = known_load(database, chosen, digest)
        if known is not None and known.state is LoadState.PUBLISHED:
            return _report(database, known, is_repeat=True)
        header, columns, checker = _checker(stream, chosen, mapping, today)
        if known is not None and known.state is LoadState.FAILED:
            restart(database, known)
        load = known or begin(database, chosen, Path(path).name, digest, columns, clock)
        desk = Desk(load, chosen, currency, clock.now())
        with discarded_on_failure(database, load):
            _stage(database, desk, checker, stream, progress, lines, pause_s)
            _publish(database, desk, clock, pause_s, actor or audit.SYSTEM)
    logger.info("file loaded", extra={"load_id": load.id, "rows": load.rows_read, "cols": header})
    return _report(database, load, is_repeat=False)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:  # the latter: a NUL in its name
        why = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(
            f"the file {str(path)[:200]!r} cannot be opened: {why}",
            next_step="Check its name and folder.",
        ) from error


def _digest(stream: BinaryIO, mapping: Mapping[str, str] | None) -> tuple[str, int]:
    digest = hashlib.sha256(json.dumps(sorted((mapping or {}).items())).encode())
    lines = 0
    for block in iter(lambda: stream.read(1 << 20), b""):
        digest.update(block)
        lines += block.count(b"\n")
    stream.seek(0)
    is_text = not stream.read(4).startswith((b"PK\x03\x04", b"PAR1"))
    stream.seek(0)
    return digest.hexdigest(), max(0, lines - 1) if is_text else 0


def _checker(
    stream: BinaryIO, kind: Kind, mapping: Mapping[str, str] | None, today: date
) -> tuple[int, dict[str, str], RowChecker]:
    table = open_table(stream)
    columns = match_columns(kind, table.header, mapping)
    first = next(table.rows, None)
    if first is None:
        raise InvalidInput(
            "the file has a header and no rows", next_step="Export it again with its data."
        )
    rows = open_table(stream).rows
    order = date_order(kind, columns, table.header, rows, mapping)
    checker = RowChecker(kind, table.header, columns, order=order, today=today)
    return len(table.header), columns, checker


class _Pace:
    """How many rows go into one transaction: fewer while the machine is busy.

    Others wait for the lock as long as a transaction lasts, so its length is what is kept.
    """

    def __init__(self, most: int) -> None:
        self.most = self.rows = most

    def took(self, seconds: float) -> None:
        """Learn how long the last transaction lasted."""
        if seconds > SLOW_S:
            self.rows = max(self.rows // 2, self.most // 8, 1)
        elif seconds < SLOW_S / 2:
            self.rows = min(self.rows + self.rows // 4 + 1, self.most)


def _stage(
    database: Database, desk: Desk, checker: RowChecker, stream: BinaryIO,
    progress: Progress | None, expected: int, pause_s: float,
) -> None:  # fmt: skip
    """Check and store the rows batch by batch, from the watermark on."""
    rows = open_table(stream).rows
    _skip(rows, checker, desk.load.rows_read)
    pace = _Pace(BATCH_ROWS if desk.kind.name == "sales" else STAGED_ROWS)
    while batch := list(islice(rows, pace.rows)):
        checked = checker.check(batch)
        ready = prepare(desk.kind, checked.good)  # nobody has to wait for what is done before
        with database.read() as session:
            look_up(session, desk, ready)
        started = time.perf_counter()
        with brief_write(database) as session:
            tune_for_bulk(session)
            _store(session, desk, ready, checked.bad, len(batch))
        lasted = time.perf_counter() - started
        pace.took(lasted)
        if progress is not None:
            progress(desk.load.rows_read, max(expected, desk.load.rows_read) if expected else 0)
        _rest(pause_s, lasted)


def _rest(pause_s: float, lasted: float) -> None:
    """Leave the lock free for as long as it was held: who waits asks for it now and then only."""
    time.sleep(max(pause_s, lasted) if pause_s else 0)


def _skip(rows: Iterator[TextRow], checker: RowChecker, count: int) -> None:
    """Pass over the rows before the watermark; they are checked, for none may come twice."""
    while count and (batch := list(islice(rows, min(count, BATCH_ROWS)))):
        checker.check(batch)
        count -= len(batch)


def _store(session: Session, desk: Desk, ready: Batch, bad: list[BadRow], count: int) -> None:
    """Store one batch and move the watermark; both or neither."""
    load = desk.load
    good, misfits = stage(session, desk, ready)
    bad = sorted([*bad, *misfits])
    rows = [
        {
            "load_id": load.id, "row_number": number, "field": name, "reason": reason,
            "value": value.replace("\0", " "),
        }
        for number, name, reason, value in bad
    ]  # fmt: skip
    bulk_insert(session, QuarantinedRow, rows)
    moved = session.execute(
        update(Load)
        .where(
            col(Load.id) == load.id,
            col(Load.rows_read) == load.rows_read,
            col(Load.state) == LoadState.STAGING,
        )
        .values(
            rows_read=load.rows_read + count,
            rows_good=load.rows_good + good,
            rows_bad=load.rows_bad + len(bad),
            report=load.report,
        )
        .returning(col(Load.id))
    ).scalar_one_or_none()
    if moved is None:
        raise busy(load.file_name)
    load.rows_read += count
    load.rows_good += good
    load.rows_bad += len(bad)


def _publish(database: Database, desk: Desk, clock: Clock, pause_s: float, actor: Actor) -> None:
    """Apply what was staged and make the load visible; with nothing good in it, it has failed."""
    with database.read() as session:
        groups = [] if desk.kind.name == "sales" else staged_groups(session, desk)
    pace = _Pace(APPLIED_ROWS)
    at, is_done = 0, False
    while not is_done:
        started = time.perf_counter()
        chunk, rows = groups[:0], 0
        while at < len(groups) and (not chunk or rows + len(groups[at]) <= pace.rows):
            chunk.append(groups[at])
            rows += len(groups[at])
            at += 1
        is_done = at == len(groups)
        with brief_write(database) as session:
            if is_done:
                audit.lock(session)  # before any row: who decides takes it first as well
            if chunk and not apply_chunk(session, desk, chunk):
                raise busy(desk.load.file_name)
            if is_done:
                _finish(session, desk, clock, actor)
        lasted = time.perf_counter() - started
        pace.took(lasted)
        _rest(0 if is_done else pause_s, lasted)


def _finish(session: Session, desk: Desk, clock: Clock, actor: Actor) -> None:
    load = desk.load
    state = LoadState.PUBLISHED if load.rows_good else LoadState.FAILED
    load.report = load.report | {"message": _message(load)}
    ours = session.execute(
        update(Load)
        .where(col(Load.id) == load.id, col(Load.state) == LoadState.STAGING)
        .values(state=state, finished_at=clock.now(), report=load.report)
        .returning(col(Load.id))
    ).scalar_one_or_none()
    if ours is None:
        raise busy(load.file_name)
    load.state = state
    counts = {"rows_read": load.rows_read, "rows_good": load.rows_good, "rows_bad": load.rows_bad}
    audit.append(
        session, at=clock.now(), actor=actor, action=f"load.{state.value}",
        object_id=f"load-{load.id}",
        after={
            "load": load.id, "kind": load.kind, "file_name": load.file_name,
            "content_hash": load.content_hash, **counts,
        },
    )  # fmt: skip


def _message(load: Load) -> str:
    if not load.rows_good:
        return f"None of the {load.rows_read:,} rows could be loaded; see what was set aside."
    text = f"Loaded {load.rows_good:,} of {load.rows_read:,} rows of {load.kind}"
    if load.rows_bad:
        text += f"; {load.rows_bad:,} set aside"
    if new := load.report.get("new_items"):
        text += f"; {new:,} new items, named by the file and without supplier or cost"
    if assumed := load.report.get("assumed_lead_times"):
        text += f"; {assumed:,} new terms name no lead time, 14 days are assumed"
    if load.kind == "stock":
        text += "; items that are not in the file keep their balance"
    return text + "."


def _report(database: Database, load: Load, *, is_repeat: bool) -> LoadReport:
    with database.read() as session:
        rows = session.exec(
            select(QuarantinedRow)
            .where(QuarantinedRow.load_id == load.id)
            .order_by(col(QuarantinedRow.row_number), col(QuarantinedRow.id))
            .limit(SHOWN_ROWS)
        ).all()
        quarantine = [row.model_dump(include=_SHOWN) for row in rows]
    message = str(load.report.get("message", ""))
    return LoadReport(
        load_id=load.id, state=load.state, rows_read=load.rows_read, rows_good=load.rows_good,
        rows_bad=load.rows_bad, is_repeat=is_repeat, quarantine=quarantine,
        columns=dict(load.report.get("columns", {})),
        message=f"This file was loaded before. {message}" if is_repeat else message,
    )  # fmt: skip
