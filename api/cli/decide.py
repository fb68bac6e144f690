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
from tools.errors import InvalidInput, QuartermasterError, Stale

if TYPE_CHECKING:
    from api.bootstrap import System
    from db.types import Actor
    from tools.approvals.core import ApprovalView, DecisionOutcome

CHANNEL = "cli"
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
    order_state: str  # after the delivery
    narration: str = ""  # what the order's conversation was told


def approvals(
    state: Annotated[
        str, typer.Option(help="pending, approved, rejected, expired, void or all.")
    ] = "pending",
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """List the orders that wait for a decision."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        show_approvals(shell, state=state)


def show_approvals(shell: Terminal, *, state: str) -> None:
    """Print the requests in this state."""
    from tools.approvals import service as approving

    names = [member.value for member in ApprovalState]
    if state not in (*names, "all"):
        usage_error(f"{state!r} is not one of {', '.join(names)}, all")
    wanted = None if state == "all" else ApprovalState(state)
    with shell.reading(shell.actor()) as session:
        found = approving.list_approvals(session, state=wanted)
    if shell.is_json:
        from api.routes.approvals import approval_json

        shell.emit({"ok": True, "data": {"approvals": [approval_json(view) for view in found]}})
        return
    from api.cli import screens

    shell.show(screens.approvals([_shown(view) for view in found], state=state))
    if found and state == "pending":
        shell.note(f"Next: quartermaster approve {found[0].number}", "dim")


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
        view = read(shell, number, actor)
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
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Refuse an order; it does not leave."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        must_ask = version is None
        if must_ask and not _can_ask(shell):
            usage_error("without a question it needs --version N: the version that you read")
        actor = shell.actor()
        view = read(shell, number, actor)
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
    from tools.purchasing.service.pending import tell_refusal
    from tools.purchasing.service.reading import get_order

    system = shell.system
    must_sign = decision is Decision.APPROVE and view.needs_reauthentication
    is_signed = must_sign and sign_with_password(shell, actor)
    refused: QuartermasterError | None = None
    with system.database.write() as session:
        try:
            with session.begin_nested():
                outcome = approving.decide(
                    session, number=view.number, version=view.version, decision=decision,
                    actor=actor, clock=system.clock, company=system.company, channel=CHANNEL,
                    reason=reason, edits=edits, fingerprint=view.fingerprint,
                    reauthenticated=is_signed,
                )  # fmt: skip
        except QuartermasterError as error:
            refused = error
            tell_refusal(
                session, error, number=view.number, decision=decision, version=view.version,
                actor=actor, clock=system.clock, channel=CHANNEL,
            )  # fmt: skip
    if refused is not None:
        raise refused
    deliveries = deliver_now(shell, is_quiet=True) if decision is Decision.APPROVE else []
    narration = _narrate(system, view.number) if view.thread_id else ""
    with system.database.read() as session:
        order = get_order(session, outcome.order_number)
    return Settled(outcome, deliveries, order.state.value, narration)


def sign_with_password(shell: Terminal, actor: "Actor") -> bool:
    """Let the person type their password; True once it is theirs, a wrong one is counted."""
    from tools.passwords import service as passwords

    if not _can_ask(shell):
        return False  # the refusal says what is missing
    password = typer.prompt(f"Password of {actor.login}, to sign", hide_input=True, err=True)
    clock = shell.system.clock
    with shell.system.database.read() as session:
        question = passwords.ask_password(session, clock, user_id=actor.user_id)
    passwords.refuse_given(question)
    is_right = question.fits(password)
    with shell.system.database.write() as session:
        passwords.note_password(session, question, is_right=is_right, clock=clock)
    if not is_right:
        raise passwords.wrong_password(question)
    return True


def _narrate(system: "System", number: str) -> str:
    """Let the order's conversation know; returns what it was told."""
    run_id = system.conversations.post_decision(number)
    if run_id is None:
        return ""
    system.conversations.execute(run_id)
    said = [
        str(event.content["text"])
        for event in system.conversations.events(run_id)
        if event.kind == "message.completed"
    ]
    return said[-1] if said else ""


def _shown(view: "ApprovalView") -> dict[str, Any]:
    """The request as the screens take it; machines get the shape of the REST door."""
    from tools.purchasing.core.views import needs_spoken

    order = view.order
    return {
        "approval_id": view.number,
        "version": view.version,
        "state": view.state.value,
        "po_id": order.number,
        "revision": view.revision,
        "fingerprint": view.fingerprint,
        "supplier": order.supplier_name,
        "supplier_code": order.supplier_code,
        "ship_to": order.ship_to,
        "lines": [line.as_json(order.currency) for line in order.lines],
        "total": view.total,
        "currency": view.currency,
        "need_by": jsonable(order.need_by_on),
        "note": order.note,
        "rule": view.rule,
        "approver_role": view.required_role,
        "needs": needs_spoken(
            view.required_role, view.required_signatures, [one.name for one in view.signatures]
        ),
        "requested_by": view.requested_by,
        "requested_at": jsonable(view.requested_at),
        "expires_at": jsonable(view.expires_at),
        "decided_by": view.decided_by,
        "decided_at": jsonable(view.decided_at),
        "reason": view.reason,
        "channel": view.channel,
        "signed": _signed(view),
        "checks": [check.as_json() for check in view.checks],
        "why": _why(view),
    }


def _why(view: "ApprovalView") -> list[dict[str, Any]]:
    return [
        {
            "sku": why.sku,
            "rec_id": why.recommendation,
            "quantity": why.quantity,
            "waterfall": [dict(term) for term in why.terms],
        }
        for why in view.why
    ]


def _signed(view: "ApprovalView") -> list[tuple[str, str]]:
    """The signature block: who signed, when and meaning what, and what is still missing."""
    from api.rendering import instant

    block = [
        ("signed", f"{one.name}, {instant(jsonable(one.at))}, {one.meaning}")
        for one in view.signatures
    ]
    missing = view.required_signatures - len(view.signatures)
    if view.state == ApprovalState.PENDING and view.required_signatures > 1:
        block.append(("to sign", f"{missing} of {view.required_signatures} people"))
    if view.state == ApprovalState.PENDING and view.needs_reauthentication:
        block.append(("to sign", "with the password of whoever approves"))
    return block


def read(shell: Terminal, number: str, actor: "Actor") -> "ApprovalView":
    """Return the request as it stands, if the actor may see it."""
    from tools.approvals import service as approving

    with shell.reading(actor) as session:
        return approving.get_approval(session, number)


def _refuse_another_version(view: "ApprovalView", version: int | None) -> None:
    if version is None or version == view.version or view.state != ApprovalState.PENDING:
        return
    raise Stale(
        f"{view.number} is at version {view.version}, you read version {version}",
        next_step=f"Read it again: quartermaster approve {view.number}",
        details={"current_version": view.version},
    )


def _must_ask(shell: Terminal, *, is_sure: bool, version: int | None) -> bool:
    """A person is asked; a script must have read the version that it approves."""
    if is_sure and version is not None:
        return False
    if is_sure or not _can_ask(shell):
        usage_error("without a question it needs --yes and --version N: the version that you read")
    return True


def _can_ask(shell: Terminal) -> bool:
    return sys.stdin.isatty() and not shell.is_json


def _ask(shell: Terminal, actor: "Actor", view: "ApprovalView", reason: str) -> "ApprovalView":
    """Ask until yes or no; an edit makes a new revision and asks again with its total."""
    from api.cli import screens

    while True:
        answer = _answer(shell, f"{screens.question(_shown(view))} [y/N/e]dit/[w]hy ")
        if answer == "y":
            return view
        if answer == "w":
            shell.show(screens.reasons(_shown(view)))
        elif answer == "e":
            view = _edit(shell, actor, view, reason)
        else:
            _leave(shell, view)


def _edit(shell: Terminal, actor: "Actor", view: "ApprovalView", reason: str) -> "ApprovalView":
    edits = []
    for line in view.order.lines:
        typed = _answer(shell, f"{line.sku}, now {line.units:,} {line.uom}; new quantity: ")
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
    shell.err.print(question, end="", style="bold")
    line = sys.stdin.readline()
    return line.strip().lower()


def _leave(shell: Terminal, view: "ApprovalView") -> None:
    shell.note(f"Nothing was decided; {view.number} still waits.")
    raise typer.Exit(REJECTED)


def show_facts(shell: Terminal, view: "ApprovalView") -> None:
    """Print everything that a person must see before deciding."""
    from api.cli import screens

    shell.show(screens.approval_facts(_shown(view)), "")


def tell(shell: Terminal, settled: Settled) -> None:
    """Print what was decided and where the order went."""
    if shell.is_json:
        from api.routes.approvals import approval_json

        outcome = settled.outcome
        shell.emit(
            {
                "ok": True,
                "data": {
                    "approval": approval_json(outcome.approval),
                    "po_id": outcome.order_number,
                    "state": settled.order_state,
                    "message": outcome.message,
                    "deliveries": settled.deliveries,
                },
            }
        )
        return
    from rich.text import Text

    from api import rendering
    from api.cli.deliveries import show

    shell.show(Text(rendering.plain_sentence(settled.outcome.message), style="bold"))
    show(shell, settled.deliveries)
