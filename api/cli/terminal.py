"""What every command needs: the system, the person, the two streams, the exit code.

Data goes to standard output, progress and prompts to standard error, so that every command can be
piped. Expected errors become one sentence and the next step; anything else is a bug and gets an
incident number. Nothing heavy is imported before a command runs: ``--help`` must start at once.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from tools.errors import (
    Ambiguous,
    ApprovalRequired,
    Conflict,
    ExternalError,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotEnoughData,
    NotFound,
    QuartermasterError,
    Stale,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from sqlmodel import Session

    from api.bootstrap import System
    from api.settings import Settings
    from db.types import Actor
    from tools.clock import Clock
    from tools.wrapping import ToolContext

ERROR, USAGE, REJECTED, STALE, NOT_ALLOWED = 1, 2, 3, 4, 5  # exit codes; 0 is success
PIPE_WIDTH = 100  # columns when nobody looks: the same on every machine

JsonOption = Annotated[bool, typer.Option("--json", help="Print data for machines.")]
AsOption = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="LOGIN", help="Who you are; default: QM_USER.", show_default=False
    ),
]

_ERRORS: dict[str, type[QuartermasterError]] = {
    kind.code: kind
    for kind in (
        InvalidInput, Ambiguous, NotEnoughData, NotFound, Conflict, Stale, Forbidden,
        ApprovalRequired, NotAuthenticated, ExternalError,
    )
}  # fmt: skip


def exit_code(error: QuartermasterError) -> int:
    """Say how a command that met this error ends."""
    if isinstance(error, Conflict):
        return STALE
    if isinstance(error, Forbidden | NotAuthenticated):
        return NOT_ALLOWED
    return ERROR


class Terminal:
    """One command's view of the world; opens the system on first use."""

    def __init__(
        self,
        *,
        as_login: str | None = None,
        is_json: bool = False,
        settings: Mapping[str, Any] | None = None,
        clock: "Clock | None" = None,
        may_create: bool = False,
    ) -> None:
        from rich.console import Console

        self.as_login = as_login
        self.is_json = is_json
        self.is_interactive = sys.stdin.isatty() and sys.stdout.isatty()
        # No markup: names and notes come from files, suppliers and models; shown as written.
        plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
        self.out = Console(width=_width(sys.stdout.isatty()), **plain)
        self.err = Console(stderr=True, width=_width(sys.stderr.isatty()), **plain)
        self._overrides = {k: v for k, v in (settings or {}).items() if v is not None}
        self._clock = clock
        self._may_create = may_create
        self._settings: Settings | None = None
        self._system: System | None = None

    @property
    def settings(self) -> "Settings":
        """The settings, read once."""
        if self._settings is None:
            from api.settings import load_settings

            read = load_settings()
            self._settings = _override(read, self._overrides) if self._overrides else read
        return self._settings

    @property
    def system(self) -> "System":
        """The composed system; opens and migrates the database on first use."""
        if self._system is None:
            from sqlalchemy.exc import OperationalError

            from api.bootstrap import build_system

            if not self._may_create:
                _refuse_a_missing_database(self.settings)
            try:
                self._system = build_system(self.settings, clock=self._clock)
            except OperationalError as error:
                reason = str(error.orig).strip().partition("\n")[0]
                raise ExternalError(
                    f"the database {address(self.settings)!r} cannot be opened: {reason}",
                    next_step="Check QM_DATABASE_URL, and whether the server runs.",
                ) from None
        return self._system

    def actor(self) -> "Actor":
        """Find out who sits here (the rules are in the help text of the program)."""
        from api.cli.identity import terminal_actor

        return terminal_actor(self.system, self.settings, self.as_login)

    @contextmanager
    def reading(self, actor: "Actor") -> "Iterator[Session]":
        """Read what the actor may see; the rest is as if it were not."""
        from db.types import Permission
        from tools.identity.core import require_key
        from tools.reach.service import look_as

        require_key(actor, Permission.READ)
        with self.system.database.read() as session:
            look_as(session, actor)
            yield session

    def context(self, actor: "Actor") -> "ToolContext":
        """What a tool needs to know about the caller."""
        return self.system.tool_context(actor)

    def ask(self, tool: str, actor: "Actor", **arguments: Any) -> dict[str, Any]:
        """Run a tool by name, the same as in the chat, and return its envelope."""
        from agent.toolbox import all_tools, run_tool

        return run_tool(all_tools(), self.context(actor), tool, arguments)

    def show(self, *renderables: "RenderableType") -> None:
        """Print for people; no trailing blanks when the output is a file or a pipe."""
        if self.out.is_terminal:
            self._print(renderables)
            return
        with self.out.capture() as captured:
            self._print(renderables)
        lines = captured.get().splitlines()
        self.out.out(*(line.rstrip() for line in lines), sep="\n", highlight=False)

    def _print(self, renderables: "Sequence[RenderableType]") -> None:
        from api.rendering import Harmless

        for renderable in renderables:
            is_whole = bool(getattr(renderable, "no_wrap", False))  # print() forgets it for a text
            overflow: Literal["ignore"] | None = "ignore" if is_whole else None
            self.out.print(
                Harmless(renderable), crop=False, no_wrap=is_whole or None, overflow=overflow
            )

    def emit(self, value: Any) -> None:
        """Print for machines."""
        typer.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=False))

    def note(self, text: str, style: str = "") -> None:
        """Say something beside the data."""
        from api.rendering import harmless

        self.err.print(harmless(text), style=style or None, soft_wrap=True)

    def report(self, error: QuartermasterError) -> None:
        """Show an expected error: a sentence and what to do next."""
        if self.is_json:
            self.emit(
                {
                    "ok": False,
                    "error": error.code,
                    "message": error.message,
                    "next": error.next_step,
                    "details": error.details,
                }
            )
            return
        from api.rendering import plain_sentence

        self.note(plain_sentence(error.message), "red")
        for match in list(error.details.get("matches", []))[:5]:
            self.note(f"  {match.get('sku', '')}  {match.get('name', '')}".rstrip())
        if error.next_step:
            self.note(plain_sentence(error.next_step))

    def report_bug(self, error: Exception) -> None:
        """Write a bug down and tell its incident number."""
        import traceback
        from uuid import uuid4

        incident = uuid4().hex[:8]
        text = "".join(traceback.format_exception(error))
        try:
            with (self.settings.data_dir / "errors.log").open("a", encoding="utf-8") as log:
                log.write(f"incident {incident}\n{text}\n")
            where = f"incident {incident}, see {self.settings.data_dir / 'errors.log'}"
        except OSError:  # no folder to write to: then here, or it would be lost
            where = f"incident {incident}\n{text}"
        self.note(f"Something failed on our side ({where}).", "red")

    @contextmanager
    def progress(self, label: str) -> "Iterator[Callable[[int, int], None]]":
        """Draw a bar on standard error while work is done; one line when nobody looks."""
        if not self.err.is_terminal:
            yield lambda _done, _total: None
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
        )
        with Progress(*columns, TimeElapsedColumn(), console=self.err, transient=True) as bars:
            task = bars.add_task(label, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)

    def close(self) -> None:
        """Close the system if it was opened."""
        if self._system is not None:
            self._system.close()
            self._system = None


