"""Whether forecasts still hold, and when models are fitted again.

Every run makes a promise for each series: the total of the coming week, with its 90 % interval.
The first run after that week compares it with what was sold. Three signs say that a model has
drifted: errors that all go one way, an interval that misses too often or never, and errors larger
than those of repeating last week.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrc

from tools.errors import InvalidInput
from tools.forecasting.core.accuracy import ALARM

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Sign = Literal["bias", "coverage", "naive"]
SIGNS: tuple[Sign, ...] = ("bias", "coverage", "naive")

LEAST_COVERAGE, MOST_COVERAGE = 0.80, 0.97  # of an interval of 90 %
NOMINAL = 0.90
CHANCE = 0.02  # of a right interval that looks so wrong: with less evidence nobody is alarmed
LEAST_WEEKS = 6  # fewer promises prove nothing; the tracking signal looks at these last ones
LEAST_NAIVE_WEEKS = 12  # an error above the naive one in fewer weeks is luck
MOST_WEEKS = 40
PROMISE_DAYS = 7
FAST_ADI = 1.32  # periods between sales: faster is fast
FAST_DAYS, STAPLE_DAYS = 7, 28


@dataclass(frozen=True)
class Kept:
    """Promises that are over, of n series and k weeks, oldest first; NaN where there was none.

    Attributes:
        sold: Shape (n, k): units of the week.
        mean: What was expected.
        low: 5 % quantile.
        high: 95 % quantile.
        naive: Units of the week before the promise.
    """

    sold: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    naive: FloatArray


@dataclass(frozen=True)
class Promised:
    """What a run says of the coming week of n series, shape (n,); NaN for untested quantiles.

    Attributes:
        mean: Units of the week.
        low: 5 % quantile.
        high: 95 % quantile.
        naive: Units of the week before.
    """

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    naive: FloatArray


@dataclass(frozen=True)
class Signals:
    """What the promises of n series say, shape (n,); NaN where too few are over.

    Attributes:
        weeks: Promises that are over.
        tracking_signal: Sum of sold minus expected of the last six over their mean absolute value.
        coverage: Share of weeks inside the interval.
        naive_ratio: Absolute errors over those of repeating the week before.
        misses_chance: Probability of at most so many weeks inside if the interval is right.
        hits_chance: Probability of at least so many.
    """

    weeks: npt.NDArray[np.int64]
    tracking_signal: FloatArray
    coverage: FloatArray
    naive_ratio: FloatArray
    misses_chance: FloatArray
    hits_chance: FloatArray


def signals(kept: Kept) -> Signals:
    """Measure the promises of each series.

    Example:
        >>> a = np.array([[100.0, 120, 90, 110, 95, 130]])
        >>> f = np.array([[110.0, 115, 105, 118, 108, 128]])
        >>> said = signals(Kept(a, f, f - 20, f + 20, a))
        >>> round(float(said.tracking_signal[0]), 3)
        -4.415
    """
    errors = kept.sold - kept.mean
    known = np.isfinite(errors)
    tested = known & np.isfinite(kept.low) & np.isfinite(kept.high)
    inside = ((kept.sold >= kept.low) & (kept.sold <= kept.high) & tested).sum(axis=1)
    weeks, count = known.sum(axis=1), tested.sum(axis=1)
    absolute = np.where(known, np.abs(errors), 0.0).sum(axis=1)
    steps = np.where(known, np.abs(kept.sold - kept.naive), 0.0).sum(axis=1)
    recent = np.where(known, errors, 0.0)[:, -LEAST_WEEKS:]
    with np.errstate(divide="ignore", invalid="ignore"):
        tracking = recent.sum(axis=1) / np.abs(recent).mean(axis=1)
        coverage = inside / count
        ratio = absolute / steps
    return Signals(
        weeks,
        np.where((weeks >= LEAST_WEEKS) & np.isfinite(tracking), tracking, np.nan),
        np.where(count >= LEAST_WEEKS, coverage, np.nan),
        np.where((weeks >= LEAST_NAIVE_WEEKS) & np.isfinite(ratio), ratio, np.nan),
        np.asarray(bdtr(inside, count, NOMINAL)),
        np.asarray(bdtrc(inside - 1, count, NOMINAL)),
    )


def drifted(found: Signals) -> BoolArray:
    """Tell which signs each series shows.

    Returns:
        Shape (n, 3), in the order of ``SIGNS``: |tracking signal| > 4; coverage of the 90 %
        interval outside 80 to 97 % and not by chance; error above that of the naive forecast.
    """
    low = (found.coverage < LEAST_COVERAGE) & (found.misses_chance < CHANCE)
    high = (found.coverage > MOST_COVERAGE) & (found.hits_chance < CHANCE)
    bias = np.abs(found.tracking_signal) > ALARM
    return np.stack([bias, low | high, found.naive_ratio > 1], axis=1)


def retrain_days(adi: float) -> int:
    """Say after how many days the models of a series are fitted again.

    Weekly for what sells in most periods, monthly for the rest; between, the level is updated.

    Args:
        adi: Mean interval between periods with demand, >= 1; infinite without demand.

    Example:
        >>> retrain_days(1.0), retrain_days(4.0)
        (7, 28)
    """
    if adi < 1:
        raise InvalidInput(f"an interval between sales is at least 1 period, got {adi!r}")
    return FAST_DAYS if adi <= FAST_ADI else STAPLE_DAYS


def is_due(*, days_since_fit: int | None, adi: float, signs: Sequence[str]) -> bool:
    """Tell whether the models of a series are to be fitted again.

    Args:
        days_since_fit: None when they never were.
        adi: Mean interval between periods with demand.
        signs: Of drift.

    Example:
        >>> is_due(days_since_fit=3, adi=1.0, signs=[])
        False
        >>> is_due(days_since_fit=3, adi=1.0, signs=["bias"])
        True
    """
    return days_since_fit is None or bool(signs) or days_since_fit >= retrain_days(adi)


def sentence(signs: Mapping[str, Any]) -> str:
    """Say what drifted, with its figures.

    Example:
        >>> sentence({"signs": ["naive"], "weeks": 12, "naive_ratio": 1.2})
        "the error is 1.20 times that of repeating last week's sales"
    """
    told = []
    weeks = signs.get("weeks")
    if "bias" in signs["signs"]:
        signal = signs["tracking_signal"]
        way = "less" if signal < 0 else "more"
        told.append(
            f"sold {way} than forecast week after week (tracking signal {signal:.1f} over the "
            f"last {LEAST_WEEKS} weeks, limit {ALARM:g})"
        )
    if "coverage" in signs["signs"]:
        told.append(
            f"{signs['coverage']:.0%} of {weeks} weeks fell inside the 90 % interval "
            f"({LEAST_COVERAGE:.0%} to {MOST_COVERAGE:.0%} is right)"
        )
    if "naive" in signs["signs"]:
        told.append(
            f"the error is {signs['naive_ratio']:.2f} times that of repeating last week's sales"
        )
    return "; ".join(told)


def proposal(signs: Sequence[str]) -> str:
    """Say what a planner can do about it.

    Example:
        >>> proposal(["coverage"])
        'the next run fits it anew; check its safety stock meanwhile'
    """
    if "bias" in signs:
        return (
            "the next run fits it anew; enter a promotion, a closure or an own figure if you know "
            "why demand moved"
        )
    if "naive" in signs:
        return "the next run fits it anew; try another model for its segment: forecast try"
    return "the next run fits it anew; check its safety stock meanwhile"


def tracks(
    before: Sequence[Mapping[str, Any] | None],
    promised: Promised,
    *,
    units: FloatArray,
    until: date,
    period_days: int,
) -> list[dict[str, Any]]:
    """Close the promises that are over, and make new ones.

    Args:
        before: What the run before kept of each series: ``{"open": [day, mean, low, high, naive],
            "weeks": [[sold, mean, low, high, naive], ...]}``; None for a new series.
        promised: What this run says of the coming week.
        units: Shape (n, periods): cleaned demand, the last period ending at ``until``.
        until: Last known day.
        period_days: Days of a period.

    Returns:
        The same of each series, to keep with its forecast.
    """
    running = np.concatenate(
        [np.zeros((len(units), 1)), np.cumsum(np.nan_to_num(units), axis=1)], axis=1
    )
    length = promise_periods(period_days)
    answer = []
    columns = (promised.mean, promised.low, promised.high, promised.naive)
    new = np.round(np.stack(columns, axis=1), 1).tolist()
    for k, old in enumerate(before):
        kept = dict(old) if old else {"open": None, "weeks": []}
        opened = kept["open"]
        if opened is not None:
            passed = (until - date.fromisoformat(opened[0])).days // period_days
            if not length <= passed < units.shape[1]:
                answer.append(kept if passed < length else _opened(until, new[k], kept["weeks"]))
                continue
            first = units.shape[1] - passed
            sold = round(float(running[k, first + length] - running[k, first]), 1)
            kept["weeks"] = [*kept["weeks"], [sold, *opened[1:]]][-MOST_WEEKS:]
        answer.append(_opened(until, new[k], kept["weeks"]))
    return answer


def promise_periods(period_days: int) -> int:
    """Periods of a promise: a week, or one period where that is longer."""
    return max(1, PROMISE_DAYS // period_days)


def _opened(on: date, values: list[float], weeks: list[Any]) -> dict[str, Any]:
    known = [value if np.isfinite(value) else None for value in values]
    return {"open": [on.isoformat(), *known], "weeks": weeks}


def kept_of(found: Sequence[Mapping[str, Any]]) -> Kept:
    """Lay the promises that are over out as arrays; the last ones of each series end together."""
    values = np.full((5, len(found), MOST_WEEKS), np.nan)
    for k, one in enumerate(found):
        if weeks := one["weeks"]:
            values[:, k, -len(weeks) :] = np.array(weeks, dtype=np.float64).T
    return Kept(*values)


def reports(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say of each series which signs of drift it shows, with figures; empty without any."""
    said = signals(kept_of(found))
    shown = drifted(said)
    answer: list[dict[str, Any]] = [{} for _ in found]
    for k in np.flatnonzero(shown.any(axis=1)).tolist():
        figures = {
            name: round(float(getattr(said, name)[k]), 3)
            for name in ("tracking_signal", "coverage", "naive_ratio")
            if np.isfinite(getattr(said, name)[k])
        }
        signs = [sign for sign, is_on in zip(SIGNS, shown[k], strict=True) if is_on]
        answer[k] = {"signs": signs, "weeks": int(said.weeks[k]), **figures}
    return answer


