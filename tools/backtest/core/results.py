"""What a backtest found, as figures and as sentences made from them."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from tools.backtest.core.assumptions import Assumptions
from tools.backtest.core.measuring import Measured
from tools.backtest.core.policy import Policy
from tools.simulation.core.outcome import Outcome

FloatArray = npt.NDArray[np.float64]
_COMMON_FILLS = (0.99, 0.98, 0.97, 0.95, 0.9, 0.85, 0.8)  # the highest that both reach is said
_UNTUNED = "Replaying the days before the test gave no reason to change the delivered safety."


@dataclass(frozen=True)
class PolicyResult:
    """One policy over the test period; means over the replications, all items together.

    Attributes:
        key: Name in JSON.
        name: Name in tables.
        said: Name inside a sentence.
        rule: What it does.
        fill_rate: Units served over units asked for.
        stockout_rate: Share of item-days (item-weeks) that ended without stock.
        short_rate: Share of item-days on which something could not be served.
        served_units: Units sold.
        average_value: Of the stock on hand.
        orders: Order lines.
        holding_cost: Over the test period, as the other costs.
        ordering_cost: Order lines times their cost.
        shortage_cost: Margin of the sales that were lost.
        total_cost: The three together.
        total_low: 5 % quantile of the total over the replications.
        total_high: 95 % quantile.
        cheaper_share: Share of the replications in which it cost less than the first policy.
    """

    key: str
    name: str
    said: str
    rule: str
    fill_rate: float
    stockout_rate: float
    short_rate: float
    served_units: float
    average_value: float
    orders: float
    holding_cost: float
    ordering_cost: float
    shortage_cost: float
    total_cost: float
    total_low: float
    total_high: float
    cheaper_share: float


@dataclass(frozen=True)
class CurvePoint:
    """One setting of a policy: its safety parameter, and what stock and service it gives."""

    setting: float
    average_value: float
    fill_rate: float
    total_cost: float


@dataclass(frozen=True)
class Curve:
    """Fill rate against inventory value as the safety parameter moves."""

    key: str
    name: str
    parameter: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Example:
    """One item under two policies, on the first replication; lists are by period of the test.

    Attributes:
        sku: Code.
        name: What the file calls it.
        history: Units sold in the periods before the test that are shown, oldest first.
        demand: Units asked for in the test.
        fan_days: Days after the start of the test.
        fan_low: 5 % quantile of the demand until then, as forecast on the day before the test.
        fan_mean: Its mean.
        fan_high: Its 95 % quantile.
        fan_actual: What was asked for until then.
        stock: Policy name to units on hand at the end of each period.
        orders: Policy name to (period, units) of each order.
        item_cost: Policy name to the item's total cost, mean of the replications.
    """

    sku: str
    name: str
    history: tuple[float, ...]
    demand: tuple[float, ...]
    fan_days: tuple[int, ...]
    fan_low: tuple[float, ...]
    fan_mean: tuple[float, ...]
    fan_high: tuple[float, ...]
    fan_actual: tuple[float, ...]
    stock: dict[str, tuple[float, ...]]
    orders: dict[str, tuple[tuple[int, float], ...]]
    item_cost: dict[str, float]


@dataclass(frozen=True)
class ItemResult:
    """One item: what it cost under the spreadsheet and under our policy."""

    sku: str
    name: str
    lead_time_days: float
    demand_units: float
    fill_spreadsheet: float
    fill_ours: float
    value_spreadsheet: float
    value_ours: float
    cost_spreadsheet: float
    cost_ours: float


@dataclass(frozen=True)
class Report:
    """Everything a backtest says.

    Attributes:
        source: Where the sales come from.
        currency: Of all money.
        rows_read: Rows of the file.
        candidates: Series in it.
        items: Series replayed.
        first_day: Of the history.
        test_from: First replayed day.
        last_day: Last replayed day.
        period_days: 1 for days, 7 for weeks.
        left_out: What was left out, and why.
        notes: What was assumed where the file is silent.
        assumptions: Costs and terms.
        lead_time_range: Shortest and longest mean lead time, days.
        accuracy: Of the forecast models.
        policies: In the order of the table.
        curves: Fill against inventory value.
        example: One item in pictures.
        by_item: Every item, biggest saving first.
        sentences: The money between the policies.
        seconds: How long it took.
    """

    source: str
    currency: str
    rows_read: int
    candidates: int
    items: int
    first_day: date
    test_from: date
    last_day: date
    period_days: int
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    assumptions: Assumptions
    lead_time_range: tuple[float, float]
    accuracy: Measured
    policies: tuple[PolicyResult, ...]
    curves: tuple[Curve, ...]
    example: Example
    by_item: tuple[ItemResult, ...]
    sentences: tuple[str, ...]
    seconds: float = 0.0

    @property
    def test_days(self) -> int:
        """Days that were replayed."""
        return (self.last_day - self.test_from).days + 1

    @property
    def review_days(self) -> int:
        """Days between reviews as replayed: weekly sales cannot be reviewed daily."""
        return max(self.assumptions.review_days, self.period_days)

    def policy(self, key: str) -> PolicyResult:
        """Result of one policy by its key."""
        return next(one for one in self.policies if one.key == key)


def policy_result(policy: Policy, outcome: Outcome, first: Outcome) -> PolicyResult:
    """Sum up one policy.

    Args:
        policy: What was replayed.
        outcome: Arrays of shape (n, paths).
        first: Outcome of the policy that the others are compared with.
    """
    totals = outcome.total_cost.sum(axis=0)
    cells = outcome.short_days.size * outcome.days
    low, high = np.quantile(totals, (0.05, 0.95))
    return PolicyResult(
        key=policy.key,
        name=policy.name,
        said=policy.said,
        rule=policy.rule,
        fill_rate=float(outcome.sold.sum() / outcome.demand.sum()),
        stockout_rate=float(outcome.empty_days.sum() / cells),
        short_rate=float(outcome.short_days.sum() / cells),
        served_units=_mean(outcome.sold),
        average_value=_mean(outcome.average_value),
        orders=_mean(outcome.orders),
        holding_cost=_mean(outcome.holding_cost),
        ordering_cost=_mean(outcome.ordering_cost),
        shortage_cost=_mean(outcome.shortage_cost),
        total_cost=float(totals.mean()),
        total_low=float(low),
        total_high=float(high),
        cheaper_share=float((totals < first.total_cost.sum(axis=0)).mean()),
    )


def _mean(values: FloatArray) -> float:
    """Sum over the items, mean over the paths."""
    return float(values.sum(axis=0).mean())


def curve_point(setting: float, outcome: Outcome) -> CurvePoint:
    """Sum up one setting of a sweep."""
    return CurvePoint(
        setting,
        _mean(outcome.average_value),
        float(outcome.sold.sum() / outcome.demand.sum()),
        _mean(outcome.total_cost),
    )


def sentences(
    policies: tuple[PolicyResult, ...], *, days: int, currency: str, replications: int
) -> tuple[str, ...]:
    """Say the money between the policies.

    Args:
        policies: With the keys spreadsheet, spreadsheet_weekly, ours and clairvoyant.
        days: Of the test.
        currency: Of the amounts.
        replications: How many draws stand behind a comparison.
    """
    found = {one.key: one for one in policies}
    ours, bound = found["ours"], found["clairvoyant"]
    said = [
        difference(ours, found[key], days=days, currency=currency)
        for key in ("spreadsheet", "spreadsheet_weekly", "textbook")
    ]
    tuned = found.get("ours_tuned")
    said.append(_tuned(tuned, ours, currency) if tuned else _UNTUNED)
    times = round(ours.cheaper_share * replications)
    said.append(
        f"Against {found['spreadsheet'].said} ours was the cheaper one in {times} of "
        f"{replications} draws of the suppliers' delays."
    )
    if bound.total_cost > 0:
        said.append(
            f"Somebody who knew every sale and every delay would have spent "
            f"{bound.total_cost:,.0f} {currency}: ours cost "
            f"{ours.total_cost / bound.total_cost:.1f} times that, {found['spreadsheet'].said} "
            f"{found['spreadsheet'].total_cost / bound.total_cost:.1f} times."
        )
    return tuple(said)


def _tuned(tuned: PolicyResult, ours: PolicyResult, currency: str) -> str:
    saved = ours.total_cost - tuned.total_cost
    return (
        "With its safety tuned by replaying the days before the test, ours would have cost "
        f"{abs(saved):,.0f} {currency} {'less' if saved >= 0 else 'more'} than as delivered "
        f"({tuned.total_cost:,.0f} instead of {ours.total_cost:,.0f}; fill "
        f"{tuned.fill_rate * 100:.1f} %, stock {tuned.average_value:,.0f})."
    )


def value_at_fill(curve: Curve, fill_rate: float) -> float:
    """Average inventory value with which a policy reaches a fill rate; NaN outside its curve.

    Args:
        curve: Points by rising value.
        fill_rate: In (0, 1).

    Example:
        >>> points = (CurvePoint(0, 100.0, 0.8, 9.0), CurvePoint(7, 200.0, 0.9, 9.0))
        >>> value_at_fill(Curve("a", "A", "days", points), 0.85)
        150.0
    """
    fills = np.maximum.accumulate([point.fill_rate for point in curve.points])
    values = [point.average_value for point in curve.points]
    if not fills[0] <= fill_rate <= fills[-1]:
        return float("nan")
    return float(np.round(np.interp(fill_rate, fills, values), 2))


def stock_for_service(curves: tuple[Curve, ...], *, currency: str) -> tuple[str, ...]:
    """Say what stock ours and the spreadsheet need for the same service, where both reach it.

    Args:
        curves: With the keys spreadsheet_weekly and ours.
        currency: Of the values.
    """
    found = {curve.key: curve for curve in curves}
    for fill_rate in _COMMON_FILLS:
        sheet, mine = (
            value_at_fill(found[key], fill_rate) for key in ("spreadsheet_weekly", "ours")
        )
        if sheet > 0 and mine > 0:
            share = 100 * abs(sheet - mine) / sheet
            return (
                f"To serve {fill_rate * 100:g} % of the units, ours holds {mine:,.0f} {currency} "
                f"of stock and the weekly spreadsheet {sheet:,.0f}: {share:.0f} % "
                f"{'less' if mine <= sheet else 'more'} (both with their safety set for it).",
            )
    return ()


def difference(ours: PolicyResult, other: PolicyResult, *, days: int, currency: str) -> str:
    """Say what ours would have cost compared with another policy, whichever way it went.

    Example:
        >>> a = PolicyResult("ours", "Ours", "ours", "", .95, .02, .02, 950, 1000, 9, 1, 1, 1, 300,
        ...                  1, 1, 1)
        >>> b = PolicyResult("sheet", "Sheet", "your spreadsheet", "", .9, .1, .1, 900, 1200, 9, 1,
        ...                  1, 1, 500, 1, 1, 0)
        >>> difference(a, b, days=100, currency="GBP")
        'Ours would have cost 200 GBP (40 %) less than your spreadsheet over these 100 days: \
50 units more served (fill 95.0 % instead of 90.0 %), 200 GBP less stock (1,000 instead of 1,200).'
    """
    saved = round(other.total_cost - ours.total_cost)
    share = 100 * abs(saved) / other.total_cost if other.total_cost else 0.0
    cost = f"{abs(saved):,} {currency} ({share:.0f} %) {'less' if saved > 0 else 'more'} than"
    served = round(ours.served_units - other.served_units)
    units = f"{abs(served):,} units {'more' if served > 0 else 'fewer'} served"
    stock = round(ours.average_value - other.average_value)
    value = f"{abs(stock):,} {currency} {'more' if stock > 0 else 'less'} stock"
    return (
        f"Ours would have cost {cost if saved else 'as much as'} {other.said} over these {days} "
        f"days: {units if served else 'as many units served'} "
        f"(fill {ours.fill_rate * 100:.1f} % instead of {other.fill_rate * 100:.1f} %), "
        f"{value if stock else 'as much stock'} "
        f"({ours.average_value:,.0f} instead of {other.average_value:,.0f})."
    )
