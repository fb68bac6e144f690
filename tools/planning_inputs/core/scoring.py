"""Did a planner's figure make the forecast better? Forecast value added, per override."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BETTER, WORSE, SAME = "better", "worse", "same"
_ALIKE = 0.01  # errors within one hundredth of the demand are the same


@dataclass(frozen=True)
class Score:
    """Errors of the mean over an override's days, units a day; value added is error saved.

    Attributes:
        days: Days that were scored.
        actual: Demand, units a day.
        naive_error: Of the mean of the same number of days before.
        system_error: Of the forecast that was overridden; None when there was none.
        override_error: Of the planner's figure.
        fva_system: Naive error less the system's.
        fva_override: The system's (or the naive) error less the override's.
        verdict: Whether the override made it better, worse or the same.
    """

    days: int
    actual: float
    naive_error: float
    system_error: float | None
    override_error: float
    fva_system: float | None
    fva_override: float
    verdict: str

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        names = ("actual", "naive_error", "system_error", "override_error", "fva_system",
                 "fva_override")  # fmt: skip
        rounded = {n: None if (v := getattr(self, n)) is None else round(v, 4) for n in names}
        return {"days": self.days, **rounded, "verdict": self.verdict}


def score(
    *, days: int, actual: float, naive: float, system: float | None, override: float
) -> Score:
    """Compare three figures with what came.

    Args:
        days: Days behind the actual figure.
        actual: Demand, units a day.
        naive: Mean before, units a day.
        system: Forecast that was overridden, units a day.
        override: The planner's figure, units a day.

    References:
        DOMAIN 1.7: FVA = error(naive) - error(system), error(system) - error(after override).

    Example:
        >>> found = score(days=28, actual=20, naive=14, system=18, override=22)
        >>> found.fva_system, found.fva_override, found.verdict
        (4, 0, 'same')
    """
    errors = {"naive": abs(naive - actual), "override": abs(override - actual)}
    system_error = None if system is None else abs(system - actual)
    judged_by = errors["naive"] if system_error is None else system_error
    added = judged_by - errors["override"]
    is_alike = abs(added) <= _ALIKE * max(actual, _ALIKE)
    return Score(
        days=days,
        actual=actual,
        naive_error=errors["naive"],
        system_error=system_error,
        override_error=errors["override"],
        fva_system=None if system_error is None else errors["naive"] - system_error,
        fva_override=added,
        verdict=SAME if is_alike else BETTER if added > 0 else WORSE,
    )


def track_record(scores: Sequence[Mapping[str, Any]]) -> str:
    """Say how past overrides did; empty when none is over.

    Example:
        >>> track_record([{"verdict": "worse"}, {"verdict": "worse"}, {"verdict": "better"}])
        'accuracy of past overrides on this item: 2 of 3 made the forecast worse'
    """
    verdicts = [one["verdict"] for one in scores if one]
    if not verdicts:
        return ""
    worse = verdicts.count(WORSE)
    if worse:
        told = f"{worse} of {len(verdicts)} made the forecast worse"
    else:
        told = f"none of {len(verdicts)} made the forecast worse"
    return f"accuracy of past overrides on this item: {told}"
