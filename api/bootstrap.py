"""Composition root: from settings to a running ``System``. Nothing else wires parts together.

Building is light on purpose, because every terminal command pays for it: the conversation engine,
the delivery channels and the migrations are imported when they are first needed.
"""

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlmodel import Session, col, select

from api.channels import build_channels
from api.settings import Settings
from db.exclusive import alone
from db.models.audit import AuditEvent
from db.models.conversation import RunEvent
from db.models.ingestion import Load
from db.postgres import DatabaseUnusable, Waiting
from db.session import Database
from db.types import Actor, LoadState
from tools.audit import service as trail
from tools.audit.gateway.keys import Keyring, create_key
from tools.clock import Clock, SystemClock
from tools.company import Company
from tools.errors import Conflict, InvalidInput
from tools.wrapping import ToolContext

if TYPE_CHECKING:
    from agent.conversation import Conversations
    from tools.outbox.gateway import Channel

logger = logging.getLogger(__name__)

SAME_DEMO_S = 12 * 3600  # a clock set longer ago belongs to another day of trying
_VERSIONS = Path(__file__).parent.parent / "db" / "migrations" / "versions"


class TickingClock:
    """The demo's clock: starts at a given time and goes on with real seconds."""

    def __init__(self, start: datetime, *, elapsed_s: Callable[[], float] = time.monotonic) -> None:
        self._start = start
        self._elapsed_s = elapsed_s
        self._zero_s = elapsed_s()

    def now(self) -> datetime:
        """Return the start plus the time that passed since."""
        return self._start + timedelta(seconds=self._elapsed_s() - self._zero_s)


class System:
    """Everything a door needs, built once."""

    def __init__(
        self, settings: Settings, *, database: Database, clock: Clock, company: Company
    ) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock
        # What others sign and check is about real time, also where the demo's own time stands.
        self.world_clock: Clock = SystemClock() if isinstance(clock, TickingClock) else clock
        self.company = company
        self._lazy = threading.Lock()
        self._conversations: Conversations | None = None
        self._channels: Mapping[str, Channel] | None = None

    @property
    def channels(self) -> Mapping[str, "Channel"]:
        """The ways out of the house, by the name that an outbox row carries."""
        with self._lazy:
            if self._channels is None:
                self._channels = build_channels(self.settings, self.world_clock)
            return self._channels

    @property
    def conversations(self) -> "Conversations":
        """The conversation engine; the first use imports and builds it."""
        with self._lazy:
            if self._conversations is None:
                self._conversations = _build_conversations(self)
            return self._conversations

    def tool_context(
        self, actor: Actor, thread_id: str | None = None, turn_id: str | None = None
    ) -> ToolContext:
        """Return what a tool may know about its caller."""
        return ToolContext(
            read=self.database.read,
            write=self.database.write,
            actor=actor,
            clock=self.clock,
            company=self.company,
            thread_id=thread_id,
            turn_id=turn_id,
        )

    def close(self) -> None:
        """Close what was opened."""
        with self._lazy:
            if self._conversations is not None:
                self._conversations.close()
                self._conversations = None
        self.database.close()


