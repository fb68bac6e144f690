"""What `doctor` looks at in the house: database, ledger, keys, anchors, clock, room, backups."""

import shutil
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlmodel import Session, col, func, select

from api.cli.doctor import Check, Level

if TYPE_CHECKING:
    from api.bootstrap import System

LITTLE_ROOM_BYTES, NO_ROOM_BYTES = 2_000_000_000, 50_000_000
OLD_BACKUP = timedelta(days=7)
OLD_ANCHOR = timedelta(days=2)
MOST_SKEW = timedelta(seconds=5)
LATE_DELIVERY = timedelta(hours=1)
_SQLITE = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}
_SERVER = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


def house_checks(system: "System") -> Iterator[Check]:
    """Yield every finding; each one is independent of the others."""
    with system.database.read() as session:
        yield _safety(session, is_sqlite=system.database.is_sqlite)
        yield _triggers(session)
        yield _ledger(session)
        yield _waiting(session, system.clock.now())
        yield _clock(session, system)
        yield _anchors(session, system)
    yield _keys(system)
    yield _room(system)
    yield _backups(system)


def _safety(session: Session, *, is_sqlite: bool) -> Check:
    """Whether what was committed outlives a power cut."""
    ask, wanted = ("PRAGMA {}", _SQLITE) if is_sqlite else ("SHOW {}", _SERVER)
    found: dict[str, Any] = {
        name: session.execute(text(ask.format(name))).scalar_one() for name in wanted
    }
    wrong = [f"{name} is {found[name]!r}" for name in wanted if found[name] != wanted[name]]
    if wrong:
        return Check("durability", "problem", f"{', '.join(wrong)}: a power cut may lose orders")
    if is_sqlite:
        return Check("durability", "ok", "WAL, synchronous FULL, foreign keys on")
    version = session.execute(text("SHOW server_version")).scalar_one()
    return Check("durability", "ok", f"PostgreSQL {version}, fsync and synchronous commit on")


def _triggers(session: Session) -> Check:
    from db.migrate import missing_triggers

    missing = missing_triggers(session.connection())
    if missing:
        return Check("history guards", "problem", f"missing triggers: {', '.join(missing)}")
    return Check("history guards", "ok", "every append-only table refuses changes")


def _ledger(session: Session) -> Check:
    from tools.stock.service import ledger_differences

    found = ledger_differences(session)
    if found:
        return Check("stock ledger", "problem", f"{len(found)} items differ from their movements")
    return Check("stock ledger", "ok", "stock is the sum of its movements")


def _waiting(session: Session, now: datetime) -> Check:
    """Whether deliveries leave: none that is due waits for long."""
    from db.models.purchasing import Outbox
    from db.types import OutboxState

    late = session.exec(
        select(func.count())
        .select_from(Outbox)
        .where(Outbox.state == OutboxState.PENDING)
        .where(col(Outbox.next_attempt_at) < now - LATE_DELIVERY)
    ).one()
    if late:
        text_ = f"{late} are due for over an hour; does `quartermaster serve` run?"
        return Check("outbox", "warning", text_)
    return Check("outbox", "ok", "nothing that is due waits")


def _clock(session: Session, system: "System") -> Check:
    """Whether this machine and the database agree on the time, and it never ran backwards."""
    from db.models.audit import AuditEvent
    from tools.clock import SystemClock

    now = system.clock.now()
    newest = session.exec(select(func.max(AuditEvent.at))).one()
    if newest is not None and newest > now + MOST_SKEW:
        text_ = f"the trail has a row of {newest:%Y-%m-%d %H:%M:%S} UTC, later than now"
        return Check("clock", "problem", f"{text_}: set this machine's clock")
    if system.database.is_sqlite or not isinstance(system.clock, SystemClock):
        return Check("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC")
    served: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    skew_s = abs((served - system.clock.now()).total_seconds())
    level: Level = "ok" if skew_s <= MOST_SKEW.total_seconds() else "problem"
    return Check("clock", level, f"{skew_s:.1f} s from the database server's")


def _anchors(session: Session, system: "System") -> Check:
    from db.models.audit import AuditEvent
    from tools.audit.core.anchors import read_anchor
    from tools.audit.gateway.anchors import AnchorFile

    rows = session.exec(select(func.max(AuditEvent.seq))).one() or 0
    line = AnchorFile(system.settings.anchor_file).last()
    if not rows:
        return Check("anchors", "ok", "nothing to anchor yet")
    hint = "`quartermaster serve` anchors daily, `quartermaster audit anchor` by hand"
    if line is None:
        return Check("anchors", "warning", f"no row of {rows:,} is anchored; {hint}")
    anchor = read_anchor(line)
    age = system.clock.now() - datetime.fromisoformat(anchor.at)
    text_ = f"{rows - anchor.seq:,} rows since the last anchor, {_days(age)} old"
    is_late = rows > anchor.seq and age > OLD_ANCHOR
    return Check("anchors", "warning" if is_late else "ok", text_)


def _keys(system: "System") -> Check:
    path = system.settings.audit_key_file
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Check("keys", "problem", f"others can read {path} ({mode:o}): chmod 600 it")
    is_beside = path.parent == system.settings.data_dir
    where = "beside the data: keep a copy elsewhere" if is_beside else str(path.parent)
    return Check("keys", "ok", f"private, {where}")


def _room(system: "System") -> Check:
    free = shutil.disk_usage(system.settings.data_dir).free
    level: Level = "ok" if free >= LITTLE_ROOM_BYTES else "warning"
    if free < NO_ROOM_BYTES:
        level = "problem"
    return Check("disk", level, f"{free / 1e9:,.1f} GB free for {system.settings.data_dir}")


def _backups(system: "System") -> Check:
    from api.backup.create import last_made

    last = last_made(system.settings.data_dir)
    if last is None:
        return Check("backup", "warning", "none that we know of; `quartermaster backup PATH`")
    age = system.clock.now() - datetime.fromisoformat(last["at"])
    level: Level = "ok" if age <= OLD_BACKUP else "warning"
    return Check("backup", level, f"{_days(age)} old: {last['path']}")


def _days(age: timedelta) -> str:
    hours = max(0, round(age.total_seconds() / 3600))
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"
