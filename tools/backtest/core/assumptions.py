"""What a backtest assumes about costs and suppliers where the sales file does not say it."""

from dataclasses import dataclass

import numpy as np

from tools.errors import InvalidInput

DAYS_A_YEAR = 365.0


@dataclass(frozen=True)
class Assumptions:
    """Terms and costs of a replay. Money is in the company's currency, in whole units of it.

    Attributes:
        lead_time_days: Mean, days; None takes the file's (or 14 where it names none).
        lead_time_cv: Standard deviation of a lead time over its mean; delays are gamma.
        review_days: Days between two looks at an item.
        moq_units: Smallest order; None takes the file's (or 1).
        order_multiple_units: Pack; None takes the file's (or 1).
        holding_rate: Cost of holding stock, share of its value a year.
        margin_rate: Margin on the selling price; a sale that is lost costs it.
        order_cost: Of one order line.
        default_price: Selling price where the file names neither price nor cost.
        service_rate: Target of the textbook policy, and of ours where it takes one.
        replications: Independent draws of the lead times; all policies get the same ones.
        seed: Of these draws.
    """

    lead_time_days: float | None = None
    lead_time_cv: float = 0.5
    review_days: int = 1
    moq_units: int | None = None
    order_multiple_units: int | None = None
    holding_rate: float = 0.25
    margin_rate: float = 0.40
    order_cost: float = 3.0
    default_price: float = 10.0
    service_rate: float = 0.95
    replications: int = 20
    seed: int = 1

    def __post_init__(self) -> None:
        for name, low, high, option in _RANGES:
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and low <= value <= high):
                raise InvalidInput(
                    f"{name} must lie between {low:g} and {high:g}, got {value!r}",
                    next_step=f"Give --{option} a value in that range.",
                    details={"field": name, "low": low, "high": high},
                )


_RANGES = (
    ("lead_time_days", 1, 365, "lead-time"),
    ("lead_time_cv", 0, 2, "lead-time-cv"),
    ("review_days", 1, 91, "review"),
    ("moq_units", 1, 1_000_000, "moq"),
    ("order_multiple_units", 1, 1_000_000, "multiple"),
    ("holding_rate", 0.001, 5, "holding"),
    ("margin_rate", 0.001, 0.999, "margin"),
    ("order_cost", 0, 1_000_000, "order-cost"),
    ("default_price", 0.01, 1_000_000, "price"),
    ("service_rate", 0.5, 0.999, "service"),
    ("replications", 1, 500, "replications"),
    ("seed", 0, 2**31, "seed"),
)
