"""`quartermaster chat`: the conversation in a terminal; the demo talks through the same code."""

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, Terminal, terminal
from tools.errors import QuartermasterError

if TYPE_CHECKING:
    from db.models.conversation import RunEvent
    from db.types import Actor

_LEAVING = ("/quit", "/exit", "quit", "exit")
PROMPT = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
CHAT_HELP = """\
Ask in your own words: what needs ordering today? · why that much? · draft the first one ·
make it 480 · where is PO-1042? · what if demand rises 20 %?
/approvals  orders that wait for a decision      /help  this text      /quit  leave\
"""


class Chat:
    """One conversation of one person, shown as it happens."""

    def __init__(self, shell: Terminal, actor: "Actor", thread_id: str | None = None) -> None:
        self._shell = shell
        self._actor = actor
        with _waiting(shell, "Opening the conversation"):
            self._conversations = shell.system.conversations
        self.thread_id = thread_id or self._conversations.create_thread(actor)
        self._conversations.messages(actor, self.thread_id)  # refuses a thread of somebody else
        self.approval: dict[str, Any] | None = None  # the last one that was requested here
        self._card: dict[str, Any] | None = None  # shown under the reply of its turn

    def say(self, text: str) -> None:
        """Send a message and show what happens until the reply is complete."""
        try:
            with _waiting(self._shell, "Thinking"):
                self._conversations.say(self._actor, self.thread_id, text, on_event=self._show)
        except KeyboardInterrupt:
            self._shell.note("Stopped.")
        except QuartermasterError as error:  # a busy thread must not end the conversation
            self._shell.report(error)

    def _show(self, event: "RunEvent") -> None:
        from rich.padding import Padding
        from rich.text import Text

        from api import rendering
        from api.cli import screens

        content = event.content
        if event.kind == "step.started":
            step = rendering.tool_step(str(content["tool"]), content.get("arguments") or {})
            self._shell.show(Text(f"  · {step}", style="dim"))
        elif event.kind == "message.completed":
            self._shell.show(Padding(rendering.reply(str(content["text"])), (1, 2, 1, 2)))
            if self._card is not None:
                command = self._command(self._card)
                self._shell.show(screens.approval_request(self._card, command), Text())
                self._card = None
        elif event.kind == "approval.requested":
            self.approval = self._card = dict(content)

    def _command(self, card: dict[str, Any]) -> str:
        """How to decide; names somebody who may, where the operator may speak for others."""
        from api.cli.identity import approver_of

        command = f"quartermaster approve {card['approval_id']}"
        role = str(card["approver_role"])
        if role == self._actor.role.value:
            return command
        number = str(card["approval_id"])
        login = approver_of(self._shell.system, self._shell.settings, number)
        return f"{command} --as {login}" if login else command


def chat(
    thread: Annotated[
        str | None, typer.Option("--thread", metavar="ID", help="Go on with this conversation.")
    ] = None,
    as_login: AsOption = None,
) -> None:
    """Talk to the agent; it looks up, explains and drafts, and never sends an order by itself."""
    with terminal(as_login=as_login) as shell:
        run_chat(shell, shell.actor(), thread)


def run_chat(shell: Terminal, actor: "Actor", thread_id: str | None = None) -> None:
    """Read lines until the person leaves; a pipe is read to its end."""
    conversation = Chat(shell, actor, thread_id)
    shell.note(f"You are {actor.name} ({actor.role.value}). /help helps, /quit leaves.", "dim")
    with contextlib.suppress(EOFError):
        while (text := _read(shell, actor)) not in _LEAVING:
            if text == "/help":
                shell.note(CHAT_HELP)
            elif text == "/approvals":
                _show_approvals(shell)
            elif text.startswith("/"):
                shell.note(f"There is no {text!r}; /help lists what there is.")
            elif text:
                conversation.say(text)
    shell.note(f"Go on later with: quartermaster chat --thread {conversation.thread_id}", "dim")


def _read(shell: Terminal, actor: "Actor") -> str:
    if not shell.is_interactive:
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip()
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (gives input() a history and arrow keys)
    try:
        return input(f"{actor.login} {PROMPT} ").strip()
    except KeyboardInterrupt:
        shell.note("")
        return ""


def _show_approvals(shell: Terminal) -> None:
    from api.cli.decide import show_approvals

    show_approvals(shell, state="pending")


def _waiting(shell: Terminal, label: str) -> contextlib.AbstractContextManager[Any]:
    """A spinner for people, on the console that prints the reply; nothing in a pipe."""
    if not shell.is_interactive:
        return contextlib.nullcontext()
    from rich.text import Text

    return shell.out.status(Text(f"{label} …", style="dim"))
