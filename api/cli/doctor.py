"""`quartermaster doctor`: is everything in place, and if not, what to do."""

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import typer

from api.cli.terminal import ERROR, JsonOption, Terminal, address, has_database, terminal
from tools.errors import QuartermasterError

if TYPE_CHECKING:
    from api.bootstrap import System
    from api.settings import Settings

SAFE_SQLITE = (3, 51, 3)  # older ones can corrupt a WAL database in a rare race at a checkpoint
REPAIRED_SQLITE = {(3, 50): 7, (3, 44): 6}  # older lines: first release with the repair
STALE_FORECAST_DAYS = 2


Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """One finding."""

    name: str
    level: Level
    message: str


def doctor(is_json: JsonOption = False) -> None:
    """Check Python, settings, database, forecasts and the model server; exit 1 on a problem."""
    with terminal(is_json=is_json) as shell:
        found = list(_checks(shell))
        is_well = all(check.level != "problem" for check in found)
        if is_json:
            shell.emit({"ok": is_well, "data": {"checks": found}})
        else:
            from api.cli import screens
            from api.cli.terminal import jsonable

            shell.show(screens.checks(jsonable(found)))
        if not is_well:
            raise typer.Exit(ERROR)


def _checks(shell: Terminal) -> Iterator[Check]:
    version = sys.version.split()[0]
    yield Check("python", "ok" if sys.version_info >= (3, 11) else "problem", version)
    try:
        settings = shell.settings
    except QuartermasterError as error:
        yield Check("settings", "problem", f"{error.message}. {error.next_step}".strip())
        return
    yield _writable(settings)
    yield from _database_checks(shell, settings)
    yield _model_server(settings)


def _writable(settings: "Settings") -> Check:
    """Try to write where the data is, or where the folder would be made."""
    folder = settings.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check("data folder", "problem", f"cannot write to {folder}: {error.strerror}")
    return Check("data folder", "ok", f"{settings.data_dir}, writable")


def _database_checks(shell: Terminal, settings: "Settings") -> Iterator[Check]:
    from sqlalchemy.exc import SQLAlchemyError

    from api.cli.doctor_house import house_checks

    if not has_database(settings):
        yield Check("database", "warning", "none yet; `quartermaster demo` makes one to play with")
        return
    try:
        system = shell.system
        yield _engine(system)
        yield _revision(system)
        yield from _contents(system)
        yield from house_checks(system)
    except QuartermasterError as error:
        yield Check("database", "problem", f"{error.message}. {error.next_step}".strip())
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        yield Check("database", "problem", f"{address(settings)}: {reason}")


def _engine(system: "System") -> Check:
    where = address(system.settings)
    if not system.database.is_sqlite:
        return Check("database", "ok", where)
    if not is_safe(sqlite3.sqlite_version_info):
        return Check(
            "database",
            "warning",
            f"{where}; SQLite {sqlite3.sqlite_version} is older than 3.51.3 and can damage a "
            "database that several processes write to: keep backups or use a newer Python build",
        )
    return Check("database", "ok", f"{where}, SQLite {sqlite3.sqlite_version}")


def is_safe(version: tuple[int, int, int]) -> bool:
    """Tell whether a SQLite is free of the WAL-reset bug.

    Example:
        >>> is_safe((3, 51, 2)), is_safe((3, 51, 3)), is_safe((3, 50, 7)), is_safe((3, 49, 2))
        (False, True, True, False)
    """
    repaired = REPAIRED_SQLITE.get(version[:2])
    return version >= SAFE_SQLITE or (repaired is not None and version[2] >= repaired)


def _revision(system: "System") -> Check:
    from api.bootstrap import shipped_revision, stored_revision

    stored, shipped = stored_revision(system.database), shipped_revision()
    level: Literal["ok", "problem"] = "ok" if stored == shipped else "problem"
    return Check("schema", level, f"revision {stored}, this version knows {shipped}")


