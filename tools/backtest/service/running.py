"""The backtest as one call: measure the forecasts, replay the policies, say the money."""

from collections.abc import Callable

from tools.backtest.core.assumptions import Assumptions
from tools.backtest.core.comparing import Compared, compare
from tools.backtest.core.history import Choice, History, choose
from tools.backtest.core.measuring import Measured, measure
from tools.backtest.core.results import Report, sentences, stock_for_service
from tools.backtest.core.sales import RawSales

Progress = Callable[[str, int, int], None]


def backtest(
    raw: RawSales, choice: Choice, assumptions: Assumptions, *, currency: str,
    progress: Progress | None = None,
) -> Report:  # fmt: skip
    """Replay a sales history out of sample.

    Args:
        raw: Sales of a file (``read_sales``) or of the demo (``demo_sales``).
        choice: Which series, and how many days are replayed.
        assumptions: Costs and terms.
        currency: Of the prices.
        progress: Called with (stage, done, in all).

    Raises:
        NotEnoughData: No sales, or a history too short.
        InvalidInput: Monthly rows, or a value outside its range.
    """

    def told(stage: str) -> Callable[[int, int], None]:
        return lambda done, whole: progress(stage, done, whole) if progress else None

    history = choose(raw, choice, assumptions)
    review_days = max(assumptions.review_days, history.panel.period_days)
    measured = measure(history, review_days=review_days, progress=told("Forecasting past weeks"))
    compared = compare(history, assumptions, progress=told("Replaying policies"))
    return _report(history, assumptions, measured, compared, currency)


def _report(
    history: History,
    assumptions: Assumptions,
    measured: Measured,
    compared: Compared,
    currency: str,
) -> Report:
    lead = history.lead_time_days
    days = history.test * history.panel.period_days
    said = sentences(
        compared.table, days=days, currency=currency, replications=assumptions.replications
    )
    return Report(
        source=history.source,
        currency=currency,
        rows_read=history.rows_read,
        candidates=history.candidates,
        items=len(history.skus),
        first_day=history.first_day,
        test_from=history.test_from,
        last_day=history.panel.until,
        period_days=history.panel.period_days,
        left_out=(*history.left_out, *measured.left_out),
        notes=history.notes,
        assumptions=assumptions,
        lead_time_range=(float(lead.min()), float(lead.max())),
        accuracy=measured,
        policies=compared.table,
        curves=compared.curves,
        example=compared.example,
        by_item=compared.by_item,
        sentences=(*said, *stock_for_service(compared.curves, currency=currency)),
    )
