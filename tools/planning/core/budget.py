"""What to buy when the money does not reach: marginal analysis on the demand of the window.

The first units of an order avoid the most shortage, the last ones hardly any. So money goes, step
by step, to the line where it avoids most expected shortage cost; what is left out is what helps
least. Steps are taken along the upper hull of each line's (cost, shortage cost avoided) points, so
that a minimum order is weighed as the whole that it is.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from tools.offers.core import prices_at
from tools.planning.core.service_levels import count_loss, is_discrete, normal_loss

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
POINTS = 24  # quantities weighed per line
_ROUNDS = 200
_TOP_UPS = 20


@dataclass(frozen=True)
class BudgetLines:
    """Orders that are wanted, one row each; money in company minor units.

    Attributes:
        wanted: Units of the order without a budget, > 0.
        moq, multiple: Units.
        price, steps, step_prices: Unit prices and price breaks, as ``break_table`` lays them out.
        rate: Company currency per unit of the price's currency.
        position: Inventory position before the order, units.
        demand_total, sigma: Mean and standard deviation of the demand until the order after this
            one arrives, units.
        shortage_cost: Money per unit short.
        adi: Average days between demands; slow rows take a count distribution.
    """

    wanted: Ints
    moq: Ints
    multiple: Ints
    price: Ints
    steps: Ints
    step_prices: Ints
    rate: Floats
    position: Ints
    demand_total: Floats
    sigma: Floats
    shortage_cost: Floats
    adi: Floats


@dataclass(frozen=True)
class Budgeted:
    """What the budget buys, one row per line; money in company minor units."""

    quantity: Ints
    cost: Floats
    cut_units: Ints
    risk_added: Floats  # expected shortage cost that the cut leaves open
    risk_before: Floats  # the same with the whole order


def within_budget(lines: BudgetLines, budget: float) -> Budgeted:
    """Quantities that together cost at most ``budget`` and leave the least expected shortage cost.

    Args:
        lines: The orders wanted.
        budget: Money, company minor units, >= 0.

    Returns:
        The wanted quantities where they fit together; else smaller ones, orderable or 0. Lines of
        the same worth per money are served in their order.
    """
    points = _points(lines)
    cost, risk = line_costs(lines, points), expected_shortage_costs(lines, points)
    whole = cost[:, -1]
    quantity = lines.wanted
    if whole.sum() > budget:
        quantity = points[np.arange(len(whole)), _greedy(cost, risk, budget)]
        quantity = _topped_up(lines, quantity, budget)
    left_open = expected_shortage_costs(lines, quantity[:, None])[:, 0]
    return Budgeted(
        quantity=quantity,
        cost=line_costs(lines, quantity[:, None])[:, 0],
        cut_units=lines.wanted - quantity,
        risk_added=np.maximum(left_open - risk[:, -1], 0.0),
        risk_before=risk[:, -1],
    )


def _topped_up(lines: BudgetLines, quantity: Ints, budget: float) -> Ints:
    """Spend what the points left over on as many units of single lines as it buys."""
    result = quantity.copy()
    multiple = np.maximum(lines.multiple, 1)
    for _ in range(_TOP_UPS):
        paid = line_costs(lines, result[:, None])[:, 0]
        left = budget - float(paid.sum())
        price = prices_at(result, lines.price, lines.steps, lines.step_prices) * lines.rate
        packs = np.floor((left + 1e-6) / np.maximum(price * multiple, 1e-9))
        more = np.minimum(packs, (lines.wanted - result) // multiple).astype(np.int64) * multiple
        tried = result + more
        extra = line_costs(lines, tried[:, None])[:, 0] - paid
        can = (more > 0) & (tried >= lines.moq) & (extra <= left + 1e-6)
        pair = expected_shortage_costs(lines, np.stack([result, tried], axis=1))
        gain = np.where(can, pair[:, 0] - pair[:, 1], 0.0)
        best = int(gain.argmax())
        if gain[best] <= 1e-9:
            break
        result[best] = tried[best]
    return result


def line_costs(lines: BudgetLines, quantities: Ints) -> Floats:
    """Cost of quantities of shape (n, m), all-units price breaks applied."""
    columns = [
        prices_at(quantities[:, k], lines.price, lines.steps, lines.step_prices)
        for k in range(quantities.shape[1])
    ]
    result: Floats = quantities * np.column_stack(columns) * lines.rate[:, None]
    return result


def expected_shortage_costs(lines: BudgetLines, quantities: Ints) -> Floats:
    """Money lost on units short until the next order arrives, for quantities of shape (n, m)."""
    stock = (lines.position[:, None] + quantities).astype(np.float64)
    mean, sigma = lines.demand_total[:, None], np.maximum(lines.sigma[:, None], 1e-9)
    short = sigma * normal_loss((stock - mean) / sigma)
    slow = is_discrete(lines.demand_total, lines.adi) & (lines.demand_total > 0)
    if slow.any():
        shape = stock[slow].shape
        flat = np.maximum(stock[slow], 0.0).ravel()
        means = np.broadcast_to(mean[slow], shape).ravel()
        variances = np.broadcast_to(sigma[slow] ** 2, shape).ravel()
        owed = np.maximum(-stock[slow], 0.0)
        short[slow] = count_loss(flat, means, variances).reshape(shape) + owed
    result: Floats = short * lines.shortage_cost[:, None]
    return result


def _points(lines: BudgetLines) -> Ints:
    """Orderable quantities from 0 over the minimum to the wanted one, rising, shape (n, POINTS)."""
    multiple = np.maximum(lines.multiple, 1)
    least = -(-np.maximum(lines.moq, 1) // multiple)
    most = np.maximum(lines.wanted // multiple, least)
    share = np.linspace(0.0, 1.0, POINTS - 2)
    packs = np.floor(least[:, None] + share * (most - least)[:, None] + 1e-9).astype(np.int64)
    inner = np.minimum(packs * multiple[:, None], lines.wanted[:, None])
    zero = np.zeros((len(least), 1), dtype=np.int64)
    return np.concatenate([zero, inner, lines.wanted[:, None]], axis=1)


def _greedy(cost: Floats, risk: Floats, budget: float) -> npt.NDArray[np.intp]:
    """Point of each line: the best steps first, as long as the money lasts."""
    start, end, worth = _hull_steps(cost, risk)
    n = len(cost)
    line = np.tile(np.arange(n), start.shape[1])
    start, end, worth = start.T.ravel(), end.T.ravel(), worth.T.ravel()
    real = np.flatnonzero(worth > 0)
    order = real[np.argsort(-worth[real], kind="stable")]
    line, start, end = line[order], start[order], end[order]
    price = cost[line, end] - cost[line, start]
    chosen = np.zeros(n, dtype=np.intp)
    open_, left = np.ones(len(line), dtype=np.bool_), float(budget)
    for _ in range(_ROUNDS):
        todo = np.flatnonzero(open_)
        if not len(todo):
            break
        fits = np.cumsum(price[todo]) <= left + 1e-6
        count = len(todo) if fits.all() else int(fits.argmin())
        taken = todo[:count]
        np.maximum.at(chosen, line[taken], end[taken])
        left -= float(price[taken].sum())
        open_[taken] = False
        if count < len(todo):  # the line that is too dear gets no further step
            open_ &= line != line[todo[count]]
        open_ &= ~_blocked(line, price, open_, left, n)
    return _fill(cost, risk, chosen, left)


def _blocked(
    line: npt.NDArray[np.intp], price: Floats, open_: Flags, left: float, lines: int
) -> Flags:
    """Steps of lines whose next open step costs more than what is left."""
    first = np.full(lines, len(line))
    todo = np.flatnonzero(open_)
    np.minimum.at(first, line[todo], todo)
    is_dear = np.zeros(lines, dtype=np.bool_)
    known = first < len(line)
    is_dear[known] = price[first[known]] > left + 1e-6
    result: Flags = is_dear[line]
    return result


def _hull_steps(
    cost: Floats, risk: Floats
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """Steps along the hull of each line: from which point to which, and worth per money.

    From each corner the next one is the point with the most shortage cost avoided per money.
    """
    n, m = cost.shape
    at = np.zeros(n, dtype=np.intp)
    rows = np.arange(n)
    starts, ends, worths = [], [], []
    for _ in range(m - 1):
        extra = cost - cost[rows, at][:, None]
        gain = risk[rows, at][:, None] - risk
        ahead = (np.arange(m)[None, :] > at[:, None]) & (extra > 0)
        ratio = np.where(ahead, gain / np.where(ahead, extra, 1.0), -np.inf)
        best = m - 1 - ratio[:, ::-1].argmax(axis=1)  # of equals the furthest
        worth = ratio[rows, best]
        is_step = worth > 0
        starts.append(at)
        ends.append(np.where(is_step, best, at))
        worths.append(np.where(is_step, worth, 0.0))
        at = ends[-1]
        if not is_step.any():
            break
    return np.column_stack(starts), np.column_stack(ends), np.column_stack(worths)


def _fill(
    cost: Floats, risk: Floats, chosen: npt.NDArray[np.intp], left: float
) -> npt.NDArray[np.intp]:
    """Spend what is left on the single points, on the hull or not, that help most."""
    rows = np.arange(len(cost))
    for _ in range(len(rows) if len(rows) < _ROUNDS else _ROUNDS):
        extra = cost - cost[rows, chosen][:, None]
        gain = np.where(
            (extra > 0) & (extra <= left + 1e-6), risk[rows, chosen][:, None] - risk, 0.0
        )
        best = int(gain.argmax())
        row, point = divmod(best, cost.shape[1])
        if gain[row, point] <= 1e-9:
            break
        left -= float(extra[row, point])
        chosen[row] = point
    return chosen


def rows_of(lines: BudgetLines, rows: Ints) -> BudgetLines:
    """The lines of some rows."""
    return BudgetLines(**{f.name: getattr(lines, f.name)[rows] for f in fields(BudgetLines)})
