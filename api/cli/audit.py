"""`quartermaster audit`: is the trail whole, what does it tell, and what an auditor takes along."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from api.cli.terminal import ERROR, AsOption, JsonOption, Terminal, terminal
from tools.errors import Forbidden, InvalidInput, QuartermasterError

if TYPE_CHECKING:
    from sqlmodel import Session

    from tools.audit.service import AuditReport

CANNOT_CHECK = 2  # exit code of `verify` when a key or a file is missing

app = typer.Typer(help="The record of who did what.", no_args_is_help=True)

AnchorsOption = Annotated[
    Path | None,
    typer.Option("--anchors", help="The anchor file; default: QM_ANCHOR_FILE, if it is there."),
]
SinceOption = Annotated[
    str, typer.Option("--from", help="First day, such as 2026-03-01; default: the beginning.")
]
UntilOption = Annotated[str, typer.Option("--to", help="Last day; default: today.")]


class ExportFormat(StrEnum):
    """As what a period is exported."""

    JSONL = "jsonl"
    PDF = "pdf"


@app.callback()
def audit() -> None:
    """The record of who did what."""


@app.command()
def verify(anchors: AnchorsOption = None, is_json: JsonOption = False) -> None:
    """Check every row, the anchors, and that orders, approvals, deliveries and files say the same.

    Exit code 0: the trail is whole. 1: it is broken, the first bad row is named. 2: nobody can say,
    because a key or a file is missing.
    """
    with terminal(is_json=is_json) as shell:
        try:
            report = _report(shell, anchors)
        except QuartermasterError as error:
            shell.report(error)
            raise typer.Exit(CANNOT_CHECK) from None
        if is_json:
            shell.emit({"ok": report.ok, "data": report})
        else:
            _show_report(shell, report)
        if not report.ok:
            raise typer.Exit(ERROR if report.is_checkable else CANNOT_CHECK)


def _report(shell: Terminal, anchors: Path | None) -> "AuditReport":
    from tools.audit import service as trail
    from tools.audit.gateway.anchors import AnchorFile

    if anchors is not None and not anchors.is_file():
        raise InvalidInput(f"there is no anchor file {str(anchors)!r}")
    lines = AnchorFile(anchors or shell.settings.anchor_file).lines()
    with shell.system.database.read() as session:
        return trail.verify(session, lines)


def _show_report(shell: Terminal, report: "AuditReport") -> None:
    from rich.text import Text

    from api.cli import screens
    from api.cli.terminal import jsonable

    if not report.is_checkable:
        shell.show(Text(f"The audit trail cannot be checked: {report.problem}.", style="red"))
        return
    shell.show(screens.audit_line(jsonable(report)))
    if report.ok and report.anchors:
        more = report.rows - report.anchored_seq
        tail = f"; {more:,} newer rows are not anchored yet" if more else ""
        shell.show(Text(f"Anchors up to row {report.anchored_seq:,} agree{tail}."))
    elif report.ok:
        shell.show(Text("No anchors: a trail that was cut at its end would look the same."))


@app.command()
def anchor(is_json: JsonOption = False) -> None:
    """Write down outside the database where the trail ends."""
    with terminal(is_json=is_json) as shell:
        from rich.text import Text

        from api.sealing import anchor_now

        is_new = anchor_now(shell.system)
        path = shell.settings.anchor_file
        if is_json:
            shell.emit({"ok": True, "data": {"is_new": is_new, "file": path}})
        elif is_new:
            shell.show(Text(f"Anchored in {path}."))
        else:
            shell.show(Text(f"Nothing is new since the last anchor in {path}."))


@app.command(name="rotate-key")
def rotate_key(
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the trail.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Seal the trail with a new key from now on; an administrator does this.

    The old key stays beside the new one, to verify what it sealed. A server that runs goes on with
    the new key by itself. Copy both files to where you keep the keys.
    """
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from rich.text import Text

        from api.cli.identity import administrator
        from api.sealing import rotate_key

        by = administrator(shell.system, shell.settings, as_login)
        old, new = rotate_key(shell.system, by=by, reason=reason)
        path = shell.settings.audit_key_file
        if is_json:
            shell.emit({"ok": True, "data": {"old_key_id": old, "new_key_id": new, "file": path}})
            return
        shell.show(
            Text(f"Key {new} seals the trail from now on; it is in {path}."),
            Text(f"Key {old} stays in {path}.{old}, to verify with. Keep copies of both."),
        )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Order, request, login or key: PO-2001, a-31, mona.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show what the trail tells of an object; of an order with its approvals and deliveries."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from rich.text import Text

        from tools.audit import service as trail
        from tools.audit.core.exporting import block
        from tools.audit.gateway.exports import printed_currencies, printed_names

        with shell.reading(shell.actor()) as session:
            _refuse_out_of_reach(session, name.strip())
            entries = trail.about(session, name.strip())
            names = printed_names(session)
            currencies = printed_currencies(session, shell.settings.company_currency)
        if is_json:
            shell.emit({"ok": True, "data": {"events": [vars(entry) for entry in entries]}})
            return
        for entry in entries:
            first, *rest = block(entry, names, currencies)
            shell.show(Text(first, style="bold"), *(Text(f"  {line}") for line in rest))


