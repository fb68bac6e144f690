"""The pictures of a backtest: curves, costs, and one item from its history to its orders."""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from api.reports import svg

if TYPE_CHECKING:
    from tools.backtest.core.results import Example, PolicyResult, Report

_BAR, _GAP = 22, 16
_LABEL_WIDTH = 250
_PARTS = (
    ("holding_cost", "holding", "holding"),
    ("ordering_cost", "ordering", "orders"),
    ("shortage_cost", "lost", "lost sales"),
)


def _thousands(value: float) -> str:
    if abs(value) >= 1_000_000:
        return f"{value / 1e6:,g}M"
    if abs(value) >= 10_000:
        return f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _percent(value: float) -> str:
    return (
        f"{value * 100:.0f} %"
        if abs(value * 100 - round(value * 100)) < 0.05
        else (f"{value * 100:.1f} %")
    )


def service_curves(report: "Report") -> str:
    """Fill rate against inventory value: curves of two policies, points of all."""
    points = [point for curve in report.curves for point in curve.points]
    values = [*(p.average_value for p in points), *(p.average_value for p in report.policies)]
    fills = [*(p.fill_rate for p in points), *(p.fill_rate for p in report.policies)]
    low = max(0.0, min(fills) - 0.02)
    frame = svg.Frame(0.0, max(values) * 1.05, low, 1.0 + (1 - low) * 0.03)
    parts = [
        svg.axes(
            frame, x_title=f"average inventory value ({report.currency})", y_title="fill rate",
            x_form=_thousands, y_form=_percent,
        )
    ]  # fmt: skip
    for curve in report.curves:
        places = [(p.average_value, p.fill_rate) for p in curve.points]
        parts.append(svg.line(frame, places, kind=curve.key))
        for point in curve.points:
            says = (
                f"{curve.name}, {curve.parameter} {point.setting:g}: fill "
                f"{point.fill_rate * 100:.1f} %, stock {point.average_value:,.0f}, cost "
                f"{point.total_cost:,.0f}"
            )
            place = (point.average_value, point.fill_rate)
            parts.append(svg.dot(frame, place, kind=curve.key, says=says, radius=2.5))
    for policy in report.policies:
        says = f"{policy.name}: fill {policy.fill_rate * 100:.1f} %, {policy.average_value:,.0f}"
        place = (policy.average_value, policy.fill_rate)
        parts.append(svg.dot(frame, place, kind=f"marked {policy.key}", says=says, radius=6))
    return svg.picture(frame, parts, label="Fill rate against average inventory value by policy")


def cost_bars(report: "Report") -> str:
    """Total cost of each policy as a bar of holding, orders and lost sales."""
    height = svg.TOP + len(report.policies) * (_BAR + _GAP) + 6
    most = max(policy.total_cost for policy in report.policies) or 1.0
    width = svg.WIDTH - _LABEL_WIDTH - 90
    frame = svg.Frame(0, most, 0, 1, height=height)
    parts = []
    for row, policy in enumerate(report.policies):
        top = svg.TOP + row * (_BAR + _GAP)
        parts.append(svg.words(_LABEL_WIDTH - 10, top + _BAR * 0.7, policy.name, kind="name end"))
        parts.append(_stacked(policy, top, width / most, report.currency))
        end = _LABEL_WIDTH + policy.total_cost * width / most
        parts.append(svg.words(end + 8, top + _BAR * 0.7, f"{policy.total_cost:,.0f}", kind="name"))
    return svg.picture(frame, parts, label="Total cost by policy")


def _stacked(policy: "PolicyResult", top: float, scale: float, currency: str) -> str:
    at, parts = float(_LABEL_WIDTH), []
    for attribute, kind, word in _PARTS:
        cost = float(getattr(policy, attribute))
        says = f"{policy.name}, {word}: {cost:,.0f} {currency}"
        parts.append(svg.bar(at, top, cost * scale, _BAR, kind=kind, says=says))
        at += cost * scale
    return "".join(parts)


