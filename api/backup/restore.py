"""`quartermaster restore`: an empty house gets back what a backup holds, and sends nothing.

The database gets its name last: until then nothing that could start on it exists. What waited to
be sent when the backup was made may have left since, so a person finds out (``in_doubt``), and
dispatch stays off until an administrator turns it on.
"""

import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.engine import make_url

from api.backup import engines, manifest
from api.backup.create import is_archive
from api.backup.engines import Progress
from api.backup.manifest import (
    ANCHOR_FILE,
    MEMORY_FILE,
    OUTGOING,
    POSTGRES_FILE,
    SQLITE_FILE,
    Manifest,
)
from api.bootstrap import clock_of, company_of, migrate_to_head, open_database
from api.settings import Settings
from db.migrate import state_of
from db.session import Database
from tools.audit import service as audit
from tools.audit.gateway.keys import Keyring
from tools.clock import Clock
from tools.errors import Conflict, InvalidInput
from tools.recovery.service import after_restore

_LARGEST = 1 << 40  # bytes that an archive may unpack to


@dataclass(frozen=True)
class Restored:
    """What came back."""

    manifest: Manifest
    in_doubt: tuple[str, ...]


def restore(
    settings: Settings, source: Path, *, progress: Progress, clock: Clock | None = None
) -> Restored:
    """Bring a backup back into an empty place.

    Args:
        settings: Where to: the data folder and the database; the key file must be there.
        source: A folder or archive that ``backup`` made.
        progress: Is told what is done and in all.
        clock: Time; default: that of the database, so that a demo keeps its own.

    Raises:
        InvalidInput: The backup is damaged, of the other engine, or the keys do not fit.
        Conflict: Something is there already.
        ExternalError: PostgreSQL's own programs are missing or failed.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _unpacked(source, settings.data_dir) as folder:
        progress(1, 5)
        found = manifest.read(folder)
        progress(2, 5)
        info = _session_info(settings, found)
        _require_empty(settings)
        put = _put_sqlite if found.engine == "sqlite" else _put_postgres
        in_doubt = put(settings, folder, found, info, clock)
        progress(5, 5)
    return Restored(found, tuple(in_doubt))


@contextmanager
def _unpacked(source: Path, near: Path) -> Iterator[Path]:
    """Give the folder of a backup; an archive is unpacked beside the target and removed again."""
    if not source.exists():
        raise InvalidInput(f"there is no backup {str(source)!r}")
    if not is_archive(source):
        yield source
        return
    with tempfile.TemporaryDirectory(dir=near, prefix=".restore-") as folder:
        try:
            _unpack(source, Path(folder))
        except (tarfile.TarError, OSError, EOFError) as error:
            raise InvalidInput(f"{str(source)!r} cannot be unpacked: {error}") from None
        yield Path(folder)


def _unpack(source: Path, folder: Path) -> None:
    """Write plain files only, inside the folder only."""
    left = _LARGEST
    with tarfile.open(source, "r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or not manifest.is_safe_name(name):
                continue
            left -= member.size
            if left < 0:
                raise tarfile.TarError("it is too large")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as written:
                shutil.copyfileobj(content, written)


def _session_info(settings: Settings, found: Manifest) -> Mapping[str, Any]:
    """Return what sessions need to verify and go on with the trail.

    Raises:
        InvalidInput: The key is not there, or the backup is of the other engine.
    """
    url = make_url(settings.database_url)
    if (found.engine == "sqlite") != (url.get_backend_name() == "sqlite"):
        raise InvalidInput(
            f"this is a backup of a {found.engine} database, and QM_DATABASE_URL names another",
            next_step="Set QM_DATABASE_URL to an empty database of that kind.",
        )
    path = settings.audit_key_file
    if not path.is_file():
        raise InvalidInput(
            f"the audit key {str(path)!r} is not there; a backup never holds keys",
            next_step="Put the key file (and older keys beside it) there from where you keep them, "
            "readable by you only, and restore again.",
        )
    keyring = Keyring(path)
    return {"audit_keys": keyring, "audit_key_id": keyring.file_key_id}


def _require_empty(settings: Settings) -> None:
    """Refuse to write over anything.

    Raises:
        Conflict: Something is there.
    """
    url = make_url(settings.database_url)
    files = [settings.checkpoint_file, settings.anchor_file]
    if url.get_backend_name() == "sqlite":  # the house itself first: it is what people know
        files.insert(0, Path(str(url.database)))
    there = [path for path in files if path.exists()]
    if settings.outgoing_dir.is_dir() and any(settings.outgoing_dir.iterdir()):
        there.append(settings.outgoing_dir)
    if there and there != [settings.anchor_file]:
        raise Conflict(
            f"{str(settings.data_dir)!r} already holds a house ({there[0].name!r}), and a restore "
            "overwrites nothing",
            next_step="Restore into an empty data folder (QM_DATA_DIR), or move what is there "
            "aside.",
        )
    if there:
        raise Conflict(
            f"{str(there[0])!r} exists already, and a restore overwrites nothing",
            next_step="Restore into an empty data folder (QM_DATA_DIR), or move what is there "
            "aside; keep an anchor file, it proves what the lost days held.",
        )


def _put_sqlite(
    settings: Settings, folder: Path, found: Manifest, info: Mapping[str, Any], clock: Clock | None
) -> list[str]:
    target = Path(str(make_url(settings.database_url).database))
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.restoring")
    _remove(draft)
    try:
        shutil.copyfile(folder / SQLITE_FILE, draft)
        draft.chmod(0o600)
        with closing(Database(f"sqlite:///{draft}", session_info=info)) as database:
            in_doubt = _settle(database, settings, folder, found, clock)
            with database.engine.connect() as connection:
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
        _put_files(settings, folder)
        engines.sync(draft)
        draft.rename(target)
        engines.sync(target.parent)
    finally:
        _remove(draft)
    return in_doubt


def _put_postgres(
    settings: Settings, folder: Path, found: Manifest, info: Mapping[str, Any], clock: Clock | None
) -> list[str]:
    with closing(open_database(settings, session_info=info)) as database:
        with database.engine.connect() as connection:
            if inspect(connection).get_table_names():
                raise Conflict(
                    "the database has tables already, and a restore overwrites nothing",
                    next_step="Make an empty database and set QM_DATABASE_URL to it.",
                )
        engines.restore_dump(make_url(settings.database_url), folder / POSTGRES_FILE)
        in_doubt = _settle(database, settings, folder, found, clock)
    _put_files(settings, folder)
    return in_doubt


def _settle(
    database: Database, settings: Settings, folder: Path, found: Manifest, clock: Clock | None
) -> list[str]:
    """Check what came back, bring it to this version's schema, and stop what might leave twice."""
    _check(database, folder, found)
    migrate_to_head(database)
    with database.read() as session:
        clock = clock or clock_of(session, settings.data_dir)
    with database.write() as session:
        return after_restore(
            session, backed_up_at=found.made_at, clock=clock, company=company_of(settings)
        )


