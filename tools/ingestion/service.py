"""Load a file: good rows enter together, bad rows are set aside and named, twice changes nothing.

Rows are staged in short transactions, each of which also moves the watermark ``load.rows_read``;
what is staged is invisible until one small transaction publishes the load. An import that was
killed goes on from its watermark when the same file is sent again.

Rules for sales. Rows of one item, place and day are added up; a file replaces what older files say
about the days that it covers. A negative quantity that names a document (an invoice, a
cancellation) is a return: it counts in ``returned_units`` of its day and does not reduce demand; a
negative quantity without a document is set aside. A SKU that nobody described becomes an item with
status ``new``, named by the file, and the report says how many there were; stock, orders and
suppliers' terms create no items.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from db.bulk import bulk_insert, tune_for_bulk
from db.models.catalog import Location
from db.models.ingestion import Load, QuarantinedRow, StagedRow
from db.models.stock import Demand
from db.session import Database
from db.types import LoadState
from tools.clock import Clock
from tools.errors import Conflict, InvalidInput
from tools.intake.core.kinds import Kind, kind_named, match_columns
from tools.intake.core.rows import BadRow, RowChecker, TextRow, date_order
from tools.intake.core.tables import BATCH_ROWS, open_table
from tools.intake.service import Batch, Desk, apply_staged, prepare, stage
from tools.money import minor_digits

logger = logging.getLogger(__name__)
SHOWN_ROWS = 20
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
    pause_s: float = 0.02, currency: str = "GBP",
) -> LoadReport:  # fmt: skip
    """Load a file of sales, items, stock, suppliers or open orders.

    Args:
        database: Where to; the import runs its own short transactions.
        kind: sales, items, stock, suppliers or orders.
        path: CSV (comma, semicolon, tab), Excel or Parquet.
        clock: Dates of the past must not lie after its day.
        mapping: Field to column where the names are not known ones; ``date_order`` = dmy or mdy.
        progress: Called with (rows read, rows expected; 0 when unknown).
        pause_s: Rest between two transactions, so that others can write.
        currency: Of prices in the file.

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
    with _opened(Path(path)) as stream:
        digest, lines = _digest(stream, mapping)
        known = _known_load(database, chosen, digest)
        if known is not None and known.state is LoadState.PUBLISHED:
            return _report(database, known, is_repeat=True)
        header, columns, checker = _checker(stream, chosen, mapping, clock)
        if known is not None and known.state is LoadState.FAILED:
            _restart(database, known)
        load = known or _begin(database, chosen, Path(path).name, digest, columns, clock)
        desk = Desk(load, chosen, currency, clock.now())
        try:
            _stage(database, desk, checker, stream, progress, lines, pause_s)
            _publish(database, desk, clock)
        except InvalidInput:
            _discard(database, load)
            raise
    logger.info("file loaded", extra={"load_id": load.id, "rows": load.rows_read, "cols": header})
    return _report(database, load, is_repeat=False)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InvalidInput(
            f"the file {str(path)!r} cannot be opened: {error.strerror}",
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
    stream: BinaryIO, kind: Kind, mapping: Mapping[str, str] | None, clock: Clock
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
    today = clock.now().date()
    checker = RowChecker(kind, table.header, columns, order=order, today=today)
    return len(table.header), columns, checker


def _known_load(database: Database, kind: Kind, digest: str) -> Load | None:
    with database.read() as session:
        same = select(Load).where(Load.kind == kind.name, Load.content_hash == digest)
        load = session.exec(same).one_or_none()
        session.expunge_all()
        return load


def _begin(
    database: Database, kind: Kind, name: str, digest: str, columns: dict[str, str], clock: Clock
) -> Load:
    load = Load(
        kind=kind.name, file_name=name[:200], content_hash=digest, started_at=clock.now(),
        report={"columns": columns, "new_items": 0},
    )  # fmt: skip
    try:
        with database.write() as session:
            is_first = session.exec(select(Location.id)).first() is None
            load.report = load.report | {"may_create_locations": is_first}
            session.add(load)
    except IntegrityError as error:
        raise _busy(name) from error
    return load


def _busy(name: str) -> Conflict:
    return Conflict(
        f"the file {name!r} is being loaded by somebody else",
        next_step="Wait until that import has ended.",
    )


class _Pace:
    """How many rows go into one transaction: fewer while the machine is busy.

    Others wait for the lock as long as a transaction lasts, so its length is what is kept.
    """

    def __init__(self) -> None:
        self.rows = BATCH_ROWS

    def took(self, seconds: float) -> None:
        """Learn how long the last transaction lasted."""
        if seconds > SLOW_S:
            self.rows = max(self.rows // 2, BATCH_ROWS // 8, 1)
        elif seconds < SLOW_S / 2:
            self.rows = min(self.rows + self.rows // 4 + 1, BATCH_ROWS)


def _stage(
    database: Database, desk: Desk, checker: RowChecker, stream: BinaryIO,
    progress: Progress | None, expected: int, pause_s: float,
) -> None:  # fmt: skip
    """Check and store the rows batch by batch, from the watermark on."""
    rows = open_table(stream).rows
    _skip(rows, checker, desk.load.rows_read)
    pace = _Pace()
    while batch := list(islice(rows, pace.rows)):
        checked = checker.check(batch)
        ready = prepare(desk.kind, checked.good)  # nobody has to wait for what is done before
        started = time.perf_counter()
        with database.write() as session:
            tune_for_bulk(session)
            _store(session, desk, ready, checked.bad, len(batch))
        pace.took(time.perf_counter() - started)
        if progress is not None:
            progress(desk.load.rows_read, max(expected, desk.load.rows_read) if expected else 0)
        time.sleep(pause_s)


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
        raise _busy(load.file_name)
    load.rows_read += count
    load.rows_good += good
    load.rows_bad += len(bad)


def _publish(database: Database, desk: Desk, clock: Clock) -> None:
    """Make the load visible at once; with nothing good in it, it has failed instead."""
    load = desk.load
    state = LoadState.PUBLISHED if load.rows_good else LoadState.FAILED
    load.report = load.report | {"message": _message(load)}
    with database.write() as session:
        ours = session.execute(
            update(Load)
            .where(col(Load.id) == load.id, col(Load.state) == LoadState.STAGING)
            .values(state=state, finished_at=clock.now(), report=load.report)
            .returning(col(Load.id))
        ).scalar_one_or_none()
        if ours is None:
            raise _busy(load.file_name)
        if state is LoadState.PUBLISHED:
            apply_staged(session, desk)
        session.execute(delete(StagedRow).where(col(StagedRow.load_id) == load.id))
    load.state = state


def _restart(database: Database, load: Load) -> None:
    """Forget a failed load, so that the same file can be tried again."""
    _discard(database, load)
    with database.write() as session:
        session.execute(delete(QuarantinedRow).where(col(QuarantinedRow.load_id) == load.id))
        load.state = LoadState.STAGING
        load.rows_read = load.rows_good = load.rows_bad = 0
        load.report = load.report | {"new_items": 0}
        session.merge(load)


def _discard(database: Database, load: Load) -> None:
    """Mark a load as failed and remove what it staged, a few items at a time."""
    with database.write() as session:
        session.execute(update(Load).where(col(Load.id) == load.id).values(state=LoadState.FAILED))
        session.execute(delete(StagedRow).where(col(StagedRow.load_id) == load.id))
    while True:
        with database.read() as session:
            of_load = select(Demand.item_id).where(Demand.load_id == load.id)
            items = session.exec(of_load.distinct().limit(100)).all()
        with database.write() as session:
            session.execute(
                delete(Demand).where(col(Demand.load_id) == load.id, col(Demand.item_id).in_(items))
            )
        if not items:
            return


def _message(load: Load) -> str:
    if not load.rows_good:
        return f"None of the {load.rows_read:,} rows could be loaded; see what was set aside."
    text = f"Loaded {load.rows_good:,} of {load.rows_read:,} rows of {load.kind}"
    if load.rows_bad:
        text += f"; {load.rows_bad:,} set aside"
    if new := load.report.get("new_items"):
        text += f"; {new:,} new items, named by the file and without supplier or cost"
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