@dataclass(frozen=True)
class Record:
    """How the promises of some series were kept, all weeks together; NaN where undefined."""

    series: int
    weeks: int
    wmape: float
    bias: float
    coverage: float
    naive_ratio: float


def record(kept: Kept) -> Record:
    """Sum up the promises of a group of series.

    Example:
        >>> a = np.array([[100.0, 120, 90, 110, 95, 130]])
        >>> f = np.array([[110.0, 115, 105, 118, 108, 128]])
        >>> said = record(Kept(a, f, f - 12, f + 12, a))
        >>> round(said.wmape, 4), round(said.bias, 4), round(said.coverage, 3)
        (0.0822, 0.0605, 0.667)
    """
    known = np.isfinite(kept.sold) & np.isfinite(kept.mean)
    tested = known & np.isfinite(kept.low) & np.isfinite(kept.high)
    inside = tested & (kept.sold >= kept.low) & (kept.sold <= kept.high)
    errors = np.where(known, kept.mean - kept.sold, 0.0)
    sold = float(np.where(known, kept.sold, 0.0).sum())
    steps = float(np.where(known, np.abs(kept.sold - kept.naive), 0.0).sum())
    wrong = float(np.abs(errors).sum())
    return Record(
        series=int(known.any(axis=1).sum()), weeks=int(known.sum()), wmape=_share(wrong, sold),
        bias=_share(float(errors.sum()), sold),
        coverage=_share(float(inside.sum()), float(tested.sum())),
        naive_ratio=_share(wrong, steps),
    )  # fmt: skip


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
