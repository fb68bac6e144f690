"""Panels for tests of the batch."""

from datetime import date

import numpy as np
import numpy.typing as npt

from tools.demand.core import Panel


def panel_of(units: npt.NDArray[np.float64]) -> Panel:
    """Daily demand up to 1 March 2026, nothing of it filled."""
    n = len(units)
    return Panel(
        np.arange(1, n + 1), np.ones(n, dtype=np.int64), units,
        np.zeros(units.shape, dtype=np.bool_), date(2026, 3, 1),
    )  # fmt: skip
