"""`quartermaster replenishment`: by which rule an item is kept, and how well."""

from typing import Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, terminal
from db.types import ReplenishmentRule, SafetyStockMethod, ServiceMeasure

app = typer.Typer(help="By which rule an item is kept, and how well.", no_args_is_help=True)
SkuArgument = Annotated[str, typer.Argument(help="SKU, or another name of the item.")]
LocationOption = Annotated[
    str | None, typer.Option(metavar="CODE", help="Which warehouse; default: the usual one.")
]


@app.command()
def show(
    sku: SkuArgument,
    location: LocationOption = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show how an item is kept, and the numbers of the last plan."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.reach.service import look_as
        from tools.stocking.service import stocking_of

        actor = shell.actor()
        with shell.system.database.read() as session:
            look_as(session, actor)
            found = stocking_of(session, sku, location)
        _say(shell, found)


@app.command(name="set")
def set_rule(
    sku: SkuArgument,
    reason: Annotated[str, typer.Option(help="Why.")],
    rule: Annotated[
        ReplenishmentRule | None,
        typer.Option(help="s_S min-max, R_S and R_s_S at reviews, s_nQ in economic lots."),
    ] = None,
    service_rate: Annotated[
        float | None, typer.Option("--service", help="Such as 0.95; turns --optimise off.")
    ] = None,
    is_optimised: Annotated[
        bool | None,
        typer.Option("--optimise/--fixed", help="Service level from holding and shortage cost."),
    ] = None,
    measure: Annotated[ServiceMeasure | None, typer.Option(help="What --service means.")] = None,
    method: Annotated[SafetyStockMethod | None, typer.Option(help="Of the safety stock.")] = None,
    review_days: Annotated[int | None, typer.Option("--review", help="Days of review.")] = None,
    cover_days: Annotated[int | None, typer.Option("--cover", help="Days an order lasts.")] = None,
    location: LocationOption = None,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Set how an item is kept; who decides about orders does."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.stocking.core import StockingChange
        from tools.stocking.service import set_stocking

        change = StockingChange(
            rule, service_rate, measure, method, review_days, cover_days, is_optimised
        )
        system, actor = shell.system, shell.actor()
        with system.database.write() as session:
            found = set_stocking(
                session, sku, location, change, reason=reason, actor=actor, clock=system.clock
            )
        _say(shell, found)
        if not shell.is_json:
            shell.note("The next advice follows it; `quartermaster plan` computes all numbers.")


def _say(shell: Terminal, found: dict[str, Any]) -> None:
    if shell.is_json:
        shell.emit({"ok": True, "data": found})
        return
    level = "optimised" if found["is_service_rate_optimised"] else f"{found['service_rate']:g}"
    typer.echo(
        f"{found['sku']}  {found['name']}  at {found['location']}: {found['rule']}, service level "
        f"{level} ({found['measure']}), {found['method']}, review {found['review_period_days']} "
        f"days, cover {found['cover_days']} days, version {found['version']}"
    )
    if found["reorder_point"] is not None:
        typer.echo(
            f"reorder point {found['reorder_point']:,}, safety stock {found['safety_stock']:,}, "
            f"order-up-to {found['order_up_to']:,} {found['uom']}"
        )