def _contents(system: "System") -> Iterator[Check]:
    from sqlmodel import func, select

    from db.models.catalog import Item, Supplier
    from db.models.identity import User

    with system.database.read() as session:
        items, suppliers, users = (
            session.exec(select(func.count()).select_from(table)).one()
            for table in (Item, Supplier, User)
        )
    start = "; start with `quartermaster demo` or `quartermaster ingest items FILE`"
    yield Check(
        "contents",
        "ok" if items and users else "warning",
        f"{items:,} items, {suppliers:,} suppliers, {users:,} people" + ("" if items else start),
    )
    if items:
        yield _forecasts(system)
    yield from _deliveries(system)


def _deliveries(system: "System") -> Iterator[Check]:
    from api.channels import unreachable
    from tools.outbox.service import stuck_keys
    from tools.policy import service as policy

    with system.database.read() as session:
        stuck = list(stuck_keys(session))
        missing = unreachable(session, system.settings)
        is_on = policy.current(session).dispatch_enabled
    if not is_on:
        start = "an admin starts it: `quartermaster dispatch start --reason ...`"
        text = f"stopped by the policy: approved orders wait; {start}"
        yield Check("dispatch", "warning", text)
    if stuck:
        text = f"dead or in doubt: {', '.join(stuck[:5])}; see `quartermaster settle --help`"
        yield Check("deliveries", "problem", text)
    else:
        yield Check("deliveries", "ok", "none is dead or in doubt")
    if missing:
        named = "; ".join(f"{code}: {why}" for code, why in list(missing.items())[:5])
        yield Check("channels", "problem", f"no order can be sent to {named}")
    else:
        yield Check("channels", "ok", f"set up: {', '.join(sorted(system.channels))}")


def _inbound(system: "System") -> Check:
    from tools.inbound.service import troubled

    with system.database.read() as session:
        rows = [f"{row.source} {row.event_id}" for row in troubled(session)]
    if not rows:
        return Check("messages", "ok", "none is refused or failing")
    text = f"refused or failing: {', '.join(rows[:5])}; see `quartermaster inbound list`"
    return Check("messages", "problem", text)


def _ledger(system: "System") -> Check:
    from tools.stock.service import ledger_differences

    with system.database.read() as session:
        found = ledger_differences(session)
    if not found:
        return Check("stock", "ok", "is the sum of its movements everywhere")
    text = f"{len(found):,} items are not the sum of their movements"
    return Check("stock", "problem", f"{text}; see `quartermaster stock check`")


def _forecasts(system: "System") -> Check:
    from tools.forecasting.service.records import latest_run

    with system.database.read() as session:
        run = latest_run(session)
        if run is None:
            return Check("forecasts", "warning", "none yet; run `quartermaster plan`")
        count, known_to = run.series_count, run.as_of_on
    age_days = (system.clock.now().date() - known_to).days
    text = f"{count:,} series from sales to {known_to:%-d %B %Y}"
    if age_days > STALE_FORECAST_DAYS:
        text = f"{text}, {age_days} days ago"
        return Check("forecasts", "warning", f"{text}; load new sales and run `quartermaster plan`")
    return Check("forecasts", "ok", text)


def _model_server(settings: "Settings") -> Check:
    if not settings.model_url:
        return Check("chat model", "ok", "built in, offline (QM_MODEL_URL is not set)")
    import httpx2

    address = settings.model_url.rstrip("/") + "/models"
    key = settings.model_api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx2.get(address, headers=headers, timeout=10)
        answer.raise_for_status()
        names = [str(model["id"]) for model in answer.json()["data"]]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        return Check("chat model", "problem", f"{address} does not answer: {error}")
    if settings.model_name and settings.model_name not in names:
        return Check(
            "chat model",
            "problem",
            f"{settings.model_name!r} is not served there, only {', '.join(names[:5])}",
        )
    return Check("chat model", "ok", f"{settings.model_url} serves {', '.join(names[:5])}")
