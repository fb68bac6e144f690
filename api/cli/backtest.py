"""`quartermaster backtest`: what other policies would have cost on the user's own sales."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.operate import MapOption
from api.cli.terminal import JsonOption, Terminal, jsonable, terminal, usage_error
from tools.errors import InvalidInput

if TYPE_CHECKING:
    from tools.backtest.core.assumptions import Assumptions
    from tools.backtest.core.history import Choice
    from tools.backtest.core.results import Report
    from tools.backtest.core.sales import RawSales

REPORT_NAME = "backtest.html"
Stage = Callable[[str, int, int], None]

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="Sales history: CSV, Excel or Parquet with date, "
                 "sku, quantity; optional price, unit cost, in stock, location, supplier, lead "
                 "time, moq, multiple. Default: the demo's."),
]  # fmt: skip
SkusOption = Annotated[int, typer.Option("--skus", min=1, help="How many items, by value sold.")]
SkuOption = Annotated[
    list[str] | None, typer.Option("--sku", metavar="SKU", help="This item instead; repeatable.")
]
TestOption = Annotated[
    int | None, typer.Option("--test-days", help="Days replayed; default: the last third.")
]
LeadOption = Annotated[
    float | None, typer.Option("--lead-time", help="Days; default: the file's, else 14.")
]
CvOption = Annotated[float, typer.Option("--lead-time-cv", help="Spread over mean of delays.")]
ReviewOption = Annotated[int, typer.Option("--review", help="Days between reviews.")]
MoqOption = Annotated[
    int | None, typer.Option("--moq", help="Smallest order; default: the file's.")
]
PackOption = Annotated[
    int | None, typer.Option("--multiple", help="Units of a pack; default: the file's, else 1.")
]
HoldingOption = Annotated[float, typer.Option("--holding", help="Of the stock's value a year.")]
MarginOption = Annotated[float, typer.Option("--margin", help="Of the price, lost with a sale.")]
OrderOption = Annotated[float, typer.Option("--order-cost", help="Of one order line.")]
PriceOption = Annotated[
    float, typer.Option("--price", help="Where the file has neither price nor cost.")
]
ServiceOption = Annotated[
    float, typer.Option("--service", help="Cycle service level of the textbook policy.")
]
PathsOption = Annotated[int, typer.Option("--replications", help="Draws of the delays.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of these draws.")]
HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Report with charts; default: backtest.html in "
                 "the data folder if there is one, else here."),
]  # fmt: skip


def backtest(
    data: DataOption = None,
    skus: SkusOption = 10,
    only: SkuOption = None,
    test_days: TestOption = None,
    lead_time: LeadOption = None,
    lead_time_cv: CvOption = 0.5,
    review: ReviewOption = 1,
    moq: MoqOption = None,
    multiple: PackOption = None,
    holding: HoldingOption = 0.25,
    margin: MarginOption = 0.40,
    order_cost: OrderOption = 3.0,
    price: PriceOption = 10.0,
    service: ServiceOption = 0.95,
    replications: PathsOption = 20,
    seed: SeedOption = 1,
    mapping: MapOption = None,
    html: HtmlOption = None,
    is_json: JsonOption = False,
) -> None:
    """Replay your sales and compare policies: fill rate, stock, cost, the money between them."""
    columns = _columns(mapping or [])
    with terminal(is_json=is_json) as shell:
        from tools.backtest.core.assumptions import Assumptions
        from tools.backtest.core.history import Choice

        assumptions = Assumptions(
            lead_time_days=lead_time, lead_time_cv=lead_time_cv, review_days=review,
            moq_units=moq, order_multiple_units=multiple, holding_rate=holding,
            margin_rate=margin, order_cost=order_cost, default_price=price,
            service_rate=service, replications=replications, seed=seed,
        )  # fmt: skip
        choice = Choice(skus, tuple(only or ()), test_days)
        target = _target(shell, html)
        with _stages(shell) as stage:
            report = _run(shell, data, columns, choice, assumptions, stage)
        _tell(shell, report, target)


def _columns(pairs: list[str]) -> dict[str, str] | None:
    columns: dict[str, str] = {}
    for pair in pairs:
        field, found, column = pair.partition("=")
        if not (field and found and column):
            usage_error(f"--map takes FIELD=COLUMN, got {pair!r}")
        columns[field.strip()] = column.strip()
    return columns or None


def _target(shell: Terminal, html: Path | None) -> Path | None:
    """Where the report goes, checked before a minute is spent; None for data without a file."""
    if html is None and shell.is_json:
        return None
    if html is None:
        folder = shell.settings.data_dir
        html = (folder if folder.is_dir() else Path()) / REPORT_NAME
    if not html.parent.is_dir():
        raise InvalidInput(
            f"there is no folder {str(html.parent)!r} for the report",
            next_step="Make it first, or choose another file with --html.",
        )
    if html.is_dir():
        raise InvalidInput(f"{str(html)!r} is a folder", next_step="Name a file: --html FILE")
    return html


def _run(
    shell: Terminal, data: Path | None, columns: dict[str, str] | None, choice: "Choice",
    assumptions: "Assumptions", stage: Stage,
) -> "Report":  # fmt: skip
    from dataclasses import replace
    from time import perf_counter

    from tools.backtest.service.running import backtest as replay

    started = perf_counter()
    raw = _sales(shell, data, columns, stage)
    currency = shell.settings.company_currency
    report = replay(raw, choice, assumptions, currency=currency, progress=stage)
    return replace(report, seconds=perf_counter() - started)


def _sales(
    shell: Terminal, data: Path | None, columns: dict[str, str] | None, stage: Stage
) -> "RawSales":
    from zoneinfo import ZoneInfo

    from tools.backtest.service.reading import demo_sales, read_sales
    from tools.clock import SystemClock

    if data is None:
        return demo_sales()
    today = SystemClock().now().astimezone(ZoneInfo(shell.settings.timezone)).date()
    return read_sales(
        data, today=today, mapping=columns,
        progress=lambda done, whole: stage("Reading sales", done, whole),
    )  # fmt: skip


@contextmanager
def _stages(shell: Terminal) -> Iterator[Stage]:
    """One bar for each stage on standard error; nothing when nobody looks."""
    if not shell.err.is_terminal:
        yield lambda _stage, _done, _whole: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<24}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=shell.err, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int, whole: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=None)
            bars.update(tasks[stage], completed=done, total=whole or None)

        yield tell


def _tell(shell: Terminal, report: "Report", target: Path | None) -> None:
    if target is not None:
        from api.reports.backtest import page
        from api.reports.files import write_whole

        write_whole(target, page(report))
    if shell.is_json:
        where = None if target is None else str(target)
        shell.emit({"ok": True, "data": _without_nan(jsonable(report)), "html": where})
        return
    from api.cli import backtest_screens as screens

    shell.show(*screens.whole_report(report))
    if target is not None:
        shell.note(f"Report with charts: {target}")


def _without_nan(value: Any) -> Any:
    """What is undefined is null in JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _without_nan(content) for name, content in value.items()}
    if isinstance(value, list):
        return [_without_nan(content) for content in value]
    return value
