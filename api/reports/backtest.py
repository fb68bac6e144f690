"""A backtest as one HTML file: no script, no font, no address outside; light, dark and paper."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from api.reports import charts

if TYPE_CHECKING:
    from tools.backtest.core.results import Report

NOTHING = "–"  # noqa: RUF001  (an en dash stands for a value that is not there)
MOST_ITEMS = 300


def page(report: "Report") -> str:
    """Lay out the whole page.

    Args:
        report: What a backtest found.

    Returns:
        HTML that loads nothing: style and pictures are inside.
    """
    style = (files("api.reports") / "backtest.css").read_text(encoding="utf-8")
    body = "".join(
        (
            _head(report), _money(report), _policies(report), _curves(report), _example(report),
            _accuracy(report), _items(report), _read(report),
        )
    )  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Backtest of {report.items} items</title><style>{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _head(report: "Report") -> str:
    return (
        "<header><h1>What your stock would have cost</h1>"
        f"<p>{report.items} items, {report.test_days} days from {report.test_from} to "
        f"{report.last_day}, replayed day by day out of sample. Each policy saw only the sales "
        "that its own stock allowed.</p></header>"
    )


def _money(report: "Report") -> str:
    first, *others = report.sentences
    rest = "".join(f"<li>{escape(sentence)}</li>" for sentence in others)
    return f'<section class="money"><p class="lead">{escape(first)}</p><ul>{rest}</ul></section>'


def _policies(report: "Report") -> str:
    rows = [
        (
            policy.name, _percent(policy.fill_rate), _percent(policy.stockout_rate),
            _whole(policy.average_value), _whole(policy.orders), _whole(policy.holding_cost),
            _whole(policy.ordering_cost), _whole(policy.shortage_cost), _whole(policy.total_cost),
            f"{_whole(policy.total_low)} to {_whole(policy.total_high)}",
        )
        for policy in report.policies
    ]  # fmt: skip
    header = ("policy", "fill rate", "out of stock", "average stock", "orders", "holding",
              "ordering", "lost sales", "total", "5 to 95 % of draws")  # fmt: skip
    keys = [policy.key for policy in report.policies]
    rules = "".join(
        f"<li><b>{escape(policy.name)}</b>: {escape(policy.rule)}</li>"
        for policy in report.policies
    )
    legend = _legend((("holding", "holding"), ("ordering", "orders"), ("lost", "lost sales")))
    caption = f"Money in {report.currency}, means of all draws"
    return (
        f"<section><h2>Cost by policy</h2>{legend}{charts.cost_bars(report)}"
        f"{_table(header, rows, caption=caption, keys=keys)}"
        f'<ul class="small">{rules}</ul></section>'
    )


def _curves(report: "Report") -> str:
    legend = _legend(tuple((policy.key, policy.name) for policy in report.policies))
    return (
        "<section><h2>Service against stock</h2><p>A policy is a curve, not a point: more safety "
        "buys more service with more stock. The higher curve is the better policy; the large "
        f"points are the policies of the table above.</p>{legend}{charts.service_curves(report)}"
        "</section>"
    )


def _example(report: "Report") -> str:
    example = report.example
    step, start = report.period_days, report.test_from
    names = {policy.key: policy.name for policy in report.policies}
    title = f"{example.sku} {example.name}".strip()
    costs = ", ".join(
        f"{names[key]} {_whole(cost)} {report.currency}" for key, cost in example.item_cost.items()
    )
    fan = _legend((("fan", "90 % interval"), ("forecast", "forecast"), ("actual", "what came")))
    stock = _legend(tuple((key, names[key]) for key in example.stock))
    return (
        f"<section><h2>One item: {escape(title)}</h2>"
        f"<p>The item with the highest sales value of the test. Its cost: {escape(costs)}.</p>"
        "<h3>Demand</h3>"
        f"{_legend((('past', 'before the test'), ('test', 'in the test')))}"
        f"{charts.demand_history(example, test_from=start, period_days=step)}"
        "<h3>Forecast of the total, made the day before</h3>"
        f"{fan}{charts.forecast_fan(example)}"
        "<h3>Stock and orders</h3><p>One draw of the delays; each mark below the line of zero is "
        f"an order.</p>{stock}"
        f"{charts.stock_and_orders(example, test_from=start, period_days=step)}</section>"
    )


def _accuracy(report: "Report") -> str:
    found = report.accuracy
    rows = [
        (
            score.name, _percent(score.wmape), _number(score.mase, 3), _signed(score.bias),
            _number(score.pinball, 4), _percent(score.coverage),
        )
        for score in found.scores
    ]  # fmt: skip
    header = ("model", "WMAPE of totals", "MASE", "bias", "pinball 95 %", "90 % interval covers")
    caption = f"Totals of {found.horizon_days} days, {found.windows} origins in the test period"
    keys = ["ours" if score.key == "default" else "" for score in found.scores]
    return (
        "<section><h2>Forecast accuracy</h2><p>Stock needs the total over the lead time and its "
        "upper end, not single days. Bias above zero is over-forecast; a lower pinball loss is a "
        "better upper end.</p>"
        f"{_table(header, rows, caption=caption, keys=keys)}</section>"
    )


def _items(report: "Report") -> str:
    rows = [
        (
            f"{one.sku} {one.name}".strip(), f"{one.lead_time_days:.0f}", _whole(one.demand_units),
            _percent(one.fill_spreadsheet), _percent(one.fill_ours),
            _whole(one.value_spreadsheet), _whole(one.value_ours), _whole(one.cost_spreadsheet),
            _whole(one.cost_ours), _whole(one.cost_spreadsheet - one.cost_ours),
        )
        for one in report.by_item[:MOST_ITEMS]
    ]  # fmt: skip
    header = ("item", "lead time, days", "demand, units", "fill: spreadsheet", "fill: ours",
              "stock: spreadsheet", "stock: ours", "cost: spreadsheet", "cost: ours",
              "saved")  # fmt: skip
    return (
        "<section><h2>Item by item</h2>"
        f"{_table(header, rows, caption='Biggest saving first; a minus is a loss')}</section>"
    )


def _read(report: "Report") -> str:
    given = report.assumptions
    low, high = report.lead_time_range
    facts = [
        f"Read: {report.source}, {report.rows_read:,} rows, {report.candidates:,} items, "
        f"{report.first_day} to {report.last_day}.",
        f"Lead time {low:g} to {high:g} days, gamma with a spread of {given.lead_time_cv:g} of the "
        f"mean; {given.replications} draws (seed {given.seed}), the same for every policy.",
        f"Review every {report.review_days} day(s), holding {given.holding_rate * 100:g} % a year, "
        f"{given.order_cost:g} {report.currency} an order line, unmet demand is lost with its "
        f"margin ({given.margin_rate * 100:g} % of the price where the cost is not known).",
        "Every policy starts with the same stock: lead time and 14 days of recent sales.",
    ]
    parts = [_list("What was read and assumed", facts)]
    if report.left_out:
        parts.append(_list("Left out", report.left_out))
    if report.notes:
        parts.append(_list("Assumed where the file is silent", report.notes))
    took = f'<p class="small">Computed in {report.seconds:.0f} s.</p>' if report.seconds else ""
    return f"<section>{''.join(parts)}{took}</section>"


def _list(title: str, lines: Iterable[str]) -> str:
    return f"<h2>{title}</h2><ul>{''.join(f'<li>{escape(text)}</li>' for text in lines)}</ul>"


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str,
    keys: Sequence[str] | None = None,
) -> str:  # fmt: skip
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in header)
    lines = []
    for k, row in enumerate(rows):
        first, *others = row
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in others)
        kind = f' class="row-{keys[k]}"' if keys and keys[k] else ""
        lines.append(f'<tr{kind}><th scope="row">{escape(first)}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr>{titles}</tr>'
        f"</thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    keys = "".join(
        f'<span class="key"><i class="swatch {kind}"></i>{escape(name)}</span>'
        for kind, name in entries
    )
    return f'<p class="legend">{keys}</p>'


def _whole(value: float) -> str:
    return f"{value:,.0f}" if round(value) else "0"


def _percent(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value * 100:.1f} %"


def _signed(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value * 100:+.1f} %"


def _number(value: float, digits: int) -> str:
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"
