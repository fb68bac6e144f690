"""Commands with which a person decides: approvals, approve, reject.

The facts come first and the answer defaults to No. What was shown is what is signed: version and
fingerprint of the shown request go into the decision, and a script must name the version it read.
"""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import (
    REJECTED,
    AsOption,
    JsonOption,
    Terminal,
    jsonable,
    terminal,
    usage_error,
)
from db.types import ApprovalState, Decision
from tools.errors import InvalidInput, Stale

if TYPE_CHECKING:
    from db.types import Actor
    from tools.approvals.service import ApprovalView, DecisionOutcome

NumberArgument = Annotated[str, typer.Argument(metavar="NUMBER", help="The request, such as a-31.")]
VersionOption = Annotated[
    int | None,
    typer.Option("--version", metavar="N", help="The version you read; scripts must say it."),
]


@dataclass(frozen=True)
class Settled:
    """A recorded decision and what followed from it."""

    outcome: "DecisionOutcome"
    deliveries: list[Any]


def approvals(
    state: Annotated[
        str, typer.Option(help="pending, approved, rejected, expired, void or all.")
    ] = "pending",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """List the orders that wait for a decision."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        shell.actor()
        show_approvals(shell, state=state)


def show_approvals(shell: Terminal, *, state: str) -> None:
    """Print the requests in this state."""
    from tools.approvals import service as approving

    names = [member.value for member in ApprovalState]
    if state not in (*names, "all"):
        usage_error(f"{state!r} is not one of {', '.join(names)}, all")
    wanted = None if state == "all" else ApprovalState(state)
    with shell.system.database.read() as session:
        found = approving.list_approvals(session, state=wanted)
    if shell.is_json:
        shell.emit({"ok": True, "data": {"approvals": found}})
        return
    from api import rendering

    shell.show(rendering.approvals(jsonable(found), state=state))
    if found and state == "pending":
        shell.note(f"Next: quartermaster approve {found[0].approval_id}", "dim")


def approve(
    number: NumberArgument,
    version: VersionOption = None,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask; needs --version.")] = False,
    reason: Annotated[str, typer.Option(help="Goes into the record.")] = "",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Read the facts of an order, then approve it, change it, or leave it; approved, it is sent."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        must_ask = _must_ask(shell, is_sure=is_sure, version=version)
        actor = shell.actor()
        view = read(shell, number)
        _refuse_another_version(view, version)
        if not is_json:
            show_facts(shell, view)
        if must_ask and view.state == ApprovalState.PENDING:
            view = _ask(shell, actor, view, reason)
        settled = settle(shell, actor, view, Decision.APPROVE, reason=reason)
        tell(shell, settled)


def reject(
    number: NumberArgument,
    reason: Annotated[str, typer.Option(help="Why; the requester and the record get it.")],
    version: VersionOption = None,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask; needs --version.")] = False,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Refuse an order; it does not leave."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        must_ask = version is None and _must_ask(shell, is_sure=is_sure, version=version)
        actor = shell.actor()
        view = read(shell, number)
        _refuse_another_version(view, version)
        if must_ask and view.state == ApprovalState.PENDING:
            show_facts(shell, view)
            if _answer(shell, "Reject? [y/N] ") != "y":
                _leave(shell, view)
        settled = settle(shell, actor, view, Decision.REJECT, reason=reason)
        tell(shell, settled)


def settle(
    shell: Terminal,
    actor: "Actor",
    view: "ApprovalView",
    decision: Decision,
    *,
    reason: str = "",
    edits: list[dict[str, Any]] | None = None,
) -> Settled:
    """Record a decision on exactly what was shown, deliver what it released, tell the thread."""
    from api.cli.deliveries import deliver_now
    from tools.approvals import service as approving

    system = shell.system
    with system.database.write() as session:
        outcome = approving.decide(
            session, number=view.approval_id, version=view.version, decision=decision, actor=actor,
            clock=system.clock, company=system.company, channel="terminal", reason=reason,
            edits=edits, fingerprint=view.fingerprint,
        )  # fmt: skip
    deliveries = deliver_now(shell, is_quiet=True) if decision is Decision.APPROVE else []
    if view.thread_id:
        run_id = system.conversations.post_decision(view.approval_id)
        if run_id is not None:
            system.conversations.execute(run_id)
    return Settled(outcome, deliveries)


def read(shell: Terminal, number: str) -> "ApprovalView":
    """Return the request as it stands."""
    from tools.approvals import service as approving

    with shell.system.database.read() as session:
        return approving.get_approval(session, number)


def _refuse_another_version(view: "ApprovalView", version: int | None) -> None:
    if version is None or version == view.version or view.state != ApprovalState.PENDING:
        return
    raise Stale(
        f"{view.approval_id} is at version {view.version}, you read version {version}",
        next_step=f"Read it again: quartermaster approve {view.approval_id}",
        details={"current_version": view.version},
    )


def _must_ask(shell: Terminal, *, is_sure: bool, version: int | None) -> bool:
    """A person is asked; a script must have read the version that it approves."""
    if is_sure and version is not None:
        return False
    if is_sure or shell.is_json or not sys.stdin.isatty():
        usage_error("without a question it needs --yes and --version N: the version that you read")
    return True


def _ask(shell: Terminal, actor: "Actor", view: "ApprovalView", reason: str) -> "ApprovalView":
    """Ask until yes or no; an edit makes a new revision and asks again with its total."""
    from api import rendering

    while True:
        answer = _answer(shell, f"{rendering.question(jsonable(view))} [y/N/e]dit/[w]hy ")
        if answer == "y":
            return view
        if answer == "w":
            shell.show(rendering.reasons(jsonable(view)))
        elif answer == "e":
            view = _edit(shell, actor, view, reason)
        else:
            _leave(shell, view)


def _edit(shell: Terminal, actor: "Actor", view: "ApprovalView", reason: str) -> "ApprovalView":
    edits = []
    for line in view.lines:
        typed = _answer(shell, f"{line.sku}, now {line.quantity:,} {line.uom}; new quantity: ")
        if typed:
            edits.append({"sku": line.sku, "quantity": _quantity(typed)})
    if not edits:
        return view
    outcome = settle(shell, actor, view, Decision.EDIT, reason=reason, edits=edits).outcome
    show_facts(shell, outcome.approval)
    return outcome.approval


def _quantity(typed: str) -> int:
    digits = typed.replace(",", "").replace(" ", "")
    if not digits.isascii() or not digits.isdigit():
        raise InvalidInput(f"a quantity is a whole number, got {typed!r}")
    return int(digits)


def _answer(shell: Terminal, question: str) -> str:
    shell.err.print(question, end="", markup=False, style="bold")
    line = sys.stdin.readline()
    return line.strip().lower()


def _leave(shell: Terminal, view: "ApprovalView") -> None:
    shell.note(f"Nothing was decided; {view.approval_id} still waits.")
    raise typer.Exit(REJECTED)


def show_facts(shell: Terminal, view: "ApprovalView") -> None:
    """Print everything that a person must see before deciding."""
    from api import rendering

    shell.show(rendering.approval_facts(jsonable(view)))


def tell(shell: Terminal, settled: Settled) -> None:
    """Print what was decided and where the order went."""
    if shell.is_json:
        shell.emit({"ok": True, "data": settled})
        return
    from rich.text import Text

    from api import rendering
    from api.cli.deliveries import show

    shell.show(Text(rendering.plain_sentence(settled.outcome.message), style="bold"))
    show(shell, settled.deliveries)
