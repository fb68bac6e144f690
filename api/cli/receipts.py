"""`quartermaster receipts`: what came and went of an order, and counter-entries."""

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.supply import NumberArgument, counted, tell_order
from api.cli.terminal import AsOption, JsonOption, terminal
from tools.errors import InvalidInput

if TYPE_CHECKING:
    from sqlmodel import Session

_KINDS = {  # as it is stored: sign and words
    "receipt": ("+", "received"), "return": ("-", "went back"), "wrong_item": ("+", "wrong goods"),
    "reversal": ("-", "undone"),
}  # fmt: skip
app = typer.Typer(help="Deliveries that were booked.", no_args_is_help=True)


@app.command(name="list")
def list_receipts(
    number: NumberArgument, as_login: AsOption = None, is_json: JsonOption = False
) -> None:
    """Show everything that came and went of an order."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.purchasing.service import reversing

        with shell.reading(shell.actor()) as session:
            rows = reversing.receipts_of(session, number)
            skus = _skus(session, [row.item_id for row in rows if row.item_id])
            found = [
                {
                    "reference": row.reference,
                    "note": _note(row.reference),
                    "kind": row.kind.value,
                    "on": row.received_on.isoformat(),
                    "sku": skus.get(row.item_id or 0, ""),
                    "units": row.received_units,
                    "rejected": row.rejected_units,
                    "by": row.recorded_by,
                    "reason": row.reason,
                }
                for row in rows
            ]
        if is_json:
            shell.emit({"ok": True, "data": {"receipts": found}})
            return
        for row in found:
            sign, name = _KINDS[str(row["kind"])]
            bad = f", {row['rejected']:,} of it bad" if row["rejected"] else ""
            why = f": {row['reason']}" if row["reason"] else ""
            typer.echo(
                f"{row['on']}  {name:<12} {sign}{row['units']:<8,} {row['sku']:<14} "
                f"note {row['note']}, by {row['by'] or 'an import'}{bad}{why}"
            )
        if not found:
            typer.echo("Nothing was booked.")


@app.command()
def reverse(
    number: NumberArgument,
    note: Annotated[str, typer.Argument(help="Number of the delivery note.")],
    reason: Annotated[str, typer.Option(help="What was wrong.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Undo the booking of a delivery note by counter-entries."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.purchasing.service import reversing

        actor, system = shell.actor(), shell.system
        with system.database.write() as session:
            order = reversing.reverse_receipt(
                session, number=number, reference=note, reason=reason, actor=actor,
                clock=system.clock,
            )  # fmt: skip
        tell_order(shell, order)


@app.command(name="return")
def return_goods(
    number: NumberArgument,
    what: Annotated[str, typer.Argument(metavar="SKU=UNITS", help="What goes back.")],
    note: Annotated[str, typer.Option(help="Number of the return note.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    is_replaced: Annotated[
        bool, typer.Option("--replaced", help="The supplier sends others: await them.")
    ] = False,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Book goods that go back to their supplier."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.purchasing.service import reversing

        actor, system = shell.actor(), shell.system
        [(sku, units)] = counted([what])
        if units == 0:
            raise InvalidInput("nothing goes back", next_step="Such as 22423=12.")
        with system.database.write() as session:
            order = reversing.return_goods(
                session, number=number, sku=sku, units=units, reference=note, reason=reason,
                actor=actor, clock=system.clock, is_replaced=is_replaced,
            )  # fmt: skip
        if not is_json:
            awaited = "; others are awaited" if is_replaced else ""
            typer.echo(f"{units:,} of {sku} go back with note {note}{awaited}.")
        tell_order(shell, order)


def _note(reference: str) -> str:
    """The number of the delivery note in ``ORDER:NOTE:LINE``; an import has another form."""
    parts = reference.split(":")
    return ":".join(parts[1:-1]) if len(parts) > 2 else reference


def _skus(session: "Session", item_ids: list[int]) -> dict[int, str]:
    from sqlmodel import col, select

    from db.models.catalog import Item

    wanted = select(Item.id, Item.sku).where(col(Item.id).in_(set(item_ids)))
    return dict(session.exec(wanted).all())