def _refuse_narrowed(shell: Terminal) -> None:
    """Refuse the whole trail to somebody who sees a part of the orders."""
    from tools.identity.core import Scope
    from tools.reach.service import scope_here

    actor = shell.actor()
    with shell.reading(actor) as session:
        if scope_here(session) != Scope():
            raise Forbidden(
                f"{actor.login!r} sees a part of the orders, and the trail tells of all",
                next_step="Somebody without a scope exports it; `audit show` shows one order.",
                details={"reason": "scope"},
            )


def _refuse_out_of_reach(session: "Session", name: str) -> None:
    """Refuse what belongs to an order that this person does not see, as if it were not there."""
    from sqlmodel import select

    from db.models.purchasing import Approval, Outbox, PurchaseOrder, SupplierAnswer
    from tools.purchasing.service.rows import load

    for column, its_order in (
        (PurchaseOrder.number, PurchaseOrder.id),
        (Approval.number, Approval.order_id),
        (Outbox.key, Outbox.order_id),
        (SupplierAnswer.number, SupplierAnswer.order_id),
    ):
        found = session.exec(select(its_order).where(column == name)).first()
        if found is not None:
            load(session, session.get_one(PurchaseOrder, found).number)


@app.command()
def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="The file; must not be there.")],
    since: SinceOption = "",
    until: UntilOption = "",
    file_format: Annotated[ExportFormat, typer.Option("--format")] = ExportFormat.JSONL,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Write a period of the trail to a file: JSONL to verify elsewhere, PDF to read and file."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from rich.text import Text

        from tools.audit import service as trail
        from tools.audit.gateway import exports

        _refuse_narrowed(shell)
        zone = ZoneInfo(shell.settings.timezone)
        period = {
            "since": _midnight(since, zone),
            "until": _midnight(until, zone, plus=timedelta(days=1)),
        }
        report = _report(shell, None) if file_format is ExportFormat.PDF else None
        with shell.system.database.read() as session:
            trail.stand_still(session)
            if report is None:
                rows = exports.export_jsonl(session, output, **period)
            else:
                now = shell.system.clock.now()
                rows = exports.export_pdf(
                    session, output, report=report, at=now,
                    currency=shell.settings.company_currency, **period,
                )  # fmt: skip
        if is_json:
            shell.emit({"ok": True, "data": {"rows": rows, "file": output}})
        else:
            shell.show(Text(f"{rows:,} rows in {output}."))


def _midnight(day: str, zone: ZoneInfo, plus: timedelta = timedelta(0)) -> datetime | None:
    """Return when a company's day begins."""
    if not day:
        return None
    try:
        on = date.fromisoformat(day) + plus
    except (ValueError, OverflowError):
        raise InvalidInput(f"{day!r} is not a day", next_step="Write it as 2026-03-01.") from None
    return datetime.combine(on, time(), zone).astimezone(UTC)
