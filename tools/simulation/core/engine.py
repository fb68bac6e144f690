"""Day-by-day simulation of many items on many paths at once.

A day runs so: receipts arrive and serve what waits; demand takes what is on hand, the rest is lost
or waits; at the end of a review day the policy orders. An order of day t with a lead time of L days
arrives at the start of day t + 1 + L, so a policy must cover L + R days.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tools.errors import InvalidInput
from tools.simulation.core.outcome import Outcome
from tools.simulation.core.record import Placed, Record, Tally
from tools.simulation.core.world import (
    ChangingLevels,
    DatedLevels,
    Deliveries,
    Draws,
    FixedLevels,
    Flags,
    Floats,
    Ints,
    Items,
    LevelPolicy,
    check_shapes,
)

_Kind = TypeVar("_Kind", bound=np.generic)
_ROUNDING = 1e-9  # an order of 5.0000000001 lots is one of 5


def simulate(
    items: Items,
    draws: Draws,
    policy: LevelPolicy,
    *,
    warmup_days: int = 0,
    quantiles: tuple[float, ...] | None = None,
    keep_orders: bool = False,
    is_morning: bool = False,
) -> Outcome:
    """Run a policy over all items and paths.

    Args:
        items: What is on hand and coming, order terms and costs, n rows.
        draws: Demand and lead times; the same draws make policies comparable.
        policy: Fixed levels, or a function of what was sold so far.
        warmup_days: First days that do not count in the totals.
        quantiles: Quantiles of stock on hand to keep by day; None keeps no days.
        keep_orders: Keep every order.
        is_morning: Orders leave before the day's demand and arrive L days later, as when today's
            plan is ordered today; by default they leave at the day's end.

    Raises:
        InvalidInput: Shapes do not fit, or a value is out of range.

    Example:
        >>> from tools.simulation.core.world import Deliveries
        >>> calm = Deliveries(np.full((1, 1, 10), 2), np.zeros(1, dtype=np.int64))
        >>> ten_a_day = Draws(np.full((1, 1, 10), 10.0), calm)
        >>> levels = FixedLevels(np.array([30.0]), np.array([40.0]))
        >>> result = simulate(Items.of(1, on_hand=40), ten_a_day, levels)
        >>> float(result.fill_rate()), float(result.orders[0, 0])
        (1.0, 10.0)
    """
    check_shapes(items, draws)
    _, _, days = draws.shape
    if not 0 <= warmup_days < days:
        raise InvalidInput(f"a warm-up must leave some of the {days} days, got {warmup_days!r}")
    run = _Run(items, draws, policy)
    tally = Tally(draws.shape, warmup_days=warmup_days)
    record = Record(draws.shape, quantiles=quantiles, keep_orders=keep_orders)
    for day in range(days):
        placed = run.order(day, seen=day) if is_morning else None
        arrived = run.receive(day)
        short = run.sell(day)
        tally.add(day, run.demand, short, run.on_hand, run.backlog, arrived)
        if placed is None:
            placed = run.order(day, seen=day + 1)
        tally.add_orders(day, placed)
        record.add(day, run.demand, short, run.on_hand, placed)
    return _outcome(items, run, tally, record)


class _Run:
    """Stock of every item on every path, shape (n, p), as the days pass."""

    def __init__(self, items: Items, draws: Draws, policy: LevelPolicy) -> None:
        self.items, self.draws = items, draws
        self.n, self.p, self.days = draws.shape
        shape = (self.n, self.p)
        self.on_hand: Floats = np.repeat(items.on_hand[:, None], self.p, axis=1)
        self.backlog: Floats = np.repeat(items.backlog[:, None], self.p, axis=1)
        self.demand: Floats = np.zeros(shape)
        self.has_backlog = bool(items.is_backordered.any() or items.backlog.any())
        self.on_order = np.repeat(items.later[:, None], self.p, axis=1)
        if items.pipeline is not None:
            coming = items.pipeline.sum(axis=-1)
            self.on_order += coming[:, None] if coming.ndim == 1 else coming
        # a ring of coming days; what arrives behind the last day never leaves ``on_order``
        self.slots = min(_longest(draws.deliveries), self.days) + 2
        self.due = np.zeros((self.slots, self.n * self.p))
        self.levels = _Levels(policy, draws.shape)
        self.most = np.floor(items.limit / items.multiple + _ROUNDING) * items.multiple

    def receive(self, day: int) -> Floats:
        """Take in what arrives today and serve what waits; give the units that arrived."""
        slot = self.due[day % self.slots]
        arrived: Floats = slot.reshape(self.n, self.p).copy()
        slot[:] = 0
        if self.items.pipeline is not None:
            today = self.items.pipeline[..., day]
            arrived += today[:, None] if today.ndim == 1 else today
        self.on_hand += arrived
        self.on_order -= arrived
        if self.has_backlog:
            served = np.minimum(self.on_hand, self.backlog)
            self.on_hand -= served
            self.backlog -= served
        return arrived

    def sell(self, day: int) -> Floats:
        """Serve today's demand; give what was short."""
        self.demand = np.ascontiguousarray(
            np.broadcast_to(self.draws.demand[:, :, day], (self.n, self.p))
        )
        sold = np.minimum(self.on_hand, self.demand)
        short: Floats = self.demand - sold
        self.levels.see(day, sold, short, opening=self.on_hand)
        self.on_hand -= sold
        if self.has_backlog:
            self.backlog += np.where(self.items.is_backordered[:, None], short, 0.0)
        return short

    def order(self, day: int, *, seen: int) -> Placed:
        """Order what the policy wants, which has seen the first ``seen`` days.

        Orders leave at the end of the last day seen and arrive L days after the next morning.
        """
        self.levels.renew(day, seen)
        is_review = (day - self.items.review_offset) % self.items.review_days == 0
        is_review &= day >= self.items.review_offset
        if not is_review.any():
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, np.zeros(0), nothing
        cells, units = self._wanted(is_review)
        adjust = self.levels.adjust
        if adjust is not None:
            table = np.zeros((self.n, self.p))
            table.reshape(-1)[cells] = units
            table = np.asarray(adjust(day, table, self.on_hand, self.on_order), dtype=np.float64)
            cells = np.flatnonzero(table > 0)
            units = table.reshape(-1)[cells]
        self.on_order.reshape(-1)[cells] += units
        return cells, units, self._ship(day, seen, cells, units)

    def _wanted(self, is_review: Flags) -> tuple[Ints, Floats]:
        position = self.on_hand + self.on_order
        if self.has_backlog:
            position -= self.backlog
        point, upto = self.levels.point, self.levels.order_up_to
        is_low = (position <= point) & is_review[:, None]
        cells = np.flatnonzero(is_low)
        item, path = np.divmod(cells, self.p)
        at = position.reshape(-1)[cells]
        want = self.levels.want(item, path, at, point, upto)
        is_need = want > _ROUNDING
        cells, item, want = cells[is_need], item[is_need], want[is_need]
        terms = self.items
        raised = np.maximum(want, terms.moq[item])
        step = terms.multiple[item]
        units = np.ceil(raised / step - _ROUNDING) * step
        most = self.most[item]
        units = np.where(units <= terms.limit[item], units, most)
        units = np.where(units >= terms.moq[item], units, 0.0)
        kept = units > 0
        return cells[kept], units[kept]

    def _ship(self, day: int, morning: int, cells: Ints, units: Floats) -> Ints:
        """Put orders on the ring; give the days on which the first of each arrives."""
        deliveries = self.draws.deliveries
        item, path = np.divmod(cells, self.p)
        row = deliveries.row[item]
        wait: Ints = deliveries.days[row, path, day].astype(np.int64)
        if deliveries.first_share is None or deliveries.rest_days is None:
            self._put(morning, wait, cells, units)
            return wait + morning
        first = np.floor(units * deliveries.first_share[row, path, day] + _ROUNDING)
        is_nothing = first <= 0
        first = np.where(is_nothing, units, first)
        self._put(morning, wait, cells, first)
        rest_wait = wait + deliveries.rest_days[row, path, day].astype(np.int64)
        self._put(morning, rest_wait, cells, units - first)
        return wait + morning

    def _put(self, morning: int, wait: Ints, cells: Ints, units: Floats) -> None:
        slot = (morning + np.minimum(wait, self.slots - 2)) % self.slots
        self.due[slot, cells] += units  # a cell orders once a day, so no pair comes twice


