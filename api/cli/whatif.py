"""`quartermaster what-if`: a change of demand, lead time, price or supply, played through."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.terminal import AsOption, JsonOption, Terminal, terminal
from tools.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tools.simulation.core.scenario import ScenarioRequest

DEFAULT_SEED = 2026  # as the chat's tool; said here because the tool's module is heavy to import


SkuArgument = Annotated[
    str | None, typer.Argument(help="SKU or name; or one of --category, --supplier, --all.")
]
CategoryOption = Annotated[str | None, typer.Option(help="All items of a category.")]
SupplierOption = Annotated[
    str | None, typer.Option(help="All items bought from it; only its terms change.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All items.")]
PlaceOption = Annotated[str | None, typer.Option(help="Code of the place.")]
DemandOption = Annotated[
    str | None, typer.Option(metavar="PCT", help="Demand, such as +40% or -15%.")
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="First day of that demand.")
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Its last day.")]
LeadOption = Annotated[float, typer.Option(metavar="DAYS", help="Longer lead time, such as 7.")]
LateOption = Annotated[int, typer.Option(metavar="DAYS", help="Open orders come so much later.")]
PriceOption = Annotated[
    str | None, typer.Option(metavar="PCT", help="Purchase price, such as +5%.")
]
LevelOption = Annotated[float | None, typer.Option(help="Service level, such as 0.98.")]
MoqOption = Annotated[int | None, typer.Option(help="Minimum order, units.")]
HorizonOption = Annotated[int, typer.Option(metavar="DAYS", help="Days to look ahead.")]
SeedOption = Annotated[int, typer.Option(help="The same number repeats the same chances.")]


def what_if(
    sku: SkuArgument = None,
    category: CategoryOption = None,
    supplier: SupplierOption = None,
    is_all: AllOption = False,
    location: PlaceOption = None,
    demand: DemandOption = None,
    start: FromOption = None,
    end: ToOption = None,
    lead_time: LeadOption = 0,
    late: LateOption = 0,
    price: PriceOption = None,
    service_level: LevelOption = None,
    moq: MoqOption = None,
    horizon: HorizonOption = 60,
    seed: SeedOption = DEFAULT_SEED,
    as_login: AsOption = None,
    is_json: JsonOption = False,
) -> None:
    """Play a change through: stock-outs, fill rate, inventory and cost. Changes nothing."""
    with terminal(as_login=as_login, is_json=is_json) as shell:
        from tools.simulation.core.scenario import ScenarioRequest

        request = ScenarioRequest(
            demand_change_pct=percent_of("--demand", demand),
            lead_time_change_days=lead_time, service_level=service_level, start=start, end=end,
            horizon_days=horizon, price_change_pct=percent_of("--price", price),
            supply_delay_days=late, moq_units=moq,
        )  # fmt: skip
        named = {
            "sku": sku, "category": category, "supplier": supplier, "everything": is_all,
            "location": location,
        }  # fmt: skip
        _tell(shell, *_answer(shell, named, request, seed))


def _tell(shell: Terminal, data: dict[str, Any], notes: list[str]) -> None:
    if shell.is_json:
        shell.emit({"ok": True, "data": data, "warnings": notes})
        return
    shell.show(*screen(data))
    for note in notes:
        shell.note(f"Note: {note}", "dim")


def percent_of(name: str, text: str | None) -> float:
    """Read a change in percent.

    Raises:
        InvalidInput: It is no number.

    Example:
        >>> percent_of("--demand", "+40%"), percent_of("--demand", "-12.5 %")
        (40.0, -12.5)
    """
    if text is None:
        return 0.0
    try:
        return float(text.strip().removesuffix("%").strip())
    except ValueError:
        raise InvalidInput(
            f"{name} is a change in percent, got {text[:40]!r}", next_step="Write it like +40%."
        ) from None


def _answer(
    shell: Terminal, named: dict[str, Any], request: "ScenarioRequest", seed: int
) -> tuple[dict[str, Any], list[str]]:
    from tools.simulation.service import whatif

    system = shell.system
    with (
        shell.reading(shell.actor()) as session,
        shell.progress("Playing it through") as progress,
    ):
        data = whatif.answer(
            session, whatif.wanted_of(session, **named), request, clock=system.clock,
            company=system.company, seed=seed, progress=progress,
        )  # fmt: skip
    return data, whatif.warnings_of(data)


def screen(data: dict[str, Any]) -> "list[RenderableType]":
    """Lay an answer out: what was supposed, now and then side by side, who is hit hardest."""
    from rich.text import Text

    found = data["simulation"]
    parts: list[RenderableType] = [_heading(data), Text(supposed(data)), Text(), _table(data)]
    parts += [Text(), Text(_unprepared(found))]
    if data.get("hardest_hit"):
        parts += [Text(), _hardest(data["hardest_hit"], found["currency"])]
    parts += [Text(), Text(_small_print(found), style="dim")]
    return parts


def supposed(data: dict[str, Any]) -> str:
    """Say what was supposed, in words."""
    changes, said = data["changes"], []
    if changes["demand_change_pct"]:
        since = f" from {changes['start']}" if changes["start"] else ""
        until = f" to {changes['end']}" if changes["end"] else ""
        said.append(f"demand {changes['demand_change_pct']:+g} %{since}{until}")
    if changes["lead_time_change_days"]:
        said.append(f"lead time {changes['lead_time_change_days']:+g} days")
    if changes["supply_delay_days"]:
        said.append(f"open orders {changes['supply_delay_days']} days later")
    if changes["price_change_pct"]:
        said.append(f"purchase price {changes['price_change_pct']:+g} %")
    if changes["service_level"] is not None:
        said.append(f"service level {changes['service_level']:.4g}")
    if changes["moq"] is not None:
        said.append(f"minimum order {changes['moq']:,}")
    return f"What if: {', '.join(said) or 'nothing changes'}."


def _heading(data: dict[str, Any]) -> "RenderableType":
    from api import rendering

    days = f"{data['horizon_days']} days"
    if "sku" in data:
        return rendering.headline(data["sku"], data["name"], days)
    scope = data["scope"]
    name = scope["category"] or scope["supplier"] or "All items"
    return rendering.headline(name, f"{data['items']:,} items", days)


_PLAN = (
    ("reorder point", "reorder_point"), ("safety stock", "safety_stock"),
    ("order up to", "order_up_to"), ("order now", "order_quantity"),
)  # fmt: skip


def _table(data: dict[str, Any]) -> "RenderableType":
    from api import rendering

    found = data["simulation"]
    now, then, delta = found["baseline"], found["scenario"], found["delta"]
    table = rendering.grid("", ">as it is", ">what if", ">difference")
    if "sku" in data:
        for label, name in _PLAN:
            before, after = data["baseline"][name], data["scenario"][name]
            table.add_row(label, *map(rendering.units, (before, after)), _signed(after - before))
    table.add_row(
        "stock-out days", *(f"{side['stockout_days']:,.1f}" for side in (now, then)),
        _signed(delta["stockout_days"]),
    )  # fmt: skip
    table.add_row(
        "fill rate", *(rendering.percent(side["fill_rate"], 2) for side in (now, then)),
        _points(delta["fill_rate"]),
    )  # fmt: skip
    for label, name in (("average inventory", "average_inventory"), ("orders", "orders")):
        table.add_row(label, *(f"{s[name]:,.1f}" for s in (now, then)), _signed(delta[name]))
    values = [found[s]["average_inventory_value"] for s in ("baseline", "scenario", "delta")]
    table.add_row(f"its value, {found['currency']}", *map(rendering.money_short, values))
    for label, name in (
        ("holding", "holding"), ("ordering", "ordering"), ("margin not earned", "shortage"),
    ):  # fmt: skip
        table.add_row(label, *(rendering.money_short(s["cost"][name]) for s in (now, then)), "")
    costs = [now["cost"]["total"], then["cost"]["total"], delta["cost"]]
    table.add_row("cost", *map(rendering.money_short, costs), style="bold")
    bought = [side["purchases"] for side in (now, then, delta)]
    table.add_row("bought", *map(rendering.money_short, bought))
    return table


def _unprepared(found: dict[str, Any]) -> str:
    from api.rendering import money_short

    delta, surprised = found["delta"], found["unprepared"]
    currency = found["currency"]
    text = f"In 9 of 10 runs the difference in cost is {money_short(delta['cost_low'])} to "
    text += f"{money_short(delta['cost_high'])} {currency}. If it came unplanned: "
    text += f"{surprised['stockout_days']:+,.1f} stock-out days, "
    return text + f"{money_short(surprised['cost'])} {currency}."


def _hardest(items: list[dict[str, Any]], currency: str) -> "RenderableType":
    from api import rendering

    table = rendering.grid(
        "SKU", "at", ">stock-out days", ">what if", f">cost, {currency}", title="Hit hardest"
    )
    for one in items:
        table.add_row(
            one["sku"], one["location"], f"{one['stockout_days_before']:,.1f}",
            f"{one['stockout_days']:,.1f}", rendering.money_short(one["cost_change"]),
        )  # fmt: skip
    return table


def _small_print(found: dict[str, Any]) -> str:
    rules = "; ".join(found["assumptions"])
    return f"{found['paths']} runs, seed {found['seed']}. Assumed: {rules}."


def _signed(value: float) -> str:
    return f"{value:+,.1f}" if not float(value).is_integer() else f"{int(value):+,}"


def _points(value: float | None) -> str:
    from api.rendering import NOTHING

    return NOTHING if value is None else f"{value * 100:+.2f}"
