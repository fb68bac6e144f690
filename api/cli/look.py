"""Commands that look: today, item, orders. Every figure comes from the tools of the chat."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, data_of, terminal

if TYPE_CHECKING:
    from db.types import Actor

SupplierOption = Annotated[
    str | None, typer.Option("--supplier", metavar="NAME", help="Only what this supplier sells.")
]


def today(
    supplier: SupplierOption = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="Lines to show.")] = 10,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show what needs ordering, by value at risk, and what else is wrong."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        show_today(shell, shell.actor(), supplier=supplier, limit=limit)


def show_today(
    shell: Terminal, actor: "Actor", *, supplier: str | None = None, limit: int = 10
) -> None:
    """Print the morning list."""
    from tools.alerts.tool import list_exceptions
    from tools.replenishment.tool import recommend_orders

    narrowed = {"supplier": supplier} if supplier else {}
    orders = shell.ask(recommend_orders, actor, limit=limit, **narrowed)
    exceptions = shell.ask(list_exceptions, actor, limit=1, **narrowed)
    if shell.is_json:
        data_of(orders), data_of(exceptions)
        shell.emit({"ok": True, "recommendations": orders, "exceptions": exceptions})
        return
    from api import rendering

    shell.show(
        rendering.morning_list(data_of(orders), data_of(exceptions), at=shell.system.clock.now())
    )
    _warn(shell, orders, exceptions)


def item(
    sku: Annotated[str, typer.Argument(help="SKU, another name of the item, or part of its name.")],
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show one item: stock, policy, forecast, and what to order and why."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        found = _item_parts(shell, shell.actor(), sku)
        if shell.is_json:
            shell.emit({"ok": True, **found})
            return
        _show_item(shell, found)


def _item_parts(shell: Terminal, actor: "Actor", sku: str) -> dict[str, dict[str, Any]]:
    from tools.forecasting.tool import forecast_demand
    from tools.replenishment.tool import compute_reorder_point, explain_recommendation
    from tools.stock.tool import get_stock_position

    position = shell.ask(get_stock_position, actor, sku=sku)
    exact = data_of(position)["sku"]
    return {
        "position": position,
        "policy": shell.ask(compute_reorder_point, actor, sku=exact),
        "forecast": shell.ask(forecast_demand, actor, sku=exact, horizon_days=56),
        "recommendation": shell.ask(explain_recommendation, actor, sku=exact),
    }


def _show_item(shell: Terminal, found: dict[str, dict[str, Any]]) -> None:
    from rich.text import Text

    from api import rendering

    position = data_of(found["position"])
    rows: list[tuple[str, str | Text]] = [
        ("stock", rendering.position_line(position)),
        ("cover", rendering.cover_line(position)),
        ("policy", _or_reason(found["policy"], rendering.policy_line)),
        ("forecast", _or_reason(found["forecast"], rendering.forecast_line)),
        ("", _or_reason(found["forecast"], rendering.forecast_spark)),
    ]
    shell.show(
        rendering.headline(position["sku"], position["name"], position["location"]),
        Text(),
        rendering.facts(rows),
        Text(),
        *rendering.advice(found["recommendation"]),
    )
    _warn(shell, *found.values())


def _or_reason(envelope: dict[str, Any], line: Any) -> str:
    return str(line(envelope["data"])) if envelope["ok"] else str(envelope["message"])


def orders(
    state: Annotated[str | None, typer.Option(help="draft, pending_approval, sent, ...")] = None,
    supplier: SupplierOption = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="Lines to show.")] = 20,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """List purchase orders, newest first."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.purchasing.tool import list_orders

        wanted = {"status": state, "supplier": supplier, "limit": limit}
        arguments = {name: value for name, value in wanted.items() if value is not None}
        envelope = shell.ask(list_orders, shell.actor(), **arguments)
        data = data_of(envelope)
        if shell.is_json:
            shell.emit(envelope)
            return
        from api import rendering

        shell.show(rendering.orders(data))


def _warn(shell: Terminal, *envelopes: dict[str, Any]) -> None:
    seen: set[str] = set()
    for envelope in envelopes:
        for warning in envelope.get("warnings", []):
            if warning not in seen:
                seen.add(warning)
                shell.note(f"Note: {warning}", "dim")