def _longest(deliveries: Deliveries) -> int:
    longest = int(deliveries.days.max(initial=0))
    if deliveries.rest_days is not None:
        longest += int(deliveries.rest_days.max(initial=0))
    return longest


class _Levels:
    """Levels in force, and for a policy that learns what it has seen so far."""

    def __init__(self, policy: LevelPolicy, shape: tuple[int, int, int]) -> None:
        self.policy = policy
        self.n, self.p, days = shape
        self.adjust = policy.adjust if isinstance(policy, ChangingLevels) else None
        self.lot: Floats | None = None
        self.point = np.zeros((self.n, 1))
        self.order_up_to = np.zeros((self.n, 1))
        if isinstance(policy, ChangingLevels):
            self._remember(policy, days)
            return
        if policy.lot is not None:
            self.lot = np.broadcast_to(policy.lot.reshape(self.n, -1), (self.n, self.p))
        if isinstance(policy, FixedLevels):
            self._set(policy.reorder_point, policy.order_up_to, policy.is_periodic)
            return
        for name in ("reorder_point", "order_up_to"):
            if (found := getattr(policy, name).shape) != (self.n, days):
                raise InvalidInput(f"{name} must have the shape {(self.n, days)!r}, got {found!r}")

    def _set(self, point: Floats, upto: Floats, is_periodic: Flags | None) -> None:
        shape = (self.n, self.p, 0)
        self.point = _level(point, shape, "reorder_point")
        self.order_up_to = _level(upto, shape, "order_up_to")
        if is_periodic is not None:  # ordered whenever the position is below the level
            self.point = np.where(is_periodic.reshape(self.n, -1), self.order_up_to, self.point)

    def _remember(self, policy: ChangingLevels, days: int) -> None:
        past = np.zeros((self.n, 0)) if policy.history is None else policy.history
        if past.ndim != 2 or past.shape[0] != self.n:
            raise InvalidInput(f"a history must have {self.n} rows, got {past.shape!r}")
        self.before = past.shape[1]
        self.sold = np.empty((self.before + days, self.n, self.p))  # a day is contiguous
        self.in_stock = np.ones((self.before + days, self.n, self.p), dtype=np.bool_)
        self.sold[: self.before] = past.T[:, :, None]
        if policy.history_in_stock is not None:
            self.in_stock[: self.before] = policy.history_in_stock.T[:, :, None]

    def see(self, day: int, sold: Floats, short: Floats, *, opening: Floats) -> None:
        """Remember a day, for a policy that learns."""
        if isinstance(self.policy, ChangingLevels):
            self.sold[self.before + day] = sold
            self.in_stock[self.before + day] = (opening >= 1) & (short <= 0)

    def renew(self, day: int, seen: int) -> None:
        """Take the levels of the day; ask a policy that learns for them, on its days."""
        if isinstance(self.policy, DatedLevels):
            dated = self.policy
            self._set(dated.reorder_point[:, day], dated.order_up_to[:, day], dated.is_periodic)
        if not isinstance(self.policy, ChangingLevels) or day % self.policy.every_days:
            return
        until = self.before + seen
        point, upto = self.policy.levels(
            day, _days_last(self.sold[:until]), _days_last(self.in_stock[:until])
        )
        self._set(point, upto, None)

    def want(self, item: Ints, path: Ints, at: Floats, point: Floats, upto: Floats) -> Floats:
        """Units that lift the positions ``at`` of some cells to where the policy wants them."""
        missing: Floats = np.broadcast_to(upto, (self.n, self.p))[item, path] - at
        if self.lot is None:
            return missing
        lot = self.lot[item, path]
        safe = np.where(lot > 0, lot, 1.0)
        low = np.broadcast_to(point, (self.n, self.p))[item, path]
        lots = (np.floor((low - at) / safe + _ROUNDING) + 1) * safe
        result: Floats = np.where(lot > 0, lots, missing)
        return result


