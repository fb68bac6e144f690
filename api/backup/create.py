"""`quartermaster backup`: everything but the keys, checked before it counts as a backup."""

import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlmodel import Session

from api.backup import engines
from api.backup.engines import Progress
from api.backup.manifest import (
    ANCHOR_FILE,
    MEMORY_FILE,
    OUTGOING,
    POSTGRES_FILE,
    SQLITE_FILE,
    Manifest,
    files_in,
    write,
)
from api.bootstrap import System
from db.migrate import State, state_of
from db.session import Database
from tools.audit import service as audit
from tools.audit.gateway.anchors import AnchorFile
from tools.audit.service import AuditReport
from tools.errors import Conflict

LAST = "last-backup.json"  # in the data folder: when there was one
_ARCHIVES = (".tar.gz", ".tgz")


@dataclass(frozen=True)
class Made:
    """A backup that was made."""

    path: Path
    manifest: Manifest


def is_archive(path: Path) -> bool:
    """Whether a name asks for one file rather than a folder."""
    return path.name.endswith(_ARCHIVES)


def create(system: System, target: Path, *, progress: Progress) -> Made:
    """Make a backup; it appears under its name when it is whole and checked, or not at all.

    Args:
        system: What to back up; others may go on working with it.
        target: A folder that does not exist yet, or a ``.tar.gz`` file.
        progress: Is told what is done and in all.

    Raises:
        Conflict: The target exists, or the database does not pass its checks.
        ExternalError: PostgreSQL's own programs are missing or failed.
    """
    if target.exists():
        raise Conflict(f"{str(target)!r} exists already", next_step="Take another name.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.parent / f".{target.name}.part-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    try:
        manifest = _filled(system, draft, progress)
        _put(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    engines.sync(target.parent)
    _remember(system, target, manifest)
    return Made(target, manifest)


def last_made(data_dir: Path) -> Mapping[str, Any] | None:
    """Return when and where the last backup was made; None when nobody knows of one."""
    try:
        content: dict[str, Any] = json.loads((data_dir / LAST).read_text())
    except (OSError, ValueError):
        return None
    return content


def _filled(system: System, folder: Path, progress: Progress) -> Manifest:
    """Fill the folder: anchors before the rows they tell of, files after those that name them."""
    settings = system.settings
    anchors = AnchorFile(settings.anchor_file).lines()
    if anchors:
        (folder / ANCHOR_FILE).write_text("".join(f"{line}\n" for line in anchors))
    copied = _sqlite if system.database.is_sqlite else _postgres
    seen, report = copied(system, folder, anchors, progress)
    _copy_outgoing(settings.outgoing_dir, folder / OUTGOING)
    manifest = Manifest(
        made_at=system.clock.now(),
        program=version("quartermaster"),
        engine="sqlite" if system.database.is_sqlite else "postgresql",
        revision=str(seen.revision),
        audit_rows=report.rows,
        rows=dict(seen.rows),
        files=tuple(files_in(folder)),
    )
    write(folder, manifest)
    return manifest


def _sqlite(
    system: System, folder: Path, anchors: list[str], progress: Progress
) -> tuple[State, AuditReport]:
    """Copy the files and check the copy itself, not the original."""
    source = Path(str(make_url(system.settings.database_url).database))
    copy = folder / SQLITE_FILE
    engines.copy_sqlite(source, copy, progress=progress)
    if system.settings.checkpoint_file.is_file():
        engines.copy_sqlite(system.settings.checkpoint_file, folder / MEMORY_FILE)
    for path in folder.glob("*.db"):
        found = engines.damage(path)
        if found:
            raise Conflict(f"the database is damaged: {found}", next_step=_DAMAGED)
    return _checked(copy, system.database.session_info, anchors)


def _checked(copy: Path, info: Mapping[str, Any], anchors: list[str]) -> tuple[State, AuditReport]:
    with closing(Database(f"sqlite:///{copy}", session_info=info)) as opened:
        with opened.read() as session:
            seen, report = state_of(session.connection()), _verified(session, anchors)
        with opened.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")  # back to one file, without a log beside it
            connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
    return seen, report


def _postgres(
    system: System, folder: Path, anchors: list[str], progress: Progress
) -> tuple[State, AuditReport]:
    """Check and dump as of the same moment."""
    progress(0, 2)
    with system.database.read() as session:
        report = _verified(session, anchors)
        seen = state_of(session.connection())
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        snapshot = session.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        progress(1, 2)
        target = folder / POSTGRES_FILE
        engines.dump(make_url(system.settings.database_url), target, snapshot=snapshot)
    engines.check_dump(target)
    progress(2, 2)
    return seen, report


def _verified(session: Session, anchors: list[str]) -> AuditReport:
    report = audit.verify(session, anchors)
    if not report.ok:
        raise Conflict(
            f"the audit trail does not hold, so this is no backup to rely on: {report.problem}",
            next_step=_DAMAGED,
        )
    return report


_DAMAGED = (
    "Run `quartermaster audit verify` and keep a plain copy of all files before anything else; "
    "an earlier backup may still be good."
)


def _copy_outgoing(source: Path, target: Path) -> None:
    """Copy what was delivered; links are not followed."""
    if not source.is_dir():
        return
    target.mkdir(mode=0o700)
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        copy = target / path.relative_to(source)
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def _put(draft: Path, target: Path) -> None:
    """Give the finished backup its name, in one step."""
    for path in draft.rglob("*"):
        engines.sync(path)
    if not is_archive(target):
        draft.rename(target)
        return
    packed = draft.with_name(f"{draft.name}.tar.gz")
    try:
        with tarfile.open(packed, "w:gz", compresslevel=6) as archive:
            archive.add(draft, arcname=".")
        packed.chmod(0o600)
        engines.sync(packed)
        packed.rename(target)
    finally:
        packed.unlink(missing_ok=True)


def _remember(system: System, target: Path, manifest: Manifest) -> None:
    note = {"at": manifest.made_at.isoformat(), "path": str(target), "rows": manifest.audit_rows}
    draft = system.settings.data_dir / f".{LAST}.{os.getpid()}"
    draft.write_text(json.dumps(note))
    draft.replace(system.settings.data_dir / LAST)