def demand_history(example: "Example", *, test_from: date, period_days: int) -> str:
    """Units asked for per week, before and in the test."""
    per_week = 7 // period_days
    before = _sums(example.history[len(example.history) % per_week :], per_week)
    during = _sums(example.demand, per_week)
    weeks = len(before) + len(during)
    most = max([*before, *during, 1.0])
    frame = svg.Frame(-len(before), weeks - len(before), 0, most * 1.08, height=220)
    parts = [
        svg.axes(
            frame, x_title="week", y_title="units a week", y_form=_thousands,
            x_form=lambda week: _day(test_from + timedelta(days=round(7 * week))),
        )
    ]  # fmt: skip
    wide = frame.x(1) - frame.x(0)
    for k, units in enumerate([*before, *during]):
        week = k - len(before)
        on = test_from + timedelta(days=7 * week)
        parts.append(
            svg.bar(
                frame.x(week) + wide * 0.1, frame.y(units), wide * 0.8,
                frame.y(0) - frame.y(units), kind="past" if week < 0 else "test",
                says=f"week of {on}: {units:,.0f} units",
            )
        )  # fmt: skip
    return svg.picture(frame, parts, label=f"Weekly demand of {example.sku}")


def _some_weeks(periods: int, period_days: int) -> list[float]:
    """Starts of six or fewer equal stretches of whole weeks."""
    week = 7 // period_days
    step = max(1, math.ceil(periods / week / 6)) * week
    return [float(period) for period in range(0, periods, step)]


def _sums(values: Sequence[float], size: int) -> list[float]:
    """Sums of whole weeks."""
    whole = len(values) // size * size
    return [sum(values[k : k + size]) for k in range(0, whole, size)]


def _day(on: date) -> str:
    return f"{on.day} {on:%b}"


def forecast_fan(example: "Example") -> str:
    """Total demand since the start of the test: forecast with its 90 % interval, and what came."""
    days = [0, *example.fan_days]
    low, mean, high, came = (
        list(zip(days, [0.0, *values], strict=True))
        for values in (example.fan_low, example.fan_mean, example.fan_high, example.fan_actual)
    )
    most = max([*example.fan_high, *example.fan_actual, 1.0])
    frame = svg.Frame(0, days[-1] or 1, 0, most * 1.05, height=240)
    parts = [
        svg.axes(
            frame, x_title="days after the start of the test", y_title="units in all",
            x_form=lambda day: f"{day:g}", y_form=_thousands,
            x_ticks=[day for day in days if day % 7 == 0],
        ),
        svg.band(frame, low, high, kind="fan"),
        svg.line(frame, mean, kind="forecast"),
        svg.line(frame, came, kind="actual"),
    ]  # fmt: skip
    parts += [
        svg.dot(frame, point, kind="actual", says=f"after {point[0]} days: {point[1]:,.0f} units")
        for point in came[1:]
    ]
    return svg.picture(frame, parts, label=f"Forecast and demand of {example.sku}, in all")


def stock_and_orders(example: "Example", *, test_from: date, period_days: int) -> str:
    """Units on hand by day under two policies, with their orders as marks on the line of zero."""
    periods = len(example.demand)
    most = max([*(max(levels, default=0.0) for levels in example.stock.values()), 1.0])
    frame = svg.Frame(0, periods, -most * 0.12, most * 1.05, height=280)
    parts = [
        svg.axes(
            frame, x_title="day", y_title="units on hand", y_form=_thousands,
            x_form=lambda k: _day(test_from + timedelta(days=round(k) * period_days)),
            x_ticks=_some_weeks(periods, period_days),
        )
    ]  # fmt: skip
    for row, (key, levels) in enumerate(example.stock.items()):
        parts.append(svg.steps(frame, list(enumerate(levels)), kind=key))
        for period, units in example.orders[key]:
            on = test_from + timedelta(days=period * period_days)
            place = (period, -most * (0.03 + 0.05 * row))
            says = f"ordered on {on}: {units:,.0f} units"
            parts.append(svg.dot(frame, place, kind=f"order {key}", says=says, radius=3))
    return svg.picture(frame, parts, label=f"Stock and orders of {example.sku}")
