"""Commands that look: today, item, orders. Every figure comes from the tools of the chat."""

import shlex
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, data_of, terminal, usage_error

if TYPE_CHECKING:
    from sqlmodel import Session

    from db.types import Actor, OrderState

_PAGE = 500  # orders read at once
SOLD_WEEKS = 16  # of history beside the forecast

SupplierOption = Annotated[
    str | None, typer.Option("--supplier", metavar="NAME", help="Only what this supplier sells.")
]


def today(
    supplier: SupplierOption = None,
    budget: Annotated[
        float | None, typer.Option(min=0, help="Say what this much money should buy.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="Lines to show.")] = 10,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Show what needs ordering, by value at risk, and what else is wrong."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        show_today(shell, shell.actor(), supplier=supplier, limit=limit, budget=budget)


def show_today(
    shell: Terminal,
    actor: "Actor",
    *,
    supplier: str | None = None,
    limit: int = 10,
    budget: float | None = None,
) -> None:
    """Print the morning list."""
    narrowed = {"supplier": supplier} if supplier else {}
    money = {} if budget is None else {"budget": budget}
    orders = shell.ask("recommend_orders", actor, limit=limit, **narrowed, **money)
    exceptions = shell.ask("list_exceptions", actor, limit=1, **narrowed)
    waiting = {
        state: int(data_of(shell.ask("list_orders", actor, status=state, limit=1))["total"])
        for state in ("draft", "pending_approval")
    }
    if shell.is_json:
        data_of(orders), data_of(exceptions)
        shell.emit(
            {"ok": True, "recommendations": orders, "exceptions": exceptions, "waiting": waiting}
        )
        return
    from api.cli import screens

    shell.show(
        screens.morning_list(data_of(orders), data_of(exceptions), at=shell.system.clock.now())
    )
    if text := screens.waiting(waiting):
        shell.show(text)
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
    position = shell.ask("get_stock_position", actor, sku=sku)
    exact = data_of(position)["sku"]
    return {
        "position": position,
        "policy": shell.ask("compute_reorder_point", actor, sku=exact),
        "forecast": shell.ask("forecast_demand", actor, sku=exact, horizon_days=56),
        "recommendation": shell.ask("explain_recommendation", actor, sku=exact),
    }


def _show_item(shell: Terminal, found: dict[str, dict[str, Any]]) -> None:
    from rich.text import Text

    from api import rendering
    from api.cli import screens

    position = data_of(found["position"])
    sold = _sold_by_week(shell, position)
    rows: list[tuple[str, str | Text]] = [
        ("stock", screens.position_line(position)),
        ("cover", screens.cover_line(position)),
        ("policy", _or_reason(found["policy"], screens.policy_line)),
        ("forecast", _or_reason(found["forecast"], screens.forecast_line)),
        ("", screens.demand_spark(sold, found["forecast"])),
    ]
    shell.show(
        rendering.headline(position["sku"], position["name"], position["location"]),
        Text(),
        rendering.facts(rows),
        Text(),
        *screens.advice(found["recommendation"]),
    )
    _warn(shell, *found.values())


def _sold_by_week(shell: Terminal, position: dict[str, Any]) -> list[float]:
    """Units sold in each of the last weeks before today, oldest first."""
    from tools.catalog.service import resolve_item, resolve_location
    from tools.demand.service import daily_series

    until = shell.system.clock.now().date() - timedelta(days=1)
    with shell.system.database.read() as session:
        sold = resolve_item(session, position["sku"])
        place = resolve_location(session, position["location"])
        days = daily_series(session, sold.id, place.id, until=until)
    last = [float(value) for value in days["units"].tolist()][-7 * SOLD_WEEKS :]
    last = last[len(last) % 7 :]  # whole weeks only
    return [sum(last[start : start + 7]) for start in range(0, len(last), 7)]


def _or_reason(envelope: dict[str, Any], line: Any) -> str:
    return str(line(envelope["data"])) if envelope["ok"] else str(envelope["message"])


def orders(
    state: Annotated[
        str | None, typer.Option(help="Such as draft, pending_approval, sent, confirmed, received.")
    ] = None,
    supplier: SupplierOption = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Lines to show.")] = 20,
    after: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Go on behind this order.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Show every one.")] = False,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """List purchase orders, newest first."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        wanted = _state(state)
        data = _orders(shell, wanted, supplier, after=after, limit=None if is_all else limit)
        if shell.is_json:
            shell.emit({"ok": True, "data": data})
            return
        from api.cli import screens

        chosen = {"--state": state, "--supplier": supplier and shlex.quote(supplier)}
        again = "".join(f" {name} {value}" for name, value in chosen.items() if value)
        shell.show(screens.orders(data, f"quartermaster orders{again}"))


def _state(text: str | None) -> "OrderState | None":
    from db.types import OrderState

    names = [member.value for member in OrderState]
    if text is not None and text not in names:
        usage_error(f"--state {text!r} is not one of {', '.join(names)}")
    return None if text is None else OrderState(text)


def _orders(
    shell: Terminal,
    state: "OrderState | None",
    supplier: str | None,
    *,
    after: str | None,
    limit: int | None,
) -> dict[str, Any]:
    """Return a page of orders, or all of them, as the chat's tool tells them."""
    from tools.purchasing.service import reading
    from tools.purchasing.tool import order_json

    found: list[dict[str, Any]] = []
    with shell.reading(shell.actor()) as session:
        while True:
            page = reading.list_orders(
                session, state=state, supplier=supplier, limit=limit or _PAGE, after=after
            )
            found += _told(session, [order_json(order) for order in page.orders])
            after = page.orders[-1].number if len(page.orders) == (limit or _PAGE) else None
            if limit or after is None:
                break
        rest = reading.list_orders(
            session, state=state, supplier=supplier, limit=1, after=after
        ).orders if after else ()  # fmt: skip
    return {"orders": found, "total": page.total, "after": after if rest else None}


def _told(session: "Session", orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say of drafts and waiting orders whose data changed that they must be refreshed first."""
    from sqlmodel import col

    from db.models.purchasing import PurchaseOrder
    from tools.purchasing.service.requesting import outdated

    numbers = [one["po_id"] for one in orders]
    stale = set(outdated(session, col(PurchaseOrder.number).in_(numbers)))
    return [one | {"next_action": "refresh it first"} if one["po_id"] in stale else one
            for one in orders]  # fmt: skip


def _warn(shell: Terminal, *envelopes: dict[str, Any]) -> None:
    seen: set[str] = set()
    for envelope in envelopes:
        for warning in envelope.get("warnings", []):
            if warning not in seen:
                seen.add(warning)
                shell.note(f"Note: {warning}", "dim")
