"""`quartermaster demo`: a real shop's sales, a plan, and a conversation that ends in an order."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import Terminal, terminal
from tools.errors import InvalidInput

if TYPE_CHECKING:
    from db.seed import DemoSummary
    from tools.clock import Clock

MARKER = "demo.txt"  # says that a folder is a demo's and may be thrown away
PLANNER, APPROVER = "pat", "mona"
SCRIPT = (
    "what needs ordering today?",
    "why that much for the first one?",
    "draft the first one",
    "yes",
)
REAL = (
    "what a British gift shop sold and took back, item names and prices: {sales:,} item-days of "
    "{items} items over {days} days (UCI Online Retail; Chen, Sain & Guo 2012; CC BY 4.0); how "
    "late suppliers are (USAID SCMS delivery records, public domain in the US)."
)

FolderOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="PATH", help="Where the demo lives; default: QM_DATA_DIR."),
]


def demo(
    data_dir: FolderOption = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Throw the demo away, start again.")
    ] = False,
) -> None:
    """Load a real shop's sales, plan every item and talk to the agent; no key, no network.

    Without a terminal a scripted planner talks, a manager approves and the order is delivered.
    """
    with terminal(settings={"data_dir": data_dir}, may_create=True) as shell:
        is_new = _prepare(shell, reset=reset)
        summary = _load(shell, is_new=is_new)
    clock = None if shell.is_interactive else _still_clock(summary)
    with terminal(settings={"data_dir": data_dir}, clock=clock, as_login=PLANNER) as shell:
        _introduce(shell, summary, is_new=is_new)
        _plan(shell, is_new=is_new)
        _morning(shell)
        if shell.is_interactive:
            _talk(shell)
        else:
            _play(shell)
        _what_next(shell)


def _prepare(shell: Terminal, *, reset: bool) -> bool:
    """Make the folder; refuse one that holds anything but a demo. True when it is new."""
    folder = shell.settings.data_dir
    if shell.settings.database_url != f"sqlite:///{folder / 'quartermaster.db'}":
        raise InvalidInput(
            "the demo has a database of its own, but QM_DATABASE_URL names another one",
            next_step="Unset QM_DATABASE_URL for the demo.",
        )
    is_demo = (folder / MARKER).is_file()
    if folder.exists() and not is_demo and any(folder.iterdir()):
        raise InvalidInput(
            f"{str(folder)!r} holds something that is not a demo",
            next_step="Choose another folder with --data-dir.",
        )
    if is_demo and reset:
        shutil.rmtree(folder)
        is_demo = False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / MARKER).write_text(
        "Made by `quartermaster demo`; safe to delete.\n", encoding="utf-8"
    )
    return not is_demo


def _load(shell: Terminal, *, is_new: bool) -> "DemoSummary":
    from db.seed import seed_demo

    if is_new:
        shell.note("Loading the shop ...", "dim")
    with shell.progress("Loading the shop") as progress:
        return seed_demo(shell.system.database, clock=shell.system.clock, progress=progress)


def _still_clock(summary: "DemoSummary") -> "Clock":
    """The demo's morning, standing still: a scripted demo prints the same words every time."""
    from tools.clock import FixedClock

    return FixedClock(summary.as_of)


def _introduce(shell: Terminal, summary: "DemoSummary", *, is_new: bool) -> None:
    from rich.text import Text

    from api import rendering

    real = REAL.format(sales=summary.sales_rows, items=summary.items, days=summary.days)
    generated = "; ".join(_clause(text) for text in summary.generated) + "."
    shell.show(
        Text("Quartermaster demo: tools compute, the agent drafts, a person decides.", "bold"),
        rendering.facts([("real", real), ("generated", generated)]),
        Text(),
    )
    if not is_new:
        folder = shell.settings.data_dir
        shell.show(Text(f"Going on with the demo in {folder} (--reset starts again)."), Text())


def _clause(text: str) -> str:
    """The first clause of a sentence, ready to stand in a list."""
    for stop in (":", ";", "."):
        text = text.partition(stop)[0]
    return text[0].lower() + text[1:]