def _check(database: Database, folder: Path, found: Manifest) -> None:
    """Compare with the manifest and verify the trail, before anything is changed.

    Raises:
        InvalidInput: It is not what was backed up, or the keys are not those of the trail.
    """
    anchors = folder / ANCHOR_FILE
    lines = anchors.read_text().splitlines() if anchors.is_file() else []
    with database.read() as session:
        seen = state_of(session.connection())
    if (seen.revision, dict(seen.rows)) != (found.revision, dict(found.rows)):
        raise InvalidInput(
            "the rows that came back are not those that were backed up",
            next_step="Take another backup.",
        )
    with database.read() as session:
        report = audit.verify(session, lines)
    if not report.ok:
        hint = "Put the key files of that time beside it." if not report.is_checkable else ""
        raise InvalidInput(
            f"the audit trail of the backup does not hold: {report.problem}",
            next_step=hint or "Take another backup.",
        )


def _put_files(settings: Settings, folder: Path) -> None:
    """Put conversations, anchors and delivered files where the settings want them."""
    for name, target in (
        (MEMORY_FILE, settings.checkpoint_file),
        (ANCHOR_FILE, settings.anchor_file),
    ):
        if (folder / name).is_file():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)
            target.chmod(0o600)
            engines.sync(target)
    if (folder / OUTGOING).is_dir():
        shutil.copytree(folder / OUTGOING, settings.outgoing_dir, dirs_exist_ok=True)


def _remove(draft: Path) -> None:
    for path in draft.parent.glob(f"{draft.name}*"):
        path.unlink()