def _days_last(log: npt.NDArray[_Kind]) -> npt.NDArray[_Kind]:
    view = np.moveaxis(log, 0, -1)
    view.flags.writeable = False
    return view


def _level(value: Floats, shape: tuple[int, int, int], name: str) -> Floats:
    """Give a level the shape (n, 1) or (n, p)."""
    n, p, _ = shape
    level = np.asarray(value, dtype=np.float64)
    level = level[:, None] if level.ndim == 1 else level
    if level.shape not in ((n, 1), (n, p)):
        raise InvalidInput(f"{name} must have one value per item ({n}), got {level.shape!r}")
    if np.isnan(level).any():
        raise InvalidInput(f"{name} must be numbers, got nan")
    return level


def _outcome(items: Items, run: _Run, tally: Tally, record: Record) -> Outcome:
    days = tally.days
    return Outcome(
        days=days,
        demand=tally.demand,
        sold=tally.demand - tally.short,
        short=tally.short,
        short_days=tally.short_days,
        empty_days=tally.empty_days,
        average_units=tally.unit_days / days,
        average_value=tally.unit_days / days * items.unit_cost[:, None],
        orders=tally.orders,
        ordered_units=tally.ordered_units,
        holding_cost=tally.unit_days * items.holding_cost[:, None],
        ordering_cost=tally.orders * items.order_cost[:, None],
        shortage_cost=tally.short * items.shortage_cost[:, None]
        + tally.waiting_days * items.backorder_cost[:, None],
        cycles=tally.cycles,
        short_cycles=tally.short_cycles,
        final_units=run.on_hand,
        final_on_order=run.on_order,
        final_backlog=run.backlog,
        daily=record.daily(),
        orders_log=record.orders_log(),
    )
