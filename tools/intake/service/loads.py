"""The life of a load: begun, gone on with, published, discarded."""

import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from db.models.catalog import Location
from db.models.ingestion import Load, QuarantinedRow, StagedRow
from db.models.stock import Demand
from db.session import Database
from db.types import LoadState
from tools.clock import Clock
from tools.errors import Conflict
from tools.intake.core.kinds import Kind


def known_load(database: Database, kind: Kind, digest: str) -> Load | None:
    """The load that this file repeats or goes on with; None when it counts as a new file."""
    of_kind = select(Load).where(Load.kind == kind.name)
    with database.read() as session:
        if kind.is_snapshot:
            last = _last_published(session, kind)
            if last is not None and last.report.get("file") == digest:
                session.expunge_all()
                return last
            unfinished = of_kind.where(Load.state == LoadState.STAGING).order_by(col(Load.id))
            same = [load for load in session.exec(unfinished) if load.report.get("file") == digest]
            if same:
                session.expunge_all()
                return same[0]
        stored = _stored_hash(session, kind, digest)
        load = session.exec(of_kind.where(Load.content_hash == stored)).one_or_none()
        session.expunge_all()
        return load


def _last_published(session: Session, kind: Kind) -> Load | None:
    published = select(Load).where(Load.kind == kind.name, Load.state == LoadState.PUBLISHED)
    return session.exec(
        published.order_by(col(Load.finished_at).desc(), col(Load.id).desc()).limit(1)
    ).first()


def _stored_hash(session: Session, kind: Kind, digest: str) -> str:
    """What makes a load unique: its file, and for a snapshot also the one that it follows."""
    last = _last_published(session, kind) if kind.is_snapshot else None
    if last is None:
        return digest
    return hashlib.sha256(f"{digest} after {last.id}".encode()).hexdigest()


def begin(
    database: Database, kind: Kind, name: str, digest: str, columns: dict[str, str], clock: Clock
) -> Load:
    """Record that an import begins.

    Raises:
        Conflict: Another process was faster.
    """
    load = Load(
        kind=kind.name, file_name=name[:200], content_hash=digest, started_at=clock.now(),
        report={"columns": columns, "new_items": 0, "file": digest},
    )  # fmt: skip
    try:
        with database.write() as session:
            is_first = session.exec(select(Location.id)).first() is None
            load.report = load.report | {"may_create_locations": is_first}
            load.content_hash = _stored_hash(session, kind, digest)
            session.add(load)
    except IntegrityError as error:
        raise busy(name) from error
    return load


def busy(name: str) -> Conflict:
    """Error of an import whose load another one works on."""
    return Conflict(
        f"the file {name!r} is being loaded by somebody else",
        next_step="Wait until that import has ended.",
    )


def restart(database: Database, load: Load) -> None:
    """Forget a failed load, so that the same file can be tried again."""
    discard(database, load)
    with database.write() as session:
        session.execute(delete(QuarantinedRow).where(col(QuarantinedRow.load_id) == load.id))
        load.state = LoadState.STAGING
        load.rows_read = load.rows_good = load.rows_bad = 0
        attempt = load.report.get("attempt", 1) + 1
        load.report = load.report | {"new_items": 0, "assumed_lead_times": 0, "attempt": attempt}
        session.merge(load)


def discard(database: Database, load: Load) -> None:
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


@contextmanager
def brief_write(database: Database) -> Iterator[Session]:
    """One write transaction that the garbage collector does not prolong.

    A full collection walks the whole program and lasts longer than the transaction; it can just as
    well happen when nobody waits for the lock.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with database.write() as session:
            yield session
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def discarded_on_failure(database: Database, load: Load) -> Iterator[None]:
    """Leave nothing half done behind a failure; a kill leaves what goes on later."""
    try:
        yield
    except (Conflict, KeyboardInterrupt):  # another import works on it, or somebody stopped us
        raise
    except IntegrityError as error:
        discard(database, load)
        raise Conflict(
            f"what the file {load.file_name!r} names was changed by somebody else meanwhile",
            next_step="Send the file again.",
        ) from error
    except BaseException:
        discard(database, load)
        raise
