"""Replays every policy against the same world and sums up what each would have cost."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tools.backtest.core.assumptions import Assumptions
from tools.backtest.core.history import History
from tools.backtest.core.ours import DELIVERED, SETTING, SWEEP, ours, tuned
from tools.backtest.core.plant import World, build_world, run
from tools.backtest.core.policies import clairvoyant, kept_weekly, min_max, textbook
from tools.backtest.core.policy import Policy
from tools.backtest.core.results import (
    Curve,
    CurvePoint,
    Example,
    ItemResult,
    PolicyResult,
    curve_point,
    policy_result,
)
from tools.backtest.core.tuning import tuned_setting
from tools.errors import NotEnoughData
from tools.forecasting.core import totals
from tools.forecasting.core.batch import forecast_panel
from tools.simulation.core.outcome import Outcome

FloatArray = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]
SAFETY_DAYS = (0.0, 7.0, 14.0, 21.0, 28.0, 42.0, 63.0)  # of the spreadsheet's curve
MOST_PATHS_OF_CURVES = 3_000  # items times paths; a curve of many items needs fewer draws
SHOWN_HISTORY = 91
FAN_DAYS = 56


@dataclass(frozen=True)
class Compared:
    """What the replays gave.

    Attributes:
        table: Every policy.
        curves: Fill against inventory value, of the spreadsheet and of ours.
        example: One item in pictures.
        by_item: Every item, biggest saving first.
    """

    table: tuple[PolicyResult, ...]
    curves: tuple[Curve, ...]
    example: Example
    by_item: tuple[ItemResult, ...]


def compare(
    history: History, assumptions: Assumptions, *, progress: Progress | None = None
) -> Compared:
    """Replay the policies and sweep the safety of two of them.

    Args:
        history: Chosen series.
        assumptions: Costs and terms.
        progress: Called with (replays done, replays in all).

    Raises:
        NotEnoughData: Nothing was sold in the test period.
    """
    world = build_world(history, assumptions)
    if not world.demand.any():
        raise NotEnoughData(
            f"none of the {len(history.skus)} items sold anything from {history.test_from} on",
            next_step="Choose other items with --sku, or a longer test with --test-days.",
        )
    plant = world.plant
    setting = tuned_setting(history, assumptions, settings=SWEEP)
    policies = [
        min_max(plant),
        kept_weekly(plant),
        textbook(plant, service_rate=assumptions.service_rate),
        ours(plant),
        *([tuned(plant, setting=setting)] if setting != DELIVERED else []),
        clairvoyant(plant, world.demand, world.delay),
    ]
    whole = len(policies) + len(SAFETY_DAYS) + len(SWEEP)
    outcomes: dict[str, Outcome] = {}
    for done, policy in enumerate(policies):
        _tell(progress, done, whole)
        outcomes[policy.key] = run(world, policy, keep=policy.key in ("spreadsheet", "ours"))
    first = outcomes["spreadsheet"]
    table = tuple(policy_result(policy, outcomes[policy.key], first) for policy in policies)
    curves = _curves(history, assumptions, world, progress, len(policies), whole)
    _tell(progress, whole, whole)
    return Compared(table, curves, _example(history, world, outcomes), _by_item(history, outcomes))


def _tell(progress: Progress | None, done: int, whole: int) -> None:
    if progress is not None:
        progress(done, whole)


def _curves(
    history: History, assumptions: Assumptions, world: World, progress: Progress | None,
    done: int, whole: int,
) -> tuple[Curve, ...]:  # fmt: skip
    paths = max(4, MOST_PATHS_OF_CURVES // len(history.skus))
    if paths < assumptions.replications:
        world = build_world(history, replace(assumptions, replications=paths))
    plant = world.plant

    def swept(
        make: Callable[[float], Policy], settings: tuple[float, ...], start: int
    ) -> list[CurvePoint]:
        points = []
        for k, setting in enumerate(settings):
            _tell(progress, start + k, whole)
            points.append(curve_point(setting, run(world, make(setting))))
        return sorted(points, key=lambda point: point.average_value)

    sheets = swept(lambda days: kept_weekly(plant, safety_days=days), SAFETY_DAYS, done)
    mine = swept(lambda value: ours(plant, setting=value), SWEEP, done + len(SAFETY_DAYS))
    return (
        Curve("spreadsheet_weekly", "weekly spreadsheet", "days of safety", tuple(sheets)),
        Curve("ours", "Quartermaster", SETTING, tuple(mine)),
    )


def _by_item(history: History, outcomes: dict[str, Outcome]) -> tuple[ItemResult, ...]:
    sheet, mine = outcomes["spreadsheet"], outcomes["ours"]
    cost = [one.total_cost.mean(axis=1) for one in (sheet, mine)]
    fill = [one.fill_rate(axis=1) for one in (sheet, mine)]
    value = [one.average_value.mean(axis=1) for one in (sheet, mine)]
    order = np.argsort(cost[1] - cost[0], kind="stable").tolist()
    return tuple(
        ItemResult(
            sku=history.skus[k],
            name=history.names[k],
            lead_time_days=float(history.lead_time_days[k]),
            demand_units=float(mine.demand[k].mean()),
            fill_spreadsheet=float(fill[0][k]),
            fill_ours=float(fill[1][k]),
            value_spreadsheet=float(value[0][k]),
            value_ours=float(value[1][k]),
            cost_spreadsheet=float(cost[0][k]),
            cost_ours=float(cost[1][k]),
        )
        for k in order
    )


def _example(history: History, world: World, outcomes: dict[str, Outcome]) -> Example:
    """The item with the highest demand in value: what came, what was said, what was ordered."""
    k = int(np.argmax(world.demand.sum(axis=1) * history.price))
    demand = world.demand[k]
    fan = _fan(history, k)
    stock, orders = {}, {}
    for key in ("spreadsheet", "ours"):
        placed, arriving = _orders_of(outcomes[key], k, len(demand))
        stock[key] = _stock_of(float(world.items.on_hand[k]), arriving, demand)
        orders[key] = placed
    until = min(FAN_DAYS // world.plant.period_days, len(demand))
    running = np.cumsum(demand[:until])
    days, low, mean, high = fan
    kept = [i for i, day in enumerate(days) if day // world.plant.period_days <= until]
    at = [days[i] // world.plant.period_days - 1 for i in kept]
    return Example(
        sku=history.skus[k],
        name=history.names[k],
        history=tuple(world.plant.past[k, -SHOWN_HISTORY:].tolist()),
        demand=tuple(demand.tolist()),
        fan_days=tuple(days[i] for i in kept),
        fan_low=tuple(low[i] for i in kept),
        fan_mean=tuple(mean[i] for i in kept),
        fan_high=tuple(high[i] for i in kept),
        fan_actual=tuple(float(running[i]) for i in at),
        stock=stock,
        orders=orders,
        item_cost={key: float(outcomes[key].total_cost[k].mean()) for key in stock},
    )


def _fan(history: History, k: int) -> tuple[list[int], list[float], list[float], list[float]]:
    """Quantiles of the total demand from the first tested day on, as forecast the day before.

    The whole panel is forecast, for the errors of all items calibrate each interval.
    """
    known = history.before_test()
    batch = forecast_panel(known, horizon_days=FAN_DAYS)
    days = [int(day) for day in batch.total_days]
    bounds = [totals.LEVELS.index(level) for level in (0.05, 0.95)]
    mean = np.cumsum(batch.mean[k])
    low, high = (batch.total_quantiles[k, :, at].tolist() for at in bounds)
    return days, low, [float(mean[day - 1]) for day in days], high


def _orders_of(
    outcome: Outcome, k: int, periods: int
) -> tuple[tuple[tuple[int, float], ...], FloatArray]:
    """Orders of an item on the first path, and what they bring on each period."""
    log = outcome.orders_log
    arriving = np.zeros(periods)
    if log is None:
        return (), arriving
    mine = (log.item == k) & (log.path == 0)
    placed = tuple(zip(log.day[mine].tolist(), log.units[mine].tolist(), strict=True))
    inside = mine & (log.arrives_on_day < periods)
    np.add.at(arriving, log.arrives_on_day[inside], log.units[inside])
    return placed, arriving


def _stock_of(on_hand: float, arriving: FloatArray, demand: FloatArray) -> tuple[float, ...]:
    """Units on hand at the end of each period when unmet demand is lost.

    Example:
        >>> _stock_of(5.0, np.array([0.0, 0.0, 10.0]), np.array([4.0, 4.0, 4.0]))
        (1.0, 0.0, 6.0)
    """
    levels = []
    for came, wanted in zip(arriving.tolist(), demand.tolist(), strict=True):
        on_hand = max(0.0, on_hand + came - wanted)
        levels.append(on_hand)
    return tuple(levels)