def _plan(shell: Terminal, *, is_new: bool) -> None:
    """Forecast and plan everything the first time; later the stored forecasts are still good."""
    from api.planning import replan, run_plan

    if not is_new and _has_forecasts(shell):
        replan(shell.system)
        return
    shell.note("Forecasting and planning every item ...", "dim")
    with shell.progress("Forecasting and planning") as progress:
        summary = run_plan(shell.system, progress)
    shell.note(f"{summary.items} items forecast and planned in {summary.seconds:.1f} s.", "dim")


def _has_forecasts(shell: Terminal) -> bool:
    from tools.forecasting.service.records import latest_run

    with shell.system.database.read() as session:
        return latest_run(session) is not None


def _morning(shell: Terminal) -> None:
    from rich.text import Text

    from api.cli.look import show_today

    show_today(shell, shell.actor(), limit=5)
    shell.show(Text())


def _talk(shell: Terminal) -> None:
    from api.cli.chat import CHAT_HELP, run_chat

    shell.note(CHAT_HELP)
    run_chat(shell, shell.actor())


def _play(shell: Terminal) -> None:
    """A planner asks, asks why, drafts; a manager approves; the order is delivered."""
    from rich.text import Text

    from api.cli.chat import PROMPT, Chat

    conversation = Chat(shell, shell.actor())
    for line in SCRIPT:
        shell.show(Text(f"{PLANNER} {PROMPT} {line}", style="bold"))
        conversation.say(line)
    if conversation.approval is None:
        shell.note("No order waits for a decision: the first item on the list is already covered.")
        return
    _decide(shell, conversation.approval)
    _verify(shell)


def _decide(shell: Terminal, approval: Mapping[str, Any]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from api import rendering
    from api.cli import decide
    from api.cli.deliveries import delivered_file
    from db.types import Decision
    from tools.identity import service as identity

    number, version = approval["approval_id"], approval["version"]
    command = f"$ quartermaster approve {number} --version {version} --yes --as {APPROVER}"
    shell.show(Text(command, style="bold"))
    with shell.system.database.read() as session:
        manager = identity.actor_by_login(session, APPROVER)
    view = decide.read(shell, number, manager)
    decide.show_facts(shell, view)
    settled = decide.settle(shell, manager, view, Decision.APPROVE)
    decide.tell(shell, settled)
    if settled.narration:
        shell.show(Text(), Text(f"meanwhile in {PLANNER}'s conversation:", style="dim"))
        shell.show(Padding(rendering.reply(settled.narration), (0, 2)))
    for delivery in settled.deliveries:
        path = delivered_file(shell, delivery.reference)
        shell.show(Text(), rendering.whole(f"$ cat {path}", "bold"))
        shell.show(Text(path.read_text(encoding="utf-8").rstrip()))


def _verify(shell: Terminal) -> None:
    from rich.text import Text

    from api.cli import screens
    from api.cli.terminal import jsonable
    from tools.audit import service as trail

    with shell.system.database.read() as session:
        report = trail.verify(session)
    shell.show(Text(), Text("$ quartermaster audit verify", style="bold"))
    shell.show(screens.audit_line(jsonable(report)))


def _what_next(shell: Terminal) -> None:
    from rich.text import Text

    from api.cli import screens
    from api.rendering import whole

    folder = shell.settings.data_dir
    rows = [
        ("quartermaster chat", "talk to it yourself"),
        ("quartermaster today", "the morning list"),
        ("quartermaster item 22423", "one item: stock, policy, forecast, advice"),
        ("quartermaster approvals", "what waits for a decision"),
        ("quartermaster serve", "the REST door on http://127.0.0.1:8321"),
        ("quartermaster doctor", "is everything in place"),
    ]
    shell.show(Text(), Text("Try next", style="bold"))
    if folder != Path(".quartermaster"):
        shell.show(whole(f"export QM_DATA_DIR={folder}   # then the commands find this demo"))
    shell.show(screens.next_steps(rows))
