"""What `quartermaster backtest` shows in a terminal: pure functions from a report to rich text."""

import math
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from api.rendering import NOTHING, facts, grid, headline, percent

if TYPE_CHECKING:
    from tools.backtest.core.results import Report

SHOWN_ITEMS = 10


def whole_report(report: "Report") -> list[RenderableType]:
    """Lay out a backtest, from what was read to the money."""
    return [
        headline("Backtest", f"{report.items} items", f"{report.test_days} days replayed"),
        Text(),
        facts(what_was_read(report)),
        Text(),
        Text("Forecasts, out of sample", style="bold"),
        accuracy(report),
        Text(),
        Text("Policies, each on its own censored sales", style="bold"),
        policies(report),
        Text(),
        *_money(report),
    ]


def what_was_read(report: "Report") -> list[tuple[str, str | Text]]:
    """Say what was read, what was left out, and what was assumed."""
    given = report.assumptions
    low, high = report.lead_time_range
    lead = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    terms = [
        f"lead time {lead} days (gamma, CV {given.lead_time_cv:g})",
        f"review every {report.review_days} days" if report.review_days > 1 else "review every day",
        f"holding {given.holding_rate * 100:g} % a year",
        f"margin {given.margin_rate * 100:g} % where the cost is unknown",
        f"{given.order_cost:g} {report.currency} an order line",
        "unmet demand is lost",
        f"{given.replications} draws of the delays, the same for every policy",
    ]
    rows: list[tuple[str, str | Text]] = [
        ("sales", f"{report.source}: {report.rows_read:,} rows, {report.candidates:,} items"),
        ("history", f"{report.first_day} to {report.last_day}, replayed from {report.test_from}"),
        ("assumed", ", ".join(terms)),
    ]
    rows += [("left out" if k == 0 else "", text) for k, text in enumerate(report.left_out)]
    rows += [("note" if k == 0 else "", text) for k, text in enumerate(report.notes)]
    return rows


def accuracy(report: "Report") -> Table:
    """Accuracy of each model on totals over the lead time."""
    found = report.accuracy
    table = grid(
        f"total of {found.horizon_days} days, {found.windows} origins", ">WMAPE", ">MASE", ">bias",
        ">pinball 95", ">90 % covers",
    )  # fmt: skip
    for score in found.scores:
        table.add_row(
            Text(score.name, style="bold" if score.key == "default" else ""),
            _rate(score.wmape), _number(score.mase), _signed_rate(score.bias),
            _number(score.pinball, 4), _rate(score.coverage),
        )  # fmt: skip
    return table


def policies(report: "Report") -> Table:
    """Fill rate, stock and cost of each policy."""
    table = grid(
        "policy", ">fill", ">out", ">stock", ">orders", ">holding", ">ordering", ">lost", ">total"
    )
    for one in report.policies:
        style = "bold" if one.key.startswith("ours") else "dim" if one.key == "clairvoyant" else ""
        figures = [
            percent(one.fill_rate, 1), percent(one.stockout_rate, 1),
            *(
                _figure(value)
                for value in (
                    one.average_value, one.orders, one.holding_cost, one.ordering_cost,
                    one.shortage_cost, one.total_cost,
                )
            ),
        ]  # fmt: skip
        table.add_row(Text(one.name, style=style), *(Text(text, style=style) for text in figures))
    return table


def _money(report: "Report") -> list[RenderableType]:
    said = [Text(f"What that is in money ({report.currency})", style="bold")]
    return [*said, *(Padding(Text(sentence), (0, 0, 0, 2)) for sentence in report.sentences)]


def _figure(value: float) -> str:
    """A whole number; from a million on in thousands."""
    return f"{value / 1000:,.0f}k" if abs(value) >= 1e6 else f"{value:,.0f}"


def _rate(value: float) -> str:
    return NOTHING if math.isnan(value) else percent(value, 1)


def _signed_rate(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value * 100:+.1f} %"


def _number(value: float, digits: int = 3) -> str:
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"