def build_system(settings: Settings, *, clock: Clock | None = None) -> System:
    """Open the database, bring it to the newest revision and wire the parts.

    Args:
        settings: What to open.
        clock: Default: the machine's clock, or the demo's own time when the demo is loaded.

    Raises:
        Conflict: The database was made by a newer version of the program.
        InvalidInput: The audit key is damaged, open to others, or missing while sealed rows exist.
    """
    for folder in (settings.data_dir, settings.audit_key_file.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_new = create_key(settings.audit_key_file)
    keyring = Keyring(settings.audit_key_file)
    info = {
        "audit_keys": keyring,
        "audit_key_id": keyring.file_key_id,
        "model": settings.model_name or ("offline" if not settings.model_url else ""),
    }
    with contextlib.ExitStack() as opened:
        database = open_database(settings, session_info=info)
        opened.callback(database.close)
        migrate_to_head(database)
        with database.read() as session:
            _check_key(session, keyring, is_new=is_new)
            clock = clock or clock_of(session, settings.data_dir)
        opened.pop_all()  # all went well: it stays open
    return System(settings, database=database, clock=clock, company=company_of(settings))


def open_database(settings: Settings, *, session_info: Mapping[str, object]) -> Database:
    """Open the database of the settings, as it is: no migration, no check of keys.

    Raises:
        InvalidInput: It cannot be used: address, driver or server version.
    """
    waiting = Waiting(
        pool_size=settings.database_pool_size,
        pool_overflow=settings.database_pool_overflow,
        pool_timeout_s=settings.database_pool_timeout_s,
        lock_timeout_s=settings.database_lock_timeout_s,
        statement_timeout_s=settings.database_statement_timeout_s,
    )
    try:
        return Database(settings.database_url, session_info=session_info, waiting=waiting)
    except DatabaseUnusable as error:
        raise InvalidInput(error.message, next_step=error.next_step) from None


def company_of(settings: Settings) -> Company:
    """Return the rules of the house that services need."""
    return Company(
        currency=settings.company_currency,
        timezone=settings.timezone,
        carrying_rate=settings.carrying_rate,
    )


def migrate_to_head(database: Database) -> None:
    """Run the missing migrations; of several processes that start at once, one does it.

    Raises:
        Conflict: The database is at a revision that this version does not know, or the upgrade
            failed and the database is as it was.
    """
    try:
        with alone(database.engine):  # also around the first look, which makes a new SQLite file
            current = stored_revision(database)
            if current != shipped_revision():
                _migrate(database, current)
    except DatabaseUnusable as error:  # a server that is too old says so when it is reached
        raise InvalidInput(error.message, next_step=error.next_step) from None


def _migrate(database: Database, current: str | None) -> None:
    from alembic.util.exc import CommandError

    from db import migrate

    try:
        migrate.upgrade(database.engine)
    except CommandError:
        raise Conflict(
            f"the database is at revision {current!r}, which this version does not know "
            f"(it knows up to {shipped_revision()!r})",
            next_step="Install the version that wrote the database, or point QM_DATABASE_URL "
            "at another one.",
        ) from None
    except migrate.MigrationFailed as error:
        raise Conflict(error.message, next_step=error.next_step) from error
    logger.info("database migrated", extra={"from": current, "to": stored_revision(database)})


def stored_revision(database: Database) -> str | None:
    """Return the revision of the database; None when it is empty. Needs no Alembic."""
    with database.read() as session:
        if not inspect(session.connection()).has_table("alembic_version"):
            return None
        revision: str | None = session.execute(
            text("SELECT version_num FROM alembic_version")
        ).scalar_one_or_none()
    return revision


def shipped_revision() -> str:
    """Return the newest revision in the package: the migrations' files are numbered."""
    return max(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*.py"))


def _check_key(session: Session, keyring: Keyring, *, is_new: bool) -> None:
    """Refuse a fresh key for an old trail; finish a change of keys that a crash cut short."""
    signs = trail.signer(session)
    if is_new and signs not in keyring:
        keyring.path.unlink()
        raise InvalidInput(
            f"the audit key {str(keyring.path)!r} is missing, but the database holds sealed audit "
            "rows",
            next_step="Restore the key file from the backup; a new key could not verify the trail.",
        )
    if signs != keyring.file_key_id and signs in keyring:
        keyring.promote(signs)


def clock_of(session: Session, folder: Path) -> Clock:
    """Return the machine's clock, or for the demo its own time, never before what is recorded.

    Processes that run at the same time share the demo's time through a file: a server and a chat
    that disagreed by minutes would take each other's leases for expired ones.
    """
    demo = session.exec(
        select(Load.report).where(Load.kind == "demo", Load.state == LoadState.PUBLISHED)
    ).first()
    if demo is None:
        return SystemClock()
    recorded = (
        session.exec(select(AuditEvent.at).order_by(col(AuditEvent.seq).desc()).limit(1)).first(),
        session.exec(
            select(RunEvent.created_at).order_by(col(RunEvent.id).desc()).limit(1)
        ).first(),
    )
    start = datetime.fromisoformat(demo["clock"])
    known = [moment for moment in recorded if moment is not None]
    return TickingClock(max([_shared_start(folder, max([start, *known])), *known]))


def _shared_start(folder: Path, start: datetime) -> datetime:
    """Return what the demo's clock shows now; it starts anew when it was set long ago."""
    path, real_s = folder / "demo-clock.json", time.time()
    try:
        set_at = json.loads(path.read_text())
        passed_s = real_s - float(set_at["real_s"])
        if 0 <= passed_s < SAME_DEMO_S:
            return datetime.fromisoformat(set_at["demo"]) + timedelta(seconds=passed_s)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not set yet, or not readable: set it
    written = path.with_suffix(f".{os.getpid()}")
    written.write_text(json.dumps({"real_s": real_s, "demo": start.isoformat()}))
    written.replace(path)
    return start


def _build_conversations(system: System) -> "Conversations":
    from agent.chat_models import build_chat_model
    from agent.conversation import Conversations
    from tools.catalog.core import CatalogueSnapshot
    from tools.catalog.service import snapshot

    def catalogue() -> CatalogueSnapshot:
        with system.database.read() as session:
            return snapshot(session)

    settings = system.settings
    chat_model = build_chat_model(
        url=settings.model_url,
        name=settings.model_name,
        api_key=settings.model_api_key.get_secret_value(),
        timeout_s=settings.model_timeout_s,
        max_tokens=settings.model_max_tokens,
        catalogue=catalogue,
    )
    return Conversations(
        system.database,
        chat_model=chat_model,
        clock=system.clock,
        company=system.company,
        checkpoints=settings.checkpoint_file
        if system.database.is_sqlite
        else settings.database_url,
        core_tools_only=settings.core_tools_only,
    )
