"""`quartermaster suppliers`: who sells to us, and how each gets its orders."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, terminal
from db.types import DocumentFormat

if TYPE_CHECKING:
    from db.models.catalog import Supplier

app = typer.Typer(help="Suppliers, and how each gets its orders.", no_args_is_help=True)
CodeArgument = Annotated[str, typer.Argument(help="The supplier's code, such as ACME.")]


@app.command(name="list")
def list_all(as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Show every supplier and where its orders go."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.suppliers.service import list_suppliers

        shell.actor()
        with shell.system.database.read() as session:
            missing = _missing(shell, session)
            rows = [_shown(one, missing) for one in list_suppliers(session)]
        if is_json:
            shell.emit({"ok": True, "data": {"suppliers": rows}})
            return
        for row in rows:
            typer.echo(_line(row))
        if not rows:
            shell.note("None is loaded yet; `quartermaster ingest suppliers FILE` loads them.")


@app.command()
def show(code: CodeArgument, as_login: AsOption = None, is_json: JsonOption = False) -> None:
    """Show one supplier."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.suppliers.service import supplier_by_code

        shell.actor()
        with shell.system.database.read() as session:
            row = _shown(supplier_by_code(session, code), _missing(shell, session))
        _say(shell, row)


@app.command(name="set-delivery")
def set_delivery(
    code: CodeArgument,
    channel: Annotated[str, typer.Argument(help="file, email or webhook.")],
    address: Annotated[
        str, typer.Argument(help="E-mail address or https address; none for file.")
    ] = "",
    form: Annotated[
        DocumentFormat | None,
        typer.Option(
            "--format", help="What they read: json, csv, pdf, x12 (850) or ubl (2.1 Order)."
        ),
    ] = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Say how a supplier gets its orders; an administrator does.

    The way is part of what people approve: an order that waits for a decision must be revised and
    asked for again. What was approved already goes the way it was approved for.
    """
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from sqlmodel import col

        from db.models.purchasing import PurchaseOrder
        from tools.purchasing.service.requesting import outdated
        from tools.suppliers.core import Way
        from tools.suppliers.service import set_delivery

        usual = DocumentFormat.PDF if channel == "email" else DocumentFormat.JSON
        system, actor = shell.system, shell.actor()
        with system.database.write() as session:
            supplier = set_delivery(
                session, code, way=Way(channel, address, form or usual), actor=actor,
                clock=system.clock, open_to=shell.settings.webhook_allowed_hosts,
            )  # fmt: skip
            row = _shown(supplier, _missing(shell, session))
            stale = outdated(session, col(PurchaseOrder.supplier_id) == supplier.id)
        _say(shell, {**row, "outdated": stale})
        if stale and not shell.is_json:
            shell.note(
                f"To refresh before they can be approved ('refresh {stale[0]}' in the chat): "
                f"{', '.join(stale)}.", "yellow",
            )  # fmt: skip


def _missing(shell: Terminal, session: Any) -> dict[str, str]:
    from api.channels import unreachable

    return unreachable(session, shell.settings)


def _shown(supplier: "Supplier", missing: dict[str, str]) -> dict[str, Any]:
    return {
        "code": supplier.code, "name": supplier.name, "currency": supplier.currency,
        "is_active": supplier.is_active, "is_approved": supplier.is_approved,
        "delivery": {
            "channel": supplier.delivery_channel, "address": supplier.delivery_address,
            "format": supplier.delivery_format.value,
        },
        "missing": missing.get(supplier.code, ""),
    }  # fmt: skip


def _say(shell: Terminal, row: dict[str, Any]) -> None:
    if shell.is_json:
        shell.emit({"ok": True, "data": row})
        return
    typer.echo(_line(row))
    if row["missing"]:
        shell.note(f"No order can be sent to {row['code']} yet: {row['missing']}.", "yellow")


def _line(row: dict[str, Any]) -> str:
    way = row["delivery"]
    where = f" to {way['address']}" if way["address"] else ""
    state = "".join(
        text
        for text, said in (
            ("  not active", not row["is_active"]),
            ("  not approved", not row["is_approved"]),
            ("  CANNOT BE SENT", row["missing"]),
        )
        if said
    )
    return f"{row['code']:<14} {row['name']:<28} {way['channel']}{where} ({_documents(way)}){state}"


def _documents(way: dict[str, Any]) -> str:
    """Name every document that goes this way."""
    always = {"email": ["pdf", "csv"], "file": ["json", "csv"]}.get(way["channel"], [])
    return ", ".join(dict.fromkeys([*always, way["format"]]))
