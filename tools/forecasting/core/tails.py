"""How wide the error of a total is, by what is known of its series: regression on quantiles.

Two series with the same mean may differ threefold in the tail of their totals. A line through the
pooled errors, fitted so that a share ``level`` of them lies below it, tells the width from the
forecast, the mean, the spread and the usual size of a sale. All figures are divided by the scale of
the series, so that small and large sellers lie on one line.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LEAST_ROWS = 400  # errors under which no line is fitted
_MOST_ROWS = 6000  # errors to fit a line through; more change nothing and cost time
_STEPS = 60
_CLOSE = 1e-5
_RIDGE = 1e-9


def quantile_line(x: FloatArray, y: FloatArray, weight: FloatArray, *, level: float) -> FloatArray:
    """Coefficients of the linear quantile of y given x: those with the least pinball loss.

    Minimises sum(weight * pinball(y - x @ b)) by majorisation: every step solves the weighted least
    squares problem that lies above the loss and touches it at the present coefficients.

    Args:
        x: Shape (m, k).
        y: Shape (m,).
        weight: Shape (m,), > 0.
        level: In (0, 1).

    Returns:
        Shape (k,).

    References:
        Hunter and Lange (2000), Quantile regression via an MM algorithm.

    Example:
        >>> at = np.arange(1.0, 100.0)
        >>> float(quantile_line(np.ones((99, 1)), at, np.ones(99), level=0.75).round()[0])
        75.0
    """
    near = 1e-4 * float(np.average(np.abs(y), weights=weight)) + 1e-12
    push = (2 * level - 1) * (weight @ x)
    found = _solved(x, weight, weight @ (x * y[:, None]))
    for _ in range(_STEPS):
        pull = weight / (np.abs(y - x @ found) + near)
        following = _solved(x, pull, pull @ (x * y[:, None]) + push)
        moved = np.abs(following - found).max()
        found = following
        if moved <= _CLOSE * (1 + np.abs(found).max()):
            break
    return found


def _solved(x: FloatArray, weight: FloatArray, right: FloatArray) -> FloatArray:
    """Solve the normal equations, with a trace of a ridge for columns that depend on each other."""
    left = (x * weight[:, None]).T @ x
    ridge = _RIDGE * np.trace(left) / len(left) + 1e-300
    return np.asarray(np.linalg.solve(left + ridge * np.eye(len(left)), right))


def tail_lines(
    x: FloatArray, y: FloatArray, weight: FloatArray, *, levels: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Lines of the lower and the upper width of errors; both coefficients point outwards.

    Args:
        x: Shape (m, k).
        y: Shape (m,): errors.
        weight: Shape (m,), > 0.
        levels: Lower and upper level, in (0, 1).
    """
    if len(y) > _MOST_ROWS:
        kept = np.linspace(0, len(y) - 1, _MOST_ROWS).astype(np.int64)
        x, y, weight = x[kept], y[kept], weight[kept]
    low, high = (quantile_line(x, y, weight, level=level) for level in levels)
    return -low, high
