"""What a policy is to a replay: levels from what it could know on a day, and names for people."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Levels = Callable[[int, FloatArray, BoolArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class Policy:
    """A policy with a name for people.

    Attributes:
        key: Name in JSON.
        name: Name in tables.
        said: Name inside a sentence.
        rule: One sentence of what it does.
        every_periods: How often it looks at its levels again.
        levels: (period, sold, in stock) to reorder point and order-up-to level, both (n, p).
    """

    key: str
    name: str
    said: str
    rule: str
    every_periods: int
    levels: Levels