@contextmanager
def terminal(
    *,
    as_login: str | None = None,
    is_json: bool = False,
    settings: Mapping[str, Any] | None = None,
    clock: "Clock | None" = None,
    may_create: bool = False,
) -> Iterator[Terminal]:
    """Run the body of a command: expected errors become a sentence and an exit code.

    Anything else is a bug: its traceback goes to ``errors.log`` in the data folder under an
    incident number, and the person gets a sentence.
    """
    shell = Terminal(
        as_login=as_login, is_json=is_json, settings=settings, clock=clock, may_create=may_create
    )
    try:
        yield shell
    except QuartermasterError as error:
        shell.report(error)
        raise typer.Exit(exit_code(error)) from None
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:  # noqa: BLE001 (a bug: written down once, a sentence for the person)
        shell.report_bug(error)
        raise typer.Exit(ERROR) from None
    finally:
        shell.close()


def data_of(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tool answered, or raise the error that it reported."""
    if envelope["ok"]:
        data: dict[str, Any] = envelope["data"]
        return data
    kind = _ERRORS.get(str(envelope["error"]), QuartermasterError)
    raise kind(
        str(envelope["message"]), next_step=str(envelope["next"]), details=envelope["details"]
    )


def usage_error(message: str) -> NoReturn:
    """End with exit code 2: the command was not called as it must be."""
    raise typer.BadParameter(message)


def jsonable(value: Any) -> Any:
    """Turn views (dataclasses, enums, times, decimals) into JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): jsonable(content) for name, content in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(content) for content in value]
    return value


def _override(settings: "Settings", values: Mapping[str, Any]) -> "Settings":
    """Read the settings again with values from the command line; they are checked the same."""
    from pydantic import ValidationError

    try:
        return type(settings)(**values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        text = str(problem["msg"]).removeprefix("Value error, ")
        where = "".join(f"--{name}: " for name in problem["loc"][:1])
        raise InvalidInput(where + text) from None


def has_database(settings: "Settings") -> bool:
    """Tell whether there is something to open; a server database always counts."""
    from sqlalchemy.engine import make_url

    url = make_url(settings.database_url)
    return url.get_backend_name() != "sqlite" or Path(url.database or "").is_file()


def address(settings: "Settings") -> str:
    """Say where the database is, without its password."""
    from sqlalchemy.engine import make_url

    return make_url(settings.database_url).render_as_string(hide_password=True)


def _refuse_a_missing_database(settings: "Settings") -> None:
    if not has_database(settings):
        raise NotFound(
            f"there is no database in {str(settings.data_dir)!r} yet",
            next_step="`quartermaster demo` loads a shop to play with; "
            "`quartermaster ingest items FILE` starts your own.",
        )


def _width(is_terminal: bool) -> int | None:
    return None if is_terminal else PIPE_WIDTH
